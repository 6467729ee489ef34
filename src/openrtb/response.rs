//! The bid response, written straight into a reused buffer: OpenRTB 2.6 section 4.2, as JSON or as protobuf.
//!
//! Nothing is allocated once the buffer has grown, and what stands in it after `finish` is one valid JSON value, or one
//! `BidResponse` of `openrtb.proto`.

mod protobuf;

use super::WireFormat;
use super::notice::{Notice, Queries};
use crate::units::{BidId, Cpm, Currency};
use std::io::Write as _;

/// The third form of a no-bid of section 7.1, beside a 204 and [`write_no_bid`]: a response that says nothing.
pub fn empty(format: WireFormat) -> &'static [u8] {
    match format {
        WireFormat::Json => b"{}",
        WireFormat::Protobuf => b"",
    }
}

/// What a `BidResponse` says before its seats.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// The request's id.
    pub id: &'a str,
    /// Comes back as `${AUCTION_BID_ID}`.
    pub bid_id: Option<BidId>,
    pub currency: Currency,
}

/// One `Bid` but for its markup. Empty lists and `None` are left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct BidFields<'a> {
    pub id: BidId,
    pub imp_id: &'a str,
    /// In the currency of the head.
    pub price: Cpm,
    pub notices: NoticeUrls<'a>,
    pub ad_id: Option<&'a str>,
    pub adomain: &'a [String],
    /// The promoted app's store id.
    pub bundle: Option<&'a str>,
    pub campaign_id: Option<&'a str>,
    pub creative_id: &'a str,
    /// `iurl`: an image that represents the ad.
    pub image_url: Option<&'a str>,
    pub categories: &'a [String],
    /// Taxonomy of `categories`; written where there are any.
    pub cattax: u32,
    /// AdCOM creative attributes.
    pub attributes: &'a [u32],
    /// One attribute more that depends on the request, such as 16 for an ad that can be skipped.
    pub extra_attribute: Option<u32>,
    pub apis: &'a [u32],
    /// AdCOM protocol of the markup (VAST).
    pub protocol: Option<u32>,
    /// ISO-639-1.
    pub language: Option<&'a str>,
    pub deal_id: Option<&'a str>,
    /// Width and height.
    pub size: Option<(u32, u32)>,
    /// Width and height of the ratio, for flex ads.
    pub ratio: Option<(u32, u32)>,
    pub duration_s: Option<u32>,
    /// AdCOM slot position in pod that the bid insists on, in the dynamic part of a pod alone (section 7.6).
    pub slot_in_pod: Option<i32>,
    /// Seconds that the bid stays valid.
    pub exp_s: Option<u32>,
    pub markup: MarkupType,
    /// Carried as `ext.aigen`: the markup was made by a generative model.
    pub ai_generated: bool,
    /// Carried as `ext.dsa`, where the request asks for it.
    pub dsa: Option<Dsa<'a>>,
}

/// Who is behind an ad and what it was chosen by, for the DSA transparency extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dsa<'a> {
    /// On whose behalf the ad is shown. Of this and of `paid` the first 100 characters are written, the most that it allows.
    pub behalf: &'a str,
    pub paid: &'a str,
    /// The ad shows it itself.
    pub ad_shows: bool,
    /// Where the publisher wants them: our domain, and what of the user was applied.
    pub transparency: Option<(&'a str, DsaParameters)>,
}

/// "List of User Parameters" of the extension; 2, basic advertising, is always among them: the page and the device are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DsaParameters {
    /// 1: a stored profile (TCF purpose 4).
    pub profile: bool,
    /// 3: precise geolocation (TCF special feature 1).
    pub precise_location: bool,
}

/// The most characters of `behalf` and `paid`.
const DSA_NAME_MAX: usize = 100;

impl<'a> Dsa<'a> {
    /// No longer than it may be.
    fn behalf(&self) -> &'a str {
        first_characters(self.behalf, DSA_NAME_MAX)
    }

    fn paid(&self) -> &'a str {
        first_characters(self.paid, DSA_NAME_MAX)
    }
}

impl DsaParameters {
    fn ids(self) -> impl Iterator<Item = u32> {
        let all = [(self.profile, 1), (true, 2), (self.precise_location, 3)];
        all.into_iter().filter_map(|(applied, id)| applied.then_some(id))
    }
}

/// `mtype`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MarkupType {
    #[default]
    Banner = 1,
    Video = 2,
    Audio = 3,
    Native = 4,
}

/// Which notice URLs a bid carries, and what they are made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoticeUrls<'a> {
    /// The public URL, without a slash at its end.
    pub base: &'a str,
    /// How the exchange spells macros; `None` = as the specification does.
    pub queries: Option<&'a Queries>,
    pub token: &'a str,
    pub win: bool,
    pub bill: bool,
    pub loss: bool,
}

impl BidFields<'_> {
    fn all_attributes(&self) -> impl Iterator<Item = u32> {
        let extra = self
            .extra_attribute
            .filter(|extra| !self.attributes.contains(extra));
        self.attributes.iter().copied().chain(extra)
    }
}

/// Writes one response: `begin`, then a `seat` and its `bid`s, again and again, then `finish`.
///
/// A `SeatBid` must hold a bid (section 4.2.2), so each `seat` is followed by at least one `bid`.
#[must_use = "the response is complete only after `finish`"]
pub struct ResponseWriter<'o> {
    out: &'o mut Vec<u8>,
    format: WireFormat,
    place: Place,
    /// Where the seat that is open began; protobuf only.
    seat_start: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    BeforeSeats,
    /// After the bracket that opens `bid`.
    InSeat,
    AfterBid,
}

impl<'o> ResponseWriter<'o> {
    /// Appends to `out`.
    pub fn begin(format: WireFormat, out: &'o mut Vec<u8>, head: &ResponseHead) -> ResponseWriter<'o> {
        match format {
            WireFormat::Json => write_head(out, head),
            WireFormat::Protobuf => protobuf::write_head(out, head),
        }
        ResponseWriter {
            out,
            format,
            place: Place::BeforeSeats,
            seat_start: 0,
        }
    }

    /// `group`: all bids of the seat together or none.
    pub fn seat(&mut self, seat: Option<&str>, group: bool) {
        debug_assert_ne!(self.place, Place::InSeat, "a seat without a bid");
        let first = self.place == Place::BeforeSeats;
        match self.format {
            WireFormat::Json => begin_seat(self.out, first, seat, group),
            WireFormat::Protobuf => {
                if !first {
                    protobuf::end_message(self.out, self.seat_start);
                }
                self.seat_start = protobuf::begin_seat(self.out, seat, group);
            }
        }
        self.place = Place::InSeat;
    }

    /// `adm` appends the markup: in JSON as the *content* of a string, escaped but without its quotes
    /// ([`write_escaped`] for text that is at hand); in protobuf as it is.
    pub fn bid(&mut self, bid: &BidFields, adm: impl FnOnce(&mut Vec<u8>)) {
        debug_assert_ne!(self.place, Place::BeforeSeats, "a bid outside of a seat");
        match self.format {
            WireFormat::Json => {
                if self.place == Place::AfterBid {
                    put(self.out, ",");
                }
                write_bid(self.out, bid, adm);
            }
            WireFormat::Protobuf => protobuf::write_bid(self.out, bid, adm),
        }
        self.place = Place::AfterBid;
    }

    pub fn format(&self) -> WireFormat {
        self.format
    }

    pub fn finish(self) {
        debug_assert_ne!(self.place, Place::InSeat, "a seat without a bid");
        let seats = self.place != Place::BeforeSeats;
        match self.format {
            WireFormat::Json => put(self.out, if seats { "]}]}" } else { "]}" }),
            WireFormat::Protobuf if seats => protobuf::end_message(self.out, self.seat_start),
            WireFormat::Protobuf => {}
        }
    }
}

/// A response without a bid; `nbr` as in the list of OpenRTB 3.0, 500 and above as agreed with the exchange.
pub fn write_no_bid(format: WireFormat, out: &mut Vec<u8>, id: &str, nbr: Option<u32>) {
    if format == WireFormat::Protobuf {
        return protobuf::write_no_bid(out, id, nbr);
    }
    put(out, r#"{"id":"#);
    write_string(out, id);
    put(out, r#","seatbid":[]"#);
    put_number(out, r#","nbr":"#, nbr);
    put(out, "}");
}

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    write_escaped(out, text);
    out.push(b'"');
}

/// Appends `text` as the content of a JSON string (RFC 8259 section 7), escaping no more than it must.
pub fn write_escaped(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    loop {
        let (plain, special) = rest.split_at(plain_len(rest));
        out.extend_from_slice(plain);
        let [byte, after @ ..] = special else { return };
        write_escape(out, *byte);
        rest = after;
    }
}

/// Appends a price in units, exactly and never in scientific notation: `1.5`, `2`, `0.000001`.
/// Prices are not negative.
pub fn write_price(out: &mut Vec<u8>, price: Cpm) {
    debug_assert!(price >= Cpm::ZERO);
    let micros = price.0.unsigned_abs();
    put(out, itoa::Buffer::new().format(micros / 1_000_000));
    let mut fraction = micros % 1_000_000;
    if fraction == 0 {
        return;
    }
    out.push(b'.');
    let mut place = 100_000;
    while fraction > 0 {
        out.push(b'0' + (fraction / place) as u8);
        fraction %= place;
        place /= 10;
    }
}

fn write_head(out: &mut Vec<u8>, head: &ResponseHead) {
    put(out, r#"{"id":"#);
    write_string(out, head.id);
    if let Some(id) = head.bid_id {
        write!(out, r#","bidid":"{id}""#).expect("a vector takes every write");
    }
    put(out, r#","cur":""#);
    put(out, head.currency.as_str());
    put(out, r#"","seatbid":["#);
}

fn begin_seat(out: &mut Vec<u8>, first: bool, seat: Option<&str>, group: bool) {
    put(out, if first { "{" } else { "]},{" });
    if let Some(seat) = seat {
        put(out, r#""seat":"#);
        write_string(out, seat);
        put(out, ",");
    }
    let bids = if group {
        r#""group":1,"bid":["#
    } else {
        r#""bid":["#
    };
    put(out, bids);
}

fn write_bid(out: &mut Vec<u8>, bid: &BidFields, adm: impl FnOnce(&mut Vec<u8>)) {
    put(out, r#"{"id":""#);
    write!(out, "{}", bid.id).expect("a vector takes every write");
    put(out, r#"","impid":"#);
    write_string(out, bid.imp_id);
    put(out, r#","price":"#);
    write_price(out, bid.price);
    put(out, r#","adm":""#);
    adm(out);
    put(out, r#"","mtype":"#);
    put(out, itoa::Buffer::new().format(bid.markup as u32));
    write_notices(out, &bid.notices);
    write_creative(out, bid);
    write_shape(out, bid);
    write_ext(out, bid);
    put(out, "}");
}

fn write_ext(out: &mut Vec<u8>, bid: &BidFields) {
    if !bid.ai_generated && bid.dsa.is_none() {
        return;
    }
    put(out, r#","ext":{"#);
    if bid.ai_generated {
        put(out, r#""aigen":1"#);
    }
    if let Some(dsa) = &bid.dsa {
        put(
            out,
            if bid.ai_generated {
                r#","dsa":"#
            } else {
                r#""dsa":"#
            },
        );
        write_dsa(out, dsa);
    }
    put(out, "}");
}

fn write_dsa(out: &mut Vec<u8>, dsa: &Dsa) {
    put(out, r#"{"behalf":"#);
    write_string(out, dsa.behalf());
    put(out, r#","paid":"#);
    write_string(out, dsa.paid());
    if let Some((domain, parameters)) = dsa.transparency {
        put(out, r#","transparency":[{"domain":"#);
        write_string(out, domain);
        put(out, r#","dsaparams":["#);
        for (position, id) in parameters.ids().enumerate() {
            put(out, if position > 0 { "," } else { "" });
            put(out, itoa::Buffer::new().format(id));
        }
        put(out, "]}]");
    }
    put(
        out,
        if dsa.ad_shows {
            r#","adrender":1}"#
        } else {
            r#","adrender":0}"#
        },
    );
}

fn first_characters(text: &str, most: usize) -> &str {
    text.char_indices()
        .nth(most)
        .map_or(text, |(end, _)| &text[..end])
}

fn write_notices(out: &mut Vec<u8>, notices: &NoticeUrls) {
    let mut url = |key, notice: Notice| {
        put(out, key);
        write_escaped(out, notices.base);
        put(out, notice.path());
        put(out, "?t=");
        write_escaped(out, notices.token);
        put(out, Queries::get(notices.queries, notice));
        out.push(b'"');
    };
    if notices.win {
        url(r#","nurl":""#, Notice::Win);
    }
    if notices.bill {
        url(r#","burl":""#, Notice::Bill);
    }
    if notices.loss {
        url(r#","lurl":""#, Notice::Loss);
    }
}

/// What the exchange reviews.
fn write_creative(out: &mut Vec<u8>, bid: &BidFields) {
    put_string(out, r#","adid":"#, bid.ad_id);
    put_strings(out, r#","adomain":"#, bid.adomain);
    put_string(out, r#","bundle":"#, bid.bundle);
    put_string(out, r#","iurl":"#, bid.image_url);
    put_string(out, r#","cid":"#, bid.campaign_id);
    put_string(out, r#","crid":"#, Some(bid.creative_id));
    put_strings(out, r#","cat":"#, bid.categories);
    put_number(
        out,
        r#","cattax":"#,
        (!bid.categories.is_empty()).then_some(bid.cattax),
    );
    put_numbers(out, r#","attr":"#, bid.all_attributes());
    put_numbers(out, r#","apis":"#, bid.apis.iter().copied());
    put_string(out, r#","language":"#, bid.language);
}

fn write_shape(out: &mut Vec<u8>, bid: &BidFields) {
    put_number(out, r#","protocol":"#, bid.protocol);
    put_string(out, r#","dealid":"#, bid.deal_id);
    put_number(out, r#","w":"#, bid.size.map(|size| size.0));
    put_number(out, r#","h":"#, bid.size.map(|size| size.1));
    put_number(out, r#","wratio":"#, bid.ratio.map(|ratio| ratio.0));
    put_number(out, r#","hratio":"#, bid.ratio.map(|ratio| ratio.1));
    put_number(out, r#","dur":"#, bid.duration_s);
    if let Some(slot) = bid.slot_in_pod {
        put(out, r#","slotinpod":"#);
        put(out, itoa::Buffer::new().format(slot));
    }
    put_number(out, r#","exp":"#, bid.exp_s);
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn put_string(out: &mut Vec<u8>, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        put(out, key);
        write_string(out, value);
    }
}

fn put_strings(out: &mut Vec<u8>, key: &str, values: &[String]) {
    for (i, value) in values.iter().enumerate() {
        if i == 0 {
            put(out, key);
        }
        out.push(if i == 0 { b'[' } else { b',' });
        write_string(out, value);
    }
    if !values.is_empty() {
        out.push(b']');
    }
}

fn put_number(out: &mut Vec<u8>, key: &str, value: Option<u32>) {
    if let Some(value) = value {
        put(out, key);
        put(out, itoa::Buffer::new().format(value));
    }
}

fn put_numbers(out: &mut Vec<u8>, key: &str, values: impl Iterator<Item = u32>) {
    let mut open = false;
    for value in values {
        if !open {
            put(out, key);
        }
        out.push(if open { b',' } else { b'[' });
        put(out, itoa::Buffer::new().format(value));
        open = true;
    }
    if open {
        out.push(b']');
    }
}

fn must_escape(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// The number of bytes in front of the first one that must be escaped. Whole blocks are tested without a branch
/// inside, which the compiler turns into vector instructions: markup is long and mostly plain.
fn plain_len(bytes: &[u8]) -> usize {
    const BLOCK: usize = 32;
    let special = |block: &&[u8]| block.iter().fold(false, |any, &b| any | must_escape(b));
    let start = BLOCK
        * bytes
            .chunks_exact(BLOCK)
            .take_while(|block| !special(block))
            .count();
    start + bytes[start..].iter().take_while(|&&b| !must_escape(b)).count()
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        _ => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 0xf)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}
