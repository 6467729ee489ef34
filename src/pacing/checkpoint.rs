//! Accounts and open holds as bytes, so that spend, late bookings, debt and holds survive a restart.
//! Restoring adds to what is there; it never frees money. The caller guards the bytes with a checksum of its own.
//!
//! ```text
//! magic u64 | version u32 | accounts u32 × (id u64, kind u8, name, zone, limits 3 × i64 (−1 = none, then u8 known),
//!                                           lifetime columns, hours 3 × period, days 3 × period, pace, kpi, delay)
//!           | holds u32 × (bid u128, account ids 4 × u64 (0 = none), amount i64, at i64, until i64)
//!           | traffic: see `pace/traffic.rs`
//! pace      paced u8 | log price, share won, share charged, delay of wins, delay of bills: f64 each
//! kpi       has u8, then where it is 1: event u64 | by value u8 | cost, waiting, factor, weighted, events, looked, came, mean delay: f64 each
//!           | not seen yet: count, value, came, delay, cost: i64 each
//! delay     has u8, then where it is 1: event u64 | looked, came, mean: f64 each | not seen yet: came, delay: i64 each
//! columns   spent i64 | late i64 | carried i64 | debt i64
//! period    from i64 | until i64 | limit i64 | carried out i64 | columns
//! ```
//!
//! Version 1 has neither pace nor traffic, version 2 no kpi, version 3 no delay.

use super::account::{Account, AccountKind, Period, Row};
use super::budgets::{ACCOUNTS_PER_BID_MAX, Budgets};
use super::calendar::Span;
use super::delay::{Delays, SavedDelay};
use super::holds::{Hold, NO_ACCOUNT};
use super::kernel::{Column, Saved};
use super::kpi::{Counts, Key, SavedKpi, Sums};
use super::pace::{SavedPace, Shares};
use crate::journal::{BadFields, FieldReader, FieldWriter};
use crate::units::{AccountId, BidId, Limits, Nanos, Timestamp};
use jiff::tz::TimeZone;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const MAGIC: u64 = u64::from_le_bytes(*b"OUTBIDBU");
const VERSION: u32 = 4;
/// id 8 + kind 1 + two empty texts 8 + limits 25 + lifetime 32 + six periods of 64.
const ACCOUNT_BYTES_MIN: usize = 8 + 1 + 8 + 25 + 32 + 6 * 64;
const HOLD_BYTES: usize = 16 + 8 * ACCOUNTS_PER_BID_MAX + 24;

/// What was taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    pub accounts: usize,
    pub holds: usize,
    /// Holds for which the table had no room; their money is free, their notices will be booked late.
    pub holds_dropped: usize,
}

/// The bytes are not a checkpoint of budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the checkpoint of the budgets is unreadable ({0}): use the one before, or start from the journal alone"
)]
pub struct RestoreError(#[from] BadFields);

struct SavedPeriod {
    span: Span,
    limit: i64,
    carried_out: i64,
    columns: Saved,
}

impl Budgets {
    /// The state as bytes. Exact where no settlement runs at the same time; `open_holds` includes the holds.
    pub fn checkpoint(&self, open_holds: bool) -> Vec<u8> {
        let mut out = FieldWriter::default();
        out.u64(MAGIC);
        out.u32(VERSION);
        let accounts = self.all_accounts();
        out.count(accounts.len());
        accounts
            .iter()
            .for_each(|account| write_account(&mut out, account));
        let mut holds = Vec::new();
        if open_holds {
            self.holds.for_each(|bid, hold| holds.push((bid, *hold)));
        }
        // An account opened since then can have no hold that matters: its line is missing, its hold is left out.
        holds.retain(|(_, hold)| {
            hold.accounts
                .iter()
                .all(|&i| i == NO_ACCOUNT || (i as usize) < accounts.len())
        });
        out.count(holds.len());
        for (bid, hold) in &holds {
            write_hold(&mut out, *bid, hold, &accounts);
        }
        self.traffic().checkpoint(&mut out);
        out.finish()
    }

    /// Adds the bookings and holds of a checkpoint to the accounts (which are made where missing). Call it once, before the
    /// first bid. Periods that are over by `now` keep only their debt; limits set by the configuration go before saved ones.
    pub fn restore(&self, bytes: &[u8], now: Timestamp) -> Result<Restored, RestoreError> {
        // Read twice, so that a damaged checkpoint changes nothing.
        Budgets::new(0).read_checkpoint(bytes, now)?;
        Ok(self.read_checkpoint(bytes, now)?)
    }

    fn read_checkpoint(&self, bytes: &[u8], now: Timestamp) -> Result<Restored, BadFields> {
        let mut fields = FieldReader::new(bytes);
        if fields.u64()? != MAGIC {
            return Err(fields.bad("is not a checkpoint of budgets"));
        }
        let version = fields.u32()?;
        if !(1..=VERSION).contains(&version) {
            return Err(fields.bad("has a version that is not known to this program"));
        }
        let mut restored = Restored {
            accounts: fields.count(ACCOUNT_BYTES_MIN)?,
            ..Restored::default()
        };
        for _ in 0..restored.accounts {
            self.read_account(&mut fields, version, now)?;
        }
        for _ in 0..fields.count(HOLD_BYTES)? {
            match self.read_hold(&mut fields)? {
                true => restored.holds += 1,
                false => restored.holds_dropped += 1,
            }
        }
        if version > 1 {
            self.traffic().restore(&mut fields)?;
        }
        fields.finish()?;
        Ok(restored)
    }

    fn read_account(
        &self,
        fields: &mut FieldReader<'_>,
        version: u32,
        now: Timestamp,
    ) -> Result<(), BadFields> {
        let id = AccountId(fields.u64()?);
        let kind = match fields.u8()? {
            0 => AccountKind::Campaign,
            1 => AccountKind::LineItem,
            _ => return Err(fields.bad("is not a kind of account")),
        };
        let name = fields.text()?;
        let zone = TimeZone::get(fields.text()?).unwrap_or(TimeZone::UTC);
        let limits = read_limits(fields)?;
        let account = self.open_account(id, name, kind, &zone, now);
        let unlimited = account.control().limits.is_none();
        if let Some(limits) = limits.filter(|_| unlimited) {
            account.set_limits(limits, now);
        }
        account.lifetime.counter.restore(&read_columns(fields)?);
        let frame = account.frame();
        for row in [&frame.hours, &frame.days] {
            for _ in 0..row.len() {
                restore_period(row, &read_period(fields)?, now);
            }
        }
        if version > 1 {
            account.pace.restore(&read_pace(fields)?);
        }
        let saved = if version > 2 { read_kpi(fields)? } else { None };
        account.kpi.restore(saved, account.billed());
        if version > 3 {
            account.delay.restore(read_delay(fields)?);
        }
        Ok(())
    }

    /// True where the hold was taken in.
    fn read_hold(&self, fields: &mut FieldReader<'_>) -> Result<bool, BadFields> {
        let bid = BidId(fields.u128()?);
        let mut accounts = [NO_ACCOUNT; ACCOUNTS_PER_BID_MAX];
        for place in &mut accounts {
            *place = match fields.u64()? {
                0 => NO_ACCOUNT,
                id => self
                    .find(AccountId(id))
                    .map(|account| account.index)
                    .ok_or(fields.bad("names an account that is not there"))?,
            };
        }
        let amount = Nanos(fields.i64()?);
        let (at, until) = (Timestamp(fields.i64()?), Timestamp(fields.i64()?));
        let hold = Hold::new(accounts, amount, at, until);
        let taken = self.holds.insert(bid, hold).is_ok();
        if taken {
            self.each_of(&accounts, |account| {
                account.at(hold.at, |counter| counter.take_again(amount.0))
            });
        }
        Ok(taken)
    }
}

fn write_account(out: &mut FieldWriter, account: &Account) {
    let control = account.control();
    let frame = account.frame();
    out.u64(account.id().0);
    out.u8(match control.kind {
        AccountKind::Campaign => 0,
        AccountKind::LineItem => 1,
    });
    out.text(&control.name);
    out.text(control.zone.iana_name().unwrap_or("UTC"));
    write_limits(out, control.limits);
    write_columns(out, &account.lifetime.counter.save());
    for period in frame.hours.iter().chain(&frame.days) {
        write_period(out, period);
    }
    write_pace(out, &account.pace.save());
    write_kpi(out, account.kpi.save(account.billed()));
    write_delay(out, account.delay.save());
}

fn write_kpi(out: &mut FieldWriter, saved: Option<SavedKpi>) {
    out.u8(saved.is_some().into());
    let Some(SavedKpi {
        key,
        sums,
        unseen,
        unseen_cost,
    }) = saved
    else {
        return;
    };
    out.u64(key.event);
    out.u8(key.by_value.into());
    for number in [sums.cost, sums.waiting, sums.factor, sums.weighted, sums.events] {
        out.f64(number);
    }
    write_delays(out, &sums.delays);
    for number in [
        unseen.count,
        unseen.value,
        unseen.came,
        unseen.delay_ms,
        unseen_cost,
    ] {
        out.i64(number);
    }
}

fn read_kpi(fields: &mut FieldReader<'_>) -> Result<Option<SavedKpi>, BadFields> {
    if fields.u8()? == 0 {
        return Ok(None);
    }
    let key = Key {
        event: fields.u64()?,
        by_value: fields.u8()? != 0,
    };
    let mut number = || read_sum(fields, "is no sum of costs or events");
    let sums = Sums {
        cost: number()?,
        waiting: number()?,
        factor: number()?,
        weighted: number()?,
        events: number()?,
        delays: read_delays(fields)?,
    };
    Ok(Some(SavedKpi {
        key,
        sums,
        unseen: Counts {
            count: fields.i64()?,
            value: fields.i64()?,
            came: fields.i64()?,
            delay_ms: fields.i64()?,
        },
        unseen_cost: fields.i64()?,
    }))
}

fn write_delay(out: &mut FieldWriter, saved: Option<SavedDelay>) {
    out.u8(saved.is_some().into());
    let Some(saved) = saved else { return };
    out.u64(saved.event);
    write_delays(out, &saved.delays);
    out.i64(saved.came);
    out.i64(saved.delay_ms);
}

fn read_delay(fields: &mut FieldReader<'_>) -> Result<Option<SavedDelay>, BadFields> {
    if fields.u8()? == 0 {
        return Ok(None);
    }
    Ok(Some(SavedDelay {
        event: fields.u64()?,
        delays: read_delays(fields)?,
        came: fields.i64()?,
        delay_ms: fields.i64()?,
    }))
}

fn write_delays(out: &mut FieldWriter, delays: &Delays) {
    for number in [delays.looked_s, delays.came, delays.mean_s] {
        out.f64(number);
    }
}

fn read_delays(fields: &mut FieldReader<'_>) -> Result<Delays, BadFields> {
    let mut number = || read_sum(fields, "is no sum of delays");
    Ok(Delays {
        looked_s: number()?,
        came: number()?,
        mean_s: number()?,
    })
}

fn read_sum(fields: &mut FieldReader<'_>, otherwise: &'static str) -> Result<f64, BadFields> {
    match fields.f64()? {
        number if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err(fields.bad(otherwise)),
    }
}

fn write_pace(out: &mut FieldWriter, saved: &SavedPace) {
    let Shares {
        won,
        charged,
        win_delay_s,
        bill_delay_s,
    } = saved.shares;
    out.u8(saved.log_price.is_some().into());
    for number in [
        saved.log_price.unwrap_or(0.0),
        won,
        charged,
        win_delay_s,
        bill_delay_s,
    ] {
        out.f64(number);
    }
}

fn read_pace(fields: &mut FieldReader<'_>) -> Result<SavedPace, BadFields> {
    let is_paced = fields.u8()? != 0;
    let mut number = || read_sum(fields, "is not a pace");
    let log_price = number()?;
    Ok(SavedPace {
        log_price: is_paced.then_some(log_price),
        shares: Shares {
            won: number()?,
            charged: number()?,
            win_delay_s: number()?,
            bill_delay_s: number()?,
        },
    })
}

fn write_limits(out: &mut FieldWriter, limits: Option<Limits>) {
    let all = limits.unwrap_or_default();
    for limit in [all.hourly, all.daily, all.lifetime] {
        out.i64(limit.map_or(-1, |nanos| nanos.0));
    }
    out.u8(limits.is_some().into());
}

fn read_limits(fields: &mut FieldReader<'_>) -> Result<Option<Limits>, BadFields> {
    let mut limit = || fields.i64().map(|nanos| (nanos >= 0).then_some(Nanos(nanos)));
    let limits = Limits {
        hourly: limit()?,
        daily: limit()?,
        lifetime: limit()?,
    };
    Ok((fields.u8()? != 0).then_some(limits))
}

fn write_columns(out: &mut FieldWriter, saved: &Saved) {
    for amount in [saved.spent, saved.late, saved.carried, saved.debt] {
        out.i64(amount);
    }
}

fn read_columns(fields: &mut FieldReader<'_>) -> Result<Saved, BadFields> {
    let mut amount = || match fields.i64()? {
        amount @ 0.. => Ok(amount),
        _ => Err(fields.bad("is an amount below zero")),
    };
    Ok(Saved {
        spent: amount()?,
        late: amount()?,
        carried: amount()?,
        debt: amount()?,
    })
}

fn write_period(out: &mut FieldWriter, period: &Period) {
    out.i64(period.span.from.0);
    out.i64(period.span.until.0);
    out.i64(period.counter.read().limit);
    out.i64(period.carried_out.load(Ordering::Relaxed));
    write_columns(out, &period.counter.save());
}

fn read_period(fields: &mut FieldReader<'_>) -> Result<SavedPeriod, BadFields> {
    let span = Span {
        from: Timestamp(fields.i64()?),
        until: Timestamp(fields.i64()?),
    };
    Ok(SavedPeriod {
        span,
        limit: fields.i64()?,
        carried_out: fields.i64()?,
        columns: read_columns(fields)?,
    })
}

/// Counts a saved period on the one that it is; where the zone has changed meanwhile, on the one around `now`.
fn restore_period(row: &Row, saved: &SavedPeriod, now: Timestamp) {
    let [previous, current, _] = row;
    let same = row.iter().find(|period| period.span == saved.span);
    if previous.span == saved.span {
        previous.counter.set_limit(saved.limit);
    }
    match same.or(saved.span.contains(now).then_some(current)) {
        Some(period) => {
            period.counter.restore(&saved.columns);
            period.carried_out.fetch_add(saved.carried_out, Ordering::Relaxed);
        }
        None => {
            let due = saved.debt() - saved.carried_out;
            if saved.span.until <= now && due > 0 {
                current.counter.charge(due, Column::Carried);
            }
        }
    }
}

impl SavedPeriod {
    /// What was left uncovered when the period had no reservations any more.
    fn debt(&self) -> i64 {
        let committed = self.columns.spent + self.columns.late + self.columns.carried;
        self.columns.debt.min(committed.saturating_sub(self.limit)).max(0)
    }
}

fn write_hold(out: &mut FieldWriter, bid: BidId, hold: &Hold, accounts: &[Arc<Account>]) {
    out.u128(bid.0);
    for index in hold.accounts {
        out.u64(accounts.get(index as usize).map_or(0, |account| account.id().0));
    }
    for number in [hold.amount.0, hold.at.0, hold.until().0] {
        out.i64(number);
    }
}
