//! Money set aside for bids of an earlier process of this node, whose holds went with it.

use super::super::account::AccountKind;
use super::super::budgets::Budgets;
use super::super::settle::Booking;
use super::Key;
use crate::units::{BidId, Timestamp};
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

/// Behind a lock: what settles from it and what ends it are two threads.
#[derive(Debug, Default)]
pub struct Quarantine {
    node: u16,
    /// While there is one.
    until: Option<Timestamp>,
}

impl Budgets {
    /// Begins lease `lease`: sets aside what `bounds` allowed an earlier process and neither books nor holds explain, until
    /// `until`. Returns how many limits that holds back.
    pub(super) fn set_aside(
        &self,
        node: u16,
        lease: u32,
        bounds: &[(Key, i64)],
        until: Timestamp,
        now: Timestamp,
    ) -> usize {
        let mut quarantine = self.quarantine();
        let mut limits = 0;
        for (key, bound) in bounds {
            let account = self.find_or_open(key.account, AccountKind::LineItem, now);
            let Some(period) = account.period_of(key.scope, key.span, now) else {
                continue;
            };
            let known = period.counter.read();
            let unknown = bound.saturating_sub(known.spent + known.reserved);
            if unknown > 0 {
                period.counter.quarantine(unknown);
                limits += 1;
            }
        }
        *quarantine = Quarantine {
            node,
            until: (limits > 0).then_some(until),
        };
        self.leasing.number.store(lease, Ordering::Relaxed);
        limits
    }

    /// Makes the hold of a bid of an earlier process again, until `until`, from what was set aside for it. False where there
    /// is a hold already, where too little is left on any of its limits, or where the bid is not of an earlier process of
    /// this node. The caller knows that the bid's hold was not over, nor given back, nor used.
    pub fn reopen(&self, bid: BidId, lease: u32, booking: &Booking<'_>, until: Timestamp) -> bool {
        let quarantine = self.quarantine();
        let ours = quarantine.until.is_some() && bid.node() == quarantine.node && lease < self.lease();
        if !ours || self.holds.contains(bid) {
            return false;
        }
        // Only who has the lock takes from a quarantine: what is enough here is enough below.
        let mut enough = true;
        let amount = booking.reserved.0;
        for account in self.named(booking) {
            account.at(booking.bid_at, |counter| enough &= counter.can_adopt(amount));
        }
        enough
            && self.insert_hold(bid, booking, until, |account, hold| {
                account.at(hold.at, |counter| counter.adopt(amount))
            })
    }

    /// Until when money of an earlier process is set aside; `None` where there is none.
    pub fn quarantined_until(&self) -> Option<Timestamp> {
        self.quarantine().until
    }

    /// Frees what was set aside, once no bid that it is for can be billed on time any more. For the lease thread.
    pub(super) fn end_quarantine(&self, now: Timestamp) {
        let mut quarantine = self.quarantine();
        if quarantine.until.is_none_or(|until| now <= until) {
            return;
        }
        quarantine.until = None;
        for account in self.all_accounts() {
            account.lifetime.counter.end_quarantine();
            let frame = account.frame();
            for period in frame.hours.iter().chain(&frame.days) {
                period.counter.end_quarantine();
            }
        }
    }

    fn quarantine(&self) -> MutexGuard<'_, Quarantine> {
        self.leasing
            .quarantine
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
