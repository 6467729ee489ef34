//! How often a user has been shown an advertiser, campaign, line item, group or creative within sliding windows, what they
//! never answered, and from whom they bought.
//! A cap is never exceeded by what was billed and known; where memory is short a count may be missing, and that is counted.
//!
//! - Counted are **billed impressions**, as moments cut to whole seconds. A rule *n within w seconds* stops a bid at `now` while
//!   the n-th latest moment is less than w seconds before it. Of each object only as many moments are kept as its largest cap
//!   asks for, so that the answer is exact and the state small.
//! - A **provisional** count stands from a bid to its loss, its billing or its end: at most one per user and line
//!   item, which the bids of one response share (at most eight) and which ends with the last of them. So caps on a line item or its
//!   creatives hold while notices are on their way; a cap on a group, a campaign or an advertiser can be
//!   passed by as many impressions as further line items of it have bids outstanding for that user.
//! - **Unanswered** impressions of a line item are those since the user's last click on it ([`BackOff`]); **buyers** are users with
//!   a conversion that was not reversed ([`Buyers`]). Both are moments of an object as impressions are, under the same limits.
//! - All counts of a user lie together, small ones in the user's own place in the table: a request costs two lookups that touch
//!   memory, one for a user of whom nothing is counted; the rest is in the cache.
//!
//! Memory: up to 400 bytes for each provisional count, taken as they come; 82 bytes for each user there is room for (86 as measured, with the slack of the allocator), taken in pieces of a
//! megabyte once a piece has a user. That holds a user with four objects and four impressions, or five and two: 9 bytes for each
//! object and 4 for each impression. A larger past lies beside the table: 104 bytes for eight objects and eight impressions. Back-off is one object more
//! for each line item that has it, a purchase one for each advertiser bought from. The table is bounded: when it is 15/16 full,
//! [`Caps::tick`] removes those not seen for longest until it is 7/8 full; should it fill between two ticks, new users are not
//! counted (and that is). So a window without an end lasts as long as there is room: nobody leaves by time, and
//! the users not seen for longest leave when the table is full (which is counted, too).

mod checkpoint;
mod fact;
mod past;
mod table;
mod user;
mod users;

pub use checkpoint::RestoreError;
pub use fact::{Noted, Shown, UserFact};
pub use table::{Caps, Swept, Totals};
pub use user::Seen;

use crate::units::ObjectId;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A larger cap acts as one of this many impressions.
pub const IMPRESSIONS_MAX: u16 = 255;

/// A window without an end.
pub const LIFETIME_S: u32 = u32::MAX;

/// What is counted under an id of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CapLevel {
    Creative,
    LineItem,
    Campaign,
    Advertiser,
}

/// The name of an object at its level: a campaign and a line item of the same id are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CapObject(pub u64);

impl CapObject {
    pub fn of(level: CapLevel, id: ObjectId) -> CapObject {
        let seed = match level {
            CapLevel::Creative => 1,
            CapLevel::LineItem => 2,
            CapLevel::Campaign => 3,
            CapLevel::Advertiser => 4,
        };
        CapObject(xxh3_64_with_seed(&id.0.to_le_bytes(), seed))
    }

    /// Impressions of the line item that were not clicked.
    pub fn unanswered(line_item: ObjectId) -> CapObject {
        CapObject(xxh3_64_with_seed(&line_item.0.to_le_bytes(), 5))
    }

    /// The creatives of an advertiser under one name.
    pub fn group(advertiser: ObjectId, name: &str) -> CapObject {
        CapObject::of_name(advertiser, name, 6)
    }

    /// Conversions of this name at an advertiser.
    pub fn bought(advertiser: ObjectId, event: &str) -> CapObject {
        CapObject::of_name(advertiser, event, 7)
    }

    fn of_name(owner: ObjectId, name: &str, seed: u64) -> CapObject {
        // The name is hashed for itself, so that every text has its own place behind the owner.
        let both = [owner.0.to_le_bytes(), ObjectId::of(name).0.to_le_bytes()];
        CapObject(xxh3_64_with_seed(both.as_flattened(), seed))
    }
}

/// At most `impressions` (at least 1) of `object` to a user within any `window_s` seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapRule {
    pub object: CapObject,
    pub impressions: u16,
    pub window_s: u32,
}

/// After `after` (at least 1) impressions without an answer nothing for `pause_s` seconds; then the count begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackOff {
    /// [`CapObject::unanswered`].
    pub object: CapObject,
    pub after: u16,
    pub pause_s: u32,
}

impl BackOff {
    /// How much of the past it takes: gaps in the run are shorter than the pause.
    pub fn asks_for(&self) -> CapRule {
        CapRule {
            object: self.object,
            impressions: self.after,
            window_s: self.pause_s.saturating_mul(self.after.into()),
        }
    }
}

/// Nothing for `window_s` seconds to those who bought from any of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buyers {
    of: Vec<CapObject>,
    window_s: u32,
}

/// Moments kept of purchases at one seller, so that some may be reversed and the others count: they take no more room than one.
const PURCHASES_KEPT: u16 = 5;

impl Buyers {
    pub fn new(mut of: Vec<CapObject>, window_s: u32) -> Buyers {
        of.sort_unstable();
        of.dedup();
        Buyers { of, window_s }
    }

    /// How much of the past it takes.
    pub fn asks_for(&self) -> impl Iterator<Item = CapRule> + '_ {
        self.of.iter().map(|&object| CapRule {
            object,
            impressions: PURCHASES_KEPT,
            window_s: self.window_s,
        })
    }

    fn has(&self, object: CapObject) -> bool {
        self.of.binary_search(&object).is_ok()
    }
}
