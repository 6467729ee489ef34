//! What the exchange really bills, and whether any limit is overspent: counted apart from the books, from what the exchange
//! knows of its bills and from when they reached us.
//!
//! A bill is on time where it reaches the owner of its bid within the hold that the bid was made with. On-time bills of the
//! bids made up to any moment must not exceed the limit of that moment, by account, by hour, by day and over the lifetime.

use crate::events::token::Token;
use crate::units::{Limits, Nanos, Timestamp};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// What became of one bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    OnTime,
    Late,
    /// No notice of it ever reached us.
    Unknown,
}

pub struct Oracle {
    zone: TimeZone,
    accounts: usize,
    /// From when on which limits hold, ascending.
    limits: Vec<(Timestamp, Vec<Limits>)>,
    bills: Vec<Bill>,
}

struct Bill {
    made: Timestamp,
    amount: Nanos,
    fate: Fate,
    accounts: [usize; 2],
    /// Numbers of the hour, the day and the lifetime that it belongs to.
    periods: [i64; 3],
}

/// Of one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    pub billed: Nanos,
    pub on_time: Nanos,
    pub late: Nanos,
    pub unknown: Nanos,
    /// The most by which on-time bills exceed a limit.
    pub overspend: Nanos,
    /// What is booked above the limits of its days and of its lifetime.
    pub debt: Nanos,
    /// Of the limits of its days, what is booked up to them.
    pub used: Nanos,
    pub limit: Nanos,
}

impl Oracle {
    pub fn new(zone: TimeZone, at: Timestamp, limits: Vec<Limits>) -> Oracle {
        Oracle {
            zone,
            accounts: limits.len(),
            limits: vec![(at, limits)],
            bills: Vec::new(),
        }
    }

    /// From `at` on no bid may go beyond `limits`.
    pub fn limit(&mut self, at: Timestamp, limits: Vec<Limits>) {
        self.limits.push((at, limits));
    }

    pub fn billed(&mut self, token: &Token, accounts: [usize; 2], amount: Nanos, fate: Fate) {
        self.bills.push(Bill {
            made: token.bid_time,
            amount,
            fate,
            accounts,
            periods: [0; 3],
        });
    }

    /// In the order of the accounts, after so many days.
    pub fn judge(mut self, days: u32) -> Vec<Judged> {
        // Stable, and bills come in one order: the same from run to run.
        self.bills.sort_by_key(|bill| bill.made);
        let mut last = (i64::MIN, [0; 3]);
        for bill in &mut self.bills {
            // Hours and days begin and end with quarters of an hour, in every zone.
            let quarter = bill.made.0.div_euclid(900_000);
            if quarter != last.0 {
                last = (quarter, periods(&self.zone, bill.made));
            }
            bill.periods = last.1;
        }
        (0..self.accounts)
            .map(|account| self.judge_account(account, days))
            .collect()
    }

    fn judge_account(&self, account: usize, days: u32) -> Judged {
        let mut judged = Judged::default();
        // On time and booked, by period; the day and the hour are told apart by their length.
        let mut sums: BTreeMap<(u8, i64), [Nanos; 2]> = BTreeMap::new();
        for bill in self.bills.iter().filter(|bill| bill.accounts.contains(&account)) {
            judged.billed += bill.amount;
            match bill.fate {
                Fate::OnTime => judged.on_time += bill.amount,
                Fate::Late => judged.late += bill.amount,
                Fate::Unknown => {
                    judged.unknown += bill.amount;
                    continue;
                }
            }
            let limits = self.limits_at(bill.made, account);
            let scopes = [limits.hourly, limits.daily, limits.lifetime];
            for ((scope, limit), period) in (0_u8..).zip(scopes).zip(bill.periods) {
                let sum = sums.entry((scope, period)).or_default();
                sum[1] += bill.amount;
                if bill.fate == Fate::OnTime {
                    sum[0] += bill.amount;
                    let above = limit.map_or(Nanos::ZERO, |limit| sum[0].saturating_sub(limit));
                    judged.overspend = judged.overspend.max(above);
                }
            }
        }
        let last = self
            .limits
            .last()
            .map(|(_, limits)| limits[account])
            .unwrap_or_default();
        for ((scope, _), [on_time, booked]) in sums {
            // On time is above the last limit what was bid while it was higher, or lifted; what should not have been is overspend.
            let debt = |limit: Nanos| booked.saturating_sub(limit.max(on_time)).max(Nanos::ZERO);
            match (scope, last.daily, last.lifetime) {
                (1, Some(limit), _) => {
                    judged.used += booked.min(limit);
                    judged.debt += debt(limit);
                }
                (2, _, Some(limit)) => judged.debt = judged.debt.max(debt(limit)),
                _ => {}
            }
        }
        // A clock that is wrong may put a bid into the day before: its money is not meant to be spent.
        judged.limit = Nanos(last.daily.map_or(0, |limit| limit.0 * i64::from(days)));
        judged
    }

    fn limits_at(&self, at: Timestamp, account: usize) -> Limits {
        let place = self.limits.partition_point(|(from, _)| *from <= at);
        self.limits[place.saturating_sub(1)].1[account]
    }
}

/// What may be spent while some nodes have read the one and some the other.
pub fn looser(one: &Limits, other: &Limits) -> Limits {
    let looser = |one: Option<Nanos>, other: Option<Nanos>| one.zip(other).map(|(one, other)| one.max(other));
    Limits {
        hourly: looser(one.hourly, other.hourly),
        daily: looser(one.daily, other.daily),
        lifetime: looser(one.lifetime, other.lifetime),
    }
}

/// Numbers for the hour and the day around `at` by the wall clock; a repeated hour is two.
fn periods(zone: &TimeZone, at: Timestamp) -> [i64; 3] {
    let local = jiff::Timestamp::from_millisecond(at.0)
        .unwrap_or_default()
        .to_zoned(zone.clone());
    let day = i64::from(local.year()) * 400 + i64::from(local.day_of_year());
    let hour = (day * 24 + i64::from(local.hour())) * 200_000 + i64::from(local.offset().seconds());
    [hour, day, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Timestamp = Timestamp(1_781_049_600_000);

    fn oracle(daily: i64) -> Oracle {
        let limits = Limits {
            daily: Some(Nanos(daily)),
            hourly: Some(Nanos(60)),
            lifetime: None,
        };
        Oracle::new(TimeZone::UTC, DAY, vec![limits])
    }

    fn bill(oracle: &mut Oracle, hour: i64, amount: i64, fate: Fate) {
        oracle.bills.push(Bill {
            made: Timestamp(DAY.0 + hour * Timestamp::MS_PER_HOUR + oracle.bills.len() as i64),
            amount: Nanos(amount),
            fate,
            accounts: [0, 0],
            periods: [0; 3],
        });
    }

    #[test]
    fn what_is_on_time_counts_against_hour_and_day_and_what_is_late_as_debt() {
        for (bills, overspend, debt) in [
            (&[(0, 60, Fate::OnTime), (1, 40, Fate::OnTime)][..], 0, 0),
            (&[(0, 61, Fate::OnTime)], 1, 0),
            (&[(0, 60, Fate::OnTime), (1, 41, Fate::OnTime)], 1, 0),
            (&[(0, 60, Fate::OnTime), (0, 50, Fate::Late)], 0, 10),
            (&[(0, 60, Fate::OnTime), (0, 90, Fate::Unknown)], 0, 0),
        ] {
            let mut oracle = oracle(100);
            bills
                .iter()
                .for_each(|&(hour, amount, fate)| bill(&mut oracle, hour, amount, fate));
            let judged = oracle.judge(1)[0];
            assert_eq!(
                (judged.overspend, judged.debt),
                (Nanos(overspend), Nanos(debt)),
                "{bills:?}"
            );
        }
    }

    #[test]
    fn what_was_bid_while_a_limit_was_lifted_is_neither_overspend_nor_debt() {
        let judged = |bills: &[(i64, i64, Fate)]| {
            let mut oracle = oracle(100);
            let limits = oracle.limits[0].1.clone();
            let at = |hour| Timestamp(DAY.0 + hour * Timestamp::MS_PER_HOUR);
            oracle.limit(at(1), vec![Limits::default()]);
            oracle.limit(at(3), limits);
            bills
                .iter()
                .for_each(|&(hour, amount, fate)| bill(&mut oracle, hour, amount, fate));
            let judged = oracle.judge(1)[0];
            (judged.overspend.0, judged.debt.0)
        };
        assert_eq!(judged(&[(2, 150, Fate::OnTime)]), (0, 0));
        assert_eq!(judged(&[(2, 150, Fate::OnTime), (4, 5, Fate::Late)]), (0, 5));
        assert_eq!(judged(&[(2, 150, Fate::OnTime), (4, 1, Fate::OnTime)]), (51, 0));
    }

    #[test]
    fn a_lowered_limit_counts_for_bids_made_after_it_only() {
        let mut oracle = oracle(100);
        bill(&mut oracle, 0, 50, Fate::OnTime);
        let lower = Limits {
            daily: Some(Nanos(30)),
            ..Limits::default()
        };
        oracle.limit(Timestamp(DAY.0 + 3 * Timestamp::MS_PER_HOUR), vec![lower]);
        bill(&mut oracle, 2, 1, Fate::OnTime);
        bill(&mut oracle, 4, 1, Fate::OnTime);
        assert_eq!(oracle.judge(1)[0].overspend, Nanos(22));
    }
}
