//! Banners: slots, sizes, types and MIME types.

use super::{CLICK, IMPRESSION, Pools, VALUES, banner_spec, render};
use outbid::creative::{BannerFit, BannerSpec, ClickMacro, Fit, Misfit, Template, Values};
use outbid::openrtb::request::{Banner, Size, Video};
use proptest::prelude::*;

const BANNER_FIT: Fit = Fit::Banner(BannerFit {
    size: (300, 250),
    ratio: None,
    explains: false,
});

fn check_banner(html: &str, click_macro: Option<ClickMacro>, expected: &str) {
    let template = Template::banner(banner_spec(html));
    assert_eq!(
        render(
            &template,
            &BANNER_FIT,
            &Values {
                click_macro,
                ..VALUES
            }
        ),
        expected,
        "{html}"
    );
}

#[test]
fn slots_of_a_banner_are_filled_and_openrtb_macros_stay() {
    let pixel = format!(r#"<img src="{IMPRESSION}" width="1" height="1" alt="" style="display:none">"#);
    let plain = Some(ClickMacro {
        text: "${CLICK_URL_UNESC}",
        escaped: false,
    });
    let escaped = Some(ClickMacro {
        text: "https://x.example/c?u=",
        escaped: true,
    });
    let encoded = "https%3A%2F%2Fb.example%2Fn%2Fclick%3Ft%3DTOK-en_1";
    for (html, click_macro, expected) in [
        (
            "<a href='${CLICK_URL}'>",
            None,
            format!("<a href='{CLICK}'>{pixel}"),
        ),
        (
            "<a href='${CLICK_URL}'>",
            plain,
            format!("<a href='${{CLICK_URL_UNESC}}{CLICK}'>{pixel}"),
        ),
        (
            "<a href='${CLICK_URL}'>",
            escaped,
            format!("<a href='https://x.example/c?u={encoded}'>{pixel}"),
        ),
        (
            "<img src='${IMPRESSION_URL}'>é\n",
            None,
            format!("<img src='{IMPRESSION}'>é\n"),
        ),
        (
            "${LANDING_URL}${IMPRESSION_URL}",
            None,
            format!("https://shop.example/?a=1&b=%222%22{IMPRESSION}"),
        ),
        (
            "${AUCTION_PRICE}${CLICK_URL",
            None,
            format!("${{AUCTION_PRICE}}${{CLICK_URL{pixel}"),
        ),
        ("$${${CLICK_URL}$", None, format!("$${{{CLICK}${pixel}")),
    ] {
        check_banner(html, click_macro, &expected);
    }
}

#[test]
fn a_banner_fits_its_own_size_ratio_type_and_apis() {
    let exact = |w, h| Size {
        w,
        h,
        ..Size::default()
    };
    let flex = |wratio, hratio, wmin| Size {
        wratio,
        hratio,
        wmin,
        ..Size::default()
    };
    let template = Template::banner(BannerSpec {
        apis: vec![5],
        ..banner_spec("${CLICK_URL}")
    });
    let fit = |ratio| {
        Ok(Fit::Banner(BannerFit {
            size: (300, 250),
            ratio,
            explains: false,
        }))
    };
    let cases: [(&[Size], _); 12] = [
        (&[], fit(None)),
        (&[exact(728, 90), exact(300, 250)], fit(None)),
        (&[exact(728, 90), exact(300, 600)], Err(Misfit::Size)),
        (&[exact(300, 0)], Err(Misfit::Size)),
        (&[Size::default()], Err(Misfit::Size)),
        (&[flex(6, 5, 300)], fit(Some((6, 5)))),
        (&[flex(6, 5, 0), exact(300, 250)], fit(None)),
        (&[flex(6, 5, 301)], Err(Misfit::Size)),
        (&[flex(16, 9, 0)], Err(Misfit::Size)),
        (&[flex(300, 249, 0)], Err(Misfit::Size)),
        (&[flex(300, 251, 0)], Err(Misfit::Size)),
        (&[flex(1201, 1000, 0)], fit(Some((1201, 1000)))),
    ];
    for (sizes, expected) in cases {
        let mut pools = Pools::default();
        let banner = Banner {
            sizes: pools.sizes(sizes),
            api: pools.ints(&[3, 5]),
            ..Banner::default()
        };
        assert_eq!(pools.fit_banner(&template, banner), expected, "{sizes:?}");
    }
    let mut pools = Pools::default();
    let api = pools.ints(&[5]);
    let blocked = Banner {
        btype: pools.ints(&[1, 4]),
        api,
        ..Banner::default()
    };
    assert_eq!(pools.fit_banner(&template, blocked), Err(Misfit::BannerType));
    let other_api = Banner {
        api: pools.ints(&[3]),
        ..Banner::default()
    };
    assert_eq!(pools.fit_banner(&template, other_api), Err(Misfit::Api));
    assert_eq!(pools.fit_banner(&template, Banner::default()), Err(Misfit::Api));
    assert_eq!(pools.fit_video(&template, Video::default()), Err(Misfit::Format));
}

#[test]
fn a_banner_expands_only_where_every_direction_of_it_is_permitted() {
    let cases: [(&[u32], &[u32], bool); 7] = [
        (&[], &[], true),
        (&[], &[1, 4], true),
        (&[4], &[], true),
        (&[4], &[4], true),
        (&[4], &[1, 3, 4], true),
        (&[4], &[1, 2], false),
        (&[2, 4], &[4], false),
    ];
    for (expands, permitted, expected) in cases {
        let template = Template::banner(BannerSpec {
            expands: expands.to_vec(),
            ..banner_spec("")
        });
        let mut pools = Pools::default();
        let banner = Banner {
            expdir: pools.ints(permitted),
            ..Banner::default()
        };
        let expected = if expected {
            Ok(BANNER_FIT)
        } else {
            Err(Misfit::Expansion)
        };
        assert_eq!(
            pools.fit_banner(&template, banner),
            expected,
            "{expands:?} where {permitted:?} are permitted"
        );
    }
}

#[test]
fn a_banner_that_has_to_explain_itself_links_to_the_page_that_does() {
    let template = Template::banner(banner_spec("${IMPRESSION_URL}"));
    let explaining = Fit::Banner(BannerFit {
        size: (300, 250),
        ratio: None,
        explains: true,
    });
    assert!(explaining.explains() && !BANNER_FIT.explains());
    let markup = render(&template, &explaining, &VALUES);
    let link = markup
        .strip_prefix(IMPRESSION)
        .expect("the banner itself comes first");
    assert!(
        link.starts_with(r#"<a href="https://b.example/why/TOK-en_1" target="_blank""#),
        "{link}"
    );
    assert!(link.ends_with(">Why this ad?</a>"), "{link}");
    assert_eq!(render(&template, &BANNER_FIT, &VALUES), IMPRESSION);
}

#[test]
fn a_list_of_mimes_that_names_markup_must_name_ours() {
    let cases: [(&[&str], u32, bool); 7] = [
        (&[], 4, true),
        (&["image/gif", "image/jpeg"], 4, true),
        (&["image/gif", "TEXT/HTML"], 4, true),
        (&["application/javascript"], 4, false),
        (&["application/javascript"], 3, true),
        (&["image/gif", "text/javascript"], 2, false),
        (&["application/x-shockwave-flash", "image/jpg"], 2, true),
    ];
    for (mimes, btype, expected) in cases {
        let mut pools = Pools::default();
        let template = Template::banner(BannerSpec {
            btype,
            ..banner_spec("")
        });
        let list: Vec<&'static str> = mimes.iter().map(|mime| &*mime.to_string().leak()).collect();
        let banner = Banner {
            mimes: pools.strs(&list),
            ..Banner::default()
        };
        let found = pools.fit_banner(&template, banner);
        assert_eq!(found.is_ok(), expected, "{mimes:?}");
    }
}

proptest! {
    #[test]
    fn any_html_and_values_render_alike_in_both_forms(
        html in any::<String>(),
        (base, token, macro_text) in (any::<String>(), any::<String>(), any::<String>()),
        escaped in any::<bool>(),
    ) {
        let html = format!("{html}\"${{CLICK_URL}}\\{html}${{LANDING_URL}}");
        let click_macro = Some(ClickMacro { text: &macro_text, escaped });
        let values = Values { base: &base, token: &token, click_macro, ..VALUES };
        render(&Template::banner(banner_spec(&html)), &BANNER_FIT, &values);
    }
}
