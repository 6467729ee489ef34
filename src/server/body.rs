//! The body of a request, read whole within its limits: bytes as sent, bytes after gzip, time.

use super::settings::Limits;
use crate::openrtb::WireFormat;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use http::StatusCode;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::io::{Read, Write};

/// Why a body was not taken; each is one HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    TooLarge,
    /// Of a content encoding or type that is not taken.
    Unsupported,
    /// A broken gzip stream, or the peer stopped in the middle.
    Broken,
}

impl BodyError {
    pub fn status(self) -> StatusCode {
        match self {
            BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            BodyError::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Plain,
    Gzip,
}

/// Missing = plain; `identity` and `gzip` are taken.
pub fn content_encoding(headers: &HeaderMap) -> Result<Encoding, BodyError> {
    match headers.get(CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None | Some(b"") => Ok(Encoding::Plain),
        Some(value) if value.eq_ignore_ascii_case(b"identity") => Ok(Encoding::Plain),
        Some(value) if value.eq_ignore_ascii_case(b"gzip") => Ok(Encoding::Gzip),
        Some(_) => Err(BodyError::Unsupported),
    }
}

/// Whether `Accept-Encoding` names gzip, with any weight but 0 (RFC 9110 section 12.5.3).
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let lists = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight
            .trim()
            .strip_prefix("q=")
            .and_then(|q| q.parse::<f32>().ok())
            == Some(0.0);
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

/// A body that fits one packet gains nothing.
const COMPRESSED_FROM: usize = 860;

/// The body in gzip, where it is large enough to gain. Fast rather than small: an answer waits for it.
pub fn compress(plain: &[u8]) -> Option<Vec<u8>> {
    if plain.len() < COMPRESSED_FROM {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len()), Compression::fast());
    encoder.write_all(plain).and_then(|()| encoder.finish()).ok()
}

/// A content type that is taken, and so the one of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaType {
    pub name: &'static str,
    pub format: WireFormat,
}

/// `application/x-protobuf` is the one of OpenRTB 2.6 section 2.3, `application/protobuf` the registered one, and
/// `application/octet-stream` the one that Authorized Buyers sends OpenRTB in protobuf with.
const MEDIA_TYPES: [MediaType; 5] = [
    MediaType::new("application/json", WireFormat::Json),
    MediaType::new("text/json", WireFormat::Json),
    MediaType::new("application/x-protobuf", WireFormat::Protobuf),
    MediaType::new("application/protobuf", WireFormat::Protobuf),
    MediaType::new("application/octet-stream", WireFormat::Protobuf),
];

impl MediaType {
    const fn new(name: &'static str, format: WireFormat) -> MediaType {
        MediaType { name, format }
    }

    /// Missing means JSON (OpenRTB 2.6 section 2.3); parameters such as `charset` do not matter.
    pub fn of(headers: &HeaderMap) -> Result<MediaType, BodyError> {
        let value = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let name = value.split(|&b| b == b';').next().unwrap_or_default();
        let name = name.trim_ascii();
        if name.is_empty() {
            return Ok(MEDIA_TYPES[0]);
        }
        let mut known = MEDIA_TYPES.into_iter();
        known
            .find(|media| name.eq_ignore_ascii_case(media.name.as_bytes()))
            .ok_or(BodyError::Unsupported)
    }
}

/// Reads the body as sent into one piece. A body in one frame, as most are, is not copied.
pub async fn read(headers: &HeaderMap, mut body: Incoming, bytes_max: usize) -> Result<Bytes, BodyError> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > bytes_max as u64) {
        return Err(BodyError::TooLarge);
    }
    let mut first = Bytes::new();
    let mut rest = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
            continue;
        };
        if first.len() + rest.len() + data.len() > bytes_max {
            return Err(BodyError::TooLarge);
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.extend_from_slice(&first);
            first = Bytes::new();
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.into() })
}

/// Replaces `into` with the decoded body.
pub fn decode(body: &[u8], encoding: Encoding, limits: &Limits, into: &mut Vec<u8>) -> Result<(), BodyError> {
    into.clear();
    match encoding {
        Encoding::Plain => into.extend_from_slice(body),
        Encoding::Gzip => {
            let limit = limits.decompressed_bytes as u64;
            MultiGzDecoder::new(body)
                .take(limit + 1)
                .read_to_end(into)
                .map_err(|_| BodyError::Broken)?;
            if into.len() as u64 > limit {
                return Err(BodyError::TooLarge);
            }
        }
    }
    Ok(())
}
