//! From value to price: goal × prediction × multipliers, the fixed price of deals, the floor. Integers from here on.

use super::scratch::Candidate;
use super::{Audience, ExchangeTerms, Scratch, Snapshot, Turn};
use crate::openrtb::request::{Deal, Request};
use crate::store::campaigns::definition::BidStrategy;
use crate::store::campaigns::{LineItem, Opportunity, multiplier_milli};
use crate::store::models::Score;
use crate::telemetry::Reason;
use crate::units::{Cpm, Nanos};

/// `deal.at`: the floor is the agreed price (section 3.2.12).
pub(super) const FIXED_PRICE: u32 = 3;

/// Fills `value` and `price`; a candidate without a price has fallen out.
///
/// First and second price are bid the same, at value: shading is not built.
pub(super) fn price(
    request: &Request,
    exchange: &ExchangeTerms,
    snapshot: &Snapshot,
    audience: &Audience,
    scratch: &mut Scratch,
    turn: &Turn,
) {
    let profile = audience.profile.as_ref();
    let mut last: Option<(u16, Opportunity)> = None;
    for candidate in &mut scratch.candidates {
        let Some(score) = candidate.score else { continue };
        let imp = &request.imps[usize::from(candidate.imp)];
        let opportunity = match last {
            Some((index, opportunity)) if index == candidate.imp => opportunity,
            _ => audience.opportunity(request, imp, exchange, snapshot),
        };
        last = Some((candidate.imp, opportunity));
        let item = &snapshot.campaigns.line_items()[candidate.line_item as usize];
        let creative = item.creatives[usize::from(candidate.creative)];
        let creative = &snapshot.campaigns.creatives()[creative as usize];
        if snapshot
            .campaigns
            .policy()
            .forbids(creative, &opportunity, profile, turn.now)
            .is_some()
        {
            scratch.funnel.out_candidate(snapshot, candidate, Reason::Policy);
            continue;
        }
        let multiplier = multiplier_milli(item, &opportunity, profile, turn.now);
        candidate.value = value(item, score, multiplier);
        let deal = candidate.deal.map(|deal| &request.deals(imp)[usize::from(deal)]);
        candidate.price = price_of(candidate, deal, item);
        if candidate.price.is_none() {
            scratch
                .funnel
                .out_candidate(snapshot, candidate, Reason::BelowFloor);
        }
    }
}

/// What one impression is worth to the line item, as a CPM: a CPM of X micros is X nanos for each impression.
fn value(item: &LineItem, score: Score, multiplier_milli: u32) -> Cpm {
    let worth = match &item.definition.bid {
        BidStrategy::Cpm(cpm) => cpm.per_impression(),
        BidStrategy::Cpc(click) => score.click.of(*click),
        BidStrategy::Cpa { value, .. } => score.click.of(score.conversion_given_click.of(*value)),
    };
    let multiplied = i128::from(worth.0) * i128::from(multiplier_milli) / 1000;
    let value = Cpm::from_value(Nanos(multiplied.min(i128::from(Cpm::MAX.0)) as i64));
    item.definition.max_bid.map_or(value, |most| value.min(most))
}

/// Never below the floor; a fixed price exactly or not at all; a guaranteed deal whatever the value.
fn price_of(candidate: &Candidate, deal: Option<&Deal>, item: &LineItem) -> Option<Cpm> {
    let guaranteed = deal.is_some_and(|deal| deal.guaranteed);
    let fixed = deal.is_some_and(|deal| deal.at == Some(FIXED_PRICE));
    let deliver = guaranteed || (fixed && item.definition.deliver_deals);
    let worth_it = candidate.value > Cpm::ZERO && candidate.value >= candidate.floor.accounting;
    if !worth_it && !deliver {
        return None;
    }
    let price = if fixed {
        candidate.floor.accounting
    } else {
        candidate.value.max(candidate.floor.accounting)
    };
    // A guaranteed deal without a floor, for an ad that is worth nothing, has no price to bid.
    (price > Cpm::ZERO).then_some(price)
}
