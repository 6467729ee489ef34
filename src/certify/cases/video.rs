//! Sections 3.2.7 and 7.4-7.6: what a player can show, derived from the videos that were bid.

use super::{Change, harmless};
use crate::certify::answer::Bid;
use crate::certify::case::{Case, Flaw, Section, Verdict, ensure, not_tested};
use crate::certify::edit::set;
use crate::certify::markup;
use crate::certify::stage::{Base, Format, Stage};
use serde_json::{Value, json};

pub(super) const HARMLESS: &[Change] = &[
    Change {
        id: "video.linearity.absent",
        spec: "3.2.7",
        title: "an absent linearity is all of them",
        edits: &[("imp.0.video.linearity", "null")],
    },
    Change {
        id: "video.startdelay.mid",
        spec: "3.2.7",
        title: "a mid-roll is bid on",
        edits: &[("imp.0.video.startdelay", "-1")],
    },
    Change {
        id: "video.startdelay.second",
        spec: "3.2.7",
        title: "a start after 15 s is bid on",
        edits: &[("imp.0.video.startdelay", "15")],
    },
    Change {
        id: "video.placement",
        spec: "3.2.7",
        title: "the deprecated placement does no harm",
        edits: &[("imp.0.video.placement", "1")],
    },
    Change {
        id: "video.plcmt.absent",
        spec: "3.2.7",
        title: "an unknown placement is no reason not to bid",
        edits: &[("imp.0.video.plcmt", "null")],
    },
    Change {
        id: "video.playback.end",
        spec: "3.2.7",
        title: "when playback ends is no reason not to bid",
        edits: &[("imp.0.video.playbackend", "1")],
    },
    Change {
        id: "video.boxing",
        spec: "3.2.7",
        title: "boxing is allowed by default",
        edits: &[("imp.0.video.boxingallowed", "1")],
    },
    Change {
        id: "video.companions",
        spec: "3.2.7",
        title: "companions on offer need not be used",
        edits: &[
            (
                "imp.0.video.companionad",
                r#"[{"w":300,"h":250,"id":"c1","vcm":1}]"#,
            ),
            ("imp.0.video.companiontype", "[1,2]"),
        ],
    },
    Change {
        id: "video.sequence",
        spec: "3.2.7",
        title: "the deprecated sequence does no harm",
        edits: &[("imp.0.video.sequence", "1")],
    },
    Change {
        id: "video.delivery.absent",
        spec: "3.2.7",
        title: "an unknown delivery is no reason not to bid",
        edits: &[("imp.0.video.delivery", "null")],
    },
    Change {
        id: "video.enum",
        spec: "2.6",
        title: "unknown values beside known ones do no harm",
        edits: &[
            ("imp.0.video.plcmt", "97"),
            ("imp.0.video.playbackmethod", "[97]"),
            ("imp.0.video.pos", "97"),
        ],
    },
    Change {
        id: "video.api.listed",
        spec: "3.2.7",
        title: "APIs on offer need not be used",
        edits: &[("imp.0.video.api", "[1,2,7,8]")],
    },
];

pub fn cases() -> Vec<Case> {
    harmless(Section::Video, Format::Video, HARMLESS)
        .chain(files())
        .chain(durations())
        .chain(protocols())
        .chain(playing())
        .chain(pods())
        .collect()
}

fn case(
    id: &'static str,
    spec: &'static str,
    title: &'static str,
    run: impl Fn(&Stage) -> Verdict + 'static,
) -> Case {
    Case::new(Section::Video, id, spec, title, run)
}

fn files() -> Vec<Case> {
    vec![
        case(
            "video.mimes.unknown",
            "3.2.7",
            "a video that the player cannot play does not bid",
            |stage| {
                let base = stage.base(Format::Video)?;
                stage.no_bid(base, |request| {
                    set(request, "imp.0.video.mimes", json!(["video/x-certify"]))
                })
            },
        ),
        case(
            "video.mimes.one",
            "3.2.7",
            "of the types of a video only those on offer are sent",
            |stage| {
                let base = stage.sample(Format::Video, "with a media file", |bid| !types(bid).is_empty())?;
                let kept = types(&base.bid)[0].clone();
                let answer =
                    stage.still_bids(base, |request| set(request, "imp.0.video.mimes", json!([kept])))?;
                let files: Vec<String> = answer.bids().iter().flat_map(types).collect();
                ensure(files.contains(&kept), || {
                    format!("no media file of type {kept}, the one that can be played")
                })
            },
        ),
        case(
            "video.mimes.missing",
            "3.2.7",
            "a video imp without mimes is not bid on as video",
            |stage| {
                let base = stage.base(Format::Video)?;
                stage.fresh_bid(base)?;
                let mut request = stage.fresh(&base.request);
                set(&mut request, "imp.0.video.mimes", json!(null));
                let answer = stage.send(&stage.call(request.to_string().into_bytes()))?;
                ensure(answer.bids().is_empty(), || {
                    "mimes is required; a bid where it is missing is a guess".into()
                })
            },
        ),
        case(
            "video.bitrate.max",
            "3.2.7",
            "no media file is above the highest bit rate",
            |stage| {
                let base = stage.sample(Format::Video, "with bit rates", |bid| !bitrates(bid).is_empty())?;
                let lowest = bitrates(&base.bid).into_iter().min().unwrap_or_default();
                let edit = |request: &mut Value| set(request, "imp.0.video.maxbitrate", json!(lowest - 1));
                stage.never(
                    base,
                    edit,
                    "a video of which every file is above maxbitrate",
                    |bid| bitrates(bid).iter().min().is_some_and(|rate| *rate >= lowest),
                )
            },
        ),
        case(
            "video.bitrate.min",
            "3.2.7",
            "a video below the lowest bit rate does not bid",
            |stage| {
                let base = stage.sample(Format::Video, "with bit rates", |bid| !bitrates(bid).is_empty())?;
                let highest = bitrates(&base.bid).into_iter().max().unwrap_or_default();
                let edit = |request: &mut Value| set(request, "imp.0.video.minbitrate", json!(highest + 1));
                stage.never(
                    base,
                    edit,
                    "a video of which every file is below minbitrate",
                    |bid| bitrates(bid).iter().max().is_some_and(|rate| *rate <= highest),
                )
            },
        ),
    ]
}

fn durations() -> Vec<Case> {
    vec![
        case(
            "video.duration.max",
            "3.2.7",
            "a video longer than maxduration does not bid",
            |stage| {
                let (base, dur) = timed(stage)?;
                let edit = |request: &mut Value| set(request, "imp.0.video.maxduration", json!(dur - 1));
                stage.never(base, edit, "a video longer than maxduration", |bid| {
                    duration(bid) >= Some(dur)
                })
            },
        ),
        case(
            "video.duration.exact",
            "3.2.7",
            "a video as long as maxduration bids",
            |stage| {
                let (base, dur) = timed(stage)?;
                let answer = stage.still_bids(base, |request| {
                    set(request, "imp.0.video.maxduration", json!(dur))
                })?;
                let long = answer.bids().into_iter().find(|bid| duration(bid) > Some(dur));
                ensure(long.is_none(), || "a video longer than maxduration".into())
            },
        ),
        case(
            "video.duration.min",
            "3.2.7",
            "a video shorter than minduration does not bid",
            |stage| {
                let (base, dur) = timed(stage)?;
                let edit = |request: &mut Value| {
                    set(request, "imp.0.video.minduration", json!(dur + 1));
                    set(request, "imp.0.video.maxduration", json!(dur + 600));
                };
                stage.never(base, edit, "a video shorter than minduration", |bid| {
                    duration(bid).is_some_and(|found| found <= dur)
                })
            },
        ),
        case(
            "video.rqddurs.ours",
            "3.2.7",
            "a video of a required duration bids",
            |stage| {
                let (base, dur) = timed(stage)?;
                stage
                    .still_bids(base, |request| require(request, json!([dur, dur + 97])))
                    .map(drop)
            },
        ),
        case(
            "video.rqddurs.other",
            "3.2.7",
            "a video of none of the required durations does not bid",
            |stage| {
                let (base, dur) = timed(stage)?;
                let edit = |request: &mut Value| require(request, json!([dur + 1, dur + 97]));
                stage.never(base, edit, "a video of a duration that is not required", |bid| {
                    duration(bid) == Some(dur)
                })
            },
        ),
    ]
}

fn protocols() -> Vec<Case> {
    vec![
        case(
            "video.protocols.ours",
            "3.2.7",
            "a video of a protocol on offer bids, and says which it is",
            |stage| {
                let (base, protocol) = with_protocol(stage)?;
                let answer = stage.still_bids(base, |request| {
                    set(request, "imp.0.video.protocols", json!([protocol]))
                })?;
                let wrong = answer
                    .bids()
                    .into_iter()
                    .find(|bid| bid.int("protocol") != Some(protocol));
                ensure(wrong.is_none(), || {
                    "a bid of another protocol than the only one on offer".into()
                })
            },
        ),
        case(
            "video.protocols.other",
            "3.2.7",
            "a video of no protocol on offer does not bid",
            |stage| {
                let (base, protocol) = with_protocol(stage)?;
                let edit = |request: &mut Value| set(request, "imp.0.video.protocols", json!([9]));
                stage.never(base, edit, "a bid of a protocol that is not on offer", |bid| {
                    bid.int("protocol") == Some(protocol)
                })
            },
        ),
        case(
            "video.protocols.wrapper",
            "3.2.7",
            "where only wrappers can be played, no inline ad bids",
            |stage| {
                let inline = |bid: &Bid| bid.markup().contains("<InLine");
                let base = stage.sample(Format::Video, "that is an inline ad", inline)?;
                let edit =
                    |request: &mut Value| set(request, "imp.0.video.protocols", json!([5, 6, 8, 12, 14]));
                stage.never(
                    base,
                    edit,
                    "an inline ad where only wrappers can be played",
                    inline,
                )
            },
        ),
        case(
            "video.api.unlisted",
            "3.2.7",
            "an ad that needs an API bids only where it is listed",
            |stage| {
                let needs =
                    |bid: &Bid| !bid.apis().is_empty() || bid.markup().contains("apiFramework=\"VPAID\"");
                let base = stage.sample(Format::Video, "that needs an API", needs)?;
                let edit = |request: &mut Value| set(request, "imp.0.video.api", json!([]));
                stage.never(base, edit, "a bid that needs an API which is not listed", needs)
            },
        ),
    ]
}

fn playing() -> Vec<Case> {
    vec![
        case(
            "video.linearity.other",
            "3.2.7",
            "where only overlays are wanted, no linear ad bids",
            |stage| {
                let linear = |bid: &Bid| markup::tags(bid.markup(), "Linear").next().is_some();
                let base = stage.sample(Format::Video, "that is linear", linear)?;
                let edit = |request: &mut Value| set(request, "imp.0.video.linearity", json!(2));
                stage.never(base, edit, "a linear ad where linearity is 2", linear)
            },
        ),
        case(
            "video.battr",
            "3.2.7",
            "a video with a blocked attribute does not bid",
            |stage| {
                let base = stage.sample(Format::Video, "with an attribute", |bid| {
                    !bid.ints("attr").is_empty()
                })?;
                let attribute = base.bid.ints("attr")[0];
                let edit = |request: &mut Value| set(request, "imp.0.video.battr", json!([attribute]));
                stage.never(base, edit, "a bid with a blocked attribute", |bid| {
                    bid.ints("attr").contains(&attribute)
                })
            },
        ),
        case(
            "video.battr.skippable",
            "3.2.7, 7.4",
            "where skippable ads are blocked (16), none that can be skipped bids",
            |stage| {
                let base = stage.sample(Format::Video, "that can be skipped", skippable)?;
                let edit = |request: &mut Value| {
                    set(request, "imp.0.video.battr", json!([16]));
                    set(request, "imp.0.video.skip", json!(0));
                };
                stage.never(base, edit, "an ad that can be skipped", skippable)
            },
        ),
        case(
            "video.skip.zero",
            "7.4",
            "with skip = 0 an ad that can be skipped says so with attribute 16",
            |stage| {
                let base = stage.sample(Format::Video, "that can be skipped", skippable)?;
                let edit = |request: &mut Value| set(request, "imp.0.video.skip", json!(0));
                let bid = stage.choice(base, edit, "that can be skipped", skippable)?;
                ensure(bid.ints("attr").contains(&16), || {
                    "the ad has a skipoffset and not the attribute 16".into()
                })
            },
        ),
        case(
            "video.skip.one",
            "7.4",
            "with skip = 1 the publisher skips, and no ad has attribute 16",
            |stage| {
                let own = |bid: &Bid| bid.ints("attr").contains(&16);
                let base = stage.sample(Format::Video, "with attribute 16", own)?;
                let edit = |request: &mut Value| set(request, "imp.0.video.skip", json!(1));
                stage.never(
                    base,
                    edit,
                    "attribute 16 where the publisher puts the button",
                    own,
                )
            },
        ),
        case(
            "video.size.small",
            "3.2.7",
            "a small player is answered",
            |stage| {
                stage.answers(stage.base(Format::Video)?, &[200, 204], |request| {
                    let mut request = request.clone();
                    set(&mut request, "imp.0.video.w", json!(160));
                    set(&mut request, "imp.0.video.h", json!(90));
                    stage.call(request.to_string().into_bytes())
                })
            },
        ),
    ]
}

fn pods() -> Vec<Case> {
    vec![
        case(
            "video.pod.structured",
            "7.6",
            "a slot of a structured pod is bid on without slotinpod",
            |stage| {
                let (base, dur) = timed(stage)?;
                let answer = stage.still_bids(base, |request| {
                    set(request, "imp.0.video.podid", json!("pod-1"));
                    set(request, "imp.0.video.podseq", json!(1));
                    set(request, "imp.0.video.slotinpod", json!(1));
                    set(request, "imp.0.video.maxduration", json!(dur));
                })?;
                let placed = answer
                    .bids()
                    .into_iter()
                    .find(|bid| bid.int("slotinpod").is_some_and(|slot| slot != 0));
                ensure(placed.is_none(), || {
                    "slotinpod in the answer on a structured pod".into()
                })
            },
        ),
        case(
            "video.pod.dynamic",
            "7.6",
            "a dynamic pod gets no more than its time and its number of ads",
            |stage| {
                let (base, dur) = timed(stage)?;
                let bids = match stage.still_bids(base, |request| {
                    set(request, "imp.0.video.podid", json!("pod-1"));
                    set(request, "imp.0.video.poddur", json!(dur * 2));
                    set(request, "imp.0.video.maxseq", json!(2));
                    set(request, "imp.0.video.minduration", json!(1));
                }) {
                    Ok(answer) => answer.bids(),
                    Err(Flaw::Fails(_)) => return not_tested("dynamic pods get no bid"),
                    Err(flaw) => return Err(flaw),
                };
                let total: i64 = bids.iter().filter_map(duration).sum();
                ensure(bids.len() <= 2 && total <= dur * 2, || {
                    format!(
                        "{} ads of {total} s for a pod of 2 ads and {} s",
                        bids.len(),
                        dur * 2
                    )
                })
            },
        ),
    ]
}

fn timed<'s>(stage: &'s Stage) -> Result<(&'s Base, i64), Flaw> {
    let base = stage.sample(Format::Video, "with a duration above 1 s", |bid| {
        duration(bid) > Some(1)
    })?;
    Ok((base, duration(&base.bid).unwrap_or_default()))
}

fn with_protocol<'s>(stage: &'s Stage) -> Result<(&'s Base, i64), Flaw> {
    let base = stage.sample(Format::Video, "that says its protocol", |bid| {
        bid.int("protocol").is_some()
    })?;
    Ok((base, base.bid.int("protocol").unwrap_or_default()))
}

/// By `dur`, or by the markup.
fn duration(bid: &Bid) -> Option<i64> {
    bid.int("dur").or_else(|| markup::vast_duration_s(bid.markup()))
}

fn require(request: &mut Value, durations: Value) {
    set(request, "imp.0.video.rqddurs", durations);
    set(request, "imp.0.video.minduration", json!(null));
    set(request, "imp.0.video.maxduration", json!(null));
}

fn skippable(bid: &Bid) -> bool {
    markup::tags(bid.markup(), "Linear").any(|tag| markup::attribute(tag, "skipoffset").is_some())
}

fn types(bid: &Bid) -> Vec<String> {
    markup::tags(bid.markup(), "MediaFile")
        .filter_map(|tag| markup::attribute(tag, "type"))
        .collect()
}

fn bitrates(bid: &Bid) -> Vec<i64> {
    let rates = markup::tags(bid.markup(), "MediaFile").filter_map(|tag| markup::attribute(tag, "bitrate"));
    rates.filter_map(|rate| rate.parse().ok()).collect()
}
