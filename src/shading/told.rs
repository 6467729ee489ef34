//! Prices to win that the exchange has told (`MIN_TO_WIN`), as a fading histogram over the grid.
//!
//! Where it tells them for losses only, a win says that the price was somewhere at or below the bid: it is spread there by
//! what is believed already (the self-consistency step of Turnbull 1976, taken online).

use super::curve::Curve;
use super::grid::{self, STEPS};

/// An observation counts half after 8,000 others.
const KEPT: f64 = super::kept_after_one(8_000.0);
/// The weight of a new observation grows instead of the old ones fading; beyond this all are scaled back.
const UNIT_MAX: f64 = 1e9;

/// See the [module](self).
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub weights: Box<[f64; STEPS]>,
    /// The weight of the next observation.
    pub unit: f64,
    /// The fading weight of prices that were told, in `unit`s of their time.
    pub exact: f64,
}

impl Default for Told {
    fn default() -> Self {
        Told {
            weights: Box::new([0.0; STEPS]),
            unit: 1.0,
            exact: 0.0,
        }
    }
}

impl Told {
    /// How many told prices still count.
    pub fn count(&self) -> f64 {
        self.exact / self.unit
    }

    pub fn observe_price(&mut self, log_price: f64) {
        self.age();
        self.weights[grid::place(log_price).0] += self.unit;
        self.exact += self.unit;
    }

    /// A win or loss without a price. Says nothing until some price was told.
    pub fn observe_bid(&mut self, log_bid: f64, won: bool, believed: &Curve) {
        if self.exact == 0.0 {
            return;
        }
        self.age();
        let (step, into) = grid::place(log_bid);
        let (range, share_of_step) = if won {
            (0..step + 1, into)
        } else {
            (step..STEPS, 1.0 - into)
        };
        let share = |at: usize| {
            let mass = believed.mass(at);
            if at == step { mass * share_of_step } else { mass }
        };
        let total: f64 = range.clone().map(share).sum();
        if total > 1e-12 {
            range.for_each(|at| self.weights[at] += self.unit * share(at) / total);
        }
    }

    /// The chance that a price is at most the upper end of each step; `None` where nothing was told.
    pub fn cumulative(&self) -> Option<[f64; STEPS]> {
        let total: f64 = self.weights.iter().sum();
        if self.exact == 0.0 || total <= 0.0 {
            return None;
        }
        let mut sum = 0.0;
        Some(std::array::from_fn(|step| {
            sum += self.weights[step];
            sum / total
        }))
    }

    /// Lets go of all but a little, which `observations` that follow outweigh.
    pub fn forget(&mut self, observations: f64) {
        let total: f64 = self.weights.iter().sum::<f64>() / self.unit;
        let kept = (observations / total.max(1.0)).min(1.0);
        self.weights.iter_mut().for_each(|weight| *weight *= kept);
        self.exact *= kept;
    }

    fn age(&mut self) {
        self.unit /= KEPT;
        if self.unit > UNIT_MAX {
            self.weights.iter_mut().for_each(|weight| *weight /= self.unit);
            self.exact /= self.unit;
            self.unit = 1.0;
        }
    }
}
