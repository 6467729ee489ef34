//! Shaded bids through the wire: below the value, learnt from notices and from silence, explained, listed, kept.

use super::bidder::{Bidder, banner, outbid, until};
use super::configuration::{Campaign, Folder, PUBLIC_URL};
use super::http::{self, Connection};
use outbid::openrtb::macros::{Macro, expand};
use serde_json::{Value, json};

fn shading() -> (Folder, Bidder) {
    let folder = Folder::new().with_campaign(Campaign::new("shaded"));
    folder.write(
        "exchanges/open.toml",
        "seat = \"seat-open\"\nshading = \"learn\"\nwin_hold = \"3s\"\nlearn_win_hold = false\n",
    );
    let bidder = Bidder::start(&folder);
    (folder, bidder)
}

/// A notice with this loss code and this price to win, acknowledged.
fn tell(bidder: &Bidder, url: &str, code: &str, min_to_win: &str) {
    let played = expand(url, |name| match name {
        Macro::Loss => Some(code),
        Macro::MinToWin => Some(min_to_win),
        Macro::Currency => Some("USD"),
        Macro::Price => Some("1.0"),
        _ => None,
    });
    let target = played.strip_prefix(PUBLIC_URL).unwrap();
    assert_eq!(bidder.ask(&http::get(target, &[])).status, 200, "{url}");
}

fn markets(bidder: &Bidder) -> Vec<Value> {
    let report = bidder.look("/api/v1/markets").json();
    assert_eq!(report["prices_in"], "USD");
    report["markets"].as_array().unwrap().clone()
}

#[test]
fn shaded_bids_are_learnt_from_explained_listed_and_kept() {
    let (folder, bidder) = shading();
    let request = banner("shaded", "u-000001");
    assert!(markets(&bidder).is_empty());

    let offer = bidder.offer(&request).unwrap();
    assert!(
        offer.price() >= 2.5 && offer.price() <= 5.0,
        "while nothing is known, half the value or more"
    );
    for _ in 0..2 {
        tell(&bidder, offer.text("nurl"), "0", "1.2");
        tell(&bidder, offer.text("burl"), "0", "1.2");
    }
    let lost = bidder.offer(&request).unwrap();
    tell(&bidder, lost.text("lurl"), "102", "7.5");
    let unwanted = bidder.offer(&request).unwrap();
    tell(&bidder, unwanted.text("lurl"), "203", "7.5");
    let known = markets(&bidder);
    assert_eq!(known.len(), 3, "{known:#?}");
    for market in &known {
        assert_eq!((&market["observed"], &market["won"]), (&json!(2), &json!(1)));
    }
    assert_eq!(
        (
            &known[0]["exchange"],
            &known[1]["exchange"],
            &known[1]["format"],
            &known[1]["placement"]
        ),
        (&Value::Null, &json!("open"), &json!("banner"), &Value::Null)
    );
    assert!(known[2]["placement"].is_u64());

    // Nothing is heard of this one: at the end of its hold it counts as lost, as the exchange spoke since.
    let _silent = bidder.offer(&request).unwrap();
    let heard = bidder.offer(&request).unwrap();
    tell(&bidder, heard.text("lurl"), "102", "7.5");
    until("silence is taken for a loss", || {
        (markets(&bidder)[0]["observed"] == 4).then_some(())
    });
    assert_eq!(bidder.metric("outbid_bids_shaded_total"), 5.0);
    assert_eq!(
        bidder.metric("outbid_shading_outcomes_total{outcome=\"lost\"}"),
        3.0
    );

    let explain = http::post(
        "/api/v1/explain?exchange=open",
        &[],
        request.to_string().as_bytes(),
    );
    let why = Connection::open(bidder.admin).ask(&explain).json();
    let scored = &why["imps"][0]["line_items"][0]["scored"];
    assert_eq!(scored["value_cpm"], 5.0);
    let shading = &scored["shading"];
    assert_eq!(
        (&shading["shaded"], &shading["paced_value_cpm"]),
        (&json!(true), &json!(5.0))
    );
    assert!(shading["why"].is_string() && shading["win_rate"].as_f64().is_some());

    assert!(bidder.stop().success());
    let bidder = Bidder::start(&folder);
    assert_eq!(markets(&bidder)[0]["observed"], 4);
    bidder.kill();
    let bidder = Bidder::start(&folder);
    assert_eq!(markets(&bidder)[0]["observed"], 4);
    let listed = outbid()
        .args(["markets", "--config"])
        .arg(folder.config())
        .arg("--admin")
        .arg(bidder.admin.to_string())
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("open") && listed.contains("banner"), "{listed}");
}
