//! The notice token and the event schema: what leaves the process comes back as it was, or not at all.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use outbid::events::keys::TokenKey;
use outbid::events::token::{Format, ImpRef, Sealer, TOKEN_LEN, Token, TokenError};
use outbid::openrtb::notice::PriceUnit;
use outbid::openrtb::privacy::{Consent, Signal};
use outbid::store::exchange::BillingEvent;
use outbid::store::rates::Rate;
use outbid::units::{AccountId, BidId, Cpm, Currency, Nanos, ObjectId, Timestamp, UserKey};
use proptest::prelude::*;

fn key(id: u8) -> TokenKey {
    TokenKey { id, secret: [id; 32] }
}

fn sealed(sealer: &Sealer, token: &Token) -> String {
    sealer.seal(token, &mut [0; TOKEN_LEN]).to_owned()
}

fn object() -> impl Strategy<Value = ObjectId> {
    any::<u64>().prop_map(ObjectId)
}

fn currency() -> impl Strategy<Value = Currency> {
    prop::sample::select(vec!["USD", "EUR", "JPY", "XYZ"]).prop_map(|code| Currency::parse(code).unwrap())
}

fn format() -> impl Strategy<Value = Format> {
    prop::sample::select(vec![Format::Banner, Format::Video, Format::Audio, Format::Native])
}

fn billing() -> impl Strategy<Value = BillingEvent> {
    prop::sample::select(vec![
        BillingEvent::Burl,
        BillingEvent::Impression,
        BillingEvent::Win,
    ])
}

fn price_unit() -> impl Strategy<Value = PriceUnit> {
    prop::sample::select(vec![PriceUnit::Cpm, PriceUnit::CpmMicros, PriceUnit::Impression])
}

prop_compose! {
    fn consent()(uses in 0_u16..128, signal in 0..Signal::COUNT as u16) -> Consent {
        Consent::from_bits(uses | signal << 8).expect("a signal that there is")
    }
}

prop_compose! {
    fn bid()(node in any::<u16>(), boot in any::<u32>(), counter in 0u64..1 << 48) -> BidId {
        BidId::new(node, boot, counter)
    }
}

prop_compose! {
    fn any_token()(
        (bid, lease, budget_day, time, win_hold_s, hold) in
            (bid(), any::<u32>(), any::<u16>(), 0i64..1 << 48, any::<u16>(), 0i64..=i64::from(u32::MAX)),
        (exchange, index, hash, format) in (object(), any::<u8>(), any::<u32>(), format()),
        (line_item_account, campaign_account) in (any::<u64>(), any::<u64>()),
        (line_item, campaign, advertiser, creative) in (object(), object(), object(), object()),
        (deal, reserved, rate, currency, price) in
            (prop::option::of(object()), any::<i64>(), any::<i64>(), currency(), 0..=Cpm::MAX.0),
        (billing, price_unit, test, user, arms) in
            (billing(), price_unit(), any::<bool>(), prop::option::of(any::<u64>()), any::<u32>()),
        (consent, profile_used) in (prop::option::of(consent()), any::<bool>()),
    ) -> Token {
        Token {
            bid,
            lease,
            budget_day,
            bid_time: Timestamp(time),
            win_hold_end: Timestamp(time + 1000 * i64::from(win_hold_s)),
            hold_end: Timestamp(time + hold),
            exchange,
            imp: ImpRef { index, hash },
            format,
            line_item_account: AccountId(line_item_account),
            campaign_account: AccountId(campaign_account),
            line_item,
            campaign,
            advertiser,
            creative,
            deal,
            reserved: Nanos(reserved),
            rate: Rate(rate),
            currency,
            price: Cpm(price),
            billing,
            price_unit,
            test,
            user: user.map(UserKey),
            consent,
            profile_used,
            arms,
        }
    }
}

proptest! {
    #[test]
    fn every_token_opens_as_it_was_sealed(token in any_token()) {
        let sealer = Sealer::new(&[key(1)]);
        let text = sealed(&sealer, &token);
        prop_assert_eq!(text.len(), TOKEN_LEN);
        prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        prop_assert_eq!(sealer.open(&text), Ok(token));
    }

    #[test]
    fn a_token_with_any_bit_flipped_is_refused(token in any_token(), bit in 0usize..158 * 8) {
        let sealer = Sealer::new(&[key(1)]);
        let mut bytes = URL_SAFE_NO_PAD.decode(sealed(&sealer, &token)).unwrap();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(sealer.open(&URL_SAFE_NO_PAD.encode(bytes)).is_err());
    }

    #[test]
    fn any_text_is_read_without_panic(text in "\\PC{0,300}") {
        prop_assert!(Sealer::new(&[key(1)]).open(&text).is_err());
    }

    #[test]
    fn any_bytes_in_base64_are_refused(bytes in prop::collection::vec(any::<u8>(), 150..162)) {
        prop_assert!(Sealer::new(&[key(1)]).open(&URL_SAFE_NO_PAD.encode(bytes)).is_err());
    }

    #[test]
    fn nothing_of_the_body_can_be_read_without_the_key(token in any_token()) {
        let bytes = URL_SAFE_NO_PAD.decode(sealed(&Sealer::new(&[key(1)]), &token)).unwrap();
        for secret in [token.line_item.0, token.creative.0, token.exchange.0] {
            prop_assert!(!bytes.windows(8).any(|window| window == secret.to_le_bytes()));
        }
    }
}

fn token() -> Token {
    Token {
        bid: BidId::new(1, 2, 3),
        lease: 0,
        budget_day: 20_000,
        bid_time: Timestamp(1_728_000_000_000),
        win_hold_end: Timestamp(1_728_000_060_000),
        hold_end: Timestamp(1_728_000_300_000),
        exchange: ObjectId(1),
        imp: ImpRef::of(0, "1"),
        format: Format::Banner,
        line_item_account: AccountId(2),
        campaign_account: AccountId(3),
        line_item: ObjectId(4),
        campaign: ObjectId(5),
        advertiser: ObjectId(6),
        creative: ObjectId(7),
        deal: None,
        reserved: Nanos(8),
        rate: Rate::ONE,
        currency: Currency::USD,
        price: Cpm(9),
        billing: BillingEvent::Burl,
        price_unit: PriceUnit::Cpm,
        test: false,
        user: None,
        consent: None,
        profile_used: false,
        arms: 0,
    }
}

#[test]
fn the_newest_key_seals_and_old_ones_still_open() {
    let old = sealed(&Sealer::new(&[key(1)]), &token());
    let rotated = Sealer::new(&[key(2), key(1)]);
    assert_eq!(rotated.open(&old), Ok(token()));
    let new = sealed(&rotated, &token());
    assert_eq!(Sealer::new(&[key(2)]).open(&new), Ok(token()));
    assert_eq!(Sealer::new(&[key(1)]).open(&new), Err(TokenError::UnknownKey(2)));
}

#[test]
fn a_refusal_says_why() {
    let sealer = Sealer::new(&[key(1)]);
    let good = sealed(&sealer, &token());
    let versioned = {
        let mut bytes = URL_SAFE_NO_PAD.decode(&good).unwrap();
        bytes[0] = 9;
        URL_SAFE_NO_PAD.encode(bytes)
    };
    let other_key = Sealer::new(&[TokenKey {
        id: 1,
        secret: [9; 32],
    }]);
    let cases = [
        ("", TokenError::Shape),
        (&good[..TOKEN_LEN - 1], TokenError::Shape),
        (&format!("{good}A"), TokenError::Shape),
        (&format!("{}=", &good[1..]), TokenError::Shape),
        (&versioned, TokenError::Version(9)),
        (&sealed(&other_key, &token()), TokenError::Forged),
    ];
    for (text, expected) in cases {
        assert_eq!(sealer.open(text), Err(expected), "{text}");
    }
}

/// `(message or enum, field, number, type)` of every line, with labels as part of the type.
type Fields = Vec<(String, String, u32, String)>;

fn fields_of_proto(text: &str) -> Fields {
    let mut fields = Vec::new();
    let mut owner = String::new();
    for line in text.lines().map(str::trim) {
        let words: Vec<&str> = line
            .trim_end_matches([';', '{', '}'])
            .split_whitespace()
            .collect();
        match words.as_slice() {
            ["message" | "enum", name] => owner = (*name).into(),
            [value, "=", number] if value.chars().all(|c| c.is_ascii_uppercase() || c == '_') => {
                let prefix = format!("{}_", upper_snake(&owner));
                let name = value
                    .strip_prefix(&prefix)
                    .expect("values carry the name of their enum");
                fields.push((
                    owner.clone(),
                    name.replace('_', ""),
                    number.parse().unwrap(),
                    "value".into(),
                ));
            }
            [kind @ .., name, "=", number] if matches!(kind.len(), 1 | 2) && kind[0] != "syntax" => {
                fields.push((
                    owner.clone(),
                    (*name).into(),
                    number.parse().unwrap(),
                    kind.join(" "),
                ));
            }
            _ => {}
        }
    }
    fields.sort();
    fields
}

fn fields_of_rust(text: &str) -> Fields {
    let mut fields = Vec::new();
    let (mut owner, mut attribute) = (String::new(), String::new());
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("#[prost(") {
            attribute = rest.trim_end_matches(")]").into();
        } else if let Some(rest) = line
            .strip_prefix("pub struct ")
            .or(line.strip_prefix("pub enum "))
        {
            owner = rest.split_whitespace().next().unwrap().into();
        } else if let Some((name, number)) = line.trim_end_matches(',').split_once(" = ")
            && let Ok(number) = number.parse()
        {
            fields.push((owner.clone(), name.to_uppercase(), number, "value".into()));
        } else if !attribute.is_empty() {
            let tag = attribute
                .rsplit_once("tag = \"")
                .map(|(_, tag)| tag.trim_end_matches('"'));
            if let Some(number) = tag.and_then(|tag| tag.parse().ok()) {
                let (name, kind) = rust_field(line, &attribute);
                let owner = if owner == "What" {
                    "Event".into()
                } else {
                    owner.clone()
                };
                fields.push((owner, name, number, kind));
            }
            attribute.clear();
        }
    }
    fields.sort();
    fields
}

/// Name and protobuf type of `pub name: Type,` or of a variant `Name(Type),`.
fn rust_field(line: &str, attribute: &str) -> (String, String) {
    if let Some((_, variant)) = line.trim_end_matches(',').split_once('(') {
        let name = variant.trim_end_matches(')');
        return (name.to_lowercase(), name.into());
    }
    let (name, rust) = line
        .trim_start_matches("pub ")
        .trim_end_matches(',')
        .split_once(": ")
        .unwrap();
    let inner = rust
        .split_once('<')
        .map_or(rust, |(_, inner)| inner.trim_end_matches('>'));
    let scalar = attribute.split([',', ' ']).next().unwrap();
    let kind = match scalar {
        "message" => inner,
        "enumeration" => attribute.split('"').nth(1).unwrap(),
        scalar => scalar,
    };
    let label = match rust.split_once('<') {
        Some(("Vec", _)) => "repeated ",
        // Message fields are optional in any case.
        Some(_) if scalar != "message" || name == "bid" => "optional ",
        _ => "",
    };
    (name.into(), format!("{label}{kind}"))
}

fn upper_snake(name: &str) -> String {
    let mut text = String::new();
    for (at, letter) in name.char_indices() {
        if at > 0 && letter.is_uppercase() {
            text.push('_');
        }
        text.extend(letter.to_uppercase());
    }
    text
}

#[test]
fn the_schema_file_and_its_rust_twin_have_the_same_fields() {
    let proto = fields_of_proto(include_str!("../src/events/event.proto"));
    let rust = fields_of_rust(include_str!("../src/events/proto.rs"));
    assert!(proto.len() > 100, "{} fields", proto.len());
    for (left, right) in proto.iter().zip(&rust) {
        assert_eq!(left, right);
    }
    assert_eq!(proto.len(), rust.len());
}
