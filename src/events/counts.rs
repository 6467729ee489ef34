//! What the books count for metrics, and when they raise an alarm.
//!
//! Invariant: counts are for show. They guard nothing, so every access is relaxed.

use super::booking::{Flags, Record};
use super::notice::What;
use crate::openrtb::loss;
use crate::pacing::Settled;
use crate::units::Nanos;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// Counts since the start, for metrics.
#[derive(Default)]
pub struct BooksCounts {
    pub records: AtomicU64,
    pub batches: AtomicU64,
    /// Bids booked, and what they cost.
    pub booked: AtomicU64,
    pub booked_nanos: AtomicI64,
    pub late_nanos: AtomicI64,
    pub debt_nanos: AtomicI64,
    /// In the order of [`Flags::NAMES`].
    pub flags: [AtomicU64; Flags::NAMES.len()],
    /// Losses that count by code, in the order of [`loss::CODES`].
    pub losses: [AtomicU64; loss::CODES.len()],
    /// Losses with a code of the exchange's own, and without one.
    pub losses_other: AtomicU64,
    /// Handed in and refused for want of room in queue or memory.
    pub refused: AtomicU64,
    pub checkpoints: AtomicU64,
    pub remembered_bids: AtomicU64,
    /// After an error of the disk: everything is refused.
    pub closed: AtomicBool,
}

impl BooksCounts {
    pub(super) fn count(&self, record: &Record, settled: Option<Settled>) {
        let add = |count: &AtomicI64, amount: Nanos| count.fetch_add(amount.0, Ordering::Relaxed);
        self.records.fetch_add(1, Ordering::Relaxed);
        for (count, (flag, _)) in self.flags.iter().zip(Flags::NAMES) {
            if record.verdict.flags.has(flag) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
        if let What::Loss { reason, .. } = record.what
            && record.verdict.counts()
        {
            self.count_loss(record, reason);
        }
        if let Some(booked) = record.verdict.booked {
            self.booked.fetch_add(1, Ordering::Relaxed);
            add(&self.booked_nanos, booked);
            alarm(record, settled);
        }
        if let Some(settled) = settled {
            add(&self.late_nanos, settled.late);
            add(&self.debt_nanos, settled.debt);
        }
    }
}

impl BooksCounts {
    /// A fault of ours is an alarm: told the first time, and then as often as their number doubles.
    fn count_loss(&self, record: &Record, reason: Option<u32>) {
        let place = reason.and_then(loss::position);
        let counter = place.map_or(&self.losses_other, |place| &self.losses[place]);
        let count = counter.fetch_add(1, Ordering::Relaxed) + 1;
        if let (Some(code), Some(place)) = (reason, place)
            && loss::is_fault(code)
            && count.is_power_of_two()
        {
            let (_, name) = loss::CODES[place];
            tracing::warn!(bid = %record.token.bid, code, name, count, "an exchange calls bids of ours faulty");
        }
    }
}

/// Once per bid at most: a bid is booked once.
fn alarm(record: &Record, settled: Option<Settled>) {
    let token = &record.token;
    if record.verdict.flags.has(Flags::ABOVE_BID) {
        let price = record.verdict.price.unwrap_or_default();
        tracing::warn!(bid = %token.bid, %price, ours = %token.price, "an exchange charges more than was bid");
    }
    if record.verdict.flags.has(Flags::UNMATCHED) {
        tracing::warn!(bid = %token.bid, exchange = token.exchange.0, "booked a bid that this node does not know: unmatched");
    }
    if let Some(settled) = settled.filter(|settled| settled.debt > Nanos::ZERO) {
        tracing::warn!(bid = %token.bid, debt = %settled.debt, "a settlement found no free money: debt");
    }
}
