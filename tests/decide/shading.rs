//! Bids below the value: only in open first-price auctions, only where the exchange says so, and learnt from each bid once.

use crate::golden::{self, NOW, base_request};
use crate::stage::{At, CANDIDATES, Stage, with_request};
use outbid::shading::{MarketId, Outcome, Ticket};
use outbid::units::{Cpm, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;

const LEARN: &str = "seat = \"outbid\"\ncurrency = \"USD\"\nshading = \"learn\"\n";
const AT: At = At {
    now: NOW,
    seed: 1,
    candidates: CANDIDATES,
};

fn stage(exchange: &str) -> Stage {
    golden::stage(&[("exchanges/demo.toml", exchange)], &[], NOW)
}

/// Price, value and whether the market will hear of it, of the only bid.
fn bid(stage: &mut Stage, body: &Value, at: At) -> (Cpm, Cpm, Option<Ticket>) {
    with_request(&body.to_string(), |request| stage.decide(request, at)).expect("a sound request");
    assert_eq!(stage.scratch.bids.len(), 1, "{body}");
    let bid = stage.scratch.bids[0];
    let ticket = stage.live.budgets.take_ticket(bid.id).and_then(Ticket::from_bits);
    stage.live.budgets.release(bid.id);
    (bid.price, bid.candidate.value, ticket)
}

/// Prices to win around 1 unit, told to the market of the base request.
fn teach(stage: &mut Stage) -> MarketId {
    let (.., ticket) = bid(stage, &base_request("banner"), AT);
    let market = ticket.expect("a shaded bid").market;
    for n in 0..3_000_i64 {
        // 0.75 .. 1.25, evenly.
        let price = Cpm(750_000 + n * 7_919 % 500_000);
        let bid = Cpm(600_000 + n * 104_729 % 900_000);
        let outcome = if bid >= price {
            Outcome::WonAt(price)
        } else {
            Outcome::LostTo(price)
        };
        stage.live.markets.observe(market, bid, outcome);
    }
    market
}

#[test]
fn a_bid_in_a_first_price_auction_goes_to_what_the_market_charges() {
    let mut stage = stage(LEARN);
    let market = teach(&mut stage);
    let mut bids = Vec::new();
    for seed in 0..200 {
        let (price, value, ticket) = bid(&mut stage, &base_request("banner"), At { seed, ..AT });
        assert_eq!(value, Cpm(2_000_000));
        assert!(Cpm::ZERO < price && price <= value, "{price}");
        assert_eq!(ticket, Some(Ticket { market, bid: price }));
        bids.push(price);
    }
    bids.sort();
    // (2 − b)·(b − 0.75)/0.5 rises up to the dearest price to win: 1.25 is worth most.
    let median = bids[100];
    assert!((Cpm(1_150_000)..=Cpm(1_300_000)).contains(&median), "{median}");
}

#[test]
fn second_price_deals_and_exchanges_that_do_not_say_so_are_bid_at_value() {
    let mut taught = stage(LEARN);
    teach(&mut taught);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = base_request("banner");
        change(&mut body);
        body
    };
    let second = with(&|body| body["at"] = json!(2));
    let deal = with(&|body| {
        body["imp"][0]["pmp"] =
            json!({"private_auction": 1, "deals": [{"id": "deal-1", "at": 1, "bidfloor": 0.5}]});
    });
    let in_deal = [(
        "campaigns/cars.toml",
        "creatives = [\"cars\"]",
        "creatives = [\"cars\"]\ntargeting = { deal = [\"deal-1\"] }",
    )];
    let mut of_deals = golden::stage(&[("exchanges/demo.toml", LEARN)], &in_deal, NOW);
    let off = "seat = \"outbid\"\ncurrency = \"USD\"\n";
    for (stage, body) in [
        (&mut taught, &second),
        (&mut of_deals, &deal),
        (&mut stage(off), &base_request("banner")),
        (
            &mut stage(&format!("{off}auction = \"second\"\n")),
            &base_request("banner"),
        ),
    ] {
        let (price, value, ticket) = bid(stage, body, AT);
        assert_eq!((price, ticket), (value, None), "{body}");
    }
}

#[test]
fn a_shaded_bid_is_never_below_the_floor() {
    let mut stage = stage(LEARN);
    teach(&mut stage);
    for (floor, seed) in [(1.5, 1), (1.5, 2), (1.999_999, 3), (2.0, 4), (0.000_001, 5)] {
        let mut body = base_request("banner");
        body["imp"][0]["bidfloor"] = json!(floor);
        let (price, value, _) = bid(&mut stage, &body, At { seed, ..AT });
        assert!(price.as_units() >= floor && price <= value, "{price} at {floor}");
    }
}

#[test]
fn a_paced_bid_is_shaded_from_its_paced_value() {
    let even = "budget = { daily = 100.00 }\npacing = \"even\"";
    let paced = [("campaigns/cars.toml", "budget = { daily = 100.00 }", even)];
    let mut stage = golden::stage(&[("exchanges/demo.toml", LEARN)], &paced, NOW);
    let body = base_request("banner").to_string();
    with_request(&body, |request| stage.decide(request, AT)).expect("sound");
    let candidate = stage.scratch.bids[0].candidate;
    let shade = candidate.shade.expect("shaded");
    // A paced budget begins at a tenth of the value.
    assert_eq!((candidate.value, shade.value), (Cpm(2_000_000), Cpm(200_000)));
    assert!(candidate.price.expect("a price") <= shade.value);
}

#[test]
fn tests_and_bids_that_are_given_back_teach_nothing() {
    let mut stage = stage(LEARN);
    let mut body = base_request("banner");
    body["test"] = json!(1);
    let (.., ticket) = bid(&mut stage, &body, AT);
    assert_eq!(ticket, None);
    with_request(&base_request("banner").to_string(), |request| {
        stage.decide(request, AT)
    })
    .expect("sound");
    let lost = stage.scratch.bids[0].id;
    stage.live.budgets.release(lost);
    assert_eq!(stage.live.budgets.take_ticket(lost), None);
}

#[test]
fn a_hold_that_ends_undecided_is_told_once() {
    let mut stage = stage(LEARN);
    with_request(&base_request("banner").to_string(), |request| {
        stage.decide(request, AT)
    })
    .expect("sound");
    let made = stage.scratch.bids[0];
    let mut undecided = Vec::new();
    let later: Timestamp = made.hold_until + Duration::from_secs(1);
    stage.live.budgets.tick_noting(later, |bid| undecided.push(bid));
    stage.live.budgets.tick_noting(later, |bid| undecided.push(bid));
    assert_eq!(undecided.len(), 1);
    assert_eq!(undecided[0].bid_at, NOW);
    let ticket = Ticket::from_bits(undecided[0].ticket).expect("a ticket");
    assert_eq!(Some(ticket.bid), made.candidate.price);
}
