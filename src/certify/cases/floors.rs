//! Sections 3.2.4 and 7.11: no bid is below the floor, in whatever currency and form the floor is given.
//!
//! Invariant: floors are derived from the price that was bid a moment ago.

use crate::certify::answer::Bid;
use crate::certify::case::{Case, Section, Verdict, ensure, not_tested};
use crate::certify::edit::set;
use crate::certify::stage::{Base, Format, Stage};
use serde_json::{Value, json};

/// A pound is worth more dollars than this, and has been for all but a few days of its history.
const DOLLARS_PER_POUND_MIN: f64 = 1.06;
/// A yen is worth less than this in dollars.
const DOLLARS_PER_YEN_MAX: f64 = 0.02;
/// Prices are decimal on the wire and integers or floats behind it.
const TOLERANCE: f64 = 1e-6;

pub fn cases() -> Vec<Case> {
    [plain(), currencies(), durations()]
        .into_iter()
        .flatten()
        .collect()
}

fn case(
    id: &'static str,
    spec: &'static str,
    title: &'static str,
    run: impl Fn(&Stage) -> Verdict + 'static,
) -> Case {
    Case::new(section_of(id), id, spec, title, run)
}

fn plain() -> Vec<Case> {
    vec![
        case(
            "imp.floor.banner",
            "3.2.4",
            "no banner is bid below the floor",
            |stage| above_price(stage, stage.base(Format::Banner)?, 1.001),
        ),
        case(
            "imp.floor.app",
            "3.2.4",
            "no banner in an app is bid below the floor",
            |stage| above_price(stage, stage.base(Format::App)?, 1.001),
        ),
        case(
            "imp.floor.video",
            "3.2.4",
            "no video is bid below the floor",
            |stage| above_price(stage, stage.base(Format::Video)?, 1.001),
        ),
        case(
            "imp.floor.native",
            "3.2.4",
            "no native ad is bid below the floor",
            |stage| above_price(stage, stage.base(Format::Native)?, 1.001),
        ),
        case(
            "imp.floor.double",
            "3.2.4",
            "a floor far above the price is a floor",
            |stage| above_price(stage, stage.any()?, 2.0),
        ),
        case(
            "imp.floor.below",
            "3.2.4",
            "a floor below the price is no reason not to bid",
            |stage| {
                let base = stage.any()?;
                let (_, bid) = stage.fresh_bid(base)?;
                let floor = bid.price() * 0.6;
                let answer = stage.still_bids(base, |request| set_floor(request, floor, &bid.currency))?;
                at_least(&answer.bids(), floor)
            },
        ),
        case(
            "imp.floor.default-currency",
            "3.2.4",
            "a floor without a currency is in dollars",
            |stage| {
                let base = stage.any()?;
                let (_, bid) = stage.fresh_bid(base)?;
                if bid.currency != "USD" {
                    return not_tested("the bids are not in dollars");
                }
                let floor = bid.price() * 1.001;
                let edit = |request: &mut Value| {
                    set(request, "imp.0.bidfloor", json!(floor));
                    set(request, "imp.0.bidfloorcur", json!(null));
                };
                stage.never(base, edit, "a bid below the floor", |bid| {
                    bid.price() < floor - TOLERANCE
                })
            },
        ),
        case(
            "imp.floor.negative",
            "3.2.4",
            "a floor below nothing is none, or makes the request invalid",
            |stage| {
                stage.answers(stage.any()?, &[200, 204, 400], |request| {
                    let mut request = request.clone();
                    set_floor(&mut request, -1.0, "USD");
                    stage.call(request.to_string().into_bytes())
                })
            },
        ),
        case(
            "imp.floor.infinite",
            "3.2.4",
            "a floor beyond all numbers is bid on by nobody",
            |stage| {
                let base = stage.any()?;
                let (_, bid) = stage.fresh_bid(base)?;
                let text = stage.fresh(&base.request).to_string();
                let floor = base.request["imp"][0]["bidfloor"].to_string();
                let body = text.replacen(&format!("\"bidfloor\":{floor}"), "\"bidfloor\":1e400", 1);
                let answer = stage.send(&stage.call(body.into_bytes()))?;
                ensure(answer.bids().is_empty(), || {
                    format!("a bid like {} on a floor of 1e400", bid.price())
                })
            },
        ),
        case("imp.floor.each", "3.2.4", "each imp has its own floor", |stage| {
            let base = stage.base(Format::Banner)?;
            let (_, bid) = stage.fresh_bid(base)?;
            let floor = bid.price() + 0.5;
            let answer = stage.still_bids(base, |request| {
                let mut second = request["imp"][0].clone();
                second["id"] = json!("second");
                second["bidfloor"] = json!(floor);
                request["imp"] = json!([request["imp"][0], second]);
            })?;
            let second: Vec<Bid> = answer
                .bids()
                .into_iter()
                .filter(|bid| bid.text("impid") == "second")
                .collect();
            at_least(&second, floor)
        }),
    ]
}

fn currencies() -> Vec<Case> {
    vec![
        case(
            "imp.floor.strong",
            "3.2.4",
            "a floor in pounds is worth more than the same in dollars",
            |stage| {
                let base = in_dollars(stage)?;
                let (_, bid) = stage.fresh_bid(base)?;
                // Below the price as a number, above it as money.
                let floor = bid.price() * 0.97;
                let dollars = floor * DOLLARS_PER_POUND_MIN;
                let lift = |request: &mut Value| set_floor(request, floor, "USD");
                let edit = |request: &mut Value| set_floor(request, floor, "GBP");
                stage.never_unlike(base, lift, edit, "a bid below the floor in pounds", |bid| {
                    bid.price() < dollars
                })
            },
        ),
        case(
            "imp.floor.weak",
            "3.2.4",
            "a floor in yen is worth less than the same in dollars",
            |stage| {
                let base = in_dollars(stage)?;
                let (_, bid) = stage.fresh_bid(base)?;
                let small = |request: &mut Value| set_floor(request, 0.01, "JPY");
                let Ok(_) = stage.still_bids(base, small) else {
                    return not_tested("floors in yen get no bid at all");
                };
                let floor = bid.price() * 3.0;
                let answer = stage.still_bids(base, |request| set_floor(request, floor, "JPY"))?;
                ensure(
                    answer
                        .bids()
                        .iter()
                        .all(|bid| bid.price() > floor * DOLLARS_PER_YEN_MAX / 10.0),
                    || "a price that is not in dollars".into(),
                )
            },
        ),
        case(
            "imp.floor.unknown-currency",
            "3.2.4",
            "a floor in an unknown currency cannot be met",
            |stage| {
                let base = stage.any()?;
                let (_, bid) = stage.fresh_bid(base)?;
                let floor = bid.price() * 0.5;
                stage.no_bid(base, |request| set_floor(request, floor, "XTS"))
            },
        ),
    ]
}

fn durations() -> Vec<Case> {
    vec![
        case(
            "video.durfloors.above",
            "3.2.35, 7.11",
            "a video is not bid below the floor of its duration",
            |stage| {
                let base = stage.sample(Format::Video, "with a duration", |bid| bid.int("dur").is_some())?;
                let (_, bid) = stage.fresh_bid(base)?;
                let floor = bid.price() * 1.5;
                let floors = json!([{"mindur": 1, "maxdur": 600, "bidfloor": floor}]);
                let edit = |request: &mut Value| set(request, "imp.0.video.durfloors", floors.clone());
                stage.never(base, edit, "a bid below the floor of its duration", |bid| {
                    bid.price() < floor - TOLERANCE
                })
            },
        ),
        case(
            "video.durfloors.other",
            "3.2.35, 7.11",
            "floors of other durations leave the floor of the imp",
            |stage| {
                let base = stage.sample(Format::Video, "with a duration", |bid| bid.int("dur").is_some())?;
                let floors = json!([{"mindur": 3600, "maxdur": 7200, "bidfloor": 900_000}]);
                stage
                    .still_bids(base, |request| {
                        set(request, "imp.0.video.durfloors", floors.clone())
                    })
                    .map(drop)
            },
        ),
        case(
            "video.mincpmpersec",
            "3.2.7, 7.6",
            "a video is not bid below the price per second",
            |stage| {
                let base = stage.sample(Format::Video, "with a duration", |bid| bid.int("dur").is_some())?;
                let (_, bid) = stage.fresh_bid(base)?;
                let per_second = bid.price() * 1.5 / bid.int("dur").unwrap_or(1).max(1) as f64;
                let edit = |request: &mut Value| set(request, "imp.0.video.mincpmpersec", json!(per_second));
                stage.never(base, edit, "a bid below the price per second", |bid| {
                    bid.int("dur")
                        .is_some_and(|dur| bid.price() < per_second * dur as f64 - TOLERANCE)
                })
            },
        ),
    ]
}

fn above_price(stage: &Stage, base: &Base, factor: f64) -> Verdict {
    let (_, bid) = stage.fresh_bid(base)?;
    let floor = bid.price() * factor;
    let currency = bid.currency;
    stage.never(
        base,
        |request| set_floor(request, floor, &currency),
        "a bid below the floor",
        |bid| bid.price() < floor - TOLERANCE,
    )
}

fn in_dollars<'s>(stage: &'s Stage) -> Result<&'s Base, crate::certify::Flaw> {
    stage.any_sample("in dollars", |bid| bid.currency == "USD")
}

fn set_floor(request: &mut Value, floor: f64, currency: &str) {
    set(request, "imp.0.bidfloor", json!(floor));
    set(request, "imp.0.bidfloorcur", json!(currency));
}

fn at_least(bids: &[Bid], floor: f64) -> Verdict {
    let low = bids.iter().find(|bid| bid.price() < floor - TOLERANCE);
    ensure(low.is_none(), || {
        format!("a bid of {} below the floor {floor}", low.map_or(0.0, Bid::price))
    })
}

/// Floors by duration are a part of video.
fn section_of(id: &str) -> Section {
    if id.starts_with("video.") {
        Section::Video
    } else {
        Section::Imp
    }
}
