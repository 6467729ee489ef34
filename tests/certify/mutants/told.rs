//! Rules of notices, clicks and the books.

use super::carried::BANNER;
use super::{Mutant, mutant};
use crate::proxy::Twist::Http;
use crate::proxy::{Behind, is_bid_request};
use crate::server::{Reply, Request};

pub fn mutants() -> Vec<Mutant> {
    [taken(), prices(), forged(), books()]
        .into_iter()
        .flatten()
        .collect()
}

fn taken() -> Vec<Mutant> {
    vec![
        mutant(
            "notices by POST",
            Http(|behind, request| {
                if is_notice(&request) && request.method == "POST" {
                    return Reply::status(405);
                }
                behind.pass(&request)
            }),
            &[
                "notices.win.post",
                "notices.bill.post",
                "notices.loss.post",
                "notices.post.body",
            ],
        ),
        mutant(
            "GET and POST alone for notices",
            Http(|behind, mut request| {
                if request.method == "DELETE" {
                    request.method = "GET".into();
                }
                behind.pass(&request)
            }),
            &["notices.other-method"],
        ),
        mutant(
            "200 or 204 for a notice that was taken",
            Http(|behind, request| {
                let notice = is_notice(&request);
                let reply = behind.pass(&request);
                if notice && reply.status == 200 {
                    Reply::status(202)
                } else {
                    reply
                }
            }),
            &[
                "notices.win.get",
                "notices.bill.get",
                "notices.loss.get",
                "notices.impression",
            ],
        ),
        mutant(
            "losses",
            Http(|behind, request| match path(&request) {
                "/n/loss" => Reply::status(404),
                _ => behind.pass(&request),
            }),
            &[
                "notices.loss.get",
                "notices.loss.post",
                "notices.twice.loss",
                "notices.loss.price",
            ],
        ),
        mutant(
            "impressions that the markup reports",
            Http(|behind, request| match path(&request) {
                "/n/imp" => Reply::status(404),
                _ => behind.pass(&request),
            }),
            &["notices.impression"],
        ),
        mutant(
            "no markup on a win",
            Http(|behind, request| {
                let win = path(&request) == "/n/win";
                let mut reply = behind.pass(&request);
                if win {
                    reply.body = b"<a href='https://brand.example/'>Brand</a>".to_vec();
                }
                reply
            }),
            &["notices.win.markup"],
        ),
        mutant(
            "parameters that nobody knows",
            Http(|behind, request| {
                if request.target.contains("&certify=") {
                    return Reply::status(400);
                }
                behind.pass(&request)
            }),
            &["notices.parameters.more"],
        ),
    ]
}

fn prices() -> Vec<Mutant> {
    vec![
        mutant(
            "AUDIT as a price",
            Http(|behind, request| refuse_value(behind, request, "p=AUDIT")),
            &["notices.price.audit"],
        ),
        mutant(
            "prices in scientific notation",
            Http(|behind, request| {
                let price = value(&request, "p").unwrap_or_default().to_owned();
                let scientific =
                    price.starts_with(|c: char| c.is_ascii_digit()) && price.contains(['e', 'E']);
                if scientific {
                    Reply::status(400)
                } else {
                    behind.pass(&request)
                }
            }),
            &["notices.price.scientific", "notices.price.scientific-plus"],
        ),
        mutant(
            "prices that are percent-encoded",
            Http(|behind, request| {
                if value(&request, "p").is_some_and(|price| price.starts_with("1%2E")) {
                    return Reply::status(400);
                }
                behind.pass(&request)
            }),
            &["notices.price.percent"],
        ),
        mutant(
            "macros that were not replaced",
            Http(|behind, request| refuse_value(behind, request, "AUCTION_PRICE")),
            &["notices.price.unreplaced"],
        ),
        mutant(
            "no server error for a price that is none",
            Http(|behind, request| {
                let price = value(&request, "p").unwrap_or_default();
                if !price.is_empty() && price.parse::<f64>().is_err() {
                    return Reply::status(500);
                }
                behind.pass(&request)
            }),
            &["notices.price.garbage"],
        ),
    ]
}

fn forged() -> Vec<Mutant> {
    vec![
        mutant(
            "the seal of a notice",
            Http(|behind, request| {
                let notice = is_notice(&request);
                let reply = behind.pass(&request);
                if notice && reply.status == 401 {
                    Reply::status(200)
                } else {
                    reply
                }
            }),
            &[
                "notices.forged.win",
                "notices.forged.bill",
                "notices.forged.loss",
                "notices.forged.truncated",
                "notices.forged.missing",
                "notices.forged.garbage",
            ],
        ),
        mutant(
            "the seal of a click",
            Http(|behind, request| {
                let click = path(&request) == "/n/click";
                let reply = behind.pass(&request);
                if click && reply.status == 401 {
                    return leading_to("https://brand.example/");
                }
                reply
            }),
            &["notices.click.forged"],
        ),
        mutant(
            "clicks to the landing page alone",
            Http(|behind, request| match value(&request, "url") {
                Some(url) => leading_to(&url.replace("%3A", ":").replace("%2F", "/")),
                None => behind.pass(&request),
            }),
            &["notices.click.open"],
        ),
        mutant(
            "clicks that lead on",
            Http(|behind, request| match path(&request) {
                "/n/click" => Reply::status(200),
                _ => behind.pass(&request),
            }),
            &["notices.click", "notices.click.twice"],
        ),
    ]
}

/// A fresh bid of the request that came last would be billed; the proxy remembers none, so it asks for one.
fn books() -> Vec<Mutant> {
    vec![
        mutant(
            "money for a billing notice",
            Http(|behind, request| match path(&request) {
                "/n/bill" => Reply::status(200),
                _ => behind.pass(&request),
            }),
            &["money.bill", "money.bill.twice", "money.unreplaced"],
        ),
        mutant(
            "each bid billed once",
            Http(|behind, request| {
                // A notice by POST comes again in the case; for it another bid is billed.
                if path(&request) == "/n/bill" && request.method == "POST" {
                    bill_another(behind);
                }
                behind.pass(&request)
            }),
            &["money.bill.twice"],
        ),
        mutant(
            "AUDIT as no price",
            Http(|behind, mut request| {
                request.target = request.target.replace("p=AUDIT", "p=1.25");
                behind.pass(&request)
            }),
            &["money.audit"],
        ),
        mutant(
            "money for a price that was not replaced",
            Http(|behind, request| {
                if path(&request) == "/n/bill" && request.target.contains("AUCTION_PRICE") {
                    return Reply::status(200);
                }
                behind.pass(&request)
            }),
            &["money.unreplaced"],
        ),
        mutant(
            "no money for a win",
            Http(|behind, mut request| {
                request.target = request.target.replace("/n/win", "/n/bill");
                behind.pass(&request)
            }),
            &["money.win"],
        ),
        mutant(
            "no money for a loss",
            Http(|behind, mut request| {
                request.target = request.target.replace("/n/loss", "/n/bill");
                behind.pass(&request)
            }),
            &["money.loss"],
        ),
        mutant(
            "no money for a forged notice",
            Http(|behind, request| {
                let bill = path(&request) == "/n/bill";
                let reply = behind.pass(&request);
                if bill && reply.status == 401 {
                    bill_another(behind);
                }
                reply
            }),
            &["money.forged"],
        ),
    ]
}

fn is_notice(request: &Request) -> bool {
    !is_bid_request(request) && request.target.starts_with("/n/")
}

fn path(request: &Request) -> &str {
    request.target.split('?').next().unwrap_or_default()
}

fn value<'r>(request: &'r Request, key: &str) -> Option<&'r str> {
    let (_, query) = request.target.split_once('?')?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
}

fn refuse_value(behind: &Behind, request: Request, text: &str) -> Reply {
    if is_notice(&request) && request.target.contains(text) {
        return Reply::status(400);
    }
    behind.pass(&request)
}

fn leading_to(url: &str) -> Reply {
    Reply {
        headers: vec![("Location".into(), url.into())],
        ..Reply::status(302)
    }
}

/// Bids for a stranger's banner, and bills that.
fn bill_another(behind: &Behind) {
    let bid = behind.bid(&Request {
        method: "POST".into(),
        target: "/openrtb2/demo".into(),
        headers: Vec::new(),
        body: BANNER.to_vec(),
    });
    let url = bid["burl"].as_str().expect("a bid with a billing notice");
    let target = url
        .trim_start_matches("http://bid.example")
        .replace("${AUCTION_PRICE}", "1.25");
    let reply = behind.pass(&Request {
        method: "GET".into(),
        target: target
            .replace("${AUCTION_CURRENCY}", "USD")
            .replace("${AUCTION_MULTIPLIER}", "1"),
        headers: Vec::new(),
        body: Vec::new(),
    });
    assert_eq!(reply.status, 200);
}
