//! KILL in the middle of load, again and again: the books are exact, no limit is overspent, and nothing billed in time is late.

use super::bidder::{Bidder, Offer, banner, bid_request, until};
use super::configuration::{Campaign, Folder};
use super::http::Connection;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What one bid costs, and what all may cost: 120 bids.
const PRICE_MILLIS: i64 = 5;
const LIMIT_MILLIS: i64 = 600;

fn campaign() -> Campaign {
    Campaign {
        lifetime: "0.60",
        ..Campaign::new("crashing")
    }
}

/// Asks from four connections at once until `most` bids are out or nothing more is bid, then KILLs: some answers never arrive.
fn bid_and_kill(bidder: Bidder, most: usize) -> Vec<Offer> {
    let offers = Mutex::new(Vec::new());
    let (asked, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let (address, offers, asked, refused) = (bidder.bids, &offers, &asked, &refused);
        for _ in 0..4 {
            scope.spawn(move || {
                let mut connection = Connection::open(address);
                while refused.load(Ordering::Relaxed) < 20 {
                    let user = format!("u-{:06}", asked.fetch_add(1, Ordering::Relaxed));
                    let request = bid_request("open", &[], &banner("crashing", &user));
                    let Ok(answer) = connection.try_ask(&request) else {
                        return;
                    };
                    match answer.status {
                        200 => offers.lock().unwrap().push(Offer::of(&answer)),
                        _ => {
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
        until("enough bids are out", || {
            let enough = offers.lock().unwrap().len() >= most || refused.load(Ordering::Relaxed) >= 20;
            enough.then_some(())
        });
        bidder.kill();
    });
    offers.into_inner().unwrap()
}

fn millis(text: &str) -> i64 {
    (text.parse::<f64>().unwrap() * 1000.0).round() as i64
}

#[test]
fn a_bidder_that_is_killed_again_and_again_under_load_overspends_nothing_and_loses_nothing() {
    let folder = Folder::new().with_campaign(campaign());
    let (mut open, mut billed) = (Vec::new(), 0);
    for round in 0..4 {
        let bidder = Bidder::start(&folder);
        // Half of what is open, of all earlier processes, is billed by this one; some of it twice.
        let due: Vec<Offer> = open.drain(..open.len() / 2).collect();
        for (n, offer) in due.iter().enumerate() {
            bidder.tell(offer.text("burl"), "5.00");
            billed += 1;
            if n % 5 == 0 {
                bidder.tell(offer.text("burl"), "5.00");
            }
        }
        let money = bidder.money("crashing-1");
        assert_eq!(millis(&money.spent), billed * PRICE_MILLIS, "round {round}");
        assert_eq!(
            money.late, "0.00",
            "round {round}: all bills come within their holds"
        );
        open.extend(bid_and_kill(bidder, 15));
    }
    let bidder = Bidder::start(&folder);
    for offer in &open {
        bidder.tell(offer.text("burl"), "5.00");
        billed += 1;
    }
    let money = bidder.money("crashing-1");
    assert_eq!(
        (millis(&money.spent), &*money.late),
        (billed * PRICE_MILLIS, "0.00")
    );
    assert!(billed >= 45, "{billed}");
    assert!(billed * PRICE_MILLIS <= LIMIT_MILLIS);

    // What the crashes hold back is shown, and until when.
    let campaign = &bidder.look("/api/v1/budgets").json()["campaigns"][0];
    let lifetime = &campaign["money"]["lifetime"];
    let held_back = millis(lifetime["quarantined"].as_str().unwrap());
    assert!(billed * PRICE_MILLIS + held_back <= LIMIT_MILLIS, "{lifetime:#}");
    let report = bidder.look("/api/v1/budgets").json();
    assert!(report["leases"]["quarantined_until_ms"].as_i64() > report["at_ms"].as_i64());
    assert!(
        bidder.metric("outbid_quarantined{kind=\"campaign\",id=\"crashing\"}") * 1000.0
            >= held_back as f64 - 0.5
    );
}

#[test]
fn what_a_crash_holds_back_is_free_again_when_no_bid_can_be_billed_on_time_any_more() {
    let folder = Folder::new().with_campaign(campaign());
    // The longest hold of all exchanges counts.
    for entry in std::fs::read_dir(folder.config().join("exchanges")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = format!("exchanges/{name}");
        let text = folder.read(&name).unwrap();
        folder.write(&name, &format!("win_hold = \"1s\"\n{text}"));
    }
    let lost = bid_and_kill(Bidder::start(&folder), 120);
    assert!(!lost.is_empty());
    let bidder = Bidder::start(&folder);
    // The lease was claimed anew when the quarantine ended: it is there with the next look, a tenth of a second later.
    until("all of the budget can be bid again", || {
        let money = &bidder.look("/api/v1/budgets").json()["campaigns"][0]["money"];
        let is_free = money["lifetime"]["free"] == "0.60" && money["quarantined"] == "0.00";
        (is_free && money["leased"] != "0.00").then_some(())
    });
    assert!(bidder.offer(&banner("crashing", "u-000001")).is_some());
}

#[test]
fn damaged_leases_keep_the_bidder_from_starting_and_say_what_to_do() {
    let folder = Folder::new().with_campaign(campaign());
    assert!(Bidder::start(&folder).stop().success());
    let leases = folder.data().join("leases");
    let segment = std::fs::read_dir(&leases)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[45] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let output = super::bidder::outbid()
        .args(["serve", "--config"])
        .arg(folder.config())
        .current_dir(folder.root())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains(".seg is damaged at byte 32") && said.contains("truncate -s 32"),
        "{said}"
    );
}
