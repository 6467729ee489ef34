//! The counter behind one limit: all money committed against it in one atomic word.
//! `try_take` never lifts `committed` above the limit, nor above what a lease grants; whatever is taken is later given
//! back, settled or still reserved.
//!
//! Amounts are nanos as plain integers, so that this file compiles by itself under loom (`loom/` in the root).
//!
//! Orderings. Each decision is made on one word by compare-and-swap, and the total modification order of a single
//! word needs no more than `Relaxed`. Columns that explain `committed` (`spent`, `late`, `carried`, `quarantined`) are raised
//! with `Release` after it and read with `Acquire` before it, so that a reader never sees a booking whose money is not yet in
//! `committed`. A ceiling is lowered by one thread: it stores the ceiling, then writes `committed` unchanged (`lower`). A take
//! that comes later in the order of that word reads what `lower` wrote, so it sees the lower ceiling when it looks again; a
//! take that came before is in the sum that `lower` returns. So no take is above the ceiling and unknown to the lowering thread.

use super::atomic::{AtomicI64, Ordering};
use std::ops::Deref;

/// No limit. The sum of all bookings stays below: 9 billion units of the currency.
pub const UNLIMITED: i64 = i64::MAX;

/// One limit over one period. Two cache lines of its own, so that two periods or accounts never share one.
#[repr(align(64))]
#[derive(Debug)]
pub struct Counter {
    limit: AtomicI64,
    /// What the lease allows `committed` to reach; [`UNLIMITED`] where there is no lease. Without a limit it means nothing.
    granted: AtomicI64,
    /// spent + late + carried + quarantined + reserved.
    committed: AtomicI64,
    spent: OwnLine,
    late: AtomicI64,
    carried: AtomicI64,
    /// What bids of an earlier process, whose holds are not known, may still cost.
    quarantined: AtomicI64,
    /// What late and carried bookings found no free money for, ever; see [`Reading::debt`].
    debt: AtomicI64,
}

/// Apart from `committed`: a bill at the price of the bid (first price) writes nothing else, and so takes no line from the bids. On
/// two threads that bid and bill, both take 12 % less time (benches/RESULTS.md).
#[repr(align(64))]
#[derive(Debug)]
struct OwnLine(AtomicI64);

impl Deref for OwnLine {
    type Target = AtomicI64;

    fn deref(&self) -> &AtomicI64 {
        &self.0
    }
}

/// What else than a reservation can be charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Above a hold or after it.
    Late,
    /// Debt of the period before.
    Carried,
}

/// One look at a counter. Columns are read one after the other while others write: exact when nobody does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    pub limit: i64,
    pub granted: i64,
    pub spent: i64,
    pub late: i64,
    pub carried: i64,
    pub quarantined: i64,
    /// Debt that money freed since then has not covered.
    pub debt: i64,
    pub reserved: i64,
    /// To the limit, granted or not.
    pub free: i64,
}

/// What survives a restart; reservations are counted again from their holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    pub spent: i64,
    pub late: i64,
    pub carried: i64,
    /// As recorded, covered or not.
    pub debt: i64,
}

impl Counter {
    /// Nothing can be taken from a limited counter above `granted`; see [`raise`](Counter::raise).
    pub fn new(limit: i64, granted: i64) -> Counter {
        Counter {
            limit: AtomicI64::new(limit),
            granted: AtomicI64::new(granted),
            committed: AtomicI64::new(0),
            spent: OwnLine(AtomicI64::new(0)),
            late: AtomicI64::new(0),
            carried: AtomicI64::new(0),
            quarantined: AtomicI64::new(0),
            debt: AtomicI64::new(0),
        }
    }

    /// Takes `amount` if limit and lease leave it free.
    pub fn try_take(&self, amount: i64) -> bool {
        let mut committed = self.committed.load(Ordering::Relaxed);
        loop {
            let Some(after) = committed.checked_add(amount).filter(|&sum| sum <= self.ceiling()) else {
                return false;
            };
            // Acquire: the look at the ceiling below comes after what `lower` did before.
            let swapped =
                self.committed
                    .compare_exchange_weak(committed, after, Ordering::Acquire, Ordering::Relaxed);
            match swapped {
                Ok(_) if after <= self.ceiling() => return true,
                Ok(_) => {
                    self.give_back(amount);
                    return false;
                }
                Err(now) => committed = now,
            }
        }
    }

    /// A hint without a promise: the next moment may take it.
    pub fn has_free(&self, amount: i64) -> bool {
        let committed = self.committed.load(Ordering::Relaxed);
        committed
            .checked_add(amount)
            .is_some_and(|after| after <= self.ceiling())
    }

    /// Returns money taken by [`try_take`](Counter::try_take).
    pub fn give_back(&self, amount: i64) {
        self.committed.fetch_sub(amount, Ordering::Relaxed);
    }

    /// Turns a reservation of `held` into spend of `price`, at most `held`; the difference is free again.
    pub fn settle(&self, held: i64, price: i64) {
        debug_assert!((0..=held).contains(&price));
        self.spent.fetch_add(price, Ordering::Release);
        // Paying the whole hold is common (first price), and an atomic saved is a cache line less fought for.
        if held > price {
            self.committed.fetch_sub(held - price, Ordering::Relaxed);
        }
    }

    /// Books `amount` as spent on time although its reservation is not known here (it was made before a restart).
    pub fn book(&self, amount: i64) {
        self.committed.fetch_add(amount, Ordering::Relaxed);
        self.spent.fetch_add(amount, Ordering::Release);
    }

    /// Reserves without asking the limit: a hold that was granted before a restart.
    pub fn take_again(&self, amount: i64) {
        self.committed.fetch_add(amount, Ordering::Relaxed);
    }

    /// Books `amount` in full and returns the part that found no free money.
    pub fn charge(&self, amount: i64, column: Column) -> i64 {
        let limit = self.limit.load(Ordering::Relaxed);
        let before = self.committed.fetch_add(amount, Ordering::Relaxed);
        let debt = (amount - free(limit, before)).max(0);
        match column {
            Column::Late => self.late.fetch_add(amount, Ordering::Release),
            Column::Carried => self.carried.fetch_add(amount, Ordering::Release),
        };
        if debt > 0 {
            self.debt.fetch_add(debt, Ordering::Release);
        }
        debt
    }

    /// A limit below what is committed leaves nothing free; nothing that was granted is taken away. For one thread.
    pub fn set_limit(&self, limit: i64) {
        self.limit.store(limit, Ordering::Relaxed);
        // As in `lower`: whoever takes after this sees the limit.
        self.committed.fetch_add(0, Ordering::AcqRel);
    }

    /// The lease now lets `committed` reach `granted`. The grant is durable already. For one thread.
    pub fn raise(&self, granted: i64) {
        self.granted.store(granted, Ordering::Relaxed);
    }

    /// The lease is made smaller; returns what it really comes down to, which is more where more is committed. Only when
    /// this has returned may the smaller lease be made durable. For one thread.
    pub fn lower(&self, granted: i64) -> i64 {
        self.granted.store(granted, Ordering::Relaxed);
        let committed = self.committed.fetch_add(0, Ordering::AcqRel);
        committed.max(granted)
    }

    /// Sets `amount` aside for bids of an earlier process, without asking the limit.
    pub fn quarantine(&self, amount: i64) {
        self.committed.fetch_add(amount, Ordering::Relaxed);
        self.quarantined.fetch_add(amount, Ordering::Release);
    }

    /// Whether [`adopt`](Counter::adopt) finds `amount` set aside; without a limit nothing needs to be.
    pub fn can_adopt(&self, amount: i64) -> bool {
        self.quarantined.load(Ordering::Relaxed) >= amount || self.limit.load(Ordering::Relaxed) == UNLIMITED
    }

    /// Turns `amount` of the quarantine into a reservation. For whoever alone takes from the quarantine.
    pub fn adopt(&self, amount: i64) {
        let rest = |set_aside: i64| set_aside.checked_sub(amount).filter(|&rest| rest >= 0);
        let adopted = self
            .quarantined
            .fetch_update(Ordering::Release, Ordering::Relaxed, rest);
        if adopted.is_err() {
            self.take_again(amount);
        }
    }

    /// Frees what is left of the quarantine, and returns it. The lease goes down with it: it was granted to an earlier process,
    /// perhaps under a higher limit, and has to be claimed anew. For the thread that lowers.
    pub fn end_quarantine(&self) -> i64 {
        let left = self.quarantined.swap(0, Ordering::Relaxed);
        let granted = self.granted.load(Ordering::Relaxed);
        if granted != UNLIMITED {
            self.granted.store(granted - left, Ordering::Relaxed);
        }
        self.committed.fetch_sub(left, Ordering::AcqRel);
        left
    }

    pub fn read(&self) -> Reading {
        let quarantined = self.quarantined.load(Ordering::Acquire);
        let saved = self.save();
        let committed = self.committed.load(Ordering::Relaxed);
        let limit = self.limit.load(Ordering::Relaxed);
        let explained = saved.spent + saved.late + saved.carried + quarantined;
        Reading {
            limit,
            granted: self.granted.load(Ordering::Relaxed),
            spent: saved.spent,
            late: saved.late,
            carried: saved.carried,
            quarantined,
            debt: saved.debt.min(committed.saturating_sub(limit)).max(0),
            reserved: (committed - explained).max(0),
            free: free(limit, committed),
        }
    }

    /// All that counts against the limit.
    pub fn committed(&self) -> i64 {
        self.committed.load(Ordering::Relaxed)
    }

    pub fn save(&self) -> Saved {
        Saved {
            spent: self.spent.load(Ordering::Acquire),
            late: self.late.load(Ordering::Acquire),
            carried: self.carried.load(Ordering::Acquire),
            debt: self.debt.load(Ordering::Acquire),
        }
    }

    /// Adds what an earlier process had booked.
    pub fn restore(&self, saved: &Saved) {
        self.committed
            .fetch_add(saved.spent + saved.late + saved.carried, Ordering::Relaxed);
        self.spent.fetch_add(saved.spent, Ordering::Release);
        self.late.fetch_add(saved.late, Ordering::Release);
        self.carried.fetch_add(saved.carried, Ordering::Release);
        self.debt.fetch_add(saved.debt, Ordering::Release);
    }

    fn ceiling(&self) -> i64 {
        let limit = self.limit.load(Ordering::Relaxed);
        limit.min(self.granted.load(Ordering::Relaxed))
    }
}

fn free(limit: i64, committed: i64) -> i64 {
    limit.saturating_sub(committed).max(0)
}
