//! The encoding itself, byte by byte: what must be put up with, and what is refused.

use super::{agree, parse, whole};
use outbid::certify::protobuf;
use outbid::openrtb::Malformed;
use serde_json::{Value, json};

pub fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A field that is a number.
fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

/// A field that is text, a message or packed numbers.
fn bytes(field: u64, content: &[u8]) -> Vec<u8> {
    [
        varint(field << 3 | 2),
        varint(content.len() as u64),
        content.to_vec(),
    ]
    .concat()
}

/// The records of a message, each with its tag. All of them are texts, messages, numbers or doubles.
pub fn records(mut message: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while !message.is_empty() {
        let (tag, tag_len) = read_varint(message);
        let (value, value_len) = read_varint(&message[tag_len..]);
        let len = match tag & 7 {
            0 => tag_len + value_len,
            1 => tag_len + 8,
            _ => tag_len + value_len + value as usize,
        };
        records.push(message[..len].to_vec());
        message = &message[len..];
    }
    records
}

fn read_varint(bytes: &[u8]) -> (u64, usize) {
    let len = 1 + bytes.iter().take_while(|byte| **byte & 0x80 != 0).count();
    let value = bytes[..len]
        .iter()
        .rev()
        .fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f));
    (value, len)
}

/// A request with one banner imp, and `more`.
fn small(more: &[u8]) -> Vec<u8> {
    let imp = [bytes(1, b"1"), bytes(2, b"")].concat();
    [bytes(1, b"r"), bytes(2, &imp), more.to_vec()].concat()
}

fn parsed(body: &Value) -> String {
    parse(&protobuf::encode(body).unwrap()).unwrap()
}

fn request(more: Value) -> Value {
    let mut request = json!({"id": "r", "imp": [{"id": "1", "banner": {}}]});
    request
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    request
}

/// The encoded fields `more` mean the same as the JSON fields `like`.
#[track_caller]
fn check(more: &[u8], like: Value) {
    let body = small(more);
    assert_eq!(parse(&body).unwrap(), parsed(&request(like)));
    assert_eq!(agree(&body), Ok(true));
}

#[test]
fn numbers_come_packed_or_one_by_one() {
    let like = json!({"regs": {"gpp_sid": [2, 7, 300]}});
    check(&bytes(14, &bytes(3, &[2, 7, 0xac, 0x02])), like.clone());
    check(
        &bytes(14, &[number(3, 2), number(3, 7), number(3, 300)].concat()),
        like.clone(),
    );
    check(
        &bytes(
            14,
            &[number(3, 2), bytes(3, &[7]), number(3, 300), bytes(3, &[])].concat(),
        ),
        like,
    );
}

#[test]
fn a_negative_number_takes_ten_bytes_or_five() {
    let like = json!({"device": {"geo": {"utcoffset": -60}}});
    for value in [(-60_i64) as u64, u64::from((-60_i32) as u32)] {
        check(&bytes(5, &bytes(4, &number(10, value))), like.clone());
    }
}

#[test]
fn a_number_may_take_more_bytes_than_it_needs() {
    check(
        &[varint(7 << 3), vec![0x81, 0x80, 0x80, 0x00]].concat(),
        json!({"at": 1}),
    );
    check(&[vec![0xb8, 0x80, 0x00], vec![0x01]].concat(), json!({"at": 1}));
}

#[test]
fn the_last_of_equal_fields_counts_and_messages_are_merged() {
    check(
        &[number(7, 3), number(8, 50), number(7, 1)].concat(),
        json!({"at": 1, "tmax": 50}),
    );
    let (id, page) = (
        bytes(3, &bytes(1, b"s")),
        bytes(3, &bytes(7, b"https://a.example/")),
    );
    let like = json!({"site": {"id": "s", "page": "https://a.example/"}});
    check(&[id.clone(), page.clone()].concat(), like.clone());
    check(&[page, bytes(11, b"USD"), id].concat(), {
        let mut like = like;
        like["cur"] = json!(["USD"]);
        like
    });
    // Below a merged message others are merged too.
    let geo = |content: Vec<u8>| bytes(5, &bytes(4, &content));
    check(
        &[geo(bytes(3, b"USA")), geo(bytes(4, b"OR")), geo(bytes(3, b"CAN"))].concat(),
        json!({"device": {"geo": {"country": "CAN", "region": "OR"}}}),
    );
}

#[test]
fn a_list_is_gathered_wherever_its_elements_stand() {
    check(
        &[
            bytes(12, b"IAB1"),
            number(7, 1),
            bytes(12, b"IAB2"),
            bytes(13, b"a.example"),
            bytes(12, b"IAB3"),
        ]
        .concat(),
        json!({"at": 1, "bcat": ["IAB1", "IAB2", "IAB3"], "badv": ["a.example"]}),
    );
}

#[test]
fn unknown_fields_are_passed_over_whatever_they_hold() {
    let group = [
        varint(700 << 3 | 3),
        number(1, 1),
        varint(2 << 3 | 3),
        bytes(3, b"\xff"),
        varint(2 << 3 | 4),
        varint(700 << 3 | 4),
    ]
    .concat();
    for unknown in [
        number(24, 1),
        number(500, u64::MAX),
        bytes(501, b"\xff\xfe"),
        bytes(99, &bytes(1000, b"\x08")),
        [varint(502 << 3 | 1), vec![0; 8]].concat(),
        [varint(503 << 3 | 5), vec![0; 4]].concat(),
        [varint(0x1fff_ffff << 3), vec![1]].concat(),
        group,
    ] {
        check(
            &[unknown.clone(), number(7, 1), unknown].concat(),
            json!({"at": 1}),
        );
    }
}

#[test]
fn what_is_no_message_is_refused() {
    let deep = |levels: usize| {
        [
            vec![varint(600 << 3 | 3); levels].concat(),
            vec![varint(600 << 3 | 4); levels].concat(),
        ]
        .concat()
    };
    assert!(parse(&small(&deep(50))).is_ok());
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a number without an end", vec![0x38, 0x80]),
        (
            "a number of more than 64 bits",
            [vec![0x38], vec![0xff; 9], vec![0x02]].concat(),
        ),
        (
            "a number of eleven bytes",
            [vec![0x38], vec![0x80; 10], vec![0x00]].concat(),
        ),
        ("a length beyond the end", vec![0x0a, 0x05, b'r']),
        (
            "a length beyond all ends",
            [vec![0x0a], vec![0xff; 9], vec![0x01]].concat(),
        ),
        ("a field without a number", vec![0x00, 0x01]),
        (
            "a field number of more than 29 bits",
            [vec![0x80, 0x80, 0x80, 0x80, 0x10], vec![0x01]].concat(),
        ),
        ("a wire type that there is not", vec![0x3e]),
        ("another one", vec![0x3f]),
        ("a double cut off", [varint(24 << 3 | 1), vec![0; 7]].concat()),
        ("a float cut off", [varint(24 << 3 | 5), vec![0; 3]].concat()),
        (
            "a group without its end",
            [varint(600 << 3 | 3), number(1, 1)].concat(),
        ),
        (
            "the end of another group",
            [varint(600 << 3 | 3), varint(601 << 3 | 4)].concat(),
        ),
        ("the end of no group", varint(600 << 3 | 4)),
        ("groups nested without end", deep(100_000)),
        ("text that is not UTF-8", bytes(11, b"\xc3\x28")),
        (
            "text cut inside a character",
            bytes(11, "ä".as_bytes().split_last().unwrap().1),
        ),
        ("text where a number should be", bytes(7, b"1")),
        ("a number where text should be", number(11, 1)),
        ("a number where a message should be", number(5, 1)),
        ("a number where a list of messages should be", number(2, 1)),
        (
            "a double where a number should be",
            [varint(7 << 3 | 1), vec![0; 8]].concat(),
        ),
        (
            "a number of 32 bits where a double should be",
            bytes(2, &[vec![8 << 3 | 5], vec![0; 4]].concat()),
        ),
        ("packed numbers cut off", bytes(14, &bytes(3, &[0x02, 0x80]))),
        (
            "the first of two is wrong",
            [bytes(7, b""), number(7, 1)].concat(),
        ),
        ("a message cut off inside", bytes(5, &[0x12, 0x05])),
    ];
    for (what, more) in cases {
        let body = small(&more);
        assert!(
            matches!(
                parse(&body),
                Err(Malformed::NotProtobuf(..) | Malformed::WrongWireType(_))
            ),
            "{what}: {:?}",
            parse(&body)
        );
        assert_eq!(agree(&body), Ok(false), "{what}");
    }
}

#[test]
fn a_refusal_says_what_is_wrong_and_where() {
    for (more, expected) in [
        (
            vec![0x38, 0x80],
            "the body must be one BidRequest of openrtb.proto: a number without an end at byte 11",
        ),
        (
            bytes(11, b"\xff"),
            "the body must be one BidRequest of openrtb.proto: text that is not UTF-8 at byte 12",
        ),
        (
            number(11, 1),
            "field 11 of the message that holds it has another wire type in openrtb.proto",
        ),
    ] {
        assert_eq!(parse(&small(&more)).unwrap_err().to_string(), expected);
    }
}

#[test]
fn the_order_of_fields_does_not_matter() {
    let mut records = records(&whole());
    let expected = parse(&whole());
    assert!(expected.is_ok());
    // The imps have to stay in their order, being one list.
    records.sort_by_key(|record| if record[0] == 0x12 { 99 } else { record[0] });
    assert_eq!(parse(&records.concat()), expected);
}

#[test]
fn json_that_says_it_is_protobuf_is_refused() {
    assert!(parse(br#"{"id":"r","imp":[{"id":"1","banner":{}}]}"#).is_err());
}
