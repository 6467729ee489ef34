//! Sections 4.4 and 7.8: what stands in a notice in place of its macros: prices of every kind, reasons of every kind.
//!
//! Invariant: a notice is taken whatever its values are; only what can be no price may be refused.

use super::macros::substitute;
use super::notices::{bid_with, case, deliver, taken, test_bid_with};
use crate::certify::Flaw;
use crate::certify::answer::Bid;
use crate::certify::case::{Case, not_tested};
use crate::certify::client::Call;
use crate::certify::stage::Stage;

/// Pending and disapproved.
const APPROVAL: [u32; 2] = [201, 202];

/// Loss reasons of the OpenRTB 3.0 list, in groups that mean something different to a bidder.
const LOSSES: &[(&str, &str, &[u32])] = &[
    (
        "notices.loss.won",
        "reason 0 (won) on a loss notice is taken",
        &[0],
    ),
    (
        "notices.loss.errors",
        "losses by an error of ours (1-10) are taken",
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    ),
    (
        "notices.loss.price",
        "losses by price (100-104) are taken",
        &[100, 101, 102, 103, 104],
    ),
    (
        "notices.loss.approval",
        "a creative that waits (201) or was refused (202) is taken",
        &APPROVAL,
    ),
    (
        "notices.loss.creative",
        "losses by the creative (200-215) are taken",
        &[
            200, 203, 204, 205, 206, 207, 208, 209, 210, 211, 212, 213, 214, 215,
        ],
    ),
    (
        "notices.loss.own",
        "reasons of an exchange's own (500 and above) are taken",
        &[500, 1000],
    ),
    (
        "notices.loss.unknown",
        "reasons that nobody knows are taken",
        &[11, 199, 99_999],
    ),
];

/// Prices as they come: id, title, what stands in place of the macro.
const PRICES: &[(&str, &str, &str)] = &[
    (
        "notices.price.audit",
        "AUDIT in place of a price is a rendering test, and taken",
        "AUDIT",
    ),
    ("notices.price.empty", "no price at all is no data, and taken", ""),
    (
        "notices.price.unreplaced",
        "a macro that was not replaced is taken",
        "${AUCTION_PRICE}",
    ),
    (
        "notices.price.unreplaced-encoded",
        "a macro that was not replaced, percent-encoded, is taken",
        "%24%7BAUCTION_PRICE%7D",
    ),
    (
        "notices.price.scientific",
        "a price like 1.25e0 is taken",
        "1.25e0",
    ),
    (
        "notices.price.scientific-plus",
        "a price like 1.5E+00 is taken",
        "1.5E+00",
    ),
    (
        "notices.price.percent",
        "a percent-encoded price is taken",
        "1%2E25",
    ),
    (
        "notices.price.base64",
        "a price in an encoding (`:B64`) is taken",
        "MS4yNQ%3D%3D",
    ),
    ("notices.price.zero", "a price of 0 is taken", "0"),
    (
        "notices.price.negative",
        "a price below 0 is no server error",
        "-1",
    ),
    (
        "notices.price.huge",
        "a price far above the bid is taken",
        "99999999",
    ),
    (
        "notices.price.digits",
        "a price of many digits is taken",
        "1.2500000000000000000000000000001",
    ),
    (
        "notices.price.nan",
        "a price that is none is no server error",
        "NaN",
    ),
    (
        "notices.price.garbage",
        "bytes that are no text are no server error",
        "%FF%00%FE",
    ),
    (
        "notices.price.long",
        "a price of a thousand characters is no server error",
        LONG,
    ),
];

const LONG: &str = "1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111\
1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111\
1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111";

pub fn cases() -> Vec<Case> {
    let losses = LOSSES.iter().map(|&(id, title, reasons)| {
        case(id, "loss reasons", title, move |stage| {
            for reason in reasons {
                // A bidder that listens would stop a creative that the other cases need.
                let bid = if APPROVAL.contains(reason) {
                    test_bid_with(stage, "lurl")?
                } else {
                    bid_with(stage, "lurl")?
                };
                let reason = reason.to_string();
                let url = substitute(
                    bid.text("lurl"),
                    &[("AUCTION_LOSS", &reason), ("AUCTION_MIN_TO_WIN", "2.5")],
                );
                taken(&deliver(stage, &Call::get(""), &url)?)?;
            }
            Ok(())
        })
    });
    let prices = PRICES.iter().map(|&(id, title, price)| {
        case(id, "4.4", title, move |stage| {
            let (key, bid) = priced(stage)?;
            let answer = deliver(
                stage,
                &Call::get(""),
                &substitute(bid.text(key), &[("AUCTION_PRICE", price)]),
            )?;
            // Only what cannot be a price may be refused.
            let refusable = ["-1", "NaN", LONG].contains(&price) || price.starts_with("%FF");
            if refusable && (400..500).contains(&answer.status()) {
                Ok(())
            } else {
                taken(&answer)
            }
        })
    });
    losses.chain(prices).collect()
}

fn priced(stage: &Stage) -> Result<(&'static str, Bid), Flaw> {
    let has = |stage: &Stage, key: &'static str| bid_with(stage, key).map(|bid| (key, bid));
    let (key, bid) = has(stage, "burl").or_else(|_| has(stage, "nurl"))?;
    if !bid.text(key).contains("${AUCTION_PRICE") {
        return not_tested(format!("the {key} does not ask for the price"));
    }
    Ok((key, bid))
}
