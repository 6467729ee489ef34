//! Bids of which nothing was heard until their hold ended: their money is free again, and their market learns.

use crate::pacing::{Budgets, Expired, Undecided};
use crate::shading::{Markets, Ticket};
use crate::units::Timestamp;

/// Lets holds end, from one control thread.
#[derive(Debug, Default)]
pub struct Silence {
    /// Collected first: a market is not taught while a shard of the holds is locked.
    undecided: Vec<Undecided>,
}

impl Silence {
    /// [`Budgets::tick`] that teaches `markets` of the bids that end undecided.
    pub fn tick(&mut self, budgets: &Budgets, markets: &Markets, now: Timestamp) -> Expired {
        let undecided = &mut self.undecided;
        let expired = budgets.tick_noting(now, |bid| undecided.push(bid));
        // As they were made, whatever the order of a hash map.
        undecided.sort_unstable_by_key(|bid| (bid.bid_at, bid.ticket));
        for bid in undecided.drain(..) {
            if let Some(ticket) = Ticket::from_bits(bid.ticket) {
                markets.observe_silence(ticket, bid.bid_at);
            }
        }
        expired
    }
}
