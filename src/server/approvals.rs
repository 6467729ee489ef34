//! `/api/v1/approvals`: what exchanges say of our creatives, and a person's word that one may be shown again.

use super::clock;
use super::serve::Common;
use crate::approvals::{CODE_FIRST, CODES, Place, State, View};
use crate::engine::Snapshot;
use crate::events::bookkeeper::NotBooked;
use crate::events::books::Word;
use crate::openrtb::loss;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// `POST /api/v1/approvals`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clearing {
    /// Names, as in the configuration.
    exchange: String,
    creative: String,
    state: Cleared,
}

/// The only state that a person can set here: the other ones stand in the configuration.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Cleared {
    Approved,
}

/// One entry for each creative and exchange that a loss notice spoke of. Times are milliseconds since 1970.
pub fn report(common: &Common) -> Value {
    let snapshot = common.snapshot.load();
    let entries: Vec<_> = common
        .live
        .approvals
        .views()
        .iter()
        .map(|view| entry(&snapshot, view))
        .collect();
    json!({ "at_ms": clock::now().0, "approvals": entries })
}

fn entry(snapshot: &Snapshot, view: &View) -> Value {
    let (state, until) = match view.state {
        State::Open => ("open", None),
        State::Waiting { until } => ("waiting", Some(until.0)),
        State::Stopped => ("stopped", None),
    };
    let creative = snapshot.campaigns.creative(view.place.creative);
    let exchange = snapshot.exchange_by_id(view.place.exchange);
    json!({
        "exchange": exchange.map_or_else(|| hex(view.place.exchange.0), |known| known.settings.name.clone()),
        "creative": creative.map_or_else(|| hex(view.place.creative.0), |known| known.definition.id.clone()),
        "state": state,
        // What was learnt of other content says nothing of the present one.
        "holds": creative.is_some_and(|creative| creative.version == view.version) && state != "open",
        "until_ms": until,
        "since_ms": (view.since.0 > 0).then_some(view.since.0),
        "losses": losses(view),
    })
}

/// Counts by code, those that never came left out; `more` = codes above the list.
fn losses(view: &View) -> Map<String, Value> {
    let counted = view.losses.iter().enumerate().filter(|(_, count)| **count > 0);
    let named = counted.map(|(place, count)| {
        let code = CODE_FIRST + place as u32;
        let name = loss::position(code).filter(|_| place + 1 < CODES);
        let key = name.map_or("more".to_owned(), |at| format!("{code} {}", loss::CODES[at].1));
        (key, Value::from(*count))
    });
    named.collect()
}

/// Of an object that the configuration no longer holds.
fn hex(id: u64) -> String {
    format!("{id:016x}")
}

pub async fn clear(common: &Common, body: &[u8]) -> (StatusCode, Value) {
    let clearing: Clearing = match serde_json::from_slice(body) {
        Ok(clearing) => clearing,
        Err(error) => {
            let right = r#"{"exchange": "NAME", "creative": "ID", "state": "approved"}"#;
            return refusal(StatusCode::BAD_REQUEST, &format!("{error}; send {right}"));
        }
    };
    let place = {
        let snapshot = common.snapshot.load();
        let Some(exchange) = snapshot.exchange(&clearing.exchange) else {
            let what = format!("the configuration has no exchange `{}`", clearing.exchange);
            return refusal(StatusCode::NOT_FOUND, &what);
        };
        let id = crate::units::ObjectId::of(&clearing.creative);
        let Some(creative) = snapshot.campaigns.creative(id) else {
            let what = format!("the configuration has no creative `{}`", clearing.creative);
            return refusal(StatusCode::NOT_FOUND, &what);
        };
        Place {
            exchange: exchange.settings.id,
            creative: creative.id,
        }
    };
    let Cleared::Approved = clearing.state;
    let cleared = say(common, Word::ShowAgain(place)).await;
    match cleared {
        Ok(true) => (StatusCode::OK, json!({"status": "cleared"})),
        Ok(false) => (StatusCode::OK, json!({"status": "unchanged"})),
        Err(what) => refusal(StatusCode::SERVICE_UNAVAILABLE, &what),
    }
}

/// Hands a person's word to the books: whether it decided anything, once it is durable, or why it is not.
pub async fn say(common: &Common, word: Word) -> Result<bool, String> {
    let desk = common.books.desk();
    let desk = desk.ok_or("another process holds the books; ask that one")?;
    let answer = desk.say(word, clock::now()).map_err(|error| error.to_string())?;
    let said = answer.await.unwrap_or(Err(NotBooked::Closed));
    said.map_err(|error| error.to_string())
}

pub fn refusal(status: StatusCode, what: &str) -> (StatusCode, Value) {
    (status, json!({"status": "refused", "problems": [what]}))
}
