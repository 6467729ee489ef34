//! Sections 3.2.6 to 3.2.8: companions of linear ads, derived from those that come where every usual size is on offer.

use crate::certify::answer::Bid;
use crate::certify::case::{Case, Flaw, Section, Verdict, ensure, not_tested};
use crate::certify::edit::set;
use crate::certify::markup;
use crate::certify::stage::{Base, Format, Stage};
use serde_json::{Value, json};

const SIZES: [(i64, i64); 6] = [
    (300, 250),
    (728, 90),
    (320, 50),
    (300, 60),
    (640, 640),
    (500, 500),
];

/// A rule of one kind of spot: how the slots on offer are changed, and which companion then is none.
struct Rule {
    ids: [&'static str; 2],
    title: &'static str,
    edit: fn(&mut Value),
    wrong: &'static str,
    offends: fn(&str) -> bool,
}

const RULES: [Rule; 4] = [
    Rule {
        ids: ["video.companions.none", "audio.companions.none"],
        title: "without a slot for a companion there is none in the markup",
        edit: |spot| spot["companionad"] = json!(null),
        wrong: "a companion where none is offered a place",
        offends: |_| true,
    },
    Rule {
        ids: ["video.companions.size", "audio.companions.size"],
        title: "a companion is of the size of a slot",
        edit: |spot| spot["companionad"] = json!([{"w": 97, "h": 13}]),
        wrong: "a companion of a size that no slot has",
        offends: |tag| size(tag) != Some((97, 13)),
    },
    Rule {
        ids: ["video.companions.type", "audio.companions.type"],
        title: "a companion is of a kind that the player shows",
        edit: |spot| spot["companiontype"] = json!([97]),
        wrong: "a companion of a kind that is not on offer",
        offends: |_| true,
    },
    Rule {
        ids: ["video.companions.btype", "audio.companions.btype"],
        title: "a companion is of no type that its slot blocks",
        edit: |spot| {
            for slot in spot["companionad"].as_array_mut().into_iter().flatten() {
                slot["btype"] = json!([1, 2, 3, 4]);
            }
        },
        wrong: "a companion where every type is blocked",
        offends: |_| true,
    },
];

pub fn cases() -> Vec<Case> {
    let kinds = [
        (Section::Video, Format::Video, "3.2.7", "imp.0.video"),
        (Section::Audio, Format::Audio, "3.2.8", "imp.0.audio"),
    ];
    let of_kind = |(position, (section, format, spec, path))| {
        RULES.iter().map(move |rule| {
            let run = move |stage: &Stage| keeps(stage, rule, format, path);
            Case::new(section, rule.ids[position], spec, rule.title, run)
        })
    };
    (0..).zip(kinds).flat_map(of_kind).collect()
}

fn keeps(stage: &Stage, rule: &Rule, format: Format, path: &str) -> Verdict {
    let offer = |request: &mut Value| {
        let slots: Vec<Value> = SIZES.iter().map(|(w, h)| json!({"w": w, "h": h})).collect();
        set(request, &format!("{path}.companionad"), json!(slots));
    };
    let base = with_companion(stage, format, offer)?;
    let edit = |request: &mut Value| {
        offer(request);
        let key = path.rsplit('.').next().unwrap_or_default();
        (rule.edit)(&mut request["imp"][0][key]);
    };
    // The ad may go without its companions, and is still bid.
    let answer = stage.still_bids(base, edit)?;
    let bids = answer.bids();
    let wrong = bids.iter().flat_map(companions).find(|tag| (rule.offends)(tag));
    ensure(wrong.is_none(), || {
        format!("{} (`<{}>`)", rule.wrong, wrong.clone().unwrap_or_default())
    })
}

/// A base whose ad comes with a companion where there is room for one.
fn with_companion<'s>(
    stage: &'s Stage,
    format: Format,
    offer: impl Fn(&mut Value),
) -> Result<&'s Base, Flaw> {
    stage.base(format)?;
    for base in stage.bases().iter().filter(|base| base.format == format) {
        let bids = stage.still_bids(base, &offer)?.bids();
        if bids.iter().any(|bid| !companions(bid).is_empty()) {
            return Ok(base);
        }
    }
    not_tested(format!("no {} ad comes with a companion", format.name()))
}

fn companions(bid: &Bid) -> Vec<String> {
    markup::tags(bid.markup(), "Companion")
        .map(str::to_owned)
        .collect()
}

fn size(tag: &str) -> Option<(i64, i64)> {
    let number = |name| markup::attribute(tag, name)?.parse().ok();
    Some((number("width")?, number("height")?))
}
