//! The exchange against small bidders: notices with their macros replaced, trackers fired, bad bids refused by reason.

use crate::server::{Reply, Request, Server, serve};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

/// What a bidder of one test does.
type Bidder = fn(&Value) -> Value;

/// A bidder whose notices come back to itself; `notice` answers them.
fn bidder(bid: Bidder, notice: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
    let base: &'static OnceLock<String> = Box::leak(Box::default());
    let server = serve(move |request| {
        if request.path != "/bid" {
            return notice(request);
        }
        let asked: Value = serde_json::from_str(&request.body).expect("JSON");
        let text = json!({"id": asked["id"], "bidid": "b", "cur": "USD", "seatbid": [{"seat": "s", "bid": [bid(&asked)]}]});
        let base = base.get().map(String::as_str).unwrap_or_default();
        Reply::Answer(200, "", text.to_string().replace("BASE", base))
    });
    base.set(format!("http://{}", server.address)).expect("set once");
    server
}

fn accept(request: &Request) -> Reply {
    match request.path.starts_with("/n/click") {
        true => Reply::Answer(
            302,
            "Location: https://shop.example/?outbid_token=TOKEN\r\n",
            String::new(),
        ),
        false => Reply::Answer(200, "", String::new()),
    }
}

/// A good bid on the first imp, as high as no rival goes, with every notice.
fn good_bid(asked: &Value) -> Value {
    let (w, h) = (
        asked["imp"][0]["banner"]["w"].clone(),
        asked["imp"][0]["banner"]["h"].clone(),
    );
    json!({"id": "1", "impid": asked["imp"][0]["id"], "price": 500, "crid": "c", "adid": "a", "cat": ["IAB2"],
        "adomain": ["cars.example"], "w": w, "h": h, "mtype": 1,
        "adm": "<a href='BASE/n/click?t=T'><img src='https://cdn.example/x.png'></a><img src='BASE/n/imp?p=${AUCTION_PRICE}'>",
        "nurl": "BASE/n/win?p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}&i=${AUCTION_ID}",
        "burl": "BASE/n/bill?p=${AUCTION_PRICE}&x=${AUCTION_MULTIPLIER}",
        "lurl": "BASE/n/loss?l=${AUCTION_LOSS}&m=${AUCTION_MIN_TO_WIN}"})
}

/// Replays requests, each as often as asked, and returns exit code and summary.
fn play(server: &Server, requests: &[Value], count: usize, more: &[&str]) -> (i32, Value) {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("requests.ndjson");
    let lines: Vec<String> = requests.iter().map(Value::to_string).collect();
    std::fs::write(&file, lines.join("\n")).expect("a file");
    run(&file, &server.url(), count, more)
}

fn run(file: &Path, url: &str, count: usize, more: &[&str]) -> (i32, Value) {
    let duration = (count as f64 / 2000.0).to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_load-test"))
        .args(["--url", url, "--requests"])
        .arg(file)
        .args([
            "--rate",
            "2000",
            "--duration",
            &duration,
            "--timeout-ms",
            "20000",
            "--connections",
            "4",
        ])
        .args(["--auction", "--json"])
        .args(more)
        .output()
        .expect("the binary was built");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let summary = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().expect("an exit code"), summary)
}

fn banner_request(at: u32) -> Value {
    json!({"id": "r", "at": at, "imp": [{"id": "1", "banner": {"w": 300, "h": 250}, "bidfloor": 0.5}],
        "user": {"buyeruid": "u-000001"}, "site": {"domain": "site.example"}})
}

fn query<'a>(path: &'a str, name: &str) -> &'a str {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let found = query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("{name} in {path}"))
}

#[test]
fn winners_get_win_and_bill_and_their_pixel_with_one_price_and_pay_it() {
    let server = bidder(good_bid, accept);
    let (code, summary) = play(&server, &[banner_request(1), banner_request(2)], 400, &[]);
    assert_eq!(code, 0, "{summary}");
    let auction = &summary["auction"];
    assert_eq!(
        (&auction["auctions"], &auction["wins"], &auction["losses"]),
        (&json!(400), &json!(400), &json!(0))
    );
    for kind in ["win", "bill", "impression"] {
        assert_eq!(
            auction["notices"][kind],
            json!({"sent": 400, "accepted": 400, "retried_503": 0, "failed": 0}),
            "{kind}"
        );
    }
    assert_eq!(auction["foreign_urls"], 400, "the image is elsewhere");
    let paths = server.paths();
    assert!(paths.iter().all(|path| !path.contains("${")));
    let prices = |prefix: &str| -> Vec<f64> {
        let mut prices: Vec<f64> = paths
            .iter()
            .filter(|path| path.starts_with(prefix))
            .map(|path| query(path, "p").parse().expect("a price"))
            .collect();
        prices.sort_by(f64::total_cmp);
        prices
    };
    let wins = prices("/n/win");
    assert_eq!(
        (wins.len(), prices("/n/bill"), prices("/n/imp")),
        (400, wins.clone(), wins.clone())
    );
    // First price: the bid itself. Second price: below it, at the floor or above.
    assert_eq!(wins.iter().filter(|price| **price == 500.0).count(), 200);
    assert!(wins.iter().all(|price| *price >= 0.5));
    let nanos: f64 = wins.iter().map(|price| (price * 1e6).round()).sum();
    assert_eq!(auction["spend_nanos"]["USD"].as_f64(), Some(nanos));
    let ids: HashSet<&str> = paths
        .iter()
        .filter(|path| path.starts_with("/n/win"))
        .map(|path| query(path, "i"))
        .collect();
    assert_eq!(ids.len(), 400, "every auction has its own id");
}

#[test]
fn every_click_leads_to_the_landing_page_and_purchases_carry_its_token() {
    let server = bidder(good_bid, accept);
    let (code, summary) = play(&server, &[banner_request(1)], 8000, &[]);
    assert_eq!(code, 0, "{}", summary["auction"]);
    let auction = &summary["auction"];
    let clicks = auction["clicks"].as_u64().expect("a count");
    let expected = auction["clicks_expected"].as_f64().expect("a number");
    assert!(
        (clicks as f64 - expected).abs() < 6.0 * expected.sqrt() + 3.0,
        "{clicks} clicks, {expected} by the law"
    );
    let paths = server.paths();
    let of = |prefix: &str| {
        paths
            .iter()
            .filter(|path| path.starts_with(prefix))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(of("/n/click").len() as u64, clicks);
    let bought = of("/n/conv");
    assert_eq!(auction["conversions"].as_u64(), Some(bought.len() as u64));
    for path in bought {
        assert_eq!(
            (query(&path, "t"), query(&path, "n"), query(&path, "c")),
            ("TOKEN", "purchase", "USD")
        );
        assert!(query(&path, "v").parse::<f64>().expect("a value") > 0.0);
    }
}

#[test]
fn losers_are_told_why_and_what_would_have_won() {
    // At the floor, below what rivals usually bid.
    let server = bidder(
        |asked| {
            let mut bid = good_bid(asked);
            bid["price"] = json!(0.5);
            bid
        },
        accept,
    );
    let (code, summary) = play(&server, &[banner_request(1)], 400, &[]);
    assert_eq!(code, 0, "{summary}");
    let auction = &summary["auction"];
    let losses = auction["losses"].as_u64().expect("a count");
    assert!(losses > 50, "{auction}");
    assert_eq!(auction["wins"].as_u64().expect("a count") + losses, 400);
    let paths = server.paths();
    let lost: Vec<&String> = paths.iter().filter(|path| path.starts_with("/n/loss")).collect();
    assert_eq!(lost.len() as u64, losses);
    for path in lost {
        assert_eq!(query(path, "l"), "102");
        assert!(query(path, "m").parse::<f64>().expect("a price") > 0.5, "{path}");
    }
}

#[test]
fn bad_bids_are_refused_by_reason_and_fail_the_run() {
    let server = bidder(
        |asked| {
            let mut bid = good_bid(asked);
            match asked["ext"]["case"].as_u64() {
                Some(0) => bid["price"] = json!(0.4),
                Some(1) => bid["impid"] = json!("9"),
                Some(2) => bid["crid"] = Value::Null,
                Some(3) => bid["w"] = json!(728),
                _ => bid["adm"] = json!(""),
            }
            bid
        },
        accept,
    );
    let requests: Vec<Value> = (0..5)
        .map(|case| {
            let mut request = banner_request(1);
            request["ext"] = json!({"case": case});
            request
        })
        .collect();
    let (code, summary) = play(&server, &requests, 100, &[]);
    assert_eq!(code, 1);
    let auction = &summary["auction"];
    assert_eq!((&auction["invalid"], &auction["wins"]), (&json!(100), &json!(0)));
    let reasons = [
        "price below floor",
        "impid not in the request",
        "no crid",
        "size not offered",
        "no adm",
    ];
    for reason in reasons {
        assert_eq!(auction["invalid_by_reason"][reason], 20, "{auction}");
    }
    let codes: HashSet<String> = server
        .paths()
        .iter()
        .filter(|path| path.contains("loss"))
        .map(|path| query(path, "l").to_string())
        .collect();
    assert_eq!(codes, ["100", "3", "8", "203", "7"].map(str::to_string).into());
    let (code, _) = play(&server, &requests, 100, &["--allow-errors"]);
    assert_eq!(code, 0);
}

#[test]
fn video_and_native_trackers_are_fired() {
    let server = bidder(
        |asked| {
            let mut bid = good_bid(asked);
            let video = asked["imp"][0]["video"].is_object();
            bid["mtype"] = json!(if video { 2 } else { 4 });
            bid["adm"] = json!(if video {
                "<VAST version='4.0'><Ad><InLine><Impression><![CDATA[BASE/n/imp?p=${AUCTION_PRICE}]]></Impression><Creatives><Creative><Linear><TrackingEvents><Tracking event='start'><![CDATA[BASE/n/ev?e=start]]></Tracking><Tracking event='complete'><![CDATA[BASE/n/ev?e=complete]]></Tracking></TrackingEvents></Linear></Creative></Creatives></InLine></Ad></VAST>"
            } else {
                r#"{"link":{"url":"BASE/n/click?t=T"},"assets":[],"eventtrackers":[{"event":1,"method":1,"url":"BASE/n/imp?p=${AUCTION_PRICE}"}]}"#
            });
            bid
        },
        accept,
    );
    let request = |format: &str| {
        let mut imp = json!({"id": "1"});
        imp[format] = json!({});
        json!({"id": "r", "at": 1, "imp": [imp]})
    };
    let (code, summary) = play(&server, &[request("video"), request("native")], 200, &[]);
    assert_eq!(code, 0, "{summary}");
    let paths = server.paths();
    let count = |prefix: &str| paths.iter().filter(|path| path.starts_with(prefix)).count();
    assert_eq!((count("/n/imp?p=500"), count("/n/ev?e=start")), (200, 100));
    let complete = count("/n/ev?e=complete");
    assert!(complete > 0 && complete < 100, "{complete}");
}

#[test]
fn a_notice_that_is_refused_for_now_is_sent_again_and_order_is_kept() {
    let refused: &'static Mutex<HashSet<String>> = Box::leak(Box::default());
    let server = bidder(good_bid, move |request| {
        let first = refused
            .lock()
            .expect("no handler panics")
            .insert(request.path.clone());
        if first && request.path.starts_with("/n/win") {
            return Reply::Answer(503, "Retry-After: 1\r\n", String::new());
        }
        accept(request)
    });
    let (code, summary) = play(&server, &[banner_request(2)], 50, &["--notice-connections", "1"]);
    assert_eq!(code, 0, "{summary}");
    let wins = &summary["auction"]["notices"]["win"];
    assert_eq!(
        wins,
        &json!({"sent": 100, "accepted": 50, "retried_503": 50, "failed": 0})
    );
    assert_eq!(summary["auction"]["notices"]["bill"]["accepted"], 50);
}

#[test]
fn notices_go_where_the_notice_base_says() {
    let notices = serve(accept);
    let server = bidder(
        |asked| {
            let text = good_bid(asked)
                .to_string()
                .replace("BASE", "https://bidder.example/deep");
            serde_json::from_str(&text).expect("JSON")
        },
        accept,
    );
    let base = format!("http://{}", notices.address);
    let (code, summary) = play(&server, &[banner_request(1)], 50, &["--notice-base", &base]);
    assert_eq!(code, 0, "{summary}");
    let paths = notices.paths();
    assert_eq!(
        paths
            .iter()
            .filter(|path| path.starts_with("/deep/n/win?"))
            .count(),
        50
    );
    assert_eq!(
        paths
            .iter()
            .filter(|path| path.starts_with("/deep/n/imp?"))
            .count(),
        50
    );
}
