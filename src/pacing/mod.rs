//! Money: accounts with hourly, daily and lifetime limits, reservations, holds and settlements.
//! For every limit, spent + reserved + amount ≤ limit holds for each new reservation, under any interleaving of threads.
//!
//! ```text
//! reserve ──► Reservation ──commit──► hold ──settle──► spent (≤ held) + late (above the hold)
//!                 │ drop                │ release, expire
//!                 └──► given back       └──► given back            settle without a hold ──► late, in full
//! ```
//!
//! - One [`kernel::Counter`] per limit holds all money committed against it in one atomic word; `reserve` raises it by
//!   compare-and-swap only while the limit allows. Six counters (line item and campaign; hour, day, lifetime) are taken one
//!   after the other; where one refuses, those taken before it are given back. So two reservations that race for the last
//!   money may both be refused, but never both granted.
//! - A period (an hour, a local day) is an object that is never used again for another period. Workers find the
//!   period of `now` in an immutable frame (previous, current, next) behind one atomic pointer; [`Budgets::tick`]
//!   replaces frames, always one period ahead. A worker that finds no period for its `now` (tick stood still for more than
//!   a period) refuses rather than guesses. A laggard that still counts on a period that has left the frame harms nobody.
//! - A hold is taken out of the table by exactly one of settle, release and expiry; who comes second finds no hold.
//! - Settlements above a hold or without one are booked in full in the `late` column: what the limit leaves free
//!   covers it, the rest is **debt**. While debt is not covered the account has nothing free; what is left of it when the
//!   period ends is carried into the next period. Debt of the lifetime stays until the limit is raised.
//! - Spend belongs to the hour and day of the *bid*, as long as that is the current or the previous one; what is older is
//!   booked on the lifetime only (and on the day, where that is still kept).

mod account;
mod budgets;
mod calendar;
mod checkpoint;
mod delay;
mod hold_times;
mod holds;
pub mod kernel;
mod kpi;
pub mod lease;
mod pace;
mod settle;

/// The atomics under the kernel. The loom package puts its own in this place.
mod atomic {
    pub use std::sync::atomic::{AtomicI64, Ordering};
}

pub use account::{Account, AccountKind, AccountView, PeriodView, Scope};
pub use budgets::{ACCOUNTS_PER_BID_MAX, Budgets, Expired, NotHeld, Refused, Reservation, Undecided};
pub use calendar::Span;
pub use checkpoint::{RestoreError, Restored};
pub use delay::{DelayView, LearntDelay};
pub use hold_times::{ExchangeHolds, HoldTime, HoldTimes};
pub use kpi::{Happened, Kpi, KpiView, Target};
pub use lease::Leases;
pub use pace::{DayPlan, Drive, ExchangeTraffic, PacePlan, PaceView, SLOT_MS, Traffic};
pub use settle::{Booking, Settled};
