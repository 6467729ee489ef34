//! What a billable event does to holds and columns: on time within the hold, late above it or without it.

use super::account::{Account, AccountKind};
use super::budgets::{ACCOUNTS_PER_BID_MAX, Budgets};
use super::holds::{Hold, NO_ACCOUNT};
use super::kernel::Column;
use crate::units::{AccountId, BidId, Nanos, Timestamp};
use jiff::tz::TimeZone;
use std::sync::Arc;

/// A billable event, from the notice's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booking<'a> {
    /// The accounts of the reservation: line item, campaign.
    pub accounts: &'a [AccountId],
    pub bid_at: Timestamp,
    pub reserved: Nanos,
    /// What the exchange charges.
    pub price: Nanos,
}

/// How a booking was counted; `on_time + late` is its price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Within the hold.
    pub on_time: Nanos,
    /// Above the hold, or without one.
    pub late: Nanos,
    /// The part of `late` that some limit had no free money for (the largest over all limits). Above zero: alarm.
    pub debt: Nanos,
}

impl Budgets {
    /// Books a billable event in full: within its hold on time, the rest late. The hold is used up.
    ///
    /// The caller sees to it that a bid id is settled once; a second settlement finds no hold and is booked late.
    /// Prices below zero count as zero.
    pub fn settle(&self, bid: BidId, booking: &Booking<'_>) -> Settled {
        match self.holds.remove(bid) {
            Some(hold) => self.settle_hold(&hold, booking.price),
            None => self.charge(booking, booking.price.max(Nanos::ZERO)),
        }
    }

    /// [`settle`](Budgets::settle) when the books are read again after a restart: `was_held` says whether there was a hold when
    /// the event came. The hold may be one made after the last checkpoint, and so not known here; the booking is on time all the same.
    pub fn settle_again(&self, bid: BidId, booking: &Booking<'_>, was_held: bool) -> Settled {
        if !was_held || self.holds.contains(bid) {
            return self.settle(bid, booking);
        }
        let price = booking.price.max(Nanos::ZERO);
        let on_time = price.min(booking.reserved);
        for account in self.named(booking) {
            account.at(booking.bid_at, |counter| counter.book(on_time.0));
        }
        let above = self.charge(booking, price - on_time);
        Settled { on_time, ..above }
    }

    /// Holds the money of a bid again whose hold was known when the books were written, and is not any more: it was made after
    /// the last checkpoint. False where there is a hold already, or no room for one.
    pub fn hold_again(&self, bid: BidId, booking: &Booking<'_>, until: Timestamp) -> bool {
        self.insert_hold(bid, booking, until, |account, hold| {
            account.at(hold.at, |counter| counter.take_again(hold.amount.0))
        })
    }

    /// A hold for which nothing was taken in this process; `take` does it, for each account.
    pub(super) fn insert_hold(
        &self,
        bid: BidId,
        booking: &Booking<'_>,
        until: Timestamp,
        mut take: impl FnMut(&Account, &Hold),
    ) -> bool {
        let none = [NO_ACCOUNT; ACCOUNTS_PER_BID_MAX];
        let mut hold = Hold::new(none, booking.reserved, booking.bid_at, until);
        let accounts: Vec<_> = self.named(booking).collect();
        for (place, account) in hold.accounts.iter_mut().zip(&accounts) {
            *place = account.index;
        }
        let taken = self.holds.insert(bid, hold).is_ok();
        if taken {
            accounts.iter().for_each(|account| take(account, &hold));
        }
        taken
    }

    fn settle_hold(&self, hold: &Hold, price: Nanos) -> Settled {
        let price = price.max(Nanos::ZERO);
        let on_time = price.min(hold.amount);
        let late = price - on_time;
        let mut debt = 0;
        if !hold.won {
            self.count_win(hold);
        }
        let delay_ms = self.since(hold.at);
        self.each_of(&hold.accounts, |account| {
            account.at(hold.at, |counter| {
                counter.settle(hold.amount.0, on_time.0);
                if late > Nanos::ZERO {
                    debt = debt.max(counter.charge(late.0, Column::Late));
                }
            });
            if let Some(delay_ms) = delay_ms {
                account.pace.totals.billed(hold.amount.0, price.0, delay_ms);
            }
        });
        Settled {
            on_time,
            late,
            debt: Nanos(debt),
        }
    }

    fn charge(&self, booking: &Booking<'_>, late: Nanos) -> Settled {
        let mut debt = 0;
        if late > Nanos::ZERO {
            for account in self.named(booking) {
                account.at(booking.bid_at, |counter| {
                    debt = debt.max(counter.charge(late.0, Column::Late))
                });
            }
        }
        Settled {
            on_time: Nanos::ZERO,
            late,
            debt: Nanos(debt),
        }
    }

    /// The accounts of a booking. One that no configuration has named (any more) is opened under its id: nothing is lost.
    pub(super) fn named<'a>(&'a self, booking: &'a Booking<'_>) -> impl Iterator<Item = Arc<Account>> + 'a {
        booking.accounts.iter().enumerate().map(|(place, &id)| {
            let kind = if place == 0 {
                AccountKind::LineItem
            } else {
                AccountKind::Campaign
            };
            self.find_or_open(id, kind, booking.bid_at)
        })
    }

    /// The account `id`, opened under its number where it is not known.
    pub(super) fn find_or_open(&self, id: AccountId, kind: AccountKind, now: Timestamp) -> Arc<Account> {
        self.find(id)
            .unwrap_or_else(|| self.open_account(id, &format!("{:016x}", id.0), kind, &TimeZone::UTC, now))
    }
}
