//! One line of the books: what came in and what it meant, on disk as the `Event` of `event.proto`.
//!
//! Invariant: a record holds all that is needed to apply it again, without configuration and without a clock.

use super::notice::{Conversion, Engagement, Told, What};
use super::proto;
use super::record::{self, ConsentBits};
use super::token::{Format, ImpRef, Token};
use crate::openrtb::notice::PriceUnit;
use crate::openrtb::privacy::Consent;
use crate::store::exchange::BillingEvent;
use crate::store::rates::Rate;
use crate::units::{AccountId, BidId, Cpm, Currency, Nanos, ObjectId, Timestamp, UserKey};
use prost::Message;

/// What was decided about one [`Inbound`](super::notice::Inbound).
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub at: Timestamp,
    pub token: Token,
    pub what: What,
    pub told: Told,
    pub verdict: Verdict,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Set on the one event that books the bid: what it costs, in the accounting currency.
    pub booked: Option<Nanos>,
    /// There was a hold when it was booked, or when its win became known. As decided: by what the books know there should be.
    pub held: bool,
    pub flags: Flags,
    /// The price as sent, per thousand, in the currency that was sent with it.
    pub price: Option<Cpm>,
    /// Impressions as sent, in millionths.
    pub multiplier_micros: Option<u64>,
    /// When the ad was shown, as sent.
    pub shown_at: Option<Timestamp>,
    /// On a loss that speaks of the creative: the content that was bid, where it is still the present one.
    pub creative_version: Option<u64>,
    /// On the event from which a market learns how the bid ended: [`MarketName::to_bits`](crate::shading::MarketName::to_bits), 0 =
    /// all markets. Set at most once for each bid.
    pub market: Option<u64>,
}

/// What is remarkable about an event: a set of the bits in `event.proto`, `Verdict.flags`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u32);

impl Flags {
    /// The same was reported before: recorded, not counted.
    pub const DUPLICATE: Flags = Flags(1);
    /// `test = 1`.
    pub const TEST: Flags = Flags(2);
    /// A rendering test of the exchange.
    pub const AUDIT: Flags = Flags(4);
    /// After the end of the hold.
    pub const LATE: Flags = Flags(8);
    /// So late that it is not known any more whether it was booked: not booked, not counted.
    pub const TOO_LATE: Flags = Flags(16);
    /// No readable price was sent: booked at the reserved one.
    pub const AT_RESERVED: Flags = Flags(32);
    /// The exchange charges more than we bid: booked as told, and an alarm.
    pub const ABOVE_BID: Flags = Flags(64);
    /// The price is in another currency than the bid.
    pub const OTHER_CURRENCY: Flags = Flags(128);
    /// Lost after won or booked, or won or booked after lost.
    pub const CONTRADICTION: Flags = Flags(256);
    /// Takes back an order that is not known.
    pub const UNKNOWN_ORDER: Flags = Flags(512);
    /// Stands for another number of impressions than one.
    pub const MULTIPLIED: Flags = Flags(1024);

    /// The bid belongs to a node that was declared dead: its lease is charged in full already.
    pub const OF_DEAD: Flags = Flags(2048);
    /// No money was held where it should be: this node knows of no such bid. Booked all the same, late, and an alarm.
    pub const UNMATCHED: Flags = Flags(4096);

    pub const NAMES: [(Flags, &'static str); 13] = [
        (Flags::DUPLICATE, "duplicate"),
        (Flags::TEST, "test"),
        (Flags::AUDIT, "audit"),
        (Flags::LATE, "late"),
        (Flags::TOO_LATE, "too_late"),
        (Flags::AT_RESERVED, "at_reserved"),
        (Flags::ABOVE_BID, "above_bid"),
        (Flags::OTHER_CURRENCY, "other_currency"),
        (Flags::CONTRADICTION, "contradiction"),
        (Flags::UNKNOWN_ORDER, "unknown_order"),
        (Flags::MULTIPLIED, "multiplied"),
        (Flags::OF_DEAD, "of_dead"),
        (Flags::UNMATCHED, "unmatched"),
    ];

    /// Whether all of `other` is set.
    pub fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    pub fn set(&mut self, other: Flags) {
        self.0 |= other.0;
    }
}

impl Verdict {
    /// Whether the event is one that reports and training count.
    pub fn counts(&self) -> bool {
        const FREE: u32 = Flags::DUPLICATE.0
            | Flags::TEST.0
            | Flags::AUDIT.0
            | Flags::TOO_LATE.0
            | Flags::UNKNOWN_ORDER.0
            | Flags::OF_DEAD.0;
        self.flags.0 & FREE == 0
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    #[error("not a protobuf Event: {0}")]
    Protobuf(prost::DecodeError),
    #[error("schema version {found}; this build reads version {}", proto::SCHEMA_VERSION)]
    Version { found: u32 },
    #[error("{0} is missing or out of range")]
    Field(&'static str),
}

impl Record {
    /// Appends the record's bytes to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.to_event().encode(out).expect("a Vec grows as needed");
    }

    pub fn read(bytes: &[u8]) -> Result<Record, BadRecord> {
        Record::from_event(proto::Event::decode(bytes).map_err(BadRecord::Protobuf)?)
    }

    pub fn to_event(&self) -> proto::Event {
        proto::Event {
            schema_version: proto::SCHEMA_VERSION,
            time_ms: self.at.0,
            consent: consent_of(&self.token).0,
            decided_by: record::decided_by(self.token.consent).into(),
            about: Some(write_token(&self.token)),
            verdict: Some(proto::Verdict {
                booked_nanos: self.verdict.booked.map(|amount| amount.0),
                flags: self.verdict.flags.0,
                held: self.verdict.held,
                price_micros: self.verdict.price.map(|price| price.0),
                multiplier_micros: self.verdict.multiplier_micros,
                shown_at_ms: self.verdict.shown_at.map(|at| at.0),
                creative_version: self.verdict.creative_version,
                market: self.verdict.market,
            }),
            told: (self.told != Told::default()).then(|| write_told(&self.told)),
            what: Some(write_what(&self.what)),
        }
    }

    pub fn from_event(event: proto::Event) -> Result<Record, BadRecord> {
        if event.schema_version != proto::SCHEMA_VERSION {
            return Err(BadRecord::Version {
                found: event.schema_version,
            });
        }
        let verdict = event.verdict.ok_or(BadRecord::Field("verdict"))?;
        Ok(Record {
            at: Timestamp(event.time_ms),
            token: read_token(&event.about.ok_or(BadRecord::Field("about"))?)?,
            what: read_what(event.what)?,
            told: event.told.as_ref().map(read_told).unwrap_or_default(),
            verdict: Verdict {
                booked: verdict.booked_nanos.map(Nanos),
                held: verdict.held,
                flags: Flags(verdict.flags),
                price: verdict.price_micros.map(Cpm),
                multiplier_micros: verdict.multiplier_micros,
                shown_at: verdict.shown_at_ms.map(Timestamp),
                creative_version: verdict.creative_version,
                market: verdict.market,
            },
        })
    }
}

/// Of the bid, but for the key: that may have gone since.
fn consent_of(token: &Token) -> ConsentBits {
    let bits = token.consent.map_or_else(ConsentBits::default, ConsentBits::of);
    ConsentBits(bits.0 & !ConsentBits::USER_KEY.0).with(ConsentBits::USER_KEY, token.user.is_some())
}

fn write_told(told: &Told) -> proto::Told {
    proto::Told {
        min_to_win_micros: told.min_to_win.map(|price| price.0),
        market_bid_ratio_micros: told.market_bid_ratio_micros,
        discount_percent_micros: told.discount_percent_micros,
        discount_micros: told.discount.map(|price| price.0),
    }
}

fn read_told(told: &proto::Told) -> Told {
    Told {
        min_to_win: told.min_to_win_micros.map(Cpm),
        market_bid_ratio_micros: told.market_bid_ratio_micros,
        discount_percent_micros: told.discount_percent_micros,
        discount: told.discount_micros.map(Cpm),
    }
}

fn write_what(what: &What) -> proto::What {
    use proto::NoticeKind as Kind;
    let notice = |kind: Kind| proto::Notice {
        kind: kind as i32,
        ..Default::default()
    };
    match what {
        What::Win => proto::What::Notice(notice(Kind::Win)),
        What::Bill => proto::What::Notice(notice(Kind::Bill)),
        What::Loss { reason, min_to_win } => proto::What::Notice(proto::Notice {
            loss_reason: *reason,
            min_to_win_micros: min_to_win.map(|price| price.0),
            ..notice(Kind::Loss)
        }),
        What::VastError { code } => proto::What::Notice(proto::Notice {
            error_code: *code,
            ..notice(Kind::VastError)
        }),
        What::Impression => proto::What::Impression(proto::Impression {}),
        What::View => proto::What::View(proto::View {}),
        What::Click => proto::What::Click(proto::Click {}),
        What::Engagement(kind) => proto::What::Engagement(proto::Engagement {
            kind: write_engagement(*kind) as i32,
        }),
        What::Conversion(conversion) => proto::What::Conversion(proto::Conversion {
            name: conversion.name.clone(),
            value: conversion.value.0,
            currency: conversion.currency.map_or(String::new(), |code| code.to_string()),
            order_id: conversion.order.clone().unwrap_or_default(),
            reversal: conversion.reversal,
            signed: conversion.signed,
            worth_nanos: conversion.worth.map(|worth| worth.0),
        }),
    }
}

fn read_what(what: Option<proto::What>) -> Result<What, BadRecord> {
    Ok(match what.ok_or(BadRecord::Field("what"))? {
        proto::What::Bid(_) => return Err(BadRecord::Field("what: a Bid is not for the books and")),
        proto::What::Notice(notice) => read_notice(&notice)?,
        proto::What::Impression(_) => What::Impression,
        proto::What::View(_) => What::View,
        proto::What::Click(_) => What::Click,
        proto::What::Engagement(engagement) => What::Engagement(read_engagement(engagement.kind())?),
        proto::What::Conversion(conversion) => What::Conversion(Conversion {
            currency: match conversion.currency.as_str() {
                "" => None,
                code => Some(Currency::parse(code).ok_or(BadRecord::Field("conversion.currency"))?),
            },
            name: conversion.name,
            value: Nanos(conversion.value),
            worth: conversion.worth_nanos.map(Nanos),
            order: Some(conversion.order_id).filter(|order| !order.is_empty()),
            reversal: conversion.reversal,
            signed: conversion.signed,
        }),
    })
}

fn read_notice(notice: &proto::Notice) -> Result<What, BadRecord> {
    Ok(match notice.kind() {
        proto::NoticeKind::Win => What::Win,
        proto::NoticeKind::Bill => What::Bill,
        proto::NoticeKind::Loss => What::Loss {
            reason: notice.loss_reason,
            min_to_win: notice.min_to_win_micros.map(Cpm),
        },
        proto::NoticeKind::VastError => What::VastError {
            code: notice.error_code,
        },
        proto::NoticeKind::Unspecified => return Err(BadRecord::Field("notice.kind")),
    })
}

fn write_engagement(kind: Engagement) -> proto::EngagementKind {
    match kind {
        Engagement::Start => proto::EngagementKind::Start,
        Engagement::FirstQuartile => proto::EngagementKind::FirstQuartile,
        Engagement::Midpoint => proto::EngagementKind::Midpoint,
        Engagement::ThirdQuartile => proto::EngagementKind::ThirdQuartile,
        Engagement::Complete => proto::EngagementKind::Complete,
        Engagement::Skip => proto::EngagementKind::Skip,
    }
}

fn read_engagement(kind: proto::EngagementKind) -> Result<Engagement, BadRecord> {
    Ok(match kind {
        proto::EngagementKind::Start => Engagement::Start,
        proto::EngagementKind::FirstQuartile => Engagement::FirstQuartile,
        proto::EngagementKind::Midpoint => Engagement::Midpoint,
        proto::EngagementKind::ThirdQuartile => Engagement::ThirdQuartile,
        proto::EngagementKind::Complete => Engagement::Complete,
        proto::EngagementKind::Skip => Engagement::Skip,
        proto::EngagementKind::Unspecified => return Err(BadRecord::Field("engagement.kind")),
    })
}

fn write_token(token: &Token) -> proto::BidRef {
    proto::BidRef {
        id: Some(proto::BidId {
            high: (token.bid.0 >> 64) as u64,
            low: token.bid.0 as u64,
        }),
        lease: token.lease,
        budget_day: u32::from(token.budget_day),
        bid_time_ms: token.bid_time.0,
        hold_end_ms: token.hold_end.0,
        exchange: token.exchange.0,
        imp_index: u32::from(token.imp.index),
        imp_hash: token.imp.hash,
        format: token.format as u32,
        line_item_account: token.line_item_account.0,
        campaign_account: token.campaign_account.0,
        line_item: token.line_item.0,
        campaign: token.campaign.0,
        advertiser: token.advertiser.0,
        creative: token.creative.0,
        deal: token.deal.map(|deal| deal.0),
        reserved_nanos: token.reserved.0,
        rate: token.rate.0,
        currency: token.currency.to_string(),
        price_micros: token.price.0,
        billing: match token.billing {
            BillingEvent::Burl => proto::BillingEvent::Burl,
            BillingEvent::Impression => proto::BillingEvent::Impression,
            BillingEvent::Win => proto::BillingEvent::Win,
        } as i32,
        price_unit: match token.price_unit {
            PriceUnit::Cpm => proto::PriceUnit::Cpm,
            PriceUnit::CpmMicros => proto::PriceUnit::CpmMicros,
            PriceUnit::Impression => proto::PriceUnit::Impression,
        } as i32,
        test: token.test,
        user: token.user.map(|user| user.0),
        arms: token.arms,
        consent: token.consent.map(|consent| consent.to_bits().into()),
        profile_used: token.profile_used,
        win_hold_s: u32::try_from(token.win_hold_end.since(token.bid_time) / 1000).unwrap_or(0),
    }
}

fn read_token(about: &proto::BidRef) -> Result<Token, BadRecord> {
    let bid = about.id.as_ref().ok_or(BadRecord::Field("about.id"))?;
    let narrow = |value: u32, name| u8::try_from(value).map_err(|_| BadRecord::Field(name));
    Ok(Token {
        bid: BidId(u128::from(bid.high) << 64 | u128::from(bid.low)),
        lease: about.lease,
        budget_day: u16::try_from(about.budget_day).map_err(|_| BadRecord::Field("about.budget_day"))?,
        bid_time: Timestamp(about.bid_time_ms),
        win_hold_end: Timestamp(
            about
                .bid_time_ms
                .saturating_add(1000 * i64::from(about.win_hold_s)),
        ),
        hold_end: Timestamp(about.hold_end_ms),
        exchange: ObjectId(about.exchange),
        imp: ImpRef {
            index: narrow(about.imp_index, "about.imp_index")?,
            hash: about.imp_hash,
        },
        format: Format::from_mtype(narrow(about.format, "about.format")?)
            .ok_or(BadRecord::Field("about.format"))?,
        line_item_account: AccountId(about.line_item_account),
        campaign_account: AccountId(about.campaign_account),
        line_item: ObjectId(about.line_item),
        campaign: ObjectId(about.campaign),
        advertiser: ObjectId(about.advertiser),
        creative: ObjectId(about.creative),
        deal: about.deal.map(ObjectId),
        reserved: Nanos(about.reserved_nanos),
        rate: Rate(about.rate),
        currency: Currency::parse(&about.currency).ok_or(BadRecord::Field("about.currency"))?,
        price: Cpm(about.price_micros),
        billing: match about.billing() {
            proto::BillingEvent::Burl => BillingEvent::Burl,
            proto::BillingEvent::Impression => BillingEvent::Impression,
            proto::BillingEvent::Win => BillingEvent::Win,
        },
        price_unit: match about.price_unit() {
            proto::PriceUnit::Cpm => PriceUnit::Cpm,
            proto::PriceUnit::CpmMicros => PriceUnit::CpmMicros,
            proto::PriceUnit::Impression => PriceUnit::Impression,
        },
        test: about.test,
        user: about.user.map(UserKey),
        consent: about.consent.map(read_consent).transpose()?,
        profile_used: about.profile_used,
        arms: about.arms,
    })
}

fn read_consent(bits: u32) -> Result<Consent, BadRecord> {
    let consent = u16::try_from(bits).ok().and_then(Consent::from_bits);
    consent.ok_or(BadRecord::Field("about.consent"))
}
