//! The pace of one budget: a shadow price on its money, moved so that what is spent follows the plan.
//!
//! Dual mirror descent (Balseiro, Lu and Mirrokni 2020; Balseiro and Gur 2019) on the logarithm of the bid multiplier:
//! where money goes out faster than wanted its price rises, and bids are divided by it. What is wanted is worked out anew at
//! every step from what is left of the money and of the plan, so no forecast of prices is needed and errors do not add up.
//! Where a price is fixed, the same number throttles: it is the share of chances that are taken.
//!
//! Shading keeps what it can of the value of a bid, also where the money would be left over: what it saves is then spent on more
//! of what is worth its price. So where bids are shaded and the plan is behind, the price falls below that of money: values are
//! stretched for shading, never for the bid itself, which stays at or below the value.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bids are divided by at most e⁷ ≈ 1,100: what still wins then is nearly free.
const LOG_PRICE_MAX: f64 = 7.0;
/// Values are stretched to at most ten times: what is bid then is hardly below the value.
const STRETCH_LOG_MAX: f64 = std::f64::consts::LN_10;
/// Where a budget would have to be spent so many times as fast as it is, it is out of reach: bids at the value itself spend some
/// two or three times as much as shaded ones, so nothing would come of higher prices but higher prices.
const REACH: f64 = 6.0;
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
    /// Nanos a second, by all nodes; and the mean of the last minutes.
    pub rate: f64,
    pub steady_rate: f64,
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
        let left = self.left();
        let resolved = self.resolved();
        let caught_up = self.limit * self.planned_ahead - self.used;
        caught_up
            .clamp(resolved / CATCH_UP, resolved * CATCH_UP)
            .min(left)
            / self.ahead_s
    }

    fn left(&self) -> f64 {
        (self.limit - self.used).max(0.0)
    }

    /// Nanos, up to the end of the horizon, that leave the rest to be spent as the rest of the plan says.
    fn resolved(&self) -> f64 {
        let plan_left = 1.0 - self.planned;
        let due = self.planned_ahead - self.planned;
        if plan_left > 1e-9 {
            self.left() * (due / plan_left).min(1.0)
        } else {
            self.left()
        }
    }

    fn is_within_reach(&self) -> bool {
        self.resolved() / self.ahead_s <= REACH * self.steady_rate
    }

    /// The logarithm of how much too fast the money goes out.
    fn off_by(&self) -> f64 {
        // A thousandth of the mean rate counts as none: two silences are no error.
        let none = (self.limit / self.length_s / 1000.0).max(1.0);
        ((self.rate + none) / (self.wanted() + none)).ln()
    }
}

/// What a budget, or several, say of the bids that they pay for: 1 / (1 + μ).
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Drive(f64);

impl Drive {
    /// Nothing steers: money is free, and nothing has to be spent.
    pub const FREE: Drive = Drive(f64::INFINITY);

    /// At the logarithm of 1 + μ.
    pub(in crate::pacing) fn at(log_price: f64) -> Drive {
        Drive((-log_price).exp())
    }

    /// That of a bid which both budgets pay for.
    pub fn tighter(self, other: Drive) -> Drive {
        Drive(self.0.min(other.0))
    }

    /// Values are stretched by at most `most`; what nothing steers stays so.
    pub fn stretched_at_most(self, most: f64) -> Drive {
        if self.0.is_finite() {
            Drive(self.0.min(most.max(1.0)))
        } else {
            self
        }
    }

    /// Of a value, or the share of chances that are taken where the price is fixed: above 0, at most 1.
    pub fn multiplier(self) -> f64 {
        self.0.min(1.0)
    }

    /// What a value is multiplied by before it is shaded, and what is bid kept at or below the value: 1..=10, above 1 where a plan
    /// is behind although nothing is held back.
    pub fn stretch(self) -> f64 {
        if self.0.is_finite() { self.0.max(1.0) } else { 1.0 }
    }
}

/// See the [module](self). Bits of f64; relaxed, as each is a number on its own.
#[derive(Debug)]
pub struct Pacer {
    /// The logarithm of 1 + μ; below 0 where values are stretched.
    log_price: AtomicU64,
    /// What follows from it: every candidate of the bid path reads it, so it is worked out once a step.
    drive: AtomicU64,
}

impl Default for Pacer {
    fn default() -> Pacer {
        Pacer {
            log_price: AtomicU64::new(0.0_f64.to_bits()),
            drive: AtomicU64::new(Drive::FREE.0.to_bits()),
        }
    }
}

impl Pacer {
    pub fn drive(&self) -> Drive {
        Drive(f64::from_bits(self.drive.load(Ordering::Relaxed)))
    }

    pub fn log_price(&self) -> f64 {
        f64::from_bits(self.log_price.load(Ordering::Relaxed))
    }

    pub fn set(&self, log_price: f64) {
        let log_price = if log_price.is_nan() { SLOW_START } else { log_price };
        let log_price = log_price.clamp(-STRETCH_LOG_MAX, LOG_PRICE_MAX);
        self.store(log_price, Drive::at(log_price));
    }

    fn store(&self, log_price: f64, drive: Drive) {
        self.log_price.store(log_price.to_bits(), Ordering::Relaxed);
        self.drive.store(drive.0.to_bits(), Ordering::Relaxed);
    }

    /// Nothing is steered: money is free.
    pub fn release(&self) {
        self.store(0.0, Drive::FREE);
    }

    /// Moves the price on by `seconds`, for the goal that is missed most; below that of money only where bids are shaded. Without any
    /// goal money is free, and so it is where a plan is behind and out of reach: the other one of two budgets then says what a bid
    /// may cost.
    pub fn steer(&self, goals: impl Iterator<Item = Goal>, seconds: f64, is_shaded: bool) {
        let off_by = |goal: Goal| (goal.off_by(), goal.is_within_reach());
        let tighter = |a: (f64, bool), b: (f64, bool)| if a.0 < b.0 { b } else { a };
        let Some((off_by, is_within_reach)) = goals.map(off_by).reduce(tighter) else {
            return self.release();
        };
        let most = STEP_MAX * seconds;
        let least = if is_shaded { -STRETCH_LOG_MAX } else { 0.0 };
        let after = self.log_price() + (off_by * seconds / STEP_S).clamp(-most, most);
        self.set(after.max(least));
        if self.log_price() < 0.0 && !is_within_reach {
            self.store(self.log_price(), Drive::FREE);
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
            steady_rate: 0.0,
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
        (0..10).for_each(|_| pacer.steer(std::iter::once(fast), 1.0, false));
        let slowed = pacer.drive();
        assert!(slowed.multiplier() < 0.8);
        (0..5).for_each(|_| pacer.steer(std::iter::once(goal(500.0, 0.5)), 1.0, false));
        assert!(pacer.drive() > slowed);
        pacer.steer(std::iter::empty(), 1.0, true);
        assert_eq!(pacer.drive(), Drive::FREE);
    }

    #[test]
    fn values_are_stretched_only_while_bids_are_shaded_and_the_plan_is_within_reach() {
        let pacer = Pacer::default();
        // 1.4 a second would do.
        let behind = |rate, is_shaded| {
            let goal = Goal {
                rate,
                steady_rate: rate,
                ..goal(300.0, 0.5)
            };
            (0..400).for_each(|_| pacer.steer(std::iter::once(goal), 1.0, is_shaded));
            assert_eq!(pacer.drive().multiplier(), 1.0);
            pacer.drive().stretch()
        };
        assert_eq!(behind(0.5, false), 1.0);
        assert!((behind(0.5, true) - 10.0).abs() < 1e-9);
        assert_eq!(behind(0.1, true), 1.0);
        assert_eq!(behind(0.1, false), 1.0);
        behind(0.5, true);
        assert_eq!(Drive::FREE.tighter(pacer.drive()), pacer.drive());
        assert_eq!(Drive::FREE.stretch(), 1.0);
    }
}
