//! What exchanges say of creatives in loss notices, through the wire: held back at once, shown, cleared, remembered.

use super::bidder::{Bidder, alone, banner, bid_request, outbid};
use super::configuration::{BEARER, Campaign};
use super::http::{self, Connection};
use outbid::openrtb::macros::{Macro, expand};
use serde_json::{Value, json};

/// Tells of a loss with this code, acknowledged.
fn lose(bidder: &Bidder, url: &str, code: &str) {
    let played = expand(url, |name| match name {
        Macro::Loss => Some(code),
        Macro::MinToWin => Some("7.5"),
        Macro::Currency => Some("USD"),
        _ => None,
    });
    let target = played.strip_prefix(super::configuration::PUBLIC_URL).unwrap();
    assert_eq!(bidder.ask(&http::get(target, &[])).status, 200, "{url}");
}

fn approvals(bidder: &Bidder) -> Vec<Value> {
    let report = bidder.look("/api/v1/approvals").json();
    report["approvals"].as_array().unwrap().clone()
}

fn post(bidder: &Bidder, body: &Value) -> http::Response {
    let request = http::post("/api/v1/approvals", &[], body.to_string().as_bytes());
    Connection::open(bidder.admin).ask(&request)
}

#[test]
fn a_creative_that_the_exchange_disapproves_of_is_not_offered_there_until_a_person_says_so() {
    let (folder, bidder) = alone(Campaign::new("judged"));
    let request = banner("judged", "u-000001");
    assert!(approvals(&bidder).is_empty());

    let offer = bidder.offer(&request).unwrap();
    lose(&bidder, offer.text("lurl"), "203");
    assert_eq!(approvals(&bidder)[0]["losses"], json!({"203 size": 1}));
    let offer = bidder.offer(&request).unwrap();
    for _ in 0..3 {
        lose(&bidder, offer.text("lurl"), "202");
    }
    let known = approvals(&bidder);
    assert_eq!(known.len(), 1);
    assert_eq!(
        (
            &known[0]["exchange"],
            &known[0]["creative"],
            &known[0]["state"],
            &known[0]["holds"]
        ),
        (
            &json!("open"),
            &json!("north-banner"),
            &json!("stopped"),
            &json!(true)
        )
    );
    let losses = json!({"202 creative_disapproved": 1, "203 size": 1});
    assert_eq!(
        known[0]["losses"], losses,
        "a loss that is told again counts once"
    );
    assert!(bidder.offer(&request).is_none());
    let explain = http::post(
        "/api/v1/explain?exchange=open",
        &[],
        request.to_string().as_bytes(),
    );
    let why = Connection::open(bidder.admin).ask(&explain).json();
    assert_eq!(why["outcome"]["reason"], "not_approved", "{why:#}");
    let bearer = format!("Bearer {BEARER}");
    let elsewhere = bid_request("closed", &[("Authorization", &bearer)], &request);
    assert!(
        bidder.ask(&elsewhere).json()["seatbid"][0]["bid"][0].is_object(),
        "elsewhere it is"
    );
    assert_eq!(bidder.metric("outbid_creatives_held{state=\"stopped\"}"), 1.0);
    assert_eq!(bidder.metric("outbid_losses_total{code=\"202\"}"), 1.0);

    // Neither a crash nor a restart forgets it.
    bidder.kill();
    let bidder = Bidder::start(&folder);
    assert!(bidder.offer(&request).is_none());
    assert!(bidder.stop().success());
    let bidder = Bidder::start(&folder);
    assert!(bidder.offer(&request).is_none());

    let listed = outbid()
        .args(["approvals", "--config"])
        .arg(folder.config())
        .arg("--admin")
        .arg(bidder.admin.to_string())
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.contains("north-banner") && listed.contains("stopped"),
        "{listed}"
    );

    let word = json!({"exchange": "open", "creative": "north-banner", "state": "approved"});
    assert_eq!(post(&bidder, &word).json()["status"], "cleared");
    assert_eq!(post(&bidder, &word).json()["status"], "unchanged");
    assert!(bidder.offer(&request).is_some());
    bidder.kill();
    let bidder = Bidder::start(&folder);
    assert!(bidder.offer(&request).is_some(), "the word is remembered too");
}

#[test]
fn a_pending_creative_waits_and_one_that_changes_is_offered_again() {
    let (folder, bidder) = alone(Campaign::new("waiting"));
    let request = banner("waiting", "u-000001");
    let [offer, other] = [(), ()].map(|()| bidder.offer(&request).unwrap());
    lose(&bidder, offer.text("lurl"), "201");
    assert!(bidder.offer(&request).is_none());
    assert_eq!(approvals(&bidder)[0]["state"], "waiting");
    let until = approvals(&bidder)[0]["until_ms"].as_i64().unwrap();
    let since = approvals(&bidder)[0]["since_ms"].as_i64().unwrap();
    assert_eq!(until - since, 15 * 60_000);

    let creatives = folder.read("creatives/north.toml").unwrap();
    folder.write(
        "creatives/north.toml",
        &creatives.replace("<a href", "<a title=\"new\" href"),
    );
    assert_eq!(bidder.reload().status, 200);
    assert!(bidder.offer(&request).is_some(), "the content is another one");
    lose(&bidder, other.text("lurl"), "202");
    assert!(
        bidder.offer(&request).is_some(),
        "what is said of the older content stops nothing"
    );
    assert_eq!(approvals(&bidder)[0]["holds"], false);
}

#[test]
fn losses_by_faults_of_ours_and_prices_above_the_bid_are_alarms() {
    let (_folder, bidder) = alone(Campaign::new("faulty"));
    assert_eq!(bidder.look("/api/v1/budgets").json()["alarms"], json!({}));
    let request = banner("faulty", "u-000001");
    for code in ["3", "3", "8", "102"] {
        lose(&bidder, bidder.offer(&request).unwrap().text("lurl"), code);
    }
    bidder.tell(bidder.offer(&request).unwrap().text("burl"), "9.00");
    let alarms = bidder.look("/api/v1/budgets").json()["alarms"].clone();
    let expected = json!({"price_above_bid": 1, "lost_invalid_response": 2, "lost_missing_creative_id": 1});
    assert_eq!(alarms, expected);
}

#[test]
fn a_word_on_nothing_that_is_known_is_refused_with_what_would_be_right() {
    let (_folder, bidder) = alone(Campaign::new("unsaid"));
    for (body, status, part) in [
        (
            json!({"exchange": "opne", "creative": "north-banner", "state": "approved"}),
            404,
            "no exchange `opne`",
        ),
        (
            json!({"exchange": "open", "creative": "north", "state": "approved"}),
            404,
            "no creative `north`",
        ),
        (
            json!({"exchange": "open", "creative": "north-banner", "state": "rejected"}),
            400,
            "approved",
        ),
        (json!({"exchange": "open"}), 400, "creative"),
        (json!([]), 400, "state"),
    ] {
        let answer = post(&bidder, &body);
        assert_eq!(answer.status, status, "{body}");
        assert!(answer.text().contains(part), "{}", answer.text());
    }
}
