//! Notices and beacons: the URLs that go out in bids and markup, and the queries that come back.
//!
//! This is the only place that knows their paths and parameters. Whatever bytes come back, reading them is a value:
//! a price that cannot be read is told apart from a price that was not sent.

use super::macros::{self, Macro};
use super::price_crypto::PriceCodec;
use crate::units::{Cpm, Currency, Timestamp};

/// What a URL of ours reports. All of them lie under `/n/` and carry the notice token as `t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// `nurl`: the bid won.
    Win,
    /// `burl`: the bid is billable.
    Bill,
    /// `lurl`: the bid lost.
    Loss,
    /// The markup was shown (banner pixel, VAST `Impression`, native tracker).
    Impression,
    /// The ad was clicked; answered by a redirect to the landing page.
    Click,
    /// Playback of a video ad reached a [`VideoEvent`].
    Video,
    /// The player could not show the video ad.
    VideoError,
}

impl Notice {
    pub const ALL: [Notice; 7] = [
        Notice::Win,
        Notice::Bill,
        Notice::Loss,
        Notice::Impression,
        Notice::Click,
        Notice::Video,
        Notice::VideoError,
    ];

    pub const fn path(self) -> &'static str {
        match self {
            Notice::Win => "/n/win",
            Notice::Bill => "/n/bill",
            Notice::Loss => "/n/loss",
            Notice::Impression => "/n/imp",
            Notice::Click => "/n/click",
            Notice::Video => "/n/ev",
            Notice::VideoError => "/n/err",
        }
    }

    pub fn from_path(path: &str) -> Option<Notice> {
        Notice::ALL.into_iter().find(|notice| notice.path() == path)
    }

    /// The query behind the token: macros of section 4.4 for the exchange, of VAST for the player.
    /// What the token knows (auction, imp, seat, ad) is not asked for again.
    /// A [`Notice::Video`] is followed by the name of its [`VideoEvent`].
    pub const fn query(self) -> &'static str {
        match self {
            Notice::Win => {
                "&p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}&x=${AUCTION_MULTIPLIER}\
                 &m=${AUCTION_MIN_TO_WIN}&r=${AUCTION_MBR}\
                 &dp=${AUCTION_DISCOUNT_PCT}&dc=${AUCTION_DISCOUNT_CPM}"
            }
            Notice::Bill => {
                "&p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}&x=${AUCTION_MULTIPLIER}&ts=${AUCTION_IMP_TS}\
                 &dp=${AUCTION_DISCOUNT_PCT}&dc=${AUCTION_DISCOUNT_CPM}"
            }
            Notice::Loss => "&l=${AUCTION_LOSS}&m=${AUCTION_MIN_TO_WIN}&c=${AUCTION_CURRENCY}",
            Notice::Impression => "&p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}&x=${AUCTION_MULTIPLIER}",
            Notice::Click => "",
            Notice::Video => "&e=",
            Notice::VideoError => "&code=[ERRORCODE]",
        }
    }
}

/// The queries of all notices with the macros as one exchange spells them, such as `${AUCTION_PRICE:B64}` or
/// `%%WINNING_PRICE%%` (section 4.4: encodings and further macros are agreed with the exchange).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queries([Box<str>; Notice::ALL.len()]);

impl Queries {
    pub fn spelled(spellings: &[(Macro, String)]) -> Queries {
        let spell = |notice: Notice| {
            let lookup = |name| spellings.iter().find(|(known, _)| *known == name);
            macros::expand(notice.query(), |name| lookup(name).map(|(_, text)| text.as_str())).into()
        };
        Queries(Notice::ALL.map(spell))
    }

    /// [`Notice::query`] where nothing else is agreed.
    pub fn get(agreed: Option<&Queries>, notice: Notice) -> &str {
        agreed.map_or(notice.query(), |queries| &queries.0[notice as usize])
    }
}

/// Playback progress, by the names of the `TrackingEvents` of VAST 4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoEvent {
    Start,
    FirstQuartile,
    Midpoint,
    ThirdQuartile,
    Complete,
    Skip,
}

impl VideoEvent {
    pub const ALL: [VideoEvent; 6] = [
        VideoEvent::Start,
        VideoEvent::FirstQuartile,
        VideoEvent::Midpoint,
        VideoEvent::ThirdQuartile,
        VideoEvent::Complete,
        VideoEvent::Skip,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            VideoEvent::Start => "start",
            VideoEvent::FirstQuartile => "firstQuartile",
            VideoEvent::Midpoint => "midpoint",
            VideoEvent::ThirdQuartile => "thirdQuartile",
            VideoEvent::Complete => "complete",
            VideoEvent::Skip => "skip",
        }
    }
}

/// The parameters of a notice, as sent; `None` and empty where a parameter is missing or makes no sense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoticeQuery<'a> {
    /// URL-safe base64 by its letters; whether it is a token is for the key to say.
    pub token: Option<&'a str>,
    pub price: PriceText<'a>,
    pub currency: Option<Currency>,
    pub loss: Option<u32>,
    pub min_to_win: PriceText<'a>,
    /// Clearing price ÷ bid price, in millionths.
    pub market_bid_ratio_micros: Option<u64>,
    /// The seller's discount, in millionths of a percent of the bid.
    pub discount_percent_micros: Option<u64>,
    /// The seller's discount, in the unit of the price.
    pub discount: PriceText<'a>,
    /// Impressions won, in millionths (1,000,000 = 1.0), as in `Imp::qty_micros`.
    pub multiplier_micros: Option<u64>,
    /// When the ad was shown (`${AUCTION_IMP_TS}`).
    pub shown_at: Option<Timestamp>,
    pub video_event: Option<VideoEvent>,
    /// VAST error code.
    pub error_code: Option<u32>,
}

impl<'a> NoticeQuery<'a> {
    /// Reads the query of a GET, or the `application/x-www-form-urlencoded` body of a POST.
    /// Unknown parameters are ignored; of a parameter sent twice the first counts.
    pub fn parse(query: &'a [u8]) -> NoticeQuery<'a> {
        let mut found = NoticeQuery::default();
        for pair in query.split(|&b| b == b'&') {
            let equals = pair.iter().position(|&b| b == b'=').unwrap_or(pair.len());
            let (key, value) = (&pair[..equals], pair.get(equals + 1..).unwrap_or_default());
            found = found.or(NoticeQuery::parse_field(key, value));
        }
        found
    }

    /// What `self` lacks, from `other`: a POST whose URL and body both carry parameters.
    pub fn or(self, other: NoticeQuery<'a>) -> NoticeQuery<'a> {
        NoticeQuery {
            token: self.token.or(other.token),
            price: self.price.or(other.price),
            currency: self.currency.or(other.currency),
            loss: self.loss.or(other.loss),
            min_to_win: self.min_to_win.or(other.min_to_win),
            market_bid_ratio_micros: self.market_bid_ratio_micros.or(other.market_bid_ratio_micros),
            discount_percent_micros: self.discount_percent_micros.or(other.discount_percent_micros),
            discount: self.discount.or(other.discount),
            multiplier_micros: self.multiplier_micros.or(other.multiplier_micros),
            shown_at: self.shown_at.or(other.shown_at),
            video_event: self.video_event.or(other.video_event),
            error_code: self.error_code.or(other.error_code),
        }
    }

    fn parse_field(key: &[u8], value: &'a [u8]) -> NoticeQuery<'a> {
        let mut field = NoticeQuery::default();
        match key {
            b"t" => field.token = parse_token(value),
            b"p" => field.price = PriceText(value),
            b"c" => field.currency = Decoded::of(value).text().and_then(Currency::parse),
            b"l" => field.loss = parse_code(value),
            b"m" => field.min_to_win = PriceText(value),
            b"r" => field.market_bid_ratio_micros = parse_micros(value, RATIO_MAX),
            b"dp" => field.discount_percent_micros = parse_micros(value, 100.0),
            b"dc" => field.discount = PriceText(value),
            b"x" => field.multiplier_micros = parse_multiplier(value),
            b"ts" => field.shown_at = parse_instant(value),
            b"e" => field.video_event = parse_video_event(value),
            b"code" => field.error_code = parse_code(value),
            _ => {}
        }
        field
    }
}

/// What the price macro of an exchange carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceUnit {
    /// Units of the currency per thousand impressions, as bids are.
    Cpm,
    /// Micros of the currency per thousand impressions.
    CpmMicros,
    /// Units of the currency for this one impression.
    Impression,
}

/// A price as it was sent. Its unit and its encoding are known once the token has told the exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PriceText<'a>(&'a [u8]);

impl<'a> PriceText<'a> {
    pub fn read(self, unit: PriceUnit, codec: &PriceCodec) -> PriceField {
        if is_macro(self.0) {
            return PriceField::Unreplaced;
        }
        let decoded = Decoded::of(self.0);
        decoded
            .text()
            .map_or(PriceField::Unreadable, |text| codec.decode(text, unit))
    }

    fn or(self, other: PriceText<'a>) -> PriceText<'a> {
        if self.0.is_empty() { other } else { self }
    }
}

/// What a price parameter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceField {
    /// Not sent, or sent empty: the exchange has no value.
    Absent,
    /// The literal `AUDIT`: a rendering test, never billed.
    Audit,
    /// The macro itself came back: the exchange does not support it here.
    Unreplaced,
    /// Something else than a price from 0 to [`Cpm::MAX`], such as an encrypted price that
    /// was not made with the keys of the exchange.
    Unreadable,
    Value(Cpm),
}

/// A percent-decoded value of bounded length. `+` is left alone: it stands in numbers (`1e+3`), a blank never does.
struct Decoded {
    bytes: [u8; Decoded::LEN_MAX],
    len: usize,
    complete: bool,
}

impl Decoded {
    /// The longest value that means something is a doubly encoded macro, `%2524%257BAUCTION_PRICE%257D` and the like.
    const LEN_MAX: usize = 64;

    /// Decodes twice where the first pass leaves an escape: some exchanges encode a URL that is encoded already.
    fn of(value: &[u8]) -> Decoded {
        let once = Decoded::pass(value);
        if once.complete && once.bytes[..once.len].contains(&b'%') {
            return Decoded::pass(&once.bytes[..once.len]);
        }
        once
    }

    fn pass(value: &[u8]) -> Decoded {
        let mut decoded = Decoded {
            bytes: [0; Decoded::LEN_MAX],
            len: 0,
            complete: false,
        };
        let mut rest = value;
        while let [first, tail @ ..] = rest {
            let (byte, after) = match (first, tail) {
                (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    (hex(*high) << 4 | hex(*low), after)
                }
                _ => (*first, tail),
            };
            if decoded.len == Decoded::LEN_MAX {
                return decoded;
            }
            decoded.bytes[decoded.len] = byte;
            decoded.len += 1;
            rest = after;
        }
        decoded.complete = true;
        decoded
    }

    /// Without blanks around it; `None` when it is too long or not UTF-8.
    fn text(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.bytes[..self.len]).ok()?;
        self.complete.then_some(text.trim())
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

fn parse_token(value: &[u8]) -> Option<&str> {
    let is_base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let text = std::str::from_utf8(value).ok()?;
    (!value.is_empty() && value.iter().all(is_base64)).then_some(text)
}

/// Plain, decimal or scientific; `None` for anything else, infinities included.
fn parse_number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// What a price parameter says where it is neither encoded nor encrypted.
pub(super) fn classify_price(text: &str, unit: PriceUnit) -> PriceField {
    if text.is_empty() {
        PriceField::Absent
    } else if text.eq_ignore_ascii_case("AUDIT") {
        PriceField::Audit
    } else if is_macro(text.as_bytes()) {
        PriceField::Unreplaced
    } else {
        parse_price(text, unit).map_or(PriceField::Unreadable, PriceField::Value)
    }
}

/// A macro that nobody replaced, in a spelling that exchanges and ad servers use. Asked before percent signs are decoded
/// too: `%%ABC%%` is no escape.
fn is_macro(text: &[u8]) -> bool {
    let within = |open: &[u8], close: &[u8]| {
        text.len() > open.len() + close.len() && text.starts_with(open) && text.ends_with(close)
    };
    memchr::memmem::find(text, b"${").is_some()
        || within(b"%%", b"%%")
        || within(b"[", b"]")
        || within(b"{", b"}")
        || within(b"$$", b"$$")
}

fn parse_price(text: &str, unit: PriceUnit) -> Option<Cpm> {
    let number = parse_number(text)?;
    Cpm::from_units(match unit {
        PriceUnit::Cpm => number,
        PriceUnit::CpmMicros => number / 1e6,
        PriceUnit::Impression => number * 1e3,
    })
}

/// A code, also where it is written as an integral float (`102.0`).
fn parse_code(value: &[u8]) -> Option<u32> {
    let number = parse_number(Decoded::of(value).text()?)?;
    (number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number)).then_some(number as u32)
}

/// Above 0, at most a million impressions for one bid: no screen is seen by more people at once.
fn parse_multiplier(value: &[u8]) -> Option<u64> {
    parse_micros(value, 1e6).filter(|micros| *micros > 0)
}

/// No exchange charges a thousand times the bid.
const RATIO_MAX: f64 = 1e3;

/// A number from 0 to `max`, in millionths.
fn parse_micros(value: &[u8], max: f64) -> Option<u64> {
    let number = parse_number(Decoded::of(value).text()?)?;
    (0.0..=max)
        .contains(&number)
        .then(|| (number * 1e6).round() as u64)
}

/// Milliseconds since 1970, as far as a float counts them one by one.
fn parse_instant(value: &[u8]) -> Option<Timestamp> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let ms = parse_number(Decoded::of(value).text()?)?;
    (ms > 0.0 && ms <= EXACT_MAX).then_some(Timestamp(ms as i64))
}

fn parse_video_event(value: &[u8]) -> Option<VideoEvent> {
    VideoEvent::ALL
        .into_iter()
        .find(|event| event.name().as_bytes() == value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_price(text: &str, unit: PriceUnit, expected: PriceField) {
        let query = format!("t=abc&p={text}&c=USD");
        assert_eq!(
            NoticeQuery::parse(query.as_bytes())
                .price
                .read(unit, &PriceCodec::Plain),
            expected,
            "{text:?}"
        );
    }

    #[test]
    fn prices_are_read_in_every_form_that_exchanges_send() {
        use PriceField::*;
        for (text, expected) in [
            ("", Absent),
            ("%20", Absent),
            ("AUDIT", Audit),
            ("${AUCTION_PRICE}", Unreplaced),
            ("%24%7BAUCTION_PRICE%7D", Unreplaced),
            ("$%7bAUCTION_PRICE%7d", Unreplaced),
            ("%2524%257BAUCTION_PRICE%257D", Unreplaced),
            ("${AUCTION_PRICE:B64}", Unreplaced),
            ("%%WINNING_PRICE%%", Unreplaced),
            ("%%ABC_PRICE%%", Unreplaced),
            ("%25%25WINNING_PRICE%25%25", Unreplaced),
            ("[AUCTION_PRICE]", Unreplaced),
            ("%5BAUCTION_PRICE%5D", Unreplaced),
            ("{{price}}", Unreplaced),
            ("{AUCTION_PRICE}", Unreplaced),
            ("[]", Unreadable),
            ("1.5", Value(Cpm(1_500_000))),
            ("1", Value(Cpm(1_000_000))),
            ("0", Value(Cpm(0))),
            ("0.000001", Value(Cpm(1))),
            ("1.5e-3", Value(Cpm(1_500))),
            ("1E+1", Value(Cpm(10_000_000))),
            ("1%2E5", Value(Cpm(1_500_000))),
            (" 1.5%0A", Value(Cpm(1_500_000))),
            ("1000000", Value(Cpm::MAX)),
            ("1000000.01", Unreadable),
            ("-1", Unreadable),
            ("1e999", Unreadable),
            ("nan", Unreadable),
            ("inf", Unreadable),
            ("1,5", Unreadable),
            ("abc", Unreadable),
            ("%", Unreadable),
            ("%zz", Unreadable),
            ("%ff%fe", Unreadable),
            ("WEp8KHGyAGRA9zHM5Zs7_7dKFGcrnHRmZBFTdA", Unreadable),
        ] {
            check_price(text, PriceUnit::Cpm, expected);
        }
        check_price(&"9".repeat(1000), PriceUnit::Cpm, Unreadable);
        check_price("1500000", PriceUnit::CpmMicros, Value(Cpm(1_500_000)));
        check_price("0.0015", PriceUnit::Impression, Value(Cpm(1_500_000)));
    }

    #[test]
    fn every_parameter_is_read_and_the_first_one_counts() {
        let query =
            b"x=2.5&ts=1.7724528e12&t=ab-_9&l=102.0&m=&r=0.75&dp=12.5&dc=1e-1&c=eur&e=midpoint&code=405\
            &p=1&p=2&zz=1&=&&t=other";
        let found = NoticeQuery::parse(query);
        assert_eq!(found.token, Some("ab-_9"));
        assert_eq!(
            found.price.read(PriceUnit::Cpm, &PriceCodec::Plain),
            PriceField::Value(Cpm(1_000_000))
        );
        assert_eq!(found.currency, Currency::parse("EUR"));
        assert_eq!(found.loss, Some(102));
        assert_eq!(
            found.min_to_win.read(PriceUnit::Cpm, &PriceCodec::Plain),
            PriceField::Absent
        );
        assert_eq!(found.multiplier_micros, Some(2_500_000));
        assert_eq!(found.shown_at, Some(Timestamp(1_772_452_800_000)));
        assert_eq!(found.market_bid_ratio_micros, Some(750_000));
        assert_eq!(found.discount_percent_micros, Some(12_500_000));
        assert_eq!(
            found.discount.read(PriceUnit::Cpm, &PriceCodec::Plain),
            PriceField::Value(Cpm(100_000))
        );
        assert_eq!(found.video_event, Some(VideoEvent::Midpoint));
        assert_eq!(found.error_code, Some(405));
    }

    #[test]
    fn unreplaced_macros_and_nonsense_leave_a_parameter_empty() {
        let query = b"t=a%20b&l=${AUCTION_LOSS}&c=${AUCTION_CURRENCY}&x=0&e=pause&code=[ERRORCODE]";
        assert_eq!(NoticeQuery::parse(query), NoticeQuery::default());
        for query in [
            "l=-1",
            "l=1.5",
            "l=4294967296",
            "x=-1",
            "x=1e7",
            "x=nan",
            "ts=0",
            "ts=-1",
            "ts=1e300",
            "ts=${AUCTION_IMP_TS}",
            "r=-1",
            "r=1001",
            "dp=101",
            "t=",
            "t",
            "",
        ] {
            assert_eq!(
                NoticeQuery::parse(query.as_bytes()),
                NoticeQuery::default(),
                "{query}"
            );
        }
    }

    #[test]
    fn a_form_fills_what_the_url_lacks() {
        let (url, form) = (NoticeQuery::parse(b"t=a&p="), NoticeQuery::parse(b"t=b&p=1&l=3"));
        let both = url.or(form);
        assert_eq!((both.token, both.loss), (Some("a"), Some(3)));
        assert_eq!(
            both.price.read(PriceUnit::Cpm, &PriceCodec::Plain),
            PriceField::Value(Cpm(1_000_000))
        );
    }

    #[test]
    fn an_exchange_that_spells_macros_otherwise_gets_its_spelling() {
        let queries = Queries::spelled(&[
            (Macro::Price, "%%WINNING_PRICE%%".to_owned()),
            (Macro::Currency, String::new()),
        ]);
        let loss = Queries::get(Some(&queries), Notice::Loss);
        assert_eq!(loss, "&l=${AUCTION_LOSS}&m=${AUCTION_MIN_TO_WIN}&c=");
        let win = Queries::get(Some(&queries), Notice::Win);
        assert!(win.starts_with("&p=%%WINNING_PRICE%%&c=&x="), "{win}");
        for notice in Notice::ALL {
            assert_eq!(Queries::get(None, notice), notice.query());
            assert_eq!(Queries::get(Some(&Queries::spelled(&[])), notice), notice.query());
        }
    }

    #[test]
    fn paths_lead_back_to_their_notice() {
        for notice in Notice::ALL {
            assert_eq!(Notice::from_path(notice.path()), Some(notice));
        }
        assert_eq!(Notice::from_path("/n/wins"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(query in prop::collection::vec(any::<u8>(), 0..200)) {
            let found = NoticeQuery::parse(&query);
            for unit in [PriceUnit::Cpm, PriceUnit::CpmMicros, PriceUnit::Impression] {
                found.price.read(unit, &PriceCodec::Plain);
                found.min_to_win.read(unit, &PriceCodec::Plain);
            }
        }

        #[test]
        fn any_price_parameter_can_be_read(value in "[%0-9a-fA-F.${}+e-]{0,80}") {
            let query = format!("p={value}&t=x");
            let found = NoticeQuery::parse(query.as_bytes());
            if let PriceField::Value(price) = found.price.read(PriceUnit::Cpm, &PriceCodec::Plain) {
                prop_assert!(price >= Cpm::ZERO && price <= Cpm::MAX);
            }
        }

        #[test]
        fn written_prices_are_read_back_exactly(micros in 0..=Cpm::MAX.0) {
            let query = format!("p={}", Cpm(micros));
            let read = NoticeQuery::parse(query.as_bytes()).price.read(PriceUnit::Cpm, &PriceCodec::Plain);
            prop_assert_eq!(read, PriceField::Value(Cpm(micros)));
        }
    }
}
