//! Why a request gets the answer it gets: over the admin API, and on the terminal.

use super::bidder::{banner, outbid, shared};
use super::configuration::Campaign;
use super::http::{self, Connection, Response};
use serde_json::{Value, json};
use std::io::Write;

pub fn campaigns() -> Vec<Campaign> {
    vec![Campaign::new("explained")]
}

fn ask(exchange: &str, body: &[u8]) -> Response {
    let bidder = shared();
    let target = format!("/api/v1/explain?exchange={exchange}");
    Connection::open(bidder.admin).ask(&http::post(&target, &[], body))
}

fn explain(request: &Value) -> Value {
    let answer = ask("open", request.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn ours(explanation: &Value) -> Value {
    let items = explanation["imps"][0]["line_items"].as_array().unwrap();
    let found = items.iter().find(|item| item["id"] == "explained-1");
    found
        .unwrap_or_else(|| panic!("no explained-1 in {explanation:#}"))
        .clone()
}

#[test]
fn a_bid_is_explained_with_its_score_and_price() {
    let explanation = explain(&banner("explained", "u-000001"));
    assert_eq!(explanation["outcome"]["bids"], true);
    let item = ours(&explanation);
    assert_eq!(
        (&item["step"], &item["creative"]),
        (&json!("bid"), &json!("north-banner"))
    );
    let scored = &item["scored"];
    assert_eq!(
        (&scored["price_cpm"], &scored["floor_cpm"]),
        (&json!(5.0), &json!(0.0))
    );
    assert!(scored["p_click"].as_f64().unwrap() > 0.0);
    let moved = scored["moved_most_by"].as_array().unwrap();
    assert!(!moved.is_empty() && moved[0]["feature"].is_string());
    let others = explanation["imps"][0]["line_items"].as_array().unwrap();
    let untargeted = others.iter().find(|item| item["id"] != "explained-1").unwrap();
    assert_eq!(
        (&untargeted["step"], &untargeted["reason"]),
        (&json!("not_targeted"), &json!("site"))
    );
}

#[test]
fn every_kind_of_no_bid_is_explained() {
    type Edit = fn(&mut Value);
    // What is wrong, the reason of the whole request, and the step at which the line item fell out where it was looked at.
    let cases: [(Edit, &str, Option<&str>); 9] = [
        (
            |r| r["imp"][0]["bidfloor"] = json!(9.0),
            "below_floor",
            Some("below_floor"),
        ),
        (
            |r| r["badv"] = json!(["north.example"]),
            "blocked_advertiser",
            Some("blocked_advertiser"),
        ),
        (
            |r| r["bcat"] = json!(["IAB3"]),
            "blocked_category",
            Some("blocked_category"),
        ),
        (
            |r| r["imp"][0]["pmp"] = json!({"private_auction": 1}),
            "private_auction",
            Some("private_auction"),
        ),
        (|r| r["wlang"] = json!(["fr"]), "language", Some("language")),
        (|r| r["wseat"] = json!(["other"]), "seat", None),
        (|r| r["cur"] = json!(["XTS"]), "currency", None),
        (
            |r| r["device"]["ua"] = json!("Googlebot/2.1 (+http://www.google.com/bot.html)"),
            "crawler",
            None,
        ),
        (|r| r["tmax"] = json!(1), "too_late", Some("")),
    ];
    for (edit, reason, fate) in cases {
        let mut request = banner("explained", "u-000001");
        edit(&mut request);
        let explanation = explain(&request);
        assert_eq!(explanation["outcome"]["reason"], reason, "{explanation:#}");
        match fate {
            Some("") => {}
            Some(fate) => assert_eq!(ours(&explanation)["reason"], fate),
            None => assert_eq!(explanation["imps"][0]["line_items"], json!([]), "{reason}"),
        }
    }
}

#[test]
fn consent_is_explained() {
    let mut request = banner("explained", "u-000001");
    request["regs"] = json!({"gdpr": 1});
    let explanation = explain(&request);
    assert_eq!(
        (
            &explanation["personal_data"],
            &explanation["consent_decided_by"],
            &explanation["user_known"]
        ),
        (&json!(false), &json!("gdpr"), &json!(false))
    );
}

#[test]
fn a_malformed_request_is_explained_by_what_would_be_right() {
    for (body, expected) in [
        (
            r#"{"imp":[{"id":"1"}]}"#,
            "`id` is missing: it must be a non-empty string",
        ),
        (
            r#"{"id":"r","imp":[{"id":"1","bidfloor":-1}]}"#,
            "`imp.bidfloor` cannot be used",
        ),
        ("{", "one JSON document"),
    ] {
        let answer = ask("open", body.as_bytes());
        assert_eq!(answer.status, 400);
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(ask("nobody", b"{}").status, 404);
}

#[test]
fn the_terminal_shows_what_became_of_each_line_item() {
    let bid = run(&banner("explained", "u-000001"), &[]);
    for part in [
        "at open: bids in USD",
        "BID with north-banner",
        "5.0000",
        "--all shows them",
    ] {
        assert!(bid.contains(part), "{part}:\n{bid}");
    }
    let mut request = banner("explained", "u-000001");
    request["wseat"] = json!(["other"]);
    let refused = run(&request, &["--all"]);
    assert!(
        refused.contains("no bid: seat") && refused.contains("refused as a whole"),
        "{refused}"
    );
    let malformed = run(&json!({"id": "r"}), &[]);
    assert!(
        malformed.contains("malformed") && malformed.contains("`imp` is missing"),
        "{malformed}"
    );
}

/// What `outbid explain` prints, on either output.
fn run(request: &Value, more: &[&str]) -> String {
    let bidder = shared();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(request.to_string().as_bytes()).unwrap();
    let output = outbid()
        .arg("explain")
        .arg(file.path())
        .args(["--exchange", "open", "--admin", &bidder.admin.to_string()])
        .args(more)
        .arg("--config")
        .arg(bidder.folder.config())
        .output()
        .unwrap();
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
