//! What is counted of one user, and what that says against another ad.

use super::times::{Times, seconds};
use super::{BackOff, Buyers, CapObject, CapRule, IMPRESSIONS_MAX};
use crate::units::{Timestamp, UserKey};
use dashmap::mapref::one::Ref;

/// Of one user. Above it the object not shown for longest is forgotten.
const OBJECTS_PER_USER_MAX: usize = 64;

#[derive(Clone, Debug, Default)]
pub(super) struct User {
    pub counted: Vec<Counted>,
}

#[derive(Clone, Debug)]
pub(super) struct Counted {
    pub object: CapObject,
    pub times: Times,
}

/// The memory stated in the module's documentation.
const _: () = assert!(size_of::<Counted>() == 40);

/// All that is counted of a user. Whoever counts something of them waits while this is held.
pub struct Seen<'c>(pub(super) Ref<'c, UserKey, User>);

impl Seen<'_> {
    /// Whether the rule stops another impression at `now`.
    pub fn reaches(&self, rule: &CapRule, now: Timestamp) -> bool {
        let nth = usize::from(rule.impressions.clamp(1, IMPRESSIONS_MAX));
        let at = self.0.times(rule.object).and_then(|times| times.latest(nth));
        at.is_some_and(|at| is_within(at, seconds(now), rule.window_s))
    }

    /// Whether the user has bought from one of the sellers, so lately that they are left alone at `now`.
    pub fn has_bought(&self, buyers: &Buyers, now: Timestamp) -> bool {
        let now_s = seconds(now);
        self.0.counted.iter().any(|counted| {
            let at = counted.times.latest(1);
            at.is_some_and(|at| is_within(at, now_s, buyers.window_s)) && buyers.has(counted.object)
        })
    }

    /// Whether there is a pause at `now`: so many impressions without an answer, none as long after the one before as the pause
    /// lasts, and the last one not that long ago.
    pub fn backs_off(&self, rule: &BackOff, now: Timestamp) -> bool {
        let moments = self.0.times(rule.object).map_or(&[][..], Times::as_slice);
        let after = usize::from(rule.after.clamp(1, IMPRESSIONS_MAX));
        let Some(before) = moments.len().checked_sub(after) else {
            return false;
        };
        let run = &moments[before..];
        let next = run[1..].iter().copied().chain([seconds(now)]);
        run.iter()
            .zip(next)
            .all(|(&at, next)| is_within(at, next, rule.pause_s))
    }
}

/// A moment exactly `window_s` ago is outside the window.
fn is_within(at_s: u32, now_s: u32, window_s: u32) -> bool {
    i64::from(now_s) - i64::from(at_s) < i64::from(window_s)
}

impl User {
    fn times(&self, object: CapObject) -> Option<&Times> {
        let found = self.counted.iter().find(|counted| counted.object == object);
        found.map(|counted| &counted.times)
    }

    /// Counts one more, and keeps the `keep` latest.
    pub fn count(&mut self, object: CapObject, at_s: u32, keep: usize) {
        let known = self.counted.iter().position(|counted| counted.object == object);
        let index = known.unwrap_or_else(|| self.place_for(object));
        self.counted[index].times.add(at_s, keep);
    }

    /// What was unanswered until then is answered.
    pub fn answer(&mut self, object: CapObject, at_s: u32) {
        self.change(object, |times| times.remove_before(at_s.saturating_add(1)));
    }

    /// What happened then has not happened.
    pub fn take_back(&mut self, object: CapObject, at_s: u32) {
        self.change(object, |times| times.remove(at_s));
    }

    fn change(&mut self, object: CapObject, change: impl FnOnce(&mut Times)) {
        let Some(index) = self.counted.iter().position(|counted| counted.object == object) else {
            return;
        };
        change(&mut self.counted[index].times);
        if self.counted[index].times.as_slice().is_empty() {
            self.counted.swap_remove(index);
        }
    }

    fn place_for(&mut self, object: CapObject) -> usize {
        let fresh = Counted {
            object,
            times: Times::NONE,
        };
        if self.counted.len() < OBJECTS_PER_USER_MAX {
            self.counted.push(fresh);
            return self.counted.len() - 1;
        }
        let oldest = (0..self.counted.len())
            .min_by_key(|&i| self.counted[i].times.latest(1))
            .expect("not empty");
        self.counted[oldest] = fresh;
        oldest
    }

    /// When anything was last counted.
    pub fn seen(&self) -> u32 {
        self.counted
            .iter()
            .filter_map(|counted| counted.times.latest(1))
            .max()
            .unwrap_or(0)
    }
}
