//! The bid endpoint in protobuf: the same bids as in JSON, in the format of the request, over the same connections.

use super::bidder::{Shared, banner, bid_request, shared};
use super::configuration::{BEARER, Campaign, PUBLIC_URL};
use super::http::{self, Connection, Response};
use super::wire::{gzip, video};
use flate2::read::GzDecoder;
use outbid::certify::protobuf;
use serde_json::{Value, json};
use std::io::Read;

const TYPE: &str = "application/x-protobuf";

pub fn campaigns() -> Vec<Campaign> {
    let both = Campaign {
        more: "[[line_item]]\nid = \"both-2\"\nbid = { cpm = 4.00 }\ncreatives = [\"north-banner\"]\n\
               targeting = { site = [\"both.example\"], deal = [\"deal-1\", \"deal-2\"] }",
        ..Campaign::new("both")
    };
    vec![Campaign::new("binary"), both]
}

fn encoded(request: &Value) -> Vec<u8> {
    protobuf::encode(request).unwrap_or_else(|error| panic!("{error}: {request}"))
}

/// A request as it goes over the wire.
fn message(exchange: &str, headers: &[(&str, &str)], request: &Value) -> Vec<u8> {
    let mut all = vec![("Content-Type", TYPE)];
    all.extend_from_slice(headers);
    http::post(&format!("/openrtb2/{exchange}"), &all, &encoded(request))
}

fn decoded(answer: &Response) -> Value {
    assert_eq!(answer.header("content-type"), Some(TYPE), "{answer:?}");
    protobuf::decode(&answer.body).unwrap_or_else(|| panic!("no BidResponse: {answer:?}"))
}

/// A response without what is never the same twice: bid ids, and the tokens in URLs and markup.
fn timeless(mut response: Value) -> Value {
    // That of the first bid.
    assert_eq!(response["bidid"], response["seatbid"][0]["bid"][0]["id"]);
    response["bidid"] = json!("ID");
    for seat in response["seatbid"].as_array_mut().into_iter().flatten() {
        for bid in seat["bid"].as_array_mut().into_iter().flatten() {
            let id = bid["id"].as_str().unwrap().to_owned();
            let token = bid["nurl"]
                .as_str()
                .and_then(|url| url.split_once("?t="))
                .unwrap()
                .1;
            let token = token.split('&').next().unwrap().to_owned();
            assert!(id.len() > 8 && token.len() > 100, "{id} {token}");
            let text = bid.to_string().replace(&token, "TOKEN").replace(&id, "ID");
            *bid = serde_json::from_str(&text).unwrap();
        }
    }
    // JSON writes whole prices without a point, and protobuf has one kind of number for them.
    let bids = response
        .pointer_mut("/seatbid/0/bid")
        .and_then(Value::as_array_mut);
    for bid in bids.into_iter().flatten() {
        bid["price"] = json!(bid["price"].as_f64().unwrap());
    }
    response
}

#[track_caller]
fn check_same(bidder: &Shared, request: &Value) -> Value {
    let text = bidder.request("open", request);
    let binary = bidder.ask(&message("open", &[], request));
    assert_eq!((text.status, binary.status), (200, 200));
    assert_eq!(binary.header("x-openrtb-version"), Some("2.6"));
    let response = timeless(decoded(&binary));
    assert_eq!(response, timeless(text.json()));
    response
}

#[test]
fn the_answer_to_protobuf_says_what_the_answer_to_json_says() {
    let bidder = shared();
    let mut request = banner("binary", "u-000001");
    let response = check_same(&bidder, &request);
    assert_eq!(response["seatbid"][0]["bid"][0]["price"], 5.0);
    let adm = response["seatbid"][0]["bid"][0]["adm"].as_str().unwrap();
    assert!(adm.contains(&format!("{PUBLIC_URL}/n/click?t=TOKEN")), "{adm}");

    for (pub_render, ad_render) in [(0, 1), (2, 0)] {
        let dsa = json!({"dsarequired": 2, "pubrender": pub_render, "datatopub": 2});
        request["regs"] = json!({"ext": {"dsa": dsa}});
        let dsa = check_same(&bidder, &request)["seatbid"][0]["bid"][0]["ext"]["dsa"].take();
        assert_eq!(dsa["adrender"], ad_render);
        let parameters = json!([{"domain": "bid.example", "dsaparams": [1, 2]}]);
        assert_eq!(dsa["transparency"], parameters);
    }

    let mut several = banner("both", "u-000002");
    several["imp"][0]["pmp"] =
        json!({"deals": [{"id": "deal-1", "bidfloor": 1}, {"id": "deal-2", "bidfloor": 3, "at": 3}]});
    let response = check_same(&bidder, &several);
    assert_eq!(response["seatbid"][0]["bid"].as_array().map(Vec::len), Some(3));

    let mut film = banner("film", "u-000002");
    film["imp"][0] = video();
    let response = check_same(&bidder, &film);
    let adm = response["seatbid"][0]["bid"][0]["adm"].as_str().unwrap();
    assert!(adm.starts_with("<?xml") || adm.starts_with("<VAST"), "{adm}");
}

#[test]
fn no_bid_comes_in_the_form_that_the_exchange_prefers() {
    let bidder = shared();
    let nobody = banner("nobody", "u-000001");
    let open = bidder.ask(&message("open", &[], &nobody));
    assert_eq!(
        (open.status, open.body.len(), open.header("content-type")),
        (204, 0, None)
    );
    // A message without fields has no bytes.
    let bare = bidder.ask(&message("bare", &[], &nobody));
    assert_eq!(
        (bare.status, bare.body.len(), decoded(&bare)),
        (200, 0, json!({}))
    );

    let bearer = format!("Bearer {BEARER}");
    let closed = |request: &Value| {
        let answer = bidder.ask(&message("closed", &[("Authorization", &bearer)], request));
        assert_eq!(answer.status, 200);
        decoded(&answer)
    };
    assert_eq!(closed(&nobody), json!({"id": nobody["id"]}));
    let mut hurried = nobody.clone();
    hurried["tmax"] = json!(5);
    assert_eq!(closed(&hurried), json!({"id": hurried["id"], "nbr": 15}));
}

#[test]
fn protobuf_has_three_names_and_the_answer_has_the_same_one() {
    let bidder = shared();
    let body = encoded(&banner("binary", "u-000003"));
    for (kind, name) in [
        (TYPE, TYPE),
        ("application/protobuf", "application/protobuf"),
        ("application/octet-stream", "application/octet-stream"),
        ("Application/X-Protobuf; charset=binary", TYPE),
    ] {
        let answer = bidder.ask(&http::post("/openrtb2/open", &[("Content-Type", kind)], &body));
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(name)));
        assert!(protobuf::decode(&answer.body).is_some());
    }
    for kind in [
        "application/grpc",
        "application/x-protobuf2",
        "application/x-www-form-urlencoded",
    ] {
        let answer = bidder.ask(&http::post("/openrtb2/open", &[("Content-Type", kind)], &body));
        assert_eq!((answer.status, answer.body.len()), (415, 0), "{kind}");
    }
    // Without a type it is taken for JSON, which it is not.
    assert_eq!(bidder.ask(&http::post("/openrtb2/open", &[], &body)).status, 400);
}

#[test]
fn an_exchange_may_be_held_to_one_format() {
    let bidder = shared();
    let request = banner("binary", "u-000004");
    for (exchange, json, protobuf) in [("open", 200, 200), ("textual", 200, 415), ("binary", 415, 200)] {
        let text = bidder.request(exchange, &request);
        let binary = bidder.ask(&message(exchange, &[], &request));
        assert_eq!((text.status, binary.status), (json, protobuf), "{exchange}");
    }
}

#[test]
fn protobuf_is_gzip_both_ways() {
    let bidder = shared();
    let packed = gzip(&encoded(&banner("binary", "u-000005")));
    let headers = [
        ("Content-Type", TYPE),
        ("Content-Encoding", "gzip"),
        ("Accept-Encoding", "gzip"),
    ];
    let answer = bidder.ask(&http::post("/openrtb2/open", &headers, &packed));
    assert_eq!(
        (answer.status, answer.header("content-encoding")),
        (200, Some("gzip"))
    );
    assert_eq!(answer.header("content-type"), Some(TYPE));
    let mut plain = Vec::new();
    GzDecoder::new(&answer.body[..]).read_to_end(&mut plain).unwrap();
    let response = protobuf::decode(&plain).unwrap();
    assert_eq!(response["id"], "binary for u-000005");
    for (body, expected) in [
        (&packed[..packed.len() - 9], 400),
        (&gzip(&vec![0; 3 << 20]), 413),
    ] {
        assert_eq!(
            bidder.ask(&http::post("/openrtb2/open", &headers, body)).status,
            expected
        );
    }
}

#[test]
fn malformed_protobuf_is_a_400_without_content_and_the_connection_goes_on() {
    let bidder = shared();
    let mut connection = Connection::open(bidder.bids);
    let good = encoded(&banner("binary", "u-000006"));
    let mut negative = banner("binary", "u-000006");
    negative["imp"][0]["bidfloor"] = json!(-1);
    let cases = [
        ("nothing", Vec::new()),
        ("an end too early", good[..good.len() - 1].to_vec()),
        ("a wire type that there is not", [&good[..], &[0x3f, 0]].concat()),
        ("text that is not UTF-8", [&good[..], &[0x5a, 1, 0xff]].concat()),
        ("a number where text should be", [&good[..], &[0x58, 1]].concat()),
        ("a negative floor", encoded(&negative)),
        ("JSON", banner("binary", "u-000006").to_string().into_bytes()),
        ("noise", (0..=255).rev().collect()),
    ];
    for (what, body) in cases {
        let answer = connection.ask(&http::post("/openrtb2/open", &[("Content-Type", TYPE)], &body));
        assert_eq!((answer.status, answer.body.len()), (400, 0), "{what}");
        let next = connection.ask(&http::post("/openrtb2/open", &[("Content-Type", TYPE)], &good));
        assert_eq!(next.status, 200, "after {what}");
    }
}

#[test]
fn formats_take_turns_on_one_connection_pipelined_or_not() {
    let bidder = shared();
    let users = [
        "u-000020", "u-000021", "u-000022", "u-000023", "u-000024", "u-000025",
    ];
    let requests: Vec<Vec<u8>> = users
        .iter()
        .enumerate()
        .map(|(i, user)| match i % 3 {
            0 => bid_request("open", &[], &banner("binary", user)),
            1 => message("open", &[], &banner("binary", user)),
            _ => message("open", &[], &banner("nobody", user)),
        })
        .collect();
    let check = |i: usize, answer: &Response| {
        let id = json!(format!("binary for {}", users[i]));
        match i % 3 {
            0 => assert_eq!(answer.json()["id"], id),
            1 => assert_eq!(decoded(answer)["id"], id),
            _ => assert_eq!(answer.status, 204),
        }
    };
    let mut kept = Connection::open(bidder.bids);
    for (i, request) in requests.iter().enumerate() {
        check(i, &kept.ask(request));
    }
    let mut pipelined = Connection::open(bidder.bids);
    pipelined.send(&requests.concat()).unwrap();
    for i in 0..users.len() {
        check(i, &pipelined.receive().unwrap());
    }
}

#[test]
fn the_version_of_a_request_is_counted_and_never_refused() {
    let bidder = shared();
    let count = |version: &str| bidder.metric(&format!("outbid_requests_version_{version}_total"));
    let before = ["2_5", "2_6", "other"].map(count);
    for version in ["2.5", "2.6", "2.7", "3.0", "two", ""] {
        let headers = [("x-openrtb-version", version)];
        let request = banner("binary", "u-000007");
        for bytes in [
            bid_request("open", &headers, &request),
            message("open", &headers, &request),
        ] {
            let answer = bidder.ask(&bytes);
            assert_eq!(
                (answer.status, answer.header("x-openrtb-version")),
                (200, Some("2.6")),
                "{version}"
            );
        }
    }
    let after = ["2_5", "2_6", "other"].map(count);
    for (i, least) in [2.0, 2.0, 8.0].into_iter().enumerate() {
        assert!(after[i] - before[i] >= least, "{i}: {before:?} {after:?}");
    }
    assert!(bidder.metric("outbid_requests_protobuf_total") >= 6.0);
}
