//! Three bidder processes share one budget through a real Redis server: one is killed, one is cut off and comes back.

use super::bidder::{Bidder, Offer, banner, outbid, until};
use super::configuration::{Campaign, Folder};
use super::server::{Redis, Wire};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// What one bid costs, and what all may cost: 120 bids.
const PRICE_MILLIS: i64 = 5;
const LIMIT_MILLIS: i64 = 600;

/// The folder of one node. Keys are shared: those of `first` are copied.
fn folder(number: u16, url: &str, first: Option<&Folder>) -> Folder {
    let folder = Folder::new().with_campaign(Campaign {
        lifetime: "0.60",
        ..Campaign::new("shared")
    });
    let text = folder.read("outbid.toml").unwrap();
    let budgets = format!("[budgets]\nauthority = \"redis\"\nredis = \"{url}\"\ntimeout = \"1s\"\n");
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
