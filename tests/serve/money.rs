//! Money through the wire: what notices, beacons, clicks and conversions do to the budgets page and the books.

use super::bidder::{Money, Offer, Shared, banner, bid_request, played, shared};
use super::configuration::{BEARER, Campaign, LANDING};
use super::http;
use super::wire::video;
use outbid::events::keys::{Keys, PostbackKey};
use outbid::events::postback::sign;
use outbid::events::proto::{Event, What};
use outbid::events::token::{Sealer, TOKEN_LEN, Token};
use outbid::units::{BidId, Timestamp};
use prost::Message;
use serde_json::json;

pub fn campaigns() -> Vec<Campaign> {
    let mut campaigns: Vec<_> = [
        "won",
        "twice",
        "lost",
        "tried",
        "audited",
        "unpriced",
        "posted",
        "forged",
        "clicked",
        "converted",
        "closing",
        "strange",
        "expired",
    ]
    .map(Campaign::new)
    .to_vec();
    campaigns.push(Campaign {
        creative: "north-film",
        ..Campaign::new("shown")
    });
    campaigns.push(Campaign {
        lifetime: "0.011",
        ..Campaign::new("tiny")
    });
    campaigns
}

#[test]
fn money_is_held_with_the_bid_and_spent_with_the_billing_notice() {
    let bidder = shared();
    let offer = bidder.offer(&banner("won", "u-000001")).unwrap();
    assert_eq!(bidder.money("won-1"), Money::is("0.00", "0.005"));
    bidder.tell(offer.text("nurl"), "4.00");
    assert_eq!(
        bidder.money("won-1"),
        Money::is("0.00", "0.005"),
        "a win is not yet billed"
    );
    bidder.tell(offer.text("burl"), "4.00");
    assert_eq!(bidder.money("won-1"), Money::is("0.004", "0.00"));
    let item = bidder.line_item("won-1");
    assert_eq!(
        (&item["bids"], &item["wins"], &item["losses"]),
        (&json!(1), &json!(1), &json!(0))
    );
    assert_eq!(item["win_rate"], 1.0);
    assert!(item["last_bid_ms"].as_i64().is_some());
    assert!(bidder.metric("outbid_spent{kind=\"line_item\",id=\"won-1\"}") > 0.0039);
    assert!(bidder.metric("outbid_spent{kind=\"campaign\",id=\"won\"}") > 0.0039);
}

#[test]
fn the_same_bill_again_is_free() {
    let bidder = shared();
    let offer = bidder.offer(&banner("twice", "u-000001")).unwrap();
    for price in ["4.00", "4.00", "5.00"] {
        bidder.tell(offer.text("burl"), price);
    }
    // Shown is not billable at this exchange.
    assert_eq!(bidder.fire(offer.beacon("/n/imp"), "5.00").status, 200);
    assert_eq!(bidder.money("twice-1"), Money::is("0.004", "0.00"));
}

#[test]
fn a_loss_frees_the_money() {
    let bidder = shared();
    let offer = bidder.offer(&banner("lost", "u-000001")).unwrap();
    bidder.tell(offer.text("lurl"), "");
    assert_eq!(bidder.money("lost-1"), Money::is("0.00", "0.00"));
    assert_eq!(bidder.line_item("lost-1")["losses"], 1);
}

#[test]
fn a_test_request_gets_a_bid_that_costs_nothing() {
    let bidder = shared();
    let mut request = banner("tried", "u-000001");
    request["test"] = json!(1);
    let offer = bidder.offer(&request).unwrap();
    assert_eq!(bidder.money("tried-1"), Money::is("0.00", "0.00"));
    bidder.tell(offer.text("nurl"), "4.00");
    bidder.tell(offer.text("burl"), "4.00");
    assert_eq!(bidder.money("tried-1"), Money::is("0.00", "0.00"));
}

#[test]
fn an_audit_books_nothing_and_leaves_the_bid_billable() {
    let bidder = shared();
    let offer = bidder.offer(&banner("audited", "u-000001")).unwrap();
    bidder.tell(offer.text("burl"), "AUDIT");
    assert_eq!(bidder.money("audited-1"), Money::is("0.00", "0.005"));
    bidder.tell(offer.text("burl"), "5.00");
    assert_eq!(bidder.money("audited-1"), Money::is("0.005", "0.00"));
}

#[test]
fn a_price_that_is_not_told_is_the_reserved_one() {
    let bidder = shared();
    for (spent, price) in [
        ("0.005", "${AUCTION_PRICE}"),
        ("0.01", ""),
        ("0.015", "cheap"),
        ("0.02", "-1"),
    ] {
        let offer = bidder.offer(&banner("unpriced", "u-000001")).unwrap();
        bidder.tell(offer.text("burl"), price);
        assert_eq!(
            bidder.money("unpriced-1"),
            Money::is(spent, "0.00"),
            "price {price:?}"
        );
    }
}

#[test]
fn notices_may_be_posted() {
    let bidder = shared();
    let offer = bidder.offer(&banner("posted", "u-000001")).unwrap();
    let target = played(offer.text("burl"), "3.00");
    assert_eq!(bidder.ask(&http::post(&target, &[], b"")).status, 200);
    assert_eq!(bidder.money("posted-1"), Money::is("0.003", "0.00"));

    let offer = bidder.offer(&banner("posted", "u-000001")).unwrap();
    let (path, query) = played(offer.text("burl"), "2.00")
        .split_once('?')
        .map(|(p, q)| (p.to_owned(), q.to_owned()))
        .unwrap();
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(
        bidder.ask(&http::post(&path, &form, query.as_bytes())).status,
        200
    );
    assert_eq!(bidder.money("posted-1"), Money::is("0.005", "0.00"));
    assert_eq!(bidder.ask(&http::post(&path, &form, &[b'a'; 20_000])).status, 413);
}

#[test]
fn a_token_that_is_not_ours_is_refused_everywhere() {
    let bidder = shared();
    let offer = bidder.offer(&banner("forged", "u-000001")).unwrap();
    let token = offer.token();
    let last = if token.ends_with('A') { "B" } else { "A" };
    let bent = format!("{}{last}{}", &token[..40], &token[41..]);
    let cut = &token[..token.len() - 4];
    for token in ["", "abc", cut, &bent, &"A".repeat(4000)] {
        for path in [
            "/n/win", "/n/bill", "/n/loss", "/n/imp", "/n/click", "/n/ev", "/n/err",
        ] {
            let answer = bidder.ask(&http::get(&format!("{path}?t={token}&p=1&e=start"), &[]));
            assert_eq!(answer.status, 401, "{path} {token}");
            assert_eq!(answer.header("location"), None);
        }
        if !token.is_empty() {
            let pixel = bidder.ask(&http::get(&format!("/n/conv?t={token}&n=buy"), &[]));
            assert!([400, 401].contains(&pixel.status), "{}", pixel.status);
        }
    }
    assert_eq!(bidder.ask(&http::get("/n/win", &[])).status, 401);
    assert_eq!(bidder.money("forged-1"), Money::is("0.00", "0.005"));
}

/// Opens and seals tokens as the bidder does.
fn sealer(bidder: &Shared) -> Sealer {
    Sealer::new(&Keys::open(&bidder.folder.data().join("keys")).unwrap().token)
}

fn bill(bidder: &Shared, token: &Token, price: &str) -> u16 {
    let mut text = [0; TOKEN_LEN];
    let target = format!("/n/bill?t={}&p={price}", sealer(bidder).seal(token, &mut text));
    bidder.ask(&http::get(&target, &[])).status
}

#[test]
fn a_bill_for_a_bid_that_the_books_do_not_know_is_booked_as_unmatched() {
    let bidder = shared();
    let offer = bidder.offer(&banner("strange", "u-000001")).unwrap();
    let known = sealer(&bidder).open(offer.token()).unwrap();
    let unknown = Token {
        bid: BidId(known.bid.0 ^ 1 << 70),
        ..known
    };
    let flagged = "outbid_books_flagged_total{flag=\"unmatched\"}";
    let before = bidder.metric(flagged);
    assert_eq!(bill(&bidder, &unknown, "4.00"), 200);
    let money = bidder.money("strange-1");
    assert_eq!(
        (&*money.spent, &*money.late, &*money.reserved),
        ("0.00", "0.004", "0.005")
    );
    assert_eq!(bidder.metric(flagged), before + 1.0);
    let report = bidder.look("/api/v1/budgets").json();
    assert!(
        report["alarms"]["unmatched"].as_u64() >= Some(1),
        "{}",
        report["alarms"]
    );
    // Once, as any other bid; the bid that is known is booked on time.
    assert_eq!(bill(&bidder, &unknown, "4.00"), 200);
    assert_eq!(bill(&bidder, &known, "4.00"), 200);
    let money = bidder.money("strange-1");
    assert_eq!(
        (&*money.spent, &*money.late, &*money.reserved),
        ("0.004", "0.004", "0.00")
    );
}

#[test]
fn an_expired_token_is_refused_counted_and_on_record() {
    let bidder = shared();
    let offer = bidder.offer(&banner("expired", "u-000001")).unwrap();
    let token = sealer(&bidder).open(offer.token()).unwrap();
    // The books remember bids for a day beyond their hold.
    let old = |age_days: i64| {
        let ago = |at: Timestamp| Timestamp(at.0 - age_days * Timestamp::MS_PER_DAY);
        Token {
            bid: BidId(token.bid.0 ^ 1 << 71),
            bid_time: ago(token.bid_time),
            win_hold_end: ago(token.win_hold_end),
            hold_end: ago(token.hold_end),
            ..token
        }
    };
    let refused = "outbid_notices_refused_total";
    let before = bidder.metric(refused);
    assert_eq!(bill(&bidder, &old(3), "4.00"), 401);
    assert!(bidder.metric(refused) >= before + 1.0);
    assert!(bidder.metric("outbid_books_flagged_total{flag=\"too_late\"}") >= 1.0);
    assert_eq!(bidder.money("expired-1"), Money::is("0.00", "0.005"));
    // A click still leads on.
    let mut text = [0; TOKEN_LEN];
    let expired = sealer(&bidder).seal(&old(3), &mut text).to_owned();
    let click = offer.beacon("/n/click").replace(offer.token(), &expired);
    assert_eq!(bidder.fire(&click, "").status, 302);
}

#[test]
fn a_video_is_billed_by_its_impression() {
    let bidder = shared();
    let mut request = banner("shown", "u-000001");
    request["imp"][0] = video();
    let offer = bidder.offer(&request).unwrap();
    bidder.tell(offer.text("burl"), "4.00");
    assert_eq!(
        bidder.money("shown-1"),
        Money::is("0.00", "0.005"),
        "burl is not billable for video"
    );
    let pixel = bidder.fire(offer.beacon("/n/imp"), "4.00");
    assert_eq!(
        (pixel.status, pixel.header("content-type")),
        (200, Some("image/gif"))
    );
    assert!(pixel.body.starts_with(b"GIF89a"));
    assert_eq!(pixel.header("cache-control"), Some("no-store"));
    assert_eq!(bidder.money("shown-1"), Money::is("0.004", "0.00"));
    for event in ["start", "firstQuartile", "midpoint", "thirdQuartile", "complete"] {
        let url = format!("/n/ev?t={}&e={event}", offer.token());
        assert_eq!(bidder.ask(&http::get(&url, &[])).status, 200, "{event}");
    }
    let nameless = format!("/n/ev?t={}&e=", offer.token());
    assert_eq!(bidder.ask(&http::get(&nameless, &[])).status, 400);
    assert_eq!(bidder.money("shown-1"), Money::is("0.004", "0.00"));
}

#[test]
fn an_exchange_may_bill_by_the_win() {
    let bidder = shared();
    let bearer = format!("Bearer {BEARER}");
    let request = bid_request(
        "closed",
        &[("Authorization", &bearer)],
        &banner("closing", "u-000001"),
    );
    let offer = Offer::of(&bidder.ask(&request));
    assert_eq!(offer.0["burl"], json!(null));
    bidder.tell(offer.text("nurl"), "4.00");
    assert_eq!(bidder.money("closing-1"), Money::is("0.004", "0.00"));
}

#[test]
fn a_click_leads_to_the_configured_page_and_nowhere_else() {
    let bidder = shared();
    let offer = bidder.offer(&banner("clicked", "u-000001")).unwrap();
    let expected = format!("{LANDING}&outbid_token={}", offer.token());
    for more in [
        "",
        "&url=https://evil.example/",
        "&r=https://evil.example/&p=1",
        "&landing_url=//evil.example",
    ] {
        let answer = bidder.fire(&format!("{}{more}", offer.beacon("/n/click")), "");
        assert_eq!(
            (answer.status, answer.header("location")),
            (302, Some(&*expected)),
            "{more}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn conversions_come_by_pixel_and_by_signed_postback() {
    let bidder = shared();
    let offer = bidder.offer(&banner("converted", "u-000001")).unwrap();
    let token = offer.token();
    let pixel = bidder.ask(&http::get(
        &format!("/n/conv?t={token}&n=signup&v=2.5&c=EUR&o=pixel-7"),
        &[],
    ));
    assert_eq!(
        (pixel.status, pixel.header("content-type")),
        (200, Some("image/gif"))
    );
    for (query, expected) in [
        (format!("t={token}"), 400),
        (format!("t={token}&n=buy&v=-1&c=USD"), 400),
        (format!("t={token}&n=buy&o=1&r=1"), 400),
    ] {
        let answer = bidder.ask(&http::get(&format!("/n/conv?{query}"), &[]));
        assert_eq!(answer.status, expected, "{query}");
    }

    let key = std::fs::read(bidder.folder.data().join("keys/postback.key")).unwrap();
    let key = PostbackKey(key.try_into().unwrap());
    let query = format!("t={token}&n=purchase&v=12.50&c=USD&o=postback-7");
    let good = format!("{query}&sig={}", sign(query.as_bytes(), &key).unwrap());
    let send = |parameters: &str| {
        bidder
            .ask(&http::post(&format!("/n/postback?{parameters}"), &[], b""))
            .status
    };
    assert_eq!(send(&query), 401, "unsigned");
    assert_eq!(send(&good.replace("12.50", "99.50")), 401, "another value");
    assert_eq!(send(&good.replace("sig=", "sig=0")), 401, "another signature");
    assert_eq!(send(&good), 200);

    let books = outbid::journal::read(&bidder.folder.data().join("books"), "books", 1).unwrap();
    let events = books.map(|record| Event::decode(record.unwrap().payload.as_slice()).unwrap());
    let mut found: Vec<_> = events
        .filter_map(|event| match event.what {
            Some(What::Conversion(c)) if c.order_id.ends_with("-7") => {
                Some((c.order_id, c.name, c.value, c.currency, c.signed))
            }
            _ => None,
        })
        .collect();
    found.sort();
    let text = str::to_owned;
    assert_eq!(
        found,
        [
            (text("pixel-7"), text("signup"), 2_500_000_000, text("EUR"), false),
            (
                text("postback-7"),
                text("purchase"),
                12_500_000_000,
                text("USD"),
                true
            ),
        ]
    );
}

#[test]
fn a_spent_budget_ends_the_bids_and_says_so() {
    let bidder = shared();
    let bids: Vec<_> = ["u-000001", "u-000002", "u-000003"]
        .iter()
        .map(|user| bidder.offer(&banner("tiny", user)))
        .collect();
    assert!(bids[0].is_some() && bids[1].is_some() && bids[2].is_none());
    let item = bidder.line_item("tiny-1");
    assert_eq!(
        item["no_bid_reasons"],
        json!([{"reason": "budget_spent", "count": 1}])
    );
    assert!(bidder.metric("outbid_no_bids_by_reason_total{reason=\"budget_spent\"}") >= 1.0);
    assert!(bidder.metric("outbid_fell_out_total{reason=\"budget_spent\"}") >= 1.0);

    // What is lost is free again, what is billed is not.
    bidder.tell(bids[0].as_ref().unwrap().text("lurl"), "");
    let third = bidder.offer(&banner("tiny", "u-000003")).unwrap();
    for offer in [bids[1].as_ref().unwrap(), &third] {
        bidder.tell(offer.text("burl"), "5.00");
    }
    assert!(bidder.offer(&banner("tiny", "u-000004")).is_none());
    assert_eq!(bidder.money("tiny-1"), Money::is("0.01", "0.00"));
}
