//! Native 1.2 section 5: the shape of a native ad, and how it agrees with what was asked for.

use crate::certify::answer::items;
use crate::certify::case::{Case, Section, Verdict, ensure, fails};
use crate::certify::markup;
use crate::certify::stage::{Base, Format};
use serde_json::Value;

/// The parts of an asset of which it has exactly one.
const KINDS: [&str; 4] = ["title", "img", "video", "data"];

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "native.answer.link",
            "5.7",
            "a native ad has a link with an absolute URL",
            |_, native| {
                let url = native["link"]["url"].as_str().unwrap_or_default();
                ensure(url.contains("://"), || format!("link.url is `{url}`"))
            },
        ),
        case(
            "native.answer.required",
            "5.1",
            "every required asset comes",
            |base, native| {
                let missing = asked(base).into_iter().find(|asset| {
                    asset["required"] == 1
                        && !items(&native["assets"])
                            .iter()
                            .any(|found| found["id"] == asset["id"])
                });
                ensure(missing.is_none(), || {
                    format!("missing: {}", missing.unwrap_or_default())
                })
            },
        ),
        case(
            "native.answer.known",
            "5.2",
            "no asset comes that was not asked for",
            |base, native| {
                let asked = asked(base);
                let assets = items(&native["assets"]);
                let strange = assets
                    .iter()
                    .find(|found| !asked.iter().any(|asset| asset["id"] == found["id"]));
                ensure(strange.is_none(), || {
                    format!("nobody asked for {}", strange.cloned().unwrap_or_default())
                })
            },
        ),
        case(
            "native.answer.once",
            "5.2",
            "an asset has one of title, img, video and data",
            |_, native| {
                let parts = |asset: &Value| KINDS.iter().filter(|kind| asset[**kind].is_object()).count();
                let wrong = items(&native["assets"]).iter().find(|asset| parts(asset) != 1);
                ensure(wrong.is_none(), || {
                    format!("not one of them: {}", wrong.cloned().unwrap_or_default())
                })
            },
        ),
        case(
            "native.answer.kind",
            "5.2",
            "an asset is of the kind that was asked for",
            |base, native| {
                let wrong = asked(base).into_iter().find(|asset| {
                    let Some(found) = items(&native["assets"])
                        .iter()
                        .find(|found| found["id"] == asset["id"])
                    else {
                        return false;
                    };
                    KINDS
                        .iter()
                        .any(|kind| asset[*kind].is_object() && !found[*kind].is_object())
                });
                ensure(wrong.is_none(), || {
                    format!("asked for {}", wrong.unwrap_or_default())
                })
            },
        ),
        case(
            "native.answer.lengths",
            "5.3, 5.5",
            "texts are no longer than asked for",
            |base, native| {
                for asset in asked(base) {
                    for (kind, key) in [("title", "text"), ("data", "value")] {
                        let found = items(&native["assets"])
                            .iter()
                            .find(|found| found["id"] == asset["id"]);
                        let text = found
                            .and_then(|found| found[kind][key].as_str())
                            .unwrap_or_default();
                        let length = asset[kind]["len"].as_u64().unwrap_or(u64::MAX);
                        if text.chars().count() as u64 > length {
                            return fails(format!("`{text}` is longer than {length} characters"));
                        }
                    }
                }
                Ok(())
            },
        ),
        case(
            "native.answer.images",
            "5.4",
            "an image has an absolute URL and a size",
            |_, native| {
                let images = items(&native["assets"])
                    .iter()
                    .filter(|asset| asset["img"].is_object());
                let mut images = images.map(|asset| &asset["img"]);
                let wrong = images.find(|image| {
                    let url = image["url"].as_str().unwrap_or_default();
                    !url.contains("://") || image["w"].as_i64().is_none() || image["h"].as_i64().is_none()
                });
                ensure(wrong.is_none(), || {
                    format!("an image like {}", wrong.cloned().unwrap_or_default())
                })
            },
        ),
        case(
            "native.answer.trackers",
            "5.8",
            "event trackers were asked for, and have an event, a method and a URL",
            |_, native| {
                let wrong = items(&native["eventtrackers"]).iter().find(|tracker| {
                    let url = tracker["url"].as_str().unwrap_or_default();
                    tracker["event"].as_i64().is_none()
                        || tracker["method"].as_i64().is_none()
                        || !url.contains("://")
                });
                ensure(wrong.is_none(), || {
                    format!("a tracker like {}", wrong.cloned().unwrap_or_default())
                })
            },
        ),
        case(
            "native.mtype",
            "4.2.3",
            "a bid on native is native: mtype 4",
            |base, _| {
                let mtype = base.bid.int("mtype");
                ensure(mtype == Some(4), || {
                    format!("mtype is {mtype:?}; right would be 4")
                })
            },
        ),
    ]
}

fn case(
    id: &'static str,
    spec: &'static str,
    title: &'static str,
    judge: impl Fn(&Base, &Value) -> Verdict + 'static,
) -> Case {
    Case::new(Section::Native, id, spec, title, move |stage| {
        stage.every_bid("no native ad was found", |base| {
            (base.format == Format::Native).then(|| match markup::native(base.bid.markup()) {
                Some(native) => judge(base, &native),
                None => fails("adm of a bid on native is no native object"),
            })
        })
    })
}

/// The assets of the request.
fn asked(base: &Base) -> Vec<Value> {
    let text = base.request["imp"][0]["native"]["request"]
        .as_str()
        .unwrap_or_default();
    let object: Value = serde_json::from_str(text).unwrap_or_default();
    items(&object["assets"]).to_vec()
}
