//! `certify` judged: by servers that cannot pass, and by a bidder that keeps its rules until one is switched off.

#[path = "certify/server.rs"]
mod server;
#[path = "certify/toy.rs"]
mod toy;

use outbid::certify::{Address, Report, Settings, certify};
use serde_json::{Value, json};
use server::{Reply, Server};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use toy::{Rule, Toy};

#[test]
fn a_server_that_never_bids_is_not_certified_and_passes_nothing() {
    let report = run(Server::start(|_| Reply::status(204)), "");
    assert!(!report.passed());
    assert!(report.found.is_empty());
    assert_eq!(outcomes(&report, "pass"), [""; 0]);
}

#[test]
fn a_server_that_refuses_everything_is_not_certified_and_passes_nothing() {
    let report = run(Server::start(|_| Reply::status(400)), "");
    assert!(!report.passed());
    assert_eq!(outcomes(&report, "pass"), [""; 0]);
}

#[test]
fn a_server_that_breaks_down_is_not_certified_and_passes_nothing() {
    let report = run(Server::start(|_| Reply::status(500)), "");
    assert!(!report.passed());
    assert_eq!(outcomes(&report, "pass"), [""; 0]);
}

#[test]
fn a_server_that_always_bids_the_same_fails_every_rule_that_forbids_a_bid() {
    let bid = toy::bid(
        &json!({"id": "fixed", "imp": [{"id": "1"}]}),
        "1",
        2.0,
        "http://127.0.0.1:1",
    );
    let report = run(Server::start(move |_| Reply::json(&bid)), "");
    assert!(!report.passed());
    let failed = outcomes(&report, "fail");
    for id in [
        "response.id",
        "request.id.quotes",
        "request.cur.unknown",
        "request.tmax.tiny",
        "blocks.badv.exact",
        "blocks.bcat.exact",
        "blocks.wseat.other",
        "imp.floor.banner",
        "imp.id.digits",
        "imp.secure.banner",
        "banner.size.mismatch",
        "deals.private.unknown",
        "body.truncated",
        "body.imp.missing",
        "transport.get",
        "transport.no-bid",
    ] {
        assert!(
            failed.contains(&id),
            "{id} should fail: {:?}",
            reason(&report, id)
        );
    }
}

#[test]
fn a_bidder_that_falls_silent_passes_no_rule_that_forbids_a_bid() {
    // Enough for the search for requests, not for the cases.
    let left = AtomicUsize::new(20);
    let toy = Toy::default();
    let server = Server::start(move |request| {
        let bids = left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok();
        if bids {
            toy.answer(request)
        } else {
            Reply::status(204)
        }
    });
    let report = run(server, "blocks.badv");
    assert!(!report.found.is_empty());
    assert!(!report.passed());
    assert_eq!(outcomes(&report, "pass"), [""; 0]);
    assert!(reason(&report, "blocks.badv.exact").contains("twin"));
}

#[test]
fn a_bidder_that_keeps_its_rules_passes_them() {
    let report = run(Server::start(|request| Toy::default().answer(request)), "");
    for rule in Rule::ALL {
        for id in rule.cases() {
            assert_eq!(outcome(&report, id), "pass", "{id}: {}", reason(&report, id));
        }
    }
}

#[test]
fn each_rule_that_is_switched_off_fails_its_own_cases() {
    for rule in Rule::ALL {
        let toy = Toy::without(rule);
        let server = Server::start(move |request| toy.answer(request));
        let settings = settings(&server);
        let report = certify(&settings, |case| rule.cases().contains(&case.id));
        for id in rule.cases() {
            assert_eq!(
                outcome(&report, id),
                "fail",
                "{rule:?} is off: {id}: {}",
                reason(&report, id)
            );
        }
        assert!(!report.passed());
    }
}

#[test]
fn what_cannot_be_provoked_is_not_tested() {
    let report = run(Server::start(|request| Toy::default().answer(request)), "");
    for id in [
        "audio.mimes.unknown",
        "deals.known.echo",
        "money.bill",
        "banner.battr",
        "video.battr",
    ] {
        assert_eq!(outcome(&report, id), "not tested", "{id}");
    }
}

#[test]
fn a_report_says_of_each_failure_what_was_sent_and_what_came() {
    let toy = Toy::without(Rule::Floor);
    let report = run(
        Server::start(move |request| toy.answer(request)),
        "imp.floor.banner",
    );
    let json = report.to_json();
    assert_eq!(json["passed"], false);
    let case = &json["cases"][0];
    assert_eq!(case["outcome"], "fail");
    assert!(case["request"].as_str().unwrap().contains("\"bidfloor\""));
    assert!(case["answer"].as_str().unwrap().contains("\"price\""));
    let table = report.to_string();
    assert!(
        table.contains("FAIL imp.floor.banner") && table.ends_with("FAILED"),
        "{table}"
    );
}

#[test]
fn credentials_are_sent_and_stay_out_of_the_report() {
    let toy = Toy::without(Rule::Floor);
    let server = Server::start(move |request| match request.header("authorization") {
        Some("Bearer secret") => toy.answer(request),
        _ => Reply::status(401),
    });
    let mut settings = settings(&server);
    settings.headers = vec![("Authorization".into(), "Bearer secret".into())];
    let report = certify(&settings, |case| case.id == "imp.floor.banner");
    assert_eq!(outcome(&report, "imp.floor.banner"), "fail");
    assert!(!report.to_json().to_string().contains("secret"));
}

#[test]
fn protobuf_is_tested_where_it_is_spoken() {
    const CASES: &str = "transport.protobuf.";
    let is_protobuf = |request: &server::Request| {
        request
            .header("content-type")
            .is_some_and(|kind| kind.contains("protobuf"))
    };
    let without = Server::start(move |request| {
        if is_protobuf(request) {
            Reply::status(415)
        } else {
            Toy::default().answer(request)
        }
    });
    let report = run(without, CASES);
    let not_tested = outcomes(&report, "not tested");
    assert!(not_tested.len() >= 20 && not_tested.len() == report.results.len());

    // JSON to protobuf, and bids on bodies that are no message.
    let bid = toy::bid(
        &json!({"id": "r", "imp": [{"id": "1"}]}),
        "1",
        2.0,
        "http://127.0.0.1:1",
    );
    let deaf = Server::start(move |request| {
        if is_protobuf(request) {
            Reply::json(&bid)
        } else {
            Toy::default().answer(request)
        }
    });
    let report = run(deaf, CASES);
    for id in [
        "answer",
        "content",
        "no-bid",
        "truncated",
        "length",
        "varint",
        "tag",
        "empty",
        "json",
        "floor.negative",
    ] {
        let id = format!("{CASES}{id}");
        assert_eq!(outcome(&report, &id), "fail", "{id}: {}", reason(&report, &id));
    }
}

fn settings(server: &Server) -> Settings {
    Settings {
        url: Address::parse(&format!("http://{}/bid", server.address)).unwrap(),
        headers: Vec::new(),
        notices: None,
        admin: None,
        admin_token: None,
        deals: Vec::new(),
        test: false,
        timeout: Duration::from_secs(20),
        run: 7,
    }
}

/// All cases whose id begins with `prefix`, but the few of megabytes: they are tried on the real server.
fn run(server: Server, prefix: &str) -> Report {
    let large = ["transport.gzip.bomb", "transport.size.oversized"];
    certify(&settings(&server), |case| {
        case.id.starts_with(prefix) && !large.contains(&case.id)
    })
}

fn outcomes<'r>(report: &'r Report, outcome: &str) -> Vec<&'r str> {
    report
        .results
        .iter()
        .filter(|result| result.outcome() == outcome)
        .map(|result| result.id)
        .collect()
}

fn outcome(report: &Report, id: &str) -> &'static str {
    report
        .results
        .iter()
        .find(|result| result.id == id)
        .map_or("absent", |result| result.outcome())
}

fn reason<'r>(report: &'r Report, id: &str) -> &'r str {
    report
        .results
        .iter()
        .find(|result| result.id == id)
        .map_or("", |result| result.reason())
}

/// Read here and in the toy alike.
fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
