//! Companions: which are shown with a linear ad, and how they stand in its document.

use super::{CLICK, Pools, VALUES, audio_spec, render, video_spec, xml};
use outbid::creative::{CompanionContent, CompanionSpec, Companions, Fit, LinearSpec, Template, VastVersion};
use outbid::openrtb::request::{Audio, Banner, Companion, Imp, Size, Span, Spot, Video};

/// An image of 300x250, and markup of 728x90 with the attribute 13.
fn companions() -> Vec<CompanionSpec> {
    vec![
        CompanionSpec {
            w: 300,
            h: 250,
            attributes: vec![],
            content: CompanionContent::Image {
                url: "https://cdn.example/c.png?a=1&b=2".to_owned(),
                mime: "image/png".to_owned(),
            },
        },
        CompanionSpec {
            w: 728,
            h: 90,
            attributes: vec![13],
            content: CompanionContent::Html {
                html: "<a href=\"${CLICK_URL}\">a]]>b ${LANDING_URL}</a>".to_owned(),
                btype: 3,
            },
        },
    ]
}

fn with_companions(spec: LinearSpec) -> Template {
    Template::linear(LinearSpec {
        companions: companions(),
        ..spec
    })
}

/// Slots of these sizes, each changed by `change`.
fn slots(sizes: &[(u32, u32)], pools: &mut Pools, change: impl Fn(&mut Companion, &mut Pools)) -> Span {
    let start = pools.0.companions.len() as u32;
    for &(w, h) in sizes {
        let sizes = pools.sizes(&[Size {
            w,
            h,
            ..Size::default()
        }]);
        let mut slot = Companion {
            banner: Banner {
                sizes,
                ..Banner::default()
            },
            end_card: None,
        };
        change(&mut slot, pools);
        pools.0.companions.push(slot);
    }
    Span {
        start,
        end: pools.0.companions.len() as u32,
    }
}

fn shown(
    sizes: &[(u32, u32)],
    secure: bool,
    change_slot: impl Fn(&mut Companion, &mut Pools),
    change_spot: impl FnOnce(&mut Spot, &mut Pools),
) -> Companions {
    let mut pools = Pools::default();
    let mut spot = Spot {
        companions: slots(sizes, &mut pools, change_slot),
        ..Spot::default()
    };
    change_spot(&mut spot, &mut pools);
    let imp = Imp {
        video: Some(Video {
            spot,
            ..Video::default()
        }),
        audio: Some(Audio {
            spot,
            ..Audio::default()
        }),
        secure: Some(secure),
        ..Imp::default()
    };
    let chosen = |template: Template| match template.fits(&imp, &pools.0) {
        Ok(Fit::Video(fit) | Fit::Audio(fit)) => fit.companions,
        other => panic!("{other:?}"),
    };
    let (of_video, of_audio) = (
        chosen(with_companions(video_spec())),
        chosen(with_companions(audio_spec())),
    );
    assert_eq!(of_video, of_audio);
    of_video
}

const BOTH: [(u32, u32); 2] = [(728, 90), (300, 250)];

#[test]
fn only_companions_that_a_slot_takes_are_shown() {
    type Slot = fn(&mut Companion, &mut Pools);
    type Case = (&'static [(u32, u32)], u16, Slot);
    let cases: [Case; 11] = [
        (&[], 0b00, |_, _| {}),
        (&BOTH, 0b11, |_, _| {}),
        (&[(300, 250)], 0b01, |_, _| {}),
        (&[(300, 251)], 0b00, |_, _| {}),
        (&BOTH, 0b01, |s, p| s.banner.battr = p.ints(&[13])),
        (&BOTH, 0b01, |s, p| s.banner.btype = p.ints(&[3])),
        (&BOTH, 0b10, |s, p| s.banner.btype = p.ints(&[2])),
        (&BOTH, 0b11, |s, p| {
            s.banner.mimes = p.strs(&["IMAGE/png", "text/html"])
        }),
        // A list of images alone says nothing of markup; one that names markup without scripts does.
        (&BOTH, 0b10, |s, p| s.banner.mimes = p.strs(&["image/gif"])),
        (&BOTH, 0b10, |s, p| {
            s.banner.mimes = p.strs(&["application/javascript"])
        }),
        // A slot of any size is one of no known size.
        (&BOTH, 0b00, |s, _| s.banner.sizes = Span::default()),
    ];
    for (i, (sizes, expected, change)) in cases.into_iter().enumerate() {
        assert_eq!(shown(sizes, false, change, |_, _| {}).shown, expected, "case {i}");
    }
}

#[test]
fn the_player_says_which_kinds_of_companions_it_shows() {
    for (kinds, expected) in [
        (&[][..], 0b11),
        (&[1], 0b01),
        (&[2], 0b10),
        (&[1, 2, 3], 0b11),
        (&[3], 0b00),
    ] {
        let chosen = shown(
            &BOTH,
            false,
            |_, _| {},
            |spot, p| spot.companion_types = p.ints(kinds),
        );
        assert_eq!(chosen.shown, expected, "{kinds:?}");
    }
}

#[test]
fn an_insecure_companion_stays_away_and_the_ad_goes_on_without_it() {
    let mut spec = LinearSpec {
        companions: companions(),
        ..video_spec()
    };
    spec.companions[0].content = CompanionContent::Image {
        url: "http://cdn.example/c.png".to_owned(),
        mime: "image/png".to_owned(),
    };
    let template = Template::linear(spec);
    assert!(template.secure());
    for (secure, expected) in [(Some(true), 0b10), (Some(false), 0b11), (None, 0b11)] {
        let mut pools = Pools::default();
        let spot = Spot {
            companions: slots(&BOTH, &mut pools, |_, _| {}),
            ..Spot::default()
        };
        let imp = Imp {
            video: Some(Video {
                spot,
                ..Video::default()
            }),
            secure,
            ..Imp::default()
        };
        let Ok(fit @ Fit::Video(linear)) = template.fits(&imp, &pools.0) else {
            panic!("the video fits");
        };
        assert_eq!(linear.companions.shown, expected);
        let insecure = render(&template, &fit, &VALUES).contains("http://cdn.example");
        assert_eq!(insecure, secure != Some(true));
    }
}

#[test]
fn companions_stand_in_a_creative_of_their_own() {
    for version in VastVersion::ALL {
        for (end_card, mode) in [
            (None, None),
            (Some(true), Some("end-card")),
            (Some(false), Some("concurrent")),
        ] {
            let mut pools = Pools::default();
            let spot = Spot {
                companions: slots(&BOTH, &mut pools, |slot, _| slot.end_card = end_card),
                protocols: pools.ints(&[version.protocol()]),
                ..Spot::default()
            };
            let fit = pools
                .fit_video(
                    &with_companions(video_spec()),
                    Video {
                        spot,
                        ..Video::default()
                    },
                )
                .expect("it fits");
            let document = render(&with_companions(video_spec()), &fit, &VALUES);
            let vast = xml::parse(&document).unwrap_or_else(|e| panic!("{version:?}: {e}\n{document}"));
            let creatives = "VAST/Ad/InLine/Creatives";
            let found: Vec<_> = vast
                .all(&format!("{creatives}/Creative/CompanionAds/Companion"))
                .collect();
            assert_eq!(found.len(), 2, "{document}");
            for (companion, size) in found.iter().zip([("300", "250"), ("728", "90")]) {
                assert_eq!(
                    (companion.attribute("width"), companion.attribute("height")),
                    (Some(size.0), Some(size.1))
                );
                let expected = mode.filter(|_| version >= VastVersion::V4_1);
                assert_eq!(companion.attribute("renderingMode"), expected, "{version:?}");
            }
            let companion = format!("{creatives}/Creative/CompanionAds/Companion");
            assert_eq!(
                vast.text(&format!("{companion}/StaticResource")),
                Some("https://cdn.example/c.png?a=1&b=2")
            );
            assert_eq!(
                vast.text(&format!("{companion}/CompanionClickThrough")),
                Some(CLICK)
            );
            let html = format!("<a href=\"{CLICK}\">a]]>b https://shop.example/</a>");
            assert_eq!(
                vast.text(&format!("{companion}/HTMLResource")),
                Some(html.as_str())
            );
            assert_eq!(
                document.matches("/n/imp?").count(),
                1,
                "a companion counts no impression"
            );
        }
    }
}

#[test]
fn without_room_there_is_no_trace_of_companions() {
    let fit = Pools::default()
        .fit_video(&with_companions(video_spec()), Video::default())
        .expect("it fits");
    let document = render(&with_companions(video_spec()), &fit, &VALUES);
    assert!(!document.contains("Companion"), "{document}");
}

#[test]
fn what_is_wrong_with_a_companion_is_told() {
    let check = |change: fn(&mut CompanionSpec), expected: &str| {
        let mut spec = LinearSpec {
            companions: companions(),
            ..audio_spec()
        };
        change(&mut spec.companions[1]);
        let problems = Template::linear(spec).problems();
        assert!(
            problems.len() == 1 && problems[0].contains("companion 2") && problems[0].contains(expected),
            "{problems:?}"
        );
    };
    check(|c| c.w = 0, "size 0x90");
    check(
        |c| {
            c.content = CompanionContent::Html {
                html: " ".to_owned(),
                btype: 2,
            }
        },
        "empty",
    );
    check(
        |c| {
            c.content = CompanionContent::Html {
                html: "<img src=\"${IMPRESSION_URL}\">".to_owned(),
                btype: 2,
            }
        },
        "${IMPRESSION_URL}",
    );
    check(
        |c| {
            c.content = CompanionContent::Image {
                url: "https://cdn.example/c.png".to_owned(),
                mime: "video/mp4".to_owned(),
            }
        },
        "image/png",
    );
    let many = LinearSpec {
        companions: companions().into_iter().cycle().take(17).collect(),
        ..audio_spec()
    };
    assert_eq!(Template::linear(many).problems(), ["17 companions: at most 16"]);
}
