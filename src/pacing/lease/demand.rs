//! How large a lease should be: enough for the next two seconds as the last ones went, and little enough to lose.

use super::super::kernel::UNLIMITED;
use crate::units::{Nanos, Timestamp};

/// A lease is looked at ten times a second and one look may take a slow disk or network half a second: two are ample.
const HORIZON_MS: i64 = 2_000;
/// At least this part of the limit stands ready, so that a campaign that begins does not begin in steps: 0.4 % are held back.
const FLOOR_PARTS: i64 = 256;
/// And at least this much: some ten ordinary impressions.
const FLOOR: i64 = Nanos::PER_UNIT / 10;
/// Never more than this part of the limit: what a crash may hold back.
const CAP_PARTS: i64 = 16;
/// A bid that was refused makes room for this many of its size.
const REFUSED_BIDS: i64 = 8;
/// What is not used for so long is idle. A campaign of few bids has to come to one before its lease goes to others again.
const IDLE_MS: i64 = 5_000;
/// Headroom above this many times the target goes back.
const SURPLUS: i64 = 4;

/// What the lease thread remembers of one limit between two looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demand {
    /// On record.
    pub bound: i64,
    pub beside: i64,
    /// As the others were told, and when.
    pub used: i64,
    pub used_told_at: Option<Timestamp>,
    /// Another node wants more of this limit than is left.
    pub others_want: bool,
    committed: i64,
    target: i64,
    /// As configured at the last look.
    limit: i64,
    /// Nothing was taken for so long, ms.
    idle_ms: i64,
    /// Given back to the others; until a bid asks for it.
    yielded: bool,
}

/// One look at a counter.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub limit: i64,
    pub granted: i64,
    pub committed: i64,
    /// The largest amount refused since the last look for want of a grant.
    pub asked: i64,
    /// Since the last look.
    pub passed_ms: i64,
    /// A period that has not begun: it only gets ready.
    pub is_ahead: bool,
}

/// What should become of the ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Keep,
    Raise(i64),
    Lower(i64),
}

impl Demand {
    pub fn wish(&mut self, look: &Look) -> Wish {
        let Look {
            limit,
            granted,
            committed,
            ..
        } = *look;
        let was_lowered = limit < std::mem::replace(&mut self.limit, limit);
        if limit == UNLIMITED {
            return Wish::Keep;
        }
        // All nodes together may have committed more than the new limit by now: until the authority has said what they leave, not
        // even what is given back may be taken again.
        if was_lowered {
            return Wish::Lower(0);
        }
        self.idle_ms = match committed <= self.committed && look.asked == 0 {
            true => self.idle_ms.saturating_add(look.passed_ms),
            false => 0,
        };
        let is_idle = self.idle_ms >= IDLE_MS;
        self.target = self.next_target(look);
        self.committed = committed;
        let others_want = std::mem::take(&mut self.others_want);
        self.yielded = is_idle && (self.yielded || others_want);
        if self.yielded {
            return match granted > committed {
                true => Wish::Lower(committed),
                false => Wish::Keep,
            };
        }
        let wanted = committed.saturating_add(self.target).min(limit);
        let headroom = granted.saturating_sub(committed);
        if granted > limit || (headroom > SURPLUS.saturating_mul(self.target) && !look.is_ahead) {
            return Wish::Lower(wanted);
        }
        if headroom < self.target / 2 + 1 && wanted > granted {
            return Wish::Raise(wanted);
        }
        Wish::Keep
    }

    /// Follows rising demand at once and falling demand within some seconds; doubles while bids are refused.
    fn next_target(&self, look: &Look) -> i64 {
        let floor = (look.limit / FLOOR_PARTS).max(FLOOR);
        let cap = (look.limit / CAP_PARTS).max(floor);
        let grown = look.committed.saturating_sub(self.committed).max(0);
        // The first look has nothing to compare with.
        let ahead = match look.passed_ms {
            passed_ms @ 1.. => grown.saturating_mul(HORIZON_MS) / passed_ms,
            _ => 0,
        };
        let faded = self.target - self.target / 16;
        let refused = match look.asked {
            0 => 0,
            asked => self
                .target
                .saturating_mul(2)
                .min(cap)
                .max(asked.saturating_mul(REFUSED_BIDS)),
        };
        ahead.clamp(floor, cap).max(faded).max(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: i64 = Nanos::PER_UNIT;

    fn look(committed: i64, granted: i64) -> Look {
        Look {
            limit: 1_000 * UNIT,
            granted,
            committed,
            asked: 0,
            passed_ms: 100,
            is_ahead: false,
        }
    }

    #[test]
    fn a_new_limit_gets_the_floor_and_a_small_one_all_of_it() {
        let wish = |limit| Demand::default().wish(&Look { limit, ..look(0, 0) });
        assert_eq!(wish(1_000 * UNIT), Wish::Raise(1_000 * UNIT / 256));
        assert_eq!(wish(UNIT), Wish::Raise(UNIT / 10));
        assert_eq!(wish(UNIT / 100), Wish::Raise(UNIT / 100));
        assert_eq!(wish(0), Wish::Keep);
        assert_eq!(wish(UNLIMITED), Wish::Keep);
    }

    #[test]
    fn spending_of_two_seconds_stands_ready_and_never_more_than_the_cap() {
        let mut demand = Demand::default();
        demand.wish(&look(0, 0));
        // 1 unit in a tenth of a second: 20 in two.
        assert_eq!(demand.wish(&look(UNIT, 4 * UNIT)), Wish::Raise(21 * UNIT));
        assert_eq!(demand.wish(&look(2 * UNIT, 21 * UNIT)), Wish::Keep);
        assert_eq!(
            demand.wish(&look(21 * UNIT, 21 * UNIT)),
            Wish::Raise(21 * UNIT + 1_000 * UNIT / 16)
        );
    }

    #[test]
    fn what_is_not_used_goes_back_within_seconds() {
        let mut demand = Demand::default();
        demand.wish(&look(0, 0));
        demand.wish(&look(3 * UNIT, 4 * UNIT));
        let granted = 63 * UNIT;
        let looks = (1..100).find(|_| demand.wish(&look(UNIT, granted)) != Wish::Keep);
        assert!(looks.is_some_and(|looks| looks < 50), "{looks:?}");
    }

    #[test]
    fn a_refused_bid_is_never_larger_than_the_next_grant() {
        let mut demand = Demand::default();
        let large = Look {
            asked: 200 * UNIT,
            ..look(0, 0)
        };
        assert_eq!(demand.wish(&large), Wish::Raise(1_000 * UNIT));
    }

    #[test]
    fn what_is_idle_goes_to_others_who_want_it_until_a_bid_asks() {
        let mut demand = Demand::default();
        let look = |committed, granted| Look {
            passed_ms: IDLE_MS / 2,
            ..look(committed, granted)
        };
        demand.wish(&look(UNIT, 4 * UNIT));
        demand.others_want = true;
        assert_eq!(
            demand.wish(&look(UNIT, 4 * UNIT)),
            Wish::Keep,
            "the next bid may come"
        );
        demand.others_want = true;
        assert_eq!(demand.wish(&look(UNIT, 4 * UNIT)), Wish::Lower(UNIT));
        assert_eq!(demand.wish(&look(UNIT, UNIT)), Wish::Keep);
        let asked = Look {
            asked: UNIT,
            ..look(UNIT, UNIT)
        };
        assert!(matches!(demand.wish(&asked), Wish::Raise(_)));
        demand.others_want = true;
        assert_ne!(
            demand.wish(&look(3 * UNIT, 9 * UNIT)),
            Wish::Lower(3 * UNIT),
            "it is not idle"
        );
    }

    #[test]
    fn what_was_granted_under_a_higher_limit_is_claimed_anew() {
        let mut demand = Demand::default();
        let first = Look {
            passed_ms: 0,
            ..look(3 * UNIT, 8 * UNIT)
        };
        assert_eq!(demand.wish(&first), Wish::Keep);
        let lowered = |granted| Look {
            limit: 900 * UNIT,
            ..look(3 * UNIT, granted)
        };
        assert_eq!(
            demand.wish(&lowered(8 * UNIT)),
            Wish::Lower(0),
            "also what is given back"
        );
        assert!(matches!(demand.wish(&lowered(3 * UNIT)), Wish::Raise(_)));
        assert_eq!(
            demand.wish(&look(3 * UNIT, 8 * UNIT)),
            Wish::Keep,
            "a raised limit leaves it"
        );
    }

    #[test]
    fn a_lowered_limit_takes_the_lease_with_it() {
        let wish = Demand::default().wish(&Look {
            limit: UNIT,
            ..look(2 * UNIT, 5 * UNIT)
        });
        assert_eq!(wish, Wish::Lower(UNIT));
    }
}
