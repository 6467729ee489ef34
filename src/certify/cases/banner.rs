//! Section 3.2.6: sizes, blocked types and attributes, APIs, derived from the banners that were bid.

use super::{Change, harmless};
use crate::certify::answer::Bid;
use crate::certify::case::{Case, Flaw, Section, Verdict, ensure, not_tested};
use crate::certify::edit::set;
use crate::certify::markup;
use crate::certify::stage::{Base, Format, Stage};
use serde_json::{Value, json};

pub(super) const HARMLESS: &[Change] = &[
    Change {
        id: "banner.pos.absent",
        spec: "3.2.6",
        title: "an unknown position is no reason not to bid",
        edits: &[("imp.0.banner.pos", "null")],
    },
    Change {
        id: "banner.topframe",
        spec: "3.2.6",
        title: "an inner frame is no reason not to bid",
        edits: &[("imp.0.banner.topframe", "0")],
    },
    Change {
        id: "banner.expdir",
        spec: "3.2.6",
        title: "directions of expansion are no reason not to bid",
        edits: &[("imp.0.banner.expdir", "[1,2,3,4]")],
    },
    Change {
        id: "banner.api.listed",
        spec: "3.2.6",
        title: "APIs on offer need not be used",
        edits: &[("imp.0.banner.api", "[3,5,6,7]")],
    },
    Change {
        id: "banner.api.empty",
        spec: "3.2.6",
        title: "an ad that needs no API bids where there is none",
        edits: &[("imp.0.banner.api", "[]")],
    },
    Change {
        id: "banner.id",
        spec: "3.2.6",
        title: "a banner may have an id",
        edits: &[("imp.0.banner.id", r#""b-1""#)],
    },
    Change {
        id: "banner.vcm",
        spec: "3.2.6",
        title: "vcm is for companions and no reason not to bid",
        edits: &[("imp.0.banner.vcm", "0")],
    },
    Change {
        id: "banner.mimes.html",
        spec: "3.2.6",
        title: "HTML and JavaScript may be named as types",
        edits: &[(
            "imp.0.banner.mimes",
            r#"["text/html","text/javascript","application/javascript","image/png","image/gif","image/jpeg"]"#,
        )],
    },
    Change {
        id: "banner.deprecated",
        spec: "3.2.6",
        title: "fields that are deprecated do no harm",
        edits: &[
            ("imp.0.banner.wmax", "2000"),
            ("imp.0.banner.hmax", "2000"),
            ("imp.0.banner.wmin", "10"),
            ("imp.0.banner.hmin", "10"),
        ],
    },
];

pub fn cases() -> Vec<Case> {
    harmless(Section::Banner, Format::Banner, HARMLESS)
        .chain(sizes())
        .chain(attributes())
        .chain(types())
        .collect()
}

fn case(
    id: &'static str,
    spec: &'static str,
    title: &'static str,
    run: impl Fn(&Stage) -> Verdict + 'static,
) -> Case {
    Case::new(Section::Banner, id, spec, title, run)
}

fn sizes() -> Vec<Case> {
    vec![
        case(
            "banner.size.mismatch",
            "3.2.6",
            "a banner of a size that is not offered does not bid",
            |stage| {
                let (base, size) = sized(stage)?;
                let edit = |request: &mut Value| {
                    set(request, "imp.0.banner", json!({"format": [{"w": 13, "h": 17}]}))
                };
                stage.never(base, edit, "a bid of a size that is not offered", |bid| {
                    bid.size() == Some(size)
                })
            },
        ),
        case(
            "banner.size.swapped",
            "3.2.6",
            "300x250 is not 250x300",
            |stage| {
                let not_square = |bid: &Bid| bid.size().is_some_and(|(w, h)| w != h);
                let base = stage.sample(Format::Banner, "that is not square", not_square)?;
                let (w, h) = base.bid.size().unwrap_or_default();
                let edit =
                    |request: &mut Value| set(request, "imp.0.banner", json!({"format": [{"w": h, "h": w}]}));
                stage.never(base, edit, "a bid with width and height changed round", |bid| {
                    bid.size() == Some((w, h))
                })
            },
        ),
        case("banner.size.near", "3.2.6", "a size is exact", |stage| {
            let (base, (w, h)) = sized(stage)?;
            let near = json!({"format": [{"w": w + 1, "h": h}, {"w": w, "h": h - 1}]});
            let edit = |request: &mut Value| set(request, "imp.0.banner", near.clone());
            stage.never(base, edit, "a bid of a size that is not offered", |bid| {
                bid.size() == Some((w, h))
            })
        }),
        case(
            "banner.size.echo",
            "4.2.3",
            "the size of a bid is one of those offered",
            |stage| {
                let (base, (w, h)) = sized(stage)?;
                let offered = json!([{"w": 13, "h": 17}, {"w": w, "h": h}, {"w": 1, "h": 1}]);
                let answer = stage.still_bids(base, |request| {
                    set(request, "imp.0.banner", json!({"format": offered}))
                })?;
                let wrong = answer.bids().into_iter().find(|bid| bid.size() != Some((w, h)));
                ensure(wrong.is_none(), || {
                    "the bid is of another size than the one it can have".into()
                })
            },
        ),
        case(
            "banner.size.single",
            "3.2.6",
            "without format, w and h are the size",
            |stage| {
                let (base, (w, h)) = sized(stage)?;
                stage
                    .still_bids(base, |request| {
                        set(request, "imp.0.banner", json!({"w": w, "h": h}))
                    })
                    .map(drop)
            },
        ),
        case(
            "banner.size.single-mismatch",
            "3.2.6",
            "without format, no other size than w and h bids",
            |stage| {
                let (base, (w, h)) = sized(stage)?;
                let lift = |request: &mut Value| set(request, "imp.0.banner", json!({"w": w, "h": h}));
                let edit = |request: &mut Value| set(request, "imp.0.banner", json!({"w": w, "h": h + 7}));
                stage.never_unlike(base, lift, edit, "a bid of a size that is not offered", |bid| {
                    bid.size() == Some((w, h))
                })
            },
        ),
        case(
            "banner.size.format-first",
            "3.2.6",
            "the sizes of format count where w and h say something else",
            |stage| {
                let (base, (w, h)) = sized(stage)?;
                let banner = json!({"w": 13, "h": 17, "format": [{"w": w, "h": h}]});
                stage
                    .still_bids(base, |request| set(request, "imp.0.banner", banner.clone()))
                    .map(drop)
            },
        ),
        case(
            "banner.size.absent",
            "3.2.6",
            "a banner without a size is no error",
            |stage| {
                stage.answers(stage.base(Format::Banner)?, &[200, 204, 400], |request| {
                    with_banner(stage, request, json!({}))
                })
            },
        ),
        case(
            "banner.size.flexible",
            "3.2.10",
            "a flexible size is answered with its ratio, or not at all",
            |stage| {
                let base = stage.base(Format::Banner)?;
                stage.fresh_bid(base)?;
                let mut request = stage.fresh(&base.request);
                set(
                    &mut request,
                    "imp.0.banner",
                    json!({"format": [{"wratio": 6, "hratio": 5, "wmin": 240}]}),
                );
                let bids = stage.ask(&request)?.bids();
                if bids.is_empty() {
                    return not_tested("flexible sizes are not bid on");
                }
                let wrong = bids.iter().find(|bid| {
                    let ratio = (bid.int("wratio"), bid.int("hratio")) == (Some(6), Some(5));
                    !ratio && bid.size().is_none_or(|(w, h)| w * 5 != h * 6)
                });
                ensure(wrong.is_none(), || {
                    "a bid on a slot of 6:5 that says neither that ratio nor a size of it".into()
                })
            },
        ),
    ]
}

fn attributes() -> Vec<Case> {
    vec![
        case(
            "banner.battr",
            "3.2.6",
            "a banner with a blocked attribute does not bid",
            |stage| {
                let base = stage.sample(Format::Banner, "with an attribute", |bid| {
                    !bid.ints("attr").is_empty()
                })?;
                let attribute = base.bid.ints("attr")[0];
                let edit = |request: &mut Value| set(request, "imp.0.banner.battr", json!([attribute]));
                stage.never(base, edit, "a bid with a blocked attribute", |bid| {
                    bid.ints("attr").contains(&attribute)
                })
            },
        ),
        case(
            "banner.battr.list",
            "3.2.6",
            "a blocked attribute is found in a list of them",
            |stage| {
                let base = stage.sample(Format::Banner, "with an attribute", |bid| {
                    !bid.ints("attr").is_empty()
                })?;
                let attribute = base.bid.ints("attr")[0];
                let edit =
                    |request: &mut Value| set(request, "imp.0.banner.battr", json!([97, 98, attribute, 99]));
                stage.never(base, edit, "a bid with a blocked attribute", |bid| {
                    bid.ints("attr").contains(&attribute)
                })
            },
        ),
        case(
            "banner.battr.other",
            "3.2.6",
            "blocked attributes that an ad does not have are no reason not to bid",
            |stage| {
                let base = stage.sample(Format::Banner, "without attributes", |bid| {
                    bid.ints("attr").is_empty()
                })?;
                stage
                    .still_bids(base, |request| {
                        set(request, "imp.0.banner.battr", json!([1, 3, 6, 8, 10]))
                    })
                    .map(drop)
            },
        ),
        case(
            "banner.api.unlisted",
            "3.2.6",
            "an ad that needs an API bids only where it is listed",
            |stage| {
                let base = stage.sample(Format::Banner, "that names an API", |bid| !bid.apis().is_empty())?;
                let edit = |request: &mut Value| set(request, "imp.0.banner.api", json!([]));
                stage.never(base, edit, "a bid that needs an API which is not listed", |bid| {
                    !bid.apis().is_empty()
                })
            },
        ),
    ]
}

fn types() -> Vec<Case> {
    let blocked = |stage: &Stage, kind: i64| {
        let base = stage.sample(Format::Banner, "of that type", |bid| is_of_type(bid, kind))?;
        let edit = |request: &mut Value| set(request, "imp.0.banner.btype", json!([kind]));
        stage.never(base, edit, "a bid of a blocked type", |bid| is_of_type(bid, kind))
    };
    vec![
        case(
            "banner.btype.html",
            "3.2.6",
            "where HTML banners are blocked (2) there are none",
            move |stage| blocked(stage, 2),
        ),
        case(
            "banner.btype.script",
            "3.2.6",
            "where JavaScript is blocked (3) there is none",
            move |stage| blocked(stage, 3),
        ),
        case(
            "banner.btype.iframe",
            "3.2.6",
            "where iframes are blocked (4) there are none",
            move |stage| blocked(stage, 4),
        ),
        case(
            "banner.btype.other",
            "3.2.6",
            "blocked types that an ad is not of are no reason not to bid",
            |stage| {
                let base = stage.base(Format::Banner)?;
                let ours = markup::banner_types(base.bid.markup());
                let others: Vec<i64> = [1, 3, 4]
                    .into_iter()
                    .filter(|kind| !ours.contains(kind))
                    .collect();
                stage
                    .still_bids(base, |request| set(request, "imp.0.banner.btype", json!(others)))
                    .map(drop)
            },
        ),
        case(
            "banner.mtype",
            "4.2.3",
            "a bid on a banner is a banner: mtype 1, and markup that is neither VAST nor native",
            |stage| {
                stage.every_bid("no banner was found", |base| {
                    matches!(base.format, Format::Banner | Format::App).then(|| {
                        let kind = markup::kind(base.bid.markup());
                        let banner = kind.is_none_or(|kind| kind == markup::Kind::Banner);
                        ensure(banner && base.bid.int("mtype") == Some(1), || {
                            format!(
                                "mtype is {:?}, the markup is {kind:?}; right would be 1",
                                base.bid.int("mtype")
                            )
                        })
                    })
                })
            },
        ),
    ]
}

fn sized<'s>(stage: &'s Stage) -> Result<(&'s Base, (i64, i64)), Flaw> {
    let base = stage.sample(Format::Banner, "with a size", |bid| bid.size().is_some())?;
    Ok((base, base.bid.size().unwrap_or_default()))
}

fn is_of_type(bid: &Bid, kind: i64) -> bool {
    markup::kind(bid.markup()) == Some(markup::Kind::Banner)
        && markup::banner_types(bid.markup()).contains(&kind)
}

fn with_banner(stage: &Stage, request: &Value, banner: Value) -> crate::certify::client::Call {
    let mut request = request.clone();
    set(&mut request, "imp.0.banner", banner);
    stage.call(request.to_string().into_bytes())
}
