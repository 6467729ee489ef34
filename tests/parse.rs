//! Bid requests as they come, against what the bidder takes them for: leniency, strictness, consent, and no crash.

use outbid::openrtb::privacy::{Consent, PrivacyPolicy, UserIdSource, user_ids};
use outbid::openrtb::request::{ChannelKind, FloorCurrency, NativeAssetKind, Request};
use outbid::openrtb::{IMPS_MAX, RequestBuffers};
use outbid::units::Cpm;
use proptest::prelude::*;

type Read = fn(&Request<'_>) -> String;

/// Parses `body` and compares what `read` finds in it, or why it was refused, with `expected`.
#[track_caller]
fn check(body: &[u8], read: Read, expected: &str) {
    let mut buffers = RequestBuffers::default();
    let mut scratch = body.to_vec();
    let found = match buffers.parse(&mut scratch) {
        Ok(request) => read(&request),
        Err(malformed) => malformed.to_string(),
    };
    assert!(
        found == expected || (expected.ends_with('…') && found.starts_with(expected.trim_end_matches('…'))),
        "\n   found {found}\nexpected {expected}\n    body {}",
        String::from_utf8_lossy(&body[..body.len().min(2000)])
    );
}

/// Fields added to a request with one banner imp.
#[track_caller]
fn check_fields(fields: &str, read: Read, expected: &str) {
    let comma = if fields.is_empty() { "" } else { "," };
    let body = format!(r#"{{"id":"r","imp":[{{"id":"1","banner":{{"w":300,"h":250}}}}]{comma}{fields}}}"#);
    check(body.as_bytes(), read, expected);
}

/// Fields of the only imp, besides its id.
#[track_caller]
fn check_imp(fields: &str, read: Read, expected: &str) {
    check(
        format!(r#"{{"id":"r","imp":[{{"id":"1",{fields}}}]}}"#).as_bytes(),
        read,
        expected,
    );
}

fn id(request: &Request<'_>) -> String {
    request.id.to_string()
}

#[test]
fn a_body_that_is_no_json_object_is_refused() {
    const NOT_JSON: &str = "the body must be one JSON document…";
    const NOT_AN_OBJECT: &str = "the body must be a JSON object";
    for (body, expected) in [
        (&b""[..], NOT_JSON),
        (b" \n\t ", NOT_JSON),
        (b"\xef\xbb\xbf", NOT_JSON),
        (b"null", NOT_AN_OBJECT),
        (b"[]", NOT_AN_OBJECT),
        (b"\"text\"", NOT_AN_OBJECT),
        (b"7", NOT_AN_OBJECT),
        (b"{}", "`id` is missing…"),
        (b"{\"id\":\"r\"}{}", NOT_JSON),
        (b"{\"id\":\"r\",}", NOT_JSON),
        (b"{'id':'r'}", NOT_JSON),
        (b"{id:1}", NOT_JSON),
        (b"{\"tmax\":01}", NOT_JSON),
        (b"{\"tmax\":+1}", NOT_JSON),
        (b"{\"tmax\":NaN}", NOT_JSON),
        (b"{\"tmax\":1e999}", NOT_JSON),
        (b"{\"id\":\"\\x\"}", NOT_JSON),
        (b"{\"id\":\"\xff\"}", NOT_JSON),
        (b"{\"id\":\"a\nb\"}", NOT_JSON),
        (b"{\"id\":\"\\ud800\"}", NOT_JSON),
        (b"{\0}", NOT_JSON),
        (b"{\0\"\0i\0", NOT_JSON),
        (b"// {}\n{}", NOT_JSON),
    ] {
        check(body, id, expected);
    }
}

#[test]
fn deep_nesting_is_refused_and_shallow_nesting_is_not() {
    for (depth, expected) in [
        (500, "r"),
        (5_000, "the body must be…"),
        (100_000, "the body must be…"),
    ] {
        let nested = format!(r#""ext":{}{}"#, "[".repeat(depth), "]".repeat(depth));
        check_fields(&nested, id, expected);
        check(&"[".repeat(depth).into_bytes(), id, "the body must be one…");
        check(&"{\"a\":".repeat(depth).into_bytes(), id, "the body must be one…");
    }
}

#[test]
fn what_a_request_cannot_do_without_is_required() {
    const BANNER: &str = r#""banner":{}"#;
    for (body, expected) in [
        (
            format!(r#"{{"imp":[{{"id":"1",{BANNER}}}]}}"#),
            "`id` is missing…",
        ),
        (
            format!(r#"{{"id":"","imp":[{{"id":"1",{BANNER}}}]}}"#),
            "`id` is missing…",
        ),
        (
            format!(r#"{{"id":null,"imp":[{{"id":"1",{BANNER}}}]}}"#),
            "`id` is missing…",
        ),
        (
            format!(r#"{{"id":123,"imp":[{{"id":"1",{BANNER}}}]}}"#),
            "`id` cannot be used: it must be a non-empty…",
        ),
        (r#"{"id":"r"}"#.into(), "`imp` is missing…"),
        (r#"{"id":"r","imp":null}"#.into(), "`imp` is missing…"),
        (r#"{"id":"r","imp":{}}"#.into(), "`imp` cannot be used…"),
        (r#"{"id":"r","imp":[]}"#.into(), "`imp` cannot be used…"),
        (r#"{"id":"r","imp":[7]}"#.into(), "`imp` cannot be used…"),
        (
            format!(r#"{{"id":"r","imp":[{{{BANNER}}}]}}"#),
            "`imp.id` is missing…",
        ),
        (
            format!(r#"{{"id":"r","imp":[{{"id":1,{BANNER}}}]}}"#),
            "`imp.id` cannot be used…",
        ),
        (
            format!(r#"{{"id":"r","imp":[{{"id":"1",{BANNER}}},{{"id":"2"}},{{"id":"1",{BANNER}}}]}}"#),
            "two imps have the same…",
        ),
    ] {
        check(body.as_bytes(), id, expected);
    }
    for (fields, expected) in [
        (r#""video":{}"#, "`imp.video.mimes` is missing…"),
        (r#""video":{"mimes":[]}"#, "`imp.video.mimes` is missing…"),
        (r#""video":{"mimes":[""]}"#, "`imp.video.mimes` is missing…"),
        (r#""video":{"mimes":{}}"#, "`imp.video.mimes` cannot be used…"),
        (r#""audio":{}"#, "`imp.audio.mimes` is missing…"),
        (r#""audio":{"mimes":[]}"#, "`imp.audio.mimes` is missing…"),
        (r#""audio":{"mimes":{}}"#, "`imp.audio.mimes` cannot be used…"),
        (r#""native":{}"#, "`imp.native.request` is missing…"),
        (r#""native":{"request":""}"#, "`imp.native.request` is missing…"),
        (r#""native":{"request":null}"#, "`imp.native.request` is missing…"),
        (r#""video":null,"audio":null,"native":null"#, "r"),
    ] {
        check_imp(fields, id, expected);
    }
}

#[test]
fn money_is_exact_or_refused() {
    let floor: Read = |request| request.imps[0].floor.to_string();
    const REFUSED: &str = "`imp.bidfloor` cannot be used: it must be a price from 0…";
    for (value, expected) in [
        ("0.5", "0.500000"),
        (r#""0.5""#, "0.500000"),
        ("2", "2.000000"),
        ("1e-6", "0.000001"),
        ("null", "0.000000"),
        (r#""""#, "0.000000"),
        ("1000000", "1000000.000000"),
        ("-1", REFUSED),
        ("-0.01", REFUSED),
        ("1000001", REFUSED),
        ("1e300", REFUSED),
        ("18446744073709551615", REFUSED),
        (r#""NaN""#, REFUSED),
        (r#""inf""#, REFUSED),
        (r#""free""#, REFUSED),
        ("true", REFUSED),
        ("{}", REFUSED),
        ("[1]", REFUSED),
    ] {
        check_imp(&format!(r#""bidfloor":{value}"#), floor, expected);
    }
    for (fields, field) in [
        (
            r#""pmp":{"deals":[{"id":"d","bidfloor":-1}]}"#,
            "imp.pmp.deals.bidfloor",
        ),
        (
            r#""pmp":{"deals":[{"id":"d","mincpmpersec":"x"}]}"#,
            "imp.pmp.deals.mincpmpersec",
        ),
        (
            r#""pmp":{"deals":[{"id":"d","durfloors":[{"bidfloor":-1}]}]}"#,
            "imp.pmp.deals.durfloors.bidfloor",
        ),
        (
            r#""video":{"mimes":["a/b"],"mincpmpersec":-1}"#,
            "imp.video.mincpmpersec",
        ),
        (
            r#""video":{"mimes":["a/b"],"durfloors":[{"bidfloor":1e9}]}"#,
            "imp.video.durfloors.bidfloor",
        ),
        (
            r#""audio":{"mimes":["a/b"],"mincpmpersec":-1}"#,
            "imp.audio.mincpmpersec",
        ),
        (
            r#""audio":{"mimes":["a/b"],"durfloors":[{"bidfloor":1e9}]}"#,
            "imp.audio.durfloors.bidfloor",
        ),
        (r#""qty":{"multiplier":-1}"#, "imp.qty.multiplier"),
    ] {
        check_imp(fields, id, &format!("`{field}` cannot be used…"));
    }
}

#[test]
fn an_unreadable_floor_currency_is_not_the_default() {
    let currency: Read = |request| match request.imps[0].floor_cur {
        FloorCurrency::Known(currency) => currency.to_string(),
        FloorCurrency::Unreadable => "unreadable".into(),
    };
    for (value, expected) in [
        (r#""eur""#, "EUR"),
        ("null", "USD"),
        (r#""""#, "USD"),
        (r#""EURO""#, "unreadable"),
        ("978", "unreadable"),
    ] {
        check_imp(&format!(r#""bidfloorcur":{value}"#), currency, expected);
    }
}

#[test]
fn tmax_is_a_time_or_refused() {
    let tmax: Read = |request| format!("{:?}", request.tmax_ms);
    const REFUSED: &str = "`tmax` cannot be used: it must be milliseconds…";
    for (value, expected) in [
        ("120", "Some(120)"),
        ("100.0", "Some(100)"),
        (r#""100""#, "Some(100)"),
        ("99.9", "Some(99)"),
        ("0", "Some(0)"),
        ("null", "None"),
        ("-5", REFUSED),
        ("4294967296", REFUSED),
        (r#""soon""#, REFUSED),
        ("[]", REFUSED),
    ] {
        check_fields(&format!(r#""tmax":{value}"#), tmax, expected);
    }
}

#[test]
fn numbers_are_read_where_their_meaning_is_single() {
    let sizes: Read = |request| {
        let banner = request.imps[0].banner.unwrap();
        let size = |size: &outbid::openrtb::request::Size| match size.wratio {
            0 => format!("{}x{}", size.w, size.h),
            _ => format!("{}:{}>={}", size.wratio, size.hratio, size.wmin),
        };
        request
            .sizes(&banner)
            .iter()
            .map(size)
            .collect::<Vec<_>>()
            .join(" ")
    };
    for (banner, expected) in [
        (r#"{"w":160.0,"h":"600"}"#, "160x600"),
        (
            r#"{"w":160,"h":600,"format":[{"w":1,"h":2},{"wratio":16,"hratio":9,"wmin":300},7]}"#,
            "1x2 16:9>=300",
        ),
        (r#"{"w":160,"h":600,"format":[]}"#, "160x600"),
        (r#"{"w":160,"h":600,"format":[{"w":1}]}"#, "160x600"),
        (r#"{}"#, ""),
        (r#"{"w":null,"h":""}"#, ""),
        (r#"{"w":160}"#, "0x0"),
        (r#"{"w":160.5,"h":600}"#, "0x0"),
        (r#"{"format":[{"w":-1,"h":2}]}"#, "0x0"),
    ] {
        check_imp(&format!(r#""banner":{banner}"#), sizes, expected);
    }
    let auction: Read = |request| request.at.to_string();
    for (value, expected) in [
        ("1", "1"),
        ("2.0", "2"),
        (r#""1""#, "1"),
        ("501", "501"),
        ("0", "2"),
        ("null", "2"),
        ("{}", "2"),
    ] {
        check_fields(&format!(r#""at":{value}"#), auction, expected);
    }
}

#[test]
fn a_flag_that_restricts_is_set_by_whatever_is_not_zero() {
    let secure: Read = |request| format!("{:?}", request.imps[0].secure);
    for (value, expected) in [
        ("1", "Some(true)"),
        (r#""1""#, "Some(true)"),
        ("true", "Some(true)"),
        ("2", "Some(true)"),
        (r#""yes""#, "Some(true)"),
        ("0", "Some(false)"),
        ("0.0", "Some(false)"),
        (r#""0""#, "Some(false)"),
        ("false", "Some(false)"),
        (r#""""#, "None"),
        ("null", "None"),
    ] {
        check_imp(&format!(r#""secure":{value}"#), secure, expected);
    }
}

#[test]
fn lists_that_restrict_are_read_whole_or_refused() {
    let bcat: Read = |request| request.strs(request.bcat).join(" ");
    for (value, expected) in [
        (r#"["IAB25","IAB7-39"]"#, "IAB25 IAB7-39"),
        (r#"[25, 26.0, 343200656]"#, "25 26 343200656"),
        (r#""IAB25, IAB26""#, "IAB25 IAB26"),
        ("25", "25"),
        (r#"["IAB25",null,""]"#, "IAB25"),
        ("[]", ""),
        ("null", ""),
        (
            r#"["IAB25",{}]"#,
            "`bcat` cannot be used: it must be an array of strings",
        ),
        (r#"[true]"#, "`bcat` cannot be used…"),
        (r#"[[]]"#, "`bcat` cannot be used…"),
        ("{}", "`bcat` cannot be used…"),
        ("false", "`bcat` cannot be used…"),
    ] {
        check_fields(&format!(r#""bcat":{value}"#), bcat, expected);
    }
    for field in ["wseat", "bseat", "cur", "wlang", "wlangb", "acat", "badv", "bapp"] {
        check_fields(
            &format!(r#""{field}":[{{}}]"#),
            id,
            &format!("`{field}` cannot be used…"),
        );
    }
    let battr: Read = |request| format!("{:?}", request.ints(request.imps[0].banner.unwrap().battr));
    for (value, expected) in [
        (r#"[1,"2",3.0]"#, "[1, 2, 3]"),
        ("16", "[16]"),
        ("[-1,99999,5000000000]", "[99999]"),
        (
            r#"["x"]"#,
            "`imp.banner.battr` cannot be used: it must be an array of integers",
        ),
        ("{}", "`imp.banner.battr` cannot be used…"),
    ] {
        check_imp(&format!(r#""banner":{{"battr":{value}}}"#), battr, expected);
    }
}

#[test]
fn twenty_thousand_integers_as_text_fit() {
    let bapp = (0..20_000)
        .map(|n| (343_200_000 + n).to_string())
        .collect::<Vec<_>>();
    let read: Read = |request| {
        let list = request.strs(request.bapp);
        format!("{} {} {}", list.len(), list[0], list[19_999])
    };
    check_fields(
        &format!(r#""bapp":[{}]"#, bapp.join(",")),
        read,
        "20000 343200000 343219999",
    );
}

#[test]
fn the_last_of_equal_keys_counts_and_is_not_mixed_with_the_first() {
    check(br#"{"id":"a","id":"b","imp":[{"id":"1"}]}"#, id, "b");
    check(
        br#"{"id":"r","imp":[{"id":"1"},{"id":"2"}],"imp":[{"id":"3"}]}"#,
        |r| r.imps[0].id.into(),
        "3",
    );
    let publisher: Read = |r| format!("{:?} {:?}", r.channel.id, r.channel.publisher_id);
    check_fields(
        r#""site":{"id":"a","publisher":{"id":"p"}},"site":{"id":"b"}"#,
        publisher,
        r#"Some("b") None"#,
    );
    let user: Read = |r| format!("{:?} {}", r.user.id, r.eids().len());
    check_fields(
        r#""user":{"id":"a","eids":[{"source":"s","uids":[{"id":"u"}]}]},"user":{"id":"b"}"#,
        user,
        r#"Some("b") 0"#,
    );
}

#[test]
fn a_byte_order_mark_is_skipped() {
    check(b"\xef\xbb\xbf{\"id\":\"r\",\"imp\":[{\"id\":\"1\"}]} ", id, "r");
}

#[test]
fn imps_beyond_the_limit_are_ignored() {
    let imps = (0..2_000)
        .map(|n| format!(r#"{{"id":"{n}","banner":{{}}}}"#))
        .collect::<Vec<_>>();
    let body = format!(r#"{{"id":"r","imp":[{}]}}"#, imps.join(","));
    check(
        body.as_bytes(),
        |request| request.imps.len().to_string(),
        &IMPS_MAX.to_string(),
    );
}

#[test]
fn at_most_one_channel_may_be_there() {
    let kind: Read = |request| format!("{:?}", request.channel.kind);
    for (fields, expected) in [
        (r#""site":{}"#, ChannelKind::Site),
        (r#""app":{},"site":null"#, ChannelKind::App),
        (r#""dooh":{},"site":"x""#, ChannelKind::Dooh),
        (r#""ext":{}"#, ChannelKind::Unknown),
    ] {
        check_fields(fields, kind, &format!("{expected:?}"));
    }
    check_fields(
        r#""site":{},"app":{}"#,
        kind,
        "more than one of `site`, `app` and `dooh`…",
    );
    check_fields(
        r#""dooh":{},"app":{}"#,
        kind,
        "more than one of `site`, `app` and `dooh`…",
    );
}

#[test]
fn categories_and_keywords_are_collected_in_order_within_one_taxonomy() {
    let lists: Read = |request| {
        let channel = &request.channel;
        let (categories, keywords) = (request.strs(channel.categories), request.strs(channel.keywords));
        format!(
            "{}: {} | {}",
            channel.cattax,
            categories.join(" "),
            keywords.join(" ")
        )
    };
    for (site, expected) in [
        (
            r#"{"content":{"cat":["d"],"kwarray":["z"]},"pagecat":["c"],"keywords":"x, y","sectioncat":["b"],"cat":["a"]}"#,
            "1: a b c d | x y z",
        ),
        (r#"{"cat":["a"],"content":{"cat":["7"],"cattax":7}}"#, "1: a | "),
        (r#"{"content":{"cat":["7"],"cattax":7}}"#, "7: 7 | "),
        (r#"{"cat":[{}],"keywords":5}"#, "1:  | 5"),
    ] {
        check_fields(&format!(r#""site":{site}"#), lists, expected);
    }
}

#[test]
fn a_device_is_read_from_its_fields_then_sua_then_ua() {
    let device: Read = |request| {
        let d = &request.device;
        let text = |text: Option<&str>| text.unwrap_or("-").to_string();
        [
            text(d.os),
            text(d.osv),
            text(d.browser),
            text(d.model),
            format!("{:?}", d.kind),
        ]
        .join(" ")
    };
    let ua = r#""ua":"Mozilla/5.0 (Linux; Android 13; Pixel 7) AppleWebKit/537.36 Chrome/124.0 Mobile Safari/537.36""#;
    for (fields, expected) in [
        (ua.to_string(), "Android - chrome - Some(4)"),
        (
            format!(r#"{ua},"os":"android","osv":13,"devicetype":"5","model":"X"}}"#).replace("}", ""),
            "android 13 chrome X Some(5)",
        ),
        (
            format!(
                r#"{ua},"os":"Linux","sua":{{"browsers":[{{"brand":"Chromium"}},{{"brand":"Microsoft Edge"}}],
                "platform":{{"brand":"Windows","version":["10","0","1"]}},"mobile":0,"model":"S"}}"#
            ),
            "Windows 10.0.1 edge S Some(4)",
        ),
        (r#""sua":{"mobile":1,"browsers":7}"#.into(), "- - - - Some(1)"),
        (r#""os":"","osv":"","devicetype":0"#.into(), "- - - - None"),
    ] {
        check_fields(&format!(r#""device":{{{fields}}}"#), device, expected);
    }
}

#[test]
fn values_that_cannot_be_true_are_absent() {
    let device: Read = |request| {
        let d = &request.device;
        format!(
            "{:?} {:?} {:?} {:?} {:?}",
            d.ip, d.ifa, d.geo.lat, d.geo.utc_offset_min, d.language
        )
    };
    for (fields, expected) in [
        (
            r#""ip":"111.222.333.444","ifa":"00000000-0000-0000-0000-000000000000""#,
            "None None None None None",
        ),
        (
            r#""ip":"bad","ipv6":"2001:db8::1","ifa":"000""#,
            "Some(2001:db8::1) None None None None",
        ),
        (
            r#""ip":"203.0.113.0","ipv6":"::1","ifa":"0a""#,
            r#"Some(203.0.113.0) Some("0a") None None None"#,
        ),
        (
            r#""geo":{"lat":91,"lon":5,"utcoffset":-420},"langb":"en-GB""#,
            r#"None None None Some(-420) Some("en-GB")"#,
        ),
        (
            r#""geo":{"lat":"51.5","lon":-0.1,"utcoffset":9000},"language":"en""#,
            r#"None None Some(51.5) None Some("en")"#,
        ),
        (r#""geo":{"lat":51.5},"ip":7"#, "None None None None None"),
    ] {
        check_fields(&format!(r#""device":{{{fields}}}"#), device, expected);
    }
}

#[test]
fn positions_of_earlier_versions_are_read() {
    let all: Read = |request| {
        let schain = request
            .source
            .schain
            .as_ref()
            .map(|chain| request.schain_nodes(chain)[0].asi);
        let eids = request.eids().iter().map(|eid| eid.id).collect::<Vec<_>>();
        format!(
            "{:?} {:?} {:?} {}",
            request.user.consent, eids, schain, request.imps[0].rewarded
        )
    };
    let eids = r#"[{"source":"s","uids":[{"id":"u"},{"id":2}]},{"uids":[{"id":"lost"}]}]"#;
    let chain = |asi: &str| format!(r#"{{"schain":{{"nodes":[{{"asi":"{asi}"}}]}}}}"#);
    let imp = r#""imp":[{"id":"1","ext":{"rwdd":1}}]"#;
    check_fields(
        &format!(
            r#""user":{{"ext":{{"consent":"C","eids":{eids}}}}},"source":{{"ext":{}}},{imp}"#,
            chain("a")
        ),
        all,
        r#"Some("C") ["u", "2"] Some("a") true"#,
    );
    check_fields(
        &format!(
            r#""user":{{"consent":"D","eids":{eids},"ext":{{"consent":"C"}}}},"ext":{}"#,
            chain("b")
        ),
        all,
        r#"Some("D") ["u", "2"] Some("b") false"#,
    );
}

#[test]
fn deals_are_read_with_their_own_currency_and_lists() {
    let deals: Read = |request| {
        let imp = &request.imps[0];
        let deal = |deal: &outbid::openrtb::request::Deal<'_>| {
            let (seats, floors) = (request.strs(deal.wseat), request.dur_floors(deal.dur_floors));
            format!(
                "{} {} {:?} {:?} {:?} {}",
                deal.id,
                deal.floor,
                deal.floor_cur,
                deal.at,
                seats,
                floors.len()
            )
        };
        format!(
            "{} {}",
            imp.private_auction,
            request.deals(imp).iter().map(deal).collect::<Vec<_>>().join("; ")
        )
    };
    for (pmp, expected) in [
        (
            r#"{"private_auction":1,"deals":[{"id":"d","bidfloor":"2.5","at":3,"wseat":["a","b"]},{"bidfloor":1},
            {"id":7,"bidfloorcur":"EUR","durfloors":[{"mindur":5,"bidfloor":1},{"maxdur":30,"bidfloor":2}]}]}"#,
            r#"true d 2.500000 Known(USD) Some(3) ["a", "b"] 0; 7 0.000000 Known(EUR) None [] 2"#,
        ),
        ("[]", "false "),
        (r#"{"deals":{},"private_auction":"1"}"#, "true "),
    ] {
        check_imp(&format!(r#""bidfloorcur":"GBP","pmp":{pmp}"#), deals, expected);
    }
}

#[test]
fn exact_durations_win_over_a_range() {
    let durations: Read = |request| {
        let video = request.imps[0].video.unwrap();
        let exact = request.ints(video.spot.rqddurs);
        format!(
            "{} {:?} {:?} {:?}",
            video.spot.min_duration_s,
            video.spot.max_duration_s,
            exact,
            request.ints(video.spot.protocols)
        )
    };
    for (fields, expected) in [
        (
            r#""minduration":5,"maxduration":"30","protocols":[2,7],"protocol":3"#,
            "5 Some(30) [] [2, 7]",
        ),
        (
            r#""maxduration":30,"rqddurs":[15,30],"minduration":5,"protocol":3"#,
            "0 None [15, 30] [3]",
        ),
    ] {
        check_imp(
            &format!(r#""video":{{"mimes":["video/mp4"],{fields}}}"#),
            durations,
            expected,
        );
    }
}

#[test]
fn an_audio_is_read_in_the_words_of_a_video() {
    let audio: Read = |request| {
        let audio = request.imps[0].audio.unwrap();
        let spot = audio.spot;
        let pod = (
            spot.pod_id,
            spot.pod_seq,
            spot.slot_in_pod,
            spot.pod_duration_s,
            spot.max_seq,
        );
        format!(
            "{:?} {}..{:?} {:?} {:?} {:?} {pod:?} {:?} {:?}",
            request.strs(spot.mimes),
            spot.min_duration_s,
            spot.max_duration_s,
            spot.start_delay,
            (audio.feed, audio.stitched, audio.nvol),
            request.ints(spot.battr),
            spot.min_cpm_per_sec,
            request.dur_floors(spot.dur_floors).len(),
        )
    };
    check_imp(
        r#""audio":{"mimes":["audio/mpeg"],"minduration":"5","maxduration":30.0,"startdelay":-1,"feed":3,"stitched":1,
        "nvol":2,"battr":[16],"podid":7,"podseq":-1,"slotinpod":2,"poddur":90,"maxseq":4,"mincpmpersec":0.5,
        "durfloors":[{"mindur":5,"bidfloor":1}]}"#,
        audio,
        r#"["audio/mpeg"] 5..Some(30) Some(-1) (Some(3), Some(true), Some(2)) [16] (Some("7"), -1, 2, Some(90), Some(4)) Some(Cpm(500000)) 1"#,
    );
}

#[test]
fn companions_are_banners_of_their_own() {
    let companions: Read = |request| {
        let imp = &request.imps[0];
        let spot = imp
            .video
            .map(|video| video.spot)
            .or(imp.audio.map(|audio| audio.spot))
            .unwrap();
        let one = |companion: &outbid::openrtb::request::Companion| {
            let banner = &companion.banner;
            let size = request.sizes(banner)[0];
            let battr = request.ints(banner.battr);
            format!("{}x{} {battr:?} {:?}", size.w, size.h, companion.end_card)
        };
        let all: Vec<_> = request.companions(&spot).iter().map(one).collect();
        format!("{} {:?}", all.join(", "), request.ints(spot.companion_types))
    };
    const LIST: &str = r#"[{"w":300,"h":250,"battr":[13],"vcm":1},{"format":[{"w":728,"h":90}],"vcm":0},7,{"w":1,"h":1,"vcm":9}]"#;
    let expected = "300x250 [13] Some(true), 728x90 [] Some(false), 1x1 [] None";
    for object in ["video", "audio"] {
        check_imp(
            &format!(r#""{object}":{{"mimes":["a/b"],"companionad":{LIST},"companiontype":[1,2]}}"#),
            companions,
            &format!("{expected} [1, 2]"),
        );
    }
    // As it stood before version 2.3: an object around the list.
    check_imp(
        &format!(r#""video":{{"mimes":["a/b"],"companionad":{{"banner":{LIST}}}}}"#),
        companions,
        &format!("{expected} []"),
    );
    check_imp(
        r#""video":{"mimes":["a/b"],"companionad":[{"battr":["x"]}]}"#,
        companions,
        "`companionad.battr` cannot be used…",
    );
}

#[test]
fn what_a_video_says_of_its_pod_is_read() {
    let pod: Read = |request| {
        let spot = request.imps[0].video.unwrap().spot;
        format!(
            "{:?} {} {} {:?} {:?} {:?}",
            spot.pod_id,
            spot.pod_seq,
            spot.slot_in_pod,
            spot.pod_duration_s,
            spot.max_seq,
            request.ints(spot.pod_dedupe)
        )
    };
    for (fields, expected) in [
        (r#""w":1"#, "None 0 0 None None []"),
        (
            r#""podid":"p1","podseq":-1,"slotinpod":"2","poddur":90.0,"maxseq":4,"poddedupe":[1,3]"#,
            r#"Some("p1") -1 2 Some(90) Some(4) [1, 3]"#,
        ),
        (
            r#""podid":7,"poddur":0,"maxseq":0,"slotinpod":"first""#,
            r#"Some("7") 0 0 None None []"#,
        ),
    ] {
        check_imp(
            &format!(r#""video":{{"mimes":["video/mp4"],{fields}}}"#),
            pod,
            expected,
        );
    }
}

#[test]
fn a_native_request_is_read_as_text_or_object_wrapped_or_not() {
    let native: Read = |request| match request.imps[0].native {
        None => "no native".into(),
        Some(native) => {
            let asset = |asset: &outbid::openrtb::request::NativeAsset| {
                let kind = match asset.kind {
                    NativeAssetKind::Title { len } => format!("title{len}"),
                    NativeAssetKind::Image {
                        kind,
                        w,
                        h,
                        wmin,
                        hmin,
                    } => format!("img{kind}:{w}x{h}>={wmin}x{hmin}"),
                    NativeAssetKind::Data { kind, len } => format!("data{kind}:{}", len.unwrap_or(0)),
                    NativeAssetKind::Video => "video".into(),
                    NativeAssetKind::Unknown => "unknown".into(),
                };
                format!("{}{}{kind}", asset.id, if asset.required { "!" } else { "?" })
            };
            let assets = request
                .native_assets(&native)
                .iter()
                .map(asset)
                .collect::<Vec<_>>()
                .join(" ");
            format!(
                "{} {} {} {assets}",
                native.wrapped, native.impression_methods, native.privacy
            )
        }
    };
    let assets = r#""assets":[{"id":1,"required":1,"title":{"len":25}},{"id":2,"img":{"type":3,"wmin":300,"hmin":"250"}},
        {"id":3,"data":{"type":2,"len":90}},{"id":4,"video":{},"title":null},{"id":5,"required":1,"hologram":{}},{"title":{"len":9}}]"#;
    let trackers = r#""eventtrackers":[{"event":1,"methods":[1,2]},{"event":2,"methods":[1]}],"privacy":1"#;
    let expected = "1!title25 2?img3:0x0>=300x250 3?data2:90 4?video 5!unknown 0?unknown";
    for (document, expected) in [
        (
            format!("{{{assets},{trackers}}}"),
            format!("false 3 true {expected}"),
        ),
        (
            format!(r#"{{"native":{{{assets}}}}}"#),
            format!("true 0 false {expected}"),
        ),
        (r#"{"assets":[]}"#.into(), "no native".into()),
        ("{}".into(), "no native".into()),
        ("[]".into(), "no native".into()),
    ] {
        let text = document
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', " ");
        check_imp(
            &format!(r#""native":{{"request":{document}}}"#),
            native,
            &expected,
        );
        check_imp(&format!(r#""native":{{"request":"{text}"}}"#), native, &expected);
    }
    check_imp(r#""native":{"request":"not JSON"}"#, native, "no native");
}

#[test]
fn the_most_restrictive_privacy_signal_decides() {
    let consent: Read = |request| {
        let consent = Consent::decide(request, &PrivacyPolicy::default());
        assert_eq!(
            consent.personal_data,
            user_ids(request, consent, &[]).next().is_some()
        );
        format!("{} {}", consent.decided_by.as_str(), consent.child_directed)
    };
    for (regs, device, expected) in [
        (r#"{}"#, r#"{}"#, "nothing false"),
        (r#"{"coppa":1}"#, r#"{"lmt":1}"#, "coppa true"),
        (r#"{"coppa":"yes"}"#, r#"{}"#, "coppa true"),
        (r#"{"gdpr":1,"us_privacy":"1YYN"}"#, r#"{}"#, "gdpr false"),
        (r#"{"gdpr":2}"#, r#"{}"#, "gdpr false"),
        (r#"{"gdpr":0}"#, r#"{}"#, "nothing false"),
        (r#"{"ext":{"gdpr":"1"}}"#, r#"{}"#, "gdpr false"),
        (r#"{"gdpr":0,"ext":{"gdpr":1}}"#, r#"{}"#, "gdpr false"),
        (r#"{"gdpr":1,"ext":{"gdpr":0}}"#, r#"{}"#, "gdpr false"),
        (r#"{"us_privacy":"1YYN"}"#, r#"{}"#, "us_privacy false"),
        (r#"{"us_privacy":"1YNN"}"#, r#"{}"#, "nothing false"),
        (r#"{"us_privacy":"1---"}"#, r#"{}"#, "nothing false"),
        (r#"{"us_privacy":"junk"}"#, r#"{}"#, "us_privacy false"),
        (r#"{"us_privacy":7}"#, r#"{}"#, "us_privacy false"),
        (
            r#"{"us_privacy":"1YNN","ext":{"us_privacy":"1YYN"}}"#,
            r#"{}"#,
            "us_privacy false",
        ),
        (
            r#"{"us_privacy":"1YYN","ext":{"us_privacy":"1YNN"}}"#,
            r#"{}"#,
            "us_privacy false",
        ),
        (r#"{"gpp":"DBAA","gpp_sid":[7]}"#, r#"{}"#, "gpp false"),
        (r#"{"gpp_sid":["8"]}"#, r#"{}"#, "gpp false"),
        (r#"{"gpp":"DBAA"}"#, r#"{}"#, "gpp false"),
        (r#"{"gpp":"DBAA","gpp_sid":[-1]}"#, r#"{}"#, "nothing false"),
        (r#"{"ext":{"gpp":"DBAA","gpp_sid":[2]}}"#, r#"{}"#, "gpp false"),
        (r#"{"gpp_sid":{}}"#, r#"{}"#, "`regs.gpp_sid` cannot be used…"),
        (r#"{}"#, r#"{"lmt":"1"}"#, "lmt false"),
        (r#"{}"#, r#"{"lmt":0,"dnt":1}"#, "dnt false"),
    ] {
        let fields = format!(r#""user":{{"id":"u"}},"regs":{regs},"device":{device}"#);
        check_fields(&fields, consent, expected);
    }
    check_fields(r#""user":{"id":"u","consent":"CP"}"#, consent, "gdpr false");
    check_fields(
        r#""user":{"id":"u","consent":"CP"},"regs":{"gdpr":0}"#,
        consent,
        "nothing false",
    );
}

#[test]
fn user_ids_come_in_the_agreed_order() {
    fn ids(request: &Request<'_>, sources: &[String]) -> String {
        let name = |id: outbid::openrtb::privacy::UserId<'_>| match id.source {
            UserIdSource::BuyerUid => format!("buyeruid={}", id.id),
            UserIdSource::Eid(source) => format!("{source}={}", id.id),
            UserIdSource::Ifa => format!("ifa={}", id.id),
            UserIdSource::Exchange => format!("exchange={}", id.id),
        };
        user_ids(
            request,
            Consent::decide(request, &PrivacyPolicy::default()),
            sources,
        )
        .map(name)
        .collect::<Vec<_>>()
        .join(" ")
    }
    let fields = r#""device":{"ifa":"i"},"user":{"id":"x","buyeruid":"b","eids":[{"source":"one.example","uids":[{"id":"1"}]},
        {"source":"two.example","uids":[{"id":"2"},{"id":"3"}]}]}"#;
    check_fields(
        fields,
        |request| ids(request, &["TWO.example".into(), "one.example".into()]),
        "buyeruid=b two.example=2 two.example=3 one.example=1 ifa=i exchange=x",
    );
    check_fields(
        fields,
        |request| ids(request, &[]),
        "buyeruid=b one.example=1 two.example=2 two.example=3 ifa=i exchange=x",
    );
    check_fields(
        fields,
        |request| ids(request, &["other".into()]),
        "buyeruid=b ifa=i exchange=x",
    );
}

#[test]
fn buffers_serve_on_after_any_request() {
    let mut buffers = RequestBuffers::default();
    for (body, expected) in [
        (
            r#"{"id":"a","imp":[{"id":"1","bidfloor":1},{"id":"2"}],"badv":["x","y"],"test":1}"#,
            Some((2, 2)),
        ),
        (
            r#"{"id":"b","imp":[{"id":"1","bidfloor":-1}],"badv":["z"]}"#,
            None,
        ),
        (r#"{"id":"c""#, None),
        (r#"{"id":"d","imp":[{"id":"1"}]}"#, Some((1, 0))),
    ] {
        let mut scratch = body.as_bytes().to_vec();
        let found = buffers.parse(&mut scratch).ok();
        assert_eq!(
            found.as_ref().map(|r| (r.imps.len(), r.strs(r.badv).len())),
            expected,
            "{body}"
        );
        if let Some(request) = found {
            assert_eq!(request.test, body.contains("test"));
            assert_eq!(
                request.imps[0].floor,
                if request.test { Cpm(1_000_000) } else { Cpm::ZERO }
            );
            buffers.recycle(request);
        }
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (-3i64..40).prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
        "[0-9.-]{0,6}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::vec((any_key(), inner), 0..5)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    const KEYS: &[&str] = &[
        "id",
        "imp",
        "ext",
        "site",
        "device",
        "user",
        "regs",
        "banner",
        "video",
        "audio",
        "companionad",
        "native",
        "format",
        "w",
        "mimes",
        "request",
        "assets",
        "title",
        "img",
        "len",
        "pmp",
        "deals",
        "bidfloor",
        "durfloors",
        "sua",
        "platform",
        "version",
        "brand",
        "browsers",
        "geo",
        "lat",
        "eids",
        "uids",
        "source",
        "data",
        "segment",
        "schain",
        "nodes",
        "content",
        "cat",
        "gpp_sid",
        "gdpr",
        "us_privacy",
        "badv",
        "cur",
        "tmax",
        "qty",
        "multiplier",
        "keywords",
        "publisher",
        "eventtrackers",
        "methods",
    ];
    prop::sample::select(KEYS).prop_map(str::to_string)
}

fn with_required_fields(mut root: serde_json::Value, imp: serde_json::Value) -> Vec<u8> {
    if let serde_json::Value::Object(fields) = &mut root {
        fields.insert("id".into(), "r".into());
        let mut imp = imp;
        if let serde_json::Value::Object(fields) = &mut imp {
            fields.insert("id".into(), "1".into());
        }
        fields.insert("imp".into(), vec![imp].into());
    }
    serde_json::to_vec(&root).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_answered_without_a_panic(mut body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = RequestBuffers::default().parse(&mut body);
    }

    #[test]
    fn any_value_in_any_field_is_answered_without_a_panic(root in any_json(), imp in any_json()) {
        let mut buffers = RequestBuffers::default();
        let mut body = with_required_fields(root, imp);
        if let Ok(request) = buffers.parse(&mut body) {
            prop_assert_eq!(request.imps.len(), 1);
            let consent = Consent::decide(&request, &PrivacyPolicy::default());
            prop_assert!(consent.personal_data || user_ids(&request, consent, &[]).next().is_none());
            for imp in &request.imps {
                prop_assert!(imp.floor >= Cpm::ZERO && imp.floor <= Cpm::MAX);
                for deal in request.deals(imp) {
                    prop_assert!(deal.floor >= Cpm::ZERO && deal.floor <= Cpm::MAX);
                }
            }
            buffers.recycle(request);
        }
    }

    #[test]
    fn text_is_unescaped_as_serde_json_does_it(id in "\\PC{1,80}|[\\x00-\\x7f]{1,80}", domains in prop::collection::vec(".{1,40}", 0..8)) {
        let body = serde_json::json!({"id": id, "imp": [{"id": "1"}], "badv": domains});
        let mut plain = serde_json::to_vec(&body).unwrap();
        let mut escaped = ascii_only(std::str::from_utf8(&plain).unwrap()).into_bytes();
        let mut buffers = RequestBuffers::default();
        for body in [&mut plain, &mut escaped] {
            let request = buffers.parse(body).unwrap();
            prop_assert_eq!(request.id, id.as_str());
            prop_assert_eq!(request.strs(request.badv), domains.iter().map(String::as_str).collect::<Vec<_>>());
            buffers.recycle(request);
        }
    }

    #[test]
    fn a_cut_request_is_refused(cut in 0usize..200) {
        let body = br#"{"id":"r","imp":[{"id":"1","banner":{"w":300,"h":250},"bidfloor":0.5}],"site":{"domain":"news.example"}}"#;
        let mut body = body[..cut.min(body.len() - 1)].to_vec();
        prop_assert!(RequestBuffers::default().parse(&mut body).is_err());
    }
}

/// Every character beyond ASCII as `\u` escapes, surrogate pairs included.
fn ascii_only(json: &str) -> String {
    let mut units = [0; 2];
    json.chars()
        .map(|c| match c.is_ascii() {
            true => c.to_string(),
            false => c
                .encode_utf16(&mut units)
                .iter()
                .map(|unit| format!("\\u{unit:04x}"))
                .collect(),
        })
        .collect()
}
