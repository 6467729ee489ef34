//! One account: the limits and bookings of a campaign or a line item, by hour, by day and over its lifetime.
//! Workers read an immutable frame of periods; only code under the control lock replaces it, and only forward in time.

use super::calendar::{Span, Unit};
use super::kernel::{Column, Counter, Reading, UNLIMITED};
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    pub(super) lifetime: Counter,
    control: Mutex<Control>,
}

/// What the control thread knows and workers do not need.
pub(super) struct Control {
    pub name: String,
    pub kind: AccountKind,
    pub zone: TimeZone,
    /// `None` until the configuration has named them.
    pub limits: Option<Limits>,
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

/// Money of one account in one period. `limit` = spent + late + carried + reserved + free, unless bookings exceed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeriodView {
    /// Unlimited where `None`; `free` has no meaning then.
    pub limit: Option<Nanos>,
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
}

impl Account {
    pub(super) fn new(id: AccountId, index: u32, control: Control, now: Timestamp) -> Account {
        let frame = Frame {
            hours: row_around(Unit::Hour, &control, now),
            days: row_around(Unit::Day, &control, now),
        };
        let lifetime = Counter::new(control.limit(Scope::Lifetime));
        Account {
            id,
            index,
            frame: ArcSwap::from_pointee(frame),
            lifetime,
            control: Mutex::new(control),
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
        control.limits = Some(limits);
        let frame = self.frame.load();
        frame.hours[1..]
            .iter()
            .for_each(|hour| hour.counter.set_limit(control.limit(Scope::Hour)));
        frame.days[1..]
            .iter()
            .for_each(|day| day.counter.set_limit(control.limit(Scope::Day)));
        self.lifetime.set_limit(control.limit(Scope::Lifetime));
    }

    /// A cheap look before work is put into a bid: false where a reservation of `amount` would be refused now.
    pub fn has_free(&self, amount: Nanos, now: Timestamp) -> bool {
        self.refusal(amount, now).is_none()
    }

    /// The first limit that leaves less than `amount` free.
    pub fn refusal(&self, amount: Nanos, now: Timestamp) -> Option<Scope> {
        let frame = self.look();
        match self.counters(&frame, now) {
            Ok(counters) => counters
                .iter()
                .position(|c| !c.has_free(amount.0))
                .map(|place| Scope::ALL[place]),
            Err(scope) => Some(scope),
        }
    }

    pub fn view(&self, now: Timestamp) -> AccountView {
        let frame = self.frame.load_full();
        let in_period = |row: &Row| PeriodView::of(period(row, now).unwrap_or(&row[1]).counter.read());
        let control = self.control();
        AccountView {
            id: self.id,
            name: control.name.clone(),
            kind: control.kind,
            hour: in_period(&frame.hours),
            day: in_period(&frame.days),
            lifetime: PeriodView::of(self.lifetime.read()),
        }
    }

    /// The periods as they are now, at the cost of one atomic load. Not to be kept.
    pub(super) fn look(&self) -> Guard<Arc<Frame>> {
        self.frame.load()
    }

    /// The counters that a bid at `now` takes from, in the order of [`Scope::ALL`]; `Err` where no period is prepared.
    pub(super) fn counters<'f>(
        &'f self,
        frame: &'f Frame,
        now: Timestamp,
    ) -> Result<[&'f Counter; 3], Scope> {
        let hour = period(&frame.hours, now).ok_or(Scope::Hour)?;
        let day = period(&frame.days, now).ok_or(Scope::Day)?;
        Ok([&hour.counter, &day.counter, &self.lifetime])
    }

    /// Applies `act` to every counter that the time of a bid belongs to: its hour and day where they are kept, the lifetime.
    pub(super) fn at(&self, bid_at: Timestamp, mut act: impl FnMut(&Counter)) {
        let frame = self.frame.load();
        for row in [&frame.hours, &frame.days] {
            if let Some(period) = period(row, bid_at) {
                act(&period.counter);
            }
        }
        act(&self.lifetime);
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
        let limits = self.limits.unwrap_or_default();
        let limit = match scope {
            Scope::Hour => limits.hourly,
            Scope::Day => limits.daily,
            Scope::Lifetime => limits.lifetime,
        };
        limit.map_or(UNLIMITED, |nanos| nanos.0)
    }
}

impl Period {
    fn new(span: Span, limit: i64) -> Arc<Period> {
        Arc::new(Period {
            span,
            counter: Counter::new(limit),
            carried_out: AtomicI64::new(0),
        })
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
    fn of(reading: Reading) -> PeriodView {
        PeriodView {
            limit: (reading.limit != UNLIMITED).then_some(Nanos(reading.limit)),
            spent: Nanos(reading.spent),
            reserved: Nanos(reading.reserved),
            late: Nanos(reading.late),
            carried: Nanos(reading.carried),
            debt: Nanos(reading.debt),
            free: Nanos(reading.free),
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
    let (zone, limit) = (&control.zone, control.limit(unit.scope()));
    let current = Span::around(unit, zone, now);
    [current.before(unit, zone), current, current.after(unit, zone)].map(|span| Period::new(span, limit))
}

/// The row around `now`; `None` while it is the one at hand.
fn rolled(row: &Row, unit: Unit, control: &Control, now: Timestamp) -> Option<Row> {
    let [previous, current, next] = row;
    previous.carry_into(current);
    if now < current.span.until {
        return None;
    }
    current.carry_into(next);
    let (zone, limit) = (&control.zone, control.limit(unit.scope()));
    if now < next.span.until {
        let after = Period::new(next.span.after(unit, zone), limit);
        return Some([current.clone(), next.clone(), after]);
    }
    // A whole period went by without a tick. The new row begins behind the old one, whatever the zone is by now.
    let [before, mut here, after] = {
        let here = Span::around(unit, zone, now);
        [here.before(unit, zone), here, here.after(unit, zone)]
    };
    here.from = here.from.max(next.span.until);
    let here = Period::new(here, limit);
    next.carry_into(&here);
    let adjacent = next.span.until == here.span.from;
    let before = if adjacent {
        next.clone()
    } else {
        Period::new(before, limit)
    };
    Some([before, here, Period::new(after, limit)])
}

impl Unit {
    fn scope(self) -> Scope {
        match self {
            Unit::Hour => Scope::Hour,
            Unit::Day => Scope::Day,
        }
    }
}
