//! Configuration that changes while bids go on.

use super::bidder::{Bidder, Money, alone, banner, bid_request, outbid, until};
use super::configuration::{Campaign, Folder};
use super::crowd::Crowd;
use serde_json::Value;
use std::fs;

#[test]
fn the_next_bids_show_a_change_on_disk() {
    let (folder, bidder) = alone(priced("2.00"));
    assert_eq!(price(&bidder), 2.0);
    folder.write_campaign(&priced("3.00"));
    until("the new price", || (price(&bidder) == 3.0).then_some(()));
    folder.write_campaign(&Campaign {
        more: "status = \"paused\"",
        ..priced("3.00")
    });
    until("the pause", || bidder.offer(&request()).is_none().then_some(()));
}

#[test]
fn a_broken_change_is_refused_with_its_line_and_bids_go_on() {
    let (folder, bidder) = alone(priced("2.00"));
    folder.write_campaign(&priced("\"a lot\""));
    let answer = bidder.reload();
    assert_eq!(answer.status, 422);
    let report = answer.json();
    let problems: Vec<_> = report["problems"].as_array().unwrap().iter().collect();
    let broken = folder.read("campaigns/price.toml").unwrap();
    let line = 1 + broken.lines().position(|line| line.contains("a lot")).unwrap();
    let place = format!("campaigns/price.toml:{line}:");
    assert!(
        problems.iter().any(|p| p.as_str().unwrap().contains(&place)),
        "{report:#}"
    );
    assert_eq!(price(&bidder), 2.0);
    assert!(bidder.metric("outbid_reloads_refused_total") >= 1.0);

    folder.write_campaign(&priced("4.00"));
    settle(&bidder);
    assert_eq!(price(&bidder), 4.0);
}

#[test]
fn a_reload_never_gives_spent_money_back() {
    let (folder, bidder) = alone(Campaign {
        lifetime: "0.005",
        ..priced("4.00")
    });
    let offer = bidder.offer(&request()).unwrap();
    bidder.tell(offer.text("burl"), "4.00");
    assert!(bidder.offer(&request()).is_none());

    folder.write_campaign(&Campaign {
        lifetime: "0.006",
        ..priced("4.00")
    });
    settle(&bidder);
    assert_eq!(bidder.money("price-1"), Money::is("0.004", "0.00"));
    assert!(
        bidder.offer(&request()).is_none(),
        "0.002 are left, one costs 0.004"
    );

    folder.write_campaign(&Campaign {
        lifetime: "0.008",
        ..priced("4.00")
    });
    settle(&bidder);
    assert!(bidder.offer(&request()).is_some(), "more money is more bids");
    assert!(bidder.offer(&request()).is_none());
}

#[test]
fn a_feed_of_signals_is_taken_as_soon_as_it_is_written_and_ignored_once_it_is_too_old() {
    let (folder, bidder) = alone(Campaign {
        more: "multiplier = [{ factor = 2.0, when = { signal = [\"weather:rain\"] } }]",
        ..priced("2.00")
    });
    let feed = |at: jiff::Timestamp| {
        format!("country = \"USA\"\nat = {at}\nttl = \"1h\"\nvalues = {{ weather = \"rain\" }}\n")
    };
    let now = jiff::Timestamp::now();
    folder.write("signals/usa.toml", &feed(now));
    until("rain", || (price(&bidder) == 4.0).then_some(()));
    assert_eq!(bidder.metric("outbid_context_signals"), 1.0);
    folder.write(
        "signals/usa.toml",
        &feed(now - jiff::SignedDuration::from_hours(2)),
    );
    until("the end of the rain", || (price(&bidder) == 2.0).then_some(()));
    assert_eq!(bidder.metric("outbid_context_signals_stale"), 1.0);
}

#[test]
fn a_hang_up_signal_takes_a_new_profile_store_in() {
    let (folder, bidder) = alone(priced("2.00"));
    assert_eq!(bidder.metric("outbid_profiles"), 2000.0);
    let input = folder.root().join("users.jsonl");
    fs::write(
        &input,
        "{\"ids\":{\"buyeruid\":\"anna\"}}\n{\"ids\":{\"buyeruid\":\"ben\"}}\n",
    )
    .unwrap();
    let built = outbid()
        .args(["store", "build", "--config"])
        .arg(folder.config())
        .arg("--input")
        .arg(&input)
        .arg("--output")
        .arg(folder.data().join("profiles.store"))
        .output()
        .unwrap();
    assert!(built.status.success(), "{built:?}");
    // The store lies outside of the watched folder.
    bidder.signal("HUP");
    until("the new store", || {
        (bidder.metric("outbid_profiles") == 2.0).then_some(())
    });
    assert_eq!(price(&bidder), 2.0);
}

#[test]
fn a_new_campaign_and_a_removed_one_are_seen() {
    let (folder, bidder) = alone(priced("2.00"));
    folder.write_campaign(&Campaign::new("fresh"));
    settle(&bidder);
    assert!(bidder.offer(&banner("fresh", "u-000001")).is_some());
    fs::remove_file(folder.config().join("campaigns/price.toml")).unwrap();
    settle(&bidder);
    assert!(bidder.offer(&request()).is_none());
    assert!(bidder.offer(&banner("fresh", "u-000001")).is_some());
}

#[test]
fn a_folder_that_is_broken_at_start_is_refused() {
    let folder = Folder::new().with_campaign(priced("\"a lot\""));
    let ended = outbid()
        .args(["serve", "--config"])
        .arg(folder.config())
        .output()
        .unwrap();
    assert!(!ended.status.success());
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("campaigns/price.toml:"), "{said}");
}

#[test]
fn bids_go_on_during_reloads() {
    let (folder, bidder) = alone(Campaign {
        lifetime: "100000.00",
        ..priced("2.00")
    });
    let crowd = Crowd::start(bidder.bids, bid_request("open", &[], &request()), 2);
    for cpm in ["3.00", "4.00", "\"a lot\"", "5.00", "6.00"] {
        folder.write_campaign(&Campaign {
            lifetime: "100000.00",
            ..priced(cpm)
        });
        let expected = if cpm.starts_with('"') { 422 } else { 200 };
        assert_eq!(bidder.reload().status, expected, "{cpm}");
    }
    assert_eq!(price(&bidder), 6.0);
    let answers = crowd.stop();
    assert!(answers.bids > 0 && answers.no_bids == 0, "{answers:?}");
}

fn priced(cpm: &'static str) -> Campaign {
    Campaign {
        cpm,
        ..Campaign::new("price")
    }
}

fn request() -> Value {
    banner("price", "u-000001")
}

fn price(bidder: &Bidder) -> f64 {
    bidder.offer(&request()).unwrap().price()
}

/// The watcher may take a change before the first call does; after it there is nothing left to take.
fn settle(bidder: &Bidder) {
    let first = bidder.reload();
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(bidder.reload().json()["status"], "unchanged");
}
