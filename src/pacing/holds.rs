//! Money held for bids that are not decided yet, by bid id.
//! A hold leaves the table exactly once; the table never allocates after it is made and never holds more than its bound (threads
//! that insert the last ones at one moment may each insert one more).

use super::budgets::ACCOUNTS_PER_BID_MAX;
use crate::units::{BidId, MixHasher, Nanos, Timestamp};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Enough that two workers and the sweep rarely meet, few enough that shards are evenly filled.
const SHARDS: usize = 256;
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
    pub until: Timestamp,
    /// Its win is known. Not kept over a restart: only the pace asks.
    pub won: bool,
    /// A note of whoever made the bid, given back once: see [`Budgets::take_ticket`](super::Budgets::take_ticket). 0 = none.
    pub ticket: u64,
}

type Map = HashMap<BidId, Hold, BuildHasherDefault<MixHasher>>;

/// In a cache line of its own, so that two workers that insert at once do not write to one.
#[repr(align(64))]
struct Shard {
    map: Mutex<Map>,
    /// Of the map. Written under the lock only; read without it for the sum over all shards.
    open: AtomicUsize,
}

pub struct Holds {
    shards: Box<[Shard]>,
    max: usize,
    per_shard_max: usize,
    next_swept: AtomicUsize,
}

/// Why a hold was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    Full,
    Known,
}

impl Holds {
    pub fn new(max: usize) -> Holds {
        let mean = max.div_ceil(SHARDS);
        // Binomial: 6 standard deviations above the mean, and a few for tables of a handful.
        let per_shard_max = (mean + 6 * mean.isqrt() + 8).min(max.max(1));
        // Twice the room: a hash map at most half full clears its deleted places without allocating.
        let shard = || Shard {
            map: Mutex::new(Map::with_capacity_and_hasher(
                2 * per_shard_max,
                BuildHasherDefault::default(),
            )),
            open: AtomicUsize::new(0),
        };
        Holds {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            max,
            per_shard_max,
            next_swept: AtomicUsize::new(0),
        }
    }

    pub fn insert(&self, bid: BidId, hold: Hold) -> Result<(), NotTaken> {
        let shard = self.shard(bid);
        let mut map = lock(shard);
        // The sum over all is worth its 256 looks only where this shard is fuller than the mean of a full table.
        let full =
            map.len() >= self.per_shard_max || (map.len() >= self.max / SHARDS && self.open() >= self.max);
        match map.entry(bid) {
            Entry::Occupied(_) => return Err(NotTaken::Known),
            Entry::Vacant(_) if full => return Err(NotTaken::Full),
            Entry::Vacant(place) => place.insert(hold),
        };
        shard.count(&map);
        Ok(())
    }

    pub fn remove(&self, bid: BidId) -> Option<Hold> {
        let shard = self.shard(bid);
        let mut map = lock(shard);
        let hold = map.remove(&bid);
        shard.count(&map);
        hold
    }

    pub fn contains(&self, bid: BidId) -> bool {
        lock(self.shard(bid)).contains_key(&bid)
    }

    /// Its bid has won: moves the end of a hold. Returns it as it was; `None` where there is none.
    pub fn win(&self, bid: BidId, until: Timestamp) -> Option<Hold> {
        let mut map = lock(self.shard(bid));
        let hold = map.get_mut(&bid)?;
        let before = *hold;
        (hold.until, hold.won) = (until, true);
        Some(before)
    }

    /// The note of a hold, which has none from now on. 0 where there is no hold or no note.
    pub fn take_ticket(&self, bid: BidId) -> u64 {
        lock(self.shard(bid))
            .get_mut(&bid)
            .map_or(0, |hold| std::mem::take(&mut hold.ticket))
    }

    pub fn open(&self) -> usize {
        // Relaxed: the count bounds memory and guards nothing; a shard's lock orders the holds themselves.
        self.shards
            .iter()
            .map(|shard| shard.open.load(Ordering::Relaxed))
            .sum()
    }

    /// Takes out holds that ended at or before `now`, in a bounded part of the table; the next call goes on behind it.
    pub fn sweep(&self, now: Timestamp, mut expired: impl FnMut(BidId, Hold)) {
        let mut seen = 0;
        for _ in 0..SHARDS {
            let next = self.next_swept.fetch_add(1, Ordering::Relaxed) % SHARDS;
            let shard = &self.shards[next];
            // Relaxed: what is inserted at this moment has not ended.
            if shard.open.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let mut map = lock(shard);
            seen += map.len();
            map.retain(|&bid, hold| {
                let open = now < hold.until;
                if !open {
                    expired(bid, *hold);
                }
                open
            });
            shard.count(&map);
            drop(map);
            if seen >= SWEPT_MAX {
                break;
            }
        }
    }

    /// Every open hold, a shard at a time.
    pub fn for_each(&self, mut visit: impl FnMut(BidId, &Hold)) {
        for shard in &self.shards {
            for (&bid, hold) in lock(shard).iter() {
                visit(bid, hold);
            }
        }
    }

    /// The high half of the hash: the map inside uses the low bits and the top seven.
    fn shard(&self, bid: BidId) -> &Shard {
        let hash = MixHasher::mix(bid.0 as u64, (bid.0 >> 64) as u64);
        &self.shards[(hash >> 32) as usize % SHARDS]
    }
}

impl Shard {
    fn count(&self, map: &Map) {
        self.open.store(map.len(), Ordering::Relaxed);
    }
}

/// A panic while the lock was held cannot leave a map of plain values half changed.
fn lock(shard: &Shard) -> MutexGuard<'_, Map> {
    shard.map.lock().unwrap_or_else(PoisonError::into_inner)
}
