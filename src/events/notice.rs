//! What comes in about a bid, from a notice, a beacon or a conversion, as one value.
//!
//! Invariant: an [`Inbound`] holds an opened token; what nobody can vouch for does not get this far.

use super::token::Token;
use crate::openrtb::notice::{Notice, NoticeQuery, PriceField, PriceText, VideoEvent};
use crate::openrtb::price_crypto::PriceCodec;
use crate::store::exchange::BillingEvent;
use crate::units::{Cpm, Currency, Nanos, Timestamp};

/// One thing that was reported about one bid.
#[derive(Clone, Debug, PartialEq)]
pub struct Inbound {
    /// When it reached us.
    pub at: Timestamp,
    pub token: Token,
    pub what: What,
    pub told: Told,
    /// What the sender says about the price; empty where it says nothing.
    pub paid: Paid,
    /// When the ad was shown, where the sender says it: on screens that may be long before the notice.
    pub shown_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Win,
    Bill,
    Loss {
        reason: Option<u32>,
        /// In the bid's currency.
        min_to_win: Option<Cpm>,
    },
    Impression,
    View,
    Engagement(Engagement),
    Click,
    VastError {
        code: Option<u32>,
    },
    Conversion(Conversion),
}

/// Playback of a video ad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engagement {
    Start,
    FirstQuartile,
    Midpoint,
    ThirdQuartile,
    Complete,
    Skip,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Conversion {
    /// `purchase`, `signup` …: what goals refer to.
    pub name: String,
    /// In units of `currency`, not of the accounting currency; 0 where none was sent.
    pub value: Nanos,
    pub currency: Option<Currency>,
    /// The value in the accounting currency, at the rate of when it came; `None` where there was no rate.
    pub worth: Option<Nanos>,
    /// Counted once per advertiser and name; without one, once per bid and name.
    pub order: Option<String>,
    /// Takes the earlier conversion of the same order back.
    pub reversal: bool,
    /// Came as a signed postback.
    pub signed: bool,
}

/// What else a notice tells of the auction (section 4.4), for the price models; nothing here moves money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// In the accounting currency, at the bid's rate: what would have tied with the winner (lost), or what ties with the
    /// next bid or the floor (won).
    pub min_to_win: Option<Cpm>,
    /// Clearing price ÷ bid price, in millionths.
    pub market_bid_ratio_micros: Option<u64>,
    /// The seller's discount, in millionths of a percent of the bid.
    pub discount_percent_micros: Option<u64>,
    /// The seller's discount, in the bid's currency.
    pub discount: Option<Cpm>,
}

/// A price as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paid {
    pub price: PriceField,
    /// `None` = the bid's.
    pub currency: Option<Currency>,
    /// Impressions won, in millionths; `None` = those that were bid for.
    pub multiplier_micros: Option<u64>,
}

impl Paid {
    pub const NOTHING: Paid = Paid {
        price: PriceField::Absent,
        currency: None,
        multiplier_micros: None,
    };
}

impl Inbound {
    /// Reads a notice with the terms that its token was sealed with, and prices as its exchange writes them. `None` where the path needs a
    /// parameter that is missing: playback without the name of its event.
    pub fn of_notice(
        notice: Notice,
        query: &NoticeQuery<'_>,
        token: Token,
        codec: &PriceCodec,
        at: Timestamp,
    ) -> Option<Inbound> {
        let read = |text| in_bid_currency(text, query, &token, codec);
        let min_to_win = read(query.min_to_win);
        let told = Told {
            min_to_win: min_to_win.map(|price| token.rate.to_accounting_up(price)),
            market_bid_ratio_micros: query.market_bid_ratio_micros,
            discount_percent_micros: query.discount_percent_micros,
            discount: read(query.discount),
        };
        let what = match notice {
            Notice::Win => What::Win,
            Notice::Bill => What::Bill,
            Notice::Loss => What::Loss {
                reason: query.loss,
                min_to_win,
            },
            Notice::Impression => What::Impression,
            Notice::Click => What::Click,
            Notice::Video => What::Engagement(Engagement::of(query.video_event?)),
            Notice::VideoError => What::VastError {
                code: query.error_code,
            },
        };
        let paid = Paid {
            price: query.price.read(token.price_unit, codec),
            currency: query.currency,
            multiplier_micros: query.multiplier_micros,
        };
        Some(Inbound {
            at,
            token,
            what,
            told,
            paid,
            shown_at: query.shown_at,
        })
    }

    pub fn of_conversion(conversion: Conversion, token: Token, at: Timestamp) -> Inbound {
        Inbound {
            at,
            token,
            what: What::Conversion(conversion),
            told: Told::default(),
            paid: Paid::NOTHING,
            shown_at: None,
        }
    }
}

impl What {
    /// Whether this is the event that books a bid of which `billing` is agreed.
    pub fn is_billed_by(&self, billing: BillingEvent) -> bool {
        matches!(
            (billing, self),
            (BillingEvent::Burl, What::Bill)
                | (BillingEvent::Impression, What::Impression)
                | (BillingEvent::Win, What::Win)
        )
    }
}

impl Engagement {
    fn of(event: VideoEvent) -> Engagement {
        match event {
            VideoEvent::Start => Engagement::Start,
            VideoEvent::FirstQuartile => Engagement::FirstQuartile,
            VideoEvent::Midpoint => Engagement::Midpoint,
            VideoEvent::ThirdQuartile => Engagement::ThirdQuartile,
            VideoEvent::Complete => Engagement::Complete,
            VideoEvent::Skip => Engagement::Skip,
        }
    }
}

/// A number in another currency than the bid's has no rate here and is left out.
fn in_bid_currency(
    text: PriceText<'_>,
    query: &NoticeQuery<'_>,
    token: &Token,
    codec: &PriceCodec,
) -> Option<Cpm> {
    match text.read(token.price_unit, codec) {
        PriceField::Value(price) if query.currency.is_none_or(|sent| sent == token.currency) => Some(price),
        _ => None,
    }
}
