//! Requests in protobuf: whatever is said in it means what the same words in JSON mean, and bytes that say nothing are
//! refused. The judge is an independent reader, made by prost from messages of its own, and the JSON parser.

#[path = "protobuf/wire.rs"]
mod wire;

use outbid::certify::protobuf::{self, BidRequest, Native};
use outbid::openrtb::request::Request;
use outbid::openrtb::{Malformed, RequestBuffers};
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};

/// What the parser makes of a body, field by field.
fn parse(body: &[u8]) -> Result<String, Malformed> {
    let mut body = body.to_vec();
    let mut buffers = RequestBuffers::default();
    let request = buffers.parse_protobuf(&mut body)?;
    Ok(describe(&request))
}

/// Field by field, with nothing said of where in its pool an empty list would begin.
fn describe(request: &Request) -> String {
    let text = format!("{request:?}");
    let mut parts = text.split("Span { start: ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (start, rest) = part.split_once(", end: ").expect("a span ends");
        let (end, rest) = rest.split_once(" }").expect("a span ends");
        let list = if start == end {
            String::new()
        } else {
            format!("{start}..{end}")
        };
        out += &format!("[{list}]{rest}");
    }
    out
}

/// What the JSON parser makes of a message that prost has read. Its fields stand in the order of their numbers, in which
/// the protobuf parser reads them, so that lists come to stand in the pools alike.
fn parse_as_json(request: &BidRequest) -> Result<String, Malformed> {
    let mut request = request.clone();
    for imp in &mut request.imp {
        if let Some(native) = &mut imp.native {
            native_as_text(native);
        }
    }
    let mut body = serde_json::to_vec(&request).expect("a message is written");
    let mut buffers = RequestBuffers::default();
    let request = buffers.parse(&mut body)?;
    Ok(describe(&request))
}

/// JSON has one place for the native request.
fn native_as_text(native: &mut Native) {
    if let Some(message) = native.request_native.take() {
        native.request = Some(serde_json::to_string(&message).expect("a message is written"));
    }
}

/// JSON has no word for a number that is none.
fn is_finite(request: &BidRequest) -> bool {
    let text = format!("{request:?}");
    !text.contains("NaN") && !text.contains("inf")
}

/// What prost checks and the bidder has no use for, as prost names it.
const UNREAD: &[&str] = &[
    "Source.fd:",
    "Source.pchain:",
    "SupplyChain.ver:",
    "SupplyChainNode.rid:",
    "SupplyChainNode.name:",
    "SupplyChainNode.domain:",
    "Native.ver:",
    "NativeRequest.ver:",
    "NativeImage.mimes:",
    "Publisher.name:",
    "Video.maxextended:",
    "Video.skipmin:",
    "Video.skipafter:",
    "Audio.maxextended:",
    "Qty.sourcetype:",
    "Qty.vendor:",
    "Dooh.venuetypetax:",
];

/// Both readers refuse the body, or both say the same of it. Which it is.
fn agree(body: &[u8]) -> Result<bool, String> {
    let found = parse(body);
    match BidRequest::decode(body) {
        Err(error) => match found {
            Err(Malformed::NotProtobuf(..) | Malformed::WrongWireType(_)) => Ok(false),
            _ if UNREAD.iter().any(|field| error.to_string().contains(field)) => Ok(found.is_ok()),
            other => Err(format!("prost: {error}\nours: {other:?}")),
        },
        Ok(message) if is_finite(&message) => {
            // Where both refuse, one may miss what the other finds empty.
            match (parse_as_json(&message), &found) {
                (Err(_), Err(Malformed::NotProtobuf(..) | Malformed::WrongWireType(_))) => {
                    Err(format!("prost reads what ours does not: {found:?}"))
                }
                (Err(_), Err(_)) => Ok(false),
                (Ok(expected), Ok(found)) if expected == *found => Ok(true),
                (expected, _) => Err(format!("as JSON: {expected:?}\nours: {found:?}")),
            }
        }
        Ok(_) => Ok(found.is_ok()),
    }
}

#[track_caller]
fn check_agreement(request: &Value) {
    let body = protobuf::encode(request).unwrap_or_else(|error| panic!("{error}: {request}"));
    assert_eq!(agree(&body), Ok(true), "{request}");
}

/// Every field that the bidder reads.
fn everything() -> Value {
    let geo = json!({"lat": 45.5, "lon": -122.6, "country": "USA", "region": "OR", "city": "Portland", "zip": "97201",
        "utcoffset": -480});
    let banner = json!({"w": 300, "h": 250, "id": "b", "pos": 1, "btype": [1, 4], "battr": [1, 3, 300], "mimes": ["image/png"],
        "expdir": [2], "api": [3, 5], "vcm": 1,
        "format": [{"w": 300, "h": 250}, {"wratio": 16, "hratio": 9, "wmin": 300}]});
    let floors = json!([{"mindur": 1, "maxdur": 15, "bidfloor": 5.25}, {"mindur": 16, "bidfloor": 9.5}]);
    let video = json!({"mimes": ["video/mp4", "video/webm"], "linearity": 1, "minduration": 5, "maxduration": 30, "protocol": 2,
        "w": 1280, "h": 720, "startdelay": -1, "battr": [6], "maxextended": -1, "minbitrate": 300, "maxbitrate": 5000,
        "boxingallowed": 0, "playbackmethod": [3, 1], "delivery": [2], "pos": 7, "companionad": [banner], "api": [7],
        "companiontype": [1, 2], "protocols": [2, 3, 7], "skip": 1, "skipmin": 10, "skipafter": 5, "placement": 1, "maxseq": 3,
        "poddur": 90, "podid": "pod", "podseq": 1, "slotinpod": -1, "mincpmpersec": 0.25, "plcmt": 1, "durfloors": floors,
        "poddedupe": [1, 3]});
    let audio = json!({"mimes": ["audio/mp4"], "minduration": 5, "maxduration": 60, "protocols": [2, 9], "startdelay": 0,
        "battr": [1], "maxextended": 10, "minbitrate": 32, "maxbitrate": 320, "delivery": [1], "companionad": [banner],
        "api": [7], "companiontype": [1], "maxseq": 2, "feed": 3, "stitched": 1, "nvol": 2, "poddur": 60,
        "rqddurs": [15, 30], "podid": "p", "podseq": -1, "slotinpod": 1, "mincpmpersec": 0.5, "durfloors": floors});
    let native = json!({"ver": "1.2", "privacy": 1, "eventtrackers": [{"event": 1, "methods": [1, 2]}], "assets": [
        {"id": 1, "required": 1, "title": {"len": 90}}, {"id": 2, "required": 1, "img": {"type": 3, "wmin": 600, "hmin": 315}},
        {"id": 3, "data": {"type": 2, "len": 140}}, {"id": 4, "img": {"type": 1, "w": 50, "h": 50}},
        {"id": 5, "video": {"mimes": ["video/mp4"]}}]});
    let eids = json!([{"source": "id.example", "uids": [{"id": "u1", "atype": 1}, {"id": "u2"}]}]);
    let schain = json!({"complete": 1, "ver": "1.0", "nodes": [{"asi": "x.example", "sid": "1", "rid": "r", "hp": 1},
        {"asi": "y.example", "sid": "2", "hp": 0}]});
    let content = json!({"cat": ["IAB1-6"], "cattax": 1, "keywords": "roses", "kwarray": ["spring"], "language": "en",
        "langb": "en-US"});
    let imps = json!([
        {"id": "1", "banner": banner, "bidfloor": 0.35, "bidfloorcur": "EUR", "tagid": "slot", "secure": 1, "instl": 1,
         "rwdd": 1, "ssai": 2, "exp": 60, "dt": 1.5, "qty": {"multiplier": 2.5, "sourcetype": 1, "vendor": "v.example"},
         "pmp": {"private_auction": 1, "deals": [{"id": "d", "bidfloor": 6.5, "bidfloorcur": "EUR", "at": 3, "guar": 1,
            "wseat": ["seat"], "wadomain": ["a.example"], "mincpmpersec": 0.1, "durfloors": floors}]}},
        {"id": "2", "video": video}, {"id": "3", "audio": audio},
        {"id": "4", "native": {"request": native.to_string(), "ver": "1.2", "battr": [2], "api": [7]}},
        {"id": "5", "native": {"request_native": native}},
    ]);
    let site = json!({"id": "s", "name": "Gardens", "domain": "garden.example", "page": "https://garden.example/", "cat": ["IAB10"],
            "sectioncat": ["IAB10-4"], "pagecat": ["IAB10-5"], "cattax": 1, "keywords": "a,b", "kwarray": ["c"],
            "inventorypartnerdomain": "partner.example", "content": content,
            "publisher": {"id": "p", "name": "Media", "domain": "media.example"}});
    let device = json!({"ua": "Mozilla/5.0 (Windows NT 10.0) Firefox/125.0", "ip": "203.0.113.7", "ipv6": "2001:db8::1", "geo": geo,
            "devicetype": 2, "make": "m", "model": "o", "os": "Windows", "osv": "10", "language": "en", "langb": "en-US",
            "carrier": "c", "connectiontype": 2, "ifa": "9d1f1e5c-0000-4000-8000-000000000001", "lmt": 1, "dnt": 1,
            "sua": {"browsers": [{"brand": "Chromium", "version": ["124", "0"]}], "mobile": 1, "model": "Pixel",
                "platform": {"brand": "Android", "version": ["14", "0", "1"]}}});
    let user = json!({"id": "u", "buyeruid": "b", "keywords": "k,l", "kwarray": ["m"], "consent": "CPXxRfAPXxRfAAfKABENB", "geo": geo,
            "data": [{"id": "topics", "name": "Topics", "segment": [{"id": "47", "value": "0.25"}, {"name": "n"}]}],
            "eids": eids, "ext": {"consent": "old", "eids": eids}});
    let regs = json!({"coppa": 1, "gpp": "DBACMYA", "gpp_sid": [2, 7], "gdpr": 1, "us_privacy": "1YNN",
            "ext": {"gdpr": 0, "us_privacy": "1YYN", "gpc": "1", "dsa": {"dsarequired": 2, "pubrender": 0, "datatopub": 1}}});
    json!({
        "id": "everything", "at": 1, "tmax": 120, "wseat": ["seat"], "bseat": ["other"], "allimps": 1, "cur": ["USD", "EUR"],
        "wlang": ["en"], "wlangb": ["en-US"], "acat": ["IAB1"], "bcat": ["IAB25", "IAB26"], "cattax": 7,
        "badv": ["casino.example"], "bapp": ["com.example.app"], "test": 1,
        "imp": imps,
        "site": site,
        "device": device,
        "user": user,
        "regs": regs,
        "source": {"fd": 1, "tid": "t", "pchain": "p", "schain": schain, "ext": {"schain": schain}},
    })
}

#[test]
fn every_field_means_what_it_means_in_json() {
    let mut request = everything();
    check_agreement(&request);
    let site = request["site"].take();
    for channel in ["app", "dooh"] {
        let mut other = request.clone();
        other.as_object_mut().unwrap().remove("site");
        other[channel] = site.clone();
        other[channel]["bundle"] = json!("com.example.app");
        other[channel]["venuetype"] = json!(["airport"]);
        check_agreement(&other);
    }
    // The typed messages keep all that stands in it.
    let message: BidRequest = serde_json::from_value(everything()).unwrap();
    assert_eq!(
        without_nulls(&serde_json::to_value(message).unwrap()),
        everything()
    );
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !value.is_null() && **value != json!([]))
            .map(|(key, value)| (key.clone(), without_nulls(value)))
            .collect(),
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

#[test]
fn a_native_request_is_the_same_as_text_and_as_a_message() {
    let native = |field: &str, request: Value| {
        let body = json!({"id": "r", "imp": [{"id": "1", "native": {field: request}}]});
        parse(&protobuf::encode(&body).unwrap())
    };
    let request = json!({"assets": [{"id": 1, "title": {"len": 25}}], "privacy": 1});
    let (text, message) = (
        native("request", json!(request.to_string())),
        native("request_native", request),
    );
    assert!(text.as_ref().unwrap().contains("Title { len: 25 }"));
    assert_eq!(text, message);
    // Nothing to fill, or nothing at all.
    assert_eq!(
        native("request", json!("{}")),
        native("request_native", json!({}))
    );
    assert!(matches!(
        native("ver", json!("1.2")),
        Err(Malformed::Missing("imp.native.request", _))
    ));
}

#[test]
fn money_and_time_out_of_range_are_refused() {
    for (path, value) in [
        ("/imp/0/bidfloor", json!(-0.01)),
        ("/imp/0/bidfloor", json!(1_000_001)),
        ("/imp/0/qty/multiplier", json!(-1)),
        ("/imp/0/pmp/deals/0/bidfloor", json!(-1)),
        ("/imp/0/pmp/deals/0/mincpmpersec", json!(1e9)),
        ("/imp/1/video/mincpmpersec", json!(-1)),
        ("/imp/1/video/durfloors/0/bidfloor", json!(-1)),
        ("/tmax", json!(-5)),
    ] {
        let mut request = everything();
        *request.pointer_mut(path).unwrap() = value;
        let body = protobuf::encode(&request).unwrap();
        assert!(matches!(parse(&body), Err(Malformed::Invalid(..))), "{path}");
        assert_eq!(agree(&body), Ok(false), "{path}");
    }
    for floor in [f64::NAN, f64::INFINITY] {
        let mut request: BidRequest = serde_json::from_value(everything()).unwrap();
        request.imp[0].bidfloor = Some(floor);
        let found = parse(&request.encode_to_vec());
        assert!(matches!(found, Err(Malformed::Invalid("imp.bidfloor", _))));
    }
}

#[test]
fn what_a_request_cannot_do_without_is_required() {
    for (path, expected) in [
        ("/id", "`id` is missing"),
        ("/imp", "`imp` is missing"),
        ("/imp/0/id", "`imp.id` is missing"),
        ("/imp/1/video/mimes", "`imp.video.mimes` is missing"),
    ] {
        let mut request = everything();
        let (parent, key) = path.rsplit_once('/').unwrap();
        let parent = request.pointer_mut(parent).unwrap();
        parent.as_object_mut().unwrap().remove(key);
        let found = parse(&protobuf::encode(&request).unwrap()).unwrap_err();
        assert!(found.to_string().starts_with(expected), "{path}: {found}");
    }
    assert!(parse(b"").unwrap_err().to_string().starts_with("`id` is missing"));
    let mut twice = everything();
    twice["imp"][1]["id"] = json!("1");
    assert_eq!(
        parse(&protobuf::encode(&twice).unwrap()),
        Err(Malformed::DuplicateImpId)
    );
    let mut two_places = everything();
    two_places["app"] = json!({"id": "a"});
    assert_eq!(
        parse(&protobuf::encode(&two_places).unwrap()),
        Err(Malformed::SeveralChannels)
    );
}

fn whole() -> Vec<u8> {
    protobuf::encode(&everything()).unwrap()
}

#[test]
fn a_body_cut_off_anywhere_is_refused_or_means_what_is_left() {
    let body = whole();
    for len in 0..body.len() {
        agree(&body[..len]).unwrap_or_else(|why| panic!("the first {len} bytes: {why}"));
    }
}

/// A change to a body: at a position of 0..=1, this byte; and what is done with it.
type Change = (f64, u8, u8);

fn changed(mut body: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for &(place, byte, how) in changes {
        let at = (place * body.len() as f64) as usize;
        match how % 4 {
            0 if at < body.len() => body[at] = byte,
            1 => body.insert(at.min(body.len()), byte),
            2 if at < body.len() => drop(body.remove(at)),
            // A piece of it again, somewhere else.
            _ => {
                let piece = body[at.min(body.len())..]
                    .iter()
                    .take(byte.into())
                    .copied()
                    .collect::<Vec<u8>>();
                let to = (usize::from(how) * 7919) % (body.len() + 1);
                body.splice(to..to, piece);
            }
        }
    }
    body
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_read_as_an_independent_reader_reads_them(bytes: Vec<u8>) {
        prop_assert_eq!(agree(&bytes).map(drop), Ok(()));
    }

    #[test]
    fn a_damaged_request_is_read_as_an_independent_reader_reads_it(
        changes in prop::collection::vec((0.0..1.0, any::<u8>(), any::<u8>()), 1..6)
    ) {
        prop_assert_eq!(agree(&changed(whole(), &changes)).map(drop), Ok(()));
    }

    #[test]
    fn messages_joined_at_random_are_merged(cuts in prop::collection::vec(0usize..64, 0..8)) {
        // A protobuf message may be cut between any two of its records, and its parts come in any order.
        let mut parts = wire::records(&whole());
        for cut in cuts {
            let at = cut % parts.len();
            parts.rotate_left(at);
            let half = parts[at % parts.len()].clone();
            parts.push(half);
        }
        prop_assert_eq!(agree(&parts.concat()).map(drop), Ok(()));
    }
}
