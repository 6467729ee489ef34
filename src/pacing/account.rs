//! One account: the limits and bookings of a campaign or a line item, by hour, by day and over its lifetime.
//! Workers read an immutable frame of periods; only code under the control lock replaces it, and only forward in time.

use super::calendar::{Span, Unit};
use super::delay::{DelayControl, DelayView, LearntDelay};
use super::kernel::{Column, Counter, UNLIMITED};
use super::kpi::{Kpi, KpiControl, KpiView};
use super::lease::Demand;
use super::pace::{Drive, Pace, PacePlan, PaceView, Sight, Traffic};
use crate::units::{AccountId, Limits, Nanos, Timestamp};
use arc_swap::{ArcSwap, Guard};
use jiff::tz::TimeZone;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountKind {
    Campaign,
    LineItem,
}

/// The span of time that a limit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    Hour,
    Day,
    Lifetime,
}

impl Scope {
    pub const ALL: [Scope; 3] = [Scope::Hour, Scope::Day, Scope::Lifetime];
}

/// See the [module](super). Made by [`Budgets::account`](super::Budgets::account), never removed.
pub struct Account {
    id: AccountId,
    pub(super) index: u32,
    frame: ArcSwap<Frame>,
    pub(super) lifetime: Arc<Period>,
    control: Mutex<Control>,
    pub(super) pace: Pace,
    pub(super) kpi: KpiControl,
    pub(super) delay: DelayControl,
}

/// What the control thread knows and workers do not need.
pub(super) struct Control {
    pub name: String,
    pub kind: AccountKind,
    pub zone: TimeZone,
    /// `None` until the configuration has named them.
    pub limits: Option<Limits>,
    /// What a new period grants before any lease: nothing, or everything where budgets are not leased.
    pub first_grant: i64,
}

/// Previous, current and next period of each unit. Reservations count on the one that contains their `now`.
#[derive(Clone)]
pub(super) struct Frame {
    pub hours: Row,
    pub days: Row,
}

pub(super) type Row = [Arc<Period>; 3];

pub(super) struct Period {
    pub span: Span,
    pub counter: Counter,
    /// The largest amount that was refused for want of a grant since the lease was last looked at.
    asked: AtomicI64,
    /// The lease thread's own.
    pub demand: Mutex<Demand>,
    /// As the lease thread was told last.
    pub used_by_others: AtomicI64,
    /// The part of this period's debt that stands in the next one already. Written under the control lock only.
    pub carried_out: AtomicI64,
}

/// Money of one account.
#[derive(Clone, Debug)]
pub struct AccountView {
    pub id: AccountId,
    pub name: String,
    pub kind: AccountKind,
    pub hour: PeriodView,
    pub day: PeriodView,
    pub lifetime: PeriodView,
}

/// Money of one account in one period. `limit` = spent + late + carried + quarantined + reserved + free, unless bookings
/// exceed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeriodView {
    /// Unlimited where `None`; `free` has no meaning then. Where nodes share a budget: what the others leave of it.
    pub limit: Option<Nanos>,
    /// What this node may commit by its lease; `None` where it needs none.
    pub granted: Option<Nanos>,
    /// Set aside for bids of an earlier process of this node that ended without giving its lease back.
    pub quarantined: Nanos,
    /// Settled within holds.
    pub spent: Nanos,
    pub reserved: Nanos,
    /// Settled above or after holds.
    pub late: Nanos,
    /// Debt taken over from the period before.
    pub carried: Nanos,
    /// The part of `late` and `carried` that is not covered.
    pub debt: Nanos,
    pub free: Nanos,
    /// Where nodes share a budget: what the others have booked and expect their open bids to cost, as last told.
    pub used_by_others: Nanos,
}

impl AccountView {
    pub fn periods(&self) -> [&PeriodView; 3] {
        [&self.hour, &self.day, &self.lifetime]
    }

    /// What may be bid before the lease must grow: the least over all limits; `None` without leases or limits.
    pub fn lease_free(&self) -> Option<Nanos> {
        self.periods()
            .into_iter()
            .filter_map(PeriodView::lease_free)
            .min()
    }

    /// Set aside for bids of an earlier process: the most over all limits.
    pub fn quarantined(&self) -> Nanos {
        let set_aside = self.periods().map(|period| period.quarantined);
        set_aside.into_iter().max().unwrap_or_default()
    }
}

impl PeriodView {
    /// Granted and not yet committed.
    pub fn lease_free(&self) -> Option<Nanos> {
        let committed = self.spent + self.late + self.carried + self.quarantined + self.reserved;
        self.granted
            .map(|granted| granted.saturating_sub(committed).max(Nanos::ZERO))
    }
}

impl Account {
    pub(super) fn new(id: AccountId, index: u32, control: Control, now: Timestamp) -> Account {
        let frame = Frame {
            hours: row_around(Unit::Hour, &control, now),
            days: row_around(Unit::Day, &control, now),
        };
        let lifetime = Period::new(Span::ALL_TIME, control.counter(Scope::Lifetime));
        Account {
            id,
            index,
            frame: ArcSwap::from_pointee(frame),
            lifetime,
            control: Mutex::new(control),
            pace: Pace::default(),
            kpi: KpiControl::default(),
            delay: DelayControl::default(),
        }
    }

    pub fn id(&self) -> AccountId {
        self.id
    }

    /// Takes effect on the next reservation, in the current and in later periods. Never frees what is spent or reserved.
    pub fn set_limits(&self, limits: Limits, now: Timestamp) {
        let mut control = self.control();
        // Periods that are over by now are closed under the limits that they had.
        self.roll(&control, now);
        let before = control.limits.replace(limits).unwrap_or_default();
        let frame = self.frame.load();
        for (scope, periods) in [
            (Scope::Hour, &frame.hours[1..]),
            (Scope::Day, &frame.days[1..]),
            (Scope::Lifetime, std::slice::from_ref(&self.lifetime)),
        ] {
            let limit = control.limit(scope);
            // What was spent without a limit needed no lease; now it does, and there is none.
            let is_new = limit_of(&before, scope) == UNLIMITED && limit != UNLIMITED;
            for Period { counter, .. } in periods.iter().map(|period| &**period) {
                if is_new && control.first_grant != UNLIMITED {
                    counter.lower(control.first_grant);
                }
                counter.set_limit(limit);
            }
        }
    }

    /// How its money is to be spread. Until then, and for [`Spread::AsFastAsPossible`](crate::units::Spread), it is not paced.
    pub fn set_plan(&self, plan: PacePlan) {
        self.pace.set_plan(plan);
    }

    /// What the value of a bid is multiplied by, or, where the price is fixed, the share of chances that are taken: above 0, at
    /// most 1.
    pub fn multiplier(&self) -> f64 {
        self.drive().multiplier()
    }

    /// The multiplier, and how far values are stretched before they are shaded.
    pub fn drive(&self) -> Drive {
        self.pace.drive()
    }

    /// What a line item and the campaign above it say of a bid together; its values are not stretched beyond what its target allows.
    pub fn drive_under(&self, campaign: &Account) -> Drive {
        let drive = self.drive().tighter(campaign.drive());
        drive.stretched_at_most(self.kpi.stretch_most())
    }

    /// What an event of a line item may cost, from the next step on; `campaign` is the account above it. Until then nothing is steered.
    pub fn set_kpi(&self, kpi: Option<Kpi>, campaign: &Arc<Account>) {
        let campaign = kpi.map(|_| campaign.clone());
        self.kpi.set(kpi, campaign, self.billed());
    }

    /// What values are multiplied by so that events cost what they may: millionths, within 0.1..=10 times.
    pub fn kpi_factor_micros(&self) -> u32 {
        self.kpi.factor_micros()
    }

    /// `None` where nothing is steered.
    pub fn kpi_view(&self) -> Option<KpiView> {
        self.kpi.view()
    }

    /// A line item's conversions count for less the later they come, as is learnt of them.
    pub fn set_learnt_delay(&self, goal: Option<LearntDelay>) {
        self.delay.set(goal);
    }

    /// Of the value of a conversion, what is left as it comes later: millionths; all of it where no delay is learnt.
    pub fn kept_micros(&self) -> u32 {
        self.delay.kept_micros()
    }

    /// `None` where no delay is learnt.
    pub fn delay_view(&self) -> Option<DelayView> {
        self.delay.view()
    }

    /// Nanos, over its lifetime.
    pub(super) fn billed(&self) -> i64 {
        let reading = self.lifetime.counter.read();
        reading.spent + reading.late
    }

    pub fn pace_view(&self, now: Timestamp) -> PaceView {
        self.pace.view(&self.view(now), now)
    }

    /// Moves the multiplier and the factor on. For one control thread.
    pub(super) fn steer(&self, traffic: &Traffic, now: Timestamp) {
        let view = self.view(now);
        let (limits, zone) = {
            let control = self.control();
            (control.limits.unwrap_or_default(), control.zone.clone())
        };
        let sight = Sight {
            view,
            limits,
            zone: &zone,
            now,
            traffic,
        };
        self.pace.step(&sight);
        self.kpi.step(self.billed(), self.drive(), now);
        self.delay.step(now);
    }

    /// A cheap look before work is put into a bid: false where a reservation of `amount` would be refused now.
    pub fn has_free(&self, amount: Nanos, now: Timestamp) -> bool {
        self.refusal(amount, now).is_none()
    }

    /// The first limit that leaves less than `amount` free.
    pub fn refusal(&self, amount: Nanos, now: Timestamp) -> Option<Scope> {
        let frame = self.look();
        match self.periods(&frame, now) {
            // All of them are asked: a lease of one limit is of no use while another one's lacks.
            Ok(periods) => periods
                .map(|period| period.has_free(amount.0))
                .iter()
                .position(|free| !free)
                .map(|place| Scope::ALL[place]),
            Err(scope) => Some(scope),
        }
    }

    pub fn view(&self, now: Timestamp) -> AccountView {
        let frame = self.frame.load_full();
        let in_period = |row: &Row| PeriodView::of(period(row, now).unwrap_or(&row[1]));
        let control = self.control();
        AccountView {
            id: self.id,
            name: control.name.clone(),
            kind: control.kind,
            hour: in_period(&frame.hours),
            day: in_period(&frame.days),
            lifetime: PeriodView::of(&self.lifetime),
        }
    }

    /// The periods as they are now, at the cost of one atomic load. Not to be kept.
    pub(super) fn look(&self) -> Guard<Arc<Frame>> {
        self.frame.load()
    }

    /// The periods that a bid at `now` takes from, in the order of [`Scope::ALL`]; `Err` where none is prepared.
    pub(super) fn periods<'f>(&'f self, frame: &'f Frame, now: Timestamp) -> Result<[&'f Period; 3], Scope> {
        let hour = period(&frame.hours, now).ok_or(Scope::Hour)?;
        let day = period(&frame.days, now).ok_or(Scope::Day)?;
        Ok([hour, day, &self.lifetime])
    }

    /// The periods that a lease is for: the current and the next of each unit, and the lifetime.
    pub(super) fn leased_periods(&self) -> [(Scope, Arc<Period>); 5] {
        let frame = self.frame.load();
        let [_, hour, next_hour] = &frame.hours;
        let [_, day, next_day] = &frame.days;
        [
            (Scope::Hour, hour.clone()),
            (Scope::Hour, next_hour.clone()),
            (Scope::Day, day.clone()),
            (Scope::Day, next_day.clone()),
            (Scope::Lifetime, self.lifetime.clone()),
        ]
    }

    /// The period that was `span` in another process: the same one; where the zone has changed since, the one of `now`.
    pub(super) fn period_of(&self, scope: Scope, span: Span, now: Timestamp) -> Option<Arc<Period>> {
        let frame = self.frame.load();
        let row = match scope {
            Scope::Hour => &frame.hours,
            Scope::Day => &frame.days,
            Scope::Lifetime => return Some(self.lifetime.clone()),
        };
        let same = row.iter().find(|period| period.span == span);
        same.or(span.contains(now).then_some(&row[1])).cloned()
    }

    /// Applies `act` to every counter that the time of a bid belongs to: its hour and day where they are kept, the lifetime.
    pub(super) fn at(&self, bid_at: Timestamp, mut act: impl FnMut(&Counter)) {
        let frame = self.frame.load();
        for row in [&frame.hours, &frame.days] {
            if let Some(period) = period(row, bid_at) {
                act(&period.counter);
            }
        }
        act(&self.lifetime.counter);
    }

    /// Moves on to the periods around `now` and carries debt over.
    pub(super) fn tick(&self, now: Timestamp) {
        self.roll(&self.control(), now);
    }

    /// The control part, for as long as nothing may roll or change limits.
    pub(super) fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ask for it with the control lock held where it must not change.
    pub(super) fn frame(&self) -> Arc<Frame> {
        self.frame.load_full()
    }

    fn roll(&self, control: &Control, now: Timestamp) {
        let frame = self.frame.load_full();
        let hours = rolled(&frame.hours, Unit::Hour, control, now);
        let days = rolled(&frame.days, Unit::Day, control, now);
        if hours.is_some() || days.is_some() {
            let next = Frame {
                hours: hours.unwrap_or_else(|| frame.hours.clone()),
                days: days.unwrap_or_else(|| frame.days.clone()),
            };
            self.frame.store(Arc::new(next));
        }
    }
}

impl Control {
    pub fn limit(&self, scope: Scope) -> i64 {
        limit_of(&self.limits.unwrap_or_default(), scope)
    }

    fn counter(&self, scope: Scope) -> Counter {
        Counter::new(self.limit(scope), self.first_grant)
    }
}

fn limit_of(limits: &Limits, scope: Scope) -> i64 {
    let limit = match scope {
        Scope::Hour => limits.hourly,
        Scope::Day => limits.daily,
        Scope::Lifetime => limits.lifetime,
    };
    limit.map_or(UNLIMITED, |nanos| nanos.0)
}

impl Period {
    fn new(span: Span, counter: Counter) -> Arc<Period> {
        Arc::new(Period {
            span,
            counter,
            asked: AtomicI64::new(0),
            demand: Mutex::default(),
            used_by_others: AtomicI64::new(0),
            carried_out: AtomicI64::new(0),
        })
    }

    pub fn has_free(&self, amount: i64) -> bool {
        let free = self.counter.has_free(amount);
        if !free {
            self.ask(amount);
        }
        free
    }

    pub fn try_take(&self, amount: i64) -> bool {
        let taken = self.counter.try_take(amount);
        if !taken {
            self.ask(amount);
        }
        taken
    }

    /// Tells the lease thread of a refusal, which a larger lease may have spared.
    fn ask(&self, amount: i64) {
        // Relaxed, and written only where it changes: a hint that many workers repeat.
        if self.asked.load(Ordering::Relaxed) < amount {
            self.asked.fetch_max(amount, Ordering::Relaxed);
        }
    }

    /// The largest amount refused since the last look; 0 = none.
    pub fn take_asked(&self) -> i64 {
        match self.asked.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.asked.swap(0, Ordering::Relaxed),
        }
    }

    /// Puts debt that is not covered, and not carried before, into `next`.
    fn carry_into(&self, next: &Period) {
        // Relaxed: only ever touched under the control lock.
        let carried = self.carried_out.load(Ordering::Relaxed);
        let due = self.counter.read().debt - carried;
        if due > 0 {
            self.carried_out.store(carried + due, Ordering::Relaxed);
            next.counter.charge(due, Column::Carried);
        }
    }
}

impl PeriodView {
    fn of(period: &Period) -> PeriodView {
        let reading = period.counter.read();
        PeriodView {
            limit: (reading.limit != UNLIMITED).then_some(Nanos(reading.limit)),
            granted: [reading.limit, reading.granted]
                .iter()
                .all(|&ceiling| ceiling != UNLIMITED)
                .then_some(Nanos(reading.granted)),
            quarantined: Nanos(reading.quarantined),
            spent: Nanos(reading.spent),
            reserved: Nanos(reading.reserved),
            late: Nanos(reading.late),
            carried: Nanos(reading.carried),
            debt: Nanos(reading.debt),
            free: Nanos(reading.free),
            used_by_others: Nanos(period.used_by_others.load(Ordering::Relaxed)),
        }
    }
}

fn period(row: &Row, at: Timestamp) -> Option<&Period> {
    let [previous, current, next] = row;
    [current, next, previous]
        .into_iter()
        .find(|p| p.span.contains(at))
        .map(|p| &**p)
}

fn row_around(unit: Unit, control: &Control, now: Timestamp) -> Row {
    let zone = &control.zone;
    let current = Span::around(unit, zone, now);
    [current.before(unit, zone), current, current.after(unit, zone)]
        .map(|span| Period::new(span, control.counter(unit.scope())))
}

/// The row around `now`; `None` while it is the one at hand.
fn rolled(row: &Row, unit: Unit, control: &Control, now: Timestamp) -> Option<Row> {
    let [previous, current, next] = row;
    previous.carry_into(current);
    if now < current.span.until {
        return None;
    }
    current.carry_into(next);
    let zone = &control.zone;
    let open = |span| Period::new(span, control.counter(unit.scope()));
    if now < next.span.until {
        let after = open(next.span.after(unit, zone));
        return Some([current.clone(), next.clone(), after]);
    }
    // A whole period went by without a tick. The new row begins behind the old one, whatever the zone is by now.
    let [before, mut here, after] = {
        let here = Span::around(unit, zone, now);
        [here.before(unit, zone), here, here.after(unit, zone)]
    };
    here.from = here.from.max(next.span.until);
    let here = open(here);
    next.carry_into(&here);
    let adjacent = next.span.until == here.span.from;
    let before = if adjacent { next.clone() } else { open(before) };
    Some([before, here, open(after)])
}

impl Unit {
    fn scope(self) -> Scope {
        match self {
            Unit::Hour => Scope::Hour,
            Unit::Day => Scope::Day,
        }
    }
}
