//! The messages of `event.proto`, field by field; a test holds the two files together.
//!
//! Invariant: `event.proto` is the contract, this file follows it.

use prost::{Enumeration, Message, Oneof};

/// The version that this build writes into [`Event::schema_version`].
pub const SCHEMA_VERSION: u32 = 1;

/// One record of the log or the books.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    #[prost(uint32, tag = "1")]
    pub schema_version: u32,
    #[prost(int64, tag = "2")]
    pub time_ms: i64,
    /// Bit set: 1 user key may be used and kept, 2 profile may be used, 4 precise location may be used,
    /// 8 COPPA, 16 limited ad tracking, 32 GDPR applies, 64 opted out.
    #[prost(uint32, tag = "3")]
    pub consent: u32,
    /// The bid that a notice or beacon is about. Absent in a Bid.
    #[prost(message, optional, tag = "4")]
    pub about: Option<BidRef>,
    /// What the event meant for the books. Absent in a Bid.
    #[prost(message, optional, tag = "5")]
    pub verdict: Option<Verdict>,
    /// The signal that `consent` follows from: the first that switched personal data off, else the first that restricted.
    #[prost(enumeration = "Signal", tag = "6")]
    pub decided_by: i32,
    /// What the notice tells of the auction beyond its price. Absent where it tells nothing.
    #[prost(message, optional, tag = "7")]
    pub told: Option<Told>,
    #[prost(oneof = "What", tags = "10, 11, 12, 13, 14, 15, 16")]
    pub what: Option<What>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum What {
    #[prost(message, tag = "10")]
    Bid(Bid),
    #[prost(message, tag = "11")]
    Notice(Notice),
    #[prost(message, tag = "12")]
    Impression(Impression),
    #[prost(message, tag = "13")]
    View(View),
    #[prost(message, tag = "14")]
    Engagement(Engagement),
    #[prost(message, tag = "15")]
    Click(Click),
    #[prost(message, tag = "16")]
    Conversion(Conversion),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum Signal {
    /// No user was looked at: the request was refused before, or the record is older than this field.
    Unspecified = 0,
    Coppa = 1,
    Gdpr = 2,
    UsPrivacy = 3,
    Gpp = 4,
    /// Global Privacy Control.
    Gpc = 5,
    Lmt = 6,
    Dnt = 7,
    /// Our own list of those who opted out.
    OptOut = 8,
    /// Nothing restricts.
    Nothing = 9,
}

/// The answer to one bid request: what was offered, and with which features it was scored.
#[derive(Clone, PartialEq, Message)]
pub struct Bid {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(fixed64, tag = "2")]
    pub exchange: u64,
    /// How the winner is charged, by the request and what is agreed with the exchange: 1 first price, 2 second price plus.
    #[prost(uint32, tag = "3")]
    pub auction: u32,
    #[prost(bool, tag = "4")]
    pub test: bool,
    /// Only where consent allows.
    #[prost(fixed64, optional, tag = "5")]
    pub user: Option<u64>,
    /// NAME/VERSION of the model that scored.
    #[prost(string, tag = "6")]
    pub model: String,
    #[prost(uint32, tag = "7")]
    pub latency_us: u32,
    /// Why the whole request got no bid; empty where it got one.
    #[prost(string, tag = "8")]
    pub no_bid_reason: String,
    /// With which probability a record of this kind is kept: 1 for answers with a bid.
    #[prost(float, tag = "9")]
    pub sampling: f32,
    /// Experiment arms, one byte each.
    #[prost(fixed32, tag = "10")]
    pub arms: u32,
    /// Features that all candidates share, where the context is scored once for the whole request.
    #[prost(message, optional, tag = "11")]
    pub context: Option<Features>,
    #[prost(message, repeated, tag = "12")]
    pub imps: Vec<Imp>,
    #[prost(message, repeated, tag = "13")]
    pub candidates: Vec<Candidate>,
    /// `source.tid`: the same for one auction, whichever exchanges offer it. Empty where the request has none, or a longer one
    /// than 64 bytes.
    #[prost(string, tag = "14")]
    pub transaction_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Imp {
    /// Position in the request.
    #[prost(uint32, tag = "1")]
    pub index: u32,
    #[prost(string, tag = "2")]
    pub id: String,
    /// In the accounting currency, micros per thousand.
    #[prost(int64, tag = "3")]
    pub floor_micros: i64,
    /// Line items that matched, before any were left out of scoring.
    #[prost(uint32, tag = "4")]
    pub matched: u32,
    #[prost(uint32, tag = "5")]
    pub scored: u32,
    /// Why this imp got no bid; empty where it got one.
    #[prost(string, tag = "6")]
    pub no_bid_reason: String,
    /// Features of this imp, where the context is scored per imp.
    #[prost(message, optional, tag = "7")]
    pub context: Option<Features>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Candidate {
    #[prost(enumeration = "Outcome", tag = "1")]
    pub outcome: i32,
    /// Only where the outcome is a bid.
    #[prost(message, optional, tag = "2")]
    pub bid: Option<BidId>,
    #[prost(uint32, tag = "3")]
    pub imp_index: u32,
    #[prost(fixed64, tag = "4")]
    pub line_item: u64,
    #[prost(fixed64, tag = "5")]
    pub campaign: u64,
    #[prost(fixed64, tag = "6")]
    pub creative: u64,
    #[prost(fixed64, optional, tag = "7")]
    pub deal: Option<u64>,
    /// Our price in the bid's currency, micros per thousand.
    #[prost(int64, tag = "8")]
    pub price_micros: i64,
    #[prost(string, tag = "9")]
    pub currency: String,
    /// What one impression is worth to us.
    #[prost(int64, tag = "10")]
    pub value_nanos: i64,
    #[prost(float, tag = "11")]
    pub p_click: f32,
    #[prost(float, tag = "12")]
    pub p_conversion: f32,
    /// The floor that applied (deal or imp), accounting currency, micros per thousand.
    #[prost(int64, tag = "13")]
    pub floor_micros: i64,
    /// Why it is no bid; empty where it is one.
    #[prost(string, tag = "14")]
    pub reason: String,
    /// With which probability a candidate of this outcome is kept.
    #[prost(float, tag = "15")]
    pub sampling: f32,
    #[prost(message, optional, tag = "16")]
    pub features: Option<Features>,
    /// The probability with which it was the best bid of the open auction on its imp.
    #[prost(float, tag = "17")]
    pub propensity: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum Outcome {
    Unspecified = 0,
    Bid = 1,
    /// Scored, and another candidate was better.
    Lost = 2,
    /// Taken out by a rule: budget, cap, policy, floor.
    Refused = 3,
}

/// Model inputs as served, in the order of the model's schema.
#[derive(Clone, PartialEq, Message)]
pub struct Features {
    /// Bucket ids of categories and bags; 0 = missing.
    #[prost(uint32, repeated, tag = "1")]
    pub ids: Vec<u32>,
    #[prost(float, repeated, tag = "2")]
    pub numbers: Vec<f32>,
}

#[derive(Clone, PartialEq, Message)]
pub struct BidId {
    /// Node (16 bits), boot epoch (32), the upper 16 bits of the counter.
    #[prost(fixed64, tag = "1")]
    pub high: u64,
    /// The lower 32 bits of the counter, 32 spare bits.
    #[prost(fixed64, tag = "2")]
    pub low: u64,
}

/// The notice token, opened.
#[derive(Clone, PartialEq, Message)]
pub struct BidRef {
    #[prost(message, optional, tag = "1")]
    pub id: Option<BidId>,
    #[prost(uint32, tag = "2")]
    pub lease: u32,
    #[prost(uint32, tag = "3")]
    pub budget_day: u32,
    #[prost(int64, tag = "4")]
    pub bid_time_ms: i64,
    #[prost(int64, tag = "5")]
    pub hold_end_ms: i64,
    #[prost(fixed64, tag = "6")]
    pub exchange: u64,
    #[prost(uint32, tag = "7")]
    pub imp_index: u32,
    #[prost(fixed32, tag = "8")]
    pub imp_hash: u32,
    /// bid.mtype: 1 banner, 2 video, 3 audio, 4 native.
    #[prost(uint32, tag = "9")]
    pub format: u32,
    #[prost(fixed64, tag = "10")]
    pub line_item_account: u64,
    #[prost(fixed64, tag = "11")]
    pub campaign_account: u64,
    #[prost(fixed64, tag = "12")]
    pub line_item: u64,
    #[prost(fixed64, tag = "13")]
    pub campaign: u64,
    #[prost(fixed64, tag = "14")]
    pub advertiser: u64,
    #[prost(fixed64, tag = "15")]
    pub creative: u64,
    #[prost(fixed64, optional, tag = "16")]
    pub deal: Option<u64>,
    #[prost(int64, tag = "17")]
    pub reserved_nanos: i64,
    /// Accounting units per unit of the bid's currency, billionths.
    #[prost(int64, tag = "18")]
    pub rate: i64,
    #[prost(string, tag = "19")]
    pub currency: String,
    #[prost(int64, tag = "20")]
    pub price_micros: i64,
    #[prost(enumeration = "BillingEvent", tag = "21")]
    pub billing: i32,
    #[prost(enumeration = "PriceUnit", tag = "22")]
    pub price_unit: i32,
    #[prost(bool, tag = "23")]
    pub test: bool,
    #[prost(fixed64, optional, tag = "24")]
    pub user: Option<u64>,
    #[prost(fixed32, tag = "25")]
    pub arms: u32,
    /// What the bid was allowed to use: bits 0-5 ids, basic ads, measurement, profile, research, precise location;
    /// 6 child-directed; 8-11 the signal that decided, one less than in Signal.
    #[prost(uint32, optional, tag = "26")]
    pub consent: Option<u32>,
    /// A stored profile was found and used.
    #[prost(bool, tag = "27")]
    pub profile_used: bool,
    #[prost(uint32, tag = "28")]
    pub win_hold_s: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum BillingEvent {
    Burl = 0,
    Impression = 1,
    Win = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum PriceUnit {
    Cpm = 0,
    CpmMicros = 1,
    Impression = 2,
}

#[derive(Clone, PartialEq, Message)]
pub struct Verdict {
    /// Set on the one event that books the bid.
    #[prost(int64, optional, tag = "1")]
    pub booked_nanos: Option<i64>,
    /// Bit set: 1 duplicate, 2 test, 4 audit, 8 after the hold's end, 16 too late to book, 32 booked at the reserved
    /// price (none readable was sent), 64 price above our bid, 128 in another currency than the bid,
    /// 256 contradicts an earlier notice, 512 reversal of an unknown conversion, 1024 multiplied (more than one impression),
    /// 2048 of a bid whose node was declared dead, 4096 unmatched: no money was held where it should be.
    #[prost(uint32, tag = "2")]
    pub flags: u32,
    /// The price as sent, in the bid's currency.
    #[prost(int64, optional, tag = "3")]
    pub price_micros: Option<i64>,
    /// Money was held for the bid when it was booked.
    #[prost(bool, tag = "4")]
    pub held: bool,
    /// Impressions as sent, in millionths (section 7.9.4).
    #[prost(uint64, optional, tag = "5")]
    pub multiplier_micros: Option<u64>,
    /// When the ad was shown, as sent: milliseconds since 1970.
    #[prost(int64, optional, tag = "6")]
    pub shown_at_ms: Option<i64>,
    /// On a loss that speaks of the creative: a hash of the content that was bid, where it is still the present one.
    #[prost(fixed64, optional, tag = "7")]
    pub creative_version: Option<u64>,
    /// On the first word of how a shaded bid ended, where that is about its price: the market it was learnt for.
    #[prost(fixed64, optional, tag = "8")]
    pub market: Option<u64>,
}

/// Macros of OpenRTB 2.6 section 4.4 that move no money.
#[derive(Clone, PartialEq, Message)]
pub struct Told {
    /// Accounting currency, micros per thousand: what would have tied with the winner (lost), or what ties with the next
    /// bid or the floor (won).
    #[prost(int64, optional, tag = "1")]
    pub min_to_win_micros: Option<i64>,
    /// Clearing price by bid price, millionths.
    #[prost(uint64, optional, tag = "2")]
    pub market_bid_ratio_micros: Option<u64>,
    /// Percent of the bid, millionths.
    #[prost(uint64, optional, tag = "3")]
    pub discount_percent_micros: Option<u64>,
    /// In the bid's currency, micros per thousand.
    #[prost(int64, optional, tag = "4")]
    pub discount_micros: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Notice {
    #[prost(enumeration = "NoticeKind", tag = "1")]
    pub kind: i32,
    /// Loss reason code, OpenRTB list.
    #[prost(uint32, optional, tag = "2")]
    pub loss_reason: Option<u32>,
    #[prost(int64, optional, tag = "3")]
    pub min_to_win_micros: Option<i64>,
    /// VAST error code.
    #[prost(uint32, optional, tag = "4")]
    pub error_code: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum NoticeKind {
    Unspecified = 0,
    Win = 1,
    Bill = 2,
    Loss = 3,
    VastError = 4,
}

/// Shown, as the markup itself reports.
#[derive(Clone, PartialEq, Message)]
pub struct Impression {}

/// Viewable by the standard of its format.
#[derive(Clone, PartialEq, Message)]
pub struct View {}

#[derive(Clone, PartialEq, Message)]
pub struct Engagement {
    #[prost(enumeration = "EngagementKind", tag = "1")]
    pub kind: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum EngagementKind {
    Unspecified = 0,
    Start = 1,
    FirstQuartile = 2,
    Midpoint = 3,
    ThirdQuartile = 4,
    Complete = 5,
    Skip = 6,
}

#[derive(Clone, PartialEq, Message)]
pub struct Click {}

#[derive(Clone, PartialEq, Message)]
pub struct Conversion {
    #[prost(string, tag = "1")]
    pub name: String,
    /// In billionths of `currency`.
    #[prost(int64, tag = "2")]
    pub value: i64,
    #[prost(string, tag = "3")]
    pub currency: String,
    #[prost(string, tag = "4")]
    pub order_id: String,
    /// Takes an earlier conversion of the same order id back.
    #[prost(bool, tag = "5")]
    pub reversal: bool,
    /// Came as a signed postback of a partner's server, not from a page.
    #[prost(bool, tag = "6")]
    pub signed: bool,
    /// The value in the accounting currency.
    #[prost(int64, optional, tag = "7")]
    pub worth_nanos: Option<i64>,
}
