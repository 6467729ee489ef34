//! Money held for bids that are not decided yet, by bid id.
//! A hold leaves the table exactly once.

use super::budgets::ACCOUNTS_PER_BID_MAX;
use crate::shards::Shards;
use crate::units::{BidId, Nanos, Timestamp};
use std::collections::hash_map::Entry;

/// A sweep looks at about this many holds: 0.2 ms of work.
pub const SWEPT_MAX: usize = 1 << 16;

/// Indexes of the accounts that a hold counts on; unused places are [`NO_ACCOUNT`].
pub type AccountIndexes = [u32; ACCOUNTS_PER_BID_MAX];
pub const NO_ACCOUNT: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    pub accounts: AccountIndexes,
    pub amount: Nanos,
    /// When the bid was made: decides hour and day.
    pub at: Timestamp,
    /// A note of whoever made the bid, given back once: see [`Budgets::take_ticket`](super::Budgets::take_ticket). 0 = none.
    pub ticket: u64,
    /// From `at` to the end of the hold; at most 49 days.
    lasts_ms: u32,
    /// Its win is known. Not kept over a restart: only the pace asks.
    pub won: bool,
}

/// With its bid id a hold is a cache line.
const _: () = assert!(size_of::<(BidId, Hold)>() == 64);

impl Hold {
    pub fn new(accounts: AccountIndexes, amount: Nanos, at: Timestamp, until: Timestamp) -> Hold {
        Hold {
            accounts,
            amount,
            at,
            ticket: 0,
            lasts_ms: lasts_ms(at, until),
            won: false,
        }
    }

    pub fn until(&self) -> Timestamp {
        Timestamp(self.at.0 + i64::from(self.lasts_ms))
    }
}

/// What ends before it begins has ended.
fn lasts_ms(at: Timestamp, until: Timestamp) -> u32 {
    let ms = until.0.saturating_sub(at.0).max(0);
    u32::try_from(ms).unwrap_or(u32::MAX)
}

pub struct Holds {
    open: Shards<BidId, Hold>,
}

/// Why a hold was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    Full,
    Known,
}

impl Holds {
    pub fn new(max: usize) -> Holds {
        Holds {
            open: Shards::new(max),
        }
    }

    pub fn insert(&self, bid: BidId, hold: Hold) -> Result<(), NotTaken> {
        let mut shard = self.open.lock(&bid);
        let is_full = shard.is_full();
        match shard.entry(bid) {
            Entry::Occupied(_) => return Err(NotTaken::Known),
            Entry::Vacant(_) if is_full => return Err(NotTaken::Full),
            Entry::Vacant(place) => place.insert(hold),
        };
        Ok(())
    }

    pub fn remove(&self, bid: BidId) -> Option<Hold> {
        self.open.lock(&bid).remove(&bid)
    }

    pub fn contains(&self, bid: BidId) -> bool {
        self.open.lock(&bid).contains_key(&bid)
    }

    /// Its bid has won: moves the end of a hold. Returns it as it was; `None` where there is none.
    pub fn win(&self, bid: BidId, until: Timestamp) -> Option<Hold> {
        let mut shard = self.open.lock(&bid);
        let hold = shard.get_mut(&bid)?;
        let before = *hold;
        (hold.lasts_ms, hold.won) = (lasts_ms(hold.at, until), true);
        Some(before)
    }

    /// The note of a hold, which has none from now on. 0 where there is no hold or no note.
    pub fn take_ticket(&self, bid: BidId) -> u64 {
        self.open
            .lock(&bid)
            .get_mut(&bid)
            .map_or(0, |hold| std::mem::take(&mut hold.ticket))
    }

    pub fn open(&self) -> usize {
        self.open.count()
    }

    /// Takes out holds that ended at or before `now`, in a bounded part of the table; the next call goes on behind it. Makes room
    /// for those to come.
    pub fn sweep(&self, now: Timestamp, mut expired: impl FnMut(BidId, Hold)) {
        self.open.sweep(SWEPT_MAX, |&bid, hold| {
            let open = now < hold.until();
            if !open {
                expired(bid, *hold);
            }
            open
        });
        self.open.make_room();
    }

    /// Every open hold, a shard at a time.
    pub fn for_each(&self, mut visit: impl FnMut(BidId, &Hold)) {
        self.open.for_each(|&bid, hold| visit(bid, hold));
    }
}
