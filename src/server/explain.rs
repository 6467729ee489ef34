//! `POST /api/v1/explain?exchange=NAME`: a bid request in, the fate of every line item out.

use super::bid::time_left_ms;
use super::body::{self, Encoding};
use super::clock;
use super::serve::Common;
use crate::engine::{self, Auction, ExchangeTerms, Explanation, Fate, Outcome, Scored, Snapshot, Step, Turn};
use crate::openrtb::request::{Deal, Request};
use crate::openrtb::{RequestBuffers, WireFormat};
use crate::store::exchange::Shading;
use crate::telemetry::Reason;
use crate::units::BidId;
use http::StatusCode;
use serde_json::{Value, json};

/// The status and the answer.
pub fn answer(
    common: &Common,
    exchange: Option<&str>,
    encoding: Encoding,
    format: WireFormat,
    raw: &[u8],
) -> (StatusCode, Value) {
    let snapshot = common.snapshot.load();
    let Some(terms) = find_exchange(&snapshot, exchange) else {
        let known: Vec<_> = snapshot.exchanges().map(|terms| &terms.settings.name).collect();
        return wrong(
            StatusCode::NOT_FOUND,
            format!("name one of the exchanges {known:?} as ?exchange=NAME"),
        );
    };
    let limits = &common.settings.limits;
    let mut bytes = Vec::new();
    if let Err(error) = body::decode(raw, encoding, limits, &mut bytes) {
        return wrong(error.status(), "the body is too large or not gzip".to_owned());
    }
    let mut buffers = RequestBuffers::default();
    let mut request = match buffers.parse_as(format, &mut bytes) {
        Ok(request) => request,
        Err(malformed) => return wrong(StatusCode::BAD_REQUEST, malformed.to_string()),
    };
    let mut turn = Turn {
        now: clock::now(),
        seed: 0,
        candidates_max: limits.candidates,
        // Nothing is held and no token is sealed, so no id is used up.
        next_id: &mut BidId::default,
        lap: &mut |_| {},
    };
    let explanation = engine::explain(&mut request, terms, &snapshot, &common.live, &mut turn);
    (StatusCode::OK, describe(&request, terms, &snapshot, &explanation))
}

/// The one that is named; without a name the only one there is.
fn find_exchange<'s>(snapshot: &'s Snapshot, name: Option<&str>) -> Option<&'s ExchangeTerms> {
    match name {
        Some(name) => snapshot.exchange(name),
        None => Some(snapshot.exchanges().next()?).filter(|_| snapshot.exchanges().count() == 1),
    }
}

fn wrong(status: StatusCode, what: String) -> (StatusCode, Value) {
    (status, json!({ "error": what }))
}

fn describe(request: &Request, exchange: &ExchangeTerms, snapshot: &Snapshot, found: &Explanation) -> Value {
    let time_left_ms = time_left_ms(request, &exchange.settings);
    let outcome = match found.outcome {
        // Decided before anything else; what follows is what would be decided with more time.
        _ if time_left_ms.is_none() => Outcome::NoBid(Reason::TooLate),
        decided => decided,
    };
    let outcome = match outcome {
        Outcome::Bids(terms) => json!({"bids": true, "currency": terms.currency.as_str()}),
        Outcome::NoBid(reason) => json!({"bids": false, "reason": reason.name(), "nbr": reason.nbr()}),
    };
    let audience = found.audience;
    let imps: Vec<_> = request
        .imps
        .iter()
        .enumerate()
        .map(|(index, imp)| {
            let deals = request.deals(imp);
            let fates = found.fates.iter().filter(|fate| usize::from(fate.imp) == index);
            json!({"id": imp.id, "line_items": fates.map(|fate| line_item(exchange, snapshot, deals, fate)).collect::<Vec<_>>()})
        })
        .collect();
    json!({
        "request": request.id,
        "exchange": exchange.settings.name,
        "outcome": outcome,
        "time_left_ms": time_left_ms.unwrap_or(0),
        "personal_data": audience.consent.map(|consent| consent.personal_data),
        "consent_decided_by": audience.consent.map(|consent| consent.decided_by.as_str()),
        "user_known": audience.has_profile,
        "prices_in": snapshot.rates.accounting.as_str(),
        "imps": imps,
    })
}

fn line_item(exchange: &ExchangeTerms, snapshot: &Snapshot, deals: &[Deal], fate: &Fate) -> Value {
    let item = &snapshot.campaigns.line_items()[fate.line_item as usize];
    let (step, reason) = match fate.step {
        Step::Bid => ("bid", None),
        Step::NotTargeted(dimension) => ("not_targeted", Some(dimension.name())),
        Step::FellOut(reason) => ("fell_out", Some(reason.name())),
    };
    let campaign = &snapshot.campaigns.campaigns()[item.campaign].definition.id;
    let mut value = json!({"id": item.definition.id, "campaign": campaign, "step": step});
    if let Some(reason) = reason {
        value["reason"] = reason.into();
    }
    if let Some(deal) = fate.deal {
        value["deal"] = deals[usize::from(deal)].id.into();
    }
    if let Some(scored) = &fate.scored {
        let creative = item.creatives[usize::from(scored.creative)] as usize;
        value["creative"] = snapshot.campaigns.creatives()[creative]
            .definition
            .id
            .as_str()
            .into();
        value["scored"] = score(scored);
        value["scored"]["shading"] = shading(exchange, fate, scored);
    }
    value
}

/// What the bid was looked for below and why it is what it is, or why it is the value. Null without a price.
fn shading(exchange: &ExchangeTerms, fate: &Fate, scored: &Scored) -> Value {
    let not = |why: &str| json!({"shaded": false, "why": why});
    match scored.shade {
        Some(shade) => json!({
            "shaded": true,
            "why": if shade.explored { "explores beside the best bid" } else { "highest expected surplus" },
            "paced_value_cpm": shade.value.as_units(),
            "win_rate": shade.win_rate,
        }),
        None if scored.price.is_none() => Value::Null,
        None if exchange.settings.shading == Shading::Off => not("off at this exchange"),
        None if fate.deal.is_some() => not("deals never are"),
        None if scored.auction != Auction::FirstPrice => not("not a first-price auction"),
        None => not("no value"),
    }
}

fn score(scored: &Scored) -> Value {
    let moved: Vec<_> = scored
        .features
        .iter()
        .map(|(name, by)| json!({"feature": name, "log_odds": by}))
        .collect();
    json!({
        "p_click": scored.score.click.get(),
        "p_conversion_given_click": scored.score.conversion_given_click.get(),
        "value_cpm": scored.value.as_units(),
        "price_cpm": scored.price.map(|price| price.as_units()),
        "floor_cpm": scored.floor.as_units(),
        "moved_most_by": moved,
    })
}
