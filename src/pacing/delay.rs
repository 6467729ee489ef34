//! How long conversions take, learnt: what a discounted goal is worth hangs on it.
//!
//! A conversion that is expected after the time d is worth 2^(−d / half-life) of its value.

use crate::units::{ObjectId, Timestamp};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Delays of events fade with so many of them.
const DELAY_EVENTS: f64 = 200.0;
/// So many say something of how long they take.
const DELAY_EVENTS_MIN: f64 = 5.0;
/// Of events that take longer than was looked at, only the fast ones were seen: their mean is then a third of that time, whatever it
/// is in truth. Exponential delays of mean d, looked at for T, look d · (1 − d/T) long while that is short against T; up to this
/// share of T the mean is believed.
const DELAY_SHARE_MAX: f64 = 0.2;
const MICROS: f64 = 1e6;
/// The event of a control that learns nothing. No name hashes to it but by a chance of 1 in 2^64.
const NONE: u64 = u64::MAX;

/// The delays that were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Delays {
    /// How long was looked.
    pub looked_s: f64,
    /// Events that came, fading, each by those after it.
    pub came: f64,
    pub mean_s: f64,
}

impl Delays {
    /// `came` events came within `seconds`, which had taken `delay_ms` in sum.
    pub fn step(&mut self, came: i64, delay_ms: i64, seconds: f64) {
        self.looked_s += seconds;
        if came > 0 {
            let count = came as f64;
            self.came = self.came * (-count / DELAY_EVENTS).exp() + count;
            let mean_s = delay_ms as f64 / count / 1000.0;
            self.mean_s += (mean_s - self.mean_s) * (count / self.came).min(1.0);
        }
    }

    /// How long an event takes to come; `otherwise` until enough is known of it.
    pub fn expected_s(&self, otherwise: f64) -> f64 {
        if self.came < DELAY_EVENTS_MIN {
            return otherwise;
        }
        let share = self.mean_s / self.looked_s.max(1.0);
        if share > DELAY_SHARE_MAX {
            return self.mean_s.max(otherwise);
        }
        self.mean_s / (1.0 - share)
    }
}

/// A goal that is discounted by how long its event takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearntDelay {
    pub event: ObjectId,
    /// Above 0.
    pub half_life_s: u32,
    /// Until something is known of it.
    pub delay_s: u32,
}

impl LearntDelay {
    fn kept_micros(&self, delays: &Delays) -> u32 {
        let delay_s = delays.expected_s(self.delay_s.into());
        ((-delay_s / f64::from(self.half_life_s)).exp2() * MICROS).round() as u32
    }
}

/// Where it stands, for pages and tests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DelayView {
    pub delay_s: f64,
    /// Of the value, what is left.
    pub kept: f64,
}

/// What survives a restart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SavedDelay {
    /// The hash of the name of the event.
    pub event: u64,
    pub delays: Delays,
    /// Events since the last step, and their delays in sum.
    pub came: i64,
    pub delay_ms: i64,
}

/// Of one account: workers read what is left of a value, the books count, the control thread steps.
pub(super) struct DelayControl {
    kept_micros: AtomicU32,
    event: AtomicU64,
    came: AtomicI64,
    delay_ms: AtomicI64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    goal: Option<LearntDelay>,
    delays: Delays,
    stepped_at: Option<Timestamp>,
}

impl Default for DelayControl {
    fn default() -> DelayControl {
        DelayControl {
            kept_micros: AtomicU32::new(MICROS as u32),
            event: AtomicU64::new(NONE),
            came: AtomicI64::new(0),
            delay_ms: AtomicI64::new(0),
            state: Mutex::default(),
        }
    }
}

// Relaxed throughout: numbers that nothing is read behind.
impl DelayControl {
    /// Of a value, what is left, in millionths.
    pub fn kept_micros(&self) -> u32 {
        self.kept_micros.load(Ordering::Relaxed)
    }

    pub fn converted(&self, event: ObjectId, delay_ms: i64) {
        if event.0 == self.event.load(Ordering::Relaxed) {
            self.came.fetch_add(1, Ordering::Relaxed);
            self.delay_ms.fetch_add(delay_ms.max(0), Ordering::Relaxed);
        }
    }

    /// Another event begins anew; another half-life of the same goes on.
    pub fn set(&self, goal: Option<LearntDelay>) {
        let state = &mut *self.state();
        let event = goal.map_or(NONE, |goal| goal.event.0);
        // What an earlier process had learnt may be there before its event is configured.
        if event != self.event.swap(event, Ordering::Relaxed) {
            state.delays = Delays::default();
            self.take();
        }
        state.goal = goal;
        self.aim(state);
    }

    pub fn step(&self, now: Timestamp) {
        let state = &mut *self.state();
        if state.goal.is_none() {
            return;
        }
        let before = state.stepped_at.replace(now);
        let seconds = before.map_or(0.0, |before| now.since(before) as f64 / 1000.0);
        if seconds > 0.0 {
            let (came, delay_ms) = self.take();
            state.delays.step(came, delay_ms, seconds);
            self.aim(state);
        }
    }

    pub fn view(&self) -> Option<DelayView> {
        let state = self.state();
        let goal = state.goal?;
        Some(DelayView {
            delay_s: state.delays.expected_s(goal.delay_s.into()),
            kept: f64::from(self.kept_micros()) / MICROS,
        })
    }

    pub fn save(&self) -> Option<SavedDelay> {
        let state = self.state();
        let event = self.event.load(Ordering::Relaxed);
        (event != NONE).then(|| SavedDelay {
            event,
            delays: state.delays,
            came: self.came.load(Ordering::Relaxed),
            delay_ms: self.delay_ms.load(Ordering::Relaxed),
        })
    }

    /// Before or after the goal is set, and before the books are read again.
    pub fn restore(&self, saved: Option<SavedDelay>) {
        let state = &mut *self.state();
        let wanted = |saved: &SavedDelay| state.goal.is_none_or(|goal| goal.event.0 == saved.event);
        if let Some(saved) = saved.filter(wanted) {
            self.event.store(saved.event, Ordering::Relaxed);
            state.delays = saved.delays;
            self.came.store(saved.came, Ordering::Relaxed);
            self.delay_ms.store(saved.delay_ms, Ordering::Relaxed);
            self.aim(state);
        }
    }

    fn take(&self) -> (i64, i64) {
        (
            self.came.swap(0, Ordering::Relaxed),
            self.delay_ms.swap(0, Ordering::Relaxed),
        )
    }

    fn aim(&self, state: &State) {
        let kept = state
            .goal
            .map_or(MICROS as u32, |goal| goal.kept_micros(&state.delays));
        self.kept_micros.store(kept, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: u32 = 86_400;

    fn goal(event: &str) -> LearntDelay {
        LearntDelay {
            event: ObjectId::of(event),
            half_life_s: 10 * DAY_S,
            delay_s: 10 * DAY_S,
        }
    }

    /// Ten conversions a day that take `days` each.
    fn watch(control: &DelayControl, event: &str, days: i64, from_day: i64, count: i64) {
        for day in from_day..from_day + count {
            (0..10).for_each(|_| {
                control.converted(ObjectId::of(event), days * i64::from(DAY_S) * 1000);
            });
            control.step(Timestamp::from_secs(day * i64::from(DAY_S)));
        }
    }

    #[test]
    fn how_long_events_take_is_not_taken_from_the_fast_ones_alone() {
        let after = |looked_s, mean_s: f64| {
            let mut delays = Delays::default();
            delays.step(20, (20.0 * mean_s * 1000.0) as i64, looked_s);
            delays.expected_s(86_400.0)
        };
        assert_eq!(Delays::default().expected_s(86_400.0), 86_400.0);
        assert_eq!(after(3_600.0, 1_200.0), 86_400.0, "all looks the same in an hour");
        assert!((after(3_600.0, 60.0) - 61.0).abs() < 0.1, "these are fast");
        assert!(
            (after(2e6, 200_000.0) - 222_222.0).abs() < 1.0,
            "and these are slow"
        );
    }

    #[test]
    fn a_value_is_discounted_as_configured_until_it_is_known_how_long_conversions_take() {
        let control = DelayControl::default();
        assert_eq!(control.kept_micros(), 1_000_000);
        control.set(Some(goal("signup")));
        assert_eq!(control.kept_micros(), 500_000, "one half-life");
        watch(&control, "purchase", 1, 0, 100);
        assert_eq!(control.kept_micros(), 500_000, "another event");
        watch(&control, "signup", 1, 100, 100);
        let view = control.view().unwrap();
        assert!((view.delay_s / f64::from(DAY_S) - 1.0).abs() < 0.02, "{view:?}");
        assert!((view.kept - 0.933).abs() < 0.002, "2^(−1/10): {view:?}");
        control.set(None);
        assert_eq!((control.kept_micros(), control.view()), (1_000_000, None));
    }

    #[test]
    fn what_was_learnt_survives_a_restart_before_and_after_its_goal_is_set() {
        let control = DelayControl::default();
        control.set(Some(goal("signup")));
        watch(&control, "signup", 2, 0, 100);
        control.converted(ObjectId::of("signup"), 1_000);
        let saved = control.save();
        for before in [true, false] {
            let again = DelayControl::default();
            if before {
                again.restore(saved);
            }
            again.set(Some(goal("signup")));
            if !before {
                again.restore(saved);
            }
            assert_eq!((again.save(), again.view()), (saved, control.view()));
            again.set(Some(goal("purchase")));
            assert_eq!(again.kept_micros(), 500_000, "another event is another delay");
        }
        let other = DelayControl::default();
        other.set(Some(goal("purchase")));
        other.restore(saved);
        assert_eq!(other.kept_micros(), 500_000);
    }
}
