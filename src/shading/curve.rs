//! A win curve as readers see it: F at the upper end of each step of the grid.
//!
//! One thread writes, any number read while it does. Relaxed throughout: a reader may mix two versions that are a few
//! observations apart, which moves a bid by less than a step; nothing else is published through it.

use super::grid::{self, STEPS};
use crate::units::Cpm;
use std::sync::atomic::{AtomicU32, Ordering};

/// A bid keeps at least this share of the win rate that bidding the value would have: on log-normal markets with
/// σ ≤ 1.2 the free optimum lies above it for values down to a tenth of the median price, so it binds only where the
/// curve is wrong or the tail is all there is.
pub const WIN_RATE_KEPT: f64 = 0.25;

/// See the [module](self).
#[derive(Debug)]
pub struct Curve {
    /// Bits of f32, ascending, 0..=1.
    cumulative: [AtomicU32; STEPS],
    /// One bid in so many looks beside the optimum.
    explored_one_in: AtomicU32,
}

impl Curve {
    /// Of a market that nobody has bid in: no bid wins, until something is published.
    pub fn new() -> Curve {
        Curve {
            cumulative: [const { AtomicU32::new(0) }; STEPS],
            explored_one_in: AtomicU32::new(1),
        }
    }

    pub fn publish(&self, step: usize, cumulative: f64) {
        self.cumulative[step].store((cumulative as f32).to_bits(), Ordering::Relaxed);
    }

    pub fn explore_one_in(&self, bids: u32) {
        self.explored_one_in.store(bids, Ordering::Relaxed);
    }

    pub fn explored_one_in(&self) -> u32 {
        self.explored_one_in.load(Ordering::Relaxed)
    }

    /// At the upper end of a step.
    pub fn at(&self, step: usize) -> f64 {
        f64::from(f32::from_bits(self.cumulative[step].load(Ordering::Relaxed)))
    }

    /// Within a step.
    pub fn mass(&self, step: usize) -> f64 {
        let below = if step == 0 { 0.0 } else { self.at(step - 1) };
        (self.at(step) - below).max(0.0)
    }

    /// The chance that a bid wins.
    pub fn win_rate(&self, bid: Cpm) -> f64 {
        let (step, into) = grid::place(grid::log_of(bid));
        let above = self.at(step);
        let below = if step == 0 { 0.0 } else { self.at(step - 1) };
        below + (above - below) * into
    }

    /// The bid from `floor` to `value` with the highest expected surplus; `floor` ≤ `value`. It does not fall where the value rises:
    /// neither does the best step (what a step adds in win rate is worth more), nor the place within it, nor the first step that
    /// keeps enough of the win rate.
    pub fn best(&self, value: Cpm, floor: Cpm) -> Cpm {
        let (top, _) = grid::place(grid::log_of(value));
        let (bottom, _) = grid::place(grid::log_of(floor));
        let worth = value.as_units();
        let least = WIN_RATE_KEPT * self.win_rate(value);
        let keeps = |step: usize| self.at(step) >= least;
        let surplus = |step: usize| (worth - grid::prices()[step]) * self.at(step);
        let (mut best, mut most) = (top, 0.0);
        for step in (bottom..top).filter(|&step| keeps(step)) {
            let surplus = surplus(step);
            if surplus > most {
                (best, most) = (step, surplus);
            }
        }
        if best == top {
            // Nothing below the value's own step keeps enough of the win rate, or nothing wins at all.
            return value;
        }
        let mut within = 0.0;
        if best > bottom {
            let lowest = if keeps(best - 1) { -0.5 } else { 0.0 };
            within = peak([best - 1, best, best + 1].map(surplus)).max(lowest);
        }
        let bid = grid::between(best, within);
        Cpm::from_units(bid).unwrap_or(value).clamp(floor, value)
    }
}

/// Where a parabola through three neighbours, of which the middle one is the highest, has its highest point: from −½ to ½.
fn peak([before, here, after]: [f64; 3]) -> f64 {
    let bend = before - 2.0 * here + after;
    if bend >= 0.0 {
        return 0.0;
    }
    (0.5 * (before - after) / bend).clamp(-0.5, 0.5)
}
