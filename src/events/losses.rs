//! Bids whose loss came in lately, so that a loss that is told twice counts once.
//!
//! Invariant: bounded in time and number, and it guards no money: a repeated loss frees a hold that is free already.
//! It is not part of a checkpoint: in the first minutes after a restart a repeated loss may count twice.

use crate::units::{BidId, Timestamp};
use std::collections::{BTreeMap, HashSet};

/// Senders repeat a notice every 10 seconds for a minute (OpenRTB 2.6, section 7.8).
const KEEP_MINUTES: i64 = 2;
/// 8,000 losses a second; 50 bytes each. What finds no room is counted each time that it comes.
const LOSSES_MAX: usize = 1_000_000;

#[derive(Default)]
pub(super) struct RecentLosses {
    seen: HashSet<BidId>,
    by_minute: BTreeMap<i64, Vec<BidId>>,
}

impl RecentLosses {
    pub fn contains(&self, bid: BidId) -> bool {
        self.seen.contains(&bid)
    }

    pub fn note(&mut self, bid: BidId, at: Timestamp) {
        let now = at.0.div_euclid(60_000);
        while let Some(entry) = self
            .by_minute
            .first_entry()
            .filter(|entry| *entry.key() < now - KEEP_MINUTES)
        {
            for old in entry.remove() {
                self.seen.remove(&old);
            }
        }
        if self.seen.len() < LOSSES_MAX && self.seen.insert(bid) {
            self.by_minute.entry(now).or_default().push(bid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_known_for_two_minutes_and_then_forgotten() {
        let bid = |number| BidId::new(1, 1, number);
        let mut losses = RecentLosses::default();
        losses.note(bid(1), Timestamp(0));
        losses.note(bid(2), Timestamp(179_999));
        assert!(losses.contains(bid(1)) && losses.contains(bid(2)));
        losses.note(bid(3), Timestamp(180_000));
        assert!(!losses.contains(bid(1)) && losses.contains(bid(2)));
        assert_eq!(losses.seen.len(), 2);
    }
}
