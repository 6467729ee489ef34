//! Which candidates become bids, best first, and only then the money: what cannot be paid for gives way to the next one.

use super::beside::Beside;
use super::scratch::{Bid, Candidate, Floor, Funnel};
use super::{ExchangeTerms, Live, Scratch, Snapshot, Terms, Turn, pod, road_block};
use crate::openrtb::request::Request;
use crate::pacing::Budgets;
use crate::store::rates::Rate;
use crate::telemetry::Reason;
use crate::units::{BidId, Cpm, Nanos, Timestamp, UserKey};
use std::cmp::Reverse;
use std::time::Duration;

/// A place in the order whose candidate has had its turn.
const DONE: u32 = u32::MAX;

/// Fills `scratch.bids`: those on their own in the order of imps, then each road-block.
pub(super) fn choose(beside: Beside<'_, '_>, terms: Terms, scratch: &mut Scratch, turn: &mut Turn) {
    let (request, snapshot) = (beside.request, beside.snapshot);
    rank(request, snapshot, scratch, turn.seed);
    let Scratch {
        order,
        candidates,
        bids,
        funnel,
        ..
    } = scratch;
    let mut table = Table {
        beside,
        terms,
        candidates,
        bids,
        funnel,
        turn,
    };
    for place in 0..order.len() {
        if order[place] == DONE {
            continue;
        }
        let position = std::mem::replace(&mut order[place], DONE) as usize;
        if road_block::is_whole(request, snapshot, &table.candidates[position]) {
            order[place] = position as u32;
            table.take_whole(&mut order[place..]);
        } else {
            table.take(position, None);
        }
    }
    bids.sort_unstable_by_key(|bid| (bid.group, bid.candidate.imp, bid.id));
    for bid in bids.iter().filter(|_| !request.test) {
        snapshot.ready[bid.candidate.line_item as usize]
            .stats
            .bid(turn.now);
    }
}

/// Guaranteed deals first, then the other deals, as the seller ranks them apart; imps that take one ad before the dynamic
/// parts of pods, which take who is left; then the higher price, and the higher value where the price is agreed; equal ones in
/// an order that the seed turns.
fn rank(request: &Request, snapshot: &Snapshot, scratch: &mut Scratch, seed: u64) {
    scratch.standing.clear();
    let own = |candidate: &Candidate| pod::by_share(request, candidate, candidate.price.unwrap_or_default());
    scratch.standing.extend(scratch.candidates.iter().map(own));
    road_block::weigh(request, snapshot, scratch);
    let Scratch {
        order,
        candidates,
        standing,
        ..
    } = scratch;
    let is_in = |candidate: &Candidate| candidate.price.is_some() && candidate.fell_out.is_none();
    order.clear();
    order.extend((0..candidates.len() as u32).filter(|&position| is_in(&candidates[position as usize])));
    order.sort_unstable_by_key(|&position| {
        let candidate = &candidates[position as usize];
        let turned = (seed ^ u64::from(position)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (
            !candidate.guaranteed,
            candidate.deal.is_none(),
            pod::is_dynamic(request, candidate),
            Reverse(standing[position as usize]),
            Reverse(candidate.value),
            turned,
            position,
        )
    });
}

/// The bids made so far, and what it takes to make one more.
struct Table<'d, 'r, 't, 'i> {
    beside: Beside<'d, 'r>,
    terms: Terms,
    candidates: &'d mut [Candidate],
    bids: &'d mut Vec<Bid>,
    funnel: &'d mut Funnel,
    turn: &'t mut Turn<'i>,
}

impl Table<'_, '_, '_, '_> {
    /// Makes the bid, or says why it is none. `group`: the line item it belongs together with.
    fn take(&mut self, position: usize, group: Option<u32>) {
        match self.bid(&self.candidates[position].clone(), group) {
            Ok(bid) => self.bids.push(bid),
            Err(reason) => self.drop(position, reason),
        }
    }

    fn drop(&mut self, position: usize, reason: Reason) {
        let snapshot = self.beside.snapshot;
        self.funnel
            .out_candidate(snapshot, &mut self.candidates[position], reason);
    }

    /// The line item of the first place on every imp, in its best way there that can be bid; or on none.
    fn take_whole(&mut self, order: &mut [u32]) {
        let line_item = self.candidates[order[0] as usize].line_item;
        let start = self.bids.len();
        for place in order {
            if *place == DONE || self.candidates[*place as usize].line_item != line_item {
                continue;
            }
            let position = std::mem::replace(place, DONE) as usize;
            let imp = self.candidates[position].imp;
            if self.bids[start..].iter().any(|bid| bid.candidate.imp == imp) {
                // All bids of a group are won together, so there are no alternatives.
                self.drop(position, Reason::LostInternally);
            } else {
                self.take(position, Some(line_item));
            }
        }
        if self.bids.len() - start < self.beside.request.imps.len() {
            self.give_back(start);
        }
    }

    /// Takes back the bids from `start` on.
    fn give_back(&mut self, start: usize) {
        while self.bids.len() > start {
            let bid = self.bids.pop().expect("there are more than `start`");
            return_money(
                &bid,
                self.beside.snapshot,
                self.beside.live,
                self.beside.audience.key,
            );
            let same = |candidate: &Candidate| candidate.is_same_offer(&bid.candidate);
            let position = self.candidates.iter().position(same);
            self.drop(position.expect("a bid was a candidate"), Reason::RoadBlock);
        }
    }

    fn bid(&mut self, candidate: &Candidate, group: Option<u32>) -> Result<Bid, Reason> {
        if !self.beside.allows(candidate, self.bids) {
            return Err(Reason::LostInternally);
        }
        let Beside {
            request,
            exchange,
            snapshot,
            live,
            audience,
            now,
        } = self.beside;
        let mut bid = offer(request, exchange, &live.budgets, self.terms, candidate, self.turn);
        bid.group = group;
        if !request.test {
            let of_same = |other: &&Bid| other.candidate.line_item == candidate.line_item;
            let first = self.bids.iter().find(of_same).map(|other| other.id);
            take_money(&bid, first, snapshot, live, audience.key, now)?;
        }
        Ok(bid)
    }
}

fn offer(
    request: &Request,
    exchange: &ExchangeTerms,
    budgets: &Budgets,
    terms: Terms,
    candidate: &Candidate,
    turn: &mut Turn,
) -> Bid {
    let imp = &request.imps[usize::from(candidate.imp)];
    let exp_s = exchange.expiry_s(request, imp, &candidate.fit, turn.now);
    let price = wire_price(terms, candidate);
    // The token has room for 18 hours.
    let hold_s = exp_s
        .min(exchange.win_hold_s(candidate.fit.mtype()))
        .min(budgets.hold_max_s())
        .min(u16::MAX.into());
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
        hold_until: turn.now + Duration::from_secs(u64::from(hold_s)),
        lease: budgets.lease(),
        group: None,
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

/// Holds the money and the user's one open chance, both or neither. `first`: the bid of this response with which the
/// line item took that chance; the others share it.
fn take_money(
    bid: &Bid,
    first: Option<BidId>,
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
    let capped = user.filter(|_| ready.fatigue.is_capped(bid.candidate.creative));
    if let Some(user) = capped {
        let until = bid.hold_until;
        let has_chance = match first {
            Some(first) => live
                .caps
                .provisional_beside(user, line_item, first, bid.id, until),
            None => live.caps.provisional(user, line_item, bid.id, now, until),
        };
        if !has_chance {
            return Err(Reason::FrequencyCap);
        }
    }
    reservation
        .commit_noting(bid.id, bid.hold_until, ticket(&bid.candidate))
        .map_err(|_| {
            if let Some(user) = capped {
                live.caps.clear(user, line_item, bid.id);
            }
            Reason::HoldsFull
        })
}

/// By which the market of a shaded bid is taught once it is known how the bid ended; 0 = none.
fn ticket(candidate: &Candidate) -> u64 {
    let shaded = candidate.shade.zip(candidate.price);
    shaded.map_or(0, |(shade, bid)| shade.ticket(bid).to_bits())
}

/// Undoes [`take_money`].
fn return_money(bid: &Bid, snapshot: &Snapshot, live: &Live, user: Option<UserKey>) {
    live.budgets.release(bid.id);
    if let Some(user) = user {
        let item = &snapshot.campaigns.line_items()[bid.candidate.line_item as usize];
        live.caps.clear(user, item.counted_as, bid.id);
    }
}
