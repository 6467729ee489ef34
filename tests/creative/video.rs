//! Videos: which imps they fit, and the VAST documents.

use super::{CLICK, IMPRESSION, Pools, VALUES, render, video_spec, xml};
use outbid::creative::{
    ClickMacro, Companions, Fit, LinearFit, LinearSpec, MediaFile, Misfit, Template, Values, VastVersion,
};
use outbid::openrtb::request::{Spot, Strs, Video};
use proptest::prelude::*;

type VideoChange = fn(&mut Video, &mut Pools);

/// The fit of the video for an imp that takes mp4 and any protocol, changed by `change`.
fn video_fit(change: impl FnOnce(&mut Video, &mut Pools)) -> Result<LinearFit, Misfit> {
    let mut pools = Pools::default();
    let mut video = Video {
        spot: Spot {
            mimes: pools.strs(&["video/mp4"]),
            ..Spot::default()
        },
        ..Video::default()
    };
    change(&mut video, &mut pools);
    pools
        .fit_video(&Template::linear(video_spec()), video)
        .map(|fit| match fit {
            Fit::Video(fit) => fit,
            other => panic!("{other:?}"),
        })
}

#[test]
fn a_video_fits_by_protocol_duration_and_linearity() {
    let misfit = |change: VideoChange| video_fit(change).err();
    let cases: [(Option<Misfit>, VideoChange); 13] = [
        (None, |_, _| {}),
        (None, |v, _| {
            (v.spot.min_duration_s, v.spot.max_duration_s) = (15, Some(15))
        }),
        (Some(Misfit::Duration), |v, _| v.spot.min_duration_s = 16),
        (Some(Misfit::Duration), |v, _| v.spot.max_duration_s = Some(14)),
        (None, |v, p| v.spot.rqddurs = p.ints(&[30, 15])),
        (None, |v, p| {
            (v.spot.rqddurs, v.spot.min_duration_s) = (p.ints(&[15]), 20)
        }),
        (Some(Misfit::Duration), |v, p| v.spot.rqddurs = p.ints(&[30, 6])),
        (Some(Misfit::Duration), |v, _| v.spot.pod_duration_s = Some(10)),
        (None, |v, _| v.linearity = Some(1)),
        (Some(Misfit::Linearity), |v, _| v.linearity = Some(2)),
        (Some(Misfit::Protocol), |v, p| v.spot.protocols = p.ints(&[1, 5])),
        (None, |v, p| v.spot.api = p.ints(&[7])),
        (None, |v, _| (v.w, v.h) = (Some(320), Some(480))),
    ];
    for (i, (expected, change)) in cases.into_iter().enumerate() {
        assert_eq!(misfit(change), expected, "case {i}");
    }
    assert_eq!(
        video_fit(|v, p| v.spot.protocols = p.ints(&[2, 3])).map(|f| f.version),
        Ok(VastVersion::V3_0)
    );
}

#[test]
fn media_files_are_chosen_by_mime_delivery_and_bitrate() {
    let cases: [(Result<u32, Misfit>, VideoChange); 9] = [
        (Ok(0b0011), |_, _| {}),
        (Ok(0b1111), |v, _| v.spot.mimes = Strs::default()),
        (Ok(0b0100), |v, p| v.spot.mimes = p.strs(&["VIDEO/WEBM"])),
        (Err(Misfit::Mime), |v, p| v.spot.mimes = p.strs(&["video/3gpp"])),
        (Ok(0b0001), |v, _| v.spot.max_bitrate_kbps = Some(1_000)),
        (Ok(0b0010), |v, _| v.spot.min_bitrate_kbps = Some(1_000)),
        (Err(Misfit::Bitrate), |v, _| v.spot.max_bitrate_kbps = Some(100)),
        (Err(Misfit::Delivery), |v, p| v.spot.delivery = p.ints(&[1])),
        (Ok(0b1000), |v, p| {
            (v.spot.delivery, v.spot.mimes) = (p.ints(&[1]), Strs::default())
        }),
    ];
    for (i, (expected, change)) in cases.into_iter().enumerate() {
        assert_eq!(video_fit(change).map(|fit| fit.media), expected, "case {i}");
    }
}

#[test]
fn the_markup_asks_for_a_skip_button_only_where_the_publisher_brings_none() {
    let cases: [(bool, VideoChange); 5] = [
        (true, |_, _| {}),
        (true, |v, _| v.skip = Some(false)),
        (false, |v, _| v.skip = Some(true)),
        (false, |v, p| v.spot.battr = p.ints(&[16])),
        (false, |v, p| v.spot.protocols = p.ints(&[2])),
    ];
    let template = Template::linear(video_spec());
    for (i, (expected, change)) in cases.into_iter().enumerate() {
        let fit = Fit::Video(video_fit(change).unwrap());
        assert_eq!(fit.extra_attribute(), expected.then_some(16), "case {i}");
        let document = render(&template, &fit, &VALUES);
        assert_eq!(document.contains("skipoffset=\"00:00:05\""), expected, "case {i}");
    }
}

fn vast_fit(version: VastVersion, media: u32) -> Fit {
    Fit::Video(LinearFit {
        version,
        duration_s: 15,
        size: Some((640, 360)),
        skippable: true,
        media,
        companions: Companions::default(),
    })
}

#[test]
fn a_vast_document_holds_what_a_player_needs() {
    for version in VastVersion::ALL {
        let document = render(
            &Template::linear(video_spec()),
            &vast_fit(version, 0b0101),
            &VALUES,
        );
        let vast = xml::parse(&document).unwrap_or_else(|e| panic!("{version:?}: {e}\n{document}"));
        let text = |path: &str| {
            vast.text(path)
                .unwrap_or_else(|| panic!("{version:?}: no {path}"))
                .to_owned()
        };
        let inline = "VAST/Ad/InLine";
        let linear = "VAST/Ad/InLine/Creatives/Creative/Linear";
        assert_eq!(text(&format!("{inline}/AdSystem")), "Outbid");
        assert_eq!(text(&format!("{inline}/AdTitle")), "Shoes & <socks>");
        assert_eq!(text(&format!("{inline}/Impression")), IMPRESSION);
        assert_eq!(
            text(&format!("{inline}/Error")),
            "https://b.example/n/err?t=TOK-en_1&code=[ERRORCODE]"
        );
        assert_eq!(text(&format!("{linear}/Duration")), "00:00:15");
        assert_eq!(text(&format!("{linear}/VideoClicks/ClickThrough")), CLICK);
        let media: Vec<_> = vast.all(&format!("{linear}/MediaFiles/MediaFile")).collect();
        assert_eq!(media.len(), 2);
        assert_eq!(media[0].text, "https://cdn.example/v.mp4?a=1&b=2");
        assert_eq!(media[0].attribute("bitrate"), Some("800"));
        assert_eq!(
            (media[1].attribute("type"), media[1].attribute("bitrate")),
            (Some("video/webm"), None)
        );
        let tracked: Vec<_> = vast.all(&format!("{linear}/TrackingEvents/Tracking")).collect();
        assert_eq!(tracked.len(), if version == VastVersion::V2_0 { 5 } else { 6 });
        for tracking in tracked {
            let event = tracking.attribute("event").unwrap();
            assert_eq!(
                tracking.text,
                format!("https://b.example/n/ev?t=TOK-en_1&e={event}")
            );
        }
        let serving = vast.text(&format!("{inline}/AdServingId"));
        let expected = (version >= VastVersion::V4_1).then_some("000100000000000000000000");
        assert_eq!(serving, expected);
        let universal = vast.text(&format!("{inline}/Creatives/Creative/UniversalAdId"));
        assert_eq!(universal, (version >= VastVersion::V4_0).then_some("cr-1"));
    }
}

#[test]
fn vast_elements_stand_in_the_order_of_their_schema() {
    use VastVersion::*;
    let (inline, creative) = ("VAST/Ad/InLine", "VAST/Ad/InLine/Creatives/Creative");
    let linear = "VAST/Ad/InLine/Creatives/Creative/Linear";
    for (version, path, expected) in [
        (V2_0, inline, "AdSystem AdTitle Error Impression Creatives"),
        (V3_0, inline, "AdSystem AdTitle Error Impression Creatives"),
        (V4_0, inline, "AdSystem Error Impression AdTitle Creatives"),
        (
            V4_1,
            inline,
            "AdSystem Error Impression AdServingId AdTitle Creatives",
        ),
        (
            V4_2,
            inline,
            "AdSystem Error Impression AdServingId AdTitle Creatives",
        ),
        (V3_0, creative, "Linear"),
        (V4_2, creative, "Linear UniversalAdId"),
        (V3_0, linear, "Duration TrackingEvents VideoClicks MediaFiles"),
        (V4_2, linear, "TrackingEvents Duration MediaFiles VideoClicks"),
    ] {
        let document = render(&Template::linear(video_spec()), &vast_fit(version, 1), &VALUES);
        let vast = xml::parse(&document).expect("documents are well-formed");
        assert_eq!(vast.children(path).join(" "), expected, "{version:?} {path}");
    }
}

proptest! {
    #[test]
    fn any_video_is_well_formed_and_says_what_was_configured(
        title in any::<String>(), url in any::<String>(), mime in any::<String>(), base in any::<String>(),
    ) {
        let file = MediaFile { url, mime, bitrate_kbps: 1, w: 1, h: 1 };
        let spec = LinearSpec { title: title.clone(), creative_id: title.clone(), media: vec![file], ..video_spec() };
        let template = Template::linear(spec);
        for version in VastVersion::ALL {
            let click_macro = Some(ClickMacro { text: &base, escaped: false });
            let values = Values { base: &base, click_macro, ..VALUES };
            let document = render(&template, &vast_fit(version, 1), &values);
            let vast = xml::parse(&document).map_err(TestCaseError::fail)?;
            let shown: String = title.chars().map(|c| if xml::is_allowed(c) { c } else { ' ' }).collect();
            prop_assert_eq!(vast.text("VAST/Ad/InLine/AdTitle"), Some(shown.as_str()));
        }
    }
}
