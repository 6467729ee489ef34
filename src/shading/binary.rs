//! The price to win as a log-normal variable, learnt from wins and losses alone.
//!
//! P(win | b) = Φ(a + k·ln b): k is 1/σ, −a/k the mean of ln price. Wins and losses are counted by what was bid, and fade; (a, k) is where
//! they and a weak belief in usual slopes are likeliest (a probit model, by Fisher scoring from where it was before). Where hardly any
//! bid wins, all that is known of the slope is in a few hundred wins, and a curve that is moved once by each outcome, as it comes and
//! where the curve is then, takes too little from them.
//!
//! Two such filters run, one that forgets fast and one that forgets slowly; the fast one speaks where it has lately predicted clearly
//! better.

use super::grid::{self, STEPS};
use super::{kept_after_one, normal};

/// The parameters of the curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogNormal {
    pub intercept: f64,
    pub slope: f64,
}

/// Prices that differ by a factor of e⁵ or are all alike are no market that bids can be learnt from.
const SLOPE: std::ops::RangeInclusive<f64> = 0.2..=8.0;
/// What one step of a fit may move.
const STEP_MAX: (f64, f64) = (1.0, 0.5);
/// A fit goes on from the last one, which was a few outcomes before.
const STEPS_OF_FIT: usize = 4;
/// Steps below this are none.
const SMALL_STEP: f64 = 1e-3;
/// How firmly [`LogNormal::UNKNOWN`] is believed in: hardly at all in its intercept; in its slope within a factor of e^±0.45, which is that
/// of σ between 0.5 and 1.3. Information, of the slope that of its logarithm.
const BELIEVED: (f64, f64) = (0.02, 5.0);
/// An outcome counts half after 4,000 others, or after 40,000.
const KEPT: [f64; 2] = [kept_after_one(4_000.0), kept_after_one(40_000.0)];
/// What is left of so few outcomes is nothing.
const NOTHING: f32 = 0.01;
/// The score by which the filters are compared: half after 1,500.
const SCORE_KEPT: f64 = kept_after_one(1_500.0);
/// What the fast filter has to be ahead by, so that it is not by chance: what happened is e² times as likely by it.
const CLEARLY: f64 = 2.0;

impl LogNormal {
    /// A market around 1 unit of CPM of which nothing is known.
    pub const UNKNOWN: LogNormal = LogNormal {
        intercept: 0.0,
        slope: 1.2,
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
    pub outcomes: Box<[Outcomes; STEPS]>,
    /// The fading sum of −ln P(what happened).
    pub surprise: f64,
    /// Outcomes since they last faded.
    unfaded: u32,
}

/// Of the bids within one step of the grid.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcomes {
    /// Fading counts.
    pub lost: f32,
    pub won: f32,
    /// Σ how far the bid was into the step, so that many bids at one price do not look like bids at several.
    pub into: f32,
}

/// What the outcomes say at a curve: the first derivatives of the log-likelihood by intercept and slope, and the information on them.
struct Likelihood {
    score: [f64; 2],
    /// [aa, ak, kk].
    information: [f64; 3],
}

impl Binary {
    pub fn new(start: LogNormal) -> Binary {
        let filter = Filter::new(start);
        Binary {
            filters: [filter.clone(), filter],
        }
    }

    /// The curve that predicts better of late.
    pub fn curve(&self) -> LogNormal {
        let [fast, slow] = &self.filters;
        if fast.surprise + CLEARLY < slow.surprise {
            fast.curve
        } else {
            slow.curve
        }
    }

    /// The chance to win by what has held for long.
    pub fn expected(&self, log_bid: f64) -> f64 {
        self.filters[1].curve.win_rate(log_bid)
    }

    /// How many standard errors the slope is from 0, squared: grows with the number of outcomes that tell of it.
    pub fn certainty(&self) -> f64 {
        let slow = &self.filters[1];
        let [aa, ak, kk] = slow.likelihood().information;
        slow.curve.slope.powi(2) * (kk - ak * ak / aa)
    }

    /// Lets go of all outcomes; the curves stay until the next fit.
    pub fn forget(&mut self) {
        for filter in &mut self.filters {
            *filter = Filter::new(filter.curve);
        }
    }

    /// Counts an outcome for the next [`fit`](Binary::fit).
    pub fn observe(&mut self, log_bid: f64, won: bool) {
        for filter in &mut self.filters {
            filter.observe(log_bid, won);
        }
    }

    /// Moves the curves to where the outcomes have them.
    pub fn fit(&mut self) {
        for (filter, kept) in self.filters.iter_mut().zip(KEPT) {
            filter.fade(kept);
            filter.fit();
        }
    }
}

impl Outcomes {
    /// Of a file, which may say anything.
    pub fn read(lost: f32, won: f32, into: f32) -> Option<Outcomes> {
        let bids = lost + won;
        (lost >= 0.0 && won >= 0.0 && into >= 0.0 && bids.is_finite()).then_some(Outcomes {
            lost,
            won,
            into: into.min(bids),
        })
    }
}

impl Filter {
    pub fn new(curve: LogNormal) -> Filter {
        Filter {
            curve,
            outcomes: Box::new([Outcomes::default(); STEPS]),
            surprise: 0.0,
            unfaded: 0,
        }
    }

    fn observe(&mut self, log_bid: f64, won: bool) {
        let p = self.curve.win_rate(log_bid).clamp(1e-9, 1.0 - 1e-9);
        let happened = if won { p } else { 1.0 - p };
        self.surprise = self.surprise * SCORE_KEPT - happened.ln();
        let (step, into) = grid::place(log_bid);
        let here = &mut self.outcomes[step];
        *(if won { &mut here.won } else { &mut here.lost }) += 1.0;
        here.into += into as f32;
        self.unfaded += 1;
    }

    fn fade(&mut self, kept: f64) {
        let kept = kept.powi(self.unfaded as i32) as f32;
        self.unfaded = 0;
        for here in self.outcomes.iter_mut() {
            *here = match *here {
                Outcomes { lost, won, .. } if lost + won < NOTHING => Outcomes::default(),
                Outcomes { lost, won, into } => Outcomes {
                    lost: lost * kept,
                    won: won * kept,
                    into: into * kept,
                },
            };
        }
    }

    fn fit(&mut self) {
        for _ in 0..STEPS_OF_FIT {
            let (step_a, step_k) = self.likelihood().step(self.curve.slope);
            self.curve.intercept += step_a;
            self.curve.slope += step_k;
            if step_a.abs() + step_k.abs() < SMALL_STEP {
                break;
            }
        }
    }

    fn likelihood(&self) -> Likelihood {
        let LogNormal { intercept, slope } = self.curve;
        let of_slope = BELIEVED.1 / slope;
        let mut score = [
            BELIEVED.0 * (LogNormal::UNKNOWN.intercept - intercept),
            of_slope * (LogNormal::UNKNOWN.slope / slope).ln(),
        ];
        let [mut aa, mut ak, mut kk] = [BELIEVED.0, 0.0, of_slope / slope];
        for (step, here) in self.outcomes.iter().enumerate() {
            let [lost, won, into] = [here.lost, here.won, here.into].map(f64::from);
            let bids = lost + won;
            if bids == 0.0 {
                continue;
            }
            let x = grid::log_within(step, into / bids);
            let z = (intercept + slope * x).clamp(-normal::FAR, normal::FAR);
            let (p, q, f) = (normal::cumulative(z), normal::cumulative(-z), normal::density(z));
            let (moved, weight) = (won * f / p - lost * f / q, bids * f * f / (p * q));
            score = [score[0] + moved, score[1] + moved * x];
            [aa, ak, kk] = [aa + weight, ak + weight * x, kk + weight * x * x];
        }
        Likelihood {
            score,
            information: [aa, ak, kk],
        }
    }
}

impl Likelihood {
    /// Of Fisher scoring, from a slope.
    fn step(&self, slope: f64) -> (f64, f64) {
        let ([score_a, score_k], [aa, ak, kk]) = (self.score, self.information);
        let step_k = (aa * score_k - ak * score_a) / (aa * kk - ak * ak);
        let slope_after = slope + step_k.clamp(-STEP_MAX.1, STEP_MAX.1);
        let step_k = slope_after.clamp(*SLOPE.start(), *SLOPE.end()) - slope;
        // The best step given the one that the slope really takes: at a bound of the slope the two must not drift apart.
        let step_a = (score_a - ak * step_k) / aa;
        (step_a.clamp(-STEP_MAX.0, STEP_MAX.0), step_k)
    }
}
