//! Goals: what one impression is worth to a line item, from what the model predicts of it.
//!
//! | goal | an impression is worth |
//! |---|---|
//! | `cpm` | the same everywhere |
//! | `cpc`, `max_clicks` | pCTR × what a click is worth |
//! | `cpa` | pCTR × pCVR × what a conversion is worth |
//! | `roas` | pCTR × pCVR × order value / ratio |
//!
//! - Bidding what an impression is worth is what wins the most value where the price is the second bid; under a budget it is
//!   the same divided by a shadow price (Zhang, Yuan and Wang, *Optimal Real-Time Bidding for Display Advertising*, KDD 2014).
//!   `max_clicks` is that and nothing else: to maximise Σ pCTR·x so that Σ price·x ≤ budget, x in 0..=1, buy where
//!   price ≤ pCTR / μ. The pace of the budget is the dual price: multiplier × the most that a click may cost = 1 / μ. Without a pace
//!   there is no μ.
//! - A target of return turns value into money at its ratio: v / ratio is the most that an impression may cost without lowering the
//!   ratio (Aggarwal, Badanidiyuru and Mehta, *Autobidding with Constraints*, WINE 2019). Where impressions are had for less, the
//!   return is above the target; control of the target (`kpi`) bids more then.
//! - A weighted goal: cac × w₁ + LTV / 3 × w₂. A customer who is worth three times what they cost may cost a third of what they are
//!   worth, so where LTV = 3 × `cpa` the weights do not matter.
//! - A conversion that is expected later is worth less: value × 2^(−delay / half-life). The delay is configured, or learnt of the
//!   line item's conversions ([`LearntDelay`](crate::pacing::LearntDelay)).
//!
//! Money is integer: each product is rounded down to a nano.

use crate::store::models::Score;
use crate::store::profiles::Profile;
use crate::units::{Cpm, Nanos, Probability};

/// What a customer is meant to be worth for each unit that they cost.
pub const LTV_PER_CAC: i64 = 3;
/// What a profile says counts up to so many times the default: a mistake in a feed must not spend a budget in an hour.
pub const LTV_MAX_PER_DEFAULT: i64 = 10;

/// What a line item pays for.
#[derive(Clone, Debug, PartialEq)]
pub enum BidStrategy {
    Cpm(Cpm),
    /// What a click is worth.
    Cpc(Nanos),
    /// As many clicks as the paced budget buys, none for more than this.
    MaxClicks(Nanos),
    /// What a conversion of this name is worth.
    Cpa {
        event: String,
        value: Nanos,
        /// `None`: the lifetime value of customers does not count.
        weights: Option<Weights>,
        discount: Option<Discount>,
    },
    /// What comes back for each unit spent: conversions of this name, each worth `order_value`.
    Roas {
        event: String,
        /// Thousandths, above 0.
        ratio_milli: u32,
        order_value: Nanos,
        discount: Option<Discount>,
    },
}

/// What an event may cost, whatever the model says it is worth: bids move for it within bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Kpi {
    pub target: KpiTarget,
    /// The least and the most that values are multiplied by, in thousandths: 100..=1000 and 1000..=10,000.
    pub bounds_milli: [u32; 2],
}

#[derive(Clone, Debug, PartialEq)]
pub enum KpiTarget {
    Cpc(Nanos),
    Cpa {
        event: String,
        cost: Nanos,
    },
    /// What comes back for each unit spent.
    Roas {
        event: String,
        /// Thousandths, above 0.
        ratio_milli: u32,
        /// What an order is expected to bring, until some have come.
        order_value: Nanos,
    },
}

/// Where nobody would care, there is no bid: what has to be predicted at least. 0 = not asked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Relevance {
    pub click: Probability,
    pub conversion_given_click: Probability,
}

impl Relevance {
    pub fn admits(&self, score: Score) -> bool {
        score.click >= self.click && score.conversion_given_click >= self.conversion_given_click
    }
}

/// How much what a customer costs and what they are worth count: thousandths that add up to 1,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    pub cac_milli: u32,
    pub ltv_milli: u32,
}

impl Weights {
    /// For growth: what a customer costs counts most.
    pub const EXPANSION: Weights = Weights {
        cac_milli: 600,
        ltv_milli: 400,
    };
    /// For a stable business: what they are worth counts most.
    pub const STABLE: Weights = Weights {
        cac_milli: 300,
        ltv_milli: 700,
    };
}

/// What is expected later is worth less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discount {
    pub half_life_s: u32,
    /// What a conversion is expected to take; where it is learnt, until something is known of it.
    pub delay_s: u32,
    pub learns: bool,
    /// 2^(−delay / half-life), in millionths.
    kept_micros: u32,
}

impl Discount {
    /// `half_life_s` is above 0. With `learns` the delay is learnt from the conversions that come.
    pub fn new(half_life_s: u32, delay_s: u32, learns: bool) -> Discount {
        let kept = (-f64::from(delay_s) / f64::from(half_life_s)).exp2();
        Discount {
            half_life_s,
            delay_s,
            learns,
            kept_micros: (kept * 1e6).round() as u32,
        }
    }

    /// `learnt_micros` is what is left of it by what was learnt.
    fn of(&self, value: Nanos, learnt_micros: Option<u32>) -> Nanos {
        let learnt_micros = learnt_micros.filter(|_| self.learns);
        scaled(value, learnt_micros.unwrap_or(self.kept_micros), 1_000_000)
    }
}

/// What customers are worth over their lifetime, for weighted goals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LifetimeValue {
    /// Of people of whom it is not known.
    pub default: Option<Nanos>,
    /// Where it is known of a person.
    pub from: Option<ProfileAmount>,
}

/// An amount of money in a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileAmount {
    /// The expected value of the customer.
    Ltv,
    /// What they have spent so far.
    Monetary,
}

impl ProfileAmount {
    pub const ALL: [ProfileAmount; 2] = [ProfileAmount::Ltv, ProfileAmount::Monetary];

    /// As files and expressions name it.
    pub fn name(self) -> &'static str {
        match self {
            ProfileAmount::Ltv => "ltv",
            ProfileAmount::Monetary => "monetary",
        }
    }

    fn of(self, profile: &Profile) -> Nanos {
        match self {
            ProfileAmount::Ltv => profile.ltv,
            ProfileAmount::Monetary => profile.monetary,
        }
    }
}

impl LifetimeValue {
    /// The profile's amount where it has one (0 = not known), up to [`LTV_MAX_PER_DEFAULT`] times the default; else the default.
    pub fn of(&self, profile: Option<&Profile>) -> Nanos {
        let default = self.default.unwrap_or_default();
        let known = self.from.zip(profile).map(|(field, profile)| field.of(profile));
        match known.filter(|known| *known > Nanos::ZERO) {
            Some(known) => known.min(Nanos(default.0.saturating_mul(LTV_MAX_PER_DEFAULT))),
            None => default,
        }
    }
}

impl BidStrategy {
    /// Nanos that one impression is worth; `ltv` counts where there are weights, `kept_micros` (of a value, what is left as
    /// conversions come later) where a delay is learnt. See the [module](self).
    pub fn worth(&self, score: Score, ltv: Nanos, kept_micros: u32) -> Nanos {
        match self {
            BidStrategy::Cpm(cpm) => cpm.per_impression(),
            BidStrategy::Cpc(click) | BidStrategy::MaxClicks(click) => score.click.of(*click),
            BidStrategy::Cpa { .. } | BidStrategy::Roas { .. } => score.click.of(score
                .conversion_given_click
                .of(self.conversion(ltv, Some(kept_micros)))),
        }
    }

    /// Nanos that one conversion is worth before anything is learnt; nothing where the goal knows no conversions.
    pub fn conversion_worth(&self, ltv: Nanos) -> Nanos {
        self.conversion(ltv, None)
    }

    fn conversion(&self, ltv: Nanos, learnt_micros: Option<u32>) -> Nanos {
        let (whole, discount) = match self {
            BidStrategy::Cpm(_) | BidStrategy::Cpc(_) | BidStrategy::MaxClicks(_) => return Nanos::ZERO,
            BidStrategy::Cpa {
                value,
                weights,
                discount,
                ..
            } => (
                weights.map_or(*value, |weights| weights.blend(*value, ltv)),
                discount,
            ),
            BidStrategy::Roas {
                ratio_milli,
                order_value,
                discount,
                ..
            } => (scaled(*order_value, 1000, *ratio_milli), discount),
        };
        discount.map_or(whole, |discount| discount.of(whole, learnt_micros))
    }

    /// The event and the discount, where its delay is learnt.
    pub fn learns_delay(&self) -> Option<(&str, Discount)> {
        match self {
            BidStrategy::Cpa { event, discount, .. } | BidStrategy::Roas { event, discount, .. } => {
                Some(event.as_str()).zip(discount.filter(|discount| discount.learns))
            }
            BidStrategy::Cpm(_) | BidStrategy::Cpc(_) | BidStrategy::MaxClicks(_) => None,
        }
    }

    /// Whether what a customer is worth counts.
    pub fn counts_ltv(&self) -> bool {
        matches!(self, BidStrategy::Cpa { weights: Some(_), .. })
    }
}

impl Weights {
    fn blend(self, cac: Nanos, ltv: Nanos) -> Nanos {
        let of_ltv = scaled(Nanos(ltv.0 / LTV_PER_CAC), self.ltv_milli, 1000);
        scaled(cac, self.cac_milli, 1000).saturating_add(of_ltv)
    }
}

/// `amount` × `part` / `whole`, rounded down. `whole` is above 0.
fn scaled(amount: Nanos, part: u32, whole: u32) -> Nanos {
    let product = i128::from(amount.0) * i128::from(part) / i128::from(whole);
    Nanos(i64::try_from(product).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn units(units: f64) -> Nanos {
        Nanos::from_units(units).expect("in range")
    }

    fn cpa(value: f64, weights: Option<Weights>, discount: Option<Discount>) -> BidStrategy {
        BidStrategy::Cpa {
            event: "signup".into(),
            value: units(value),
            weights,
            discount,
        }
    }

    fn roas(ratio_milli: u32, order_value: f64) -> BidStrategy {
        BidStrategy::Roas {
            event: "purchase".into(),
            ratio_milli,
            order_value: units(order_value),
            discount: None,
        }
    }

    #[test]
    fn a_conversion_is_worth_what_the_formulas_say() {
        let month = 30 * 86_400;
        for (goal, ltv, expected) in [
            (cpa(40.0, None, None), 0.0, 40.0),
            (roas(3_000, 60.0), 0.0, 20.0),
            (cpa(40.0, Some(Weights::EXPANSION), None), 120.0, 40.0),
            (cpa(40.0, Some(Weights::EXPANSION), None), 240.0, 24.0 + 32.0),
            (cpa(40.0, Some(Weights::STABLE), None), 240.0, 12.0 + 56.0),
            (
                cpa(40.0, None, Some(Discount::new(month, month, false))),
                0.0,
                20.0,
            ),
            (cpa(40.0, None, Some(Discount::new(month, 0, true))), 0.0, 40.0),
            (
                cpa(
                    40.0,
                    Some(Weights::STABLE),
                    Some(Discount::new(month, 2 * month, true)),
                ),
                240.0,
                17.0,
            ),
            (BidStrategy::MaxClicks(units(2.0)), 240.0, 0.0),
        ] {
            assert_eq!(goal.conversion_worth(units(ltv)), units(expected), "{goal:?}");
        }
    }

    fn goals() -> impl Strategy<Value = BidStrategy> {
        let amount = (1..1_000_000_000_000_000_000_i64).prop_map(Nanos);
        let weights = proptest::option::of((0..=1000_u32).prop_map(|cac_milli| Weights {
            cac_milli,
            ltv_milli: 1000 - cac_milli,
        }));
        let discount = || {
            proptest::option::of((1..100_000_000_u32, 0..100_000_000_u32, any::<bool>())).prop_map(
                |discount| {
                    discount.map(|(half_life_s, delay_s, learns)| Discount::new(half_life_s, delay_s, learns))
                },
            )
        };
        prop_oneof![
            (1..=Cpm::MAX.0).prop_map(|micros| BidStrategy::Cpm(Cpm(micros))),
            amount.clone().prop_map(BidStrategy::Cpc),
            amount.clone().prop_map(BidStrategy::MaxClicks),
            (amount.clone(), weights, discount()).prop_map(|(value, weights, discount)| BidStrategy::Cpa {
                event: "e".into(),
                value,
                weights,
                discount,
            }),
            (amount, 1..1_000_000_u32, discount()).prop_map(|(order_value, ratio_milli, discount)| {
                BidStrategy::Roas {
                    event: "e".into(),
                    ratio_milli,
                    order_value,
                    discount,
                }
            }),
        ]
    }

    proptest! {
        #[test]
        fn more_likely_clicks_conversions_and_better_customers_are_never_worth_less(
            goal in goals(),
            clicks in (0.0..=1.0_f32, 0.0..=1.0_f32),
            conversions in (0.0..=1.0_f32, 0.0..=1.0_f32),
            ltvs in (0..i64::MAX, 0..i64::MAX),
            kept in (0..=1_000_000_u32, 0..=1_000_000_u32),
        ) {
            let likely = |p: f32| Probability::new(p).expect("in range");
            let of = |click: f32, conversion: f32, ltv: i64, kept: u32| {
                let score = Score {
                    click: likely(click),
                    conversion_given_click: likely(conversion),
                };
                goal.worth(score, Nanos(ltv), kept)
            };
            let less = of(clicks.0.min(clicks.1), conversions.0.min(conversions.1), ltvs.0.min(ltvs.1), kept.0.min(kept.1));
            let more = of(clicks.0.max(clicks.1), conversions.0.max(conversions.1), ltvs.0.max(ltvs.1), kept.0.max(kept.1));
            prop_assert!(Nanos::ZERO <= less && less <= more, "{goal:?}: {less} {more}");
        }
    }
}
