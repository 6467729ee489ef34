//! What exchanges say of our creatives in loss notices (codes 200 to 299), per exchange and creative.
//!
//! Invariant: what is learnt only takes away. A creative that the configuration calls pending or rejected stays so; one
//! that it approves is held back while its exchange says otherwise, until its content changes or a person clears it.
//!
//! | the exchange says | means |
//! |---|---|
//! | 201 pending processing | waiting: held back for 15 minutes, then shown again; each further 201 doubles the time, up to a day |
//! | 202 disapproved | stopped, by one notice (it carries our sealed token): until the content changes or a person clears it |
//! | 200, 203 and above | counted |
//! | a win, a billing notice, a loss to another bid (102, 103) | took part in the auction: no longer waiting |
//!
//! Codes are those of the OpenRTB 3.0 list of loss reasons. A bid made before the last change of state was decided by
//! what was true then: its notice is counted and changes nothing, but for a 202 while waiting.

mod checkpoint;
mod state;

pub use checkpoint::RestoreError;
pub use state::{CODE_FIRST, CODES, State};

use crate::units::{ObjectId, Timestamp};
use dashmap::DashMap;
use state::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Creatives times exchanges that are remembered. Beyond it nothing new is learnt, which is logged: a configuration of
/// that size does not exist, and the memory (about 150 bytes each) stays bounded.
const ENTRIES_MAX: usize = 1_000_000;

/// A creative at an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub exchange: ObjectId,
    pub creative: ObjectId,
}

/// A loss notice with a code that speaks of the creative.
#[derive(Clone, Copy, Debug)]
pub struct CreativeLoss {
    pub place: Place,
    /// The content that was bid; a notice about older content says nothing of the present one.
    pub version: u64,
    pub code: u32,
    pub bid_at: Timestamp,
    pub at: Timestamp,
}

/// What is known of one creative at one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    pub place: Place,
    /// The content that this is about.
    pub version: u64,
    pub state: State,
    /// Of the last change of state.
    pub since: Timestamp,
    /// Losses by code, from [`CODE_FIRST`] on; the last one holds all codes above.
    pub losses: [u32; CODES],
}

/// Shared by workers, which ask, and the books, which tell. Durable through the books: their journal and checkpoints.
#[derive(Debug, Default)]
pub struct Approvals {
    entries: DashMap<Place, Entry>,
    /// Entries that hold a creative back: while there are none, nobody looks further.
    held: AtomicUsize,
    /// The content of each creative, and since when it is that.
    versions: DashMap<ObjectId, (u64, Timestamp)>,
}

impl Approvals {
    /// Whether the exchange may be sent this content. Allocates nothing.
    pub fn allows(&self, place: Place, version: u64, now: Timestamp) -> bool {
        // Relaxed: an entry that appears this moment counts for the next request.
        self.held.load(Ordering::Relaxed) == 0
            || self
                .entries
                .get(&place)
                .is_none_or(|entry| entry.allows(version, now))
    }

    /// Notes what each creative holds from `now` on. Content that the process has not seen before is taken to be as old
    /// as any bid.
    pub fn set_versions(&self, versions: impl Iterator<Item = (ObjectId, u64)>, now: Timestamp) {
        for (creative, version) in versions {
            let mut known = self
                .versions
                .entry(creative)
                .or_insert((version, Timestamp(i64::MIN)));
            if known.0 != version {
                *known = (version, now);
            }
        }
    }

    /// The content that was bid at `bid_at`; `None` where it has changed since, or the creative is not configured.
    pub fn version_at(&self, creative: ObjectId, bid_at: Timestamp) -> Option<u64> {
        let known = self.versions.get(&creative)?;
        (bid_at >= known.1).then_some(known.0)
    }

    pub fn lost(&self, loss: &CreativeLoss) {
        if self.entries.len() >= ENTRIES_MAX && !self.entries.contains_key(&loss.place) {
            return tracing::warn!("no room to learn what exchanges say of another creative");
        }
        let mut entry = self
            .entries
            .entry(loss.place)
            .or_insert_with(|| Entry::new(loss.version));
        self.change(&mut entry, |entry| entry.lose(loss));
    }

    /// A bid of the creative took part in an auction of the exchange.
    pub fn took_part(&self, place: Place, bid_at: Timestamp, at: Timestamp) {
        if self.held.load(Ordering::Relaxed) == 0 {
            return;
        }
        if let Some(mut entry) = self.entries.get_mut(&place) {
            self.change(&mut entry, |entry| entry.take_part(bid_at, at));
        }
    }

    /// A person says that the creative may be shown again. False where nothing held it back.
    pub fn clear(&self, place: Place, now: Timestamp) -> bool {
        let Some(mut entry) = self.entries.get_mut(&place) else {
            return false;
        };
        let was_held = entry.is_held();
        self.change(&mut entry, |entry| entry.open(now));
        was_held
    }

    /// Everything that is known, by exchange and creative.
    pub fn views(&self) -> Vec<View> {
        let mut views: Vec<_> = self
            .entries
            .iter()
            .map(|entry| entry.view(*entry.key()))
            .collect();
        views.sort_unstable_by_key(|view| view.place);
        views
    }

    fn change(&self, entry: &mut Entry, change: impl FnOnce(&mut Entry)) {
        let before = entry.is_held();
        change(entry);
        match (before, entry.is_held()) {
            (false, true) => drop(self.held.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(self.held.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place {
        exchange: ObjectId(1),
        creative: ObjectId(2),
    };
    const MINUTE: i64 = 60_000;

    fn at(minutes: i64) -> Timestamp {
        Timestamp(1_772_452_800_000 + minutes * MINUTE)
    }

    /// A loss that comes in a second after its bid.
    fn lose(approvals: &Approvals, code: u32, minutes: i64) {
        approvals.lost(&CreativeLoss {
            place: PLACE,
            version: 7,
            code,
            bid_at: at(minutes),
            at: Timestamp(at(minutes).0 + 1_000),
        });
    }

    fn allowed(approvals: &Approvals, minutes: i64) -> bool {
        approvals.allows(PLACE, 7, at(minutes))
    }

    #[test]
    fn one_disapproval_stops_a_creative_at_that_exchange_alone() {
        let approvals = Approvals::default();
        assert!(allowed(&approvals, 0));
        lose(&approvals, 202, 0);
        assert!(!allowed(&approvals, 1));
        assert!(!allowed(&approvals, 1_000_000));
        let elsewhere = Place {
            exchange: ObjectId(9),
            ..PLACE
        };
        assert!(approvals.allows(elsewhere, 7, at(1)));
        // A bid that was on its way is no approval.
        approvals.took_part(PLACE, at(2), at(2));
        assert!(!allowed(&approvals, 3));
    }

    #[test]
    fn new_content_is_shown_again_and_old_notices_do_not_stop_it() {
        let approvals = Approvals::default();
        approvals.set_versions([(PLACE.creative, 7)].into_iter(), at(0));
        lose(&approvals, 202, 1);
        assert!(approvals.allows(PLACE, 8, at(2)));
        approvals.set_versions([(PLACE.creative, 8)].into_iter(), at(2));
        assert_eq!(approvals.version_at(PLACE.creative, at(1)), None);
        assert_eq!(approvals.version_at(PLACE.creative, at(2)), Some(8));
        assert_eq!(approvals.version_at(ObjectId(99), at(2)), None);
    }

    #[test]
    fn a_pending_creative_is_tried_again_after_times_that_double_up_to_a_day() {
        let approvals = Approvals::default();
        let mut now = 0;
        for minutes in [15, 30, 60, 120, 240, 480, 960, 1440, 1440] {
            lose(&approvals, 201, now);
            assert!(!allowed(&approvals, now + minutes), "{minutes}");
            now += minutes + 1;
            assert!(allowed(&approvals, now), "{minutes}");
        }
    }

    #[test]
    fn notices_of_bids_that_were_on_their_way_do_not_double_the_time() {
        let approvals = Approvals::default();
        lose(&approvals, 201, 0);
        for _ in 0..10 {
            lose(&approvals, 201, 0);
        }
        assert!(allowed(&approvals, 16));
        assert_eq!(approvals.views()[0].losses[1], 11);
    }

    #[test]
    fn taking_part_in_an_auction_ends_the_wait() {
        let approvals = Approvals::default();
        lose(&approvals, 201, 0);
        approvals.took_part(PLACE, at(-1), at(1));
        assert!(!allowed(&approvals, 1), "an older bid says nothing new");
        approvals.took_part(PLACE, at(1), at(2));
        assert!(allowed(&approvals, 2));
        lose(&approvals, 201, 3);
        assert!(!allowed(&approvals, 18), "and the next wait is a first one");
        assert!(allowed(&approvals, 19));
    }

    #[test]
    fn a_wait_becomes_a_stop() {
        let approvals = Approvals::default();
        lose(&approvals, 201, 5);
        lose(&approvals, 202, 5);
        assert!(matches!(approvals.views()[0].state, State::Stopped));
    }

    #[test]
    fn a_person_clears_what_was_learnt_and_older_bids_do_not_bring_it_back() {
        let approvals = Approvals::default();
        assert!(!approvals.clear(PLACE, at(0)));
        lose(&approvals, 202, 0);
        assert!(approvals.clear(PLACE, at(10)));
        assert!(!approvals.clear(PLACE, at(10)));
        lose(&approvals, 202, 9);
        assert!(allowed(&approvals, 11));
        lose(&approvals, 202, 12);
        assert!(!allowed(&approvals, 13));
    }

    #[test]
    fn other_codes_are_counted_and_hold_nothing_back() {
        let approvals = Approvals::default();
        for code in [200, 203, 203, 215, 216, 299] {
            lose(&approvals, code, 0);
        }
        assert!(allowed(&approvals, 1));
        let losses = approvals.views()[0].losses;
        assert_eq!((losses[0], losses[3], losses[15], losses[16]), (1, 2, 1, 2));
    }
}
