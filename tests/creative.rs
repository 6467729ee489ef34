//! Markup as browsers, players and exchanges read it, and which creative fits which imp.

#[path = "creative/audio.rs"]
mod audio;
#[path = "creative/banner.rs"]
mod banner;
#[path = "creative/companions.rs"]
mod companions;
#[path = "creative/native.rs"]
mod native;
#[path = "creative/video.rs"]
mod video;
#[path = "creative/xml.rs"]
mod xml;

use outbid::creative::{
    BannerSpec, ClickMacro, Fit, LinearSpec, MediaFile, Misfit, NativeImage, NativeSpec, Template, Values,
};
use outbid::openrtb::macros::Macro;
use outbid::openrtb::notice::Queries;
use outbid::openrtb::request::{
    Banner, Imp, Ints, Native, NativeAsset, NativeAssetKind, Request, Size, Span, Strs, Video,
};
use outbid::openrtb::response::write_escaped;
use outbid::units::BidId;

const VALUES: Values = Values {
    queries: None,
    base: "https://b.example",
    token: "TOK-en_1",
    bid_id: BidId(1 << 112),
    click_macro: None,
    native_assets: &[],
};
const CLICK: &str = "https://b.example/n/click?t=TOK-en_1";
const IMPRESSION: &str =
    "https://b.example/n/imp?t=TOK-en_1&p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}&x=${AUCTION_MULTIPLIER}";

#[test]
fn insecure_creatives_do_not_fit_secure_imps() {
    let landing = |url: &str| {
        Template::banner(BannerSpec {
            landing_url: url.to_owned(),
            ..banner_spec("")
        })
    };
    let media = |url: &str| {
        let mut spec = video_spec();
        spec.media[1].url = url.to_owned();
        Template::linear(spec)
    };
    let privacy = |url: &str| {
        Template::native(NativeSpec {
            privacy_url: Some(url.to_owned()),
            ..native_spec()
        })
    };
    for (template, expected) in [
        (
            Template::banner(banner_spec("<img src='https://a.example'>")),
            true,
        ),
        (
            Template::banner(banner_spec("<img src='http://a.example'>")),
            false,
        ),
        (landing("http://a.example"), false),
        (media("https://a.example"), true),
        (media("HTTP://a.example"), false),
        (privacy("https://a.example"), true),
        (privacy("http://a.example"), false),
    ] {
        assert_eq!(template.secure(), expected);
        let imp = Imp {
            secure: Some(true),
            ..Imp::default()
        };
        let misfit = if expected {
            Misfit::Format
        } else {
            Misfit::NotSecure
        };
        assert_eq!(template.fits(&imp, &Request::default()), Err(misfit));
    }
}

#[test]
fn problems_of_a_creative_are_told_all_at_once() {
    assert_eq!(Template::banner(banner_spec("${CLICK_URL}")).problems(), [""; 0]);
    assert_eq!(Template::linear(video_spec()).problems(), [""; 0]);
    assert_eq!(Template::linear(audio_spec()).problems(), [""; 0]);
    assert_eq!(Template::native(native_spec()).problems(), [""; 0]);
    for (template, expected) in [
        (Template::banner(banner_spec("<b>")), &["no ${CLICK_URL}"][..]),
        (
            Template::banner(BannerSpec::default()),
            &["empty", "0x0", "btype 0", "landing_url"],
        ),
        (
            Template::linear(LinearSpec::default()),
            &["duration of 0", "0 media files", "landing_url"],
        ),
        (
            Template::linear(LinearSpec {
                skip_after_s: Some(15),
                ..video_spec()
            }),
            &["skip after 15 s"],
        ),
        (Template::native(NativeSpec::default()), &["title", "landing_url"]),
    ] {
        let problems = template.problems();
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
        for (problem, part) in problems.iter().zip(expected) {
            assert!(problem.contains(part), "{problem:?} has no {part:?}");
        }
    }
}

/// Section 4.4: the exchange replaces macros in markup, also in a configured URL; it must find them letter by letter.
#[test]
fn every_macro_reaches_the_exchange_as_it_was_written() {
    let all: String = Macro::ALL
        .iter()
        .map(|name| format!("&x={}", name.text()))
        .collect();
    let url = format!("https://cdn.example/a?b=1{all}&p=${{AUCTION_PRICE:B64}}");
    let banner = Template::banner(banner_spec(&format!(
        "<img src=\"{url}\"><a href='${{CLICK_URL}}'>"
    )));
    let mut spec = video_spec();
    spec.media[0].url.clone_from(&url);
    let video = Template::linear(spec);
    let mut spec = native_spec();
    spec.images[0].url.clone_from(&url);
    let native = Template::native(spec);

    let mut pools = Pools::default();
    let assets = [NativeAsset {
        id: 1,
        required: true,
        kind: NativeAssetKind::Image {
            kind: 3,
            w: 0,
            h: 0,
            wmin: 0,
            hmin: 0,
        },
    }];
    let wanted = Native {
        assets: pools.assets(&assets),
        ..Native::default()
    };
    let click_macro = Some(ClickMacro {
        text: "${CLICK_URL_ESC}",
        escaped: true,
    });
    let values = Values {
        click_macro,
        native_assets: &assets,
        ..VALUES
    };
    for (template, fit) in [
        (&banner, pools.fit_banner(&banner, Banner::default())),
        (&video, pools.fit_video(&video, Video::default())),
        (&native, pools.fit_native(&native, wanted)),
    ] {
        let markup = render(template, &fit.unwrap(), &values);
        assert!(markup.contains(&url), "{markup}");
        let click = "${CLICK_URL_ESC}https%3A%2F%2Fb.example%2Fn%2Fclick%3Ft%3DTOK-en_1";
        assert!(markup.contains(click), "{markup}");
    }
}

#[test]
fn an_exchange_that_spells_macros_otherwise_finds_its_own_in_every_format() {
    let queries = Queries::spelled(&[
        (Macro::Price, "%%WINNING_PRICE%%".to_owned()),
        (Macro::Currency, String::new()),
    ]);
    let mut pools = Pools::default();
    let assets = [NativeAsset {
        id: 1,
        required: true,
        kind: NativeAssetKind::Title { len: 0 },
    }];
    let wanted = Native {
        assets: pools.assets(&assets),
        ..Native::default()
    };
    let values = Values {
        queries: Some(&queries),
        native_assets: &assets,
        ..VALUES
    };
    let impression = "https://b.example/n/imp?t=TOK-en_1&p=%%WINNING_PRICE%%&c=&x=${AUCTION_MULTIPLIER}";
    let (banner, video, native) = (
        Template::banner(banner_spec("${CLICK_URL}")),
        Template::linear(video_spec()),
        Template::native(native_spec()),
    );
    for (template, fit) in [
        (&banner, pools.fit_banner(&banner, Banner::default())),
        (&video, pools.fit_video(&video, Video::default())),
        (&native, pools.fit_native(&native, wanted)),
    ] {
        let markup = render(template, &fit.unwrap(), &values);
        assert!(markup.contains(impression), "{markup}");
    }
}

/// Lists are appended to the pools of a request that is made by hand.
#[derive(Default)]
struct Pools(Request<'static>);

impl Pools {
    fn ints(&mut self, list: &[u32]) -> Ints {
        let start = self.0.ints.len() as u32;
        self.0.ints.extend(list);
        Ints(Span {
            start,
            end: self.0.ints.len() as u32,
        })
    }

    fn strs(&mut self, list: &[&'static str]) -> Strs {
        let start = self.0.strs.len() as u32;
        self.0.strs.extend(list);
        Strs(Span {
            start,
            end: self.0.strs.len() as u32,
        })
    }

    fn sizes(&mut self, list: &[Size]) -> Span {
        let start = self.0.sizes.len() as u32;
        self.0.sizes.extend(list);
        Span {
            start,
            end: self.0.sizes.len() as u32,
        }
    }

    fn assets(&mut self, list: &[NativeAsset]) -> Span {
        let start = self.0.native_assets.len() as u32;
        self.0.native_assets.extend(list);
        Span {
            start,
            end: self.0.native_assets.len() as u32,
        }
    }

    fn fit_banner(&self, template: &Template, banner: Banner) -> Result<Fit, Misfit> {
        template.fits(
            &Imp {
                banner: Some(banner),
                ..Imp::default()
            },
            &self.0,
        )
    }

    fn fit_video(&self, template: &Template, video: Video) -> Result<Fit, Misfit> {
        template.fits(
            &Imp {
                video: Some(video),
                ..Imp::default()
            },
            &self.0,
        )
    }

    fn fit_native(&self, template: &Template, native: Native) -> Result<Fit, Misfit> {
        template.fits(
            &Imp {
                native: Some(native),
                ..Imp::default()
            },
            &self.0,
        )
    }
}

fn banner_spec(html: &str) -> BannerSpec {
    let landing_url = "https://shop.example/?a=1&b=\"2\"".to_owned();
    BannerSpec {
        html: html.to_owned(),
        w: 300,
        h: 250,
        btype: 4,
        apis: vec![],
        expands: vec![],
        landing_url,
    }
}

fn video_spec() -> LinearSpec {
    let file = |url: &str, mime: &str, bitrate_kbps| MediaFile {
        url: url.to_owned(),
        mime: mime.to_owned(),
        bitrate_kbps,
        w: 640,
        h: 360,
    };
    LinearSpec {
        creative_id: "cr-1".to_owned(),
        title: "Shoes & <socks>".to_owned(),
        duration_s: 15,
        size: Some((640, 360)),
        skip_after_s: Some(5),
        media: vec![
            file("https://cdn.example/v.mp4?a=1&b=2", "video/mp4", 800),
            file("https://cdn.example/v-hd.mp4", "video/mp4", 2_400),
            file("https://cdn.example/v.webm", "video/webm", 0),
            file("https://cdn.example/v.m3u8", "application/x-mpegURL", 0),
        ],
        companions: vec![],
        apis: vec![],
        landing_url: "https://shop.example/".to_owned(),
    }
}

fn audio_spec() -> LinearSpec {
    LinearSpec {
        title: "Socks".to_owned(),
        duration_s: 30,
        size: None,
        skip_after_s: None,
        media: vec![MediaFile {
            url: "https://cdn.example/a.mp3".to_owned(),
            mime: "audio/mpeg".to_owned(),
            bitrate_kbps: 128,
            w: 0,
            h: 0,
        }],
        ..video_spec()
    }
}

fn native_spec() -> NativeSpec {
    let image = |kind, w, h| NativeImage {
        kind,
        url: format!("https://cdn.example/{kind}-{w}.png"),
        w,
        h,
    };
    NativeSpec {
        title: "Ten \"chars\"".to_owned(),
        images: vec![image(3, 1200, 627), image(1, 80, 80), image(3, 600, 314)],
        data: vec![
            (2, "A long description of it".to_owned()),
            (2, "Short".to_owned()),
            (1, "Shop".to_owned()),
        ],
        privacy_url: Some("https://shop.example/privacy".to_owned()),
        impression_script: None,
        apis: vec![],
        landing_url: "https://shop.example/".to_owned(),
    }
}

/// Both renderings, which must agree; the raw one is returned.
fn render(template: &Template, fit: &Fit, values: &Values) -> String {
    let (mut raw, mut json, mut escaped) = (Vec::new(), Vec::new(), Vec::new());
    template.render(fit, values, &mut raw);
    template.render_json(fit, values, &mut json);
    let raw = String::from_utf8(raw).expect("markup is UTF-8");
    write_escaped(&mut escaped, &raw);
    assert_eq!(
        String::from_utf8(json).unwrap(),
        String::from_utf8(escaped).unwrap()
    );
    raw
}
