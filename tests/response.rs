//! The response writer against `serde_json` and prost: what is written is read back as what was meant, and says the same
//! in both formats.

use outbid::certify::protobuf;
use outbid::openrtb::WireFormat;
use outbid::openrtb::macros::{Macro, expand};
use outbid::openrtb::notice::{Notice, NoticeQuery, PriceField, PriceUnit};
use outbid::openrtb::price_crypto::PriceCodec;
use outbid::openrtb::response::{
    BidFields, Dsa, DsaParameters, MarkupType, NoticeUrls, ResponseHead, ResponseWriter, empty,
    write_escaped, write_no_bid, write_price, write_string,
};
use outbid::units::{BidId, Cpm, Currency, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

const HEAD: ResponseHead = ResponseHead {
    id: "r-1",
    bid_id: None,
    currency: Currency::USD,
};

fn read(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(bytes)))
}

/// The one bid of a response with `bid`, as it is read back from both formats.
fn written(bid: &BidFields, markup: &str) -> Value {
    let write = |format, escape: fn(&mut Vec<u8>, &str)| {
        let mut out = Vec::new();
        let mut response = ResponseWriter::begin(format, &mut out, &HEAD);
        response.seat(None, false);
        response.bid(bid, |out| escape(out, markup));
        response.finish();
        out
    };
    let text = read(&write(WireFormat::Json, write_escaped));
    let binary = write(WireFormat::Protobuf, |out, markup| {
        out.extend_from_slice(markup.as_bytes())
    });
    assert_eq!(
        protobuf::decode(&binary),
        Some(as_protobuf(text.clone())),
        "{binary:?}"
    );
    text["seatbid"][0]["bid"][0].clone()
}

/// A response without what has no number in `openrtb.proto`, and with prices as the numbers they are there.
fn as_protobuf(mut response: Value) -> Value {
    for seat in response["seatbid"].as_array_mut().into_iter().flatten() {
        for bid in seat["bid"].as_array_mut().into_iter().flatten() {
            bid["price"] = json!(bid["price"].as_f64());
            let ext = bid.get_mut("ext").and_then(Value::as_object_mut);
            if ext.is_some_and(|ext| ext.remove("aigen").is_some() && ext.is_empty()) {
                bid.as_object_mut().unwrap().remove("ext");
            }
        }
    }
    if response["seatbid"] == json!([]) {
        response.as_object_mut().unwrap().remove("seatbid");
    }
    response
}

fn check(bid: &BidFields, markup: &str, expected: Value) {
    assert_eq!(written(bid, markup), expected);
}

#[test]
fn a_bid_without_optional_fields_has_none_of_them() {
    let bid = BidFields {
        imp_id: "1",
        price: Cpm(1_500_000),
        creative_id: "c",
        ..Default::default()
    };
    check(
        &bid,
        "",
        json!({"id": "000000000000000000000000", "impid": "1", "price": 1.5, "adm": "", "mtype": 1, "crid": "c"}),
    );
}

#[test]
fn every_field_stands_under_its_openrtb_name() {
    let (domains, cats) = (
        ["a.example".to_owned(), "b.example".to_owned()],
        ["IAB1".to_owned()],
    );
    let bid = BidFields {
        id: BidId::new(1, 2, 3),
        imp_id: "i",
        price: Cpm(2_000_000),
        notices: NoticeUrls {
            base: "https://b.example",
            queries: None,
            token: "T",
            win: true,
            bill: true,
            loss: true,
        },
        ad_id: Some("ad"),
        adomain: &domains,
        bundle: Some("com.app"),
        campaign_id: Some("camp"),
        creative_id: "cr",
        image_url: Some("https://i.example/1.png"),
        categories: &cats,
        cattax: 6,
        attributes: &[6, 13],
        extra_attribute: Some(16),
        apis: &[7],
        protocol: Some(13),
        language: Some("en"),
        deal_id: Some("deal"),
        size: Some((640, 360)),
        ratio: Some((16, 9)),
        duration_s: Some(15),
        slot_in_pod: Some(-1),
        exp_s: Some(300),
        markup: MarkupType::Video,
        ai_generated: true,
        dsa: Some(Dsa {
            behalf: "Brand",
            paid: "Brand \"Group\"",
            ad_shows: false,
            transparency: None,
        }),
    };
    let expected = json!({
        "id": "000100000002000000000003", "impid": "i", "price": 2, "adm": "<VAST/>", "mtype": 2,
        "nurl": "https://b.example/n/win?t=T&p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}&x=${AUCTION_MULTIPLIER}&m=${AUCTION_MIN_TO_WIN}&r=${AUCTION_MBR}&dp=${AUCTION_DISCOUNT_PCT}&dc=${AUCTION_DISCOUNT_CPM}",
        "burl": "https://b.example/n/bill?t=T&p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}&x=${AUCTION_MULTIPLIER}&ts=${AUCTION_IMP_TS}&dp=${AUCTION_DISCOUNT_PCT}&dc=${AUCTION_DISCOUNT_CPM}",
        "lurl": "https://b.example/n/loss?t=T&l=${AUCTION_LOSS}&m=${AUCTION_MIN_TO_WIN}&c=${AUCTION_CURRENCY}",
        "adid": "ad", "adomain": ["a.example", "b.example"], "bundle": "com.app", "cid": "camp", "crid": "cr",
        "iurl": "https://i.example/1.png",
        "cat": ["IAB1"], "cattax": 6, "attr": [6, 13, 16], "apis": [7], "language": "en", "protocol": 13,
        "dealid": "deal", "w": 640, "h": 360, "wratio": 16, "hratio": 9, "dur": 15, "slotinpod": -1, "exp": 300,
        "ext": {"aigen": 1, "dsa": {"behalf": "Brand", "paid": "Brand \"Group\"", "adrender": 0}},
    });
    check(&bid, "<VAST/>", expected);
}

#[test]
fn the_dsa_is_told_who_why_and_who_shows_it() {
    let long = "é".repeat(101);
    let profile = DsaParameters {
        profile: true,
        precise_location: false,
    };
    let place = DsaParameters {
        profile: true,
        precise_location: true,
    };
    let without = |behalf, ad_shows, transparency| Dsa {
        behalf,
        paid: "Group",
        ad_shows,
        transparency,
    };
    for (dsa, expected) in [
        (
            without("Brand", true, None),
            json!({"behalf": "Brand", "paid": "Group", "adrender": 1}),
        ),
        (
            without(&long, false, Some(("dsp.example", DsaParameters::default()))),
            json!({"behalf": "é".repeat(100), "paid": "Group", "adrender": 0,
                "transparency": [{"domain": "dsp.example", "dsaparams": [2]}]}),
        ),
        (
            without("Brand", false, Some(("dsp.example", profile))),
            json!({"behalf": "Brand", "paid": "Group", "adrender": 0,
                "transparency": [{"domain": "dsp.example", "dsaparams": [1, 2]}]}),
        ),
        (
            without("Brand", false, Some(("dsp.example", place))),
            json!({"behalf": "Brand", "paid": "Group", "adrender": 0,
                "transparency": [{"domain": "dsp.example", "dsaparams": [1, 2, 3]}]}),
        ),
    ] {
        let bid = BidFields {
            dsa: Some(dsa),
            ..Default::default()
        };
        assert_eq!(written(&bid, "")["ext"]["dsa"], expected);
    }
}

#[test]
fn an_extra_attribute_is_written_once() {
    let bid = BidFields {
        attributes: &[16],
        extra_attribute: Some(16),
        ..Default::default()
    };
    assert_eq!(written(&bid, "")["attr"], json!([16]));
    let bid = BidFields {
        extra_attribute: Some(16),
        ..Default::default()
    };
    assert_eq!(written(&bid, "")["attr"], json!([16]));
}

#[test]
fn seats_and_bids_follow_one_another() {
    let head = ResponseHead {
        id: "r",
        bid_id: Some(BidId::new(1, 2, 9)),
        currency: Currency::parse("EUR").unwrap(),
    };
    let bid = |imp_id| BidFields {
        imp_id,
        ..Default::default()
    };
    let write = |format| {
        let mut out = b"before".to_vec();
        let mut response = ResponseWriter::begin(format, &mut out, &head);
        response.seat(Some("s1"), true);
        response.bid(&bid("1"), |_| {});
        response.bid(&bid("2"), |_| {});
        response.seat(None, false);
        response.bid(&bid("3"), |_| {});
        response.finish();
        out.split_off("before".len())
    };
    let response = read(&write(WireFormat::Json));
    assert_eq!(
        (&response["id"], &response["bidid"], &response["cur"]),
        (
            &json!("r"),
            &json!(BidId::new(1, 2, 9).to_string()),
            &json!("EUR")
        )
    );
    assert_eq!(response["seatbid"][0]["seat"], "s1");
    assert_eq!(response["seatbid"][0]["group"], 1);
    assert_eq!(response["seatbid"][0]["bid"][1]["impid"], "2");
    assert_eq!(response["seatbid"][1]["bid"][0]["impid"], "3");
    assert_eq!(response["seatbid"][1].as_object().unwrap().len(), 1);
    let binary = write(WireFormat::Protobuf);
    assert_eq!(protobuf::decode(&binary), Some(as_protobuf(response)));
}

#[test]
fn a_no_bid_echoes_the_id_and_says_why_where_asked() {
    for (nbr, expected) in [
        (None, json!({"id": "a\"b", "seatbid": []})),
        (Some(15), json!({"id": "a\"b", "seatbid": [], "nbr": 15})),
    ] {
        let (mut text, mut binary) = (Vec::new(), Vec::new());
        write_no_bid(WireFormat::Json, &mut text, "a\"b", nbr);
        write_no_bid(WireFormat::Protobuf, &mut binary, "a\"b", nbr);
        assert_eq!(protobuf::decode(&binary), Some(as_protobuf(expected.clone())));
        assert_eq!(read(&text), expected);
    }
    let (mut text, mut binary) = (Vec::new(), Vec::new());
    ResponseWriter::begin(WireFormat::Json, &mut text, &HEAD).finish();
    ResponseWriter::begin(WireFormat::Protobuf, &mut binary, &HEAD).finish();
    assert_eq!(read(&text), json!({"id": "r-1", "cur": "USD", "seatbid": []}));
    assert_eq!(protobuf::decode(&binary), Some(as_protobuf(read(&text))));
    assert_eq!(read(empty(WireFormat::Json)), json!({}));
    assert_eq!(protobuf::decode(empty(WireFormat::Protobuf)), Some(json!({})));
}

#[test]
fn prices_are_exact_and_never_scientific() {
    for (micros, expected) in [
        (0, "0"),
        (1, "0.000001"),
        (1_500_000, "1.5"),
        (2_000_000, "2"),
        (10_000_010, "10.00001"),
        (Cpm::MAX.0, "1000000"),
    ] {
        let mut out = Vec::new();
        write_price(&mut out, Cpm(micros));
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn a_notice_comes_back_with_what_the_exchange_put_in() {
    let notices = NoticeUrls {
        base: "https://b.example",
        queries: None,
        token: "Ab-_9",
        win: true,
        bill: true,
        loss: true,
    };
    let bid = written(
        &BidFields {
            notices,
            ..Default::default()
        },
        "",
    );
    for (field, notice) in [
        ("nurl", Notice::Win),
        ("burl", Notice::Bill),
        ("lurl", Notice::Loss),
    ] {
        let url = expand(bid[field].as_str().unwrap(), |m| match m {
            Macro::Price | Macro::MinToWin => Some("1.25"),
            Macro::Currency => Some("EUR"),
            Macro::Loss => Some("102"),
            Macro::Multiplier => Some("1.5"),
            Macro::ImpTimestamp => Some("1772452800000"),
            _ => None,
        });
        let (path, query) = url
            .strip_prefix("https://b.example")
            .unwrap()
            .split_once('?')
            .unwrap();
        assert_eq!(Notice::from_path(path), Some(notice));
        let query = NoticeQuery::parse(query.as_bytes());
        assert_eq!(
            (query.token, query.currency),
            (Some("Ab-_9"), Currency::parse("EUR"))
        );
        let price = if notice == Notice::Loss {
            query.min_to_win
        } else {
            query.price
        };
        assert_eq!(
            price.read(PriceUnit::Cpm, &PriceCodec::Plain),
            PriceField::Value(Cpm(1_250_000))
        );
        assert_eq!(query.loss, (notice == Notice::Loss).then_some(102));
        assert_eq!(
            query.multiplier_micros,
            (notice != Notice::Loss).then_some(1_500_000)
        );
        assert_eq!(
            query.shown_at,
            (notice == Notice::Bill).then_some(Timestamp(1_772_452_800_000))
        );
    }
}

proptest! {
    #[test]
    fn any_string_is_escaped_as_serde_json_does(text in any::<String>(), long in "[a-z\"\\\\\u{0}-\u{1f}é]{0,200}") {
        for text in [text, long] {
            let mut out = Vec::new();
            write_string(&mut out, &text);
            prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
        }
    }

    #[test]
    fn any_price_is_read_back_exactly(micros in 0..=Cpm::MAX.0) {
        let mut out = Vec::new();
        write_price(&mut out, Cpm(micros));
        let text = String::from_utf8(out).unwrap();
        let (units, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let read: i64 = format!("{units}{fraction:0<6}").parse().unwrap();
        prop_assert_eq!(read, micros);
        prop_assert!(!fraction.ends_with('0'));
    }

    #[test]
    fn any_strings_and_lists_are_read_back(
        texts in prop::collection::vec(any::<String>(), 8),
        domains in prop::collection::vec(any::<String>(), 0..4),
        // Codes are `int32` in openrtb.proto.
        numbers in prop::collection::vec(0..=i32::MAX.cast_unsigned(), 0..4),
        counter in 0u64..1 << 48,
    ) {
        let bid = BidFields {
            id: BidId::new(9, 8, counter),
            imp_id: &texts[0],
            creative_id: &texts[1],
            campaign_id: Some(&texts[2]),
            deal_id: Some(&texts[3]),
            bundle: Some(&texts[4]),
            language: Some(&texts[5]),
            ad_id: Some(&texts[6]),
            adomain: &domains,
            attributes: &numbers,
            ..Default::default()
        };
        let read = written(&bid, &texts[7]);
        prop_assert_eq!(&read["id"], &json!(bid.id.to_string()));
        let names = ["impid", "crid", "cid", "dealid", "bundle", "language", "adid", "adm"];
        for (name, text) in names.iter().zip(&texts) {
            prop_assert_eq!(&read[name], &json!(text));
        }
        let list = |list: Value| if list == json!([]) { Value::Null } else { list };
        prop_assert_eq!(&read["adomain"], &list(json!(domains)));
        prop_assert_eq!(&read["attr"], &list(json!(numbers)));
    }
}
