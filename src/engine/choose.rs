//! The best candidate per imp, and only then the money: what cannot be paid for gives way to the next one.

use super::scratch::{Bid, Candidate, Floor};
use super::{ExchangeTerms, Live, Scratch, Snapshot, Terms, Turn};
use crate::openrtb::request::Request;
use crate::store::rates::Rate;
use crate::telemetry::Reason;
use crate::units::{Cpm, Nanos, Timestamp, UserKey};
use std::cmp::Reverse;
use std::time::Duration;

/// Fills `scratch.bids`, in the order of imps.
pub(super) fn choose(
    request: &Request,
    exchange: &ExchangeTerms,
    snapshot: &Snapshot,
    live: &Live,
    terms: Terms,
    scratch: &mut Scratch,
    turn: &mut Turn,
) {
    rank(scratch, turn.seed);
    let Scratch {
        order,
        candidates,
        bids,
        funnel,
        audience,
        ..
    } = scratch;
    for &position in order.iter() {
        let candidate = &mut candidates[position as usize];
        let taken = bids.iter().any(|bid| bid.candidate.imp == candidate.imp);
        if taken || conflicts(candidate, bids, snapshot) {
            funnel.out_candidate(snapshot, candidate, Reason::LostInternally);
            continue;
        }
        let mut bid = offer(request, exchange, terms, candidate, turn);
        if !request.test {
            match take_money(&mut bid, snapshot, live, audience.key, turn.now) {
                Ok(()) => snapshot.ready[candidate.line_item as usize].stats.bid(turn.now),
                Err(reason) => {
                    funnel.out_candidate(snapshot, candidate, reason);
                    continue;
                }
            }
        }
        bids.push(bid);
    }
    bids.sort_unstable_by_key(|bid| bid.candidate.imp);
}

/// Deals first, as the seller ranks them apart; then the higher price; equal ones in an order that the seed turns.
fn rank(scratch: &mut Scratch, seed: u64) {
    let Scratch {
        order, candidates, ..
    } = scratch;
    order.clear();
    order.extend(
        (0..candidates.len() as u32).filter(|&position| candidates[position as usize].price.is_some()),
    );
    order.sort_unstable_by_key(|&position| {
        let candidate = &candidates[position as usize];
        let turned = (seed ^ u64::from(position)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (
            candidate.deal.is_none(),
            Reverse(candidate.price),
            turned,
            position,
        )
    });
}

/// Two bids of one response count against each other: a line item bids once unless it road-blocks, and where a cap
/// holds for what both would show, only one goes out.
fn conflicts(candidate: &Candidate, bids: &[Bid], snapshot: &Snapshot) -> bool {
    let ready = &snapshot.ready[candidate.line_item as usize];
    bids.iter().any(|bid| {
        let other = &snapshot.ready[bid.candidate.line_item as usize];
        let same = bid.candidate.line_item == candidate.line_item;
        (same && !ready.roadblock)
            || ready.shares_a_cap_with(candidate.creative, other, bid.candidate.creative)
    })
}

fn offer(
    request: &Request,
    exchange: &ExchangeTerms,
    terms: Terms,
    candidate: &Candidate,
    turn: &mut Turn,
) -> Bid {
    let imp = &request.imps[usize::from(candidate.imp)];
    let exp_s = exchange.expiry_s(request, imp, &candidate.fit, turn.now);
    let price = wire_price(terms, candidate);
    Bid {
        id: (turn.next_id)(),
        candidate: *candidate,
        price,
        reserved: if request.test {
            Nanos::ZERO
        } else {
            let one = terms.rate.to_accounting_up(price).per_impression();
            one.for_impressions(imp.qty_micros.unwrap_or(Nanos::ONE_IMPRESSION_MICROS))
        },
        exp_s,
        hold_until: turn.now + Duration::from_secs(u64::from(exp_s.min(exchange.settings.win_hold_s))),
    }
}

/// The price in the currency of the response. A floor in that currency is met to the micro; rounding never goes below one.
fn wire_price(terms: Terms, candidate: &Candidate) -> Cpm {
    let price = candidate.price.expect("ranked candidates have a price");
    if terms.rate == Rate::ONE {
        return price;
    }
    let Floor {
        accounting,
        asked,
        currency,
    } = candidate.floor;
    let floor = if currency == terms.currency {
        asked
    } else {
        terms.rate.from_accounting_up(accounting)
    };
    if price == accounting {
        floor
    } else {
        terms.rate.from_accounting_down(price).max(floor)
    }
}

/// Holds the money and the user's one open chance, both or neither.
fn take_money(
    bid: &mut Bid,
    snapshot: &Snapshot,
    live: &Live,
    user: Option<UserKey>,
    now: Timestamp,
) -> Result<(), Reason> {
    let ready = &snapshot.ready[bid.candidate.line_item as usize];
    let line_item = snapshot.campaigns.line_items()[bid.candidate.line_item as usize].counted_as;
    let reservation = live
        .budgets
        .reserve(&ready.accounts(), bid.reserved, now)
        .map_err(|_| Reason::BudgetSpent)?;
    let capped = user.filter(|_| !ready.caps.is_empty());
    if let Some(user) = capped
        && !live
            .caps
            .provisional(user, line_item, bid.id, now, bid.hold_until)
    {
        return Err(Reason::FrequencyCap);
    }
    reservation.commit(bid.id, bid.hold_until).map_err(|_| {
        if let Some(user) = capped {
            live.caps.clear(user, line_item, bid.id);
        }
        Reason::HoldsFull
    })
}
