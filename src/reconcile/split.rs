//! By what a day's bids can be told apart, and what those things are called.

use super::day::Day;
use super::ours::{OurBid, Place};
use crate::units::ObjectId;
use std::collections::HashMap;

/// Rows of a summary that are kept apart: at about 300 bytes each 300 MB.
pub const GROUPS_MAX: usize = 1_000_000;

/// What an invoice or a report may be split by. An exchange knows all but the line item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    LineItem,
    /// `bid.cid`.
    Campaign,
    /// `bid.dealid`; none = the open auction.
    Deal,
    /// `seatbid.seat`, as it is configured for the advertiser.
    Seat,
    /// `bid.crid`.
    Creative,
    /// 0 to 23, in the zone of the day.
    Hour,
}

impl Key {
    pub const ALL: [Key; 6] = [
        Key::LineItem,
        Key::Campaign,
        Key::Deal,
        Key::Seat,
        Key::Creative,
        Key::Hour,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Key::LineItem => "line item",
            Key::Campaign => "campaign",
            Key::Deal => "deal",
            Key::Seat => "seat",
            Key::Creative => "creative",
            Key::Hour => "hour",
        }
    }
}

/// The value of one key: a hashed id, an hour, or [`Value::NONE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Value(u64);

impl Value {
    /// No deal.
    pub const NONE: Value = Value(u64::MAX);

    pub fn of_id(text: &str) -> Value {
        Value(ObjectId::of(text).0)
    }

    pub fn of_hour(hour: u8) -> Value {
        Value(hour.into())
    }
}

/// What the ids in the books are called; one that nothing in the configuration is called (any more) is shown by its number.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub objects: HashMap<ObjectId, String>,
    /// Our seat at the exchange.
    pub seat: String,
    /// Of advertisers that have one of their own.
    pub seats: HashMap<ObjectId, String>,
}

impl Names {
    pub fn value(&self, key: Key, bid: &OurBid, place: &Place, day: &Day) -> Value {
        match key {
            Key::LineItem => Value(place.line_item.0),
            Key::Campaign => Value(place.campaign.0),
            Key::Creative => Value(place.creative.0),
            Key::Deal => place.deal.map_or(Value::NONE, |deal| Value(deal.0)),
            Key::Seat => Value::of_id(self.seat(place)),
            Key::Hour => Value::of_hour(day.hour(bid.at)),
        }
    }

    pub fn label(&self, key: Key, bid: &OurBid, place: &Place, day: &Day) -> String {
        let object = |id: ObjectId| {
            let known = self.objects.get(&id).cloned();
            known.unwrap_or_else(|| format!("#{:016x}", id.0))
        };
        match key {
            Key::LineItem => object(place.line_item),
            Key::Campaign => object(place.campaign),
            Key::Creative => object(place.creative),
            Key::Deal => place.deal.map_or("open auction".to_owned(), object),
            Key::Seat => self.seat(place).to_owned(),
            Key::Hour => format!("{:02}", day.hour(bid.at)),
        }
    }

    fn seat(&self, place: &Place) -> &str {
        self.seats.get(&place.advertiser).unwrap_or(&self.seat)
    }
}
