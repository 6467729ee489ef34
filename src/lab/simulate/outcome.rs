//! What a played seed came to.

use super::oracle::Judged;
use super::shaded::Shaded;
use crate::units::Nanos;
use serde::Serialize;

/// Slots of the plan and of the chart.
pub const SLOT_MS: i64 = 15 * 60_000;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    pub seed: u64,
    pub nodes: u16,
    pub zone: &'static str,
    pub auctions: u64,
    pub bids: u64,
    pub wins: u64,
    pub clicks: u64,
    pub conversions: u64,
    pub notices: Notices,
    pub mishaps: Mishaps,
    /// Campaigns first.
    pub accounts: Vec<AccountOutcome>,
    pub items: Vec<ItemOutcome>,
    /// `None` where nothing was bid in open first-price auctions.
    pub shaded: Option<Shaded>,
    /// What the books say is what the exchange billed, less what never reached us.
    pub books_agree: bool,
    /// Bills that reached us within their hold and are booked late.
    pub late_by_books_only: u64,
    /// Money still held or set aside after the end.
    pub stuck: f64,
    /// Of everything that happened.
    pub digest: String,
    #[serde(skip)]
    pub slots: Vec<Vec<Slot>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Notices {
    pub sent: u64,
    pub taken: u64,
    pub repeated: u64,
    pub lost: u64,
    pub for_another_node: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mishaps {
    pub crashes: u64,
    pub restarts: u64,
    pub reloads: u64,
    pub server_faults: u64,
    /// Auctions that found no living bidder.
    pub missed: u64,
}

/// Amounts in units of the currency.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AccountOutcome {
    pub name: &'static str,
    /// Of its days, together.
    pub limit: f64,
    pub billed: f64,
    pub on_time: f64,
    pub late: f64,
    /// Billed, and never told.
    pub unknown: f64,
    pub overspend: f64,
    pub debt: f64,
    /// Booked, as a share of the limit.
    pub used: f64,
    /// √(mean square of spent − planned over the slots) ÷ mean planned; of campaigns with a plan.
    pub slot_error: Option<f64>,
    /// Share of the minutes with auctions in which it bid; of campaigns.
    pub alive: Option<f64>,
}

/// Of one line item.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ItemOutcome {
    pub name: &'static str,
    pub wins: u64,
    pub spent: f64,
    /// Value of what was won less its price.
    pub surplus: f64,
    pub clicks: u64,
    pub conversions: u64,
    /// What a click or a conversion is worth, and what it cost by the law's expectation.
    pub goal: Option<f64>,
    pub cost: Option<f64>,
}

/// A quarter of an hour of a campaign.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slot {
    pub planned: Option<f64>,
    pub spent: f64,
    pub auctions: u32,
    pub bids: u32,
    pub wins: u32,
    /// Mean of what was looked at; 1 = nothing is held back.
    pub multiplier: f64,
}

impl AccountOutcome {
    pub(super) fn new(name: &'static str, judged: &Judged) -> AccountOutcome {
        let share = |part: Nanos, whole: Nanos| {
            if whole > Nanos::ZERO {
                part.as_units() / whole.as_units()
            } else {
                0.0
            }
        };
        AccountOutcome {
            name,
            limit: judged.limit.as_units(),
            billed: judged.billed.as_units(),
            on_time: judged.on_time.as_units(),
            late: judged.late.as_units(),
            unknown: judged.unknown.as_units(),
            overspend: judged.overspend.as_units(),
            debt: judged.debt.as_units(),
            used: share(judged.used, judged.limit),
            slot_error: None,
            alive: None,
        }
    }
}

impl Outcome {
    pub fn campaigns(&self) -> &[AccountOutcome] {
        &self.accounts[..super::market::CAMPAIGNS.len()]
    }

    /// Of all accounts and limits, the most.
    pub fn overspend(&self) -> f64 {
        self.accounts
            .iter()
            .map(|account| account.overspend)
            .fold(0.0, f64::max)
    }

    /// Of the campaigns' limits.
    pub fn used(&self) -> f64 {
        let (used, limit) = self
            .campaigns()
            .iter()
            .fold((0.0, 0.0), |(used, limit), account| {
                (used + account.used * account.limit, limit + account.limit)
            });
        used / f64::max(limit, f64::MIN_POSITIVE)
    }

    /// Of the campaigns' limits.
    pub fn debt(&self) -> f64 {
        let sum = |of: fn(&AccountOutcome) -> f64| self.campaigns().iter().map(of).sum::<f64>();
        sum(|account| account.debt) / sum(|account| account.limit).max(f64::MIN_POSITIVE)
    }

    /// Value of what was won less its price, of all line items.
    pub fn surplus(&self) -> f64 {
        self.items.iter().map(|item| item.surplus).sum()
    }

    pub fn spent(&self) -> f64 {
        self.items.iter().map(|item| item.spent).sum()
    }

    /// Whether nothing happened that must not happen whatever goes wrong.
    pub fn is_sound(&self) -> bool {
        self.overspend() == 0.0 && self.books_agree && self.stuck == 0.0
    }
}

/// √(mean square of spent − planned) ÷ mean planned, over the slots that have a plan (*AvgErr* of Xu et al., *Smart Pacing
/// for Effective Online Ad Campaign Optimization*, KDD 2015).
pub(super) fn slot_error(slots: &[Slot]) -> Option<f64> {
    let planned: Vec<(f64, f64)> = slots
        .iter()
        .filter_map(|slot| slot.planned.map(|planned| (planned, slot.spent)))
        .collect();
    let count = planned.len() as f64;
    let mean = planned.iter().map(|(planned, _)| planned).sum::<f64>() / count;
    let square = planned
        .iter()
        .map(|(planned, spent)| (spent - planned).powi(2))
        .sum::<f64>()
        / count;
    (mean > 0.0).then(|| square.sqrt() / mean)
}
