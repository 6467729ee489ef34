//! A set of user keys that is read on every request and written now and then.
//!
//! Invariant: one thread writes at a time (the list's lock sees to it); readers take no lock and miss nothing that was
//! inserted before they began.

use crate::units::UserKey;
use arc_swap::ArcSwap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Slots of the smallest table that is not empty: 4 KiB.
const SLOTS_MIN: usize = 512;
/// An empty slot. The one key in 2⁶⁴ that is 0 stands as [`SUBSTITUTE`].
const EMPTY: u64 = 0;
/// Whoever has this key is taken for opted out when the owner of key 0 is: the careful mistake.
const SUBSTITUTE: u64 = 1;

pub(super) struct KeySet {
    slots: ArcSwap<Box<[AtomicU64]>>,
    len: AtomicUsize,
}

impl Default for KeySet {
    fn default() -> KeySet {
        KeySet {
            slots: ArcSwap::from_pointee(Box::default()),
            len: AtomicUsize::new(0),
        }
    }
}

impl KeySet {
    pub fn len(&self) -> usize {
        // Relaxed: for show and for the limit, which the one writer keeps.
        self.len.load(Ordering::Relaxed)
    }

    pub fn contains(&self, key: UserKey) -> bool {
        let slots = self.slots.load();
        !slots.is_empty() && find(&slots, word(key)).is_ok()
    }

    /// False where it was there already.
    pub fn insert(&self, key: UserKey) -> bool {
        let key = word(key);
        let slots = self.slots.load();
        if 2 * (self.len() + 1) > slots.len() {
            let words = slots.iter().map(|slot| slot.load(Ordering::Relaxed));
            self.rebuild((2 * slots.len()).max(SLOTS_MIN), words);
        }
        let slots = self.slots.load();
        let Err(at) = find(&slots, key) else {
            return false;
        };
        // Release pairs with the Acquire of `find`: whoever has heard of the change in another way sees the key.
        slots[at].store(key, Ordering::Release);
        self.len.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// False where it was not there. Copies the table: people seldom change their mind twice.
    pub fn remove(&self, key: UserKey) -> bool {
        let key = word(key);
        let slots = self.slots.load();
        if slots.is_empty() || find(&slots, key).is_err() {
            return false;
        }
        let words = slots.iter().map(|slot| slot.load(Ordering::Relaxed));
        self.rebuild(slots.len(), words.filter(|&word| word != key));
        self.len.fetch_sub(1, Ordering::Relaxed);
        true
    }

    fn rebuild(&self, length: usize, words: impl Iterator<Item = u64>) {
        let fresh: Box<[AtomicU64]> = (0..length).map(|_| AtomicU64::new(EMPTY)).collect();
        for word in words.filter(|&word| word != EMPTY) {
            if let Err(at) = find(&fresh, word) {
                fresh[at].store(word, Ordering::Relaxed);
            }
        }
        self.slots.store(fresh.into());
    }
}

/// `Err` is where the key would stand. Keys are SipHash values, so their lower bits spread them evenly (linear probing,
/// Knuth volume 3, section 6.4: one and a half probes for a hit and two and a half for a miss at half load).
fn find(slots: &[AtomicU64], key: u64) -> Result<(), usize> {
    debug_assert!(slots.len().is_power_of_two(), "the mask needs it");
    let mask = slots.len() - 1;
    let mut at = key as usize & mask;
    loop {
        match slots[at].load(Ordering::Acquire) {
            EMPTY => return Err(at),
            found if found == key => return Ok(()),
            _ => at = (at + 1) & mask,
        }
    }
}

fn word(key: UserKey) -> u64 {
    if key.0 == EMPTY { SUBSTITUTE } else { key.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn it_holds_what_a_set_holds(changes in prop::collection::vec((any::<bool>(), 0_u64..600), 0..2000)) {
            // Multiples share their lower bits, so that they crowd.
            let key = |n: u64| UserKey((n % 300) << (n % 2 * 20));
            let (set, mut oracle) = (KeySet::default(), HashSet::new());
            for (adds, n) in changes {
                let word = word(key(n));
                if adds {
                    prop_assert_eq!(set.insert(key(n)), oracle.insert(word));
                } else {
                    prop_assert_eq!(set.remove(key(n)), oracle.remove(&word));
                }
                prop_assert_eq!(set.len(), oracle.len());
            }
            for n in 0..600 {
                prop_assert_eq!(set.contains(key(n)), oracle.contains(&word(key(n))));
            }
        }
    }

    #[test]
    fn a_table_is_never_more_than_half_full_and_its_memory_is_the_stated_one() {
        let set = KeySet::default();
        for n in 0..1_000_000_u64 {
            set.insert(UserKey(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 2));
            assert!(2 * set.len() <= set.slots.load().len());
        }
        assert_eq!(set.slots.load().len() * size_of::<AtomicU64>(), 16 << 20);
    }

    #[test]
    fn a_key_that_was_inserted_is_seen_by_readers_while_the_table_grows() {
        let set = KeySet::default();
        let known = AtomicU64::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..=20_000 {
                    set.insert(UserKey(n));
                    known.store(n, Ordering::Release);
                }
            });
            scope.spawn(|| {
                while known.load(Ordering::Acquire) < 20_000 {
                    let newest = known.load(Ordering::Acquire);
                    assert!((1.max(newest.saturating_sub(50))..=newest).all(|n| set.contains(UserKey(n))));
                }
            });
        });
    }
}
