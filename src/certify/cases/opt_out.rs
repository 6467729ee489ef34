//! Section 7.5 and the Outbid API: a person who opts out, by an operator (`--admin`) or by the link of an ad.
//!
//! Invariant: that somebody is not known any more is shown only where the page of an ad (`/why/`) has said before that they were.

use super::notices::deliver;
use super::tokens::token_text;
use crate::certify::Flaw;
use crate::certify::answer::{Answer, Bid};
use crate::certify::case::{Case, Section, Verdict, ensure, fails, not_tested};
use crate::certify::client::Call;
use crate::certify::stage::{Base, Format, Stage};
use serde_json::{Value, json};

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "privacy.opt-out.operator",
            "who is opted out by an operator is gone at the next request",
            |stage| {
                let (request, _) = known_person(stage)?;
                let buyer = request["user"]["buyeruid"].as_str().unwrap_or_default();
                let body = json!({"id": format!("buyeruid:{buyer}")})
                    .to_string()
                    .into_bytes();
                let answer = administer(stage, &Call::post("/api/v1/opt-out", body))?;
                ensure(
                    answer.status() == 200 && answer.json.is_some_and(|json| json["opted_out"] == true),
                    || "the admin API did not say `opted_out: true`".into(),
                )?;
                is_gone(stage, &request)
            },
        ),
        case(
            "privacy.opt-out.link",
            "who opts out by the link of an ad is gone at the next request",
            |stage| {
                let (request, bid) = known_person(stage)?;
                let (url, form) = link(&bid)?;
                let call = Call::post("", form).with("Content-Type", "application/x-www-form-urlencoded");
                let answer = deliver(stage, &call, &url)?;
                ensure(answer.status() == 200, || {
                    format!("the opt-out was answered {}", answer.status())
                })?;
                is_gone(stage, &request)
            },
        ),
        case(
            "privacy.opt-out.get",
            "following the link of an ad opts nobody out",
            |stage| {
                let (request, bid) = known_person(stage)?;
                let (url, form) = link(&bid)?;
                let query = String::from_utf8_lossy(&form).into_owned();
                deliver(stage, &Call::get(""), &format!("{url}?{query}"))?;
                ensure(is_known(stage, &request)? == Some(true), || {
                    "a GET opted somebody out: scanners and browsers follow links by themselves".into()
                })
            },
        ),
        case(
            "privacy.opt-out.forged",
            "a forged link opts nobody out",
            |stage| {
                let (request, bid) = known_person(stage)?;
                let (url, mut form) = link(&bid)?;
                let middle = form.len() / 2;
                form[middle] = if form[middle] == b'A' { b'B' } else { b'A' };
                let call = Call::post("", form).with("Content-Type", "application/x-www-form-urlencoded");
                let answer = deliver(stage, &call, &url)?;
                ensure(matches!(answer.status(), 400..=499), || {
                    format!("a forged link was answered {}", answer.status())
                })?;
                ensure(is_known(stage, &request)? == Some(true), || {
                    "a forged link opted somebody out".into()
                })
            },
        ),
    ]
}

fn case(id: &'static str, title: &'static str, run: impl Fn(&Stage) -> Verdict + 'static) -> Case {
    Case::new(Section::Privacy, id, "7.5", title, move |stage| {
        match &stage.settings.admin {
            None => not_tested("this is the API of an Outbid, whose --admin is not given"),
            Some(_) => run(stage),
        }
    })
}

/// A request that is bid on with the person's id, and the bid.
fn known_person(stage: &Stage) -> Result<(Value, Bid), Flaw> {
    let base = stage.base(Format::Banner)?;
    let (request, bid) = stage.fresh_bid(base)?;
    match explained(stage, &bid)?["id_used"].as_bool() {
        Some(true) => Ok((request, bid)),
        _ => not_tested("bids are made without an id of the user in any case"),
    }
}

/// With the edit a bid is made without an id of the user, though one is used without it.
pub(super) fn uses_no_id(stage: &Stage, base: &Base, edit: impl Fn(&mut Value)) -> Verdict {
    let (_, bid) = stage.fresh_bid(base)?;
    if explained(stage, &bid)?["id_used"] != true {
        return not_tested("bids are made without an id of the user in any case");
    }
    let mut request = stage.fresh(&base.request);
    edit(&mut request);
    match stage.ask(&request)?.bids().first() {
        Some(bid) => ensure(explained(stage, bid)?["id_used"] == false, || {
            "an id of the user was used all the same".into()
        }),
        None => not_tested("there is no bid without an id of the user"),
    }
}

/// Whether the next bid for the person of a request knows them; `None` where there is no bid.
fn is_known(stage: &Stage, request: &Value) -> Result<Option<bool>, Flaw> {
    let mut request = request.clone();
    request["id"] = stage.fresh(&request)["id"].clone();
    match stage.ask(&request)?.bids().first() {
        Some(bid) => Ok(explained(stage, bid)?["id_used"].as_bool()),
        None => Ok(None),
    }
}

fn is_gone(stage: &Stage, request: &Value) -> Verdict {
    ensure(is_known(stage, request)? != Some(true), || {
        "the next bid still uses an id of the person".into()
    })
}

/// What the page of a bid's ad says, as JSON.
fn explained(stage: &Stage, bid: &Bid) -> Result<Value, Flaw> {
    let (base, token) = base_and_token(bid)?;
    let call = Call::get("").with("Accept", "application/json");
    let answer = deliver(stage, &call, &format!("{base}/why/{token}"))?;
    match (answer.status(), answer.json) {
        (200, Some(json)) => Ok(json),
        (status, _) => fails(format!("/why/ of an ad was answered {status}")),
    }
}

/// Where the opt-out of a bid's ad goes, and the form that it takes.
fn link(bid: &Bid) -> Result<(String, Vec<u8>), Flaw> {
    let (base, token) = base_and_token(bid)?;
    Ok((format!("{base}/v1/opt-out"), format!("t={token}").into_bytes()))
}

/// What stands before `/n/` in a notice URL, and its token.
fn base_and_token(bid: &Bid) -> Result<(String, String), Flaw> {
    let urls = ["burl", "nurl", "lurl"].map(|key| bid.text(key));
    let found = urls
        .iter()
        .find_map(|url| Some((url.split_once("/n/")?.0.to_owned(), token_text(url)?.to_owned())));
    found.map_or_else(|| not_tested("no notice URL of the bid has a token"), Ok)
}

fn administer(stage: &Stage, call: &Call) -> Result<Answer, Flaw> {
    let Some(admin) = &stage.settings.admin else {
        return not_tested("this is the API of an Outbid, whose --admin is not given");
    };
    let mut call = call.clone();
    if let Some(token) = &stage.settings.admin_token {
        call = call.with("Authorization", &format!("Bearer {token}"));
    }
    stage
        .try_send_to(&admin.authority, &call)
        .or_else(|error| not_tested(format!("the admin API at {admin} does not answer: {error}")))
}
