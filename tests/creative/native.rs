//! Native ads: which assets are filled with what, and the shape of the answer.

use super::{CLICK, IMPRESSION, Pools, VALUES, native_spec, render};
use outbid::creative::{Misfit, NativeSpec, Template, Values};
use outbid::openrtb::request::{Native, NativeAsset, NativeAssetKind};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The native answer to `assets`, as JSON, or why there is none.
fn native_answer(assets: &[NativeAsset], change: impl FnOnce(&mut Native)) -> Result<Value, Misfit> {
    native_answer_of(native_spec(), assets, change)
}

fn native_answer_of(
    spec: NativeSpec,
    assets: &[NativeAsset],
    change: impl FnOnce(&mut Native),
) -> Result<Value, Misfit> {
    let mut pools = Pools::default();
    let mut native = Native {
        assets: pools.assets(assets),
        ..Native::default()
    };
    change(&mut native);
    let template = Template::native(spec);
    let fit = pools.fit_native(&template, native)?;
    let text = render(
        &template,
        &fit,
        &Values {
            native_assets: assets,
            ..VALUES
        },
    );
    Ok(serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}")))
}

fn asset(id: u32, required: bool, kind: NativeAssetKind) -> NativeAsset {
    NativeAsset { id, required, kind }
}

fn image(kind: u32, (w, h): (u32, u32), (wmin, hmin): (u32, u32)) -> NativeAssetKind {
    NativeAssetKind::Image {
        kind,
        w,
        h,
        wmin,
        hmin,
    }
}

#[test]
fn native_assets_are_filled_by_kind_length_and_size() {
    let main = |w: u32, h: u32| {
        Some(json!({"type": 3, "url": format!("https://cdn.example/3-{w}.png"), "w": w, "h": h}))
    };
    let title = Some(json!({"text": "Ten \"chars\""}));
    let value = |value: &str| Some(json!({ "value": value }));
    let data = |kind, len| NativeAssetKind::Data { kind, len };
    for (kind, name, expected) in [
        (NativeAssetKind::Title { len: 11 }, "title", title.clone()),
        (NativeAssetKind::Title { len: 0 }, "title", title),
        (NativeAssetKind::Title { len: 10 }, "title", None),
        (image(3, (0, 0), (0, 0)), "img", main(1200, 627)),
        (image(3, (0, 0), (1200, 627)), "img", main(1200, 627)),
        (image(3, (600, 314), (0, 0)), "img", main(600, 314)),
        (image(3, (600, 314), (601, 0)), "img", None),
        (image(3, (0, 0), (1201, 0)), "img", None),
        (image(2, (0, 0), (0, 0)), "img", None),
        (data(2, None), "data", value("A long description of it")),
        (data(2, Some(10)), "data", value("Short")),
        (data(2, Some(4)), "data", None),
        (data(12, None), "data", None),
        (NativeAssetKind::Video, "video", None),
        (NativeAssetKind::Unknown, "title", None),
    ] {
        let required = native_answer(&[asset(7, true, kind)], |_| {});
        match expected {
            Some(expected) => assert_eq!(required.unwrap()["assets"], json!([{"id": 7, name: expected}])),
            None => assert_eq!(required, Err(Misfit::NativeAsset), "{kind:?}"),
        }
    }
}

#[test]
fn an_optional_asset_that_cannot_be_filled_is_left_out() {
    let sponsored = NativeAssetKind::Data { kind: 1, len: None };
    let answer = native_answer(
        &[asset(1, false, NativeAssetKind::Video), asset(2, true, sponsored)],
        |_| {},
    )
    .unwrap();
    assert_eq!(answer["assets"], json!([{"id": 2, "data": {"value": "Shop"}}]));
    assert_eq!(
        native_answer(&[asset(1, false, NativeAssetKind::Video)], |_| {}),
        Err(Misfit::NativeAsset)
    );
    assert_eq!(native_answer(&[], |_| {}), Err(Misfit::NativeAsset));
}

#[test]
fn a_native_answer_has_the_shape_that_was_asked_for() {
    let title = [asset(1, true, NativeAssetKind::Title { len: 90 })];
    let trackers = json!([{"event": 1, "method": 1, "url": IMPRESSION}]);
    let plain = native_answer(&title, |_| {}).unwrap();
    assert_eq!(
        (&plain["ver"], &plain["link"]),
        (&json!("1.2"), &json!({ "url": CLICK }))
    );
    assert_eq!(
        (&plain["imptrackers"], &plain["privacy"]),
        (&json!([IMPRESSION]), &Value::Null)
    );
    let full = native_answer(&title, |native| {
        (
            native.wrapped,
            native.privacy,
            native.event_trackers,
            native.impression_methods,
        ) = (true, true, true, 3);
    });
    let full = full.unwrap()["native"].take();
    assert_eq!(
        (&full["eventtrackers"], &full["imptrackers"]),
        (&trackers, &Value::Null)
    );
    assert_eq!(full["privacy"], "https://shop.example/privacy");
    let ours = native_answer_of(
        NativeSpec {
            privacy_url: None,
            ..native_spec()
        },
        &title,
        |native| native.privacy = true,
    );
    assert_eq!(ours.unwrap()["privacy"], "https://b.example/why/TOK-en_1");
    let by_script = native_answer(&title, |native| {
        (native.event_trackers, native.impression_methods) = (true, 2)
    });
    assert_eq!(by_script.unwrap()["imptrackers"], json!([IMPRESSION]));
}

#[test]
fn a_script_measures_the_impression_where_the_page_runs_scripts_and_nowhere_else() {
    const SCRIPT: &str = "https://verify.example/tag.js";
    let title = [asset(1, true, NativeAssetKind::Title { len: 90 })];
    let (image, script) = (
        json!({"event": 1, "method": 1, "url": IMPRESSION}),
        json!({"event": 1, "method": 2, "url": SCRIPT}),
    );
    let asked = |methods| {
        let spec = NativeSpec {
            impression_script: Some(SCRIPT.to_owned()),
            ..native_spec()
        };
        let answer = native_answer_of(spec, &title, |native| {
            (native.event_trackers, native.impression_methods) = (methods != 0, methods);
        });
        let answer = answer.expect("the title is there");
        (answer["imptrackers"].clone(), answer["eventtrackers"].clone())
    };
    assert_eq!(asked(0), (json!([IMPRESSION]), Value::Null));
    assert_eq!(asked(1), (Value::Null, json!([image])));
    assert_eq!(asked(2), (json!([IMPRESSION]), json!([script])));
    assert_eq!(asked(3), (Value::Null, json!([image, script])));
    let insecure = Template::native(NativeSpec {
        impression_script: Some("http://verify.example/tag.js".to_owned()),
        ..native_spec()
    });
    assert!(!insecure.secure());
}

fn any_asset() -> impl Strategy<Value = NativeAsset> {
    let size = || {
        prop_oneof![
            Just(0u32),
            Just(80),
            Just(314),
            Just(600),
            Just(627),
            Just(1200),
            0u32..2000
        ]
    };
    let kind = prop_oneof![
        (0u32..40).prop_map(|len| NativeAssetKind::Title { len }),
        (0u32..4, size(), size(), size(), size()).prop_map(|(kind, w, h, wmin, hmin)| {
            NativeAssetKind::Image {
                kind,
                w,
                h,
                wmin,
                hmin,
            }
        }),
        (0u32..4, prop::option::of(1u32..40)).prop_map(|(kind, len)| NativeAssetKind::Data { kind, len }),
        Just(NativeAssetKind::Video),
        Just(NativeAssetKind::Unknown),
    ];
    (any::<u32>(), prop::bool::weighted(0.2), kind).prop_map(|(id, required, kind)| asset(id, required, kind))
}

proptest! {
    #[test]
    fn any_native_answer_obeys_its_request(assets in prop::collection::vec(any_asset(), 0..6)) {
        let Ok(answer) = native_answer(&assets, |_| {}) else { return Ok(()) };
        let filled = answer["assets"].as_array().unwrap();
        prop_assert!(filled.len() >= assets.iter().filter(|asset| asset.required).count().max(1));
        let mut rest = assets.iter();
        for answer in filled {
            let asset = rest.find(|asset| answer["id"] == asset.id).expect("answers stand in the order of the assets");
            let chars = |text: &Value| text.as_str().unwrap().chars().count() as u32;
            match asset.kind {
                NativeAssetKind::Title { len } => prop_assert!(len == 0 || chars(&answer["title"]["text"]) <= len),
                NativeAssetKind::Data { len, .. } => {
                    prop_assert!(len.is_none_or(|len| chars(&answer["data"]["value"]) <= len));
                }
                NativeAssetKind::Image { kind, wmin, hmin, .. } => {
                    let (w, h) = (answer["img"]["w"].as_u64().unwrap(), answer["img"]["h"].as_u64().unwrap());
                    prop_assert!(w >= u64::from(wmin) && h >= u64::from(hmin));
                    prop_assert!(kind == 0 || answer["img"]["type"] == kind);
                }
                other => prop_assert!(false, "{other:?} was filled"),
            }
        }
    }

    #[test]
    fn any_native_text_survives_both_escapings(title in any::<String>(), value in any::<String>()) {
        let spec = NativeSpec { title: title.clone(), data: vec![(1, value.clone())], ..native_spec() };
        let template = Template::native(spec);
        let sponsored = NativeAssetKind::Data { kind: 1, len: None };
        let assets = [asset(1, false, NativeAssetKind::Title { len: 0 }), asset(2, true, sponsored)];
        let mut pools = Pools::default();
        let native = Native { assets: pools.assets(&assets), ..Native::default() };
        let fit = pools.fit_native(&template, native).unwrap();
        let text = render(&template, &fit, &Values { native_assets: &assets, ..VALUES });
        let answer: Value = serde_json::from_str(&text).unwrap();
        let filled = answer["assets"].as_array().unwrap();
        prop_assert_eq!(&filled.last().unwrap()["data"]["value"], &json!(value));
        prop_assert!(title.is_empty() || filled[0]["title"]["text"] == title.as_str());
    }
}
