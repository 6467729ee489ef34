//! The table of users and the table of outstanding bids.
//! Both are bounded and small while they are empty; reading allocates nothing, and placing a provisional count uses memory that
//! [`Caps::tick`] takes ahead of need.

use super::past::{Past, seconds};
use super::user::Seen;
use super::users::Users;
use super::{CapLevel, CapObject, CapRule, IMPRESSIONS_MAX, LIFETIME_S, Noted, UserFact};
use crate::shards::Shards;
use crate::units::{BidId, EntryId, MixHasher, ObjectId, Timestamp, UserKey};
use arc_swap::{ArcSwap, ArcSwapOption};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

pub(super) type Mix = BuildHasherDefault<MixHasher>;

const PROVISIONAL_SWEEP_MS: i64 = 10_000;
const USERS_SWEEP_MS: i64 = 60_000;
/// Before the first rules are known (the books are read again before the campaigns) every object is counted this far.
const KEEP_UNKNOWN: Keep = Keep {
    impressions: 32,
    window_s: LIFETIME_S,
};

/// See the [module](super). One per process, outside every snapshot: a reload loses no count.
pub struct Caps {
    pub(super) users: Users,
    pub(super) provisional: Shards<(UserKey, CapObject), Provisional>,
    keeps: ArcSwapOption<HashMap<CapObject, Keep, Mix>>,
    /// The groups of each creative that has some.
    groups: ArcSwap<HashMap<CapObject, Vec<CapObject>, Mix>>,
    entries_max: usize,
    provisional_swept_at: AtomicI64,
    users_swept_at: AtomicI64,
    uncounted: AtomicU64,
    evicted: AtomicU64,
    provisional_refused: AtomicU64,
    /// Up to where the facts of other nodes are in. Written by the one thread that has the books.
    heard_ms: AtomicU64,
    heard_sequence: AtomicU64,
    /// Set where what others count is not known for so long that nobody is to be bid for by it.
    is_unsure: AtomicBool,
}

/// A line item's one chance with a user, which the bids of one response share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Provisional {
    /// The low 32 bits of the bids' counters; [`NO_BID`] where there is none. They only have to differ among the bids of
    /// one line item for one user within minutes.
    pub bids: [u32; BIDS_PER_CHANCE_MAX],
    pub until: Timestamp,
}

/// One bid for each of a few deals and the open auction, or for the imps of a road-block.
pub(super) const BIDS_PER_CHANCE_MAX: usize = 8;
pub(super) const NO_BID: u32 = u32::MAX;

/// The memory of the table of outstanding bids: 56 bytes an entry with its key.
const _: () = assert!(size_of::<Provisional>() == 40);

impl Provisional {
    fn of(bid: BidId, until: Timestamp) -> Provisional {
        let mut bids = [NO_BID; BIDS_PER_CHANCE_MAX];
        bids[0] = short(bid);
        Provisional { bids, until }
    }

    fn has(&self, bid: BidId) -> bool {
        self.bids.contains(&short(bid))
    }

    /// False where there is no place left.
    fn add(&mut self, bid: BidId, until: Timestamp) -> bool {
        let Some(place) = self.bids.iter_mut().find(|place| **place == NO_BID) else {
            return false;
        };
        *place = short(bid);
        self.until = self.until.max(until);
        true
    }

    /// True where it was the last one.
    fn remove(&mut self, bid: BidId) -> bool {
        let gone = short(bid);
        self.bids
            .iter_mut()
            .filter(|place| **place == gone)
            .for_each(|place| *place = NO_BID);
        self.bids.iter().all(|place| *place == NO_BID)
    }
}

/// See [`Provisional::bids`].
pub(super) fn short(bid: BidId) -> u32 {
    (bid.0 >> 32) as u32 % NO_BID
}

/// How much of an object's past its rules can ask for.
#[derive(Clone, Copy, Debug)]
struct Keep {
    impressions: u16,
    window_s: u32,
}

/// Since the start of the process; the first two are of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub users: usize,
    pub provisional: usize,
    /// Billed impressions that were not counted because the table was full.
    pub uncounted: u64,
    /// Users removed to make room.
    pub evicted: u64,
    /// Bids not made because the table of outstanding bids was full.
    pub provisional_refused: u64,
}

/// What [`Caps::tick`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Provisional counts that ended without a notice.
    pub provisional: usize,
    /// Users of whom no window sees anything any more.
    pub users: usize,
    /// Users removed to make room, not seen for longest.
    pub evicted: usize,
}

impl Caps {
    /// With room for `entries_max` users and as many outstanding bids.
    pub fn new(entries_max: usize) -> Caps {
        Caps {
            users: Users::new(entries_max),
            provisional: Shards::new(entries_max),
            keeps: ArcSwapOption::empty(),
            groups: ArcSwap::default(),
            entries_max,
            provisional_swept_at: AtomicI64::new(0),
            users_swept_at: AtomicI64::new(0),
            uncounted: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            provisional_refused: AtomicU64::new(0),
            heard_ms: AtomicU64::new(0),
            heard_sequence: AtomicU64::new(0),
            is_unsure: AtomicBool::new(false),
        }
    }

    /// Takes in what happened at other nodes, up to an entry of the row that they share. One thread at a time.
    pub fn hear(&self, facts: &[Noted], up_to: EntryId) {
        facts.iter().for_each(|noted| self.learn(noted));
        // Relaxed: only the thread that calls this makes checkpoints.
        self.heard_ms.store(up_to.ms, Ordering::Relaxed);
        self.heard_sequence.store(up_to.sequence, Ordering::Relaxed);
    }

    /// See [`hear`](Caps::hear).
    pub fn heard(&self) -> EntryId {
        EntryId {
            ms: self.heard_ms.load(Ordering::Relaxed),
            sequence: self.heard_sequence.load(Ordering::Relaxed),
        }
    }

    /// Whether what is counted may be bid by. It may, but where other nodes have not been heard of for too long and the setting
    /// says that nobody is to be shown more than they should.
    pub fn is_sure(&self) -> bool {
        // Relaxed, here and below: a bid a moment earlier or later guards nothing.
        !self.is_unsure.load(Ordering::Relaxed)
    }

    pub fn set_sure(&self, is_sure: bool) {
        self.is_unsure.store(!is_sure, Ordering::Relaxed);
    }

    /// Whether any rule asks for the fact: what nobody asks for need not be told.
    pub fn wants(&self, fact: &UserFact) -> bool {
        let keeps = self.keeps.load();
        let Some(keeps) = keeps.as_ref() else {
            return true;
        };
        match *fact {
            UserFact::Shown(shown) => {
                let groups = self.groups.load();
                let in_group = |object| {
                    groups
                        .get(object)
                        .is_some_and(|all| all.iter().any(|group| keeps.contains_key(group)))
                };
                let objects = shown.objects();
                objects
                    .as_slice()
                    .iter()
                    .any(|object| keeps.contains_key(object) || in_group(object))
            }
            UserFact::Clicked(line_item) => keeps.contains_key(&CapObject::unanswered(line_item)),
            UserFact::Bought(sold) | UserFact::Returned { sold, .. } => keeps.contains_key(&sold),
        }
    }

    /// All rules in force, at every load of the configuration. From then on only objects with a rule are counted, as far back as
    /// their rules look. An object that gets its first rule by a reload starts from zero.
    pub fn set_rules(&self, rules: impl IntoIterator<Item = CapRule>) {
        let mut keeps = HashMap::<CapObject, Keep, Mix>::default();
        for rule in rules {
            let keep = keeps.entry(rule.object).or_insert(Keep {
                impressions: 1,
                window_s: 1,
            });
            keep.impressions = keep.impressions.max(rule.impressions).min(IMPRESSIONS_MAX);
            keep.window_s = keep.window_s.max(rule.window_s);
        }
        self.keeps.store(Some(Arc::new(keeps)));
    }

    /// Which groups each creative is in, as (creative, group), at every load of the configuration and before its rules.
    pub fn set_groups(&self, members: impl IntoIterator<Item = (CapObject, CapObject)>) {
        let mut groups = HashMap::<CapObject, Vec<CapObject>, Mix>::default();
        for (creative, group) in members {
            groups.entry(creative).or_default().push(group);
        }
        self.groups.store(Arc::new(groups));
    }

    /// All that is counted of a user; `None` where nothing is.
    #[inline]
    pub fn seen(&self, user: UserKey) -> Option<Seen<'_>> {
        self.users.get(user).map(Seen)
    }

    /// `Err` is the index of the first rule that stops a bid for this user at `now`.
    pub fn allows(&self, user: UserKey, rules: &[CapRule], now: Timestamp) -> Result<(), usize> {
        if rules.is_empty() {
            return Ok(());
        }
        let Some(seen) = self.seen(user) else {
            return Ok(());
        };
        match rules.iter().position(|rule| seen.reaches(rule, now)) {
            Some(index) => Err(index),
            None => Ok(()),
        }
    }

    /// Whether `impressions` more at `now`, all at once, would keep the rule.
    pub fn has_room(&self, user: UserKey, rule: &CapRule, impressions: usize, now: Timestamp) -> bool {
        let most = usize::from(rule.impressions.clamp(1, IMPRESSIONS_MAX));
        if impressions == 0 || impressions > most {
            return impressions == 0;
        }
        let with_others = CapRule {
            impressions: (most - impressions + 1) as u16,
            ..*rule
        };
        self.allows(user, &[with_others], now).is_ok()
    }

    /// Notes that a bid of `line_item` for this user is on its way until `until`. False, and nothing noted, where one is
    /// outstanding at `now` already or the table is full: then do not bid.
    pub fn provisional(
        &self,
        user: UserKey,
        line_item: ObjectId,
        bid: BidId,
        now: Timestamp,
        until: Timestamp,
    ) -> bool {
        let key = (user, CapObject::of(CapLevel::LineItem, line_item));
        let mut shard = self.provisional.lock(&key);
        let is_full = shard.is_full();
        match shard.entry(key) {
            Entry::Occupied(outstanding) if now < outstanding.get().until => false,
            Entry::Occupied(mut ended) => {
                ended.insert(Provisional::of(bid, until));
                true
            }
            Entry::Vacant(_) if is_full => {
                self.provisional_refused.fetch_add(1, Ordering::Relaxed);
                false
            }
            Entry::Vacant(place) => {
                place.insert(Provisional::of(bid, until));
                true
            }
        }
    }

    /// Notes one more bid of the response in which `first` took the line item's chance: it ends with the last of them. False,
    /// and nothing noted, where `first` does not stand any more or too many share the chance already.
    pub fn provisional_beside(
        &self,
        user: UserKey,
        line_item: ObjectId,
        first: BidId,
        bid: BidId,
        until: Timestamp,
    ) -> bool {
        let key = (user, CapObject::of(CapLevel::LineItem, line_item));
        let mut shard = self.provisional.lock(&key);
        let outstanding = shard.get_mut(&key);
        outstanding.is_some_and(|chance| chance.has(first) && chance.add(bid, until))
    }

    /// The bid is lost, billed or not made after all: the provisional count ends, unless other bids of the same response share
    /// it. True where it ended.
    pub fn clear(&self, user: UserKey, line_item: ObjectId, bid: BidId) -> bool {
        self.clear_object(user, CapObject::of(CapLevel::LineItem, line_item), bid)
    }

    /// Takes in what happened to a user, here or at another node.
    pub fn learn(&self, noted: &Noted) {
        let Noted { user, at, fact } = *noted;
        match fact {
            UserFact::Shown(shown) => self.count(user, shown.objects().as_slice(), at),
            UserFact::Bought(sold) => self.count(user, &[sold], at),
            UserFact::Clicked(line_item) => {
                let object = CapObject::unanswered(line_item);
                let answered = seconds(at).saturating_add(1);
                self.users.change(user, |past| {
                    past.change(|past| past.remove_before(object, answered))
                });
            }
            UserFact::Returned { sold, bought_at } => {
                self.users.change(user, |past| {
                    past.change(|past| past.remove(sold, seconds(bought_at)))
                });
            }
        }
    }

    /// Counts something that happened at `at` on each of `objects`, and on the groups of creatives among them.
    pub fn count(&self, user: UserKey, objects: &[CapObject], at: Timestamp) {
        let groups = self.groups.load();
        let groups_of = |object| groups.get(object).into_iter().flatten();
        let objects = objects
            .iter()
            .flat_map(|object| std::iter::once(object).chain(groups_of(object)));
        let keeps = self.keeps.load();
        let keep_of = |object| {
            keeps
                .as_ref()
                .map_or(Some(KEEP_UNKNOWN), |keeps| keeps.get(object).copied())
        };
        let mut kept = objects
            .filter_map(|object| Some((*object, keep_of(object)?)))
            .peekable();
        if kept.peek().is_none() {
            return;
        }
        let is_counted = self.users.change_or_insert(user, |past| {
            past.change(|past| {
                kept.for_each(|(object, keep)| {
                    past.count(object, seconds(at), usize::from(keep.impressions));
                });
            });
        });
        if !is_counted {
            self.uncounted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets all counts of these users, billed and outstanding. Goes through the table of outstanding bids, one shard at a time.
    pub fn forget(&self, users: &[UserKey]) {
        users.iter().for_each(|&user| {
            self.users.remove(user);
        });
        self.retain_provisional(|user, _| !users.contains(&user));
    }

    /// Forgets all counts of the users that do not stay. Goes through both tables, one shard at a time.
    pub fn retain(&self, stays: impl Fn(UserKey) -> bool) {
        self.users.retain(|user, _| stays(user));
        self.retain_provisional(|user, _| stays(user));
    }

    /// Removes what no rule can see any more; see [`Swept`]. Cheap when called often: it works every 10 and every 60 seconds,
    /// or when the table is nearly full.
    pub fn tick(&self, now: Timestamp) -> Swept {
        let mut swept = Swept::default();
        if due(&self.provisional_swept_at, now, PROVISIONAL_SWEEP_MS) {
            swept.provisional = self.sweep_provisional(now);
        }
        self.provisional.make_room();
        if due(&self.users_swept_at, now, USERS_SWEEP_MS) {
            swept.users = self.sweep_users(now);
        }
        if self.users.len() > self.entries_max - self.entries_max / 16 {
            swept.evicted = self.evict();
        }
        swept
    }

    pub fn totals(&self) -> Totals {
        Totals {
            users: self.users.len(),
            provisional: self.provisional.count(),
            uncounted: self.uncounted.load(Ordering::Relaxed),
            evicted: self.evicted.load(Ordering::Relaxed),
            provisional_refused: self.provisional_refused.load(Ordering::Relaxed),
        }
    }

    /// Takes over a user of a checkpoint; false where there is no room.
    pub(super) fn restore_user(&self, key: UserKey, past: Past) -> bool {
        let has_room = self.users.change_or_insert(key, |place| *place = past);
        self.uncounted.fetch_add(u64::from(!has_room), Ordering::Relaxed);
        has_room
    }

    pub(super) fn restore_provisional(&self, key: (UserKey, CapObject), provisional: Provisional) {
        let mut shard = self.provisional.lock(&key);
        if !shard.is_full() {
            shard.insert(key, provisional);
        }
    }

    fn clear_object(&self, user: UserKey, object: CapObject, bid: BidId) -> bool {
        let key = (user, object);
        let mut shard = self.provisional.lock(&key);
        let outstanding = shard.get_mut(&key);
        let is_last = outstanding.is_some_and(|chance| chance.has(bid) && chance.remove(bid));
        if is_last {
            shard.remove(&key);
        }
        is_last
    }

    fn sweep_provisional(&self, now: Timestamp) -> usize {
        self.retain_provisional(|_, outstanding| now < outstanding.until)
    }

    fn sweep_users(&self, now: Timestamp) -> usize {
        let keeps = self.keeps.load();
        let now_s = seconds(now);
        let window = |object| match keeps.as_ref() {
            Some(keeps) => keeps.get(&object).map_or(0, |keep| keep.window_s),
            None => KEEP_UNKNOWN.window_s,
        };
        // A moment `window` seconds ago is outside the window.
        let first = |object| now_s.saturating_sub(window(object)).saturating_add(1);
        self.users.retain(|_, past| {
            let read = past.read();
            let is_over = |(place, object)| read.moments_of(place).next() < Some(first(object));
            if !read.objects().enumerate().any(is_over) {
                return true;
            }
            past.change(|past| past.retain_from(first));
            !past.is_empty()
        })
    }

    /// Removes the users not seen for longest until the table is 7/8 full.
    fn evict(&self) -> usize {
        let mut seen = Vec::new();
        self.users.for_each(|_, past| seen.push(past.read().last()));
        let surplus = seen.len().saturating_sub(self.entries_max - self.entries_max / 8);
        if surplus == 0 {
            return 0;
        }
        let (_, &mut last_removed, _) = seen.select_nth_unstable(surplus - 1);
        let mut left = surplus;
        let removed = self.users.retain(|_, past| {
            let stays = left == 0 || past.read().last() > last_removed;
            left -= usize::from(!stays);
            stays
        });
        self.evicted.fetch_add(removed as u64, Ordering::Relaxed);
        removed
    }

    fn retain_provisional(&self, stays: impl Fn(UserKey, &Provisional) -> bool) -> usize {
        let mut removed = 0;
        self.provisional.retain(|(user, _), outstanding| {
            let stay = stays(*user, outstanding);
            removed += usize::from(!stay);
            stay
        });
        removed
    }
}

fn due(last: &AtomicI64, now: Timestamp, every_ms: i64) -> bool {
    // Relaxed: one control thread ticks.
    let due = now.0 - last.load(Ordering::Relaxed) >= every_ms;
    if due {
        last.store(now.0, Ordering::Relaxed);
    }
    due
}
