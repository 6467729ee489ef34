//! The end of a process, and the hand-over to the next one.

use super::bidder::{Bidder, alone, banner, bid_request, until};
use super::configuration::{Campaign, Folder};
use super::crowd::Crowd;
use super::http::Connection;

#[test]
fn a_bidder_that_is_told_to_stop_answers_everybody_first() {
    let folder = Folder::new()
        .with_drain_notice("2s")
        .with_campaign(Campaign::new("last"));
    let mut bidder = Bidder::start(&folder);
    let request = bid_request("open", &[], &banner("last", "u-000001"));
    let mut kept = Connection::open(bidder.bids);
    let answer = kept.ask(&request);
    assert_eq!((answer.status, answer.header("connection")), (200, None));
    let mut begun = Connection::open(bidder.bids);
    begun.send(&request[..20]).unwrap();

    bidder.signal("TERM");
    until("not ready", || {
        (bidder.look("/readyz").status == 503).then_some(())
    });
    assert_eq!(bidder.look("/healthz").status, 200);
    let new = Connection::open(bidder.bids);
    for (mut connection, rest) in [(kept, &*request), (begun, &request[20..]), (new, &*request)] {
        let answer = connection.ask(rest);
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
        assert!(connection.is_closed());
    }
    assert!(bidder.wait().success());
    assert!(Connection::try_open(bidder.bids).is_err());
}

#[test]
fn an_idle_connection_does_not_keep_a_bidder_from_ending() {
    let (_folder, bidder) = alone(Campaign::new("idle"));
    let mut idle = Connection::open(bidder.bids);
    let mut half = Connection::open(bidder.bids);
    half.send(b"POST /openrtb2/open HTTP/1.1\r\nContent-Le").unwrap();
    assert!(bidder.stop().success());
    assert!(idle.is_closed());
}

#[test]
fn two_processes_hand_over_without_an_error() {
    let folder = Folder::new().with_drain_notice("500ms").with_campaign(Campaign {
        lifetime: "100000.00",
        ..Campaign::new("passed")
    });
    let mut first = Bidder::start(&folder);
    let offer = first.offer(&banner("passed", "u-000001")).unwrap();
    first.tell(offer.text("burl"), "4.00");
    let open = first.offer(&banner("passed", "u-000002")).unwrap();

    let bids = first.bids;
    let second = Bidder::start_with(&folder, |command| {
        command.args(["--listen", &bids.to_string()]);
    });
    assert_eq!(second.bids, bids);
    assert_eq!(second.metric("outbid_books_open"), 0.0);
    assert!(second.look("/readyz").text().starts_with("standby"));

    let request = bid_request("open", &[], &banner("passed", "u-000003"));
    let crowd = Crowd::start(bids, request, 3);
    first.signal("TERM");
    assert!(first.wait().success());
    until("the second process bids", || {
        (second.metric("outbid_bids_total") >= 1.0).then_some(())
    });
    assert!(crowd.stop().bids > 0);

    assert_eq!(second.look("/readyz").text(), "ready\n");
    second.tell(open.text("burl"), "4.00");
    let money = second.money("passed-1");
    assert_eq!(
        (&*money.spent, &*money.late),
        ("0.008", "0.00"),
        "spend and holds are handed over"
    );
}
