//! The table of users: bounded, read under a lock that looks share, and laid out for few looks into memory. The tags of fourteen
//! places lie in sixteen bytes, so whoever is unknown costs one look, mostly; a place is a line of the cache, so whoever is known
//! costs one more.
//!
//! A user stands in the group that the hash of the key names or, where that is full, in the next one that is not. Each group
//! counts who has gone past it: where nobody has, a search ends. So nothing is moved, and what is removed leaves no trace.

use super::past::Past;
use crate::units::{MixHasher, UserKey};
use std::hash::Hasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Places of a group.
const TAGS: usize = 14;
const EMPTY: u8 = 0;
/// 1 in each byte of a tag.
const ONES: u128 = (u128::MAX / 255) >> (8 * (16 - TAGS));
/// Of a shard: 16,352 places, 2 KB less than a MiB, so that they fit a piece that an allocator gives out. A sweep locks one shard at a
/// time, for a millisecond.
const GROUPS_MAX: usize = 1168;

/// Of users a quarter more have places: then most groups are not full (mean 11.2 of 14), and no shard is.
const fn places(users_max: usize) -> usize {
    users_max + users_max / 4 + TAGS
}

pub struct Users {
    shards: Box<[RwLock<Shard>]>,
    /// Of all shards together; each has as many as the others.
    groups: usize,
    users_max: usize,
    open: AtomicUsize,
}

/// Takes its memory with its first user.
#[derive(Default)]
struct Shard {
    groups: Box<[Group]>,
    places: Box<[Place]>,
}

/// A byte for each place, the first one lowest: the tag of the user who stands there. In the upper two bytes how many users stand in a
/// later group although they belong to this one or one before.
#[derive(Clone, Copy)]
struct Group(u128);

#[repr(align(64))]
#[derive(Clone)]
struct Place {
    user: UserKey,
    past: Past,
}

/// The memory stated in the module's documentation.
const _: () = assert!(size_of::<Place>() == 64 && size_of::<Group>() == 16);
/// Who has gone past a group can be counted.
const _: () = assert!(GROUPS_MAX * TAGS <= u16::MAX as usize);

/// Where a user is looked for.
#[derive(Clone, Copy)]
struct Way {
    shard: usize,
    home: usize,
    tag: u8,
}

/// A user who is in the table. Whoever changes something in the same shard waits while this is held.
pub struct Known<'u> {
    shard: RwLockReadGuard<'u, Shard>,
    place: usize,
}

impl Known<'_> {
    #[inline]
    pub fn past(&self) -> &Past {
        &self.shard.places[self.place].past
    }
}

impl Users {
    pub fn new(users_max: usize) -> Users {
        let needed = places(users_max).div_ceil(TAGS);
        let shards = needed.div_ceil(GROUPS_MAX);
        Users {
            shards: (0..shards).map(|_| RwLock::default()).collect(),
            groups: shards * needed.min(GROUPS_MAX),
            users_max,
            open: AtomicUsize::new(0),
        }
    }

    pub fn len(&self) -> usize {
        // Relaxed, here and below: the count bounds memory and guards nothing.
        self.open.load(Ordering::Relaxed)
    }

    #[inline]
    pub fn get(&self, user: UserKey) -> Option<Known<'_>> {
        let way = self.way(user);
        // A panic elsewhere leaves a user without a past, at worst.
        let shard = self.shards[way.shard]
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let place = shard.find(way, user)?;
        Some(Known { shard, place })
    }

    /// Of a user who is known. Where nothing is left, the user goes.
    pub fn change(&self, user: UserKey, change: impl FnOnce(&mut Past)) {
        let way = self.way(user);
        let mut shard = self.write(way.shard);
        if let Some(place) = shard.find(way, user) {
            change(&mut shard.places[place].past);
            if shard.places[place].past.is_empty() {
                shard.remove(way, place);
                self.open.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Of a user who may be new; something has to be left. False, and nothing changed, where there is no room.
    pub fn change_or_insert(&self, user: UserKey, change: impl FnOnce(&mut Past)) -> bool {
        let way = self.way(user);
        let mut shard = self.write(way.shard);
        let known = shard.find(way, user);
        let Some(place) = known.or_else(|| self.insert(&mut shard, way, user)) else {
            return false;
        };
        change(&mut shard.places[place].past);
        true
    }

    /// True where the user was there.
    pub fn remove(&self, user: UserKey) -> bool {
        let way = self.way(user);
        let mut shard = self.write(way.shard);
        let known = shard.find(way, user);
        if let Some(place) = known {
            shard.remove(way, place);
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
        known.is_some()
    }

    /// One shard at a time.
    pub fn for_each(&self, mut look: impl FnMut(UserKey, &Past)) {
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            let taken = shard.places.iter().filter(|place| !place.past.is_empty());
            taken.for_each(|place| look(place.user, &place.past));
        }
    }

    /// One shard at a time; returns how many went.
    pub fn retain(&self, mut stays: impl FnMut(UserKey, &mut Past) -> bool) -> usize {
        let mut gone = 0;
        for index in 0..self.shards.len() {
            let mut shard = self.write(index);
            for place in 0..shard.places.len() {
                let Place { user, past } = &mut shard.places[place];
                let user = *user;
                if !past.is_empty() && !stays(user, past) {
                    shard.remove(self.way(user), place);
                    gone += 1;
                }
            }
        }
        self.open.fetch_sub(gone, Ordering::Relaxed);
        gone
    }

    #[inline]
    fn way(&self, user: UserKey) -> Way {
        let mut hash = MixHasher::default();
        hash.write_u64(user.0);
        let hash = hash.finish();
        // The upper bits name the group, the lowest are the tag.
        let group = ((u128::from(hash) * self.groups as u128) >> 64) as usize;
        Way {
            shard: group / GROUPS_MAX,
            home: group % GROUPS_MAX,
            tag: (hash as u8).max(EMPTY + 1),
        }
    }

    fn write(&self, shard: usize) -> RwLockWriteGuard<'_, Shard> {
        self.shards[shard].write().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, shard: &mut Shard, way: Way, user: UserKey) -> Option<usize> {
        if self.open.fetch_add(1, Ordering::Relaxed) < self.users_max {
            if shard.groups.is_empty() {
                *shard = Shard::new(self.groups / self.shards.len());
            }
            if let Some(place) = shard.insert(way, user) {
                return Some(place);
            }
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Shard {
    fn new(groups: usize) -> Shard {
        Shard {
            groups: vec![Group(0); groups].into(),
            places: vec![Place::EMPTY; groups * TAGS].into(),
        }
    }

    #[inline]
    fn find(&self, way: Way, user: UserKey) -> Option<usize> {
        let mut at = way.home;
        loop {
            // A shard without users has no groups.
            let group = *self.groups.get(at)?;
            let mut marked = group.marked(way.tag);
            while marked != 0 {
                let place = at * TAGS + lowest(marked);
                if self.places[place].user == user {
                    return Some(place);
                }
                marked &= marked - 1;
            }
            at = self.after(at);
            if group.passed() == 0 || at == way.home {
                return None;
            }
        }
    }

    /// `None` where all places are taken.
    fn insert(&mut self, way: Way, user: UserKey) -> Option<usize> {
        let mut at = way.home;
        while self.groups[at].marked(EMPTY) == 0 {
            at = self.after(at);
            if at == way.home {
                return None;
            }
        }
        let k = lowest(self.groups[at].marked(EMPTY));
        self.pass(way, at, |passed| passed + 1);
        self.groups[at].set(k, way.tag);
        self.places[at * TAGS + k].user = user;
        Some(at * TAGS + k)
    }

    fn remove(&mut self, way: Way, place: usize) {
        self.pass(way, place / TAGS, |passed| passed - 1);
        self.groups[place / TAGS].set(place % TAGS, EMPTY);
        self.places[place] = Place::EMPTY;
    }

    /// Changes the counts of the groups on the way before the one at `end`.
    fn pass(&mut self, way: Way, end: usize, change: impl Fn(u16) -> u16) {
        let mut at = way.home;
        while at != end {
            let group = &mut self.groups[at];
            group.set_passed(change(group.passed()));
            at = self.after(at);
        }
    }

    #[inline]
    fn after(&self, group: usize) -> usize {
        if group + 1 < self.groups.len() {
            group + 1
        } else {
            0
        }
    }
}

impl Place {
    const EMPTY: Place = Place {
        user: UserKey(0),
        past: Past::NONE,
    };
}

impl Group {
    /// The upper bit of the byte of each place that has the tag.
    #[inline]
    fn marked(self, tag: u8) -> u128 {
        let eight = u64::from(tag) * ONES as u64;
        let differs = self.0 ^ (u128::from(eight) << 64 | u128::from(eight));
        // No byte carries into the next one: 127 + 127 < 256.
        !(((differs & (ONES * 127)) + ONES * 127) | differs) & (ONES * 128)
    }

    #[inline]
    fn passed(self) -> u16 {
        (self.0 >> (8 * TAGS)) as u16
    }

    fn set_passed(&mut self, count: u16) {
        self.0 = self.0 & (ONES * 255) | u128::from(count) << (8 * TAGS);
    }

    fn set(&mut self, k: usize, tag: u8) {
        self.0 = self.0 & !(255 << (8 * k)) | u128::from(tag) << (8 * k);
    }
}

/// The place of the lowest mark.
#[inline]
fn lowest(marked: u128) -> usize {
    marked.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::CapObject;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[derive(Clone, Debug)]
    enum Step {
        Count(u64),
        Empty(u64),
        Remove(u64),
        /// Those whose key is no multiple stay.
        Thin(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        // About as many users as there is room for, and few of them with one way.
        let user = 0..60_u64;
        prop_oneof![
            8 => user.clone().prop_map(Step::Count),
            1 => user.clone().prop_map(Step::Empty),
            2 => user.prop_map(Step::Remove),
            1 => (2..7_u64).prop_map(Step::Thin),
        ]
    }

    const OBJECT: CapObject = CapObject(7);

    fn count(users: &Users, user: u64, at: u32) -> bool {
        users.change_or_insert(UserKey(user), |past| {
            past.change(|past| past.count(OBJECT, at, 1))
        })
    }

    fn last(users: &Users, user: u64) -> Option<u32> {
        users.get(UserKey(user)).map(|known| known.past().read().last())
    }

    /// All that is there, each found by the way of its key.
    fn check(users: &Users, model: &HashMap<u64, u32>) {
        let mut all = HashMap::new();
        users.for_each(|user, past| assert_eq!(all.insert(user.0, past.read().last()), None));
        assert_eq!(&all, model);
        assert_eq!(users.len(), model.len());
        (0..60).for_each(|user| assert_eq!(last(users, user), model.get(&user).copied()));
    }

    proptest! {
        #[test]
        fn the_table_is_a_bounded_map(steps in prop::collection::vec(step(), 1..100)) {
            let users = Users::new(40);
            let mut model = HashMap::new();
            for (at, step) in (1..).zip(steps) {
                match step {
                    Step::Count(user) => {
                        let has_room = model.len() < 40 || model.contains_key(&user);
                        assert_eq!(count(&users, user, at), has_room);
                        has_room.then(|| model.insert(user, at));
                    }
                    Step::Empty(user) => {
                        users.change(UserKey(user), |past| past.change(|past| past.remove_before(OBJECT, u32::MAX)));
                        model.remove(&user);
                    }
                    Step::Remove(user) => assert_eq!(users.remove(UserKey(user)), model.remove(&user).is_some()),
                    Step::Thin(by) => {
                        let before = model.len();
                        model.retain(|user, _| user % by != 0);
                        assert_eq!(users.retain(|user, _| user.0 % by != 0), before - model.len());
                    }
                }
                check(&users, &model);
            }
        }

        #[test]
        fn a_group_marks_the_places_of_a_tag_and_no_others(tags in prop::collection::vec(0..4_u8, TAGS), passed: u16, tag in 0..5_u8) {
            let mut group = Group(0);
            group.set_passed(passed);
            tags.iter().enumerate().for_each(|(k, &tag)| group.set(k, tag));
            let marked = (0..16).filter(|k| group.marked(tag) >> (8 * k) & 255 != 0);
            let expected = (0..TAGS).filter(|&k| tags[k] == tag);
            prop_assert_eq!(marked.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
            prop_assert_eq!(group.passed(), passed);
        }
    }

    #[test]
    fn a_shard_without_a_free_place_refuses_and_takes_in_again_what_leaves() {
        let mut users = Users::new(40);
        users.users_max = usize::MAX;
        let room = users.groups * TAGS;
        let mut model = HashMap::new();
        (0..room as u64).for_each(|user| {
            assert!(count(&users, user, 1));
            model.insert(user, 1);
        });
        let next = room as u64;
        assert!(!count(&users, next, 2) && last(&users, next).is_none());
        assert_eq!(users.len(), room);
        for user in 0..room as u64 {
            assert!(users.remove(UserKey(user)) && count(&users, next + user, 2));
            assert_eq!((last(&users, user), last(&users, next + user)), (None, Some(2)));
        }
        assert_eq!(users.retain(|_, _| false), room);
        let shard = users.shards[0].read().unwrap();
        assert!(
            shard.groups.iter().all(|group| group.0 == 0),
            "nobody is on the way anywhere"
        );
    }

    #[test]
    fn users_of_many_shards_are_all_found() {
        let users = Users::new(40_000);
        assert!(users.shards.len() > 1);
        let found = |range: std::ops::Range<u64>| range.filter(|&user| last(&users, user).is_some()).count();
        assert_eq!(found(0..100), 0, "a shard without users has no memory");
        (0..40_000).for_each(|user| assert!(count(&users, user, 1)));
        assert_eq!(found(0..50_000), 40_000);
        assert_eq!(users.retain(|user, _| user.0 % 4 == 0), 30_000);
        assert_eq!(found(0..50_000), 10_000);
    }
}
