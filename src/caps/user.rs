//! What the past of one user says against another ad.

use super::past::Past;
use super::users::Known;
use super::{BackOff, Buyers, CapRule, IMPRESSIONS_MAX};
use crate::units::Timestamp;

/// All that is counted of a user. Whoever counts something of them, or of others in the same shard, waits while this is held. A
/// thread holds one at a time: a second one could wait for a writer that waits for the first.
pub struct Seen<'c>(pub(super) Known<'c>);

impl Seen<'_> {
    /// Whether the rule stops another impression at `now`.
    #[inline]
    pub fn reaches(&self, rule: &CapRule, now: Timestamp) -> bool {
        let nth = usize::from(rule.impressions.clamp(1, IMPRESSIONS_MAX));
        let past = self.0.past();
        // Most users have seen less of everything than a cap allows of one thing.
        past.moments() >= nth && reaches(past, rule, nth, now)
    }

    /// Whether the user has bought from one of the sellers, so lately that they are left alone at `now`.
    pub fn has_bought(&self, buyers: &Buyers, now: Timestamp) -> bool {
        let past = self.0.past().read();
        let sold = past
            .objects()
            .enumerate()
            .filter(|(_, object)| buyers.has(*object));
        sold.filter_map(|(place, _)| past.nth_latest(place, 1))
            .any(|at| is_within(at, now, buyers.window_s))
    }

    /// Whether there is a pause at `now`: so many impressions without an answer, none as long after the one before as the pause
    /// lasts, and the last one not that long ago.
    pub fn backs_off(&self, rule: &BackOff, now: Timestamp) -> bool {
        let past = self.0.past().read();
        let Some(place) = past.place(rule.object) else {
            return false;
        };
        let after = usize::from(rule.after.clamp(1, IMPRESSIONS_MAX));
        let mut next = now;
        let run = past.latest(place).take(after).take_while(|&at| {
            let follows = is_within(at, next, rule.pause_s);
            next = Timestamp::from_secs(at.into());
            follows
        });
        run.count() == after
    }
}

fn reaches(past: &Past, rule: &CapRule, nth: usize, now: Timestamp) -> bool {
    let past = past.read();
    let at = past
        .place(rule.object)
        .and_then(|place| past.nth_latest(place, nth));
    at.is_some_and(|at| is_within(at, now, rule.window_s))
}

/// A moment exactly `window_s` ago is outside the window.
fn is_within(at_s: u32, now: Timestamp, window_s: u32) -> bool {
    now.0 < 1000 * (i64::from(at_s) + i64::from(window_s))
}
