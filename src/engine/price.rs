//! From value to price: goal × prediction × multipliers, the pace of the budget, the fixed price of deals, shading, the floor.
//! Integers from here on.
//!
//! [`impression_worth`] and [`bid_price`] know no request: simulated days price their bids with them, too.

use super::scratch::{Auction, Candidate, Shade};
use super::shade::{Shader, Slot};
use super::{Audience, ExchangeTerms, Live, Ready, Scratch, Snapshot, Turn, explore};
use crate::openrtb::request::Request;
use crate::pacing::Drive;
use crate::store::campaigns::definition::BidStrategy;
use crate::store::campaigns::{LineItem, Opportunity, multiplier_milli};
use crate::store::profiles::Profile;
use crate::telemetry::Reason;
use crate::units::{Cpm, MixHasher, Nanos, Timestamp};

/// Fills `value` and `price`; a candidate without a price has fallen out.
///
/// The ways to bid one ad on one imp have one value: it is worked out at the first of them.
pub(super) fn price(
    request: &Request,
    exchange: &ExchangeTerms,
    snapshot: &Snapshot,
    live: &Live,
    audience: &Audience,
    scratch: &mut Scratch,
    turn: &Turn,
) {
    let profile = audience.profile.as_ref();
    let mut last: Option<(u16, Opportunity)> = None;
    let mut shader = None;
    let mut valued = Err(Reason::Model);
    for candidate in &mut scratch.candidates {
        let item = &snapshot.campaigns.line_items()[candidate.line_item as usize];
        if !candidate.alternative {
            let imp = &request.imps[usize::from(candidate.imp)];
            let opportunity = match last {
                Some((index, opportunity)) if index == candidate.imp => opportunity,
                _ => {
                    let opportunity = audience.opportunity(request, imp, exchange, snapshot);
                    let seed = MixHasher::mix(turn.seed, candidate.imp.into());
                    shader = Shader::of(request, exchange, live, seed);
                    opportunity
                }
            };
            last = Some((candidate.imp, opportunity));
            valued = value(snapshot, item, candidate, &opportunity, profile, turn.now);
        }
        if candidate.fell_out.is_some() {
            continue;
        }
        let priced = match valued {
            Ok(_) if !candidate.guaranteed && is_irrelevant(item, candidate) => Err(Reason::Irrelevant),
            Ok(value) => {
                candidate.value = candidate.standing.weigh(value, item.definition.max_bid);
                candidate.standing.worth = value;
                let pace = pace(
                    &snapshot.ready[candidate.line_item as usize],
                    candidate,
                    turn.seed,
                );
                let shade = |range| shader.as_ref()?.shade(Slot::of(&candidate.fit), range);
                bid_price(candidate.value, &Sale::of(candidate, item), &pace, shade)
            }
            // A guaranteed deal is answered without a value too, but never against the house's policy.
            Err(Reason::Model) if candidate.guaranteed => {
                bid_price(candidate.value, &Sale::of(candidate, item), &Pace::FREE, |_| None)
                    .map_err(|_| Reason::Model)
            }
            Err(reason) => Err(reason),
        };
        match priced {
            Ok((price, shade)) => (candidate.price, candidate.shade) = (Some(price), shade),
            Err(reason) => scratch.funnel.out_candidate(snapshot, candidate, reason),
        }
    }
    explore::propensities(snapshot, &mut scratch.candidates, turn.seed);
}

/// Whether the model predicts less than the line item asks for. Without a score there is no value either.
fn is_irrelevant(item: &LineItem, candidate: &Candidate) -> bool {
    candidate
        .score
        .is_some_and(|score| !item.definition.relevance.admits(score))
}

/// What an impression is worth here, unless the house's policy forbids the ad or the model could not score it.
fn value(
    snapshot: &Snapshot,
    item: &LineItem,
    candidate: &Candidate,
    opportunity: &Opportunity,
    profile: Option<&Profile>,
    now: Timestamp,
) -> Result<Cpm, Reason> {
    let campaigns = &snapshot.campaigns;
    let creative = &campaigns.creatives()[item.creatives[usize::from(candidate.creative)] as usize];
    if campaigns
        .policy()
        .forbids(creative, opportunity, profile, now)
        .is_some()
    {
        return Err(Reason::Policy);
    }
    let score = candidate.score.ok_or(Reason::Model)?;
    let multiplier_milli = multiplier_milli(item, opportunity, profile, now);
    let account = &snapshot.ready[candidate.line_item as usize].account;
    let one = item
        .definition
        .bid
        .worth(score, item.definition.ltv.of(profile), account.kept_micros());
    let factor_micros = factor_micros(multiplier_milli, account.kpi_factor_micros());
    Ok(impression_worth(one, factor_micros, item.definition.max_bid))
}

/// The product of all that values are multiplied by, in millionths, within 0.1 and 10.
fn factor_micros(multiplier_milli: u32, kpi_micros: u32) -> u32 {
    let product = u64::from(multiplier_milli) * u64::from(kpi_micros) / 1000;
    product.clamp(100_000, 10_000_000) as u32
}

/// `one` (nanos that an impression is worth) × `factor_micros` millionths as a CPM, at most `max_bid`: a CPM of X micros is X nanos
/// for each impression.
pub fn impression_worth(one: Nanos, factor_micros: u32, max_bid: Option<Cpm>) -> Cpm {
    let multiplied = i128::from(one.0) * i128::from(factor_micros) / 1_000_000;
    let value = Cpm::from_value(Nanos(multiplied.min(i128::from(Cpm::MAX.0)) as i64));
    max_bid.map_or(value, |most| value.min(most))
}

/// What the budgets of a line item and its campaign say of one bid.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Of the value, where the price is ours to choose.
    multiplier: f64,
    /// Of the value, before it is shaded; the bid stays at or below the value.
    stretch: f64,
    /// Whether the chance is taken, where the price is fixed.
    takes_chance: bool,
}

impl Pace {
    /// Of what is bid whatever the budget's pace.
    pub const FREE: Pace = Pace {
        multiplier: 1.0,
        stretch: 1.0,
        takes_chance: true,
    };

    /// The dice of a line item fall once per request: all its chances in it are taken, or none.
    pub fn new(drive: Drive, seed: u64, line_item: u32) -> Pace {
        let multiplier = drive.multiplier();
        if multiplier >= 1.0 {
            return Pace {
                stretch: drive.stretch(),
                ..Pace::FREE
            };
        }
        Pace {
            multiplier,
            stretch: 1.0,
            takes_chance: MixHasher::unit(seed, line_item.into()) < multiplier,
        }
    }
}

fn pace(ready: &Ready, candidate: &Candidate, seed: u64) -> Pace {
    if candidate.guaranteed {
        return Pace::FREE;
    }
    Pace::new(ready.drive(), seed, candidate.line_item)
}

/// What a line item that pays for impressions can bid: no prediction takes part in that.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    value: Cpm,
    paced: Cpm,
}

impl Reach {
    /// `None` where the value of an impression depends on a prediction.
    pub fn of(
        item: &LineItem,
        ready: &Ready,
        opportunity: &Opportunity,
        profile: Option<&Profile>,
        now: Timestamp,
    ) -> Option<Reach> {
        let BidStrategy::Cpm(cpm) = &item.definition.bid else {
            return None;
        };
        let multiplier_milli = multiplier_milli(item, opportunity, profile, now);
        let factor_micros = factor_micros(multiplier_milli, ready.account.kpi_factor_micros());
        let value = impression_worth(cpm.per_impression(), factor_micros, item.definition.max_bid);
        let paced = paced(value, ready.drive().multiplier());
        Some(Reach { value, paced })
    }

    pub fn meets(self, floor: Cpm, auction: Auction) -> bool {
        floor
            <= if auction == Auction::Fixed {
                self.value
            } else {
                self.paced
            }
    }
}

fn stretched(value: Cpm, stretch: f64) -> Cpm {
    if stretch > 1.0 {
        paced(value, stretch).min(Cpm::MAX)
    } else {
        value
    }
}

fn paced(value: Cpm, multiplier: f64) -> Cpm {
    Cpm((value.0 as f64 * multiplier).round() as i64)
}

/// Whether a deal is bid whatever the value: it is guaranteed, or its price is fixed and the line item delivers those.
pub(super) fn is_delivered(auction: Auction, guaranteed: bool, item: &LineItem) -> bool {
    guaranteed || (auction == Auction::Fixed && item.definition.deliver_deals)
}

/// How an imp is sold to one candidate: what its price follows from beside the value.
#[derive(Clone, Copy, Debug)]
pub struct Sale {
    pub auction: Auction,
    /// In the accounting currency.
    pub floor: Cpm,
    /// Through a deal; else in the open auction.
    pub in_deal: bool,
    /// `deal.guar`.
    pub guaranteed: bool,
    /// Bid whatever the value.
    pub delivered: bool,
}

impl Sale {
    /// Where what is bid is paid and nothing else is agreed: where a bid may be shaded.
    pub fn is_open_first_price(&self) -> bool {
        self.auction == Auction::FirstPrice && !self.in_deal
    }

    fn of(candidate: &Candidate, item: &LineItem) -> Sale {
        Sale {
            auction: candidate.auction,
            floor: candidate.floor.accounting,
            in_deal: candidate.deal.is_some(),
            guaranteed: candidate.guaranteed,
            delivered: is_delivered(candidate.auction, candidate.guaranteed, item),
        }
    }
}

/// Where a bid is looked for that is worth most.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// Above 0.
    pub floor: Cpm,
    /// The paced value; at least the floor.
    pub most: Cpm,
    /// What the impression is worth to a budget that would be left over: at least `most`, and the same where it would not.
    pub value: Cpm,
}

/// Where value becomes price, in the accounting currency.
///
/// Never below the floor; a fixed price exactly or not at all; a guaranteed deal whatever the value. Second price and what is
/// bid through a deal is bid at the paced value (section 7.3); in the open first-price auction `shade` may say a bid between the
/// floor and that value.
#[inline]
pub fn bid_price(
    value: Cpm,
    sale: &Sale,
    pace: &Pace,
    shade: impl FnOnce(Range) -> Option<(Cpm, Shade)>,
) -> Result<(Cpm, Option<Shade>), Reason> {
    let floor = sale.floor;
    let worth_it = value > Cpm::ZERO && value >= floor;
    if !worth_it && !sale.delivered {
        return Err(Reason::BelowFloor);
    }
    let price = if sale.auction == Auction::Fixed {
        if !pace.takes_chance {
            return Err(Reason::Paced);
        }
        floor
    } else if sale.guaranteed {
        value.max(floor)
    } else {
        let paced = paced(value, pace.multiplier);
        if paced < floor {
            return Err(Reason::Paced);
        }
        // Nothing is bid for nothing.
        if sale.is_open_first_price()
            && paced > Cpm::ZERO
            && let Some((price, shade)) = shade(Range {
                floor: floor.max(Cpm(1)),
                most: paced,
                value: stretched(paced, pace.stretch),
            })
        {
            return Ok((price, Some(shade)));
        }
        paced
    };
    // A guaranteed deal without a floor, for an ad that is worth nothing, has no price to bid.
    if price > Cpm::ZERO {
        Ok((price, None))
    } else {
        Err(Reason::BelowFloor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_product_of_all_factors_is_within_a_tenth_and_ten_and_grows_with_each(
            multiplier in 100..=10_000_u32,
            kpi in 100_000..=10_000_000_u32,
            more in 0..=5_000_000_u32,
        ) {
            let product = factor_micros(multiplier, kpi);
            prop_assert!((100_000..=10_000_000).contains(&product));
            prop_assert!(factor_micros(multiplier, kpi + more) >= product);
            prop_assert!(factor_micros(multiplier + more / 1000, kpi) >= product);
            prop_assert_eq!(factor_micros(1000, kpi), kpi);
        }
    }
}
