//! Section 3.2.1: ids, auction types, time, currencies, languages, and the 2.5 positions of what 2.6 moved.

use super::{Change, apply, harmless};
use crate::certify::answer::Answer;
use crate::certify::case::{Case, Section, Verdict, ensure, not_tested};
use crate::certify::stage::{Format, Stage};
use serde_json::{Value, json};

pub(super) const HARMLESS: &[Change] = &[
    Change {
        id: "request.at.absent",
        spec: "3.2.1",
        title: "an absent auction type is second price",
        edits: &[("at", "null")],
    },
    Change {
        id: "request.at.first",
        spec: "3.2.1",
        title: "first-price auctions are bid in",
        edits: &[("at", "1")],
    },
    Change {
        id: "request.at.second",
        spec: "3.2.1",
        title: "second-price auctions are bid in",
        edits: &[("at", "2")],
    },
    Change {
        id: "request.tmax.absent",
        spec: "3.2.1",
        title: "without tmax the agreed time holds",
        edits: &[("tmax", "null")],
    },
    Change {
        id: "request.tmax.usual",
        spec: "3.2.1",
        title: "300 ms are time enough",
        edits: &[("tmax", "300")],
    },
    Change {
        id: "request.tmax.long",
        spec: "3.2.1",
        title: "a long tmax does no harm",
        edits: &[("tmax", "60000")],
    },
    Change {
        id: "request.test.zero",
        spec: "3.2.1",
        title: "test = 0 is a billable auction",
        edits: &[("test", "0")],
    },
    Change {
        id: "request.test.one",
        spec: "3.2.1",
        title: "a test auction is answered as a billable one",
        edits: &[("test", "1")],
    },
    Change {
        id: "request.allimps.zero",
        spec: "3.2.1",
        title: "allimps = 0 is the default",
        edits: &[("allimps", "0")],
    },
    Change {
        id: "request.allimps.one",
        spec: "3.2.1",
        title: "allimps = 1 permits and does not demand a road block",
        edits: &[("allimps", "1")],
    },
    Change {
        id: "request.badv.unrelated",
        spec: "3.2.1",
        title: "blocked advertisers that are not ours block nothing",
        edits: &[("badv", r#"["certify-unrelated.example","x"]"#)],
    },
    Change {
        id: "request.bcat.unrelated",
        spec: "3.2.1",
        title: "blocked categories that are not ours block nothing",
        edits: &[("bcat", r#"["IAB25-2","IAB24"]"#)],
    },
    Change {
        id: "request.bapp.unrelated",
        spec: "3.2.1",
        title: "blocked apps that are not ours block nothing",
        edits: &[("bapp", r#"["example.certify.unrelated"]"#)],
    },
    Change {
        id: "request.bseat.unrelated",
        spec: "3.2.1",
        title: "blocked seats that are not ours block nothing",
        edits: &[("bseat", r#"["certify-no-seat"]"#)],
    },
    Change {
        id: "request.cattax.absent",
        spec: "3.2.1",
        title: "the taxonomy of categories is 1 by default",
        edits: &[("cattax", "null")],
    },
    Change {
        id: "request.eids.now",
        spec: "3.2.20",
        title: "extended ids stand in user.eids",
        edits: &[(
            "user.eids",
            r#"[{"source":"certify.example","uids":[{"id":"e-1","atype":1}]}]"#,
        )],
    },
    Change {
        id: "request.eids.before",
        spec: "2.5 position",
        title: "extended ids may stand in user.ext.eids",
        edits: &[(
            "user.ext.eids",
            r#"[{"source":"certify.example","uids":[{"id":"e-1","atype":1}]}]"#,
        )],
    },
    Change {
        id: "request.eids.malformed",
        spec: "3.2.20",
        title: "extended ids that are none do no harm",
        edits: &[("user.eids", r#"[{"source":7},{"uids":{}},null,"x"]"#)],
    },
    Change {
        id: "request.data",
        spec: "3.2.21",
        title: "user data and segments do no harm",
        edits: &[(
            "user.data",
            r#"[{"id":"d","name":"x","segment":[{"id":"1","name":"y","value":"z"}]}]"#,
        )],
    },
    Change {
        id: "request.content",
        spec: "3.2.16",
        title: "content with its taxonomy and language does no harm",
        edits: &[(
            "site.content",
            r#"{"id":"c","title":"t","cat":["640"],"cattax":6,"language":"en","livestream":0,"len":600,"genres":["1"],"gtax":9}"#,
        )],
    },
    Change {
        id: "request.sua",
        spec: "3.2.29",
        title: "a structured user agent is read",
        edits: &[(
            "device.sua",
            r#"{"browsers":[{"brand":"Chromium","version":["140","0"]}],"platform":{"brand":"Android","version":["15"]},"mobile":1,"model":"Pixel 9","source":2}"#,
        )],
    },
    Change {
        id: "request.geo.full",
        spec: "3.2.19",
        title: "a location may be given in full",
        edits: &[(
            "device.geo",
            r#"{"country":"USA","region":"CA","city":"Los Angeles","zip":"90001","lat":34.05,"lon":-118.24,"type":2,"accuracy":50,"utcoffset":-480}"#,
        )],
    },
    Change {
        id: "request.user.absent",
        spec: "3.2.20",
        title: "a request without a user is bid on by its context",
        edits: &[("user", "null"), ("device.ifa", "null")],
    },
];

/// Request ids that a careless writer would break.
const IDS: &[(&str, &str, &str)] = &[
    (
        "request.id.space",
        "an id with white space is echoed",
        "certify  id\t1",
    ),
    (
        "request.id.quotes",
        "an id with quotes and backslashes is echoed",
        "certify-\"q\"-\\b\\-'s'",
    ),
    (
        "request.id.unicode",
        "an id in any script is echoed",
        "certify-идентификатор-標識符-😀",
    ),
    (
        "request.id.control",
        "an id with escaped control characters is echoed",
        "certify-\u{1}-\n-\u{7f}",
    ),
    (
        "request.id.digits",
        "an id of digits stays a string",
        "00012345678901234567890123456789",
    ),
    (
        "request.id.markup",
        "an id that looks like markup is echoed",
        "</script><!--${AUCTION_ID}&amp;%00%22",
    ),
];

pub fn cases() -> Vec<Case> {
    let ids = IDS.iter().map(|&(id, title, text)| {
        Case::new(Section::Request, id, "4.2.1", title, move |stage| {
            echoes(stage, text.to_owned())
        })
    });
    let rows = harmless(Section::Request, Format::Banner, HARMLESS);
    rows.chain(ids).chain(others()).chain(currencies()).collect()
}

fn case(
    id: &'static str,
    spec: &'static str,
    title: &'static str,
    run: impl Fn(&Stage) -> Verdict + 'static,
) -> Case {
    Case::new(Section::Request, id, spec, title, run)
}

fn others() -> Vec<Case> {
    vec![
        case(
            "request.id.long",
            "4.2.1",
            "an id of 500 characters is echoed",
            |stage| echoes(stage, "certify-0123456789".repeat(28)[..500].to_owned()),
        ),
        case(
            "request.at.exchange-defined",
            "3.2.1",
            "an auction type of the exchange's own does no harm",
            |stage| {
                let base = stage.any()?;
                stage.answers(base, &[200, 204], |request| {
                    edited(stage, request, &[("at", "501")])
                })
            },
        ),
        case(
            "request.tmax.tiny",
            "3.2.1, nbr 15",
            "no bid comes where there is no time for it",
            |stage| stage.no_bid(stage.any()?, |request| request["tmax"] = json!(1)),
        ),
        case(
            "request.tmax.negative",
            "3.2.1",
            "a negative tmax is no time, or makes the request invalid",
            |stage| {
                let base = stage.any()?;
                stage.answers(base, &[200, 204, 400], |request| {
                    edited(stage, request, &[("tmax", "-5")])
                })
            },
        ),
        case(
            "request.tmax.overflow",
            "3.2.1",
            "a tmax beyond all numbers does no harm",
            |stage| {
                let base = stage.any()?;
                stage.answers(base, &[200, 204, 400], |request| {
                    edited(stage, request, &[("tmax", "99999999999999999999999999")])
                })
            },
        ),
        case(
            "request.context.two",
            "3.2.13-14",
            "site and app exclude each other: refused, or one is ignored",
            |stage| {
                let base = stage.base(Format::Banner)?;
                stage.answers(base, &[200, 204, 400], |request| {
                    edited(stage, request, &[("app", r#"{"id":"a","bundle":"example.app"}"#)])
                })
            },
        ),
        case(
            "request.context.none",
            "3.2.1",
            "a request without site, app and dooh does no harm",
            |stage| {
                let base = stage.base(Format::Banner)?;
                stage.answers(base, &[200, 204, 400], |request| {
                    edited(stage, request, &[("site", "null")])
                })
            },
        ),
        case(
            "request.dooh",
            "3.2.32",
            "a request of a screen outdoors is answered",
            |stage| {
                let base = stage.base(Format::Banner)?;
                let dooh = r#"{"id":"d","name":"screen","venuetype":["transit"],"venuetypetax":1}"#;
                stage.answers(base, &[200, 204], |request| {
                    edited(
                        stage,
                        request,
                        &[
                            ("site", "null"),
                            ("dooh", dooh),
                            ("imp.0.qty", r#"{"multiplier":2.5}"#),
                        ],
                    )
                })
            },
        ),
        case(
            "request.crawler",
            "7.1, nbr 3",
            "a known crawler is no audience: no bid, or reason 3",
            |stage| {
                let base = stage.base(Format::Banner)?;
                stage.fresh_bid(base)?;
                let mut request = stage.fresh(&base.request);
                request["device"]["ua"] =
                    json!("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)");
                let answer = stage.ask(&request)?;
                match answer.bids().as_slice() {
                    [] => reason_is(&answer, &[3, 4]),
                    _ => not_tested("crawlers are bid on, which the specification leaves to the bidder"),
                }
            },
        ),
        case(
            "request.independent",
            "3.2.1",
            "one request leaves nothing behind for the next",
            |stage| {
                let base = stage.base(Format::Banner)?;
                let domains = json!(base.bid.texts("adomain"));
                for _ in 0..3 {
                    let mut blocked = stage.fresh(&base.request);
                    blocked["badv"] = domains.clone();
                    stage.ask(&blocked)?;
                    stage.fresh_bid(base)?;
                }
                Ok(())
            },
        ),
    ]
}

fn currencies() -> Vec<Case> {
    let answered_in_one_of = |answer: &Answer, allowed: &[&str]| {
        let wrong = answer
            .bids()
            .into_iter()
            .find(|bid| !allowed.contains(&bid.currency.as_str()));
        ensure(wrong.is_none(), || {
            let found = wrong.map(|bid| bid.currency).unwrap_or_default();
            format!("the bid is in {found}; allowed is {allowed:?}")
        })
    };
    vec![
        case(
            "request.cur.one",
            "3.2.1",
            "the answer is in the one allowed currency",
            move |stage| {
                let answer = stage.still_bids(stage.any()?, |request| request["cur"] = json!(["USD"]))?;
                answered_in_one_of(&answer, &["USD"])
            },
        ),
        case(
            "request.cur.many",
            "3.2.1",
            "the answer is in one of the allowed currencies",
            move |stage| {
                let answer =
                    stage.still_bids(stage.any()?, |request| request["cur"] = json!(["XTS", "USD"]))?;
                answered_in_one_of(&answer, &["USD", "XTS"])
            },
        ),
        case(
            "request.cur.other",
            "3.2.1",
            "where only euros are allowed there are no bids in dollars",
            move |stage| {
                stage.never(
                    stage.any()?,
                    |request| request["cur"] = json!(["EUR"]),
                    "a bid in another currency than EUR",
                    |bid| bid.currency != "EUR",
                )
            },
        ),
        case(
            "request.cur.unknown",
            "3.2.1",
            "where only an unknown currency is allowed there is no bid",
            |stage| {
                // XTS is the code for tests (ISO 4217); nobody pays in it.
                stage.no_bid(stage.any()?, |request| request["cur"] = json!(["XTS"]))
            },
        ),
        case(
            "request.cur.absent",
            "3.2.1, 4.2.1",
            "without a list any currency may be answered in",
            |stage| {
                let answer = stage.still_bids(stage.any()?, |request| request["cur"] = json!(null))?;
                let unnamed = answer.bids().into_iter().find(|bid| !is_currency(&bid.currency));
                ensure(unnamed.is_none(), || {
                    "`cur` of the answer is no ISO 4217 code".into()
                })
            },
        ),
    ]
}

/// The answer carries the very id of the request.
fn echoes(stage: &Stage, id: String) -> Verdict {
    let answer = stage.still_bids(stage.any()?, |request| request["id"] = json!(id))?;
    let echoed = answer
        .json
        .as_ref()
        .map(|json| json["id"].clone())
        .unwrap_or_default();
    ensure(echoed == json!(id), || {
        format!("the id {} was answered as {echoed}", json!(id))
    })
}

/// A reason, if one is given, is one that fits.
fn reason_is(answer: &Answer, fitting: &[i64]) -> Verdict {
    match answer.no_bid_reason() {
        Some(reason) if !fitting.contains(&reason) && reason < 500 => {
            crate::certify::case::fails(format!("reason {reason}; fitting would be one of {fitting:?}"))
        }
        _ => Ok(()),
    }
}

fn edited(stage: &Stage, request: &Value, edits: &[(&str, &str)]) -> crate::certify::client::Call {
    let mut text = request.clone();
    apply(&mut text, edits);
    stage.call(text.to_string().into_bytes())
}

fn is_currency(code: &str) -> bool {
    code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase())
}
