//! The bid decision: request, snapshot and live state in, bids out.
//!
//! `bid` is synchronous, does no I/O, reads no clock, allocates nothing of its own once its scratch has grown, and
//! cannot fail: no bid is a value with a reason. Same inputs and same live state, same decision.
//!
//! The files follow the request: `audience` (consent, user, profile) → `target` (line items and creatives that may
//! answer) → `score` (the model) → `explore` (trials, weights) → `price` (value, deal, floor; `shade`: the bid below
//! the value that is worth most) → `choose` (the best
//! of each deal and of the open auction, money last; `beside`, `pod` and `road_block` say which may stand together).

mod audience;
mod beside;
mod choose;
mod exchange;
mod explain;
mod explore;
mod fatigue;
mod live;
mod pod;
mod price;
mod reallocate;
mod road_block;
mod score;
mod scratch;
mod shade;
mod snapshot;
mod target;

pub use audience::{Audience, People, Summary};
pub use exchange::ExchangeTerms;
pub use explain::{Explanation, Fate, Scored, Step, explain};
pub use explore::Standing;
pub use fatigue::{Fatigue, Who};
pub use live::{LineItemStats, Live, QpsWindow};
pub use price::{Pace, Range, Sale, bid_price, impression_worth};
pub use reallocate::reallocate;
pub use scratch::{Auction, Bid, Candidate, ContextRow, Floor, Funnel, Scratch, Shade};
pub use shade::{Shader, Slot};
pub use snapshot::{Parts, Ready, Snapshot, template};

use crate::openrtb::request::Request;
use crate::store::rates::Rate;
use crate::telemetry::{Reason, Stage};
use crate::units::{BidId, Currency, Timestamp};
use beside::Beside;

/// What a decision depends on beyond request, snapshot and live state.
pub struct Turn<'t> {
    pub now: Timestamp,
    /// Breaks ties and rotates creatives.
    pub seed: u64,
    /// Line items scored, over all imps (K).
    pub candidates_max: usize,
    pub next_id: &'t mut dyn FnMut() -> BidId,
    /// Called as each stage ends; whoever wants times reads a clock there.
    pub lap: &'t mut dyn FnMut(Stage),
}

/// What came of a request. The bids stand in [`Scratch::bids`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    Bids(Terms),
    /// The last step that anything reached, as nothing got further.
    NoBid(Reason),
}

/// The terms of a response.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    pub currency: Currency,
    /// Accounting units per unit of `currency`.
    pub rate: Rate,
}

/// Decides on one request. Whatever money it takes is held for the bids that it leaves in `scratch`.
pub fn bid(
    request: &Request,
    exchange: &ExchangeTerms,
    snapshot: &Snapshot,
    live: &Live,
    scratch: &mut Scratch,
    turn: &mut Turn,
) -> Outcome {
    scratch.clear();
    let terms = match exchange.accept(request, snapshot, turn.now) {
        Ok(terms) => terms,
        Err(reason) => return Outcome::NoBid(reason),
    };
    if !request.test {
        exchange.requests.count();
    }
    let traffic = snapshot.traffic.check(request, &exchange.settings.traffic);
    scratch.supply = traffic.and(snapshot.supply.check(request, &exchange.settings.supply));
    if let Some(finding) = scratch.supply.refused {
        return Outcome::NoBid(finding.reason());
    }
    let audience = snapshot
        .people
        .find(request, &exchange.user_namespace, &live.opt_outs, turn.now);
    scratch.audience = audience.summary();
    target::gather(request, exchange, snapshot, live, &audience, scratch, turn);
    (turn.lap)(Stage::Target);
    score::score(request, exchange, snapshot, &audience, scratch, turn);
    (turn.lap)(Stage::Score);
    explore::explore(request, exchange, snapshot, live, scratch, turn);
    price::price(request, exchange, snapshot, live, &audience, scratch, turn);
    let beside = Beside {
        request,
        exchange,
        snapshot,
        live,
        audience: &audience,
        now: turn.now,
    };
    choose::choose(beside, terms, scratch, turn);
    (turn.lap)(Stage::Price);
    if scratch.bids.is_empty() {
        return Outcome::NoBid(scratch.funnel.last().unwrap_or(Reason::Unmatched));
    }
    Outcome::Bids(terms)
}
