//! The node's side of leases: tops them up, gives them back, begins and ends them. One thread owns it.

use super::super::account::{Account, Control, Period, Scope};
use super::super::budgets::Budgets;
use super::super::kernel::UNLIMITED;
use super::demand::{Look, Wish};
use super::{Authority, Claim, Grant, Key, Kind, LeaseError};
use crate::units::Timestamp;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

/// Also a node that wants nothing asks this often what others want.
const CLAIM_EVERY_MS: i64 = 1_000;
/// What is used of a paced limit is told this often where it changes: short against the two minutes in which a pace follows.
const TELL_USED_EVERY_MS: i64 = 5_000;
/// What is spent without a limit is put on record this often: what may be missing of it, should the node be declared dead.
const TELL_OPEN_EVERY_MS: i64 = 60_000;
/// A limit that waits so long for another node is told of: a reload reaches all nodes within seconds.
const WAITS_MS: i64 = 10_000;

/// See the [module](super).
pub struct Leases {
    authority: Box<dyn Authority>,
    budgets: Arc<Budgets>,
    last_tick: Option<Timestamp>,
    last_claim: Option<Timestamp>,
    counts: LeaseCounts,
    claims: Vec<Claimed>,
    /// What this node spends on without a limit, as others know; empty where there are none.
    open: HashSet<Kind>,
    /// What waits until another node knows of its limit: since when, and whether that was told.
    waits: HashMap<Kind, (Timestamp, bool)>,
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseCounts {
    /// Limits whose lease was made larger or smaller.
    pub changed: u64,
    /// Looks that the authority did not answer.
    pub failed: u64,
    /// The last look was answered.
    pub answering: bool,
    /// Limits on which money was set aside at the start.
    pub quarantined: u64,
}

/// A claim, and what it is for.
struct Claimed {
    account: Arc<Account>,
    period: Arc<Period>,
    claim: Claim,
}

impl Leases {
    /// Begins a lease of `node` on `budgets`, whose accounts are those of the configuration and whose bookings and holds are
    /// restored; sets aside what an earlier process may have bid; grants for the first two seconds.
    pub fn begin(
        mut authority: Box<dyn Authority>,
        budgets: Arc<Budgets>,
        node: u16,
        now: Timestamp,
    ) -> Result<Leases, LeaseError> {
        let begun = authority.begin(now)?;
        let until = now + Duration::from_secs(begun.hold_max_s.into());
        // Restored, and over: what they held may have been bid again by the last process, and is to be set aside.
        budgets.free_ended(now);
        let limits = budgets.set_aside(node, begun.lease, &begun.bounds, until, now);
        for (key, bound) in &begun.bounds {
            let account = budgets.find(key.account);
            if let Some(period) = account.and_then(|account| account.period_of(key.scope, key.span, now)) {
                // All of it is spent, held or set aside by now: nothing is free before the first claim.
                let columns = period.counter.save();
                period.counter.raise(*bound + columns.late + columns.carried);
                demand(&period).bound = *bound;
            }
        }
        if limits > 0 {
            tracing::warn!(
                limits,
                seconds = begun.hold_max_s,
                "the last process ended without giving its leases back: money is set aside for bids that may still be billed"
            );
        }
        let mut leases = Leases {
            authority,
            budgets,
            last_tick: None,
            last_claim: None,
            counts: LeaseCounts {
                quarantined: limits as u64,
                ..LeaseCounts::default()
            },
            claims: Vec::new(),
            open: begun.open.into_iter().collect(),
            waits: HashMap::new(),
        };
        leases.budgets.want_hold(begun.hold_max_s);
        leases.tick(now)?;
        leases.close_what_is_gone(now)?;
        Ok(leases)
    }

    /// What the last process spent on without a limit and the configuration does not name any more.
    fn close_what_is_gone(&mut self, now: Timestamp) -> Result<(), LeaseError> {
        let budgets = &self.budgets;
        let is_gone = |kind: &Kind| {
            let account = budgets.find(kind.0);
            account.is_none_or(|account| account.control().limits.is_none())
        };
        let gone: Vec<_> = self.open.extract_if(is_gone).collect();
        match gone.is_empty() {
            true => Ok(()),
            false => self.authority.close(&gone, now),
        }
    }

    /// Looks at every limit, and makes leases larger or smaller. About ten times a second.
    ///
    /// # Errors
    /// Leases stay as they are; the next look tries again.
    pub fn tick(&mut self, now: Timestamp) -> Result<(), LeaseError> {
        self.budgets.end_quarantine(now);
        let result = self.keep_hold_max(now).and_then(|()| self.adjust(now));
        self.last_tick = Some(now);
        self.counts.answering = result.is_ok();
        self.counts.failed += u64::from(result.is_err());
        result
    }

    /// Gives back all that is not spent or held. Nothing can be taken afterwards.
    pub fn end(mut self, now: Timestamp) -> Result<(), LeaseError> {
        for account in self.budgets.all_accounts() {
            for (scope, period) in account.leased_periods() {
                let limit = account.control().limit(scope);
                if limit != UNLIMITED || self.open.contains(&(account.id(), scope)) {
                    self.lower(&account, scope, period, limit, 0);
                }
            }
        }
        let claims: Vec<_> = self.claims.iter().map(|claimed| claimed.claim).collect();
        self.authority.claim(&claims, now)?;
        let open: Vec<_> = self.open.drain().collect();
        self.authority.close(&open, now)?;
        self.authority.end(now)
    }

    pub fn counts(&self) -> LeaseCounts {
        self.counts
    }

    /// Holds may be longer only when that is on record: a quarantine lasts as long.
    fn keep_hold_max(&mut self, now: Timestamp) -> Result<(), LeaseError> {
        let leasing = &self.budgets.leasing;
        let wanted = leasing.hold_wanted_s.load(Ordering::Relaxed);
        if wanted > leasing.hold_max_s.load(Ordering::Relaxed) {
            self.authority.keep_hold_max(wanted, now)?;
            leasing.hold_max_s.store(wanted, Ordering::Relaxed);
        }
        Ok(())
    }

    fn adjust(&mut self, now: Timestamp) -> Result<(), LeaseError> {
        let passed_ms = self.last_tick.map_or(0, |last| now.since(last));
        for account in self.budgets.all_accounts() {
            for (scope, period) in account.leased_periods() {
                self.look(&account, scope, period, passed_ms, now);
            }
        }
        self.claim(now)
    }

    fn look(
        &mut self,
        account: &Arc<Account>,
        scope: Scope,
        period: Arc<Period>,
        passed_ms: i64,
        now: Timestamp,
    ) {
        let limit = account.control().limit(scope);
        if limit == UNLIMITED {
            return self.look_at_open(account, scope, period, now);
        }
        // Until the others know what was committed without the limit, nothing may be taken of it.
        if self.open.contains(&(account.id(), scope)) {
            return self.lower(account, scope, period, limit, 0);
        }
        // Read before `committed`, so that it is not larger than what stands in there.
        let columns = period.counter.save();
        let beside = columns.late + columns.carried;
        let mut demand = demand(&period);
        let look = Look {
            limit,
            granted: period.counter.read().granted,
            committed: period.counter.committed(),
            asked: period.take_asked(),
            passed_ms,
            is_ahead: now < period.span.from,
        };
        let wish = demand.wish(&look);
        let (bound, known_beside) = (demand.bound, demand.beside);
        let is_fresh = |told| now.since(told) < TELL_USED_EVERY_MS;
        let is_told = !self.authority.is_shared()
            || demand.used_told_at.is_some_and(is_fresh)
            || demand.used == used(account, &period);
        drop(demand);
        // What the authority has on record is never raised from a lease that was made smaller meanwhile: it hears of that first,
        // and no more is taken until it has.
        let unheard = bound + known_beside > look.granted;
        match wish {
            Wish::Raise(_) | Wish::Keep if unheard => self.lower(account, scope, period, limit, look.granted),
            Wish::Raise(granted) => self.push(account, scope, period, limit, granted - beside, beside),
            Wish::Lower(granted) => self.lower(account, scope, period, limit, granted),
            // Others must know of it, as it leaves them less.
            Wish::Keep if known_beside != beside => self.push(account, scope, period, limit, bound, beside),
            // Their pace goes by it.
            Wish::Keep if !is_told && period.span.contains(now) && account.pace.is_on() => {
                self.push(account, scope, period, limit, bound, beside)
            }
            Wish::Keep => {}
        }
    }

    /// Without a limit anything may be taken, once other nodes know.
    fn look_at_open(&mut self, account: &Arc<Account>, scope: Scope, period: Arc<Period>, now: Timestamp) {
        if !self.authority.is_shared() {
            return open_up(&account.control(), scope, &period);
        }
        let is_open = self.open.contains(&(account.id(), scope));
        if is_open {
            open_up(&account.control(), scope, &period);
        } else if !period.span.contains(now) || account.control().limits.is_none() {
            // Once is enough; and on what the configuration does not name nothing is spent.
            return;
        }
        let columns = period.counter.save();
        let beside = columns.late + columns.carried;
        let committed = period.counter.committed() - beside;
        let (told, told_at) = {
            let demand = demand(&period);
            (demand.bound, demand.used_told_at)
        };
        let is_due = told_at.is_none_or(|at| now.since(at) >= TELL_OPEN_EVERY_MS);
        if !is_open || (is_due && told != committed) {
            self.push(account, scope, period, UNLIMITED, committed, beside);
        }
    }

    /// In the counter first, and on record with the next claim.
    fn lower(&mut self, account: &Arc<Account>, scope: Scope, period: Arc<Period>, limit: i64, granted: i64) {
        let columns = period.counter.save();
        let beside = columns.late + columns.carried;
        let left = period.counter.lower(granted);
        self.push(account, scope, period, limit, left - beside, beside);
    }

    fn push(
        &mut self,
        account: &Arc<Account>,
        scope: Scope,
        period: Arc<Period>,
        limit: i64,
        bound: i64,
        beside: i64,
    ) {
        let key = Key {
            account: account.id(),
            scope,
            span: period.span,
        };
        let claim = Claim {
            key,
            bound,
            committed: period.counter.committed() - beside,
            beside,
            used: used(account, &period),
            limit: (limit != UNLIMITED).then_some(limit),
        };
        let account = account.clone();
        self.claims.push(Claimed {
            account,
            period,
            claim,
        });
    }

    /// Puts on record what was pushed, then raises the counters.
    fn claim(&mut self, now: Timestamp) -> Result<(), LeaseError> {
        let claimed = std::mem::take(&mut self.claims);
        let is_due = self
            .last_claim
            .is_none_or(|last| now.since(last) >= CLAIM_EVERY_MS);
        if claimed.is_empty() && !is_due {
            return Ok(());
        }
        let claims: Vec<_> = claimed.iter().map(|claimed| claimed.claim).collect();
        let grants = self.authority.claim(&claims, now)?;
        for (
            Claimed {
                account,
                period,
                claim,
            },
            grant,
        ) in claimed.iter().zip(&grants)
        {
            let kind = (claim.key.account, claim.key.scope);
            match claim.limit {
                Some(_) => self.open.remove(&kind),
                None => self.open.insert(kind),
            };
            note_wait(&mut self.waits, account, claim, grant, now);
            let is_changed = apply(account, period, claim, grant, now);
            self.counts.changed += u64::from(is_changed);
        }
        for key in self.authority.wanted() {
            let account = self.budgets.find(key.account);
            if let Some(period) = account.and_then(|account| account.period_of(key.scope, key.span, now)) {
                demand(&period).others_want = true;
            }
        }
        self.last_claim = Some(now);
        Ok(())
    }
}

/// Tells of a limit that waits longer for another node than a reload takes.
fn note_wait(
    waits: &mut HashMap<Kind, (Timestamp, bool)>,
    account: &Account,
    claim: &Claim,
    grant: &Grant,
    now: Timestamp,
) {
    let kind = (claim.key.account, claim.key.scope);
    let Some(node) = grant.waits_for else {
        waits.remove(&kind);
        return;
    };
    let (since, is_told) = waits.entry(kind).or_insert((now, false));
    if !*is_told && now.since(*since) >= WAITS_MS {
        *is_told = true;
        tracing::warn!(
            account = account.control().name,
            scope = ?claim.key.scope,
            node,
            "a limit waits for a node that still spends without it: give that node the same configuration, or, if it is gone \
             for good, declare it dead"
        );
    }
}

/// Whether the lease is another one now.
fn apply(account: &Account, period: &Period, claim: &Claim, grant: &Grant, now: Timestamp) -> bool {
    let mut demand = demand(period);
    let before = std::mem::replace(&mut demand.bound, grant.bound);
    demand.beside = claim.beside;
    (demand.used, demand.used_told_at) = (claim.used, Some(now));
    // Relaxed: a number on its own.
    period
        .used_by_others
        .store(grant.used_by_others, Ordering::Relaxed);
    // The lock keeps the limit as it is; one that has changed since the claim has its share with the next one.
    let control = account.control();
    match claim.limit {
        None => open_up(&control, claim.key.scope, period),
        Some(limit) => {
            if control.limit(claim.key.scope) == limit && period.counter.read().limit != grant.share {
                period.counter.set_limit(grant.share);
            }
            period.counter.raise(grant.bound + claim.beside);
        }
    }
    before != grant.bound
}

/// Everything may be taken where there is no limit. The lock on `control` keeps it so: a limit that comes afterwards finds the
/// lease open, and closes it.
fn open_up(control: &Control, scope: Scope, period: &Period) {
    let is_open = control.limits.is_some() && control.limit(scope) == UNLIMITED;
    if is_open && period.counter.read().granted != UNLIMITED {
        period.counter.raise(UNLIMITED);
    }
}

/// What the other nodes' pace should count as gone.
fn used(account: &Account, period: &Period) -> i64 {
    let reading = period.counter.read();
    reading.spent + reading.late + reading.carried + reading.quarantined + account.pace.in_flight()
}

/// A panic while the lock was held cannot leave plain numbers half changed.
fn demand(period: &Period) -> MutexGuard<'_, super::Demand> {
    period.demand.lock().unwrap_or_else(PoisonError::into_inner)
}
