//! Three bidder processes share one budget through a real Redis server: one is killed, one is cut off and comes back.

use super::bidder::{Bidder, Offer, banner, outbid, until};
use super::caps::see;
use super::configuration::{Campaign, Folder};
use super::http::get;
use super::opt_out::{administer, decided_by, opt_out};
use super::server::{Redis, Wire};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// What one bid costs, and what all may cost: 120 bids.
const PRICE_MILLIS: i64 = 5;
const LIMIT_MILLIS: i64 = 600;

/// The folder of one node. Keys are shared: those of `first` are copied.
fn folder(number: u16, url: &str, first: Option<&Folder>) -> Folder {
    let campaign = Campaign {
        lifetime: "0.60",
        ..Campaign::new("shared")
    };
    folder_with(campaign, "", number, url, first)
}

/// The same with another campaign, and further settings of the shared server.
fn folder_with(campaign: Campaign, settings: &str, number: u16, url: &str, first: Option<&Folder>) -> Folder {
    let folder = Folder::new().with_campaign(campaign);
    let text = folder.read("outbid.toml").unwrap();
    let budgets =
        format!("[budgets]\nauthority = \"redis\"\nredis = \"{url}\"\ntimeout = \"1s\"\n{settings}\n");
    folder.write("outbid.toml", &format!("node = {number}\n{text}\n{budgets}"));
    // Short, so that what the crash holds back comes back while the test waits.
    for entry in fs::read_dir(folder.config().join("exchanges")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = format!("exchanges/{name}");
        let text = folder.read(&name).unwrap();
        folder.write(&name, &format!("win_hold = \"8s\"\n{text}"));
    }
    if let Some(first) = first {
        let keys = folder.data().join("keys");
        fs::create_dir_all(&keys).unwrap();
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o700)).unwrap();
        for entry in fs::read_dir(first.data().join("keys")).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, keys.join(path.file_name().unwrap())).unwrap();
        }
    }
    folder
}

/// Bids, and is billed at once.
fn buy(bidder: &Bidder) -> bool {
    let offer = offer(bidder);
    offer
        .inspect(|offer| bidder.tell(offer.text("burl"), "5.00"))
        .is_some()
}

fn offer(bidder: &Bidder) -> Option<Offer> {
    bidder.offer(&banner("shared", "u-000001"))
}

/// On time, and in all.
fn spent(bidders: &[&Bidder]) -> (i64, i64) {
    let millis = |text: &str| (text.parse::<f64>().unwrap() * 1000.0).round() as i64;
    let moneys: Vec<_> = bidders.iter().map(|bidder| bidder.money("shared-1")).collect();
    let on_time: i64 = moneys.iter().map(|money| millis(&money.spent)).sum();
    (
        on_time,
        on_time + moneys.iter().map(|money| millis(&money.late)).sum::<i64>(),
    )
}

fn nodes(folder: &Folder) -> Vec<(u64, String)> {
    let output = outbid()
        .args(["nodes", "--json", "--config"])
        .arg(folder.config())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let node = |node: &serde_json::Value| {
        (
            node["node"].as_u64().unwrap(),
            node["state"].as_str().unwrap().to_owned(),
        )
    };
    all.as_array().unwrap().iter().map(node).collect()
}

#[test]
fn three_processes_share_one_budget_although_one_is_killed_and_one_is_cut_off() {
    let redis = Redis::durable();
    let wire = Wire::to(redis.port);
    let near = format!("redis://127.0.0.1:{}/0", redis.port);
    let first = folder(1, &near, None);
    let a = Bidder::start(&first);
    let (second, third) = (
        folder(2, &near, Some(&first)),
        folder(3, &wire.url(), Some(&first)),
    );
    let (b, c) = (Bidder::start(&second), Bidder::start(&third));
    let live = |number| (number, "live".to_owned());
    assert_eq!(nodes(&first), [live(1), live(2), live(3)]);

    for bidder in [&a, &b, &c] {
        assert!((0..5).all(|_| buy(bidder)));
    }
    // A bill that reaches another node than the bid's is booked by the bid's.
    let stray = offer(&a).unwrap();
    b.tell(stray.text("burl"), "5.00");
    b.tell(stray.text("burl"), "5.00");
    until("the owner has its bill", || {
        (spent(&[&a]).0 == 6 * PRICE_MILLIS).then_some(())
    });
    assert_eq!(spent(&[&b]), (5 * PRICE_MILLIS, 5 * PRICE_MILLIS));

    let open: Vec<_> = (0..3).filter_map(|_| offer(&b)).collect();
    let before = spent(&[&a, &b, &c]).0;
    assert_eq!(before, 16 * PRICE_MILLIS);
    b.kill();
    wire.cut();
    // The one that is cut off bids on from its lease, and stops.
    let mut alone = 0;
    until("the lease is used up", || {
        let bought = buy(&c);
        alone += i64::from(bought);
        (!bought && c.metric("outbid_leases_breaker_open") == 1.0).then_some(())
    });
    // The other one takes what the two do not hold.
    let mut refused = 0;
    until("the budget is used up but for the others' leases", || {
        refused = if buy(&a) { 0 } else { refused + 1 };
        (refused == 30).then_some(())
    });
    let (on_time, _) = spent(&[&a, &c]);
    assert!(on_time + 5 * PRICE_MILLIS <= LIMIT_MILLIS, "{on_time}");
    assert!(!buy(&c), "{alone} bought alone, and no more");

    wire.mend();
    let b = Bidder::start(&second);
    for offer in &open {
        // By way of the first node.
        a.tell(offer.text("burl"), "5.00");
    }
    let all = [&a, &b, &c];
    until(
        "all of the budget is spent, but for the part of a bid a node",
        || {
            all.iter().for_each(|bidder| {
                buy(bidder);
            });
            (spent(&all).0 > LIMIT_MILLIS - 4 * PRICE_MILLIS).then_some(())
        },
    );
    let (on_time, in_all) = spent(&all);
    assert!(on_time <= LIMIT_MILLIS, "{on_time} {in_all}");
    assert!(a.metric("outbid_relay_handed_over_total") >= 3.0);

    // Ended cleanly, and said to be gone for good.
    assert!(c.stop().success());
    assert_eq!(nodes(&first)[2], (3, "left".to_owned()));
    let dead = outbid()
        .args(["nodes", "--config"])
        .arg(first.config())
        .args(["declare-dead", "3"])
        .output()
        .unwrap();
    assert!(dead.status.success());
    assert!(String::from_utf8_lossy(&dead.stdout).contains("node 3 was left and is dead"));
}

#[test]
fn a_node_that_starts_while_the_server_is_away_waits_for_it_and_then_bids() {
    let redis = Redis::durable();
    let wire = Wire::to(redis.port);
    wire.cut();
    let waiting = Bidder::start(&folder(1, &wire.url(), None));
    assert!(offer(&waiting).is_none());
    wire.mend();
    until("it bids", || offer(&waiting));
}

#[test]
fn nodes_are_asked_for_where_there_are_none() {
    let folder = Folder::new();
    let output = outbid()
        .args(["nodes", "--config"])
        .arg(folder.config())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("[budgets]"), "{said}");
}

fn tired() -> Campaign {
    Campaign {
        more: "caps = [\"2 per day per line_item\"]\nsuppress_buyers = \"30d\"",
        ..Campaign::new("tired")
    }
}

fn heard(bidder: &Bidder) -> f64 {
    bidder.metric("outbid_facts_heard_total")
}

#[test]
fn what_one_node_shows_and_sells_is_known_to_the_others_and_again_after_a_kill() {
    let redis = Redis::durable();
    let url = format!("redis://127.0.0.1:{}/0", redis.port);
    let first = folder_with(tired(), "", 1, &url, None);
    let a = Bidder::start(&first);
    let second = folder_with(tired(), "", 2, &url, Some(&first));
    let b = Bidder::start(&second);
    see(&a, "tired", "u-000001", 1);
    see(&b, "tired", "u-000001", 1);
    let sold = a.offer(&banner("tired", "u-000002")).unwrap();
    a.tell(sold.text("burl"), "5.00");
    let bought = format!("/n/conv?t={}&n=purchase&v=1&c=USD&o=1", sold.token());
    assert_eq!(a.ask(&get(&bought, &[])).status, 200);
    let both = |a: &Bidder, b: &Bidder| {
        for bidder in [a, b] {
            assert!(bidder.offer(&banner("tired", "u-000001")).is_none(), "seen twice");
            assert!(bidder.offer(&banner("tired", "u-000002")).is_none(), "bought");
        }
        assert!(b.offer(&banner("tired", "u-000003")).is_some());
    };
    until("both know of each other", || {
        (heard(&a) == 1.0 && heard(&b) == 3.0).then_some(())
    });
    both(&a, &b);
    // Neither loses anything, nor counts anything twice.
    a.kill();
    b.kill();
    let (a, b) = (Bidder::start(&first), Bidder::start(&second));
    both(&a, &b);
    see(&b, "tired", "u-000004", 1);
    until("it is told once", || (heard(&a) == 2.0).then_some(()));
    see(&a, "tired", "u-000004", 1);
    assert!(a.offer(&banner("tired", "u-000004")).is_none());
    until("each of the six is there once", || {
        (redis.ask(&["XLEN", "outbid:facts"]) == ":6\r\n").then_some(())
    });
}

#[test]
fn a_node_that_is_cut_off_keeps_caps_by_what_it_knows_or_does_not_bid_as_it_is_set() {
    let redis = Redis::durable();
    for (settings, stops) in [("open", false), ("closed", true)] {
        let wire = Wire::to(redis.port);
        let settings = format!("caps_when_apart = \"{settings}\"\napart_after = \"1s\"");
        // The second one is a node of its own to the server.
        let number = 1 + u16::from(stops);
        let bidder = Bidder::start(&folder_with(tired(), &settings, number, &wire.url(), None));
        see(&bidder, "tired", "u-000001", 1);
        wire.cut();
        until("it notices", || {
            (bidder.metric("outbid_caps_apart") == 1.0).then_some(())
        });
        let offer = bidder.offer(&banner("tired", "u-000002"));
        assert_eq!(offer.is_none(), stops);
        let reasons = bidder.line_item("tired-1")["no_bid_reasons"].to_string();
        assert_eq!(reasons.contains("caps_apart"), stops, "{reasons}");
        // Nobody is counted who may not be known.
        let mut unknown = banner("tired", "u-000003");
        unknown["device"]["lmt"] = serde_json::json!(1);
        assert!(bidder.offer(&unknown).is_some());
        wire.mend();
        until("it is in touch again", || {
            (bidder.metric("outbid_caps_apart") == 0.0).then_some(())
        });
        assert!(bidder.offer(&banner("tired", "u-000004")).is_some());
    }
}

#[test]
fn whoever_opts_out_at_one_node_has_opted_out_at_all_of_them_and_is_gone_from_the_server() {
    let redis = Redis::durable();
    let wire = Wire::to(redis.port);
    let near = format!("redis://127.0.0.1:{}/0", redis.port);
    let first = folder_with(tired(), "", 1, &wire.url(), None);
    let a = Bidder::start(&first);
    let second = folder_with(tired(), "", 2, &near, Some(&first));
    let b = Bidder::start(&second);
    let out = |bidder: &Bidder| bidder.metric("outbid_opted_out_ids");
    see(&a, "tired", "u-000001", 1);
    see(&b, "tired", "u-000001", 1);
    until("it is told", || (heard(&a) + heard(&b) == 2.0).then_some(()));
    let offer = b.offer(&banner("tired", "u-000002")).unwrap();
    assert_eq!(administer(&a, "opt-out", "buyeruid:u-000001")["ids_changed"], 1);
    until("the other one knows", || (out(&b) == 1.0).then_some(()));
    until("nothing is left", || {
        (redis.ask(&["XLEN", "outbid:facts"]) == ":0\r\n").then_some(())
    });
    // Three bids, where the cap would allow none more.
    assert!((0..3).all(|_| b.offer(&banner("tired", "u-000001")).is_some()));
    assert_eq!(decided_by(&b, "opt_out"), 3.0);

    // Taken while the server is away: it holds here at once, and there when the server is back, also over a kill.
    wire.cut();
    assert_eq!(opt_out(&a, offer.token()).status, 200);
    a.kill();
    b.kill();
    wire.mend();
    let (a, b) = (Bidder::start(&first), Bidder::start(&second));
    until("the other one knows that too", || (out(&b) == 2.0).then_some(()));
    assert_eq!(out(&a), 2.0);
    // A node that is new knows it from its first bid on.
    let third = folder_with(tired(), "", 3, &near, Some(&first));
    let c = Bidder::start(&third);
    assert_eq!(out(&c), 2.0);
    // The last word of anybody holds for all.
    assert_eq!(administer(&c, "opt-in", "buyeruid:u-000001")["opted_out"], false);
    for bidder in [&a, &b] {
        until("the last word is heard", || (out(bidder) == 1.0).then_some(()));
    }
}
