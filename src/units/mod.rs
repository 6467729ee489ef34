//! Units as types: money, probabilities, time and ids. Swapping two of them is a compile error.

mod id;
mod mix;
mod money;
mod time;

pub use id::{AccountId, BidId, EntryId, ObjectId, UserKey, UserKeySecret, split_user_id};
pub use mix::MixHasher;
pub use money::{Cpm, Currency, Limits, Nanos, Probability, Spread};
pub use time::{HourOfWeek, Timestamp};
