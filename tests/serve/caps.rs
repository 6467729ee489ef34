//! Frequency caps through the wire, also over a restart.

use super::bidder::{Bidder, alone, banner, shared};
use super::configuration::Campaign;
use super::http;
use outbid::events::keys::Keys;
use outbid::events::postback::sign;

pub fn campaigns() -> Vec<Campaign> {
    vec![capped("capped")]
}

pub fn capped(id: &'static str) -> Campaign {
    Campaign {
        more: "caps = [\"2 per day per line_item\"]",
        ..Campaign::new(id)
    }
}

#[test]
fn nobody_sees_an_ad_more_often_than_its_cap_allows() {
    let bidder = shared();
    see(&bidder, "capped", "u-000001", 2);
    assert!(bidder.offer(&banner("capped", "u-000001")).is_none());
    assert!(
        bidder.offer(&banner("capped", "u-000002")).is_some(),
        "another user"
    );
    assert_eq!(
        bidder.line_item("capped-1")["no_bid_reasons"][0]["reason"],
        "frequency_cap"
    );
}

#[test]
fn caps_and_spend_survive_a_restart() {
    let (folder, bidder) = alone(capped("kept"));
    see(&bidder, "kept", "u-000001", 2);
    see(&bidder, "kept", "u-000002", 1);
    let money = bidder.money("kept-1");
    assert!(bidder.stop().success());

    let bidder = Bidder::start(&folder);
    assert_eq!(bidder.money("kept-1"), money);
    assert!(bidder.offer(&banner("kept", "u-000001")).is_none());
    see(&bidder, "kept", "u-000002", 1);
    assert!(bidder.offer(&banner("kept", "u-000002")).is_none());
}

#[test]
fn buyers_and_those_who_never_click_are_left_alone_also_after_a_kill() {
    let (folder, bidder) = alone(Campaign {
        more: "suppress_buyers = \"30d\"\nback_off = { after = 2, pause = \"1d\" }",
        ..Campaign::new("tired")
    });
    see(&bidder, "tired", "u-000001", 2);
    // The second one clicks the last ad, the third one buys, the fourth one takes it back.
    see(&bidder, "tired", "u-000002", 1);
    let clicked = bidder.offer(&banner("tired", "u-000002")).unwrap();
    bidder.tell(clicked.text("burl"), "5.00");
    assert_eq!(bidder.fire(clicked.beacon("/n/click"), "").status, 302);
    buy(&bidder, "u-000003", "o-3");
    let token = buy(&bidder, "u-000004", "o-4");
    let keys = Keys::open(&folder.data().join("keys")).unwrap();
    let query = format!("t={token}&n=purchase&o=o-4&r=1");
    let signature = sign(query.as_bytes(), &keys.postback).unwrap();
    let back = http::post(&format!("/n/postback?{query}&sig={signature}"), &[], b"");
    assert_eq!(bidder.ask(&back).status, 200);

    let answered = |bidder: &Bidder| {
        [1, 2, 3, 4].map(|n| bidder.offer(&banner("tired", &format!("u-00000{n}"))).is_some())
    };
    assert_eq!(answered(&bidder), [false, true, false, true]);
    let reasons = bidder.line_item("tired-1")["no_bid_reasons"].clone();
    let reasons: Vec<_> = reasons
        .as_array()
        .unwrap()
        .iter()
        .map(|reason| &reason["reason"])
        .collect();
    assert_eq!(reasons, ["bought", "back_off"]);
    bidder.kill();
    let bidder = Bidder::start(&folder);
    assert_eq!(answered(&bidder), [false, true, false, true]);
}

/// Bids, is billed, and sells; the token of the ad.
fn buy(bidder: &Bidder, user: &str, order: &str) -> String {
    let offer = bidder.offer(&banner("tired", user)).unwrap();
    bidder.tell(offer.text("burl"), "5.00");
    let bought = format!("/n/conv?t={}&n=purchase&v=12.5&c=USD&o={order}", offer.token());
    assert_eq!(bidder.ask(&http::get(&bought, &[])).status, 200);
    offer.token().to_owned()
}

/// Bids that are won, billed and shown.
pub fn see(bidder: &Bidder, campaign: &str, user: &str, times: usize) {
    for _ in 0..times {
        let offer = bidder.offer(&banner(campaign, user)).unwrap();
        bidder.tell(offer.text("burl"), "5.00");
    }
}
