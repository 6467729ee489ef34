//! A bounded map that many threads write to at once: each key has one of many shards, and each shard a lock.
//! While it is empty it takes next to nothing. A control thread doubles the room of shards that are half full
//! ([`make_room`](Shards::make_room)), so that whoever inserts allocates nothing and moves nothing; only where a shard doubles between
//! two calls it grows by itself.

use crate::units::MixHasher;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Enough that two workers and the control thread rarely meet.
const SHARDS_MIN: usize = 256;
/// Of a shard, when all are full: its lock is held for as long as it takes to look at them all, or to move them.
const SHARD_MEAN_MAX: usize = 4096;
/// Entries of a shard before it first grows: 28 fill 32 places of a hash map. Of 10,000 bids a second each shard gets 4 between two
/// calls of `make_room`, a tenth of a second; half of its room, 14, is free then.
const FIRST_ROOM: usize = 28;

type Map<K, V> = HashMap<K, V, BuildHasherDefault<MixHasher>>;

pub struct Shards<K, V> {
    shards: Box<[Shard<K, V>]>,
    max: usize,
    per_shard_max: usize,
    next_swept: AtomicUsize,
}

/// In a cache line of its own, so that two workers that insert at once do not write to one.
#[repr(align(64))]
struct Shard<K, V> {
    map: Mutex<Map<K, V>>,
    /// Of the map. Written under the lock only; read without it for the sum over all shards.
    open: AtomicUsize,
    /// Half of the map's room, under the same rule.
    half: AtomicUsize,
}

/// The shard of a key, for as long as this lives. Whoever inserts asks [`is_full`](Locked::is_full) first.
pub struct Locked<'a, K, V> {
    map: MutexGuard<'a, Map<K, V>>,
    shard: &'a Shard<K, V>,
    all: &'a Shards<K, V>,
}

impl<K: Eq + Hash, V> Shards<K, V> {
    /// For `max` entries. Every shard takes its share of them whatever the others have, so a full table has a few more (one in a
    /// hundred of 600,000, where keys are spread evenly).
    pub fn new(max: usize) -> Shards<K, V> {
        let shards = max.div_ceil(SHARD_MEAN_MAX).next_power_of_two().max(SHARDS_MIN);
        let mean = max.div_ceil(shards);
        // Binomial: 6 standard deviations above the mean, and a few for tables of a handful.
        let per_shard_max = (mean + 6 * mean.isqrt() + 8).min(max.max(1));
        Shards {
            shards: (0..shards).map(|_| Shard::new(2 * per_shard_max)).collect(),
            max,
            per_shard_max,
            next_swept: AtomicUsize::new(0),
        }
    }

    pub fn lock(&self, key: &K) -> Locked<'_, K, V> {
        // The high half of the hash: the map inside uses the low bits and the top seven.
        let hash = BuildHasherDefault::<MixHasher>::default().hash_one(key);
        let shard = &self.shards[(hash >> 32) as usize & (self.shards.len() - 1)];
        Locked {
            map: shard.lock(),
            shard,
            all: self,
        }
    }

    /// Entries.
    pub fn count(&self) -> usize {
        // Relaxed: the count bounds memory and guards nothing; a shard's lock orders the entries themselves.
        self.shards
            .iter()
            .map(|shard| shard.open.load(Ordering::Relaxed))
            .sum()
    }

    /// Doubles the room of shards that are half full, one at a time. For a control thread, about ten times a second.
    pub fn make_room(&self) {
        for shard in &self.shards {
            // Relaxed: a moment later is early enough.
            if shard.open.load(Ordering::Relaxed) > shard.half.load(Ordering::Relaxed) {
                let mut map = shard.lock();
                let room = (2 * map.capacity()).min(2 * self.per_shard_max);
                let more = room.saturating_sub(map.len());
                map.reserve(more);
                shard.half.store(map.capacity() / 2, Ordering::Relaxed);
            }
        }
    }

    /// Takes out the entries that do not stay, a shard at a time.
    pub fn retain(&self, mut stays: impl FnMut(&K, &mut V) -> bool) {
        self.shards.iter().for_each(|shard| {
            shard.retain(&mut stays);
        });
    }

    /// [`retain`](Shards::retain) in a bounded part: it ends when about `looked_at_max` entries have been looked at, and the next
    /// call goes on behind them. For one thread.
    pub fn sweep(&self, looked_at_max: usize, mut stays: impl FnMut(&K, &mut V) -> bool) {
        let mut looked_at = 0;
        for _ in 0..self.shards.len() {
            let next = self.next_swept.fetch_add(1, Ordering::Relaxed) & (self.shards.len() - 1);
            looked_at += self.shards[next].retain(&mut stays);
            if looked_at >= looked_at_max {
                break;
            }
        }
    }

    /// Every entry, a shard at a time.
    pub fn for_each(&self, mut visit: impl FnMut(&K, &V)) {
        for shard in &self.shards {
            shard.lock().iter().for_each(|(key, value)| visit(key, value));
        }
    }
}

impl<K: Eq + Hash, V> Shard<K, V> {
    /// A hash map that is at most half full clears its deleted places without allocating: so `room` is twice what it may hold.
    fn new(room: usize) -> Shard<K, V> {
        let map = Map::with_capacity_and_hasher(room.min(FIRST_ROOM), BuildHasherDefault::default());
        Shard {
            open: AtomicUsize::new(0),
            half: AtomicUsize::new(map.capacity() / 2),
            map: Mutex::new(map),
        }
    }

    /// How many were looked at.
    fn retain(&self, stays: impl FnMut(&K, &mut V) -> bool) -> usize {
        // Relaxed: of what is inserted at this moment nothing is asked.
        if self.open.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        let mut map = self.lock();
        let looked_at = map.len();
        map.retain(stays);
        self.open.store(map.len(), Ordering::Relaxed);
        looked_at
    }
}

impl<K, V> Shard<K, V> {
    /// A panic while the lock was held cannot leave a map of plain values half changed.
    fn lock(&self) -> MutexGuard<'_, Map<K, V>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, V> Locked<'_, K, V> {
    pub fn is_full(&self) -> bool {
        let open = self.map.len();
        // The sum over all is worth its looks only where this shard is fuller than the mean of a full table.
        let may_be_last = || open >= self.all.max / self.all.shards.len() && self.all.count() >= self.all.max;
        open >= self.all.per_shard_max || may_be_last()
    }
}

impl<K, V> Deref for Locked<'_, K, V> {
    type Target = Map<K, V>;

    fn deref(&self) -> &Map<K, V> {
        &self.map
    }
}

impl<K, V> DerefMut for Locked<'_, K, V> {
    fn deref_mut(&mut self) -> &mut Map<K, V> {
        &mut self.map
    }
}

impl<K, V> Drop for Locked<'_, K, V> {
    fn drop(&mut self) {
        self.shard.open.store(self.map.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(max: usize, count: u64) -> Shards<u64, u64> {
        let table = Shards::new(max);
        (0..count).for_each(|n| insert(&table, n));
        table
    }

    fn insert(table: &Shards<u64, u64>, n: u64) {
        let mut shard = table.lock(&n);
        if !shard.is_full() {
            shard.insert(n, n);
        }
    }

    fn rooms(table: &Shards<u64, u64>) -> Vec<usize> {
        table.shards.iter().map(|shard| shard.lock().capacity()).collect()
    }

    #[test]
    fn it_takes_as_many_as_it_is_for_and_few_more() {
        for (max, more) in [(0, 0), (1, 0), (2, 0), (100, 0), (5_000, 400), (100_000, 2_000)] {
            let table = filled(max, 2 * max as u64 + 10);
            assert!((max..=max + more).contains(&table.count()), "{}", table.count());
            let mut seen = 0;
            table.for_each(|key, value| seen += usize::from(key == value));
            assert_eq!(seen, table.count());
        }
    }

    #[test]
    fn an_empty_table_is_small_however_much_it_is_for() {
        let room = |max| rooms(&filled(max, 0)).iter().sum::<usize>();
        assert!(room(600_000) <= 256 * FIRST_ROOM);
        assert!(room(11_000_000) <= 11_000_000 / 64);
        assert!(room(10) <= 256 * 28);
    }

    #[test]
    fn room_is_made_ahead_so_that_inserting_grows_nothing() {
        let table = filled(600_000, 0);
        let mut next = 0;
        // 10,000 a second, then twice as many, then a tenth of all there are already.
        for tick in 0..60 {
            let more = [1_000, 2_000, next / 10][tick / 20];
            let before = rooms(&table);
            (next..next + more).for_each(|n| insert(&table, n));
            next += more;
            assert_eq!(rooms(&table), before, "{next}");
            table.make_room();
            let half = |shard: &Shard<u64, u64>| {
                let map = shard.lock();
                map.len() <= map.capacity() / 2
            };
            assert!(table.shards.iter().all(half));
        }
    }

    #[test]
    fn however_many_come_and_go_it_does_not_grow_beyond_its_bound() {
        let table = filled(10_000, 20_000);
        for n in 20_000..90_000 {
            table.lock(&(n - 20_000)).remove(&(n - 20_000));
            insert(&table, n);
            if n % 1_000 == 0 {
                table.make_room();
            }
        }
        // Twice what a shard may have, rounded up to what a hash map takes.
        assert!(
            rooms(&table)
                .into_iter()
                .all(|room| room < 4 * table.per_shard_max)
        );
    }

    #[test]
    fn each_of_two_that_retain_at_once_sees_all() {
        let table = filled(100_000, 50_000);
        std::thread::scope(|scope| {
            scope.spawn(|| table.retain(|key, _| key % 2 == 0));
            scope.spawn(|| table.retain(|key, _| key % 3 == 0));
        });
        assert_eq!(table.count(), 50_000_usize.div_ceil(6));
    }

    #[test]
    fn sweeps_of_a_part_come_to_everything_in_turn() {
        let table = filled(100_000, 50_000);
        let mut seen = Vec::new();
        while table.count() > 0 {
            let before = seen.len();
            table.sweep(1_000, |&key, _| {
                seen.push(key);
                false
            });
            assert!(seen.len() - before < 1_000 + table.per_shard_max);
        }
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..50_000));
    }
}
