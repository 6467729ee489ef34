//! Frequency caps: how often a user has been shown an advertiser, campaign, line item or creative within sliding windows.
//! A cap is never exceeded by what was billed and known; where memory is short a count may be missing, and that is counted.
//!
//! - Counted are **billed impressions**, as moments cut to whole seconds. A rule *n within w seconds* stops a bid at `now` while
//!   the n-th latest moment is less than w seconds before it. Of each object only as many moments are kept as its largest cap
//!   asks for, so that the answer is exact and the state small.
//! - A **provisional** count stands from a bid to its loss, its billing or its end: at most one per user and line
//!   item, which the bids of one response share (at most eight) and which ends with the last of them. So caps on a line item or its creatives hold while notices are on their way; a cap on a campaign or an advertiser can be
//!   passed by as many impressions as further line items of it have bids outstanding for that user.
//! - All counts of a user lie together: a request costs one lookup that touches memory, the rest is in the cache.
//!
//! Memory: a user takes about 60 bytes in the table and 40 bytes for each object counted, in steps of four (up to 5 moments each;
//! 4 bytes for each further one),
//! so a million users with four objects each take 230 MB. The table is bounded: when it is 15/16 full, [`Caps::tick`] removes
//! those not seen for longest until it is 7/8 full; should it fill between two ticks, new users are not counted (and that is).

mod checkpoint;
mod table;
mod times;

pub use checkpoint::RestoreError;
pub use table::{Caps, Swept, Totals};

use crate::units::ObjectId;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A larger cap acts as one of this many impressions.
pub const IMPRESSIONS_MAX: u16 = 255;

/// What is counted.
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
}

/// At most `impressions` (at least 1) of `object` to a user within any `window_s` seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapRule {
    pub object: CapObject,
    pub impressions: u16,
    pub window_s: u32,
}
