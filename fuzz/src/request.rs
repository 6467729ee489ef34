//! Bid requests and the native requests inside them, beside what serde_json takes the same bytes for.

use super::allocations::at_most;
use outbid::openrtb::privacy::{Consent, PrivacyPolicy};
use outbid::openrtb::request::Request;
use outbid::openrtb::{IMPS_MAX, Malformed, RequestBuffers};
use serde_json::{Value, json};

/// A byte is at most half a value (`1,`), for which the tape has a node, each pool an entry and each grows by doubling.
const BYTES_A_BYTE: usize = 256;
/// Empty buffers of simd-json and the room for padding.
const BYTES_AT_LEAST: usize = 64 << 10;
/// Deeper than this serde_json gives up, and has no opinion.
const JUDGED_DEPTH_MAX: usize = 100;

const POLICY: PrivacyPolicy = PrivacyPolicy {
    gvl_id: Some(755),
    honour_dnt: true,
};

/// The body of a bid request.
///
/// It is JSON exactly where serde_json says so, and then has the id and the imps that serde_json finds. Memory is bounded by
/// its length, and buffers that have seen another body, or this one, read it the same.
pub fn json_body(data: &[u8]) {
    let mut buffers = RequestBuffers::default();
    let mut body = data.to_vec();
    let bound = BYTES_AT_LEAST + BYTES_A_BYTE * data.len();
    let first = at_most(bound, || buffers.parse(&mut body));
    let (shown, judged) = (show(&first), depth(data) <= JUDGED_DEPTH_MAX);
    match first {
        Ok(request) => {
            if judged {
                agree(&request, data);
            }
            let consent = at_most(0, || Consent::decide(&request, &POLICY));
            assert_eq!(consent, Consent::decide(&request, &POLICY));
            buffers.recycle(request);
        }
        Err(Malformed::NotJson) if judged => {
            let also =
                std::str::from_utf8(data).map(|text| serde_json::from_str::<Value>(without_mark(text)));
            assert!(!matches!(also, Ok(Ok(_))), "serde_json reads it");
        }
        Err(_) => {}
    }
    // Writing all of a request down takes longer than parsing it.
    if data.len().is_multiple_of(8) {
        let mut again = data.to_vec();
        assert_eq!(show(&buffers.parse(&mut again)), shown);
    }
}

/// The body of a bid request as a message of `openrtb.proto`: memory is bounded by its length, and used buffers read it the same.
pub fn protobuf_body(data: &[u8]) {
    let mut buffers = RequestBuffers::default();
    let mut body = data.to_vec();
    let bound = BYTES_AT_LEAST + BYTES_A_BYTE * data.len();
    let first = at_most(bound, || buffers.parse_protobuf(&mut body));
    let shown = show(&first);
    if let Ok(request) = first {
        assert!(!request.id.is_empty() && (1..=IMPS_MAX).contains(&request.imps.len()));
        let consent = at_most(0, || Consent::decide(&request, &POLICY));
        assert_eq!(consent, Consent::decide(&request, &POLICY));
        buffers.recycle(request);
    }
    let mut again = data.to_vec();
    assert_eq!(show(&buffers.parse_protobuf(&mut again)), shown);
}

/// The text of `imp.native.request`: as a string and, where it is an object, as an object it means the same.
pub fn native_request(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let within =
        |request: &str| format!(r#"{{"id":"r","imp":[{{"id":"1","native":{{"request":{request}}}}}]}}"#);
    let mut buffers = RequestBuffers::default();
    let mut as_text = within(&json!(text).to_string()).into_bytes();
    let bound = BYTES_AT_LEAST + BYTES_A_BYTE * as_text.len();
    let from_text = at_most(bound, || {
        buffers.parse(&mut as_text).map(|request| native(&request))
    });
    if !text.trim_start().starts_with('{') || depth(data) > JUDGED_DEPTH_MAX {
        return;
    }
    // Not JSON: as a string that is an imp without native, as an object it breaks the whole.
    if serde_json::from_str::<Value>(text).is_err() {
        return;
    }
    let mut as_object = within(text).into_bytes();
    let from_object = buffers.parse(&mut as_object).map(|request| native(&request));
    assert_eq!(from_text, from_object, "as text, as object");
}

fn native(request: &Request<'_>) -> String {
    format!("{:?} {:?}", request.imps[0].native, request.native_assets)
}

fn show(parsed: &Result<Request<'_>, Malformed>) -> String {
    format!("{parsed:?}")
}

/// What a request was read as is what another reader of JSON finds.
fn agree(request: &Request<'_>, data: &[u8]) {
    let text = std::str::from_utf8(data).expect("a request is UTF-8");
    let other: Value = serde_json::from_str(without_mark(text)).expect("a request is JSON");
    assert_eq!(other["id"], request.id);
    let imps = other["imp"].as_array().expect("a request has a list of imps");
    assert_eq!(request.imps.len(), imps.len().min(IMPS_MAX));
    for (imp, other) in request.imps.iter().zip(imps) {
        assert_eq!(other["id"], imp.id);
        if let Some(floor) = other["bidfloor"].as_f64() {
            assert!(floor >= 0.0 && (imp.floor.as_units() - floor).abs() < 1e-5 + floor * 1e-9);
        }
    }
}

/// A byte order mark before the document is passed over.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// An upper bound of the nesting: brackets in strings count too.
fn depth(data: &[u8]) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for byte in data {
        match byte {
            b'{' | b'[' => now += 1,
            b'}' | b']' => now = now.saturating_sub(1),
            _ => {}
        }
        most = most.max(now);
    }
    most
}
