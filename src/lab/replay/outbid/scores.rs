//! How often which score comes: a histogram over the logarithm that forgets slowly.

/// Width of a place in the logarithm: 10 %. Half of it buys no more.
pub const WIDTH: f64 = 0.1;
/// Places to each side of 1: scores from e⁻¹² to e¹².
const SIDE: usize = 120;
/// Auctions until what was seen counts half: some 20 episodes. Models change seldom.
const HALF_LIFE: f64 = 20_000.0;
/// Before anything is seen scores are log-normal around a mean of 1 with this deviation, between that of a weak model
/// (0.5) and that of a sharp one (1.1), and weigh as much as 20 auctions.
const PRIOR_DEVIATION: f64 = 0.8;
const PRIOR_WEIGHT: f64 = 20.0;
/// Places that hold less than this share are left out: they cost time and change nothing.
const SHARE_MIN: f64 = 1e-7;

pub struct Scores {
    weights: Vec<f64>,
}

impl Scores {
    pub fn new() -> Scores {
        let mut weights: Vec<f64> = (0..2 * SIDE).map(|place| prior(middle(place))).collect();
        let sum: f64 = weights.iter().sum();
        weights
            .iter_mut()
            .for_each(|weight| *weight *= PRIOR_WEIGHT / sum);
        Scores { weights }
    }

    pub fn add(&mut self, score: f64) {
        let place = (score.ln() / WIDTH + SIDE as f64).clamp(0.0, (2 * SIDE - 1) as f64);
        self.weights[place as usize] += 1.0;
    }

    /// Discounts what was seen by the age of so many auctions.
    pub fn forget(&mut self, auctions: usize) {
        let keep = 0.5_f64.powf(auctions as f64 / HALF_LIFE);
        self.weights.iter_mut().for_each(|weight| *weight *= keep);
    }

    /// The logarithm and the share of each score that occurs.
    pub fn shares(&self) -> Vec<(f64, f64)> {
        let sum: f64 = self.weights.iter().sum();
        let shares = self.weights.iter().enumerate();
        shares
            .map(|(place, weight)| (middle(place), weight / sum))
            .filter(|(_, share)| *share > SHARE_MIN)
            .collect()
    }
}

/// The logarithm in the middle of a place.
fn middle(place: usize) -> f64 {
    (place as f64 + 0.5 - SIDE as f64) * WIDTH
}

/// Density of the log-normal with mean 1, up to a factor.
fn prior(logarithm: f64) -> f64 {
    let standard = logarithm / PRIOR_DEVIATION + PRIOR_DEVIATION / 2.0;
    (-0.5 * standard * standard).exp()
}
