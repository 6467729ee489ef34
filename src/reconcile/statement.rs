//! What a day cost by our books, and what was remarkable about it.

use super::ours::{OurBid, Ours};
use super::split::{Key, Names, Value};
use crate::events::booking::Flags;
use crate::units::{Currency, Nanos};
use std::collections::{BTreeMap, HashMap};

/// Sums over bids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bids known to be won, by a win notice or because they were billed.
    pub won: u64,
    pub billed: u64,
    pub impressions_micros: u64,
    /// As the prices were sent, by currency.
    pub sent: BTreeMap<Currency, Nanos>,
    /// In the accounting currency.
    pub booked: Nanos,
}

/// Bids, and their money in the accounting currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub bids: u64,
    pub money: Nanos,
}

/// The bids of one value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub label: String,
    pub totals: Totals,
}

/// See the head of this file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    pub totals: Totals,
    /// Billed after the hold, or above it: in the late column of the budgets, which is debt where no limit covered it.
    pub late: Count,
    /// No readable price was sent.
    pub at_reserved: Count,
    /// Above our bid; the money is the part above.
    pub above_bid: Count,
    /// For another number of impressions than one.
    pub multiplied: Count,
    /// The price came in another currency than the bid.
    pub other_currency: Count,
    /// Booked without a bid that this node knew of.
    pub unmatched: Count,
    /// Won and not billed; the money is what was reserved.
    pub won_without_bill: Count,
    /// Further billable events of booked bids: events, not bids.
    pub duplicates: u64,
    pub tests: u64,
    pub audits: u64,
    /// So late that the bid was forgotten: not booked.
    pub too_late: u64,
    /// Of a node that was declared dead: charged with its lease.
    pub of_dead: u64,
}

impl Totals {
    fn add(&mut self, bid: &OurBid, currency: Currency) {
        self.won += u64::from(bid.won || bid.billed);
        if bid.billed {
            self.billed += 1;
            self.impressions_micros = self.impressions_micros.saturating_add(bid.impressions_micros);
            let sent = self.sent.entry(currency).or_default();
            *sent = sent.saturating_add(bid.sent);
            self.booked = self.booked.saturating_add(bid.booked);
        }
    }
}

impl Count {
    fn add(&mut self, money: Nanos) {
        self.bids += 1;
        self.money = self.money.saturating_add(money);
    }
}

impl Statement {
    pub fn of(ours: &Ours) -> Statement {
        let mut statement = Statement {
            duplicates: ours.duplicates,
            ..Statement::default()
        };
        for (_, bid) in ours.bids().filter(|(_, bid)| bid.in_day) {
            statement.totals.add(bid, ours.place_of(bid).currency);
            statement.remark(bid);
        }
        statement
    }

    /// The same sums for every value of `key`, the dearest first.
    pub fn split(ours: &Ours, key: Key, names: &Names) -> Vec<Part> {
        let day = &ours.question.day;
        let mut parts: HashMap<Value, Part> = HashMap::new();
        for (_, bid) in ours.bids().filter(|(_, bid)| bid.in_day) {
            let place = ours.place_of(bid);
            let part = parts
                .entry(names.value(key, bid, place, day))
                .or_insert_with(|| Part {
                    label: names.label(key, bid, place, day),
                    totals: Totals::default(),
                });
            part.totals.add(bid, place.currency);
        }
        let mut parts: Vec<_> = parts.into_values().collect();
        parts.sort_by(|a, b| (b.totals.booked, &a.label).cmp(&(a.totals.booked, &b.label)));
        parts
    }

    fn remark(&mut self, bid: &OurBid) {
        if !bid.billed {
            let not_booked = [
                (Flags::TEST, &mut self.tests),
                (Flags::AUDIT, &mut self.audits),
                (Flags::TOO_LATE, &mut self.too_late),
                (Flags::OF_DEAD, &mut self.of_dead),
            ];
            for (flag, count) in not_booked {
                *count += u64::from(bid.flags.has(flag));
            }
            if bid.won && bid.flags == Flags::default() {
                self.won_without_bill.add(bid.reserved);
            }
            return;
        }
        let above = bid.booked.saturating_sub(bid.reserved).max(Nanos::ZERO);
        let flagged = [
            (Flags::AT_RESERVED, &mut self.at_reserved, bid.booked),
            (Flags::ABOVE_BID, &mut self.above_bid, above),
            (Flags::MULTIPLIED, &mut self.multiplied, bid.booked),
            (Flags::OTHER_CURRENCY, &mut self.other_currency, bid.booked),
            (Flags::UNMATCHED, &mut self.unmatched, bid.booked),
        ];
        for (flag, count, money) in flagged {
            if bid.flags.has(flag) {
                count.add(money);
            }
        }
        if bid.late() > Nanos::ZERO {
            self.late.add(bid.late());
        }
        self.audits += u64::from(bid.flags.has(Flags::AUDIT));
    }
}
