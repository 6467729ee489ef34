//! What holds for every decision, whatever request, configuration and state it is made of.

use crate::stage::{At, EXCHANGE, Stage};
use outbid::engine::{Bid, Outcome, Terms};
use outbid::openrtb::request::{FloorCurrency, Request};
use outbid::units::{Cpm, Nanos};

/// A fixed price is asked and paid to the micro; a converted one is off by the rounding of two conversions.
const ROUNDING: i64 = 2;

/// The first law that the decision breaks.
pub fn check(request: &Request, stage: &Stage, outcome: Outcome, at: At) -> Result<(), String> {
    let scratch = &stage.scratch;
    let terms = match outcome {
        Outcome::NoBid(_) if scratch.bids.is_empty() => return check_funnel(stage, at),
        Outcome::Bids(terms) if !scratch.bids.is_empty() => terms,
        other => return Err(format!("{other:?} with {} bids", scratch.bids.len())),
    };
    for (position, bid) in scratch.bids.iter().enumerate() {
        check_bid(request, stage, terms, bid, at)?;
        for other in &scratch.bids[..position] {
            check_pair(stage, bid, other)?;
        }
    }
    check_funnel(stage, at)?;
    check_money(stage, at)
}

/// Every line item that matched an imp either bids or falls out once.
fn check_funnel(stage: &Stage, at: At) -> Result<(), String> {
    let scratch = &stage.scratch;
    let fell_out: u32 = scratch.funnel.iter().map(|(_, count)| count).sum();
    let by_imp: u32 = scratch.matched_by_imp.iter().sum();
    if by_imp as usize != scratch.matched {
        return Err(format!("{by_imp} matches imp by imp, {} in all", scratch.matched));
    }
    for candidate in &scratch.candidates {
        let is_bid = scratch
            .bids
            .iter()
            .any(|bid| (bid.candidate.imp, bid.candidate.line_item) == (candidate.imp, candidate.line_item));
        if is_bid == candidate.fell_out.is_some() {
            return Err(format!(
                "bid: {is_bid}, yet it fell out at {:?}",
                candidate.fell_out
            ));
        }
    }
    if scratch.matched != scratch.bids.len() + fell_out as usize {
        let bids = scratch.bids.len();
        return Err(format!(
            "{} matched, {bids} bid, {fell_out} fell out",
            scratch.matched
        ));
    }
    if scratch.candidates.len() > at.candidates {
        return Err(format!(
            "{} scored of at most {}",
            scratch.candidates.len(),
            at.candidates
        ));
    }
    Ok(())
}

fn check_bid(request: &Request, stage: &Stage, terms: Terms, bid: &Bid, at: At) -> Result<(), String> {
    let candidate = &bid.candidate;
    let imp = &request.imps[usize::from(candidate.imp)];
    let deal = candidate.deal.map(|deal| &request.deals(imp)[usize::from(deal)]);
    let item = &stage.snapshot.campaigns.line_items()[candidate.line_item as usize];
    let (floor, currency) = deal
        .map(|deal| (deal.floor, deal.floor_cur))
        .filter(|(floor, _)| *floor > Cpm::ZERO)
        .unwrap_or((imp.floor, imp.floor_cur));
    // Floors by second and by duration are told by golden cases.
    let by_time = imp.video.is_some()
        || imp.audio.is_some()
        || deal.is_some_and(|deal| !deal.dur_floors.is_empty() || deal.min_cpm_per_sec.is_some());
    if floor > Cpm::ZERO && !by_time {
        let FloorCurrency::Known(currency) = currency else {
            return Err("a bid on a floor that nobody can read".into());
        };
        let rate = stage.snapshot.rates.get(currency, at.now);
        let in_accounting = rate.map_or(Cpm::MAX, |rate| rate.to_accounting_down(floor));
        let below = terms.rate.to_accounting_up(bid.price) < in_accounting;
        if below || (currency == terms.currency && bid.price < floor) {
            return Err(format!("{} is below the floor {floor} {currency}", bid.price));
        }
    }
    let fixed = deal.is_some_and(|deal| deal.at == Some(3));
    let whatever_the_value =
        deal.is_some_and(|deal| deal.guaranteed) || (fixed && item.definition.deliver_deals);
    let paid = terms.rate.to_accounting_down(bid.price);
    if paid.0 > candidate.value.0 + ROUNDING && !whatever_the_value {
        return Err(format!("{paid} is above the value {}", candidate.value));
    }
    if fixed && !by_time && (paid.0 - candidate.floor.accounting.0).abs() > ROUNDING {
        return Err(format!(
            "{paid} is not the fixed price {}",
            candidate.floor.accounting
        ));
    }
    let held = if request.test {
        Nanos::ZERO
    } else {
        let one = terms.rate.to_accounting_up(bid.price).per_impression();
        one.for_impressions(imp.qty_micros.unwrap_or(1_000_000))
    };
    if bid.reserved != held || stage.live.budgets.is_held(bid.id) == request.test {
        return Err(format!("{} reserved for a price of {}", bid.reserved, bid.price));
    }
    let settings = &stage.snapshot.exchange(EXCHANGE).expect("configured").settings;
    if usize::from(candidate.imp) >= settings.imps_max || bid.price == Cpm::ZERO {
        return Err(format!("imp {} at {}", candidate.imp, bid.price));
    }
    Ok(())
}

fn check_pair(stage: &Stage, bid: &Bid, other: &Bid) -> Result<(), String> {
    let item = &stage.snapshot.ready[bid.candidate.line_item as usize];
    if bid.candidate.imp == other.candidate.imp || bid.id == other.id {
        return Err("two bids for one imp, or with one id".into());
    }
    if bid.candidate.line_item == other.candidate.line_item && !item.roadblock {
        return Err("a line item bids twice".into());
    }
    Ok(())
}

/// Campaigns hold what their line items hold, and there is no hold without money.
fn check_money(stage: &Stage, at: At) -> Result<(), String> {
    let views = stage.live.budgets.views(at.now);
    let reserved = |id| {
        views
            .iter()
            .find(|view| view.id == id)
            .map_or(Nanos::ZERO, |view| view.lifetime.reserved)
    };
    for campaign in stage.snapshot.campaigns.campaigns() {
        let mut accounts: Vec<_> = campaign
            .line_items
            .iter()
            .map(|&item| stage.snapshot.campaigns.line_items()[item as usize].account)
            .collect();
        accounts.sort_unstable();
        accounts.dedup();
        let items: Nanos = accounts.into_iter().map(reserved).sum();
        if reserved(campaign.account) != items {
            return Err(format!(
                "{} holds {}, its line items {items}",
                campaign.definition.id,
                reserved(campaign.account)
            ));
        }
    }
    for bid in stage.scratch.bids.iter().filter(|bid| bid.reserved > Nanos::ZERO) {
        let item = &stage.snapshot.campaigns.line_items()[bid.candidate.line_item as usize];
        if reserved(item.account) < bid.reserved {
            return Err(format!(
                "{} reserved, {} held",
                bid.reserved,
                reserved(item.account)
            ));
        }
    }
    Ok(())
}
