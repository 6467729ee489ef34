//! Section 2: HTTP, content types, compression, versions, connections.

use crate::certify::answer::Answer;
use crate::certify::case::{Case, Section, Verdict, ensure, fails, not_tested};
use crate::certify::client::Call;
use crate::certify::stage::Stage;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::Write;

/// More than any exchange sends in one request; less than what certify would not wait for.
const OVERSIZED_BYTES: usize = 24 << 20;
/// Compresses a thousandfold.
const BOMB_BYTES: usize = 64 << 20;

pub fn cases() -> Vec<Case> {
    [http(), types(), compression(), versions(), connections(), sizes()]
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

fn http() -> Vec<Case> {
    vec![
        case("transport.post", "2.1", "a bid is a 200 with content", |stage| {
            let base = stage.any()?;
            let answer = stage.still_bids(base, |_| ())?;
            ensure(answer.status() == 200 && !answer.body.is_empty(), || {
                "a bid comes with 200".into()
            })
        }),
        case(
            "transport.get",
            "2.1",
            "a bid request is a POST; a GET is refused",
            |stage| {
                stage.any()?;
                let answer = stage.send(&Call::get(&stage.settings.url.target))?;
                ensure((400..500).contains(&answer.status()), || {
                    format!("GET was answered {}; 405 is right", answer.status())
                })
            },
        ),
        case(
            "transport.no-bid",
            "2.1, 7.1",
            "no bid is a 204 without content, or a response without bids",
            |stage| {
                let base = stage.any()?;
                stage.fresh_bid(base)?;
                let mut request = stage.fresh(&base.request);
                request["imp"][0]["bidfloor"] = json!(900_000);
                let answer = stage.ask(&request)?;
                match answer.status() {
                    204 => ensure(answer.body.is_empty(), || "a 204 has no content".into()),
                    _ => ensure(answer.bids().is_empty(), || "a bid below the floor".into()),
                }
            },
        ),
        case(
            "transport.refusal",
            "2.1",
            "a malformed request is a 400 without content",
            |stage| {
                let base = stage.any()?;
                stage.fresh_bid(base)?;
                let answer = stage.send(&stage.call(b"{\"id\":".to_vec()))?;
                if answer.refuses() && answer.status() == 200 {
                    return not_tested("malformed requests get 200 with reason 2 instead of 400");
                }
                ensure(answer.status() == 400 && answer.body.is_empty(), || {
                    format!(
                        "{} with {} bytes; right would be 400 with none",
                        answer.status(),
                        answer.body.len()
                    )
                })
            },
        ),
        case(
            "transport.headers.unknown",
            "2.1",
            "unknown headers are no reason not to bid",
            |stage| {
                wrapped(stage, |stage, request| {
                    stage
                        .call(text(request))
                        .with("X-Certify", "1")
                        .with("X-Forwarded-For", "198.51.100.7, 192.0.2.1")
                })
            },
        ),
    ]
}

fn types() -> Vec<Case> {
    vec![
        case(
            "transport.type.absent",
            "2.3",
            "a request without Content-Type is JSON",
            |stage| wrapped(stage, |stage, request| stage.bare_call(text(request))),
        ),
        case(
            "transport.type.charset",
            "2.3",
            "a Content-Type may have parameters",
            |stage| {
                wrapped(stage, |stage, request| {
                    stage
                        .bare_call(text(request))
                        .with("Content-Type", "application/json; charset=utf-8")
                })
            },
        ),
        case(
            "transport.type.case",
            "2.3",
            "a Content-Type is read whatever its case",
            |stage| {
                wrapped(stage, |stage, request| {
                    stage
                        .bare_call(text(request))
                        .with("content-type", "Application/JSON;Charset=UTF-8")
                })
            },
        ),
        case(
            "transport.type.answer",
            "2.3",
            "the answer has the format of the request: JSON for JSON",
            |stage| {
                let answer = stage.still_bids(stage.any()?, |_| ())?;
                let kind = answer.reply.header("content-type").unwrap_or("application/json");
                ensure(kind.to_ascii_lowercase().starts_with("application/json"), || {
                    format!("Content-Type is `{kind}`; right would be application/json")
                })
            },
        ),
        case(
            "transport.type.unknown",
            "2.3",
            "an unknown Content-Type is refused or read as JSON, never guessed at",
            |stage| {
                stage.answers(stage.any()?, &[200, 204, 400, 415], |request| {
                    stage
                        .bare_call(text(request))
                        .with("Content-Type", "application/x-certify")
                })
            },
        ),
        case(
            "transport.type.protobuf-garbage",
            "2.3",
            "bytes that are no protobuf are refused",
            |stage| {
                stage.answers(stage.any()?, &[400, 415], |request| {
                    stage
                        .bare_call(text(request))
                        .with("Content-Type", "application/x-protobuf")
                })
            },
        ),
    ]
}

fn compression() -> Vec<Case> {
    vec![
        case(
            "transport.gzip.request",
            "2.4",
            "a gzip request is read",
            |stage| wrapped(stage, |stage, request| gzipped(stage, zip(&text(request)))),
        ),
        case(
            "transport.gzip.answer",
            "2.4",
            "an answer is gzip where the request accepts it, and says so",
            |stage| {
                let answer = accepting(stage, "gzip")?;
                ensure(encoding(&answer) == Some("gzip"), || {
                    "Accept-Encoding: gzip was sent; the answer should have Content-Encoding: gzip".into()
                })
            },
        ),
        case(
            "transport.gzip.answer-list",
            "2.4",
            "gzip is found in a list of accepted encodings",
            |stage| {
                some_gzip(stage)?;
                let answer = accepting(stage, "br, gzip;q=0.8, *;q=0.1")?;
                ensure(matches!(encoding(&answer), Some("gzip" | "br")), || {
                    "gzip was acceptable and not used".into()
                })
            },
        ),
        case(
            "transport.gzip.unasked",
            "2.4",
            "an answer is not compressed where nobody accepts it",
            |stage| {
                some_gzip(stage)?;
                let answer = stage.still_bids(stage.any()?, |_| ())?;
                ensure(encoding(&answer).is_none(), || {
                    "no Accept-Encoding was sent; right is none".into()
                })
            },
        ),
        case(
            "transport.gzip.refused",
            "2.4",
            "`gzip;q=0` is a no to gzip",
            |stage| {
                some_gzip(stage)?;
                let answer = accepting(stage, "gzip;q=0, identity")?;
                ensure(encoding(&answer) != Some("gzip"), || {
                    "gzip was refused with q=0 and came".into()
                })
            },
        ),
        case(
            "transport.gzip.both",
            "2.4",
            "a gzip request may ask for a gzip answer",
            |stage| {
                wrapped(stage, |stage, request| {
                    gzipped(stage, zip(&text(request))).with("Accept-Encoding", "gzip")
                })
            },
        ),
        case(
            "transport.gzip.truncated",
            "2.4",
            "a gzip body without its end is refused",
            |stage| {
                stage.answers(stage.any()?, &[400], |request| {
                    let mut body = zip(&text(request));
                    body.truncate(body.len() - 20);
                    gzipped(stage, body)
                })
            },
        ),
        case(
            "transport.gzip.garbage",
            "2.4",
            "a body that is not the gzip it says is refused",
            |stage| stage.answers(stage.any()?, &[400], |request| gzipped(stage, text(request))),
        ),
        case(
            "transport.gzip.bomb",
            "2.4",
            "a decompressed body has an upper limit",
            |stage| {
                stage.answers(stage.any()?, &[400, 413], |request| {
                    let mut body = text(request);
                    body.resize(BOMB_BYTES, b' ');
                    gzipped(stage, zip(&body))
                })
            },
        ),
        case(
            "transport.encoding.unknown",
            "2.4",
            "an encoding that was not agreed is refused",
            |stage| {
                stage.answers(stage.any()?, &[400, 415], |request| {
                    stage.call(text(request)).with("Content-Encoding", "x-certify")
                })
            },
        ),
    ]
}

fn versions() -> Vec<Case> {
    let version = |stage: &Stage, version: &'static str| {
        wrapped(stage, |stage, request| {
            stage
                .bare_call(text(request))
                .with("Content-Type", "application/json")
                .with("x-openrtb-version", version)
        })
    };
    vec![
        case(
            "transport.version.absent",
            "2.5",
            "a request without x-openrtb-version is no error",
            |stage| {
                wrapped(stage, |stage, request| {
                    stage
                        .bare_call(text(request))
                        .with("Content-Type", "application/json")
                })
            },
        ),
        case(
            "transport.version.2-5",
            "2.5",
            "version 2.5 is answered",
            move |stage| version(stage, "2.5"),
        ),
        case(
            "transport.version.2-6",
            "2.5",
            "version 2.6 is answered",
            move |stage| version(stage, "2.6"),
        ),
        case(
            "transport.version.next",
            "2.5, 2.6",
            "a version to come is answered, or is no bid",
            |stage| {
                stage.answers(stage.any()?, &[200, 204], |request| {
                    stage.bare_call(text(request)).with("x-openrtb-version", "2.9")
                })
            },
        ),
        case(
            "transport.version.garbage",
            "2.5",
            "a version that is none does no harm",
            |stage| {
                stage.answers(stage.any()?, &[200, 204, 400], |request| {
                    stage
                        .bare_call(text(request))
                        .with("x-openrtb-version", "two point six")
                })
            },
        ),
        case(
            "transport.version.answered",
            "2.5",
            "a version in the answer is <major>.<minor>",
            |stage| {
                let answer = stage.still_bids(stage.any()?, |_| ())?;
                let Some(version) = answer.reply.header("x-openrtb-version") else {
                    return not_tested("the answer names no version; that is recommended and optional");
                };
                let numbers = version
                    .split_once('.')
                    .map(|(a, b)| [a, b].map(|n| n.parse::<u8>().is_ok()));
                ensure(numbers == Some([true, true]), || {
                    format!("`{version}` is not like 2.6")
                })
            },
        ),
    ]
}

fn connections() -> Vec<Case> {
    vec![
        case(
            "transport.keep-alive",
            "2.1",
            "a connection is kept for the next request",
            |stage| {
                let calls = three_calls(stage)?;
                match stage.client.sequence(&stage.settings.url.authority, &calls) {
                    Ok(_) => Ok(()),
                    Err(error) => fails(format!("three requests on one connection: {error}")),
                }
            },
        ),
        case(
            "transport.keep-alive.no-bid",
            "2.1",
            "a connection outlives a no-bid",
            |stage| {
                let mut calls = three_calls(stage)?;
                let mut request: Value = serde_json::from_slice(&calls[1].body).unwrap_or_default();
                request["imp"][0]["bidfloor"] = json!(900_000);
                calls[1] = stage.call(text(&request));
                match stage.client.sequence(&stage.settings.url.authority, &calls) {
                    Ok(_) => Ok(()),
                    Err(error) => fails(format!("bid, no bid, bid on one connection: {error}")),
                }
            },
        ),
        case(
            "transport.pipelining",
            "2.1",
            "requests sent at once are answered in their order",
            |stage| {
                let calls = three_calls(stage)?;
                let replies = stage.client.pipeline(&stage.settings.url.authority, &calls);
                let replies = replies.or_else(|error| fails(format!("three requests at once: {error}")))?;
                for (call, reply) in calls.iter().zip(replies) {
                    let answer = Answer::read(reply);
                    let asked: Value = serde_json::from_slice(&call.body).unwrap_or_default();
                    let answered = answer.json.as_ref().map_or(&asked["id"], |json| &json["id"]);
                    ensure(*answered == asked["id"], || {
                        format!("{} was answered with {answered}", asked["id"])
                    })?;
                }
                Ok(())
            },
        ),
        case("transport.chunked", "2.1", "a body may come in chunks", |stage| {
            wrapped(stage, |stage, request| Call {
                chunk: Some(100),
                ..stage.call(text(request))
            })
        }),
        case(
            "transport.expect",
            "2.1",
            "a client that expects 100-continue gets its answer",
            |stage| {
                wrapped(stage, |stage, request| {
                    stage.call(text(request)).with("Expect", "100-continue")
                })
            },
        ),
        case(
            "transport.close",
            "2.1",
            "a client may ask to close the connection",
            |stage| {
                wrapped(stage, |stage, request| {
                    stage.call(text(request)).with("Connection", "close")
                })
            },
        ),
    ]
}

fn sizes() -> Vec<Case> {
    vec![
        case(
            "transport.size.empty",
            "2.1",
            "an empty body is refused",
            |stage| stage.answers(stage.any()?, &[400], |_| stage.call(Vec::new())),
        ),
        case(
            "transport.size.large",
            "2.1",
            "a body of 100 KB is answered",
            |stage| {
                stage
                    .still_bids(stage.any()?, |request| {
                        request["ext"] = json!({"certify": "x".repeat(100_000)});
                    })
                    .map(drop)
            },
        ),
        case(
            "transport.size.oversized",
            "2.1",
            "a body of 24 MB is refused or cut off, and bids go on",
            |stage| {
                let base = stage.any()?;
                let mut body = text(&stage.fresh(&base.request));
                body.resize(OVERSIZED_BYTES, b' ');
                // A server may hang up in the middle of what it does not want.
                if let Ok(answer) = stage.try_send(&stage.call(body)) {
                    ensure(answer.status() < 500, || {
                        format!("{}; right would be 413", answer.status())
                    })?;
                }
                stage.fresh_bid(base).map(drop)
            },
        ),
    ]
}

/// Bid on whatever it is wrapped in.
fn wrapped(stage: &Stage, wrap: impl Fn(&Stage, &Value) -> Call) -> Verdict {
    stage
        .still_bids_by(stage.any()?, |_| (), |request| wrap(stage, request))
        .map(drop)
}

fn accepting(stage: &Stage, accepted: &str) -> Result<Answer, crate::certify::Flaw> {
    let wrap = |request: &Value| stage.call(text(request)).with("Accept-Encoding", accepted);
    stage.still_bids_by(stage.any()?, |_| (), wrap)
}

/// Where no answer is gzip, none shows that gzip is left out when it should be.
fn some_gzip(stage: &Stage) -> Verdict {
    match encoding(&accepting(stage, "gzip")?) {
        Some("gzip") => Ok(()),
        _ => not_tested("no answer is gzip"),
    }
}

fn three_calls(stage: &Stage) -> Result<Vec<Call>, crate::certify::Flaw> {
    let base = stage.any()?;
    Ok((0..3)
        .map(|_| stage.call(text(&stage.fresh(&base.request))))
        .collect())
}

fn encoding(answer: &Answer) -> Option<&str> {
    answer
        .reply
        .header("content-encoding")
        .filter(|coding| *coding != "identity")
}

fn gzipped(stage: &Stage, body: Vec<u8>) -> Call {
    stage.call(body).with("Content-Encoding", "gzip")
}

pub(super) fn zip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(body)
        .and_then(|()| encoder.finish())
        .expect("writing to memory cannot fail")
}

fn text(request: &Value) -> Vec<u8> {
    request.to_string().into_bytes()
}
