//! Section 3.2.4: imps, alone and many, secure, expiring, of several formats.

use super::{Change, harmless};
use crate::certify::answer::{Bid, items};
use crate::certify::case::{Case, Section, Verdict, ensure, fails, not_tested};
use crate::certify::markup::{self, Kind};
use crate::certify::stage::{Base, Format, Stage};
use serde_json::{Value, json};
use std::time::Duration;

/// An exchange waits no longer than this for a request with very many imps.
const MANY_IMPS_MAX: Duration = Duration::from_secs(1);

pub(super) const HARMLESS: &[Change] = &[
    Change {
        id: "imp.tagid.absent",
        spec: "3.2.4",
        title: "an imp need not name its placement",
        edits: &[("imp.0.tagid", "null")],
    },
    Change {
        id: "imp.instl.zero",
        spec: "3.2.4",
        title: "instl = 0 is the default",
        edits: &[("imp.0.instl", "0")],
    },
    Change {
        id: "imp.rwdd.zero",
        spec: "3.2.4",
        title: "rwdd = 0 is the default",
        edits: &[("imp.0.rwdd", "0")],
    },
    Change {
        id: "imp.secure.zero",
        spec: "3.2.4",
        title: "secure = 0 asks for nothing",
        edits: &[("imp.0.secure", "0")],
    },
    Change {
        id: "imp.clickbrowser",
        spec: "3.2.4",
        title: "the kind of browser that clicks open is no reason not to bid",
        edits: &[("imp.0.clickbrowser", "1")],
    },
    Change {
        id: "imp.display-manager",
        spec: "3.2.4",
        title: "the software that renders is no reason not to bid",
        edits: &[
            ("imp.0.displaymanager", r#""certify""#),
            ("imp.0.displaymanagerver", r#""1.0""#),
        ],
    },
    Change {
        id: "imp.iframebuster",
        spec: "3.2.4",
        title: "iframe busters are no reason not to bid",
        edits: &[("imp.0.iframebuster", r#"["vendor"]"#)],
    },
    Change {
        id: "imp.metric",
        spec: "3.2.5",
        title: "metrics are no reason not to bid",
        edits: &[(
            "imp.0.metric",
            r#"[{"type":"viewability","value":0.85,"vendor":"EXCHANGE"},{"type":"certify","value":1}]"#,
        )],
    },
    Change {
        id: "imp.refresh",
        spec: "3.2.33",
        title: "a slot that refreshes may be bid on",
        edits: &[(
            "imp.0.refresh",
            r#"{"refsettings":[{"reftype":2,"minint":30}],"count":1}"#,
        )],
    },
    Change {
        id: "imp.pmp.empty",
        spec: "3.2.11",
        title: "an empty pmp is an open auction",
        edits: &[("imp.0.pmp", "{}")],
    },
    Change {
        id: "imp.floor.absent",
        spec: "3.2.4",
        title: "an imp without a floor has none",
        edits: &[("imp.0.bidfloor", "null"), ("imp.0.bidfloorcur", "null")],
    },
];

/// Imp ids that a careless writer would break.
const IDS: &[(&str, &str, &str)] = &[
    (
        "imp.id.quotes",
        "an imp id with quotes and backslashes comes back",
        "i-\"q\"-\\b",
    ),
    (
        "imp.id.unicode",
        "an imp id in any script comes back",
        "слот-广告-😀",
    ),
    ("imp.id.digits", "an imp id of digits stays a string", "0001"),
];

pub fn cases() -> Vec<Case> {
    let ids = IDS.iter().map(|&(id, title, text)| {
        Case::new(Section::Imp, id, "3.2.4, 4.2.3", title, move |stage| {
            comes_back(stage, text)
        })
    });
    let rows = harmless(Section::Imp, Format::Banner, HARMLESS);
    rows.chain(ids)
        .chain(many())
        .chain(secure())
        .chain(others())
        .collect()
}

fn case(
    id: &'static str,
    spec: &'static str,
    title: &'static str,
    run: impl Fn(&Stage) -> Verdict + 'static,
) -> Case {
    Case::new(Section::Imp, id, spec, title, run)
}

fn many() -> Vec<Case> {
    vec![
        case(
            "imp.many.two",
            "3.2.4",
            "of two imps at least one is bid on, under its id",
            |stage| {
                let base = stage.base(Format::Banner)?;
                let answer = stage.still_bids(base, |request| repeat_imp(request, 2))?;
                known_imps(&answer.bids(), 2)
            },
        ),
        case(
            "imp.many.second",
            "3.2.4",
            "an imp that cannot be bid on does not stand in the way of the next",
            |stage| {
                let base = stage.base(Format::Banner)?;
                let answer = stage.still_bids(base, |request| {
                    repeat_imp(request, 2);
                    request["imp"][0]["bidfloor"] = json!(900_000);
                })?;
                let wrong = answer.bids().into_iter().find(|bid| bid.text("impid") != "imp-1");
                ensure(wrong.is_none(), || {
                    "a bid on the imp whose floor is far above it".into()
                })
            },
        ),
        case(
            "imp.many.broken",
            "3.2.4",
            "an imp that makes no sense does not spoil the others",
            |stage| {
                let base = stage.base(Format::Banner)?;
                stage.fresh_bid(base)?;
                let mut request = stage.fresh(&base.request);
                repeat_imp(&mut request, 2);
                request["imp"][0]["banner"] = json!("300x250");
                let answer = stage.send(&stage.call(request.to_string().into_bytes()))?;
                if answer.refuses() {
                    return not_tested("the whole request is refused, as it may be");
                }
                let wrong = answer.bids().into_iter().find(|bid| bid.text("impid") == "imp-0");
                ensure(wrong.is_none(), || "a bid on an imp that asks for nothing".into())
            },
        ),
        case(
            "imp.many.hundred",
            "3.2.4",
            "a hundred imps are answered, every bid under a known id",
            |stage| {
                let base = stage.base(Format::Banner)?;
                let answer = stage.still_bids(base, |request| repeat_imp(request, 100))?;
                known_imps(&answer.bids(), 100)
            },
        ),
        case(
            "imp.many.thousands",
            "3.2.4",
            "two thousand imps are answered in time, or refused",
            |stage| {
                let base = stage.base(Format::Banner)?;
                stage.fresh_bid(base)?;
                let mut request = stage.fresh(&base.request);
                repeat_imp(&mut request, 2000);
                let answer = stage.send(&stage.call(request.to_string().into_bytes()))?;
                known_imps(&answer.bids(), 2000)?;
                ensure(answer.reply.elapsed < MANY_IMPS_MAX, || {
                    format!("it took {} ms; tmax is 1000", answer.reply.elapsed.as_millis())
                })
            },
        ),
        case(
            "imp.many.same-id",
            "3.2.4",
            "an imp id that comes twice is refused or bid on once",
            |stage| {
                let base = stage.base(Format::Banner)?;
                stage.fresh_bid(base)?;
                let mut request = stage.fresh(&base.request);
                let imp = request["imp"][0].clone();
                request["imp"] = json!([imp, imp]);
                let answer = stage.send(&stage.call(request.to_string().into_bytes()))?;
                ensure(matches!(answer.status(), 200 | 204 | 400), || {
                    format!("answered {}", answer.status())
                })
            },
        ),
        case(
            "imp.many.distinct",
            "4.2.3",
            "the bids of one response have different ids",
            |stage| {
                let base = stage.base(Format::Banner)?;
                let bids = stage.still_bids(base, |request| repeat_imp(request, 8))?.bids();
                if bids.len() < 2 {
                    return not_tested("eight imps got a single bid");
                }
                let mut ids: Vec<&str> = bids.iter().map(|bid| bid.text("id")).collect();
                ids.sort_unstable();
                ids.dedup();
                ensure(ids.len() == bids.len(), || "two bids have the same id".into())
            },
        ),
        case(
            "imp.many.sequence",
            "3.2.4",
            "imps keep their own sizes",
            |stage| {
                let base = stage.sample(Format::Banner, "with a size", |bid| bid.size().is_some())?;
                let answer = stage.still_bids(base, |request| {
                    repeat_imp(request, 2);
                    request["imp"][0]["banner"] = json!({"w": 13, "h": 17});
                })?;
                let wrong = answer.bids().into_iter().find(|bid| bid.text("impid") != "imp-1");
                ensure(wrong.is_none(), || "a bid on an imp of 13x17".into())
            },
        ),
    ]
}

fn secure() -> Vec<Case> {
    vec![
        case(
            "imp.secure.banner",
            "3.2.4",
            "on a secure imp every URL of a banner is https",
            |stage| only_https(stage, stage.base(Format::Banner)?, &json!(1)),
        ),
        case(
            "imp.secure.video",
            "3.2.4",
            "on a secure imp every URL of a video is https",
            |stage| only_https(stage, stage.base(Format::Video)?, &json!(1)),
        ),
        case(
            "imp.secure.native",
            "3.2.4",
            "on a secure imp every URL of a native ad is https",
            |stage| only_https(stage, stage.base(Format::Native)?, &json!(1)),
        ),
        case(
            "imp.secure.app",
            "3.2.4",
            "on a secure imp every URL of a banner in an app is https",
            |stage| only_https(stage, stage.base(Format::App)?, &json!(1)),
        ),
    ]
}

fn others() -> Vec<Case> {
    vec![
        case(
            "imp.exp",
            "3.2.4, 7.2",
            "a bid does not outlive what the imp allows",
            |stage| {
                let base = stage.any_sample("that says how long it is good for", |bid| {
                    bid.int("exp") > Some(45)
                })?;
                let edit = |request: &mut Value| request["imp"][0]["exp"] = json!(45);
                stage.never(base, edit, "exp is above the 45 s of the imp", |bid| {
                    bid.int("exp") > Some(45)
                })
            },
        ),
        case(
            "imp.instl.one",
            "3.2.4",
            "an interstitial imp is answered",
            |stage| {
                let base = stage.base(Format::App)?;
                stage.answers(base, &[200, 204], |request| edited(stage, request, "instl"))
            },
        ),
        case("imp.rwdd.one", "3.2.4", "a rewarded imp is answered", |stage| {
            let base = stage.base(Format::Video)?;
            stage.answers(base, &[200, 204], |request| edited(stage, request, "rwdd"))
        }),
        case(
            "imp.ssai",
            "3.2.4",
            "stitching on the server is no reason for an error",
            |stage| {
                let base = stage.base(Format::Video)?;
                stage.answers(base, &[200, 204], |request| edited(stage, request, "ssai"))
            },
        ),
        case(
            "imp.formats",
            "3.2.4, 4.2.3",
            "on an imp of two formats a bid says which it is, and is that",
            |stage| {
                let (banner, video) = (stage.base(Format::Banner)?, stage.base(Format::Video)?);
                let video = video.request["imp"][0]["video"].clone();
                let answer =
                    stage.still_bids(banner, |request| request["imp"][0]["video"] = video.clone())?;
                answer.bids().iter().try_for_each(says_its_kind)
            },
        ),
        case(
            "imp.formats.unused",
            "3.2.4",
            "a format that cannot be served does not hide one that can",
            |stage| {
                let base = stage.base(Format::Banner)?;
                let audio = json!({"mimes": ["audio/x-certify"], "maxduration": 1});
                stage
                    .still_bids(base, |request| request["imp"][0]["audio"] = audio.clone())
                    .map(drop)
            },
        ),
        case(
            "imp.unknown",
            "4.2.3",
            "every bid is on an imp of the request",
            |stage| {
                stage.every_bid("no bid was found", |base| {
                    let imps = items(&base.request["imp"]);
                    let ours = imps
                        .iter()
                        .any(|imp| imp["id"].as_str() == Some(base.bid.text("impid")));
                    Some(ensure(ours, || {
                        format!("impid `{}` is in no imp", base.bid.text("impid"))
                    }))
                })
            },
        ),
    ]
}

fn comes_back(stage: &Stage, id: &str) -> Verdict {
    let answer = stage.still_bids(stage.any()?, |request| request["imp"][0]["id"] = json!(id))?;
    let wrong = answer.bids().into_iter().find(|bid| bid.text("impid") != id);
    ensure(wrong.is_none(), || {
        format!("a bid on `{id}` came back under another impid")
    })
}

/// Makes `count` imps of the first, named `imp-0` and so on.
fn repeat_imp(request: &mut Value, count: usize) {
    let first = request["imp"][0].clone();
    let imps: Vec<Value> = (0..count)
        .map(|position| {
            let mut imp = first.clone();
            imp["id"] = json!(format!("imp-{position}"));
            imp
        })
        .collect();
    request["imp"] = json!(imps);
}

fn known_imps(bids: &[Bid], count: usize) -> Verdict {
    let number = |bid: &Bid| {
        bid.text("impid")
            .strip_prefix("imp-")
            .and_then(|n| n.parse::<usize>().ok())
    };
    let stranger = bids.iter().find(|bid| number(bid).is_none_or(|n| n >= count));
    match stranger {
        Some(bid) => fails(format!(
            "a bid on `{}`, which is no imp of the request",
            bid.text("impid")
        )),
        None => Ok(()),
    }
}

/// With `secure = 1` a bid is https all through; no bid is right for an ad that is not.
pub(super) fn only_https(stage: &Stage, base: &Base, flag: &Value) -> Verdict {
    let (_, lifted) = stage.fresh_bid(base)?;
    let insecure = |bid: &Bid| bid.urls().into_iter().find(|url| url.starts_with("http://"));
    let mut bids = 0;
    for _ in 0..3 {
        let mut request = stage.fresh(&base.request);
        request["imp"][0]["secure"] = flag.clone();
        for bid in stage.ask(&request)?.bids() {
            bids += 1;
            if let Some(url) = insecure(&bid) {
                return fails(format!(
                    "{url} in a bid on a secure imp; right would be https, or no bid"
                ));
            }
        }
    }
    match (bids, insecure(&lifted)) {
        (0, None) => not_tested("the ads are all https, and none is bid on a secure imp"),
        _ => Ok(()),
    }
}

fn says_its_kind(bid: &Bid) -> Verdict {
    let kind = markup::kind(bid.markup()).map(|kind: Kind| kind as i64);
    ensure(bid.int("mtype").is_some() && bid.int("mtype") == kind, || {
        format!("mtype is {:?}, the markup is of type {kind:?}", bid.int("mtype"))
    })
}

fn edited(stage: &Stage, request: &Value, flag: &str) -> crate::certify::client::Call {
    let mut request = request.clone();
    request["imp"][0][flag] = json!(1);
    stage.call(request.to_string().into_bytes())
}
