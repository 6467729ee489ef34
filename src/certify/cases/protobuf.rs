//! Section 2.3: the same rules when the request is a message of `openrtb.proto`. A bidder that answers 415 does not speak
//! protobuf, which is allowed: its cases are not tested.

use super::transport::zip;
use crate::certify::answer::Answer;
use crate::certify::case::{Case, Flaw, Section, Verdict, ensure, fails, not_tested};
use crate::certify::client::Call;
use crate::certify::protobuf;
use crate::certify::stage::{Base, Format, Stage};
use serde_json::{Value, json};

const TYPE: &str = "application/x-protobuf";
/// Bidders pace: one silence is not yet a no.
const TRIES: usize = 6;

pub fn cases() -> Vec<Case> {
    [bids(), refusals(), tolerated(), wrapped()]
        .into_iter()
        .flatten()
        .collect()
}

fn case(
    id: &'static str,
    spec: &'static str,
    title: &'static str,
    run: impl Fn(&Stage) -> Verdict + 'static,
) -> Case {
    Case::new(Section::Transport, id, spec, title, run)
}

fn bids() -> Vec<Case> {
    let format = |id, title, format| {
        case(id, "2.3", title, move |stage: &Stage| {
            still_bids(stage, stage.base(format)?, |body| body).map(drop)
        })
    };
    vec![
        case(
            "transport.protobuf.answer",
            "2.3",
            "a request in protobuf is answered in protobuf, which the answer says",
            |stage| {
                let answer = still_bids(stage, stage.any()?, |body| body)?;
                let kind = answer.reply.header("content-type").unwrap_or_default();
                ensure(kind.to_ascii_lowercase().starts_with(TYPE), || {
                    format!("Content-Type is `{kind}`; right would be {TYPE}")
                })
            },
        ),
        case(
            "transport.protobuf.content",
            "2.3, 4.2",
            "a bid in protobuf has what a bid must have: the ids of request and imp, a price from the floor up, markup or nurl",
            |stage| {
                let base = stage.any()?;
                let request = stage.fresh(&base.request);
                let answer = ask(stage, body_of(&request)?)?;
                let Some(bid) = answer.bids().into_iter().next() else {
                    return still_bids(stage, base, |body| body)
                        .and_then(|_| not_tested("no bid when asked once"));
                };
                let response = answer.json.unwrap_or_default();
                ensure(response["id"] == request["id"], || {
                    format!("the response's id is {}", response["id"])
                })?;
                ensure(bid.text("impid") == request["imp"][0]["id"], || {
                    format!("impid is `{}`", bid.text("impid"))
                })?;
                ensure(
                    bid.price() >= request["imp"][0]["bidfloor"].as_f64().unwrap_or(0.0),
                    || format!("the price is {}", bid.price()),
                )?;
                ensure(!bid.markup().is_empty() || !bid.text("nurl").is_empty(), || {
                    "neither adm nor nurl".into()
                })
            },
        ),
        format(
            "transport.protobuf.banner",
            "a banner in protobuf is bid on as in JSON",
            Format::Banner,
        ),
        format(
            "transport.protobuf.app",
            "an app in protobuf is bid on as in JSON",
            Format::App,
        ),
        format(
            "transport.protobuf.video",
            "a video in protobuf is bid on as in JSON",
            Format::Video,
        ),
        format(
            "transport.protobuf.audio",
            "audio in protobuf is bid on as in JSON",
            Format::Audio,
        ),
        format(
            "transport.protobuf.native",
            "a native ad in protobuf is bid on as in JSON",
            Format::Native,
        ),
        format(
            "transport.protobuf.deal",
            "a deal in protobuf is bid on as in JSON",
            Format::Deal,
        ),
        case(
            "transport.protobuf.no-bid",
            "2.1, 2.3",
            "no bid on protobuf is a 204 without content, or a response without bids in protobuf",
            |stage| {
                let base = stage.any()?;
                still_bids(stage, base, |body| body)?;
                let mut request = stage.fresh(&base.request);
                request["imp"][0]["bidfloor"] = json!(900_000);
                let answer = ask(stage, body_of(&request)?)?;
                match answer.status() {
                    204 => ensure(answer.body.is_empty(), || "a 204 has no content".into()),
                    _ => ensure(answer.bids().is_empty(), || "a bid below the floor".into()),
                }
            },
        ),
    ]
}

fn refusals() -> Vec<Case> {
    let refused = |id, title, damage: fn(Vec<u8>) -> Vec<u8>| {
        case(id, "2.1, 2.3", title, move |stage: &Stage| {
            let base = stage.any()?;
            still_bids(stage, base, |body| body)?;
            let body = damage(body_of(&stage.fresh(&base.request))?);
            let answer = stage.send(&call(stage, body))?;
            ensure(answer.refuses(), || {
                format!("answered {}; right would be 400", answer.status())
            })?;
            ensure(answer.status() != 400 || answer.body.is_empty(), || {
                "a 400 has no content".into()
            })
        })
    };
    vec![
        refused(
            "transport.protobuf.truncated",
            "a message that is cut off is refused",
            |mut body| {
                body.truncate(body.len() - 1);
                body
            },
        ),
        refused(
            "transport.protobuf.length",
            "a length beyond the end of the message is refused",
            |body| [body, vec![0x5a, 0x7f, b'U']].concat(),
        ),
        refused(
            "transport.protobuf.varint",
            "a number without an end is refused",
            |body| [body, vec![0x38, 0xff, 0xff]].concat(),
        ),
        refused(
            "transport.protobuf.tag",
            "a wire type that there is not is refused",
            |body| [body, vec![0x3f, 0x00]].concat(),
        ),
        refused(
            "transport.protobuf.empty",
            "a message without id and imp is refused",
            |_| Vec::new(),
        ),
        refused(
            "transport.protobuf.json",
            "JSON that is sent as protobuf is refused",
            |_| br#"{"id":"1","imp":[{"id":"1","banner":{"w":300,"h":250}}]}"#.to_vec(),
        ),
        case(
            "transport.protobuf.floor.negative",
            "2.1, 3.2.4",
            "a negative floor in protobuf is refused or gets no bid",
            |stage| {
                let base = stage.any()?;
                still_bids(stage, base, |body| body)?;
                let mut request = stage.fresh(&base.request);
                request["imp"][0]["bidfloor"] = json!(-1.0);
                let answer = stage.send(&call(stage, body_of(&request)?))?;
                ensure(answer.refuses() || answer.bids().is_empty(), || {
                    "a bid on a floor that is none".into()
                })
            },
        ),
    ]
}

fn tolerated() -> Vec<Case> {
    let tolerated = |id, title, change: fn(Vec<u8>) -> Vec<u8>| {
        case(id, "2.3, 2.6", title, move |stage: &Stage| {
            still_bids(stage, stage.any()?, change).map(drop)
        })
    };
    vec![
        tolerated(
            "transport.protobuf.unknown",
            "unknown fields of every wire type are passed over",
            |body| {
                let unknown = [
                    vec![0xd0, 0x3e, 0x01],
                    [vec![0xd9, 0x3e], vec![0; 8]].concat(),
                    vec![0xe2, 0x3e, 0x01, 0xff],
                    vec![0xed, 0x3e, 0, 0, 0, 0],
                ];
                [unknown.concat(), body].concat()
            },
        ),
        tolerated(
            "transport.protobuf.extension",
            "an extension that nobody agreed on is passed over",
            // Extension 1999 of BidRequest.ext (99).
            |body| [body, vec![0x9a, 0x06, 0x03, 0xf8, 0x7c, 0x01]].concat(),
        ),
        tolerated(
            "transport.protobuf.last-wins",
            "of a number that stands twice the last one counts",
            // tmax: 0, then what the request says.
            |body| [vec![0x40, 0x00], body].concat(),
        ),
        tolerated(
            "transport.protobuf.merge",
            "a message that stands twice is merged",
            // An empty device behind the one that is there.
            |body| [body, vec![0x2a, 0x00]].concat(),
        ),
        tolerated(
            "transport.protobuf.unpacked",
            "numbers of a list may come one by one",
            // regs.gpp_sid: -1, no section is in force.
            |body| {
                let minus_one = [vec![0x18], vec![0xff; 9], vec![0x01]].concat();
                [body, vec![0x72, 11], minus_one].concat()
            },
        ),
        case(
            "transport.protobuf.native-message",
            "2.3, 3.2.9",
            "a native request may be a message as well as text",
            |stage| {
                let base = stage.base(Format::Native)?;
                let native = &base.request["imp"][0]["native"]["request"];
                let text = native.as_str().unwrap_or_default();
                let Ok(message) = serde_json::from_str::<Value>(text) else {
                    return not_tested("the native request that is bid on is no text");
                };
                let mut changed = base.clone();
                changed.request["imp"][0]["native"] = json!({"request_native": message, "ver": "1.2"});
                still_bids(stage, &changed, |body| body).map(drop)
            },
        ),
    ]
}

fn wrapped() -> Vec<Case> {
    vec![
        case(
            "transport.protobuf.gzip.request",
            "2.3, 2.4",
            "a request in protobuf may be gzip",
            |stage| {
                let wrap = |body: Vec<u8>| call(stage, zip(&body)).with("Content-Encoding", "gzip");
                still_bids_by(stage, stage.any()?, wrap).map(drop)
            },
        ),
        case(
            "transport.protobuf.gzip.answer",
            "2.3, 2.4",
            "an answer in protobuf is gzip where the request accepts it",
            |stage| {
                let wrap = |body: Vec<u8>| call(stage, body).with("Accept-Encoding", "gzip");
                let answer = still_bids_by(stage, stage.any()?, wrap)?;
                ensure(answer.reply.header("content-encoding") == Some("gzip"), || {
                    "Accept-Encoding: gzip was sent; the answer should have Content-Encoding: gzip".into()
                })
            },
        ),
        case(
            "transport.protobuf.keep-alive",
            "2.1, 2.3",
            "JSON and protobuf may take turns on one connection, each answered in its own format",
            |stage| {
                let base = stage.any()?;
                still_bids(stage, base, |body| body)?;
                let request = || stage.fresh(&base.request);
                let json = |request: Value| stage.call(request.to_string().into_bytes());
                let calls = [
                    call(stage, body_of(&request())?),
                    json(request()),
                    call(stage, body_of(&request())?),
                ];
                let replies = stage.client.sequence(&stage.settings.url.authority, &calls);
                let replies =
                    replies.or_else(|error| fails(format!("three requests on one connection: {error}")))?;
                for (call, reply) in calls.iter().zip(replies) {
                    let asked = header(call, "content-type");
                    let got = reply.header("content-type").unwrap_or(asked).to_ascii_lowercase();
                    ensure(reply.status == 204 || got.starts_with(asked), || {
                        format!("{asked} was answered with {} {got}", reply.status)
                    })?;
                }
                Ok(())
            },
        ),
    ]
}

fn header<'c>(call: &'c Call, name: &str) -> &'c str {
    let mut headers = call.headers.iter();
    headers
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map_or("", |(_, value)| value)
}

fn call(stage: &Stage, body: Vec<u8>) -> Call {
    stage
        .bare_call(body)
        .with("Content-Type", TYPE)
        .with("x-openrtb-version", "2.6")
}

fn body_of(request: &Value) -> Result<Vec<u8>, Flaw> {
    protobuf::encode(request).or_else(|error| {
        not_tested(format!(
            "the request that is bid on has no form in protobuf: {error}"
        ))
    })
}

/// A valid request in protobuf.
fn ask(stage: &Stage, body: Vec<u8>) -> Result<Answer, Flaw> {
    ask_by(stage, &call(stage, body))
}

fn ask_by(stage: &Stage, call: &Call) -> Result<Answer, Flaw> {
    let answer = stage.send(call)?;
    match (answer.status(), &answer.json) {
        (415, _) => not_tested("the bidder does not take protobuf: it answers 415"),
        (204, _) | (200, Some(_)) => Ok(answer),
        (200, None) => fails("200 without a BidResponse: a bid response is one, no bid is 204"),
        (status, _) => fails(format!(
            "{status} to a valid request: a bid is 200, no bid is 204"
        )),
    }
}

/// The request of a base is bid on in protobuf, its bytes changed in a way that does no harm.
fn still_bids(stage: &Stage, base: &Base, change: impl Fn(Vec<u8>) -> Vec<u8>) -> Result<Answer, Flaw> {
    still_bids_by(stage, base, |body| call(stage, change(body)))
}

fn still_bids_by(stage: &Stage, base: &Base, wrap: impl Fn(Vec<u8>) -> Call) -> Result<Answer, Flaw> {
    for _ in 0..TRIES {
        let answer = ask_by(stage, &wrap(body_of(&stage.fresh(&base.request))?))?;
        if !answer.bids().is_empty() {
            return Ok(answer);
        }
    }
    fails("no bid, although the same request in JSON is bid on")
}
