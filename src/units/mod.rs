//! Units as types: money, probabilities, time and ids. Swapping two of them is a compile error.

mod id;
mod money;
mod time;

pub use id::{AccountId, BidId, ObjectId, UserKey, UserKeySecret};
pub use money::{Cpm, Currency, Limits, Nanos, Probability};
pub use time::{HourOfWeek, Timestamp};
