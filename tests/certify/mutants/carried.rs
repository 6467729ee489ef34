//! Rules of HTTP, and of bodies that are no bid request.

use super::{Mutant, mutant};
use crate::proxy::Twist::Http;
use crate::proxy::{Behind, is_bid_request};
use crate::server::{Reply, Request};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// What is bid on whatever was asked for.
pub const BANNER: &[u8] = br#"{"id":"another","at":1,"imp":[{"id":"1","banner":{"w":300,"h":250}}],"site":{"domain":"news.example"}}"#;

pub fn mutants() -> Vec<Mutant> {
    [statuses(), headers(), compression()]
        .into_iter()
        .flatten()
        .collect()
}

fn statuses() -> Vec<Mutant> {
    vec![
        mutant(
            "400 for what is malformed",
            Http(|behind, request| instead(behind, request, 400, 204)),
            &[
                "body.truncated",
                "body.two-documents",
                "body.trailing-comma",
                "body.utf8",
                "body.imp.empty",
                "transport.size.empty",
                "transport.refusal",
            ],
        ),
        mutant(
            "no server error for what is malformed",
            Http(|behind, request| instead(behind, request, 400, 500)),
            &["body.null", "body.deep-open", "native.request.missing"],
        ),
        mutant(
            "204 for no bid",
            Http(|behind, request| instead(behind, request, 204, 200)),
            &["transport.no-bid"],
        ),
        mutant(
            "no server error for no bid",
            Http(|behind, request| instead(behind, request, 204, 503)),
            &["imp.floor.double", "blocks.wseat.other"],
        ),
        mutant(
            "no content with a refusal",
            Http(|behind, request| {
                let mut reply = behind.pass(&request);
                if reply.status == 400 {
                    reply.body = b"what was that?".to_vec();
                }
                reply
            }),
            &["transport.refusal"],
        ),
        mutant(
            "POST alone",
            Http(|behind, mut request| {
                if is_bid_request(&request) && request.method == "GET" {
                    request.method = "POST".into();
                }
                let reply = behind.pass(&request);
                if reply.status == 400 {
                    Reply::status(200)
                } else {
                    reply
                }
            }),
            &["transport.get"],
        ),
        mutant(
            "415 for an encoding that nobody agreed on",
            Http(|behind, mut request| {
                request.headers.retain(|(name, value)| {
                    !(name.eq_ignore_ascii_case("content-encoding") && value != "gzip")
                });
                behind.pass(&request)
            }),
            &["transport.encoding.unknown"],
        ),
    ]
}

fn headers() -> Vec<Mutant> {
    vec![
        mutant(
            "JSON where Content-Type is missing",
            Http(|behind, request| {
                let typed = request.header("content-type").is_some() || !is_bid_request(&request);
                if typed {
                    behind.pass(&request)
                } else {
                    Reply::status(415)
                }
            }),
            &["transport.type.absent"],
        ),
        mutant(
            "protobuf read as what it is, and answered in it",
            Http(|behind, mut request| {
                let kind = request.header("content-type").unwrap_or_default();
                if kind.contains("protobuf") {
                    request
                        .headers
                        .retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
                    request.body = BANNER.to_vec();
                }
                behind.pass(&request)
            }),
            &[
                "transport.protobuf.answer",
                "transport.protobuf.content",
                "transport.protobuf.no-bid",
                "transport.protobuf.truncated",
                "transport.protobuf.length",
                "transport.protobuf.varint",
                "transport.protobuf.tag",
                "transport.protobuf.empty",
                "transport.protobuf.json",
                "transport.protobuf.floor.negative",
            ],
        ),
        mutant(
            "Content-Type in any case",
            Http(|behind, request| {
                let kind = request.header("content-type").unwrap_or_default();
                if kind == kind.to_lowercase() {
                    behind.pass(&request)
                } else {
                    Reply::status(415)
                }
            }),
            &["transport.type.case"],
        ),
        mutant(
            "the Content-Type of the answer",
            Http(|behind, request| {
                let mut reply = behind.pass(&request);
                replace(&mut reply, "content-type", "text/plain");
                reply
            }),
            &["transport.type.answer"],
        ),
        mutant(
            "a version in the answer that is one",
            Http(|behind, request| {
                let mut reply = behind.pass(&request);
                replace(&mut reply, "x-openrtb-version", "latest");
                reply
            }),
            &["transport.version.answered"],
        ),
        mutant(
            "requests without x-openrtb-version",
            Http(|behind, request| {
                if request.header("x-openrtb-version").is_none() && is_bid_request(&request) {
                    return Reply::status(400);
                }
                behind.pass(&request)
            }),
            &["transport.version.absent"],
        ),
        mutant(
            "version 2.5",
            Http(|behind, request| match request.header("x-openrtb-version") {
                Some("2.5") => Reply::status(400),
                _ => behind.pass(&request),
            }),
            &["transport.version.2-5"],
        ),
        mutant(
            "connections that are kept",
            Http(|behind, request| {
                let mut reply = behind.pass(&request);
                reply.headers.push(("Connection".into(), "close".into()));
                reply
            }),
            &[
                "transport.keep-alive",
                "transport.keep-alive.no-bid",
                "transport.pipelining",
            ],
        ),
        mutant(
            "headers that nobody knows",
            Http(|behind, request| match request.header("x-certify") {
                Some(_) => Reply::status(400),
                None => behind.pass(&request),
            }),
            &["transport.headers.unknown"],
        ),
    ]
}

fn compression() -> Vec<Mutant> {
    vec![
        mutant(
            "gzip requests",
            Http(|behind, request| match request.header("content-encoding") {
                Some("gzip") => Reply::status(415),
                _ => behind.pass(&request),
            }),
            &["transport.gzip.request", "transport.gzip.both"],
        ),
        mutant(
            "gzip answers where they are accepted",
            Http(|behind, mut request| {
                let accepts = |name: &str| name.eq_ignore_ascii_case("accept-encoding");
                request.headers.retain(|(name, _)| !accepts(name));
                behind.pass(&request)
            }),
            &["transport.gzip.answer"],
        ),
        mutant(
            "plain answers where gzip is not accepted",
            Http(|behind, request| {
                let reply = behind.pass(&request);
                if reply.status != 200 || has(&reply, "content-encoding") {
                    return reply;
                }
                zipped(reply)
            }),
            &["transport.gzip.unasked", "transport.gzip.refused"],
        ),
        mutant(
            "400 for gzip that is cut off",
            Http(|behind, request| {
                let gzip = request.header("content-encoding") == Some("gzip");
                let reply = behind.pass(&request);
                if gzip && reply.status == 400 {
                    Reply::status(204)
                } else {
                    reply
                }
            }),
            &["transport.gzip.truncated", "transport.gzip.garbage"],
        ),
    ]
}

/// Bid requests are answered with one status in place of another, without a body.
fn instead(behind: &Behind, request: Request, status: u16, other: u16) -> Reply {
    let bids = is_bid_request(&request);
    let reply = behind.pass(&request);
    if bids && reply.status == status {
        Reply::status(other)
    } else {
        reply
    }
}

fn has(reply: &Reply, name: &str) -> bool {
    reply
        .headers
        .iter()
        .any(|(known, _)| known.eq_ignore_ascii_case(name))
}

fn replace(reply: &mut Reply, name: &str, value: &str) {
    for (known, old) in &mut reply.headers {
        if known.eq_ignore_ascii_case(name) {
            *old = value.to_owned();
        }
    }
}

fn zipped(mut reply: Reply) -> Reply {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&reply.body).unwrap();
    reply.body = encoder.finish().unwrap();
    reply.headers.push(("Content-Encoding".into(), "gzip".into()));
    reply
}
