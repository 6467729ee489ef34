//! The admin address: health, metrics, budgets, and who may see them.

use super::bidder::{Bidder, banner, outbid, shared, until};
use super::configuration::{Campaign, Folder};
use super::http::{self, Connection};
use super::openmetrics;
use serde_json::json;

const TOKEN: &str = "a-token-for-operators";

pub fn campaigns() -> Vec<Campaign> {
    vec![Campaign::new("counted")]
}

#[test]
fn a_bidder_that_bids_is_healthy_and_ready() {
    let bidder = shared();
    for (target, expected) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let page = bidder.look(target);
        assert_eq!((page.status, page.text()), (200, expected));
    }
    assert_eq!(bidder.look("/nothing").status, 404);
    let posted = Connection::open(bidder.admin).ask(&http::post("/metrics", &[], b""));
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET")));
    let got = bidder.look("/api/v1/reload");
    assert_eq!((got.status, got.header("allow")), (405, Some("POST")));
}

#[test]
fn metrics_count_what_happened_in_the_openmetrics_format() {
    let bidder = shared();
    let before = openmetrics::parse(bidder.look("/metrics").text());
    bidder.offer(&banner("counted", "u-000001")).unwrap();
    assert!(bidder.offer(&banner("nobody", "u-000001")).is_none());
    assert_eq!(bidder.request("open", &json!([])).status, 400);
    assert_eq!(bidder.request("unknown", &json!({})).status, 401);
    let page = bidder.look("/metrics");
    assert_eq!(
        page.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let after = openmetrics::parse(page.text());
    for (name, least) in [
        ("outbid_requests_total", 4.0),
        ("outbid_requests_answered_total", 1.0),
        ("outbid_bids_total", 1.0),
        ("outbid_no_bids_total", 1.0),
        ("outbid_no_bids_by_reason_total{reason=\"unmatched\"}", 1.0),
        ("outbid_requests_malformed_total", 1.0),
        ("outbid_requests_refused_total", 1.0),
        ("outbid_profile_lookups_total", 2.0),
        ("outbid_profile_hits_total", 2.0),
        ("outbid_candidates_scored_total", 1.0),
        ("outbid_connections_opened_total", 4.0),
    ] {
        assert!(after[name] - before[name] >= least, "{name}: {}", after[name]);
    }
    assert_eq!(after["outbid_bid_records_dropped_total"], 0.0);
    assert_eq!(after["outbid_books_open"], 1.0);
    assert_eq!(after["outbid_profiles"], 2000.0);
    assert!(after["outbid_reserved{kind=\"line_item\",id=\"counted-1\"}"] > 0.0);
    assert!(after.contains_key("outbid_spent{kind=\"campaign\",id=\"counted\"}"));
    // Histograms are handed over about once a second.
    for stage in ["read", "parse", "target", "score", "price", "write", "total"] {
        let name = format!("outbid_stage_seconds_count{{stage=\"{stage}\"}}");
        until(&name, || (bidder.metric(&name) >= 1.0).then_some(()));
    }
}

#[test]
fn an_admin_address_that_others_can_reach_needs_a_token() {
    let folder = Folder::new().with_campaign(Campaign::new("guarded"));
    let refused = outbid()
        .args(["serve", "--admin", "0.0.0.0:0", "--config"])
        .arg(folder.config())
        .output()
        .unwrap();
    assert!(!refused.status.success());
    assert!(
        String::from_utf8(refused.stderr)
            .unwrap()
            .contains("OUTBID_ADMIN_TOKEN")
    );

    let bidder = Bidder::start_with(&folder, |command| {
        command
            .args(["--admin", "0.0.0.0:0"])
            .env("OUTBID_ADMIN_TOKEN", TOKEN);
    });
    let right = format!("Bearer {TOKEN}");
    for target in ["/metrics", "/api/v1/budgets", "/nothing"] {
        for (authorization, may) in [
            (None, false),
            (Some("Bearer a-token-for-nobody.."), false),
            (Some(&*right), true),
        ] {
            let headers = authorization.map(|value| ("Authorization", value));
            let answer = Connection::open(bidder.admin).ask(&http::get(target, headers.as_slice()));
            assert_eq!(answer.status != 401, may, "{target} {authorization:?}");
            assert_eq!(answer.header("www-authenticate").is_some(), !may);
        }
    }
    let reload = Connection::open(bidder.admin).ask(&http::post("/api/v1/reload", &[], b""));
    assert_eq!(reload.status, 401);
    for target in ["/healthz", "/readyz"] {
        assert_eq!(bidder.look(target).status, 200, "{target} is for load balancers");
    }
}
