//! Pacing: money spread over its period. Each account with a plan has a multiplier that the bid path reads, and that the control
//! thread moves about once a second, so that what is spent follows the plan.
//!
//! ```text
//! totals (bid, won, billed) ─► flow: rate of spend, money in flight ─┐
//! limits, lifetime by days of the flight ──────────────────────────┼─► goals ─► pacer ─► multiplier
//! spread × hours × traffic ─► plan of the day ──────────────────────┘
//! ```

mod flow;
mod pacer;
mod plan;
mod striped;
mod traffic;

pub use pacer::Drive;
pub use plan::{DayPlan, PacePlan, SLOT_MS};
pub use traffic::{ExchangeTraffic, Traffic};

pub(super) use flow::{Shares, Totals};

use super::account::{AccountView, PeriodView};
use super::calendar::{Span, Unit};
use crate::units::{Limits, Nanos, Spread, Timestamp};
use flow::Flow;
use jiff::tz::TimeZone;
use pacer::{Goal, HORIZON_S, Pacer, SLOW_START};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A step is made this often: long enough for something to have happened, short against the horizon.
pub const STEP_MS: i64 = 1_000;
/// A plan of a day is made anew this often, as more is learnt of traffic.
const PLANNED_EVERY_MS: i64 = Timestamp::MS_PER_HOUR;
/// Of a limit, what has to be bid until observed shares of it are believed.
const BELIEVED_AFTER: f64 = 0.0005;
/// So long after its last shaded bid an account still counts as one whose bids are shaded: longer than a lull.
const SHADED_FOR_MS: i64 = 600_000;
/// Time constant of the rate by which it is said whether a plan can still be met: several minutes, as a lull says nothing.
const STEADY_S: f64 = 600.0;
/// Time constant of how fast other nodes spend: what they have used is told every few seconds. They are taken to go on so long
/// where nothing more is heard.
const OTHERS_S: f64 = 60.0;
/// Other nodes have become at most so many times as fast or as slow as they were, as far as this node can guess.
const OTHERS_FOLLOW: f64 = 4.0;
/// A plan ends early by how far money in flight is above this many seconds of spend, as what is on hold at the end of a period
/// can no longer be bid. Up to here that costs less than half a percent of a day.
const IN_FLIGHT_S: f64 = 600.0;
/// And by at most this part of the period.
const EARLY_MAX: f64 = 0.05;

/// Of one account.
#[derive(Debug, Default)]
pub(super) struct Pace {
    pub totals: Totals,
    pacer: Pacer,
    state: Mutex<State>,
    /// What open bids were expected to cost at the last step, nanos.
    in_flight: AtomicI64,
}

/// The control thread's own.
#[derive(Debug)]
struct State {
    plan: PacePlan,
    /// Of an earlier process, for when the account has a plan.
    restored: Option<f64>,
    day: Option<Day>,
    flow: Flow,
    stepped_at: Option<Timestamp>,
    /// When a bid was last seen to be shaded.
    shaded_at: Option<Timestamp>,
    /// By scope: what other nodes have used, and how fast it grows.
    others: [Others; 3],
    /// This node's own rate, as late as those of the others are known.
    rate_before: f64,
    /// The same over the last minutes.
    steady_rate: f64,
}

#[derive(Debug)]
struct Day {
    plan: DayPlan,
    made_at: Timestamp,
}

#[derive(Clone, Copy, Debug, Default)]
struct Others {
    told: f64,
    /// Since `told` was another number.
    told_s: f64,
    /// By now, going on at `rate`.
    used: f64,
    rate: f64,
}

/// What an account's pace is, for pages and tests.
#[derive(Clone, Debug, PartialEq)]
pub struct PaceView {
    pub spread: Spread,
    /// Of all values, 0..=1.
    pub multiplier: f64,
    /// What shading stretches values by, from 1 on: how far the plan is behind although nothing is held back.
    pub stretch: f64,
    /// The share of the day's money that is meant to be gone by now; `None` before the first step.
    pub planned: Option<f64>,
    /// What open bids are expected to cost.
    pub in_flight: Nanos,
    /// Expected spend a second.
    pub rate: Nanos,
    /// Of the money that is bid, what wins.
    pub won_share: f64,
}

/// What survives a restart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SavedPace {
    /// `None` where it was not paced.
    pub log_price: Option<f64>,
    pub shares: Shares,
}

/// What a step is made on.
pub(super) struct Sight<'a> {
    pub view: AccountView,
    pub limits: Limits,
    pub zone: &'a TimeZone,
    pub now: Timestamp,
    pub traffic: &'a Traffic,
}

impl Pace {
    /// See [`Account::drive`](super::Account::drive).
    pub fn drive(&self) -> Drive {
        self.pacer.drive()
    }

    /// A new plan begins slowly, or where an earlier process was; one that is changed goes on from where it is.
    pub fn set_plan(&self, plan: PacePlan) {
        let mut state = self.state();
        if state.plan == plan {
            return;
        }
        if plan.spread == Spread::AsFastAsPossible {
            self.pacer.release();
        } else if state.plan.spread == Spread::AsFastAsPossible {
            self.pacer.set(state.restored.take().unwrap_or(SLOW_START));
        }
        (state.plan, state.day) = (plan, None);
    }

    pub fn step(&self, sight: &Sight<'_>) {
        let state = &mut *self.state();
        if state.plan.spread == Spread::AsFastAsPossible {
            return;
        }
        let before = state.stepped_at.replace(sight.now);
        let Some(seconds) = before.map(|before| sight.now.since(before) as f64 / 1000.0) else {
            return;
        };
        // A clock that was set back, or a process that stood still: a step is made on what the next seconds bring.
        if seconds > 0.0 {
            let seconds = seconds.min(60.0);
            let goals = state.goals(&self.totals, sight, seconds);
            let in_flight = state.flow.in_flight(as_f64(sight.view.lifetime.reserved));
            self.in_flight.store(in_flight as i64, Ordering::Relaxed);
            if self.totals.take_shaded() {
                state.shaded_at = Some(sight.now);
            }
            let is_shaded = |at: Timestamp| sight.now.since(at) < SHADED_FOR_MS;
            let is_shaded = state.shaded_at.is_some_and(is_shaded);
            self.pacer.steer(goals.into_iter().flatten(), seconds, is_shaded);
        }
    }

    pub fn is_on(&self) -> bool {
        self.state().plan.spread != Spread::AsFastAsPossible
    }

    /// What open bids were expected to cost at the last step, nanos; 0 without a pace.
    pub fn in_flight(&self) -> i64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub fn view(&self, view: &AccountView, now: Timestamp) -> PaceView {
        let state = self.state();
        let reserved = view.lifetime.reserved.0 as f64;
        PaceView {
            spread: state.plan.spread,
            multiplier: self.drive().multiplier(),
            stretch: self.drive().stretch(),
            planned: state.day.as_ref().map(|day| day.plan.share(now)),
            in_flight: Nanos(state.flow.in_flight(reserved) as i64),
            rate: Nanos(state.flow.rate() as i64),
            won_share: state.flow.shares.won,
        }
    }

    pub fn save(&self) -> SavedPace {
        let state = self.state();
        let is_paced = state.plan.spread != Spread::AsFastAsPossible;
        SavedPace {
            // How far values are stretched is found again within minutes, and a checkpoint has no prices below that of money.
            log_price: is_paced
                .then(|| self.pacer.log_price().max(0.0))
                .or(state.restored),
            shares: state.flow.shares,
        }
    }

    /// Before or after the plan is set.
    pub fn restore(&self, saved: &SavedPace) {
        let mut state = self.state();
        state.flow = Flow::new(saved.shares);
        match saved.log_price {
            Some(log_price) if state.plan.spread != Spread::AsFastAsPossible => self.pacer.set(log_price),
            log_price => state.restored = log_price,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for State {
    fn default() -> State {
        State {
            plan: PacePlan::default(),
            restored: None,
            day: None,
            flow: Flow::new(Shares::UNKNOWN),
            stepped_at: None,
            shaded_at: None,
            others: [Others::default(); 3],
            rate_before: 0.0,
            steady_rate: 0.0,
        }
    }
}

impl State {
    /// By hour, by day, and of a lifetime the part that is meant for this day.
    fn goals(&mut self, totals: &Totals, sight: &Sight<'_>, seconds: f64) -> [Option<Goal>; 3] {
        let Sight {
            view, limits, now, ..
        } = sight;
        let each = [limits.hourly, limits.daily, limits.lifetime];
        let least = each.into_iter().flatten().min();
        self.flow
            .step(totals, seconds, least.map_or(0.0, as_f64) * BELIEVED_AFTER);
        for (others, period) in self.others.iter_mut().zip(view.periods()) {
            others.follow(as_f64(period.used_by_others), seconds);
        }
        self.rate_before += (self.flow.rate() - self.rate_before) * passed_of(OTHERS_S, seconds);
        self.steady_rate += (self.flow.rate() - self.steady_rate) * passed_of(STEADY_S, seconds);
        self.plan_day(sight);
        let Some(day) = &self.day else { return [None; 3] };
        let horizon = Horizon::new(*now, &self.flow, self.steady_rate, as_f64(view.lifetime.reserved));
        // They are paced as this node is: since they were seen they have become faster or slower with it.
        let faster = if self.rate_before > 0.0 {
            (self.flow.rate() / self.rate_before).clamp(1.0 / OTHERS_FOLLOW, OTHERS_FOLLOW)
        } else {
            1.0
        };
        let [others_hour, others_day, others_ever] = self.others.map(|others| Others {
            rate: others.rate * faster,
            ..others
        });

        let hour = Span::around(Unit::Hour, sight.zone, *now);
        let in_hour = |at: Timestamp| at.since(hour.from) as f64 / hour.until.since(hour.from) as f64;
        let in_day = |at: Timestamp| day.plan.share(at);
        let of_hour = |limit| horizon.goal(as_f64(limit), used(&view.hour), others_hour, hour, &in_hour);
        let of_day = |limit| horizon.goal(limit, used(&view.day), others_day, day.plan.span, &in_day);

        // What others spend today is seen where the day has a limit; else it counts as spent before.
        let left_at_start = |limit: Nanos| {
            let others_before = (others_ever.used - others_day.used).max(0.0);
            (as_f64(limit) - (used(&view.lifetime) - used(&view.day)) - others_before).max(0.0)
        };
        let share = self.plan.share_of_day(day.plan.span);
        let of_today = limits
            .lifetime
            .zip(share)
            .map(|(limit, share)| left_at_start(limit) * share);
        [
            limits.hourly.map(of_hour),
            limits.daily.map(as_f64).map(of_day),
            of_today.map(of_day),
        ]
    }

    fn plan_day(&mut self, sight: &Sight<'_>) {
        let Sight {
            now, zone, traffic, ..
        } = sight;
        let is_good = |day: &Day| day.plan.span.contains(*now) && now.since(day.made_at) < PLANNED_EVERY_MS;
        if self.day.as_ref().is_some_and(is_good) {
            return;
        }
        let span = Span::around(Unit::Day, zone, *now);
        let expected = |at| traffic.expected(&self.plan.exchanges, at);
        self.day = Some(Day {
            plan: DayPlan::new(&self.plan, zone, span, expected),
            made_at: *now,
        });
    }
}

/// What all goals of one step have in common.
struct Horizon {
    now: Timestamp,
    in_flight: f64,
    rate: f64,
    steady_rate: f64,
    /// Reserved money, in seconds of spend.
    held_s: f64,
}

impl Horizon {
    fn new(now: Timestamp, flow: &Flow, steady_rate: f64, reserved: f64) -> Horizon {
        let rate = flow.rate();
        Horizon {
            now,
            in_flight: flow.in_flight(reserved),
            rate,
            steady_rate,
            held_s: if rate > 0.0 { reserved / rate } else { 0.0 },
        }
    }

    /// `used` by this node, of the limit over `span`; `share` is the plan.
    fn goal(
        &self,
        limit: f64,
        used: f64,
        others: Others,
        span: Span,
        share: &dyn Fn(Timestamp) -> f64,
    ) -> Goal {
        let length_s = span.until.since(span.from) as f64 / 1000.0;
        let gone_s = self.now.since(span.from) as f64 / 1000.0;
        let early_s = (self.held_s - IN_FLIGHT_S).clamp(0.0, EARLY_MAX * length_s);
        // The plan is run through somewhat faster, to end early.
        let faster = length_s / (length_s - early_s);
        let planned_at = |gone_s: f64| {
            let at = Timestamp(span.from.0 + (gone_s * faster * 1000.0) as i64);
            share(at.min(span.until))
        };
        let ahead_s = HORIZON_S.min(length_s - gone_s).max(1.0);
        Goal {
            limit,
            used: used + self.in_flight + others.used,
            rate: self.rate + others.rate,
            steady_rate: self.steady_rate + others.rate,
            planned: planned_at(gone_s),
            planned_ahead: planned_at(gone_s + ahead_s),
            ahead_s,
            length_s,
        }
    }
}

impl Others {
    fn follow(&mut self, told: f64, seconds: f64) {
        self.told_s += seconds;
        if told < self.told / 2.0 || self.told == 0.0 {
            // Another period, or the first that is heard.
            (self.told, self.told_s) = (told, 0.0);
        } else if told != self.told {
            let rate = (told - self.told) / self.told_s;
            self.rate += (rate - self.rate) * passed_of(OTHERS_S, self.told_s);
            (self.told, self.told_s) = (told, 0.0);
        } else if self.told_s > OTHERS_S {
            self.rate *= 1.0 - passed_of(OTHERS_S, seconds);
        }
        self.rate = self.rate.max(0.0);
        self.used = self.told + self.rate * self.told_s.min(OTHERS_S);
    }
}

/// The share of something with this time constant that passes in `seconds`.
fn passed_of(constant_s: f64, seconds: f64) -> f64 {
    1.0 - (-seconds / constant_s).exp()
}

/// Booked on this node, or set aside for what may still be.
fn used(period: &PeriodView) -> f64 {
    as_f64(period.spent + period.late + period.carried + period.quarantined)
}

fn as_f64(nanos: Nanos) -> f64 {
    nanos.0 as f64
}
