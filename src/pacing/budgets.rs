//! All accounts and all holds: what the bid path, the bookkeeper and the control thread ask of money.
//! `reserve` takes no lock and allocates nothing; `commit` locks one of 256 shards of the hold table for one insertion.

use super::account::{Account, AccountKind, AccountView, Control, Period, Scope};
use super::hold_times::HoldTimes;
use super::holds::{AccountIndexes, Hold, Holds, NO_ACCOUNT, NotTaken, SWEPT_MAX};
use super::kpi::Happened;
use super::lease::Leasing;
use super::pace::{STEP_MS, Traffic};
use crate::units::{AccountId, BidId, Nanos, Timestamp};
use jiff::tz::TimeZone;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// A line item and its campaign, and room for two budgets that several campaigns share.
pub const ACCOUNTS_PER_BID_MAX: usize = 4;

/// See the [module](super). One per process, outside every snapshot: a reload can never refill it.
pub struct Budgets {
    accounts: RwLock<Accounts>,
    pub(super) holds: Holds,
    pub(super) leasing: Leasing,
    hold_times: HoldTimes,
    traffic: Traffic,
    /// Of the last tick, milliseconds since 1970; 0 = none yet.
    now: AtomicI64,
    steered_at: AtomicI64,
}

#[derive(Default)]
struct Accounts {
    by_id: HashMap<AccountId, u32>,
    all: Vec<Arc<Account>>,
}

/// Which limit refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Index into the accounts asked.
    pub account: usize,
    pub scope: Scope,
}

/// Why a reservation did not become a hold. Its money is free again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotHeld {
    /// The hold table is at its bound.
    Full,
    /// There is a hold of this bid id already: bid ids are used once.
    Known,
}

/// Money taken for a bid that is about to be made. Dropped without [`commit`](Reservation::commit) it gives itself back.
#[must_use = "dropping a reservation gives its money back"]
pub struct Reservation<'a> {
    budgets: &'a Budgets,
    accounts: [Option<&'a Account>; ACCOUNTS_PER_BID_MAX],
    amount: Nanos,
    at: Timestamp,
}

/// A bid whose hold ended before anybody asked for its ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecided {
    pub ticket: u64,
    pub bid_at: Timestamp,
}

/// What [`Budgets::tick`] freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    pub count: usize,
    pub amount: Nanos,
}

impl Budgets {
    /// With room for `holds_max` holds: bids a second × bid share × seconds until a win is known, and then some.
    /// Room is taken as they come: up to 430 bytes a hold.
    pub fn new(holds_max: usize) -> Budgets {
        Budgets::opened(holds_max, Leasing::none())
    }

    /// [`new`](Budgets::new) where limited money can be taken only as far as leases grant it; until
    /// [`Leases`](super::Leases) hold some, nothing.
    pub fn leased(holds_max: usize) -> Budgets {
        Budgets::opened(holds_max, Leasing::demanded())
    }

    fn opened(holds_max: usize, leasing: Leasing) -> Budgets {
        Budgets {
            accounts: RwLock::default(),
            holds: Holds::new(holds_max),
            leasing,
            hold_times: HoldTimes::default(),
            traffic: Traffic::default(),
            now: AtomicI64::new(0),
            steered_at: AtomicI64::new(0),
        }
    }

    /// How long wins take to become known.
    pub fn hold_times(&self) -> &HoldTimes {
        &self.hold_times
    }

    /// How many requests come when.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// The account `id`, made on first sight without limits (see [`Account::set_limits`]). Of one that exists only the name,
    /// the kind and the zone (from the next period not yet prepared) are changed: nothing is refilled.
    pub fn account(
        &self,
        id: AccountId,
        name: &str,
        kind: AccountKind,
        zone: &TimeZone,
        now: Timestamp,
    ) -> Arc<Account> {
        let account = self.open_account(id, name, kind, zone, now);
        let mut control = account.control();
        if control.name != name || control.kind != kind || control.zone != *zone {
            (control.name, control.kind, control.zone) = (name.to_owned(), kind, zone.clone());
        }
        drop(control);
        account
    }

    /// Takes `amount` on every limit of every account, or nothing. At most [`ACCOUNTS_PER_BID_MAX`] accounts; `amount` ≥ 0.
    pub fn reserve<'a>(
        &'a self,
        accounts: &[&'a Account],
        amount: Nanos,
        now: Timestamp,
    ) -> Result<Reservation<'a>, Refused> {
        assert!(
            accounts.len() <= ACCOUNTS_PER_BID_MAX,
            "a bid has a line item, a campaign and few shared budgets"
        );
        debug_assert!(amount >= Nanos::ZERO);
        let mut frames = [const { None }; ACCOUNTS_PER_BID_MAX];
        for (frame, account) in frames.iter_mut().zip(accounts) {
            *frame = Some(account.look());
        }
        let mut periods: [Option<&Period>; 3 * ACCOUNTS_PER_BID_MAX] = [None; 3 * ACCOUNTS_PER_BID_MAX];
        for (index, (account, frame)) in accounts.iter().zip(frames.iter().flatten()).enumerate() {
            let found = account.periods(frame, now).map_err(|scope| Refused {
                account: index,
                scope,
            })?;
            periods[3 * index..][..3].copy_from_slice(&found.map(Some));
        }
        let refused = |place: usize| Refused {
            account: place / 3,
            scope: Scope::ALL[place % 3],
        };
        // No look at all of them first: the line of a counter that another core has written moves here once, not twice. What is
        // used up was seen by `has_free` before there was a bid.
        for (place, period) in periods.iter().flatten().enumerate() {
            if !period.try_take(amount.0) {
                periods[..place]
                    .iter()
                    .flatten()
                    .for_each(|taken| taken.counter.give_back(amount.0));
                return Err(refused(place));
            }
        }
        let mut taken = [None; ACCOUNTS_PER_BID_MAX];
        taken[..accounts.len()]
            .iter_mut()
            .zip(accounts)
            .for_each(|(place, &account)| *place = Some(account));
        Ok(Reservation {
            budgets: self,
            accounts: taken,
            amount,
            at: now,
        })
    }

    /// A win is known: the hold now ends at `until`. False where there is no hold (any more).
    pub fn win(&self, bid: BidId, until: Timestamp) -> bool {
        let first = self.holds.win(bid, until);
        if let Some(hold) = first.filter(|hold| !hold.won) {
            self.count_win(&hold);
        }
        first.is_some()
    }

    /// Tells the pace of a first event of a win.
    pub(super) fn count_win(&self, hold: &Hold) {
        if let Some(delay_ms) = self.since(hold.at) {
            self.each_of(&hold.accounts, |account| {
                account.pace.totals.won(hold.amount.0, delay_ms)
            });
        }
    }

    /// A click or a conversion of a bid of the line item `account`, `delay_ms` after the bid, that is booked for the first time.
    pub fn happened(&self, account: AccountId, what: Happened, delay_ms: i64) {
        if let Some(account) = self.find(account) {
            account.kpi.happened(what, delay_ms);
            if let Happened::Conversion { event, .. } = what {
                account.delay.converted(event, delay_ms);
            }
        }
    }

    /// Milliseconds from `at` to the last tick; `None` before the first one.
    pub(super) fn since(&self, at: Timestamp) -> Option<i64> {
        // Relaxed: a number on its own.
        let now = self.now.load(Ordering::Relaxed);
        (now > 0).then(|| (now - at.0).max(0))
    }

    /// A loss is known: the held amount is free again. `None` where there is no hold (any more).
    pub fn release(&self, bid: BidId) -> Option<Nanos> {
        let hold = self.holds.remove(bid)?;
        self.give_back(&hold);
        Some(hold.amount)
    }

    /// The note that was left with a bid's hold, to whoever asks first: so each bid is learnt from once, whatever is told of it
    /// and however often. `None` where there is none (any more), as for holds of an earlier process.
    pub fn take_ticket(&self, bid: BidId) -> Option<u64> {
        Some(self.holds.take_ticket(bid)).filter(|ticket| *ticket != 0)
    }

    /// True while money is held for this bid.
    pub fn is_held(&self, bid: BidId) -> bool {
        self.holds.contains(bid)
    }

    pub fn holds_open(&self) -> usize {
        self.holds.open()
    }

    /// Rolls hours and days, carries debt over, and frees holds that ended at or before `now` (a bounded number: of N holds
    /// all within N / 65,536 + 1 calls). For one control thread, about ten times a second.
    /// About once a second it steers the pace of every account, too.
    pub fn tick(&self, now: Timestamp) -> Expired {
        self.tick_noting(now, |_| {})
    }

    /// [`tick`](Budgets::tick) that also says which bids ended undecided. `undecided` keeps one of 256 shards locked while it runs.
    pub fn tick_noting(&self, now: Timestamp, mut undecided: impl FnMut(Undecided)) -> Expired {
        self.now.store(now.0, Ordering::Relaxed);
        let accounts = self.all_accounts();
        for account in &accounts {
            account.tick(now);
        }
        self.steer(&accounts, now);
        let mut expired = Expired::default();
        self.holds.sweep(now, |_, hold| {
            self.give_back(&hold);
            expired.count += 1;
            expired.amount += hold.amount;
            if hold.ticket != 0 {
                undecided(Undecided {
                    ticket: hold.ticket,
                    bid_at: hold.at,
                });
            }
        });
        expired
    }

    /// Frees all holds that ended at or before `now`, however many there are.
    pub(super) fn free_ended(&self, now: Timestamp) {
        for _ in 0..=self.holds.open() / SWEPT_MAX {
            self.holds.sweep(now, |_, hold| self.give_back(&hold));
        }
    }

    fn steer(&self, accounts: &[Arc<Account>], now: Timestamp) {
        let passed = now.0 - self.steered_at.load(Ordering::Relaxed);
        if (0..STEP_MS).contains(&passed) {
            return;
        }
        self.steered_at.store(now.0, Ordering::Relaxed);
        self.traffic.tick(now);
        for account in accounts {
            account.steer(&self.traffic, now);
        }
    }

    /// All accounts in the order of their making, with the hour and day around `now`.
    pub fn views(&self, now: Timestamp) -> Vec<AccountView> {
        self.all_accounts()
            .iter()
            .map(|account| account.view(now))
            .collect()
    }

    pub(super) fn open_account(
        &self,
        id: AccountId,
        name: &str,
        kind: AccountKind,
        zone: &TimeZone,
        now: Timestamp,
    ) -> Arc<Account> {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(&index) = accounts.by_id.get(&id) {
            return accounts.all[index as usize].clone();
        }
        let index = u32::try_from(accounts.all.len()).expect("fewer accounts than 2^32");
        let control = Control {
            name: name.to_owned(),
            kind,
            zone: zone.clone(),
            limits: None,
            first_grant: self.leasing.first_grant,
        };
        let account = Arc::new(Account::new(id, index, control, now));
        accounts.by_id.insert(id, index);
        accounts.all.push(account.clone());
        account
    }

    pub(super) fn all_accounts(&self) -> Vec<Arc<Account>> {
        self.accounts
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .all
            .clone()
    }

    pub(super) fn find(&self, id: AccountId) -> Option<Arc<Account>> {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        let index = accounts.by_id.get(&id)?;
        Some(accounts.all[*index as usize].clone())
    }

    /// Accounts by index, for as long as `act` runs.
    pub(super) fn each_of(&self, indexes: &AccountIndexes, mut act: impl FnMut(&Account)) {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        for &index in indexes.iter().filter(|&&index| index != NO_ACCOUNT) {
            act(&accounts.all[index as usize]);
        }
    }

    pub(super) fn give_back(&self, hold: &Hold) {
        self.each_of(&hold.accounts, |account| {
            account.at(hold.at, |counter| counter.give_back(hold.amount.0));
        });
    }
}

impl Reservation<'_> {
    /// The bid is made: the money is held for it until `until`, unless a notice comes first.
    pub fn commit(self, bid: BidId, until: Timestamp) -> Result<(), NotHeld> {
        self.commit_noting(bid, until, 0)
    }

    /// [`commit`](Reservation::commit) with a note for [`Budgets::take_ticket`], which a bid has that was shaded; 0 = none.
    pub fn commit_noting(mut self, bid: BidId, until: Timestamp, ticket: u64) -> Result<(), NotHeld> {
        let accounts = self
            .accounts
            .map(|account| account.map_or(NO_ACCOUNT, |account| account.index));
        let mut hold = Hold::new(accounts, self.amount, self.at, until);
        hold.ticket = ticket;
        match self.budgets.holds.insert(bid, hold) {
            Ok(()) => {
                // Where a target lets no value be stretched, a plan that is behind has nothing to stretch.
                let can_stretch = |account: &&Account| account.kpi.stretch_most() > 1.0;
                let stretches = ticket != 0 && self.accounts.iter().flatten().all(can_stretch);
                for account in self.accounts.iter().flatten() {
                    account.pace.totals.bid(self.amount.0);
                    if stretches {
                        account.pace.totals.bid_shaded();
                    }
                }
                // The hold owns the money now.
                self.accounts = [None; ACCOUNTS_PER_BID_MAX];
                Ok(())
            }
            Err(NotTaken::Full) => Err(NotHeld::Full),
            Err(NotTaken::Known) => Err(NotHeld::Known),
        }
    }

    pub fn amount(&self) -> Nanos {
        self.amount
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        for account in self.accounts.iter().flatten() {
            account.at(self.at, |counter| counter.give_back(self.amount.0));
        }
    }
}
