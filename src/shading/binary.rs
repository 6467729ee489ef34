//! The price to win as a log-normal variable, learnt from wins and losses alone.
//!
//! P(win | b) = Φ(a + k·ln b): k is 1/σ, −a/k the mean of ln price. Each outcome moves (a, k) by one step of Fisher
//! scoring with fading information (recursive maximum likelihood of a probit model). Two such filters run, one that
//! forgets fast and one that forgets slowly; the one that has lately predicted better speaks.

use super::{kept_after_one, normal};

/// The parameters of the curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogNormal {
    pub intercept: f64,
    pub slope: f64,
}

/// Prices that differ by a factor of e⁵ or are all alike are no market that bids can be learnt from.
const SLOPE: std::ops::RangeInclusive<f64> = 0.2..=8.0;
/// What one outcome may move: a single surprise does not throw the curve over.
const STEP_MAX: (f64, f64) = (0.5, 0.3);
/// Information before anything is known: that of a few outcomes.
const PRIOR: f64 = 2.0;
/// An outcome counts half after 4,000 others, or after 40,000.
const KEPT: [f64; 2] = [kept_after_one(4_000.0), kept_after_one(40_000.0)];
/// The score by which the filters are compared: half after 1,500.
const SCORE_KEPT: f64 = kept_after_one(1_500.0);

impl LogNormal {
    /// A market around 1 unit of CPM of which nothing is known.
    pub const UNKNOWN: LogNormal = LogNormal {
        intercept: 0.0,
        slope: 0.7,
    };

    pub fn win_rate(self, log_bid: f64) -> f64 {
        normal::cumulative(self.intercept + self.slope * log_bid)
    }
}

/// See the [module](self).
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    pub filters: [Filter; 2],
}

#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    pub curve: LogNormal,
    /// The fading Fisher information of (intercept, slope): [aa, ak, kk].
    pub information: [f64; 3],
    /// The fading sum of −ln P(what happened).
    pub surprise: f64,
}

impl Binary {
    pub fn new(start: LogNormal) -> Binary {
        let filter = Filter {
            curve: start,
            information: [0.0; 3],
            surprise: 0.0,
        };
        Binary {
            filters: [filter.clone(), filter],
        }
    }

    /// The curve that predicts better of late.
    pub fn curve(&self) -> LogNormal {
        let [fast, slow] = &self.filters;
        if fast.surprise < slow.surprise {
            fast.curve
        } else {
            slow.curve
        }
    }

    /// The chance to win by what has held for long.
    pub fn expected(&self, log_bid: f64) -> f64 {
        self.filters[1].curve.win_rate(log_bid)
    }

    /// Holds on to the curves, and lets the next outcomes move them.
    pub fn forget(&mut self, observations: f64) {
        for filter in &mut self.filters {
            // Outcomes at the middle of a curve weigh 2/π each.
            let outcomes = filter.information[0] * std::f64::consts::FRAC_PI_2;
            let kept = (observations / outcomes.max(1.0)).min(1.0);
            filter.information.iter_mut().for_each(|sum| *sum *= kept);
            filter.surprise = 0.0;
        }
    }

    pub fn observe(&mut self, log_bid: f64, won: bool) {
        for (filter, kept) in self.filters.iter_mut().zip(KEPT) {
            filter.observe(log_bid, won, kept);
        }
    }
}

impl Filter {
    fn observe(&mut self, x: f64, won: bool, kept: f64) {
        let z = (self.curve.intercept + self.curve.slope * x).clamp(-6.0, 6.0);
        let p = normal::cumulative(z).clamp(1e-9, 1.0 - 1e-9);
        let f = normal::density(z);
        let happened = if won { p } else { 1.0 - p };
        self.surprise = self.surprise * SCORE_KEPT - happened.ln();
        let score = if won { f / p } else { -f / (1.0 - p) };
        let weight = f * f / (p * (1.0 - p));
        for (sum, new) in self.information.iter_mut().zip([1.0, x, x * x]) {
            *sum = *sum * kept + weight * new;
        }
        let [aa, ak, kk] = self.information;
        let (aa, kk) = (aa + PRIOR, kk + PRIOR);
        let determinant = aa * kk - ak * ak;
        let step_k = (score * (aa * x - ak) / determinant).clamp(-STEP_MAX.1, STEP_MAX.1);
        let slope = (self.curve.slope + step_k).clamp(*SLOPE.start(), *SLOPE.end());
        // The best step given the one that the slope really takes: at a bound of the slope the two must not drift apart.
        let step_a = (score - ak * (slope - self.curve.slope)) / aa;
        self.curve.intercept += step_a.clamp(-STEP_MAX.0, STEP_MAX.0);
        self.curve.slope = slope;
    }
}
