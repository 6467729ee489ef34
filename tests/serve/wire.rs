//! The bid endpoint byte by byte: what is answered, and with which status.

use super::bidder::{Money, Offer, banner, bid_request, shared};
use super::configuration::{BEARER, Campaign, PUBLIC_URL};
use super::http::{self, Connection, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::Write;

pub fn campaigns() -> Vec<Campaign> {
    vec![
        Campaign::new("wire"),
        film("film"),
        deals("deals"),
        road_block("road"),
    ]
}

fn film(id: &'static str) -> Campaign {
    Campaign {
        creative: "north-film",
        ..Campaign::new(id)
    }
}

#[test]
fn a_bid_says_all_that_an_exchange_needs() {
    let bidder = shared();
    let request = banner("wire", "u-000001");
    let answer = bidder.request("open", &request);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("x-openrtb-version"), Some("2.6"));
    let response = answer.json();
    assert_eq!(
        (&response["id"], &response["cur"]),
        (&request["id"], &json!("USD"))
    );
    assert_eq!(response["seatbid"][0]["seat"], "seat-open");
    let offer = Offer::of(&answer);
    let expected = json!({
        "impid": "1", "price": 5, "adomain": ["north.example"], "cid": "wire", "crid": "north-banner",
        "cat": ["IAB3"], "w": 300, "h": 250, "mtype": 1, "exp": 300, "attr": [2], "language": "en",
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&offer.0[key], value, "{key}");
    }
    assert!(!offer.text("id").is_empty());
    for (key, path) in [
        ("nurl", "/n/win"),
        ("burl", "/n/bill"),
        ("lurl", "/n/loss"),
        ("adm", "/n/click"),
        ("adm", "/n/imp"),
    ] {
        let url = format!("{PUBLIC_URL}{path}?t={}", offer.token());
        assert!(offer.text(key).contains(&url), "{key}: {}", offer.text(key));
    }
}

#[test]
fn bids_of_one_response_have_ids_and_tokens_of_their_own() {
    let bidder = shared();
    let mut request = banner("wire", "u-000002");
    request["site"]["domain"] = json!("film.example");
    request["imp"][0] = video();
    let (one, two) = (bidder.offer(&request).unwrap(), bidder.offer(&request).unwrap());
    assert_ne!(one.text("id"), two.text("id"));
    assert_ne!(one.text("nurl"), two.text("nurl"));
    assert_eq!(
        (&one.0["mtype"], &one.0["dur"], &one.0["w"]),
        (&json!(2), &json!(15), &json!(1280))
    );
    assert!(
        one.text("adm").contains("<VAST version=\"4."),
        "{}",
        one.text("adm")
    );
}

fn deals(id: &'static str) -> Campaign {
    Campaign {
        more: "[[line_item]]\nid = \"deals-2\"\nbid = { cpm = 4.00 }\ncreatives = [\"north-banner\"]\n\
               targeting = { site = [\"deals.example\"], deal = [\"deal-1\", \"deal-2\"] }",
        ..Campaign::new(id)
    }
}

fn road_block(id: &'static str) -> Campaign {
    Campaign {
        more: "roadblock = true",
        ..Campaign::new(id)
    }
}

#[test]
fn deals_and_the_open_auction_are_answered_together_and_each_bid_is_settled_for_itself() {
    let bidder = shared();
    let mut request = banner("deals", "u-000001");
    request["imp"][0]["pmp"] =
        json!({"deals": [{"id": "deal-1", "bidfloor": 1}, {"id": "deal-2", "bidfloor": 3, "at": 3}]});
    let answer = bidder.request("open", &request).json();
    assert_eq!(answer["seatbid"].as_array().unwrap().len(), 1, "{answer:#}");
    let bids = answer["seatbid"][0]["bid"].as_array().unwrap();
    let mut offers: Vec<Offer> = bids.iter().cloned().map(Offer).collect();
    offers.sort_by_key(|offer| offer.0["dealid"].as_str().map(str::to_owned));
    let told: Vec<_> = offers
        .iter()
        .map(|offer| (offer.0["impid"].clone(), offer.0["dealid"].clone(), offer.price()))
        .collect();
    let id = json!("1");
    assert_eq!(
        told,
        [
            (id.clone(), Value::Null, 5.0),
            (id.clone(), json!("deal-1"), 4.0),
            (id, json!("deal-2"), 3.0)
        ]
    );
    assert_eq!(bidder.money("deals-1"), Money::is("0.00", "0.005"));
    assert_eq!(bidder.money("deals-2"), Money::is("0.00", "0.007"));
    bidder.tell(offers[0].text("lurl"), "");
    bidder.tell(offers[1].text("lurl"), "");
    bidder.tell(offers[2].text("burl"), "3.00");
    assert_eq!(bidder.money("deals-1"), Money::is("0.00", "0.00"));
    assert_eq!(bidder.money("deals-2"), Money::is("0.003", "0.00"));
}

#[test]
fn a_road_block_stands_in_a_seat_of_its_own_as_a_group() {
    let bidder = shared();
    let mut request = banner("road", "u-000001");
    let second = json!({"id": "2", "secure": 1, "banner": {"w": 300, "h": 250}});
    request["imp"].as_array_mut().unwrap().push(second);
    request["allimps"] = json!(1);
    let answer = bidder.request("open", &request).json();
    let group = &answer["seatbid"][0];
    assert_eq!(
        (&group["group"], &group["seat"]),
        (&json!(1), &json!("seat-open")),
        "{answer:#}"
    );
    let imps: Vec<_> = group["bid"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bid| &bid["impid"])
        .collect();
    assert_eq!(imps, ["1", "2"]);
    request["allimps"] = json!(0);
    let apart = bidder.request("open", &request).json();
    assert_eq!(apart["seatbid"][0]["group"], Value::Null, "{apart:#}");
    assert_eq!(apart["seatbid"][0]["bid"].as_array().unwrap().len(), 2);
}

#[test]
fn no_bid_comes_in_the_form_that_the_exchange_prefers() {
    let bidder = shared();
    let nobody = banner("nobody", "u-000001");
    let mut hurried = nobody.clone();
    hurried["tmax"] = json!(5);

    let open = bidder.request("open", &nobody);
    assert_eq!(
        (open.status, open.body.len(), open.header("content-type")),
        (204, 0, None)
    );
    let bare = bidder.request("bare", &nobody);
    assert_eq!((bare.status, bare.text()), (200, "{}"));
    let bearer = format!("Bearer {BEARER}");
    let closed = |request: &Value| {
        let answer = bidder.ask(&bid_request("closed", &[("Authorization", &bearer)], request));
        assert_eq!(answer.status, 200);
        answer.json()
    };
    assert_eq!(closed(&nobody), json!({"id": nobody["id"], "seatbid": []}));
    // Insufficient time is 15 in the list of OpenRTB 3.0.
    assert_eq!(
        closed(&hurried),
        json!({"id": hurried["id"], "seatbid": [], "nbr": 15})
    );
}

#[test]
fn only_known_callers_get_bids() {
    let bidder = shared();
    let request = banner("wire", "u-000001");
    let right = format!("Bearer {BEARER}");
    let short = &right[..right.len() - 1];
    for (exchange, authorization, expected) in [
        ("closed", None, 401),
        ("closed", Some("Bearer "), 401),
        ("closed", Some(BEARER), 401),
        ("closed", Some("Bearer another-secret-altogether"), 401),
        ("closed", Some(short), 401),
        ("closed", Some(&right), 200),
        ("open", Some("Bearer whatever"), 200),
        ("unknown", None, 401),
        ("", None, 401),
        ("open/", None, 401),
        ("OPEN", None, 401),
    ] {
        let headers = authorization.map(|value| ("Authorization", value));
        let answer = bidder.ask(&bid_request(exchange, headers.as_slice(), &request));
        assert_eq!(answer.status, expected, "{exchange:?} {authorization:?}");
        assert_eq!(answer.body.is_empty(), expected == 401);
    }
}

#[test]
fn methods_and_paths_that_are_not_ours_are_refused() {
    let bidder = shared();
    for (method, target, expected, allow) in [
        ("GET", "/openrtb2/open", 405, Some("POST")),
        ("PUT", "/openrtb2/open", 405, Some("POST")),
        ("HEAD", "/openrtb2/open", 405, Some("POST")),
        ("OPTIONS", "/openrtb2/open", 405, Some("POST")),
        ("DELETE", "/n/win", 405, Some("GET, POST")),
        ("GET", "/n/postback", 405, Some("POST")),
        ("GET", "/n/nothing", 404, None),
        ("GET", "/", 404, None),
        ("POST", "/openrtb2", 404, None),
        ("POST", "/openrtb3/open", 404, None),
        ("GET", "/metrics", 404, None),
    ] {
        let answer = bidder.ask(&http::write(method, target, &[("Content-Length", "0")], None));
        assert_eq!(
            (answer.status, answer.header("allow")),
            (expected, allow),
            "{method} {target}"
        );
    }
}

#[test]
fn bodies_above_a_limit_are_refused() {
    let bidder = shared();
    let path = "/openrtb2/open";
    let announced = http::write("POST", path, &[("Content-Length", "2000000")], None);
    assert_eq!(bidder.ask(&announced).status, 413);

    // One byte more than the limit, in chunks, without an end: the answer does not wait for it.
    let mut chunked = http::write("POST", path, &[("Transfer-Encoding", "chunked")], None);
    for _ in 0..16 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.extend_from_slice(&[b' '; 0x10000]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"1\r\n \r\n");
    assert_eq!(bidder.ask(&chunked).status, 413);

    for (megabytes, expected) in [(1, 400), (3, 413), (100, 413)] {
        let bomb = gzip(&vec![b' '; megabytes << 20]);
        let bomb = http::post(path, &[("Content-Encoding", "gzip")], &bomb);
        assert_eq!(bidder.ask(&bomb).status, expected, "{megabytes} MiB of spaces");
    }
    assert!(bidder.offer(&banner("wire", "u-000001")).is_some());
}

#[test]
fn headers_decide_how_a_body_is_read() {
    let bidder = shared();
    let text = banner("wire", "u-000003").to_string().into_bytes();
    let zipped = gzip(&text);
    type Headers = &'static [(&'static str, &'static str)];
    let cases: [(Headers, &[u8], u16); 15] = [
        (&[], &text, 200),
        (&[("Content-Type", "application/json")], &text, 200),
        (&[("Content-Type", "Application/JSON; charset=utf-8")], &text, 200),
        (&[("Content-Type", "text/json")], &text, 200),
        (&[("Content-Type", "")], &text, 200),
        (&[("Content-Type", "text/plain")], &text, 415),
        (&[("Content-Type", "application/x-protobuf")], &text, 400),
        (&[("Content-Encoding", "identity")], &text, 200),
        (&[("Content-Encoding", "gzip")], &zipped, 200),
        (&[("Content-Encoding", "GZIP")], &zipped, 200),
        (&[("Content-Encoding", "br")], &text, 415),
        (&[("Content-Encoding", "gzip, gzip")], &zipped, 415),
        (&[("Content-Encoding", "gzip")], &zipped[..zipped.len() - 9], 400),
        (&[("Content-Encoding", "gzip")], &text, 400),
        (
            &[("x-openrtb-version", "2.7"), ("Accept-Encoding", "gzip")],
            &text,
            200,
        ),
    ];
    for (headers, body, expected) in cases {
        let answer = bidder.ask(&http::post("/openrtb2/open", headers, body));
        assert_eq!(answer.status, expected, "{headers:?}");
        let accepts = headers.contains(&("Accept-Encoding", "gzip"));
        assert_eq!(answer.header("content-encoding"), accepts.then_some("gzip"));
    }
}

#[test]
fn what_is_no_bid_request_is_malformed() {
    let bidder = shared();
    let good = banner("wire", "u-000004").to_string();
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replace(from, to).into_bytes()
    };
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut connection = Connection::open(bidder.bids);
    for (what, body) in [
        ("nothing", Vec::new()),
        ("blanks", b" \r\n\t ".to_vec()),
        ("a word", b"bid".to_vec()),
        ("null", b"null".to_vec()),
        ("a number", b"7".to_vec()),
        ("a text", b"\"bid\"".to_vec()),
        ("a list", format!("[{good}]").into_bytes()),
        ("an empty object", b"{}".to_vec()),
        ("no id", with("\"id\":\"wire for u-000004\",", "")),
        ("no imp", with("\"imp\":[", "\"omp\":[")),
        ("an imp that is a text", with("\"imp\":[{", "\"imp\":[\"x\",{")),
        ("an end too early", good.as_bytes()[..good.len() - 1].to_vec()),
        ("a second object", format!("{good}{good}").into_bytes()),
        ("text behind", format!("{good} ok").into_bytes()),
        ("a comma too many", with("\"at\":1,", "\"at\":1,,")),
        ("a comma before the end", with("}]", "},]")),
        ("single quotes", good.replace('"', "'").into_bytes()),
        ("a bare name", with("\"at\":1", "at:1")),
        ("a comment", with("\"at\":1", "/* first price */\"at\":1")),
        ("not a number", with("\"tmax\":5000", "\"tmax\":NaN")),
        ("a leading zero", with("\"tmax\":5000", "\"tmax\":05000")),
        ("a plus sign", with("\"tmax\":5000", "\"tmax\":+5000")),
        ("a hexadecimal", with("\"tmax\":5000", "\"tmax\":0x1388")),
        ("an unknown escape", with("USA", "\\qUSA")),
        ("half an escape", with("USA", "\\u00")),
        ("a raw line feed in a text", with("USA", "U\nSA")),
        ("UTF-16", utf16),
        (
            "not UTF-8",
            [&good.as_bytes()[..good.len() - 2], b"\xff\xfe\"}}"].concat(),
        ),
    ] {
        let answer = connection.ask(&http::post("/openrtb2/open", &[], &body));
        assert_eq!(answer.status, 400, "{what}");
        assert!(answer.body.is_empty(), "{what}");
    }
    let answer = connection.ask(&http::post("/openrtb2/open", &[], good.as_bytes()));
    assert_eq!(answer.status, 200, "on the same connection");
}

#[test]
fn odd_input_is_never_our_fault() {
    let bidder = shared();
    let good = banner("wire", "u-000005");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut request = good.clone();
        change(&mut request);
        request.to_string().into_bytes()
    };
    let text = good.to_string();
    let many = |count| {
        changed(&|request| {
            request["imp"] = (0..count)
                .map(|n| json!({"id": n.to_string(), "secure": 1, "banner": {"w": 300, "h": 250}}))
                .collect();
        })
    };
    for (what, body) in [
        (
            "floor of 1e400",
            text.replace("\"secure\":1", "\"bidfloor\":1e400"),
        ),
        ("tmax of 2^70", text.replace("5000", "1180591620717411303424")),
        ("negative tmax", text.replace("5000", "-5000")),
        ("lone surrogate", text.replace("USA", "\\ud800")),
        ("byte order mark", format!("\u{feff}{text}")),
        ("two ids", text.replacen('{', "{\"id\":\"other\",", 1)),
        ("zero byte", text.replace("USA", "U\\u0000A")),
        (
            "nesting",
            text.replace(
                "\"at\":1",
                &format!("\"ext\":{}{}", "[".repeat(100_000), "]".repeat(100_000)),
            ),
        ),
        ("open nesting", format!("{{\"id\":{}", "{\"a\":".repeat(100_000))),
        ("a text of 500 kB", text.replace("USA", &"x".repeat(500_000))),
    ] {
        let status = bidder
            .ask(&http::post("/openrtb2/open", &[], body.as_bytes()))
            .status;
        assert!([200, 204, 400].contains(&status), "{what}: {status}");
    }
    for (what, body, expected) in [
        ("2,000 imps", many(2000), vec![200, 204, 400]),
        (
            "20,000 blocked domains",
            changed(&|request| {
                request["badv"] = (0..20_000).map(|n| json!(format!("bad{n}.example"))).collect();
            }),
            vec![200, 204],
        ),
        (
            "everything is a text",
            changed(&|request| {
                request["at"] = json!("1");
                request["tmax"] = json!("5000");
                request["imp"][0]["banner"] = json!({"w": "300", "h": "250.0"});
            }),
            vec![200],
        ),
    ] {
        let status = bidder.ask(&http::post("/openrtb2/open", &[], &body)).status;
        assert!(expected.contains(&status), "{what}: {status}");
    }
}

#[test]
fn an_exchange_gets_no_more_than_its_requests_a_second() {
    let bidder = shared();
    let request = bid_request("slow", &[], &banner("wire", "u-000006"));
    let mut connection = Connection::open(bidder.bids);
    let answers: Vec<_> = (0..20).map(|_| connection.ask(&request).status).collect();
    assert_eq!(answers[0], 200);
    assert!(
        answers.contains(&204),
        "twenty requests take less than ten seconds"
    );
    assert!(bidder.metric("outbid_no_bids_by_reason_total{reason=\"qps_limit\"}") >= 1.0);
}

#[test]
fn a_connection_is_kept_for_many_requests() {
    let bidder = shared();
    let mut connection = Connection::open(bidder.bids);
    for (exchange, request, expected) in [
        ("open", banner("wire", "u-000010"), 200),
        ("open", banner("nobody", "u-000010"), 204),
        ("unknown", banner("wire", "u-000010"), 401),
        ("bare", banner("nobody", "u-000010"), 200),
        ("open", json!([]), 400),
        ("open", banner("wire", "u-000011"), 200),
    ] {
        let answer = connection.ask(&bid_request(exchange, &[], &request));
        assert_eq!(answer.status, expected, "{exchange} {request}");
        assert_eq!(answer.header("connection"), None);
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let bidder = shared();
    let users = ["u-000020", "u-000021", "u-000022", "u-000023", "u-000024"];
    let requests: Vec<u8> = users
        .iter()
        .flat_map(|user| bid_request("open", &[], &banner("wire", user)))
        .collect();
    let mut connection = Connection::open(bidder.bids);
    connection.send(&requests).unwrap();
    for user in users {
        let answer = connection.receive().unwrap();
        assert_eq!(answer.json()["id"], format!("wire for {user}"));
    }
}

#[test]
fn a_slow_sender_is_waited_for_and_a_silent_one_is_not() {
    let bidder = shared();
    let request = bid_request("open", &[], &banner("wire", "u-000030"));
    let mut slow = Connection::open(bidder.bids);
    for piece in request.chunks(7) {
        slow.send(piece).unwrap();
    }
    assert_eq!(slow.receive().unwrap().status, 200);

    let mut polite = Connection::open(bidder.bids);
    let body = banner("wire", "u-000031").to_string();
    let head = http::write(
        "POST",
        "/openrtb2/open",
        &[
            ("Expect", "100-continue"),
            ("Content-Length", &body.len().to_string()),
        ],
        None,
    );
    polite.send(&head).unwrap();
    assert_eq!(polite.ask(body.as_bytes()).status, 200);

    let mut silent = Connection::open(bidder.bids);
    silent.send(&request[..request.len() - 1]).unwrap();
    assert_eq!(silent.receive().unwrap().status, 400);
    assert!(silent.is_closed());
}

#[test]
fn a_client_of_http_1_0_gets_its_answer_and_the_end_of_the_connection() {
    let bidder = shared();
    let request = bid_request("open", &[], &banner("wire", "u-000040"));
    let request = String::from_utf8(request)
        .unwrap()
        .replace("HTTP/1.1", "HTTP/1.0");
    let mut connection = Connection::open(bidder.bids);
    assert_eq!(connection.ask(request.as_bytes()).status, 200);
    assert!(connection.is_closed());
}

#[test]
fn what_is_not_http_harms_nobody() {
    let bidder = shared();
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"BID me\r\n\r\n",
        b"POST /openrtb2/open HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /openrtb2/open HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /openrtb2/open HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let mut connection = Connection::open(bidder.bids);
        connection.send(bytes).unwrap();
        // Refused or hung up on.
        let status = connection.receive().map(|answer: Response| answer.status);
        assert!(
            status.as_ref().map_or(true, |status| *status == 400),
            "{status:?}"
        );
    }
    assert!(bidder.offer(&banner("wire", "u-000050")).is_some());
}

pub fn video() -> Value {
    json!({"id": "v", "secure": 1, "video": {
        "mimes": ["video/mp4"], "minduration": 5, "maxduration": 30, "protocols": [2, 3, 7], "w": 1280, "h": 720,
    }})
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
