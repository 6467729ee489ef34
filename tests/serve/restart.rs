//! What a process leaves behind for the next one, however it ended.

use super::bidder::{Bidder, Money, alone, banner, outbid};
use super::caps::{capped, see};
use super::configuration::{Campaign, Folder};

#[test]
fn what_was_acknowledged_is_still_booked_after_a_kill() {
    let (folder, bidder) = alone(capped("durable"));
    see(&bidder, "durable", "u-000001", 2);
    see(&bidder, "durable", "u-000002", 1);
    let open = bidder.offer(&banner("durable", "u-000003")).unwrap();
    assert_eq!(bidder.money("durable-1"), Money::is("0.015", "0.005"));
    bidder.kill();

    let bidder = Bidder::start(&folder);
    assert_eq!(bidder.money("durable-1").spent, "0.015");
    assert!(
        bidder.offer(&banner("durable", "u-000001")).is_none(),
        "caps are kept too"
    );
    // A bill for a bid of the process that is gone, twice: booked once.
    bidder.tell(open.text("burl"), "4.00");
    bidder.tell(open.text("burl"), "4.00");
    let money = bidder.money("durable-1");
    let units = |text: &str| text.parse::<f64>().unwrap();
    assert_eq!(
        format!("{:.4}", units(&money.spent) + units(&money.late)),
        "0.0190"
    );
}

#[test]
fn a_clean_end_keeps_open_bids_open() {
    let (folder, bidder) = alone(Campaign::new("held"));
    let offer = bidder.offer(&banner("held", "u-000001")).unwrap();
    assert!(bidder.stop().success());

    let bidder = Bidder::start(&folder);
    assert_eq!(bidder.money("held-1"), Money::is("0.00", "0.005"));
    bidder.tell(offer.text("burl"), "4.00");
    assert_eq!(bidder.money("held-1"), Money::is("0.004", "0.00"));
}

#[test]
fn bid_ids_of_two_runs_are_never_the_same() {
    let folder = Folder::new().with_campaign(Campaign::new("named"));
    let ids: Vec<_> = (0..2)
        .map(|_| {
            let bidder = Bidder::start(&folder);
            let offer = bidder.offer(&banner("named", "u-000001")).unwrap();
            bidder.kill();
            offer.text("id").to_owned()
        })
        .collect();
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_torn_tail_of_the_books_is_cut_and_told_and_a_damaged_middle_keeps_the_bidder_from_starting() {
    let (folder, bidder) = alone(Campaign::new("torn"));
    for user in ["u-000001", "u-000002"] {
        let offer = bidder.offer(&banner("torn", user)).unwrap();
        bidder.tell(offer.text("burl"), "4.00");
    }
    bidder.kill();
    let segment = folder.data().join("books/books-00000001.seg");
    let whole = std::fs::read(&segment).unwrap();

    std::fs::write(&segment, &whole[..whole.len() - 5]).unwrap();
    let bidder = Bidder::start(&folder);
    assert!(
        bidder.log().contains("cut a torn tail off the books"),
        "{}",
        bidder.log()
    );
    assert_eq!(bidder.money("torn-1").spent, "0.004");
    bidder.kill();

    let mut damaged = whole;
    damaged[60] ^= 1;
    std::fs::write(&segment, damaged).unwrap();
    let output = outbid()
        .args(["serve", "--config"])
        .arg(folder.config())
        .current_dir(folder.root())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("books-00000001.seg is damaged at byte 32") && said.contains("truncate -s 32"),
        "{said}"
    );
}
