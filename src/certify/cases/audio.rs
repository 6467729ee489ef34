//! Section 3.2.8: audio, derived from the audio ads that were bid.

use crate::certify::answer::Bid;
use crate::certify::case::{Case, Section, Verdict, ensure};
use crate::certify::edit::set;
use crate::certify::markup;
use crate::certify::stage::{Format, Stage};
use serde_json::{Value, json};

pub fn cases() -> Vec<Case> {
    vec![
        case("audio.mtype", "a bid on audio is audio: mtype 3", |stage| {
            stage.every_bid("no audio was found", |base| {
                let mtype = base.bid.int("mtype");
                (base.format == Format::Audio).then(|| {
                    ensure(mtype == Some(3), || {
                        format!("mtype is {mtype:?}; right would be 3")
                    })
                })
            })
        }),
        case(
            "audio.mimes.unknown",
            "an audio ad that cannot be played does not bid",
            |stage| {
                let base = stage.base(Format::Audio)?;
                stage.no_bid(base, |request| {
                    set(request, "imp.0.audio.mimes", json!(["audio/x-certify"]))
                })
            },
        ),
        case(
            "audio.duration.max",
            "an audio ad longer than maxduration does not bid",
            |stage| {
                let base = stage.base(Format::Audio)?;
                let edit = |request: &mut Value| set(request, "imp.0.audio.maxduration", json!(1));
                stage.never(base, edit, "an ad longer than maxduration", |bid| {
                    duration(bid) > Some(1)
                })
            },
        ),
        case(
            "audio.protocols.other",
            "an audio ad of no protocol on offer does not bid",
            |stage| {
                let base = stage.base(Format::Audio)?;
                let edit = |request: &mut Value| set(request, "imp.0.audio.protocols", json!([97]));
                stage.never(base, edit, "a bid of a protocol that is not on offer", |bid| {
                    bid.int("protocol").is_some()
                })
            },
        ),
        case(
            "audio.battr",
            "an audio ad with a blocked attribute does not bid",
            |stage| {
                let base = stage.sample(Format::Audio, "with an attribute", |bid| {
                    !bid.ints("attr").is_empty()
                })?;
                let attribute = base.bid.ints("attr")[0];
                let edit = |request: &mut Value| set(request, "imp.0.audio.battr", json!([attribute]));
                stage.never(base, edit, "a bid with a blocked attribute", |bid| {
                    bid.ints("attr").contains(&attribute)
                })
            },
        ),
        case(
            "audio.duration.min",
            "an audio ad shorter than minduration does not bid",
            |stage| {
                let base = stage.sample(Format::Audio, "of a known duration", |bid| {
                    duration(bid).is_some()
                })?;
                let dur = duration(&base.bid).unwrap_or_default();
                let edit = |request: &mut Value| {
                    set(request, "imp.0.audio.minduration", json!(dur + 1));
                    set(request, "imp.0.audio.maxduration", json!(dur + 600));
                };
                stage.never(base, edit, "an ad shorter than minduration", |bid| {
                    duration(bid).is_some_and(|found| found <= dur)
                })
            },
        ),
        case(
            "audio.rqddurs.other",
            "an audio ad of none of the required durations does not bid",
            |stage| {
                let base = stage.sample(Format::Audio, "of a known duration", |bid| {
                    duration(bid).is_some()
                })?;
                let dur = duration(&base.bid).unwrap_or_default();
                let edit = |request: &mut Value| {
                    set(request, "imp.0.audio.minduration", json!(null));
                    set(request, "imp.0.audio.maxduration", json!(null));
                    set(request, "imp.0.audio.rqddurs", json!([dur + 1, dur + 97]));
                };
                stage.never(base, edit, "an ad of a duration that is not required", |bid| {
                    duration(bid) == Some(dur)
                })
            },
        ),
        case(
            "audio.protocols.daast",
            "where only DAAST is played, no VAST bids",
            |stage| {
                let vast = |bid: &Bid| bid.markup().contains("<VAST");
                let base = stage.sample(Format::Audio, "that is VAST", vast)?;
                let edit = |request: &mut Value| set(request, "imp.0.audio.protocols", json!([9, 10]));
                stage.never(base, edit, "VAST where only DAAST is played", vast)
            },
        ),
        case(
            "audio.mimes.missing",
            "an audio imp without mimes is not bid on as audio",
            |stage| {
                let base = stage.base(Format::Audio)?;
                stage.fresh_bid(base)?;
                let mut request = stage.fresh(&base.request);
                set(&mut request, "imp.0.audio.mimes", json!(null));
                let answer = stage.send(&stage.call(request.to_string().into_bytes()))?;
                ensure(answer.bids().is_empty(), || {
                    "mimes is required; a bid where it is missing is a guess".into()
                })
            },
        ),
        case(
            "audio.floor.second",
            "no audio ad is bid below its floor by second",
            |stage| {
                let base = stage.sample(Format::Audio, "of a known duration", |bid| {
                    duration(bid).is_some()
                })?;
                let each = base.bid.price() * 1.5 / duration(&base.bid).unwrap_or(1) as f64;
                let edit = |request: &mut Value| set(request, "imp.0.audio.mincpmpersec", json!(each));
                stage.never(base, edit, "a bid below the floor by second", |bid| {
                    duration(bid).is_some_and(|dur| bid.price() < each * dur as f64 - 1e-6)
                })
            },
        ),
        case("audio.floor", "no audio ad is bid below the floor", |stage| {
            let base = stage.base(Format::Audio)?;
            let floor = base.bid.price() * 1.5;
            let edit = |request: &mut Value| set(request, "imp.0.bidfloor", json!(floor));
            stage.never(base, edit, "a bid below the floor", |bid| {
                bid.price() < floor - 1e-6
            })
        }),
        case(
            "audio.feed",
            "the kind of feed, stitching and volume are no reason not to bid",
            |stage| {
                let base = stage.base(Format::Audio)?;
                let edit = |request: &mut Value| {
                    set(request, "imp.0.audio.feed", json!(1));
                    set(request, "imp.0.audio.stitched", json!(1));
                    set(request, "imp.0.audio.nvol", json!(0));
                };
                stage.still_bids(base, edit).map(drop)
            },
        ),
        case(
            "audio.video-only",
            "an ad for a player without a picture is no video",
            |stage| {
                let video = stage.base(Format::Video)?;
                stage.fresh_bid(video)?;
                let mut request = stage.fresh(&video.request);
                let mut audio = request["imp"][0]["video"].clone();
                audio["mimes"] = json!(["audio/mpeg", "audio/mp4"]);
                request["imp"][0]["video"] = json!(null);
                request["imp"][0]["audio"] = audio;
                let bids = stage.ask(&request)?.bids();
                let seen = bids
                    .iter()
                    .find(|bid| markup::kind(bid.markup()) == Some(markup::Kind::Video));
                ensure(seen.is_none(), || "a video where there is only sound".into())
            },
        ),
    ]
}

fn duration(bid: &Bid) -> Option<i64> {
    bid.int("dur").or_else(|| markup::vast_duration_s(bid.markup()))
}

fn case(id: &'static str, title: &'static str, run: impl Fn(&Stage) -> Verdict + 'static) -> Case {
    Case::new(Section::Audio, id, "3.2.8", title, run)
}
