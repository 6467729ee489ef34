//! Sections 3.2.31, 3.2.32 and 7.9: one bid for many impressions on a screen, derived from the banners that were bid.

use super::macros::substitute;
use super::money::spent;
use super::notices::{deliver, taken};
use crate::certify::answer::Bid;
use crate::certify::case::{Case, Flaw, Section, Verdict, ensure, fails, not_tested};
use crate::certify::client::Call;
use crate::certify::edit::set;
use crate::certify::stage::{Format, Stage};
use serde_json::{Value, json};

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "dooh.price.one",
            "7.9.4",
            "a price is that of one impression, however many there are",
            |stage| {
                let one = bid_on_screen(stage, 1.0)?;
                // Of the same ad, so that only the number differs.
                let many = (0..TRIES)
                    .map(|_| bid_on_screen(stage, 500.0))
                    .find(|bid| {
                        bid.as_ref()
                            .map_or(true, |bid| bid.text("crid") == one.text("crid"))
                    })
                    .unwrap_or_else(|| not_tested("on another number of impressions another ad is bid"))?;
                ensure(many.price() < one.price() * 50.0, || {
                    format!(
                        "{} for one impression, {} for each of 500: the number is no part of the price",
                        one.price(),
                        many.price()
                    )
                })
            },
        ),
        case(
            "dooh.floor",
            "7.9.4",
            "the floor is that of one impression, however many there are",
            |stage| {
                bid_on_screen(stage, 20.0)?;
                let base = stage.base(Format::Banner)?;
                let floor = base.bid.price() * 1.5;
                let lift = |request: &mut Value| screen(request, 20.0);
                let edit = |request: &mut Value| {
                    screen(request, 20.0);
                    set(request, "imp.0.bidfloor", json!(floor));
                };
                stage.never_unlike(base, lift, edit, "a bid below the floor", |bid| {
                    bid.price() < floor - 1e-6
                })
            },
        ),
        case(
            "dooh.multiplier.negative",
            "3.2.31",
            "a negative number of impressions is no reason to bid",
            |stage| {
                bid_on_screen(stage, 2.0)?;
                let base = stage.base(Format::Banner)?;
                stage.answers(base, &[400, 204], |request| {
                    let mut request = request.clone();
                    screen(&mut request, -2.0);
                    stage.call(request.to_string().into_bytes())
                })
            },
        ),
        money(
            "money.dooh.multiplier",
            "a billing notice spends its price times its number of impressions",
            |stage| spends(stage, Some("14.2"), 14.2),
        ),
        money(
            "money.dooh.fewer",
            "impressions that were bid for and not shown are not paid for",
            |stage| spends(stage, Some("0.5"), 0.5),
        ),
        money(
            "money.dooh.unreplaced",
            "where the number does not come back, as many are paid for as were bid for",
            |stage| spends(stage, None, 14.2),
        ),
    ]
}

/// Bidders choose among their ads at random.
const TRIES: usize = 12;

fn case(
    id: &'static str,
    spec: &'static str,
    title: &'static str,
    run: impl Fn(&Stage) -> Verdict + 'static,
) -> Case {
    Case::new(Section::Imp, id, spec, title, run)
}

fn money(id: &'static str, title: &'static str, run: impl Fn(&Stage) -> Verdict + 'static) -> Case {
    Case::new(Section::Money, id, "7.9.4", title, run)
}

/// Makes the request one for a screen that counts so many impressions.
fn screen(request: &mut Value, multiplier: f64) {
    set(request, "site", json!(null));
    set(
        request,
        "dooh",
        json!({"id": "certify-screen", "name": "Certify", "venuetype": ["transit"], "domain": "screens.example"}),
    );
    set(
        request,
        "imp.0.qty",
        json!({"multiplier": multiplier, "sourcetype": 1, "vendor": "certify.example"}),
    );
}

fn bid_on_screen(stage: &Stage, multiplier: f64) -> Result<Bid, Flaw> {
    let base = stage.base(Format::Banner)?;
    for _ in 0..TRIES {
        let mut request = stage.fresh(&base.request);
        screen(&mut request, multiplier);
        if let Some(bid) = stage.ask(&request)?.bids().into_iter().next() {
            return Ok(bid);
        }
    }
    not_tested("no bid on a screen, which nobody has to buy")
}

/// On a bid for 14.2 impressions, a notice of so many (`None`: not replaced) must spend `times` the price of one.
fn spends(stage: &Stage, number: Option<&str>, times: f64) -> Verdict {
    let before = spent(stage)?;
    let bid = bid_on_screen(stage, 14.2)?;
    if bid.text("burl").is_empty() {
        return not_tested("bids have no burl");
    }
    let price = format!("{:.4}", bid.price() * 0.8);
    let mut values = vec![
        ("AUCTION_PRICE", price.as_str()),
        ("AUCTION_CURRENCY", bid.currency.as_str()),
        ("AUCTION_IMP_TS", "1772452800000"),
    ];
    values.extend(number.map(|number| ("AUCTION_MULTIPLIER", number)));
    let url = substitute(bid.text("burl"), &values);
    taken(&deliver(stage, &Call::get(""), &url)?)?;
    let booked = spent(stage)?.as_units() - before.as_units();
    let Ok(price) = price.parse::<f64>() else {
        return fails(format!("`{price}` is no price"));
    };
    let right = price / 1000.0 * times;
    // Amounts are rounded to the nano, and rates by a little more.
    ensure((booked - right).abs() <= right * 0.02, || {
        format!("{booked} was spent; right would be {price} / 1000 × {times} = {right}")
    })
}
