//! What it takes to win: the distribution of price and rate, from wins, losses and the training histogram.
//!
//! A win at price z with score s is an event at rate z / s. A loss with bid a is censored there: the event lies above
//! a / s. The product-limit estimate (Kaplan & Meier 1958) multiplies survival over rates; the training histogram enters
//! as so many auctions seen before, as the beta-process prior of Hjort (1990). Weights halve with age.

use super::super::Campaign;
use super::super::campaign::PRICES;
use super::scores::{Scores, WIDTH};

/// Rates from e⁻⁶ to e¹⁸ money a score, in steps of 10 %.
pub const RATES: usize = 240;
const RATE_LOWEST: f64 = -6.0;
/// Prices of 0 to 300 in groups of about equal logarithm.
pub const GROUPS: usize = 24;
/// Auctions until what was won or lost counts half. Prices move within hours, and an episode stands for one.
const HALF_LIFE: f64 = 1_000.0;
/// How many auctions the training histogram is worth.
const PRIOR_WEIGHT: f64 = 100.0;
/// A price of 0 has no logarithm; it is as good as half a unit.
const PRICE_MIN: f64 = 0.5;

pub struct Market {
    /// How the training log's prices are distributed.
    training: Vec<f64>,
    /// Weight of wins at each rate, by group of the price.
    won: Vec<[f64; GROUPS]>,
    /// Weight of losses whose bid stood at each rate.
    lost: Vec<f64>,
    /// Mean price of each group.
    prices: [f64; GROUPS],
}

/// The estimate: how likely an auction falls at each rate, by group of the price.
pub struct Density {
    pub chances: Vec<[f64; GROUPS]>,
    pub prices: [f64; GROUPS],
}

impl Market {
    pub fn new(campaign: &Campaign) -> Market {
        let training = campaign.price_density();
        Market {
            prices: mean_prices(&training),
            training,
            won: vec![[0.0; GROUPS]; RATES],
            lost: vec![0.0; RATES],
        }
    }

    pub fn won(&mut self, price: u32, score: f64) {
        let rate = f64::from(price).max(PRICE_MIN) / score;
        self.won[place(rate.ln())][group(price as usize)] += 1.0;
    }

    /// The price was at least one above the bid.
    pub fn lost(&mut self, bid: u32, score: f64) {
        self.lost[place((f64::from(bid + 1) / score).ln())] += 1.0;
    }

    /// Discounts what was seen by the age of so many auctions.
    pub fn forget(&mut self, auctions: usize) {
        let keep = 0.5_f64.powf(auctions as f64 / HALF_LIFE);
        self.won.iter_mut().flatten().for_each(|weight| *weight *= keep);
        self.lost.iter_mut().for_each(|weight| *weight *= keep);
    }

    pub fn density(&self, scores: &Scores) -> Density {
        let mut events = self.prior(scores);
        for (sum, won) in events.iter_mut().zip(&self.won) {
            sum.iter_mut().zip(won).for_each(|(sum, won)| *sum += won);
        }
        // A loss is at risk below the rate of its bid; within its own place it no longer is.
        let mut at_risk: f64 = events.iter().flatten().sum::<f64>() + self.lost.iter().sum::<f64>();
        let mut survival = 1.0;
        let mut chances = vec![[0.0; GROUPS]; RATES];
        for ((events, lost), chances) in events.iter().zip(&self.lost).zip(&mut chances) {
            at_risk -= lost;
            let dead: f64 = events.iter().sum();
            if dead <= 0.0 {
                continue;
            }
            let hazard = (dead / at_risk.max(dead)).min(1.0);
            for (chance, event) in chances.iter_mut().zip(events) {
                *chance = survival * hazard * event / dead;
            }
            survival *= 1.0 - hazard;
            at_risk -= dead;
        }
        Density {
            chances,
            prices: self.prices,
        }
    }

    /// What is expected before anything is won or lost: training prices, whatever the score.
    fn prior(&self, scores: &Scores) -> Vec<[f64; GROUPS]> {
        let mut events = vec![[0.0; GROUPS]; RATES];
        let shares = scores.shares();
        for (price, chance) in self.training.iter().enumerate() {
            let (logarithm, group) = ((price as f64).max(PRICE_MIN).ln(), group(price));
            for (score, share) in &shares {
                events[place(logarithm - score)][group] += PRIOR_WEIGHT * chance * share;
            }
        }
        events
    }
}

/// Where a rate of this logarithm stands.
pub fn place(logarithm: f64) -> usize {
    ((logarithm - RATE_LOWEST) / WIDTH).clamp(0.0, (RATES - 1) as f64) as usize
}

/// The rate in the middle of a place.
pub fn rate(place: usize) -> f64 {
    ((place as f64 + 0.5) * WIDTH + RATE_LOWEST).exp()
}

fn group(price: usize) -> usize {
    let share = ((price + 1) as f64).ln() / (PRICES as f64).ln();
    ((share * GROUPS as f64) as usize).min(GROUPS - 1)
}

/// The mean training price of each group; groups between the smallest whole prices are empty.
fn mean_prices(training: &[f64]) -> [f64; GROUPS] {
    let (mut sums, mut weights) = ([0.0; GROUPS], [0.0; GROUPS]);
    for (price, chance) in training.iter().enumerate() {
        sums[group(price)] += chance * price as f64;
        weights[group(price)] += chance;
    }
    std::array::from_fn(|group| {
        if weights[group] > 0.0 {
            (sums[group] / weights[group]).max(PRICE_MIN)
        } else {
            0.0
        }
    })
}
