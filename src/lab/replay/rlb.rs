//! RLB: the bid from a table of how many clicks money and time left are worth, as its authors published it.
//!
//! Cai et al., WSDM 2017, section 4.1. The table is V(t, b), the clicks expected from t auctions and a budget of b when
//! each auction is worth the average pCTR θ and prices have the density m of the training log:
//! `V(t+1, b) = V(t, b) + Σ_{δ ≤ a(t, b)} m(δ)·(θ + V(t, b−δ) − V(t, b))`, where a(t, b) is the highest price at which
//! the term is not negative. The bid for a prediction p is the highest δ with `p + V(t−1, b−δ) − V(t−1, b) ≥ 0`.
//!
//! Terms are added in the order of the formula, and budgets that buy everything are cut off as the authors' program
//! does it: their numbers come out to the unit.

use super::{BID_MAX, Campaign, Moment, Plan};

/// 2 GiB of table. The published case, 1,000 auctions and half of the mean cost, has 31.5 million cells.
const CELLS_MAX: usize = 1 << 28;
/// A budget whose value is this near to winning every auction is as good as any larger one.
const SATURATED: f64 = 1e-10;
/// Budgets are worked on in blocks whose value stays in the first-level cache: 512 of 8 bytes, twice, and 300 before.
const BLOCK: usize = 512;
const BID: usize = BID_MAX as usize;

/// The published method.
pub struct Rlb {
    rows: Vec<Row>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the table of rlb for {} auctions and a budget of {} has {} cells, above {CELLS_MAX}; choose shorter episodes or a \
     smaller fraction",
    plan.episode, plan.budget, plan.episode.saturating_mul(plan.budget as usize + 1)
)]
pub struct TooLarge {
    pub plan: Plan,
}

/// V(t, ·) for one t.
struct Row {
    values: Vec<f64>,
    /// The value of every budget that `values` does not reach.
    beyond: f64,
}

impl Rlb {
    /// Computes the table. Takes time and memory in proportion to episode × budget.
    ///
    /// # Errors
    /// A table that would be too large.
    pub fn new(campaign: &Campaign, plan: Plan) -> Result<Rlb, TooLarge> {
        let budget = plan.budget as usize;
        if plan.episode.saturating_mul(budget + 1) > CELLS_MAX {
            return Err(TooLarge { plan });
        }
        let theta = campaign.mean_ctr();
        let density = campaign.price_density();
        let each = density.iter().fold(0.0, |sum, m| sum + m * theta);
        let mut value = vec![0.0; budget + 1];
        let mut rows = vec![Row::new(&value, budget)];
        let mut all = 0.0;
        for _ in 1..plan.episode {
            all += each;
            let highest = highest_bids(&value, theta);
            let mut next = value.clone();
            let last = grow(&mut next, &value, &highest, &density, theta, all);
            rows.push(Row::new(&next, last));
            value = next;
        }
        Ok(Rlb { rows })
    }

    pub(super) fn bid(&self, moment: Moment, pctr: f64) -> u32 {
        let row = &self.rows[moment.auctions - 1];
        let budget = moment.budget as usize;
        let now = row.at(budget);
        let worth = |price: &usize| pctr + (row.at(budget - price) - now) >= 0.0;
        (1..=BID.min(budget)).take_while(worth).count() as u32
    }
}

impl Row {
    /// Keeps the budgets up to `last`; those above are all worth the same.
    fn new(value: &[f64], last: usize) -> Row {
        Row {
            values: value[..=last].to_vec(),
            beyond: value[value.len() - 1],
        }
    }

    fn at(&self, budget: usize) -> f64 {
        self.values.get(budget).copied().unwrap_or(self.beyond)
    }
}

/// a(t, b) for every b: the highest price at which an average auction is worth its money.
fn highest_bids(value: &[f64], theta: f64) -> Vec<usize> {
    let mut highest = vec![0; value.len()];
    // The budgets below `left` can be reached from b at a price that is worth it. V rises, so it never turns back.
    let mut left = value.len() - 1;
    for b in (1..value.len()).rev() {
        while left > 0 && value[left - 1] - value[b] + theta >= 0.0 {
            left -= 1;
        }
        highest[b] = BID.min(b - left.min(b));
    }
    highest
}

/// Turns V(t, ·) in `next` into V(t+1, ·); gives the first budget that wins everything, or the last one.
fn grow(next: &mut [f64], value: &[f64], highest: &[usize], density: &[f64], theta: f64, all: f64) -> usize {
    let end = value.len();
    for start in (1..end).step_by(BLOCK) {
        let stop = (start + BLOCK).min(end);
        let block = start..stop;
        // Prices that every budget of the block pays, a whole block at a time, then the rest budget by budget.
        let common = highest[block.clone()]
            .iter()
            .copied()
            .min()
            .unwrap_or(0)
            .min(start);
        for price in 0..=common {
            let (now, then) = (&value[block.clone()], &value[start - price..stop - price]);
            let weight = density[price];
            for ((sum, now), then) in next[block.clone()].iter_mut().zip(now).zip(then) {
                *sum += weight * (theta + (then - now));
            }
        }
        for b in block {
            for price in common + 1..=highest[b] {
                next[b] += density[price] * (theta + (value[b - price] - value[b]));
            }
            if (next[b] - all).abs() < SATURATED {
                next[b + 1..].fill(all);
                return b;
            }
        }
    }
    end - 1
}
