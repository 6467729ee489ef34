//! Money held for bids that are not decided yet, by bid id.
//! A hold leaves the table exactly once; the table never allocates after it is made and never holds more than its bound.

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
const SWEPT_MAX: usize = 1 << 16;

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
}

type Shard = HashMap<BidId, Hold, BuildHasherDefault<MixHasher>>;

pub struct Holds {
    shards: Box<[Mutex<Shard>]>,
    open: AtomicUsize,
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
        let shard = || {
            Mutex::new(Shard::with_capacity_and_hasher(
                2 * per_shard_max,
                BuildHasherDefault::default(),
            ))
        };
        Holds {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            open: AtomicUsize::new(0),
            max,
            per_shard_max,
            next_swept: AtomicUsize::new(0),
        }
    }

    pub fn insert(&self, bid: BidId, hold: Hold) -> Result<(), NotTaken> {
        // Relaxed: the count bounds memory and guards nothing; the shard's lock orders the hold itself.
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.max {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(NotTaken::Full);
        }
        let mut shard = self.shard(bid);
        let full = shard.len() >= self.per_shard_max;
        let refused = match shard.entry(bid) {
            Entry::Occupied(_) => NotTaken::Known,
            Entry::Vacant(_) if full => NotTaken::Full,
            Entry::Vacant(place) => {
                place.insert(hold);
                return Ok(());
            }
        };
        self.open.fetch_sub(1, Ordering::Relaxed);
        Err(refused)
    }

    pub fn remove(&self, bid: BidId) -> Option<Hold> {
        let hold = self.shard(bid).remove(&bid);
        if hold.is_some() {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
        hold
    }

    pub fn contains(&self, bid: BidId) -> bool {
        self.shard(bid).contains_key(&bid)
    }

    /// Moves the end of a hold; false where there is none.
    pub fn move_end(&self, bid: BidId, until: Timestamp) -> bool {
        self.shard(bid)
            .get_mut(&bid)
            .map(|hold| hold.until = until)
            .is_some()
    }

    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Takes out holds that ended at or before `now`, in a bounded part of the table; the next call goes on behind it.
    pub fn sweep(&self, now: Timestamp, mut expired: impl FnMut(BidId, Hold)) {
        let mut seen = 0;
        for _ in 0..SHARDS {
            let next = self.next_swept.fetch_add(1, Ordering::Relaxed) % SHARDS;
            let mut shard = lock(&self.shards[next]);
            seen += shard.len();
            shard.retain(|&bid, hold| {
                let open = now < hold.until;
                if !open {
                    self.open.fetch_sub(1, Ordering::Relaxed);
                    expired(bid, *hold);
                }
                open
            });
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
    fn shard(&self, bid: BidId) -> MutexGuard<'_, Shard> {
        let hash = MixHasher::mix(bid.0 as u64, (bid.0 >> 64) as u64);
        lock(&self.shards[(hash >> 32) as usize % SHARDS])
    }
}

/// A panic while the lock was held cannot leave a map of plain values half changed.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
