//! Notices and the tokens in them.

use super::allocations::at_most;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use outbid::events::keys::{PostbackKey, TokenKey};
use outbid::events::postback::{ConversionError, parse_pixel, parse_postback, sign};
use outbid::events::token::{Format, ImpRef, Sealer, TOKEN_LEN, Token};
use outbid::openrtb::notice::{NoticeQuery, PriceField, PriceUnit};
use outbid::openrtb::price_crypto::{AdxKeys, PriceCodec};
use outbid::store::exchange::BillingEvent;
use outbid::store::rates::Rate;
use outbid::units::{AccountId, BidId, Cpm, Currency, Nanos, ObjectId, Timestamp, UserKey};

const KEY: [u8; 32] = [7; 32];

/// A query is read at most so much larger than it is: names and values are decoded once, and sorted.
const BYTES_A_BYTE: usize = 128;
const BYTES_AT_LEAST: usize = 8 << 10;

/// The query of a notice, of a conversion pixel and of a signed postback.
pub fn notice_query(data: &[u8]) {
    let query = at_most(0, || NoticeQuery::parse(data));
    assert_eq!(query, NoticeQuery::parse(data));
    let adx = PriceCodec::Adx(AdxKeys {
        encryption: KEY,
        integrity: KEY,
    });
    for codec in [PriceCodec::Plain, PriceCodec::Base64, adx] {
        for unit in [PriceUnit::Cpm, PriceUnit::CpmMicros, PriceUnit::Impression] {
            for text in [query.price, query.min_to_win] {
                if let PriceField::Value(price) = at_most(0, || text.read(unit, &codec)) {
                    assert!((Cpm(0)..=Cpm::MAX).contains(&price), "{price:?}");
                }
            }
        }
    }
    conversion(data);
}

fn conversion(data: &[u8]) {
    let key = PostbackKey(KEY);
    let bound = BYTES_AT_LEAST + BYTES_A_BYTE * data.len();
    let pixel = at_most(bound, || parse_pixel(data));
    assert!(!pixel.is_ok_and(|query| query.conversion.reversal));
    let Ok(signature) = at_most(bound, || sign(data, &key)) else {
        return;
    };
    // Whatever the partner signed is known to be signed; that it makes sense is another matter.
    let signed = [data, b"&sig=", signature.as_bytes()].concat();
    let known = !matches!(
        parse_postback(&signed, &key),
        Err(ConversionError::Signature | ConversionError::Encoding)
    );
    assert!(known, "our own signature is not known");
    assert!(parse_postback(&signed, &PostbackKey([8; 32])).is_err());
}

/// A token's text, and bytes that change one.
pub fn token(data: &[u8]) {
    let sealer = Sealer::new(&[TokenKey { id: 1, secret: KEY }]);
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(
            at_most(0, || sealer.open(text)).is_err(),
            "a token that nobody sealed"
        );
    }
    let whole = of(data);
    let mut out = [0; TOKEN_LEN];
    let sealed = at_most(0, || sealer.seal(&whole, &mut out)).to_owned();
    assert_eq!(sealer.open(&sealed), Ok(whole));
    let mut bytes = URL_SAFE_NO_PAD.decode(&sealed).expect("a token is base64");
    for (byte, change) in bytes.iter_mut().zip(data) {
        *byte ^= change;
    }
    let changed = data.iter().take(bytes.len()).any(|change| *change != 0);
    let opened = sealer.open(&URL_SAFE_NO_PAD.encode(&bytes));
    assert_eq!(opened.is_ok(), !changed, "{opened:?}");
    assert!(sealer.open(&URL_SAFE_NO_PAD.encode(data)).is_err());
}

/// A token whose numbers come from the data.
fn of(data: &[u8]) -> Token {
    let number = |at: usize| {
        let bytes = (0..8).map(|offset| data.get(at + offset).copied().unwrap_or(0));
        bytes.fold(0_u64, |number, byte| number << 8 | u64::from(byte))
    };
    let bid_time = (number(0) >> 17) as i64;
    Token {
        bid: BidId::new(number(1) as u16, number(3) as u32, number(7) >> 16),
        lease: number(9) as u32,
        budget_day: number(13) as u16,
        bid_time: Timestamp(bid_time),
        win_hold_end: Timestamp(bid_time + 1000 * i64::from(number(113) as u16)),
        hold_end: Timestamp(bid_time + i64::from(number(15) as u32)),
        exchange: ObjectId(number(19)),
        imp: ImpRef {
            index: number(27) as u8,
            hash: number(28) as u32,
        },
        format: Format::from_mtype(number(32) as u8 % 4 + 1).expect("1 to 4 are formats"),
        line_item_account: AccountId(number(33)),
        campaign_account: AccountId(number(41)),
        line_item: ObjectId(number(49)),
        campaign: ObjectId(number(57)),
        advertiser: ObjectId(number(65)),
        creative: ObjectId(number(73)),
        deal: Some(ObjectId(number(81))).filter(|deal| deal.0 != 0),
        reserved: Nanos((number(89) >> 1) as i64),
        rate: Rate((number(97) >> 1).max(1) as i64),
        currency: Currency::USD,
        price: Cpm((number(105) >> 25) as i64),
        billing: BillingEvent::Burl,
        price_unit: PriceUnit::Cpm,
        test: number(110) & 1 == 1,
        user: Some(UserKey(number(111))).filter(|user| user.0 != 0),
        consent: None,
        profile_used: number(112) & 1 == 1,
        arms: number(119) as u32,
    }
}
