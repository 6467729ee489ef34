//! Finds requests that a bidder bids on, and as many different bids as it shows.
//!
//! Invariant: every base was bid on a moment ago, and is as simple as the bid allows.

use super::answer::Bid;
use super::edit::set;
use super::stage::{Base, Format, Stage};
use super::template;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Each round blocks the advertisers of the rounds before, so that others show their bids, until nobody bids any more. A bidder
/// that has more of them shows its best.
const VARIETY_ROUNDS: usize = 40;
/// An advertiser may have several ads for one slot.
const PIN_TRIES: usize = 6;
/// A bidder that explores may be silent once.
const TRIES: usize = 2;

pub fn find(stage: &Stage) -> Vec<Base> {
    let mut bases = Vec::new();
    for format in Format::ALL {
        let found = match format {
            Format::Deal => find_deal(stage, &bases),
            _ => template::requests(format)
                .iter()
                .find_map(|request| try_bid(stage, format, request)),
        };
        if let Some(base) = found {
            let base = simplify(stage, base);
            let others = variety(stage, &base);
            bases.push(base);
            bases.extend(others);
        }
    }
    bases
}

fn try_bid(stage: &Stage, format: Format, request: &Value) -> Option<Base> {
    (0..TRIES).find_map(|_| {
        let request = stage.fresh(request);
        let answer = stage.ask(&request).ok()?;
        let bid = answer.bids().into_iter().find(|bid| fits(format, bid))?;
        Some(Base {
            format,
            request,
            bid,
            answer,
        })
    })
}

/// A bid that says nothing of its deal is no bid on the deal.
fn fits(format: Format, bid: &Bid) -> bool {
    format != Format::Deal || !bid.text("dealid").is_empty()
}

fn find_deal(stage: &Stage, bases: &[Base]) -> Option<Base> {
    let deals = stage.settings.deals.iter();
    deals
        .flat_map(|deal| bases.iter().map(move |base| (deal, base)))
        .find_map(|(deal, base)| {
            let mut request = base.request.clone();
            set(&mut request, "badv", json!([]));
            set(
                &mut request,
                "imp.0.pmp",
                json!({"private_auction": 1, "deals": [{"id": deal, "bidfloor": 0.01}]}),
            );
            try_bid(stage, Format::Deal, &request)
        })
}

/// A banner of many sizes becomes one of the size that was bid.
fn simplify(stage: &Stage, base: Base) -> Base {
    let Some((w, h)) = base
        .bid
        .size()
        .filter(|_| base.request["imp"][0]["banner"]["format"].is_array())
    else {
        return base;
    };
    let mut request = base.request.clone();
    set(&mut request, "imp.0.banner.format", json!([{"w": w, "h": h}]));
    try_bid(stage, base.format, &request).unwrap_or(base)
}

/// Bids of other advertisers, and other ads of each.
fn variety(stage: &Stage, base: &Base) -> Vec<Base> {
    let mut found = Variety {
        seen: BTreeSet::new(),
        bases: vec![base.clone()],
    };
    found.seen.insert(base.bid.text("crid").to_owned());
    let mut blocked: Vec<Value> = domains(&base.bid);
    for _ in 0..VARIETY_ROUNDS {
        let mut request = base.request.clone();
        set(&mut request, "badv", json!(blocked));
        let Some(other) = try_bid(stage, base.format, &request) else {
            break;
        };
        let new = domains(&other.bid);
        // A bidder without the block, or without domains, has no more to show.
        if new.is_empty() || new.iter().any(|domain| blocked.contains(domain)) {
            break;
        }
        blocked.extend(new);
        found.push(other);
    }
    for position in 0..found.bases.len() {
        let shown = &found.bases[position].bid;
        let twists = twists(base.format)
            .into_iter()
            .chain(attributes(base.format, shown));
        for (path, value) in twists.collect::<Vec<_>>() {
            let mut request = found.bases[position].request.clone();
            set(&mut request, path, value);
            if let Some(other) = try_bid(stage, base.format, &request) {
                found.push(other);
            }
        }
    }
    let all: Vec<Value> = found.bases.iter().flat_map(|base| domains(&base.bid)).collect();
    found
        .bases
        .split_off(1)
        .into_iter()
        .map(|other| pin(stage, other, &all))
        .collect()
}

/// Blocks every advertiser but its own, so that the same ad bids again when another one is in the mood to.
fn pin(stage: &Stage, base: Base, all: &[Value]) -> Base {
    let own = domains(&base.bid);
    let others: Vec<&Value> = all.iter().filter(|domain| !own.contains(domain)).collect();
    let mut request = base.request.clone();
    set(&mut request, "badv", json!(others));
    let mut tries = (0..PIN_TRIES).filter_map(|_| try_bid(stage, base.format, &request));
    let again = tries.find(|found| found.bid.text("crid") == base.bid.text("crid"));
    again.unwrap_or(base)
}

/// Bases whose creatives differ.
struct Variety {
    seen: BTreeSet<String>,
    bases: Vec<Base>,
}

impl Variety {
    fn push(&mut self, base: Base) {
        if self.seen.insert(base.bid.text("crid").to_owned()) {
            self.bases.push(base);
        }
    }
}

/// What makes a bidder choose another of its ads.
fn twists(format: Format) -> Vec<(&'static str, Value)> {
    match format {
        Format::Video => vec![
            ("imp.0.video.maxduration", json!(6)),
            ("imp.0.video.maxduration", json!(15)),
            ("imp.0.video.maxduration", json!(20)),
            ("imp.0.video.minduration", json!(10)),
            ("imp.0.video.minduration", json!(20)),
            ("imp.0.video.minduration", json!(45)),
            ("imp.0.video.api", json!([1, 2, 7, 8, 9])),
        ],
        Format::Audio => vec![
            ("imp.0.audio.maxduration", json!(15)),
            ("imp.0.audio.minduration", json!(20)),
        ],
        Format::Banner | Format::App => vec![
            ("imp.0.banner.api", json!([3, 5, 6, 7])),
            ("imp.0.banner.btype", json!([2])),
            ("device.devicetype", json!(2)),
        ],
        Format::Native | Format::Deal => vec![("device.devicetype", json!(2))],
    }
}

/// Blocks what was shown by its attributes, so that an advertiser's next best ad comes.
fn attributes(format: Format, shown: &Bid) -> Option<(&'static str, Value)> {
    let path = match format {
        Format::Banner | Format::App => "imp.0.banner.battr",
        Format::Video => "imp.0.video.battr",
        Format::Audio => "imp.0.audio.battr",
        Format::Native | Format::Deal => return None,
    };
    let attributes = shown.ints("attr");
    (!attributes.is_empty()).then(|| (path, json!(attributes)))
}

fn domains(bid: &Bid) -> Vec<Value> {
    bid.texts("adomain")
        .into_iter()
        .map(|domain| json!(domain))
        .collect()
}
