//! What bids in open first-price auctions earned, beside what fixed factors would have earned with the same paced values.
//!
//! A budget that binds has a shadow price 1 + μ, and a bid is worth Σ (v − (1 + μ)·b) · win (Balseiro, Lu and Mirrokni 2020): in
//! proportion to Σ (v / (1 + μ) − b) · win, the surplus of the *paced* values. By that one pricing rule is compared with
//! another at the same pace; without a pace it is the plain surplus. Where a budget would be left over, μ is below 0 and
//! values are stretched; a fixed factor is then one on the value itself.

use super::node::Offer;
use super::scenario::Shading;
use crate::units::Cpm;
use serde::Serialize;
use world::{Rivals, settle};

/// 0.1, 0.15 .. 1.
const FACTORS: usize = 19;
/// From 0.5 on a factor may be called the best: lower ones only say what a few wins cost.
const BEST_FROM: usize = 8;

fn factor(place: usize) -> f64 {
    (10 + 5 * place) as f64 / 100.0
}

/// Amounts in units of the currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Earned {
    pub wins: u64,
    pub spent: f64,
    /// What was won is worth.
    pub value: f64,
    /// The same with the pace of the budgets in it, or stretched.
    pub paced_value: f64,
    /// By the law's expectation.
    pub clicks: f64,
}

/// Of all bids in open first-price auctions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shaded {
    pub bids: u64,
    /// Made beside the best known bid, to learn.
    pub explored: u64,
    /// Mean of price ÷ paced value, where no value is stretched.
    pub factor: f64,
    pub earned: Earned,
    /// That of 0.5, 0.55 .. 1 which would have earned most.
    pub best_fixed: FixedFactor,
    /// What the fixed factor that wins as much value, or as many clicks, would have spent; `None` where none in 0.1..=1 does.
    pub fixed_spent_at_equal_value: Option<f64>,
    pub fixed_spent_at_equal_clicks: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FixedFactor {
    pub factor: f64,
    pub earned: Earned,
}

/// Counted while a seed is played.
#[derive(Default)]
pub struct OpenBids {
    bids: u64,
    explored: u64,
    factors: f64,
    own: Earned,
    fixed: [Earned; FACTORS],
}

impl Earned {
    /// Value less price.
    pub fn surplus(&self) -> f64 {
        self.value - self.spent
    }

    /// The same at the shadow price of the budgets.
    pub fn paced_surplus(&self) -> f64 {
        self.paced_value - self.spent
    }

    fn count(&mut self, offer: &Offer, paced: Cpm, bid: Cpm, floor: f64, rivals: &Rivals) {
        const FIRST_PRICE: u32 = 1;
        let outcome = settle(FIRST_PRICE, floor, bid.as_units(), rivals);
        if outcome.won {
            let units = |cpm: Cpm| cpm.per_impression().as_units();
            self.wins += 1;
            self.spent += units(bid);
            self.value += units(offer.chance.value);
            self.paced_value += units(paced);
            self.clicks += offer.chance.click;
        }
    }
}

impl OpenBids {
    /// A bid from the value `paced` that goes to its auction.
    pub fn count(&mut self, offer: &Offer, paced: Cpm, floor: f64, rivals: &Rivals) {
        self.bids += 1;
        self.explored += u64::from(offer.explored);
        let most = paced.min(offer.chance.value);
        self.factors += offer.price.0 as f64 / most.0 as f64;
        self.own.count(offer, paced, offer.price, floor, rivals);
        let least = Cpm::from_units(floor).unwrap_or(Cpm::ZERO);
        for (place, fixed) in self.fixed.iter_mut().enumerate() {
            let bid = Shading::price(factor(place), most, least);
            fixed.count(offer, paced, bid, floor, rivals);
        }
    }

    pub fn outcome(&self) -> Option<Shaded> {
        let surplus = |place: &usize| self.fixed[*place].paced_surplus();
        let best = (BEST_FROM..FACTORS).max_by(|a, b| surplus(a).total_cmp(&surplus(b)))?;
        (self.bids > 0).then(|| Shaded {
            bids: self.bids,
            explored: self.explored,
            factor: self.factors / self.bids as f64,
            earned: self.own,
            best_fixed: FixedFactor {
                factor: factor(best),
                earned: self.fixed[best],
            },
            fixed_spent_at_equal_value: self.spent_at_equal(|earned| earned.value),
            fixed_spent_at_equal_clicks: self.spent_at_equal(|earned| earned.clicks),
        })
    }

    /// Between the two factors that win next less and next more.
    fn spent_at_equal(&self, of: impl Fn(&Earned) -> f64) -> Option<f64> {
        let own = of(&self.own);
        let (below, above) = self
            .fixed
            .iter()
            .zip(&self.fixed[1..])
            .find(|(below, above)| (of(below)..=of(above)).contains(&own))?;
        let width = of(above) - of(below);
        let share = if width > 0.0 {
            (own - of(below)) / width
        } else {
            0.0
        };
        Some(below.spent + share * (above.spent - below.spent))
    }
}
