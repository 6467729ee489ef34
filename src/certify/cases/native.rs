//! Section 3.2.9 and Native 1.2 section 4: how a native ad is asked for.

use super::{Change, harmless};
use crate::certify::answer::{Bid, items};
use crate::certify::case::{Case, Section, Verdict, ensure, not_tested};
use crate::certify::edit::set;
use crate::certify::markup;
use crate::certify::stage::{Base, Format, Stage};
use serde_json::{Value, json};

pub(super) const HARMLESS: &[Change] = &[
    Change {
        id: "native.ver.absent",
        spec: "3.2.9",
        title: "a native imp need not say its version",
        edits: &[("imp.0.native.ver", "null")],
    },
    Change {
        id: "native.battr.unrelated",
        spec: "3.2.9",
        title: "blocked attributes that an ad does not have are no reason not to bid",
        edits: &[("imp.0.native.battr", "[1,3,8,10]")],
    },
    Change {
        id: "native.api",
        spec: "3.2.9",
        title: "APIs on offer need not be used",
        edits: &[("imp.0.native.api", "[7]")],
    },
];

pub fn cases() -> Vec<Case> {
    harmless(Section::Native, Format::Native, HARMLESS)
        .chain(wrappings())
        .chain(assets())
        .chain(trackers())
        .collect()
}

fn case(
    id: &'static str,
    spec: &'static str,
    title: &'static str,
    run: impl Fn(&Stage) -> Verdict + 'static,
) -> Case {
    Case::new(Section::Native, id, spec, title, run)
}

fn wrappings() -> Vec<Case> {
    vec![
        case(
            "native.request.object",
            "Native 1.2 4.1",
            "a request that is an object instead of a string is read",
            |stage| {
                let base = stage.base(Format::Native)?;
                stage
                    .still_bids(base, |request| {
                        let object = object(request);
                        set(request, "imp.0.native.request", object);
                    })
                    .map(drop)
            },
        ),
        case(
            "native.request.wrapped",
            "Native 1.0",
            "a request in the wrapper of 1.0 is answered in the wrapper",
            |stage| {
                let base = stage.base(Format::Native)?;
                let answer = stage.still_bids(base, |request| {
                    let mut object = object(request);
                    object["ver"] = json!("1.0");
                    set(
                        request,
                        "imp.0.native.request",
                        json!(json!({"native": object}).to_string()),
                    );
                    set(request, "imp.0.native.ver", json!("1.0"));
                })?;
                let wrapped = |bid: &Bid| parsed(bid).is_some_and(|native| native["native"].is_object());
                ensure(answer.bids().iter().all(wrapped), || {
                    "the answer to a wrapped request has no `native`".into()
                })
            },
        ),
        case(
            "native.request.unwrapped",
            "Native 1.1",
            "a request without the wrapper is answered without it",
            |stage| {
                let base = stage.base(Format::Native)?;
                let answer = stage.still_bids(base, |_| ())?;
                let wrapped = |bid: &Bid| parsed(bid).is_some_and(|native| native["native"].is_object());
                ensure(!answer.bids().iter().any(wrapped), || {
                    "the answer has a wrapper that the request has not".into()
                })
            },
        ),
        case(
            "native.request.missing",
            "3.2.9",
            "a native imp without a request is not bid on",
            |stage| no_bid_on(stage, json!(null)),
        ),
        case(
            "native.request.garbage",
            "3.2.9",
            "a request that is no JSON is not bid on",
            |stage| no_bid_on(stage, json!("{\"assets\":[")),
        ),
        case(
            "native.request.assetless",
            "Native 1.2 4.1",
            "a request without assets is not bid on",
            |stage| no_bid_on(stage, json!("{\"ver\":\"1.2\",\"assets\":[]}")),
        ),
        case(
            "native.request.unknown",
            "2.6",
            "unknown fields of a request are ignored",
            |stage| {
                with_object(stage, |object| {
                    object["certifyunknown"] = json!([1]);
                    object["ext"] = json!({"a": 1});
                    object["assets"][0]["certifyunknown"] = json!({});
                })
            },
        ),
        case(
            "native.request.context",
            "Native 1.2 4.1",
            "unknown contexts and placements do no harm",
            |stage| {
                with_object(stage, |object| {
                    object["context"] = json!(97);
                    object["contextsubtype"] = json!(97);
                    object["plcmttype"] = json!(97);
                })
            },
        ),
    ]
}

fn assets() -> Vec<Case> {
    vec![
        case(
            "native.asset.optional",
            "Native 1.2 4.2",
            "an optional asset that an ad lacks is no reason not to bid",
            |stage| {
                with_object(stage, |object| {
                    push_asset(
                        object,
                        json!({"id": 71, "required": 0, "data": {"type": 8, "len": 25}}),
                    )
                })
            },
        ),
        case(
            "native.asset.required",
            "Native 1.2 4.2",
            "an ad that lacks a required asset does not bid",
            |stage| {
                let base = stage.base(Format::Native)?;
                let edit = |request: &mut Value| {
                    change(request, |object| {
                        push_asset(object, json!({"id": 71, "required": 1, "data": {"type": 597}}))
                    });
                };
                stage.never(base, edit, "a bid without a required asset", |bid| {
                    !has_asset(bid, 71)
                })
            },
        ),
        case(
            "native.asset.unknown",
            "2.6",
            "an optional asset of an unknown kind is ignored",
            |stage| {
                with_object(stage, |object| {
                    push_asset(
                        object,
                        json!({"id": 71, "required": 0, "certifyunknown": {"type": 1}}),
                    )
                })
            },
        ),
        case(
            "native.asset.ids",
            "Native 1.2 5.2",
            "assets come back under the ids of the request",
            |stage| {
                let base = stage.base(Format::Native)?;
                let answer = stage.still_bids(base, |request| {
                    change(request, |object| {
                        for asset in object["assets"].as_array_mut().into_iter().flatten() {
                            asset["id"] = json!(asset["id"].as_i64().unwrap_or_default() + 1000);
                        }
                    });
                })?;
                let native = answer
                    .bids()
                    .first()
                    .and_then(|bid| markup::native(bid.markup()))
                    .unwrap_or_default();
                let strange = assets_of(&native)
                    .iter()
                    .any(|asset| asset["id"].as_i64() < Some(1000));
                ensure(!strange, || {
                    "an asset under an id that the request does not have".into()
                })
            },
        ),
        case(
            "native.title.length",
            "Native 1.2 4.3",
            "a title is no longer than asked for",
            |stage| {
                let base = stage.sample(Format::Native, "with a title", |bid| title(bid).is_some())?;
                let length = title(&base.bid).unwrap_or_default().chars().count();
                let edit =
                    |request: &mut Value| change(request, |object| set_title_length(object, length - 1));
                stage.never(base, edit, "a title longer than asked for", |bid| {
                    title(bid).is_some_and(|title| title.chars().count() >= length)
                })
            },
        ),
        case(
            "native.image.minimum",
            "Native 1.2 4.4",
            "an image is no smaller than asked for",
            |stage| {
                let base = stage.sample(Format::Native, "with an image", |bid| image(bid).is_some())?;
                let (w, h) = image(&base.bid).unwrap_or_default();
                let edit = |request: &mut Value| {
                    change(request, |object| {
                        for asset in object["assets"].as_array_mut().into_iter().flatten() {
                            if asset["img"]["type"] == json!(3) {
                                asset["img"] = json!({"type": 3, "wmin": w + 1, "hmin": h + 1});
                            }
                        }
                    });
                };
                stage.never(base, edit, "an image smaller than asked for", |bid| {
                    image(bid).is_some_and(|(found, _)| found <= w)
                })
            },
        ),
        case(
            "native.battr",
            "3.2.9",
            "a native ad with a blocked attribute does not bid",
            |stage| {
                let base = stage.sample(Format::Native, "with an attribute", |bid| {
                    !bid.ints("attr").is_empty()
                })?;
                let attribute = base.bid.ints("attr")[0];
                let edit = |request: &mut Value| set(request, "imp.0.native.battr", json!([attribute]));
                stage.never(base, edit, "a bid with a blocked attribute", |bid| {
                    bid.ints("attr").contains(&attribute)
                })
            },
        ),
    ]
}

fn trackers() -> Vec<Case> {
    vec![
        case(
            "native.trackers.none",
            "Native 1.2 4.7",
            "a request without event trackers is bid on",
            |stage| with_object(stage, |object| object["eventtrackers"] = json!([])),
        ),
        case(
            "native.trackers.image",
            "Native 1.2 4.7",
            "where only images are taken as trackers, no script is sent",
            |stage| {
                let base = stage.base(Format::Native)?;
                let edit = |request: &mut Value| {
                    change(request, |object| {
                        object["eventtrackers"] = json!([{"event": 1, "methods": [1]}]);
                    });
                };
                let script = |bid: &Bid| {
                    let native = markup::native(bid.markup()).unwrap_or_default();
                    items(&native["eventtrackers"])
                        .iter()
                        .any(|tracker| tracker["method"] == json!(2))
                };
                stage.never(
                    base,
                    edit,
                    "an event tracker of method 2, which is not on offer",
                    script,
                )
            },
        ),
        case(
            "native.privacy",
            "Native 1.2 4.1",
            "where a privacy notice is supported, an ad that has one sends it as a URL",
            |stage| {
                let base = stage.base(Format::Native)?;
                let answer = stage.still_bids(base, |request| {
                    change(request, |object| object["privacy"] = json!(1))
                })?;
                let natives: Vec<Value> = answer
                    .bids()
                    .iter()
                    .filter_map(|bid| markup::native(bid.markup()))
                    .collect();
                let notices: Vec<&str> = natives
                    .iter()
                    .filter_map(|native| native["privacy"].as_str())
                    .collect();
                if notices.is_empty() {
                    return not_tested("no ad has a privacy notice");
                }
                ensure(notices.iter().all(|url| url.contains("://")), || {
                    "`privacy` is no absolute URL".into()
                })
            },
        ),
    ]
}

fn no_bid_on(stage: &Stage, native_request: Value) -> Verdict {
    let base = stage.base(Format::Native)?;
    stage.fresh_bid(base)?;
    let mut request = stage.fresh(&base.request);
    set(&mut request, "imp.0.native.request", native_request);
    let answer = stage.send(&stage.call(request.to_string().into_bytes()))?;
    ensure(answer.bids().is_empty(), || {
        "a bid on a native imp that does not say what it wants".into()
    })
}

fn with_object(stage: &Stage, edit: impl Fn(&mut Value)) -> Verdict {
    let base: &Base = stage.base(Format::Native)?;
    stage.still_bids(base, |request| change(request, &edit)).map(drop)
}

fn object(request: &Value) -> Value {
    let text = request["imp"][0]["native"]["request"]
        .as_str()
        .unwrap_or_default();
    serde_json::from_str(text).expect("the templates hold a JSON string")
}

fn change(request: &mut Value, edit: impl Fn(&mut Value)) {
    let mut object = object(request);
    edit(&mut object);
    set(request, "imp.0.native.request", json!(object.to_string()));
}

fn push_asset(object: &mut Value, asset: Value) {
    if let Some(assets) = object["assets"].as_array_mut() {
        assets.push(asset);
    }
}

fn set_title_length(object: &mut Value, length: usize) {
    for asset in object["assets"].as_array_mut().into_iter().flatten() {
        if asset["title"].is_object() {
            asset["title"]["len"] = json!(length);
        }
    }
}

fn parsed(bid: &Bid) -> Option<Value> {
    serde_json::from_str(bid.markup()).ok()
}

fn assets_of(native: &Value) -> Vec<Value> {
    native["assets"].as_array().cloned().unwrap_or_default()
}

fn has_asset(bid: &Bid, id: i64) -> bool {
    let native = markup::native(bid.markup()).unwrap_or_default();
    assets_of(&native)
        .iter()
        .any(|asset| asset["id"].as_i64() == Some(id))
}

fn title(bid: &Bid) -> Option<String> {
    let native = markup::native(bid.markup())?;
    let titles = assets_of(&native);
    let found = titles.iter().find_map(|asset| asset["title"]["text"].as_str())?;
    (found.chars().count() > 1).then(|| found.to_owned())
}

/// The size of the largest image.
fn image(bid: &Bid) -> Option<(i64, i64)> {
    let native = markup::native(bid.markup())?;
    let sizes = assets_of(&native);
    let sizes = sizes
        .iter()
        .filter_map(|asset| Some((asset["img"]["w"].as_i64()?, asset["img"]["h"].as_i64()?)));
    sizes.max()
}
