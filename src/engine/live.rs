//! What changes while snapshots stay the same: money, caps, who opted out, what markets charge, and what became of each line item.
//!
//! Invariant: nothing here is made anew by a reload, so a reload can neither refill a budget nor lose a cap nor
//! forget that somebody said no or what a market was learnt to charge.

use crate::allocation::Allocation;
use crate::approvals::Approvals;
use crate::caps::Caps;
use crate::optouts::OptOuts;
use crate::pacing::Budgets;
use crate::shading::Markets;
use crate::telemetry::Reason;
use crate::units::{AccountId, Timestamp};
use dashmap::DashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Shared by all workers, the bookkeeper and the pages.
pub struct Live {
    pub budgets: Arc<Budgets>,
    pub caps: Arc<Caps>,
    pub opt_outs: Arc<OptOuts>,
    /// What exchanges say of our creatives.
    pub approvals: Arc<Approvals>,
    /// What sources brought, what is tried, and where money goes.
    pub allocation: Arc<Allocation>,
    /// What wins where.
    pub markets: Arc<Markets>,
    stats: DashMap<AccountId, Arc<LineItemStats>>,
    qps: DashMap<String, Arc<QpsWindow>>,
}

impl Live {
    /// With nobody opted out; whoever opens the books reads the list.
    pub fn new(budgets: Arc<Budgets>, caps: Arc<Caps>) -> Live {
        Live {
            budgets,
            caps,
            opt_outs: Arc::default(),
            approvals: Arc::default(),
            allocation: Arc::default(),
            markets: Arc::default(),
            stats: DashMap::new(),
            qps: DashMap::new(),
        }
    }

    /// The counters of a line item; the same ones whatever snapshot asks.
    pub fn stats(&self, line_item: AccountId) -> Arc<LineItemStats> {
        self.stats.entry(line_item).or_default().clone()
    }

    /// The request counter of an exchange; the same one whatever snapshot asks.
    pub fn qps(&self, exchange: &str) -> Arc<QpsWindow> {
        self.qps.entry(exchange.to_owned()).or_default().clone()
    }
}

/// What became of one line item since the process started.
#[derive(Debug)]
pub struct LineItemStats {
    pub bids: AtomicU64,
    pub wins: AtomicU64,
    pub losses: AtomicU64,
    /// Milliseconds since 1970; 0 = never.
    pub last_bid: AtomicI64,
    fell_out: [AtomicU64; Reason::COUNT],
}

impl Default for LineItemStats {
    fn default() -> Self {
        LineItemStats {
            bids: AtomicU64::new(0),
            wins: AtomicU64::new(0),
            losses: AtomicU64::new(0),
            last_bid: AtomicI64::new(0),
            fell_out: [const { AtomicU64::new(0) }; Reason::COUNT],
        }
    }
}

/// Relaxed throughout: these are counts, nothing is guarded by them.
impl LineItemStats {
    pub fn bid(&self, now: Timestamp) {
        self.bids.fetch_add(1, Ordering::Relaxed);
        self.last_bid.store(now.0, Ordering::Relaxed);
    }

    pub fn fell_out(&self, reason: Reason) {
        self.fell_out[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Most frequent first, those that never happened left out.
    pub fn top_reasons(&self, most: usize) -> Vec<(Reason, u64)> {
        let mut counts: Vec<_> = Reason::ALL
            .into_iter()
            .map(|reason| (reason, self.fell_out[reason as usize].load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect();
        counts.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), *reason as usize));
        counts.truncate(most);
        counts
    }
}

/// Requests of one exchange within the current second, of all workers.
#[derive(Debug, Default)]
pub struct QpsWindow {
    /// The second in the high 32 bits, the count in the low ones: one atomic, so that both change together.
    state: AtomicU64,
}

impl QpsWindow {
    /// Counts a request; false where `max` a second are reached.
    pub fn admit(&self, now: Timestamp, max: u32) -> bool {
        let second = (now.0 / 1000) as u32;
        let admitted = |state: u64| {
            let count = if (state >> 32) as u32 == second {
                state as u32
            } else {
                0
            };
            (count < max).then(|| u64::from(second) << 32 | u64::from(count + 1))
        };
        // Relaxed: the count guards nothing but itself.
        self.state
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, admitted)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_gets_its_requests_a_second_and_no_more() {
        let window = QpsWindow::default();
        let admitted = |ms| (0..5).filter(|_| window.admit(Timestamp(ms), 3)).count();
        assert_eq!(admitted(10_000), 3);
        assert_eq!(admitted(10_999), 0);
        assert_eq!(admitted(11_000), 3);
    }

    #[test]
    fn the_most_frequent_reason_stands_first() {
        let stats = LineItemStats::default();
        stats.fell_out(Reason::Policy);
        stats.fell_out(Reason::BelowFloor);
        stats.fell_out(Reason::BelowFloor);
        assert_eq!(
            stats.top_reasons(5),
            [(Reason::BelowFloor, 2), (Reason::Policy, 1)]
        );
        assert_eq!(stats.top_reasons(1).len(), 1);
    }
}
