//! What money is worth: the dynamic programme over money and time left, and the bid that follows from it.
//!
//! With t auctions to come and money b, `V(t+1, b) = V(t, b) + E[(score − (V(t, b) − V(t, b − price)))⁺ ; price ≤ b]`.
//! Time goes in steps that grow with t, each solved implicitly (backward Euler), which no step length makes unstable;
//! money stands on a grid that is finest where little is left, where single prices matter.
//!
//! Invariant: V is 0 without time and does not fall with money or time.

use super::super::Moment;
use super::market::{Density, GROUPS, RATES, place, rate};

/// Points of money beside 0, at the squares of equal steps. With 64 a log's value falls by 0.2 %, and 192 is as good as
/// re-solving for the multiplier at each auction where single prices are small beside the budget.
const POINTS: usize = 192;
/// A step of time is one auction, or this share of the time left where that is more.
const STEP: f64 = 1.0 / 8.0;
/// Newton's method from below converges from one side; more rounds buy no more.
const ROUNDS: usize = 2;
const CLOSE: f64 = 1e-9;

/// V on its grid.
#[derive(Default)]
pub struct MoneyValue {
    /// The money at the last point.
    most: f64,
    /// Auctions to come, ascending from 0, and V at each point of money.
    rows: Vec<(f64, Vec<f64>)>,
}

/// A point of money between two of the grid: this one's number and how far on towards the next.
#[derive(Clone, Copy)]
struct At {
    point: usize,
    share: f64,
}

/// The auctions of one price.
struct Offer {
    price: f64,
    price_logarithm: f64,
    /// Up to each rate: the sum of chance × score, and of chance.
    worth: Vec<f64>,
    chance: Vec<f64>,
}

impl MoneyValue {
    /// V for every moment of the episode from this one on.
    pub fn solve(density: &Density, moment: Moment) -> MoneyValue {
        let mut value = MoneyValue {
            most: f64::from(moment.budget.max(1)),
            rows: vec![(0.0, vec![0.0; POINTS + 1])],
        };
        let offers = offers(density);
        // Where money stands after buying: a list for each point, as long as prices can be paid.
        let after: Vec<Vec<At>> = (0..=POINTS)
            .map(|point| {
                let left = offers.iter().map(|offer| value.money(point) - offer.price);
                left.take_while(|left| *left >= 0.0)
                    .map(|left| value.at(left))
                    .collect()
            })
            .collect();
        let mut time = 0.0;
        while time < moment.auctions as f64 {
            let step = (time * STEP).floor().max(1.0);
            time += step;
            let row = advance(&value.rows[value.rows.len() - 1].1, step, &offers, &after);
            value.rows.push((time, row));
        }
        value
    }

    /// The highest price, up to `most`, at which a score is worth the money, with `later` auctions to come after this.
    pub fn bid(&self, later: usize, budget: u32, score: f64, most: u32) -> u32 {
        let next = self.rows.partition_point(|(time, _)| *time <= later as f64);
        let next = next.clamp(1, self.rows.len() - 1);
        let (before, after) = (&self.rows[next - 1], &self.rows[next]);
        let share = ((later as f64 - before.0) / (after.0 - before.0)).clamp(0.0, 1.0);
        let value = |money: u32| {
            let at = self.at(f64::from(money));
            at.of(&before.1) * (1.0 - share) + at.of(&after.1) * share
        };
        let all = value(budget);
        let (mut low, mut high) = (0, most);
        while low < high {
            let price = (low + high).div_ceil(2);
            if all - value(budget - price) <= score {
                low = price;
            } else {
                high = price - 1;
            }
        }
        low
    }

    fn money(&self, point: usize) -> f64 {
        self.most * (point as f64 / POINTS as f64).powi(2)
    }

    fn at(&self, money: f64) -> At {
        let point = (money / self.most).sqrt() * POINTS as f64;
        let point = (point as usize).min(POINTS - 1);
        let (below, above) = (self.money(point), self.money(point + 1));
        At {
            point,
            share: ((money - below) / (above - below)).clamp(0.0, 1.0),
        }
    }
}

impl At {
    fn of(self, row: &[f64]) -> f64 {
        row[self.point] * (1.0 - self.share) + row[self.point + 1] * self.share
    }
}

impl Offer {
    /// E[(score − cost)⁺] and its slope in the cost, turned positive.
    fn surplus(&self, cost: f64) -> (f64, f64) {
        let rates = if cost > 0.0 {
            place(self.price_logarithm - cost.ln())
        } else {
            RATES
        };
        let surplus = self.worth[rates] - cost * self.chance[rates];
        if surplus > 0.0 {
            (surplus, self.chance[rates])
        } else {
            (0.0, 0.0)
        }
    }
}

fn offers(density: &Density) -> Vec<Offer> {
    let offer = |group: usize| {
        let price = density.prices[group];
        let (mut worth, mut chance) = (vec![0.0], vec![0.0]);
        for (rates, chances) in density.chances.iter().enumerate() {
            worth.push(worth[rates] + chances[group] * price / rate(rates));
            chance.push(chance[rates] + chances[group]);
        }
        Offer {
            price,
            price_logarithm: price.ln(),
            worth,
            chance,
        }
    };
    let occurs = |group: &usize| density.chances.iter().any(|chances| chances[*group] > 0.0);
    (0..GROUPS).filter(occurs).map(offer).collect()
}

/// V after one step of time, point by point of money upwards: what is left after buying is known by then.
fn advance(value: &[f64], step: f64, offers: &[Offer], after: &[Vec<At>]) -> Vec<f64> {
    let mut next = vec![0.0; value.len()];
    for point in 0..value.len() {
        let below = if point > 0 { next[point - 1] } else { 0.0 };
        let mut guess = value[point].max(below);
        for _ in 0..ROUNDS {
            let (mut gain, mut slope) = (0.0, 0.0);
            for (offer, at) in offers.iter().zip(&after[point]) {
                next[point] = guess;
                let (surplus, fall) = offer.surplus(guess - at.of(&next));
                gain += surplus;
                // Where the money left lies just below this point, its value moves with the guess.
                let moves = if at.point + 1 == point {
                    1.0 - at.share
                } else {
                    1.0
                };
                slope += fall * moves;
            }
            let better = guess - (guess - value[point] - step * gain) / (1.0 + step * slope);
            let close = (better - guess).abs() < CLOSE * (1.0 + guess.abs());
            guess = better;
            if close {
                break;
            }
        }
        next[point] = guess;
    }
    next
}
