//! Sections 3.2.3, 3.2.18, 3.2.20 and 7.5: signals of privacy law and of people's wishes, as far as they show from outside.
//!
//! Invariant: that an id is kept back is shown only where it comes back without the signal.

use super::{Change, apply, harmless, opt_out};
use crate::certify::case::{Case, Section, Verdict, ensure, fails, not_tested};
use crate::certify::stage::{Format, Stage};
use serde_json::{Value, json};

pub(super) const HARMLESS: &[Change] = &[
    Change {
        id: "privacy.coppa.zero",
        spec: "3.2.3",
        title: "coppa = 0 is no reason not to bid",
        edits: &[("regs.coppa", "0")],
    },
    Change {
        id: "privacy.gdpr.zero",
        spec: "3.2.3",
        title: "where GDPR does not apply there is nothing to wait for",
        edits: &[("regs.gdpr", "0")],
    },
    Change {
        id: "privacy.gdpr.zero-before",
        spec: "2.5 position",
        title: "regs.ext.gdpr = 0 is no reason not to bid",
        edits: &[("regs.ext.gdpr", "0")],
    },
    Change {
        id: "privacy.us.not-applicable",
        spec: "3.2.3",
        title: "a US privacy string of 1--- says that it does not apply",
        edits: &[("regs.us_privacy", r#""1---""#)],
    },
    Change {
        id: "privacy.us.not-applicable-before",
        spec: "2.5 position",
        title: "the same in regs.ext.us_privacy",
        edits: &[("regs.ext.us_privacy", r#""1---""#)],
    },
    Change {
        id: "privacy.us.no-opt-out",
        spec: "3.2.3",
        title: "a US privacy string without opt-out is no reason not to bid",
        edits: &[("regs.us_privacy", r#""1YNN""#)],
    },
    Change {
        id: "privacy.gpp.not-applicable",
        spec: "3.2.3",
        title: "a GPP section of -1 says that none applies",
        edits: &[("regs.gpp_sid", "[-1]")],
    },
    Change {
        id: "privacy.dsa.zero",
        spec: "DSA extension",
        title: "where no DSA information is required none need come",
        edits: &[("regs.ext.dsa", r#"{"dsarequired":0,"pubrender":0,"datatopub":0}"#)],
    },
];

/// Signals after which no id of the user comes back.
pub(super) const RESTRICTED: &[Change] = &[
    Change {
        id: "privacy.coppa",
        spec: "3.2.3",
        title: "a child's request is answered without any id of the child",
        edits: &[("regs.coppa", "1")],
    },
    Change {
        id: "privacy.lmt",
        spec: "3.2.18",
        title: "with limited tracking no id of the device comes back",
        edits: &[("device.lmt", "1")],
    },
    Change {
        id: "privacy.dnt",
        spec: "3.2.18",
        title: "with do-not-track no id of the device comes back",
        edits: &[("device.dnt", "1")],
    },
    Change {
        id: "privacy.gdpr.no-consent",
        spec: "3.2.3",
        title: "GDPR without a consent string: no id comes back",
        edits: &[("regs.gdpr", "1")],
    },
    Change {
        id: "privacy.us.opt-out",
        spec: "3.2.3",
        title: "who opted out of sale is answered without any id",
        edits: &[("regs.us_privacy", r#""1YYN""#)],
    },
    Change {
        id: "privacy.us.before",
        spec: "2.5 position",
        title: "an opt-out in regs.ext.us_privacy is one: no id comes back",
        edits: &[("regs.ext.us_privacy", r#""1YYN""#)],
    },
    Change {
        id: "privacy.gpc",
        spec: "GPC extension",
        title: "with the Global Privacy Control of the browser no id comes back",
        edits: &[("regs.ext.gpc", r#""1""#)],
    },
    Change {
        id: "privacy.gpp.missing",
        spec: "3.2.3",
        title: "a GPP section without a string is an opt-out: no id comes back",
        edits: &[("regs.gpp_sid", "[8]")],
    },
    Change {
        id: "privacy.gdpr.no-consent-before",
        spec: "2.5 position",
        title: "GDPR in regs.ext without a consent string: no id comes back",
        edits: &[("regs.ext.gdpr", "1")],
    },
];

/// Signals that make no sense. What follows from them stays within the bidder; that it answers does not.
pub(super) const UNREADABLE: &[Change] = &[
    Change {
        id: "privacy.gdpr.garbage",
        spec: "3.2.20",
        title: "an unreadable consent string is no error",
        edits: &[("regs.gdpr", "1"), ("user.consent", r#""certify+++""#)],
    },
    Change {
        id: "privacy.gdpr.empty",
        spec: "3.2.20",
        title: "an empty consent string is no error",
        edits: &[("regs.gdpr", "1"), ("user.consent", r#""""#)],
    },
    Change {
        id: "privacy.gdpr.truncated",
        spec: "3.2.20",
        title: "a truncated consent string is no error",
        edits: &[("regs.gdpr", "1"), ("user.consent", r#""CPzHq4""#)],
    },
    Change {
        id: "privacy.gdpr.long",
        spec: "3.2.20",
        title: "a consent string of the wrong length is no error",
        edits: &[
            ("regs.gdpr", "1"),
            (
                "user.consent",
                r#""C.............................................................................""#,
            ),
        ],
    },
    Change {
        id: "privacy.gdpr.unknown",
        spec: "3.2.3",
        title: "a value of gdpr beyond 0 and 1 is no error",
        edits: &[("regs.gdpr", "2")],
    },
    Change {
        id: "privacy.gdpr.before",
        spec: "2.5 position",
        title: "an unreadable consent string in the 2.5 position is no error",
        edits: &[("regs.ext.gdpr", "1"), ("user.ext.consent", r#""certify+++""#)],
    },
    Change {
        id: "privacy.us.garbage",
        spec: "3.2.3",
        title: "an unreadable US privacy string is no error",
        edits: &[("regs.us_privacy", r#""yes please""#)],
    },
    Change {
        id: "privacy.gpp.unreadable",
        spec: "3.2.3",
        title: "an unreadable GPP string is no error",
        edits: &[("regs.gpp", r#""certify""#), ("regs.gpp_sid", "[7]")],
    },
    Change {
        id: "privacy.gpp.unknown",
        spec: "3.2.3",
        title: "a GPP section that nobody knows is no error",
        edits: &[("regs.gpp", r#""DBAA""#), ("regs.gpp_sid", "[497]")],
    },
    Change {
        id: "privacy.gpp.before",
        spec: "2.5 position",
        title: "an unreadable GPP string in the 2.5 position is no error",
        edits: &[("regs.ext.gpp", r#""certify""#), ("regs.ext.gpp_sid", "[7]")],
    },
];

pub fn cases() -> Vec<Case> {
    let restricted = RESTRICTED.iter().map(|row| {
        Case::new(Section::Privacy, row.id, row.spec, row.title, move |stage| {
            says_nothing_of_the_user(stage, row.edits)
        })
    });
    let unreadable = UNREADABLE.iter().map(|row| {
        Case::new(Section::Privacy, row.id, row.spec, row.title, move |stage| {
            stage.answers(stage.any()?, &[200, 204], |request| {
                let mut request = request.clone();
                apply(&mut request, row.edits);
                stage.call(request.to_string().into_bytes())
            })
        })
    });
    harmless(Section::Privacy, Format::Banner, HARMLESS)
        .chain(restricted)
        .chain(unreadable)
        .chain(others())
        .collect()
}

fn others() -> Vec<Case> {
    let case =
        |id, spec, title, run: fn(&Stage) -> Verdict| Case::new(Section::Privacy, id, spec, title, run);
    vec![
        case(
            "privacy.ifa.zero",
            "3.2.18",
            "an advertising id of zeros is none, and no reason not to bid",
            |stage| {
                let base = stage.base(Format::App)?;
                let zeros = json!("00000000-0000-0000-0000-000000000000");
                let edit = |request: &mut Value| request["device"]["ifa"] = zeros.clone();
                let answer = stage.still_bids(base, edit)?;
                ensure(
                    !answer.text().contains("00000000-0000-0000-0000-000000000000"),
                    || "the zeros came back as an id".into(),
                )
            },
        ),
        case(
            "privacy.conflict",
            "3.2.3",
            "of signals that contradict each other the most restrictive counts",
            |stage| {
                says_nothing_of_the_user(
                    stage,
                    &[
                        ("regs.gdpr", "0"),
                        ("regs.us_privacy", r#""1YYN""#),
                        ("regs.coppa", "1"),
                        ("device.lmt", "0"),
                    ],
                )
            },
        ),
        case(
            "privacy.dsa.required",
            "DSA extension",
            "where DSA information is required a bid has it",
            |stage| {
                let base = stage.base(Format::Banner)?;
                let dsa = json!({"dsarequired": 2, "pubrender": 0, "datatopub": 2});
                let edit = |request: &mut Value| request["regs"] = json!({"ext": {"dsa": dsa}});
                stage.never(base, edit, "a bid without ext.dsa where it is required", |bid| {
                    !bid.fields["ext"]["dsa"].is_object()
                })
            },
        ),
        case(
            "privacy.ip",
            "7.5",
            "the address of a user is not written into a bid",
            |stage| {
                let base = stage.any()?;
                let answer =
                    stage.still_bids(base, |request| request["device"]["ip"] = json!("203.0.113.187"))?;
                ensure(!answer.text().contains("203.0.113.187"), || {
                    "the IP address came back".into()
                })
            },
        ),
    ]
}

/// No id that a request carried is in the answer, though ids are in answers to requests without the signal.
fn says_nothing_of_the_user(stage: &Stage, edits: &[(&str, &str)]) -> Verdict {
    let base = stage.base(Format::App).or_else(|_| stage.any())?;
    let (lifted, bid) = stage.fresh_bid(base)?;
    if id_in(&lifted, &bid.fields.to_string()).is_none() {
        return match &stage.settings.admin {
            // An Outbid says on the page of an ad whether an id was used for it.
            Some(_) => opt_out::uses_no_id(stage, base, |request| apply(request, edits)),
            None => not_tested(
                "bids have no id of the user in any case; what is done with it inside does not show",
            ),
        };
    }
    let mut request = stage.fresh(&base.request);
    apply(&mut request, edits);
    let answer = stage.ask(&request)?;
    match id_in(&request, &answer.text()) {
        Some(id) => fails(format!("`{id}` is in the answer")),
        None => Ok(()),
    }
}

/// The first id of the user of a request that is found in a text.
fn id_in(request: &Value, text: &str) -> Option<String> {
    let ids = [
        &request["user"]["id"],
        &request["user"]["buyeruid"],
        &request["device"]["ifa"],
    ];
    let found = ids
        .into_iter()
        .filter_map(Value::as_str)
        .find(|id| text.contains(id));
    found.map(str::to_owned)
}
