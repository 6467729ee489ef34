//! Frequency caps through the wire, also over a restart.

use super::bidder::{Bidder, alone, banner, shared};
use super::configuration::Campaign;

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

/// Bids that are won, billed and shown.
pub fn see(bidder: &Bidder, campaign: &str, user: &str, times: usize) {
    for _ in 0..times {
        let offer = bidder.offer(&banner(campaign, user)).unwrap();
        bidder.tell(offer.text("burl"), "5.00");
    }
}
