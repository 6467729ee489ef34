//! Control of what an event costs: a factor on the value of impressions, moved so that clicks, conversions or their value cost what they may.
//!
//! Where values are multiplied by f, an event costs C / n, of what was spent and of the events that came of it. A cost per event grows
//! with the bid, so at a factor of 1 it would be C / Σ f, and
//!
//! ```text
//! f = target · Σ f / C          (of value: f = Σ f·value / (ratio · C))
//! ```
//!
//! meets the target. Where the cost grows slower or faster than the bid, sums that fade close in on it all the same: at a cost that
//! grows as f^p, f becomes f^(1−p) times what would be right, which ends for p in 0..2. That is steered by what was seen and
//! needs no gains to tune, unlike a PID controller (Zhang et al., *Feedback Control of Real-Time Display Advertising*, WSDM 2016).
//!
//! - f stands for all that values are multiplied by, the pace of the budget too. So where a budget lowers bids, events are cheap, and
//!   the factor does not rise against the pace.
//! - Where a plan is behind, bids that are shaded are bid from stretched values, and events cost more. The target goes before the plan:
//!   values are stretched by what events cost less than they may, or by what the upper bound keeps from the factor, and no more. Else
//!   plan and target would push against each other until bids are at the value itself, and as dear events would be fewer. What
//!   values are stretched by is part of f.
//! - Events come later than their cost. What was spent, and the factor at that time, wait as long as events take to come
//!   (exponentially, as Chapelle, *Modeling Delayed Feedback in Display Advertising*, KDD 2014), so that conversions of tomorrow do not
//!   make today look dear.
//! - Each node steers by the costs and events of its own bids.

use super::account::Account;
use super::delay::Delays;
use super::pace::Drive;
use crate::units::{Nanos, ObjectId, Timestamp};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Old events fade within this time: long enough for a few conversions, short enough for a new week.
const FADE_S: f64 = 2.0 * 86_400.0;
/// So many events at the target are believed to have been there before the first one.
const BELIEVED: f64 = 20.0;
/// Until then a click is expected within a minute and a conversion within a day: half of them take longer.
const CLICK_DELAY_S: f64 = 60.0;
const CONVERSION_DELAY_S: f64 = 86_400.0;
/// No factor is outside, whatever is configured: the bound of a product of multipliers.
pub const FACTOR_MIN: f64 = 0.1;
pub const FACTOR_MAX: f64 = 10.0;
const MICROS: f64 = 1e6;
const MILLIS: f64 = 1e3;
/// Without a target values are stretched as far as the plan wants.
const UNLIMITED: u32 = u32::MAX;

/// What may cost how much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// A click.
    Cpc(Nanos),
    /// A conversion of this name.
    Cpa { event: ObjectId, cost: Nanos },
    /// Value of conversions of this name by cost: 3.0 = three units come back for each. `order_value` is what one can be
    /// expected to bring, before the first.
    Roas {
        event: ObjectId,
        ratio: f64,
        order_value: Nanos,
    },
}

/// A target with the bounds of the factor, which contain 1 and lie within 0.1..=10.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kpi {
    pub target: Target,
    pub least: f64,
    pub most: f64,
}

/// Something that an impression led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    Click,
    /// `value` in the accounting currency.
    Conversion {
        event: ObjectId,
        value: Nanos,
    },
    /// A conversion that is taken back, with the value that goes.
    Reversal {
        event: ObjectId,
        value: Nanos,
    },
}

/// Where a target stands, for pages and tests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KpiView {
    pub kpi: Kpi,
    /// What values are multiplied by.
    pub factor: f64,
    /// Of the last days, fading: the cost of what had the time to lead to something, events (of a return: their value, in nanos), and
    /// how long an event takes to come.
    pub cost: Nanos,
    pub events: f64,
    pub delay_s: f64,
}

impl KpiView {
    /// Nanos for an event, or units of value for one that is spent.
    pub fn achieved(&self) -> Option<f64> {
        let cost = self.cost.0 as f64;
        let (part, whole) = match self.kpi.target {
            Target::Roas { .. } => (self.events, cost),
            Target::Cpc(_) | Target::Cpa { .. } => (cost, self.events),
        };
        (whole > 0.0).then(|| part / whole)
    }
}

/// What survives a restart: all that was learnt, and what the books have counted since the last step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SavedKpi {
    pub key: Key,
    pub sums: Sums,
    pub unseen: Counts,
    pub unseen_cost: i64,
}

/// Which events count, and how: two targets with one key go on from the same sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// The hash of the name of a conversion; 0 = clicks.
    pub event: u64,
    /// What counts is value, not number.
    pub by_value: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sums {
    /// Fading cost, in nanos, of what had the time to lead to something.
    pub cost: f64,
    /// Cost that did not have it yet: whole, as its events will be.
    pub waiting: f64,
    /// The factor of what had the time; 0 = not known yet.
    pub factor: f64,
    /// Fading Σ f · events, and Σ events.
    pub weighted: f64,
    pub events: f64,
    pub delays: Delays,
}

/// What happened of the events that count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Without those that were taken back.
    pub count: i64,
    pub value: i64,
    /// All that came, and the milliseconds that they took in sum.
    pub came: i64,
    pub delay_ms: i64,
}

/// Of one account: workers read the factor, the books count, the control thread steps.
pub(super) struct KpiControl {
    /// Millionths.
    factor: AtomicU32,
    /// Thousandths; see [`stretch_most`](KpiControl::stretch_most).
    stretch_most: AtomicU32,
    /// [`Key::event`]; [`NONE`] = nothing counts.
    event: AtomicU64,
    counts: [AtomicI64; 4],
    state: Mutex<State>,
}

const CLICKS: u64 = 0;
const NONE: u64 = u64::MAX;

#[derive(Default)]
struct State {
    kpi: Option<Kpi>,
    key: Option<Key>,
    /// Whose pace lowers bids too.
    campaign: Option<Arc<Account>>,
    seen: Counts,
    seen_cost: i64,
    sums: Sums,
    stepped_at: Option<Timestamp>,
}

impl Default for KpiControl {
    fn default() -> KpiControl {
        KpiControl {
            factor: AtomicU32::new(MICROS as u32),
            stretch_most: AtomicU32::new(UNLIMITED),
            event: AtomicU64::new(NONE),
            counts: Default::default(),
            state: Mutex::default(),
        }
    }
}

// Relaxed throughout: numbers that nothing is read behind.
impl KpiControl {
    /// Millionths.
    pub fn factor_micros(&self) -> u32 {
        self.factor.load(Ordering::Relaxed)
    }

    /// How far values may be stretched before they are shaded; from 1 on.
    pub fn stretch_most(&self) -> f64 {
        f64::from(self.stretch_most.load(Ordering::Relaxed)) / MILLIS
    }

    pub fn happened(&self, what: Happened, delay_ms: i64) {
        let (event, count, value) = match what {
            Happened::Click => (CLICKS, 1, 0),
            Happened::Conversion { event, value } => (event.0, 1, value.0),
            Happened::Reversal { event, value } => (event.0, -1, -value.0),
        };
        if event != self.event.load(Ordering::Relaxed) {
            return;
        }
        let came = i64::from(count > 0);
        for (sum, more) in self
            .counts
            .iter()
            .zip([count, value, came, came * delay_ms.max(0)])
        {
            sum.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// Another target begins anew, with what is spent after `cost` nanos; another number or other bounds of the same go on.
    pub fn set(&self, kpi: Option<Kpi>, campaign: Option<Arc<Account>>, cost: i64) {
        let state = &mut *self.state();
        let key = kpi.map(|kpi| kpi.target.key());
        if key != state.key {
            self.begin(state, key, cost);
        }
        (state.kpi, state.campaign) = (kpi, campaign);
        self.aim(state);
    }

    /// Moves on to `now`. `cost` is all that was ever billed, `drive` what the account's budget says of its bids.
    pub fn step(&self, cost: i64, drive: Drive, now: Timestamp) {
        let state = &mut *self.state();
        let Some(kpi) = state.kpi else { return };
        let before = state.stepped_at.replace(now);
        let seconds = before.map_or(0.0, |before| now.since(before) as f64 / 1000.0);
        if seconds <= 0.0 {
            return;
        }
        let above = state.campaign.as_ref().map_or(Drive::FREE, |above| above.drive());
        let drive = drive.tighter(above).stretched_at_most(self.stretch_most());
        let factor = f64::from(self.factor_micros()) / MICROS * drive.multiplier() * drive.stretch();
        let counts = self.counts();
        let since = counts.since(state.seen);
        let spent = (cost - state.seen_cost).max(0) as f64;
        (state.seen, state.seen_cost) = (counts, cost);
        state.sums.step(&since, kpi.target.key(), spent, factor, seconds);
        self.aim(state);
    }

    pub fn view(&self) -> Option<KpiView> {
        let state = self.state();
        let kpi = state.kpi?;
        Some(KpiView {
            kpi,
            factor: f64::from(self.factor_micros()) / MICROS,
            cost: Nanos(state.sums.cost as i64),
            events: state.sums.events,
            delay_s: state.sums.delay_s(kpi.target.key()),
        })
    }

    /// `cost` is all that was ever billed. Exact where nothing is booked at the same time.
    pub fn save(&self, cost: i64) -> Option<SavedKpi> {
        let state = self.state();
        Some(SavedKpi {
            key: state.key?,
            sums: state.sums,
            unseen: self.counts().since(state.seen),
            unseen_cost: cost - state.seen_cost,
        })
    }

    /// Before or after the target is set, and before the books are read again; `cost` is all that was billed until it was saved.
    pub fn restore(&self, saved: Option<SavedKpi>, cost: i64) {
        let state = &mut *self.state();
        match saved.filter(|saved| state.kpi.is_none_or(|kpi| kpi.target.key() == saved.key)) {
            Some(saved) => {
                self.begin(state, Some(saved.key), cost - saved.unseen_cost);
                state.sums = saved.sums;
                let unseen = saved.unseen;
                for (sum, more) in
                    self.counts
                        .iter()
                        .zip([unseen.count, unseen.value, unseen.came, unseen.delay_ms])
                {
                    sum.fetch_add(more, Ordering::Relaxed);
                }
            }
            None => {
                let key = state.key;
                self.begin(state, key, cost);
            }
        }
        self.aim(state);
    }

    fn begin(&self, state: &mut State, key: Option<Key>, cost: i64) {
        self.event
            .store(key.map_or(NONE, |key| key.event), Ordering::Relaxed);
        (state.key, state.sums) = (key, Sums::default());
        (state.seen, state.seen_cost) = (self.counts(), cost);
    }

    fn aim(&self, state: &State) {
        let (factor, stretch_most) = match state.kpi {
            Some(kpi) => {
                let wanted = kpi.wanted(state.sums.weighted, state.sums.cost);
                let factor = kpi.bounded(wanted);
                let cheaper = kpi.wanted(state.sums.events, state.sums.cost);
                (factor, (wanted / factor).max(cheaper).max(1.0) * MILLIS)
            }
            None => (1.0, f64::from(UNLIMITED)),
        };
        self.factor
            .store((factor * MICROS).round() as u32, Ordering::Relaxed);
        // A cast that would be too large is the largest.
        self.stretch_most.store(stretch_most as u32, Ordering::Relaxed);
    }

    fn counts(&self) -> Counts {
        let [count, value, came, delay_ms] = [0, 1, 2, 3].map(|i| self.counts[i].load(Ordering::Relaxed));
        Counts {
            count,
            value,
            came,
            delay_ms,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn since(self, before: Counts) -> Counts {
        Counts {
            count: self.count - before.count,
            value: self.value - before.value,
            came: self.came - before.came,
            delay_ms: self.delay_ms - before.delay_ms,
        }
    }
}

impl Sums {
    fn step(&mut self, since: &Counts, key: Key, spent: f64, factor: f64, seconds: f64) {
        self.delays.step(since.came, since.delay_ms, seconds);
        let kept = (-seconds / FADE_S).exp();
        let ripens = 1.0 - (-seconds / self.delay_s(key).max(1.0)).exp();
        if self.factor > 0.0 {
            self.factor += (factor - self.factor) * ripens;
        } else {
            self.factor = factor;
        }
        let ripe = (self.waiting + spent) * ripens;
        self.waiting += spent - ripe;
        self.cost = self.cost * kept + ripe;
        let happened = if key.by_value { since.value } else { since.count } as f64;
        self.weighted = (self.weighted * kept + self.factor * happened).max(0.0);
        self.events = (self.events * kept + happened).max(0.0);
    }

    /// How long an event takes to come.
    fn delay_s(&self, key: Key) -> f64 {
        let expected = match key.event {
            CLICKS => CLICK_DELAY_S,
            _ => CONVERSION_DELAY_S,
        };
        self.delays.expected_s(expected)
    }
}

impl Target {
    fn key(self) -> Key {
        match self {
            Target::Cpc(_) => Key {
                event: CLICKS,
                by_value: false,
            },
            Target::Cpa { event, .. } => Key {
                event: event.0,
                by_value: false,
            },
            Target::Roas { event, .. } => Key {
                event: event.0,
                by_value: true,
            },
        }
    }
}

impl Kpi {
    fn bounded(&self, factor: f64) -> f64 {
        factor.clamp(self.least, self.most).clamp(FACTOR_MIN, FACTOR_MAX)
    }

    /// The factor that meets the target, of Σ f · events; how many times as dear events may be, of Σ events.
    fn wanted(&self, events: f64, cost: f64) -> f64 {
        // What one event may cost (of value: one nano of it), and how much was there before the first.
        let (may_cost, believed) = match self.target {
            Target::Cpc(cost) | Target::Cpa { cost, .. } => (cost.0 as f64, BELIEVED),
            Target::Roas {
                ratio, order_value, ..
            } => (1.0 / ratio, BELIEVED * order_value.0 as f64),
        };
        may_cost * (events + believed) / (cost + may_cost * believed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    const CLICK: i64 = 500_000_000;

    fn steps(control: &KpiControl, cost: i64, from_s: i64, seconds: i64) {
        (from_s..from_s + seconds).for_each(|s| control.step(cost, Drive::FREE, Timestamp::from_secs(s)));
    }

    fn factor(control: &KpiControl) -> f64 {
        f64::from(control.factor_micros()) / MICROS
    }

    /// A market in which an event costs `at_one` × factor^`power`, 100 an hour, each after its cost by an exponential time of
    /// mean `delay_s`.
    fn settle(kpi: Kpi, at_one: f64, power: f64, delay_s: f64, hours: i64) -> (f64, f64) {
        let control = KpiControl::default();
        control.set(Some(kpi), None, 0);
        let (mut cost, mut due) = (0.0, BinaryHeap::new());
        for second in 0..hours * 3600 {
            if second % 36 == 0 {
                cost += at_one * factor(&control).powf(power);
                // Evenly spread over the quantiles.
                let quantile = (second / 36) as f64 * 0.618_033_988_75 % 1.0;
                let delay_s = (-(1.0 - quantile).ln() * delay_s) as i64;
                due.push(Reverse((second + delay_s, delay_s)));
            }
            while due.peek().is_some_and(|Reverse((at, _))| *at <= second) {
                let Reverse((_, delay_s)) = due.pop().expect("one was seen");
                let what = match kpi.target.key().event {
                    CLICKS => Happened::Click,
                    event => Happened::Conversion {
                        event: ObjectId(event),
                        value: Nanos(1),
                    },
                };
                control.happened(what, delay_s * 1000);
            }
            control.step(cost as i64, Drive::FREE, Timestamp::from_secs(second));
        }
        (factor(&control), at_one * factor(&control).powf(power))
    }

    fn cpc(least: f64, most: f64) -> Kpi {
        Kpi {
            target: Target::Cpc(Nanos(CLICK)),
            least,
            most,
        }
    }

    fn signups() -> Target {
        Target::Cpa {
            event: ObjectId::of("signup"),
            cost: Nanos(CLICK),
        }
    }

    #[test]
    fn what_an_event_costs_closes_in_on_the_target_also_where_cost_does_not_grow_as_the_bid_does() {
        for power in [0.5, 1.0, 1.5] {
            for (target, at_one, delay_s) in [
                (Target::Cpc(Nanos(CLICK)), 0.8, 5.0),
                (Target::Cpc(Nanos(CLICK)), 1.5, 300.0),
                (signups(), 0.7, 60.0),
                (signups(), 1.3, 3_600.0),
                (signups(), 0.7, 86_400.0),
                (signups(), 1.5, 86_400.0),
            ] {
                let kpi = Kpi {
                    target,
                    ..cpc(0.2, 5.0)
                };
                let (factor, costs) = settle(kpi, CLICK as f64 * at_one, power, delay_s, 24 * 10);
                assert!(
                    (costs / CLICK as f64 - 1.0).abs() < 0.06,
                    "{target:?} {power} {at_one} {delay_s}: {factor} {costs}"
                );
            }
        }
    }

    #[test]
    fn the_factor_stays_within_its_bounds() {
        assert_eq!(settle(cpc(0.8, 1.2), CLICK as f64 * 5.0, 1.0, 5.0, 48).0, 0.8);
        assert_eq!(settle(cpc(0.8, 1.2), CLICK as f64 / 5.0, 1.0, 5.0, 48).0, 1.2);
    }

    #[test]
    fn clicks_that_are_cheap_because_the_pace_lowers_bids_do_not_raise_the_factor() {
        let control = KpiControl::default();
        control.set(Some(cpc(0.2, 5.0)), None, 0);
        // At a quarter of the value a click costs a quarter of what it may.
        for second in 0..100_000_i64 {
            if second % 10 == 0 {
                control.happened(Happened::Click, 1_000);
            }
            control.step(
                second / 10 * CLICK / 4,
                Drive::at(4.0_f64.ln()),
                Timestamp::from_secs(second),
            );
        }
        assert!((factor(&control) - 1.0).abs() < 0.05, "{}", factor(&control));
    }

    #[test]
    fn only_conversions_of_the_name_count_and_one_that_is_taken_back_does_not() {
        let buy = ObjectId::of("purchase");
        let units = |units: i64| Nanos(units * Nanos::PER_UNIT);
        let control = KpiControl::default();
        let target = Target::Roas {
            event: buy,
            ratio: 3.0,
            order_value: units(1),
        };
        let kpi = Kpi {
            target,
            least: 0.1,
            most: 10.0,
        };
        control.set(Some(kpi), None, 0);
        steps(&control, 0, 0, 1);
        let conversion = |event, value| {
            control.happened(
                Happened::Conversion {
                    event,
                    value: units(value),
                },
                1,
            )
        };
        conversion(ObjectId::of("lead"), 500);
        conversion(buy, 300);
        conversion(buy, 500);
        let value = units(500);
        control.happened(Happened::Reversal { event: buy, value }, 1_000_000);
        control.happened(Happened::Click, 1_000);
        // 300 units came back of 50 spent: six for each, twice the target; and 20 before the first one, at the target. Until it is
        // known how soon they come, what was spent waits for days.
        steps(&control, units(50).0, 1, 60);
        assert!(control.view().unwrap().cost < units(1));
        (0..10).for_each(|_| conversion(buy, 0));
        steps(&control, units(50).0, 61, 60);
        let expected = (320.0 / 3.0) / (50.0 + 20.0 / 3.0);
        assert!((factor(&control) - expected).abs() < 0.01, "{}", factor(&control));
        let view = control.view().unwrap();
        assert!((view.achieved().unwrap() - 6.0).abs() < 0.01, "{view:?}");
    }

    #[test]
    fn another_target_begins_with_what_is_spent_from_then_on_and_another_number_goes_on() {
        let control = KpiControl::default();
        control.set(Some(cpc(0.1, 10.0)), None, 1_000 * CLICK);
        steps(&control, 1_000 * CLICK, 0, 100);
        assert_eq!(factor(&control), 1.0, "what was spent before had no target");
        steps(&control, 1_100 * CLICK, 100, 100);
        let dear = factor(&control);
        assert!(dear < 0.2, "{dear}");
        let doubled = Kpi {
            target: Target::Cpc(Nanos(2 * CLICK)),
            ..cpc(0.1, 10.0)
        };
        control.set(Some(doubled), None, 1_100 * CLICK);
        assert!(factor(&control) > dear && factor(&control) < 0.4);
        let target = signups();
        control.set(Some(Kpi { target, ..doubled }), None, 1_100 * CLICK);
        assert_eq!(factor(&control), 1.0);
        control.set(None, None, 0);
        assert_eq!((factor(&control), control.view()), (1.0, None));
    }

    #[test]
    fn what_the_books_count_after_a_checkpoint_is_counted_once_whatever_was_seen_before_it() {
        let kpi = cpc(0.1, 10.0);
        let click = |control: &KpiControl| control.happened(Happened::Click, 2_000);
        let begun = || {
            let control = KpiControl::default();
            control.set(Some(kpi), None, 0);
            steps(&control, 0, 0, 1);
            (0..30).for_each(|_| click(&control));
            steps(&control, 40 * CLICK, 1, 10);
            (0..5).for_each(|_| click(&control));
            control
        };
        // Ten clicks and as many costs later, in one life.
        let whole = begun();
        let saved = whole.save(47 * CLICK);
        (0..10).for_each(|_| click(&whole));
        steps(&whole, 60 * CLICK, 11, 20);
        // The same with a restart between, before or after the target is known.
        for known_before in [true, false] {
            let again = KpiControl::default();
            if known_before {
                again.set(Some(kpi), None, 0);
            }
            again.restore(saved, 47 * CLICK);
            if !known_before {
                again.set(Some(kpi), None, 47 * CLICK);
            }
            (0..10).for_each(|_| click(&again));
            steps(&again, 60 * CLICK, 10, 21);
            assert_eq!(again.view(), whole.view());
        }
        // Another target knows nothing of it.
        let other = KpiControl::default();
        let target = signups();
        other.set(Some(Kpi { target, ..kpi }), None, 0);
        other.restore(saved, 47 * CLICK);
        steps(&other, 47 * CLICK, 0, 10);
        assert_eq!(factor(&other), 1.0);
    }
}
