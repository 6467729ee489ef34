//! What a whole request allows, from all its signals together.

use super::VENDOR;
use super::encode::{TcString, gpp};
use outbid::openrtb::RequestBuffers;
use outbid::openrtb::privacy::{Consent, PrivacyPolicy, user_ids};

/// `regs`, `user`, `device`, then the signal that decided and what may be done.
#[track_caller]
fn check_request(regs: &str, user: &str, device: &str, policy: PrivacyPolicy, expected: &str) {
    let body = format!(
        r#"{{"id":"r","imp":[{{"id":"1","banner":{{"w":1,"h":1}}}}],
        "regs":{{{regs}}},"user":{{"id":"u"{user}}},"device":{{{device}}}}}"#
    );
    let mut buffers = RequestBuffers::default();
    let mut bytes = body.clone().into_bytes();
    let request = buffers.parse(&mut bytes).unwrap();
    let consent = Consent::decide(&request, &policy);
    let ids = user_ids(&request, consent, &[]).count();
    assert_eq!(consent.personal_data, ids > 0, "{body}");
    assert_eq!(consent.personal_data, consent.ids && consent.basic_ads, "{body}");
    assert_eq!(
        consent.profile_use,
        consent.personal_data && consent.profile,
        "{body}"
    );
    let uses = [
        (" ids", consent.ids),
        (" basic", consent.basic_ads),
        (" measure", consent.measurement),
        (" profile", consent.profile),
        (" research", consent.research),
        (" location", consent.precise_location),
    ];
    let held: Vec<&str> = uses
        .iter()
        .filter(|(_, held)| *held)
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(
        format!("{}:{}", consent.decided_by.as_str(), held.concat()),
        expected,
        "{body}"
    );
}

#[test]
fn the_most_restrictive_signal_wins_for_every_use() {
    const EVERYTHING: &str = "nothing: ids basic measure profile research location";
    let vendor = PrivacyPolicy {
        gvl_id: Some(VENDOR),
        honour_dnt: true,
    };
    let nobody = PrivacyPolicy::default();
    let lax = PrivacyPolicy {
        honour_dnt: false,
        ..vendor
    };
    let string = |consent: &[u8], interest: &[u8], features: &[u8]| {
        TcString {
            consent: consent.to_vec(),
            interest: interest.to_vec(),
            features: features.to_vec(),
            ..TcString::all(VENDOR)
        }
        .text()
    };
    let all = TcString::all(VENDOR).text();
    let full = format!(r#","consent":"{all}""#);
    let with =
        |consent: &[u8], interest: &[u8]| format!(r#","consent":"{}""#, string(consent, interest, &[]));
    let in_gpp =
        |id: u32, text: &str| format!(r#""gpp":"{}","gpp_sid":[{id}]"#, gpp(&[(id, text.to_owned())]));
    for (regs, user, device, policy, expected) in [
        ("", "", "", vendor, EVERYTHING),
        (r#""gdpr":1"#, full.as_str(), "", vendor, EVERYTHING),
        ("", full.as_str(), "", vendor, EVERYTHING),
        ("", full.as_str(), "", nobody, "gdpr:"),
        (r#""gdpr":0"#, full.as_str(), "", nobody, EVERYTHING),
        (r#""gdpr":1"#, "", "", vendor, "gdpr:"),
        (r#""gdpr":1"#, r#","consent":"junk""#, "", vendor, "gdpr:"),
        (r#""gdpr":1"#, full.as_str(), "", nobody, "gdpr:"),
        (
            r#""gdpr":1"#,
            &with(&[1], &[2, 7, 9, 10]),
            "",
            vendor,
            "gdpr: ids basic measure research",
        ),
        (
            r#""gdpr":1"#,
            &with(&[1, 2], &[3, 4, 7, 9]),
            "",
            vendor,
            "gdpr: ids basic measure",
        ),
        (
            r#""gdpr":1"#,
            &with(&[1, 2, 3, 4], &[]),
            "",
            vendor,
            "gdpr: ids basic profile",
        ),
        (
            r#""gdpr":1"#,
            &with(&[1, 2, 3], &[]),
            "",
            vendor,
            "gdpr: ids basic",
        ),
        (
            r#""gdpr":1"#,
            &with(&[2, 3, 4, 7], &[]),
            "",
            vendor,
            "gdpr: basic measure profile",
        ),
        (
            r#""gdpr":1"#,
            &with(&[1, 3, 4], &[]),
            "",
            vendor,
            "gdpr: ids profile",
        ),
        (r#""gdpr":1,"coppa":1"#, full.as_str(), "", vendor, "coppa:"),
        (
            r#""gdpr":1,"us_privacy":"1YYN""#,
            full.as_str(),
            "",
            vendor,
            "us_privacy: basic measure",
        ),
        (
            r#""gdpr":1,"us_privacy":"1YYN""#,
            &with(&[1, 2, 3], &[]),
            "",
            vendor,
            "us_privacy: basic",
        ),
        (
            r#""gdpr":1,"us_privacy":"1YNN""#,
            &with(&[1, 2, 3], &[]),
            "",
            vendor,
            "gdpr: ids basic",
        ),
        (r#""ext":{"gpc":"1"}"#, "", "", vendor, "gpc: basic measure"),
        (
            r#""ext":{"gpc":1}"#,
            "",
            r#""lmt":1"#,
            vendor,
            "gpc: basic measure",
        ),
        (r#""ext":{"gpc":"0"}"#, "", "", vendor, EVERYTHING),
        (r#""ext":{"gpc":"yes"}"#, "", "", vendor, "gpc: basic measure"),
        ("", "", r#""lmt":1"#, vendor, "lmt: basic measure"),
        ("", "", r#""dnt":1"#, vendor, "dnt: basic measure"),
        ("", "", r#""dnt":1"#, lax, EVERYTHING),
        ("", "", r#""dnt":1,"lmt":1"#, lax, "lmt: basic measure"),
        (&in_gpp(2, &all), "", "", vendor, EVERYTHING),
        (&in_gpp(2, &all), "", "", nobody, "gpp:"),
        (&in_gpp(2, "junk"), "", "", vendor, "gpp:"),
        (
            &in_gpp(2, &string(&[1, 2], &[], &[1])),
            "",
            "",
            vendor,
            "gpp: ids basic location",
        ),
        (
            &in_gpp(2, &all),
            &with(&[1, 2], &[]),
            "",
            vendor,
            "gdpr: ids basic",
        ),
        (&in_gpp(6, "1YNN"), "", "", nobody, EVERYTHING),
        (&in_gpp(6, "1YYN"), "", "", nobody, "gpp: basic measure"),
        (&in_gpp(6, "junk"), "", "", nobody, "gpp: basic measure"),
        (&in_gpp(5, "CPXx"), "", "", nobody, "gpp:"),
        (&in_gpp(24, "AAAA"), "", "", nobody, "gpp: basic measure"),
        (r#""gpp_sid":[7]"#, "", "", nobody, "gpp: basic measure"),
        (r#""gpp_sid":[2]"#, "", "", vendor, "gpp:"),
        (r#""gpp":"DBABM""#, "", "", nobody, "gpp: basic measure"),
        (r#""gpp":"DBABM","gpp_sid":[-1]"#, "", "", nobody, EVERYTHING),
        // Only what is in force acts, and what is in force has to be there.
        (
            r#""gpp":"DBACNYA~junk~1YNN","gpp_sid":[6]"#,
            "",
            "",
            nobody,
            EVERYTHING,
        ),
        (
            r#""gpp":"DBACNYA~junk~1YYN","gpp_sid":[6]"#,
            "",
            "",
            nobody,
            "gpp: basic measure",
        ),
        (
            r#""gpp":"DBACNYA~junk~1YNN","gpp_sid":[2,6]"#,
            "",
            "",
            vendor,
            "gpp:",
        ),
        (
            r#""gpp":"DBACNYA~junk~1YNN","gpp_sid":[6,7]"#,
            "",
            "",
            nobody,
            "gpp: basic measure",
        ),
        (
            r#""gpp":"DBACNYA~1YNN","gpp_sid":[6]"#,
            "",
            "",
            nobody,
            "gpp: basic measure",
        ),
        (
            r#""gpp":"DBACNYA~a~1YNN~b","gpp_sid":[6]"#,
            "",
            "",
            nobody,
            "gpp: basic measure",
        ),
        (
            r#""gpp":"DBABjw~junk~1YNN","gpp_sid":[6]"#,
            "",
            "",
            nobody,
            EVERYTHING,
        ),
        (
            r#""gpp":"DCABjw~junk~1YNN","gpp_sid":[6]"#,
            "",
            "",
            nobody,
            "gpp: basic measure",
        ),
        (
            r#""gpp":"CBABjw~junk~1YNN","gpp_sid":[6]"#,
            "",
            "",
            nobody,
            "gpp: basic measure",
        ),
        (
            r#""gpp":"DBABjw~junk~1YNN","gpp_sid":[6,4000000000]"#,
            "",
            "",
            nobody,
            "gpp: basic measure",
        ),
    ] {
        check_request(regs, user, device, policy, expected);
    }
}
