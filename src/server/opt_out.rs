//! Our own opt-out: the link of an ad for the person who saw it (`/v1/opt-out`), and the admin API for an operator.
//!
//! Invariant: only a POST changes anything, as mail scanners and browsers follow links by themselves; a 200 comes when the
//! change is on the disk and in effect.

use super::body;
use super::clock;
use super::notice::read_form;
use super::page::{self, escape};
use super::serve::Common;
use super::worker::{Reply, Worker, not_allowed};
use crate::engine::Snapshot;
use crate::events::bookkeeper::NotBooked;
use crate::events::token::TOKEN_LEN;
use crate::openrtb::notice::NoticeQuery;
use crate::optouts::{Change, Direction, Source};
use crate::units::{EntryId, UserKey, split_user_id};
use http::header::{HeaderValue, RETRY_AFTER};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// On the public address.
pub const PATH: &str = "/v1/opt-out";

/// HTML.
pub const EXPLANATION: &str = "<p>If you opt out, we stop at once: no profile of yours is looked up, we do not count which \
     ads you see, and nothing is recorded or learnt under your id. You will still see ads, chosen by page, place and time. \
     It holds for the id that was used for this ad and for those that we know to be yours; a browser or device that gives you \
     another id needs its own opt-out.</p>";

/// The button. `action` is relative, so that it works behind whatever path we are reached under.
pub fn form(action: &str, token: &str) -> String {
    format!(
        "<form method=\"post\" action=\"{action}\"><input type=\"hidden\" name=\"t\" value=\"{}\">\
         <button type=\"submit\">Opt out</button></form>",
        escape(token)
    )
}

/// A link that we did not make, or that was cut on its way.
pub fn no_such_link(as_json: bool) -> Reply {
    if as_json {
        let body = json!({"error": format!("the token is none of ours: it has {TOKEN_LEN} characters, and none of them may change")});
        return page::json(StatusCode::UNAUTHORIZED, &body);
    }
    let body = "<p>It may have been cut off when it was copied. Open it again from the ad.</p>";
    page::html(StatusCode::UNAUTHORIZED, "This link does not work", body)
}

/// `t`, the token of an ad, in the query or in the form.
pub async fn answer(worker: &Worker, request: Request<Incoming>) -> Reply {
    let (head, incoming) = request.into_parts();
    let as_json = page::wants_json(&head.headers);
    let query = head.uri.query().unwrap_or_default().as_bytes();
    match head.method {
        Method::GET | Method::HEAD => return ask(worker, query, as_json),
        Method::POST => {}
        _ => return not_allowed("GET, HEAD, POST"),
    }
    let form = match read_form(worker, &head, incoming).await {
        Ok(form) => form,
        Err(status) => return super::worker::empty(status),
    };
    let parameters = NoticeQuery::parse(query).or(NoticeQuery::parse(&form));
    let opened = parameters.token.map(|text| worker.common.sealer.open(text));
    let Some(Ok(token)) = opened else {
        return no_such_link(as_json);
    };
    let Some(user) = token.user else {
        return told(as_json, StatusCode::OK, "nothing_known", NOTHING_KNOWN);
    };
    match change(&worker.common, user, Direction::Out, Source::Person).await {
        Ok(_) => told(as_json, StatusCode::OK, "opted_out", DONE),
        Err(error) => {
            tracing::warn!(%error, "an opt-out was not taken");
            let mut reply = told(as_json, StatusCode::SERVICE_UNAVAILABLE, "not_taken", NOT_TAKEN);
            reply
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("5"));
            reply
        }
    }
}

type Message = (&'static str, &'static str);

const DONE: Message = (
    "You have opted out",
    "It holds from now on. Nothing is looked up, counted, recorded or learnt under your id any more.",
);
const NOTHING_KNOWN: Message = (
    "There is nothing to stop",
    "No id of yours was used for this ad, so we cannot tell who saw it.",
);
const NOT_TAKEN: Message = (
    "Not done yet",
    "We could not write it down just now, so it does not hold. Please try again in a moment.",
);

fn told(as_json: bool, status: StatusCode, name: &str, (title, text): Message) -> Reply {
    if as_json {
        return page::json(status, &json!({"status": name, "message": text}));
    }
    page::html(status, title, &format!("<p>{text}</p>"))
}

/// The page behind a link: what it would do, and the button that does it.
fn ask(worker: &Worker, query: &[u8], as_json: bool) -> Reply {
    let text = NoticeQuery::parse(query).token.unwrap_or_default();
    let Ok(token) = worker.common.sealer.open(text) else {
        return no_such_link(as_json);
    };
    let opt_outs = &worker.common.live.opt_outs;
    let Some(user) = token.user else {
        return told(as_json, StatusCode::OK, "nothing_known", NOTHING_KNOWN);
    };
    if opt_outs.contains(user) {
        return told(as_json, StatusCode::OK, "opted_out", DONE);
    }
    if as_json {
        return page::json(StatusCode::OK, &json!({"status": "not_opted_out", "post": PATH}));
    }
    let body = format!("{EXPLANATION}{}", form("opt-out", text));
    page::html(StatusCode::OK, "Stop ads chosen for you?", &body)
}

/// What the admin API is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// `NAMESPACE:ID`.
    id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    OptOut,
    OptIn,
    Status,
}

/// `POST /api/v1/opt-out`, `/opt-in` and `/opt-out/status` of the admin address: `{"id": "buyeruid:u-000001"}`.
pub async fn administer(
    common: &Arc<Common>,
    action: Action,
    request: Request<Incoming>,
) -> (StatusCode, Value) {
    let (head, incoming) = request.into_parts();
    let limits = &common.settings.limits;
    let read = body::read(&head.headers, incoming, limits.body_bytes);
    let raw = match tokio::time::timeout(limits.read_timeout, read).await {
        Ok(Ok(raw)) => raw,
        Ok(Err(error)) => return wrong(error.status(), "the body could not be read"),
        Err(_) => return wrong(StatusCode::BAD_REQUEST, "the body did not come in time"),
    };
    let asked = serde_json::from_slice::<Asked>(&raw).ok();
    let Some((namespace, id)) = asked.as_ref().and_then(|asked| split_user_id(&asked.id)) else {
        let right = "send {\"id\": \"NAMESPACE:ID\"}, such as {\"id\": \"buyeruid:u-000001\"}";
        return wrong(StatusCode::BAD_REQUEST, right);
    };
    let user = UserKey::of(&common.snapshot.load().people.secret, namespace, id);
    let direction = match action {
        Action::Status => return (StatusCode::OK, status(common, user, None)),
        Action::OptOut => Direction::Out,
        Action::OptIn => Direction::In,
    };
    match change(common, user, direction, Source::Operator).await {
        Ok(new) => {
            // The id is personal; that there was a change, how and how far is for the audit.
            tracing::info!(?direction, ids = new, "opt-out list changed by an operator");
            (StatusCode::OK, status(common, user, Some(new)))
        }
        Err(error) => wrong(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("not taken: {error}; try again"),
        ),
    }
}

fn status(common: &Common, user: UserKey, changed: Option<usize>) -> Value {
    json!({
        "opted_out": common.live.opt_outs.contains(user),
        "has_profile": common.snapshot.load().people.profiles.get(user).is_some(),
        "ids_changed": changed,
        "ids_on_list": common.live.opt_outs.len(),
    })
}

fn wrong(status: StatusCode, what: &str) -> (StatusCode, Value) {
    (status, json!({ "error": what }))
}

/// For `user` and every id that the profile store knows to be the same person's. Returns for how many of them it is new.
async fn change(
    common: &Arc<Common>,
    user: UserKey,
    direction: Direction,
    source: Source,
) -> Result<usize, NotBooked> {
    let Some(desk) = common.books.desk() else {
        return Err(NotBooked::Closed);
    };
    let snapshot = common.snapshot.load_full();
    // Goes through the whole index of the store: not on a thread that bids.
    let keys = tokio::task::spawn_blocking(move || keys_of(&snapshot, user)).await;
    let change = Change {
        direction,
        source,
        at: clock::now(),
        place: EntryId::default(),
        keys: keys.unwrap_or_else(|_| vec![user]),
    };
    desk.change_opt_outs(change).await
}

fn keys_of(snapshot: &Snapshot, user: UserKey) -> Vec<UserKey> {
    let mut keys = snapshot.people.profiles.keys_beside(user);
    keys.retain(|key| *key != user);
    keys.insert(0, user);
    keys.truncate(Change::KEYS_MAX);
    keys
}
