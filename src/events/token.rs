//! The notice token: all that a notice needs in order to be booked, sealed into the URLs that go out with a bid.
//!
//! Invariant: a token that opens was sealed under one of our keys and is unchanged to the bit.
//!
//! ```text
//! offset  bytes
//!      0      1  version (3)
//!      1      1  key id
//!      2     12  nonce = node (2), boot epoch (4), counter (6) of the bid id, big endian
//!     14    128  body, encrypted, little endian:
//!                  lease u32 · budget day u16 · bid time u48 ms · win hold u16 s · hold end u32 ms after the bid ·
//!                  exchange u64 · imp index u8 · imp hash u32 · format u8 · line item account u64 ·
//!                  campaign account u64 · line item u64 · campaign u64 · advertiser u64 · creative u64 ·
//!                  deal u64 · reserved i64 · rate i64 · currency 3 letters · bid price u40 · terms u8 ·
//!                  flags u8 · user key u64 · consent u16 · experiment arms u32
//!    142     16  tag of ChaCha20-Poly1305 (RFC 8439) over the body, with bytes 0..14 as associated data
//! ```
//!
//! 158 bytes are 211 characters of URL-safe base64. A token is of one length whatever it holds, so that its
//! length says nothing about the user.
//!
//! The nonce is the bid id. That is safe as long as one key never seals two different bodies for one bid id:
//! [`BootEpoch`](super::boot::BootEpoch) makes an epoch durable before its first id and workers draw disjoint
//! counters; a bid is sealed once, when its price and reservation are final. Nodes that share keys must have
//! different node numbers.

use super::keys::TokenKey;
use crate::openrtb::notice::PriceUnit;
use crate::openrtb::privacy::Consent;
use crate::store::exchange::BillingEvent;
use crate::store::rates::Rate;
use crate::units::{AccountId, BidId, Cpm, Currency, Nanos, ObjectId, Timestamp, UserKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce, Tag};

const VERSION: u8 = 3;
const NONCE: usize = 12;
/// Version, key id and nonce.
const HEADER: usize = 2 + NONCE;
const BODY: usize = 128;
const TAG: usize = 16;
const SEALED: usize = HEADER + BODY + TAG;
const _: () = assert!(SEALED <= 160);

/// Characters of a sealed token: four for every three bytes, without padding.
pub const TOKEN_LEN: usize = (SEALED * 4).div_ceil(3);

/// What a bid was, as its notices need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its node owns the reservation.
    pub bid: BidId,
    /// The lease that the money came from: which process of the owner made the bid. 0 where budgets are not leased.
    pub lease: u32,
    /// The day of the bid in the advertiser's time zone, days since 1970.
    pub budget_day: u16,
    /// 0..2⁴⁸ ms: until the year 10,889.
    pub bid_time: Timestamp,
    /// The end of the first hold, that of a bid without a known win: whole seconds, at most 18 hours, after the bid.
    pub win_hold_end: Timestamp,
    /// The end of the last hold, `exp` of the bid: at most 49 days after the bid.
    pub hold_end: Timestamp,
    pub exchange: ObjectId,
    pub imp: ImpRef,
    pub format: Format,
    pub line_item_account: AccountId,
    pub campaign_account: AccountId,
    pub line_item: ObjectId,
    pub campaign: ObjectId,
    pub advertiser: ObjectId,
    pub creative: ObjectId,
    pub deal: Option<ObjectId>,
    /// Held for this bid, in the accounting currency: `price` times the impressions that were bid for.
    pub reserved: Nanos,
    /// Accounting units per unit of `currency`, as it was for the bid.
    pub rate: Rate,
    pub currency: Currency,
    /// Our price as sent, in `currency`.
    pub price: Cpm,
    /// The event that books the bid, as agreed with the exchange when the bid was made.
    pub billing: BillingEvent,
    /// What the price macro of the exchange carries.
    pub price_unit: PriceUnit,
    /// `test = 1`: nothing is booked or counted.
    pub test: bool,
    /// Only where consent allows it to be used and kept.
    pub user: Option<UserKey>,
    /// What the bid was allowed to use of the user's data, and which signal decided that. `None` = not known.
    pub consent: Option<Consent>,
    /// A stored profile was found and used.
    pub profile_used: bool,
    /// Bits 0-7: 1 where the bid was a trial of exploration; bits 16-31: the placement of its source (0 = not known).
    pub arms: u32,
}

/// Which imp of the request was bid on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImpRef {
    /// Position in the request.
    pub index: u8,
    /// The low half of the xxh3 of `imp.id`.
    pub hash: u32,
}

impl ImpRef {
    pub fn of(index: u8, id: &str) -> ImpRef {
        ImpRef {
            index,
            hash: ObjectId::of(id).0 as u32,
        }
    }
}

/// `bid.mtype`, OpenRTB 2.6 section 4.2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Format {
    Banner = 1,
    Video = 2,
    Audio = 3,
    Native = 4,
}

impl Format {
    pub fn from_mtype(mtype: u8) -> Option<Format> {
        [Format::Banner, Format::Video, Format::Audio, Format::Native]
            .into_iter()
            .find(|format| *format as u8 == mtype)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("not a token: {TOKEN_LEN} characters of URL-safe base64 without padding are one")]
    Shape,
    #[error("token of version {0}; this build reads version {VERSION}")]
    Version(u8),
    #[error("token sealed under key {0}, which is not in the key directory")]
    UnknownKey(u8),
    #[error("token is forged or was changed on its way")]
    Forged,
}

/// Seals and opens tokens. Holds no lock and allocates nothing once made.
#[derive(Clone)]
pub struct Sealer {
    keys: Vec<(u8, ChaCha20Poly1305)>,
}

impl Sealer {
    /// The key of the highest id seals; all of them open.
    ///
    /// # Panics
    /// Without a key: [`Keys`](super::keys::Keys) always has one.
    pub fn new(keys: &[TokenKey]) -> Sealer {
        assert!(!keys.is_empty(), "a sealer needs a key");
        let mut keys: Vec<_> = keys
            .iter()
            .map(|key| (key.id, ChaCha20Poly1305::new(&key.secret.into())))
            .collect();
        keys.sort_unstable_by_key(|(id, _)| *id);
        Sealer { keys }
    }

    /// Writes the token's text into `out` and returns it.
    pub fn seal<'a>(&self, token: &Token, out: &'a mut [u8; TOKEN_LEN]) -> &'a str {
        let (key_id, cipher) = self.keys.last().expect("a sealer has a key");
        let mut sealed = [0; SEALED];
        let (header, rest) = sealed.split_at_mut(HEADER);
        let (body, tag) = rest.split_at_mut(BODY);
        header[0] = VERSION;
        header[1] = *key_id;
        header[2..].copy_from_slice(&nonce_of(token.bid));
        write_body(token, body);
        let sum = cipher
            .encrypt_in_place_detached(Nonce::from_slice(&header[2..]), header, body)
            .expect("a body of 128 bytes is far below the cipher's limit of 256 GiB");
        tag.copy_from_slice(&sum);
        let written = URL_SAFE_NO_PAD
            .encode_slice(sealed, out)
            .expect("the buffer is as long as the text");
        std::str::from_utf8(&out[..written]).expect("base64 is ASCII")
    }

    /// Reads a token. Whether it has expired is for the caller to say.
    pub fn open(&self, text: &str) -> Result<Token, TokenError> {
        let mut sealed = [0; SEALED];
        let read = URL_SAFE_NO_PAD.decode_slice(text, &mut sealed);
        if text.len() != TOKEN_LEN || read != Ok(SEALED) {
            return Err(TokenError::Shape);
        }
        let (header, rest) = sealed.split_at_mut(HEADER);
        let (body, tag) = rest.split_at_mut(BODY);
        if header[0] != VERSION {
            return Err(TokenError::Version(header[0]));
        }
        let (_, cipher) = self
            .keys
            .iter()
            .find(|(id, _)| *id == header[1])
            .ok_or(TokenError::UnknownKey(header[1]))?;
        cipher
            .decrypt_in_place_detached(
                Nonce::from_slice(&header[2..]),
                header,
                body,
                Tag::from_slice(tag),
            )
            .map_err(|_| TokenError::Forged)?;
        // A body that opens but makes no sense can only come from another program with our key.
        read_body(bid_of(&header[2..]), body).ok_or(TokenError::Forged)
    }
}

fn nonce_of(bid: BidId) -> [u8; NONCE] {
    let mut nonce = [0; NONCE];
    nonce.copy_from_slice(&bid.0.to_be_bytes()[..NONCE]);
    nonce
}

fn bid_of(nonce: &[u8]) -> BidId {
    let mut bytes = [0; 16];
    bytes[..NONCE].copy_from_slice(nonce);
    BidId(u128::from_be_bytes(bytes))
}

fn write_body(token: &Token, body: &mut [u8]) {
    let mut at = Writer { body, at: 0 };
    at.put(u64::from(token.lease), 4);
    at.put(u64::from(token.budget_day), 2);
    at.put(token.bid_time.0.clamp(0, (1 << 48) - 1) as u64, 6);
    let win_hold_s = token.win_hold_end.since(token.bid_time) / 1000;
    at.put(win_hold_s.clamp(0, i64::from(u16::MAX)) as u64, 2);
    at.put(
        token.hold_end.since(token.bid_time).clamp(0, i64::from(u32::MAX)) as u64,
        4,
    );
    at.put(token.exchange.0, 8);
    at.put(u64::from(token.imp.index), 1);
    at.put(u64::from(token.imp.hash), 4);
    at.put(token.format as u64, 1);
    at.put(token.line_item_account.0, 8);
    at.put(token.campaign_account.0, 8);
    at.put(token.line_item.0, 8);
    at.put(token.campaign.0, 8);
    at.put(token.advertiser.0, 8);
    at.put(token.creative.0, 8);
    at.put(token.deal.unwrap_or_default().0, 8);
    at.put(token.reserved.0 as u64, 8);
    at.put(token.rate.0 as u64, 8);
    for letter in token.currency.bytes() {
        at.put(u64::from(letter), 1);
    }
    at.put(token.price.0.clamp(0, Cpm::MAX.0) as u64, 5);
    at.put(write_terms(token), 1);
    at.put(write_flags(token), 1);
    at.put(token.user.map_or(0, |user| user.0), 8);
    at.put(token.consent.map_or(NO_CONSENT_KNOWN, Consent::to_bits).into(), 2);
    at.put(u64::from(token.arms), 4);
    debug_assert_eq!(at.at, BODY);
}

fn read_body(bid: BidId, body: &[u8]) -> Option<Token> {
    let mut at = Reader { body };
    let lease = at.take(4)? as u32;
    let budget_day = at.take(2)? as u16;
    let bid_time = Timestamp(at.take(6)? as i64);
    let win_hold_end = Timestamp(bid_time.0 + 1000 * at.take(2)? as i64);
    let hold_end = Timestamp(bid_time.0 + at.take(4)? as i64);
    let exchange = ObjectId(at.take(8)?);
    let imp = ImpRef {
        index: at.take(1)? as u8,
        hash: at.take(4)? as u32,
    };
    let format = Format::from_mtype(at.take(1)? as u8)?;
    let line_item_account = AccountId(at.take(8)?);
    let campaign_account = AccountId(at.take(8)?);
    let line_item = ObjectId(at.take(8)?);
    let campaign = ObjectId(at.take(8)?);
    let advertiser = ObjectId(at.take(8)?);
    let creative = ObjectId(at.take(8)?);
    let deal = ObjectId(at.take(8)?);
    let reserved = Nanos(at.take(8)? as i64);
    let rate = Rate(at.take(8)? as i64);
    let letters = [at.take(1)? as u8, at.take(1)? as u8, at.take(1)? as u8];
    let currency = Currency::parse(std::str::from_utf8(&letters).ok()?)?;
    let price = Cpm(at.take(5)? as i64);
    let (billing, price_unit) = read_terms(at.take(1)? as u8)?;
    let flags = at.take(1)? as u8;
    let user = UserKey(at.take(8)?);
    let consent = match at.take(2)? as u16 {
        NO_CONSENT_KNOWN => None,
        bits => Some(Consent::from_bits(bits)?),
    };
    let arms = at.take(4)? as u32;
    Some(Token {
        bid,
        lease,
        budget_day,
        bid_time,
        win_hold_end,
        hold_end,
        exchange,
        imp,
        format,
        line_item_account,
        campaign_account,
        line_item,
        campaign,
        advertiser,
        creative,
        deal: (flags & FLAG_DEAL != 0).then_some(deal),
        reserved,
        rate,
        currency,
        price,
        billing,
        price_unit,
        test: flags & FLAG_TEST != 0,
        user: (flags & FLAG_USER != 0).then_some(user),
        consent,
        profile_used: flags & FLAG_PROFILE != 0,
        arms,
    })
}

const FLAG_TEST: u8 = 1;
const FLAG_USER: u8 = 2;
const FLAG_DEAL: u8 = 4;
const FLAG_PROFILE: u8 = 8;
/// No signal has this number.
const NO_CONSENT_KNOWN: u16 = u16::MAX;

fn write_flags(token: &Token) -> u64 {
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    u64::from(
        flag(token.test, FLAG_TEST)
            | flag(token.user.is_some(), FLAG_USER)
            | flag(token.deal.is_some(), FLAG_DEAL)
            | flag(token.profile_used, FLAG_PROFILE),
    )
}

/// Bits 0-1 the billing event, bits 2-3 the unit of the price macro.
fn write_terms(token: &Token) -> u64 {
    let billing = match token.billing {
        BillingEvent::Burl => 0,
        BillingEvent::Impression => 1,
        BillingEvent::Win => 2,
    };
    let unit = match token.price_unit {
        PriceUnit::Cpm => 0,
        PriceUnit::CpmMicros => 1,
        PriceUnit::Impression => 2,
    };
    billing | unit << 2
}

fn read_terms(terms: u8) -> Option<(BillingEvent, PriceUnit)> {
    let billing = match terms & 3 {
        0 => BillingEvent::Burl,
        1 => BillingEvent::Impression,
        2 => BillingEvent::Win,
        _ => return None,
    };
    let unit = match terms >> 2 {
        0 => PriceUnit::Cpm,
        1 => PriceUnit::CpmMicros,
        2 => PriceUnit::Impression,
        _ => return None,
    };
    Some((billing, unit))
}

struct Writer<'a> {
    body: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    /// The low `bytes` bytes of `value`.
    fn put(&mut self, value: u64, bytes: usize) {
        self.body[self.at..self.at + bytes].copy_from_slice(&value.to_le_bytes()[..bytes]);
        self.at += bytes;
    }
}

struct Reader<'a> {
    body: &'a [u8],
}

impl Reader<'_> {
    fn take(&mut self, bytes: usize) -> Option<u64> {
        let (value, rest) = self.body.split_at_checked(bytes)?;
        self.body = rest;
        let mut wide = [0; 8];
        wide[..bytes].copy_from_slice(value);
        Some(u64::from_le_bytes(wide))
    }
}
