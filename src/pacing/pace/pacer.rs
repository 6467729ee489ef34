//! The pace of one budget: a shadow price on its money, moved so that what is spent follows the plan.
//!
//! Dual mirror descent (Balseiro, Lu and Mirrokni 2020; Balseiro and Gur 2019) on the logarithm of the bid multiplier:
//! where money goes out faster than wanted its price rises, and bids are divided by it. What is wanted is worked out anew at
//! every step from what is left of the money and of the plan, so no forecast of prices is needed and errors do not add up.
//! Where a price is fixed, the same number throttles: it is the share of chances that are taken.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bids are divided by at most e⁷ ≈ 1,100: what still wins then is nearly free.
const LOG_PRICE_MAX: f64 = 7.0;
/// A budget of which nothing is known begins at a tenth (slow start; Agarwal et al., *Budget Pacing for Targeted Online
/// Advertisements at LinkedIn*, KDD 2014).
pub const SLOW_START: f64 = std::f64::consts::LN_10;
/// Time in which the price follows a rate that is off by a factor of e, where spend falls in proportion to the bid.
const STEP_S: f64 = 120.0;
/// The most that one second moves the price: a factor of e in 20 s.
const STEP_MAX: f64 = 0.05;
/// The plan is to be met this far ahead: long enough that a minute's noise is not chased, short within a slot of a plan.
pub const HORIZON_S: f64 = 240.0;
/// What is behind or ahead of its plan, because there was no traffic or a limit was changed, is spread over what is left: at most
/// this many times as fast, and at least one part in as many as slow, as the plan from here on.
const CATCH_UP: f64 = 2.0;

/// One limit, and what is planned of it.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    pub limit: f64,
    /// Booked, and what open bids are expected to cost; by all nodes.
    pub used: f64,
    /// Nanos a second, by all nodes.
    pub rate: f64,
    /// The shares of the limit that are meant to be gone now, and at the end of the horizon.
    pub planned: f64,
    pub planned_ahead: f64,
    /// How far the horizon is, and how long the whole plan, in seconds; > 0.
    pub ahead_s: f64,
    pub length_s: f64,
}

impl Goal {
    /// Nanos a second that meet the plan at the end of the horizon.
    pub fn wanted(&self) -> f64 {
        let left = (self.limit - self.used).max(0.0);
        let plan_left = 1.0 - self.planned;
        let due = self.planned_ahead - self.planned;
        let resolved = if plan_left > 1e-9 {
            left * (due / plan_left).min(1.0)
        } else {
            left
        };
        let caught_up = self.limit * self.planned_ahead - self.used;
        caught_up
            .clamp(resolved / CATCH_UP, resolved * CATCH_UP)
            .min(left)
            / self.ahead_s
    }

    /// The logarithm of how much too fast the money goes out.
    fn off_by(&self) -> f64 {
        // A thousandth of the mean rate counts as none: two silences are no error.
        let none = (self.limit / self.length_s / 1000.0).max(1.0);
        ((self.rate + none) / (self.wanted() + none)).ln()
    }
}

/// See the [module](self). Bits of f64; relaxed, as each is a number on its own.
#[derive(Debug)]
pub struct Pacer {
    /// The logarithm of 1 + μ.
    log_price: AtomicU64,
    /// What follows from it: every candidate of the bid path reads it, so it is worked out once a step.
    multiplier: AtomicU64,
}

impl Default for Pacer {
    fn default() -> Pacer {
        Pacer {
            log_price: AtomicU64::new(0.0_f64.to_bits()),
            multiplier: AtomicU64::new(1.0_f64.to_bits()),
        }
    }
}

impl Pacer {
    /// What a value is multiplied by, or the share of chances that are taken: above 0, at most 1.
    pub fn multiplier(&self) -> f64 {
        f64::from_bits(self.multiplier.load(Ordering::Relaxed))
    }

    pub fn log_price(&self) -> f64 {
        f64::from_bits(self.log_price.load(Ordering::Relaxed))
    }

    pub fn set(&self, log_price: f64) {
        let log_price = if log_price.is_nan() { SLOW_START } else { log_price };
        let log_price = log_price.clamp(0.0, LOG_PRICE_MAX);
        self.log_price.store(log_price.to_bits(), Ordering::Relaxed);
        self.multiplier
            .store((-log_price).exp().to_bits(), Ordering::Relaxed);
    }

    /// Moves the price on by `seconds`, for the goal that is missed most. Without any, money is free.
    pub fn steer(&self, goals: impl Iterator<Item = Goal>, seconds: f64) {
        match goals.map(|goal| goal.off_by()).reduce(f64::max) {
            None => self.set(0.0),
            Some(off_by) => {
                let most = STEP_MAX * seconds;
                self.set(self.log_price() + (off_by * seconds / STEP_S).clamp(-most, most));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(used: f64, planned: f64) -> Goal {
        Goal {
            limit: 1_000.0,
            used,
            rate: 0.0,
            planned,
            planned_ahead: planned + 0.01,
            ahead_s: 10.0,
            length_s: 1_000.0,
        }
    }

    #[test]
    fn what_is_wanted_follows_the_plan_and_catches_up_with_measure() {
        assert!(
            (goal(500.0, 0.5).wanted() - 1.0).abs() < 1e-9,
            "on plan: 10 in 10 s"
        );
        assert!((goal(495.0, 0.5).wanted() - 1.5).abs() < 1e-9, "5 behind");
        assert!(
            (goal(300.0, 0.5).wanted() - 2.0 * 1.4).abs() < 1e-9,
            "far behind: twice of 7 / 5"
        );
        assert!(
            (goal(700.0, 0.5).wanted() - 0.5 * 0.6).abs() < 1e-9,
            "far ahead: half of 3 / 5"
        );
        assert_eq!(goal(1_000.0, 0.5).wanted(), 0.0);
        assert_eq!(goal(900.0, 1.0).wanted(), 10.0, "the plan is over: the rest");
    }

    #[test]
    fn money_that_goes_out_too_fast_becomes_dear_and_what_is_in_no_plan_is_free() {
        let pacer = Pacer::default();
        let fast = Goal {
            rate: 100.0,
            ..goal(500.0, 0.5)
        };
        (0..10).for_each(|_| pacer.steer(std::iter::once(fast), 1.0));
        let slowed = pacer.multiplier();
        assert!(slowed < 0.8);
        (0..5).for_each(|_| pacer.steer(std::iter::once(goal(500.0, 0.5)), 1.0));
        assert!(pacer.multiplier() > slowed);
        pacer.steer(std::iter::empty(), 1.0);
        assert_eq!(pacer.multiplier(), 1.0);
    }
}
