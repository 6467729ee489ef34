//! How fast an account's money goes out, known at once and not only when the exchange bills: what is bid, times the share of it
//! that wins, times the share of a winning bid that is charged.

use super::striped::Striped;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Time constant of the rate at which money is bid.
const RATE_S: f64 = 20.0;
/// Time constant of the two shares.
const SHARE_S: f64 = 600.0;
/// Until something is known of it, a win is told and billed within this time.
const DELAY_S: f64 = 10.0;
/// Delays fade with this many events.
const DELAY_EVENTS: f64 = 200.0;

/// What has gone through an account since the process started. `bid` is written by workers, the rest by the books.
#[derive(Debug, Default)]
pub struct Totals {
    /// Reserved for bids that were made.
    bid: Striped,
    /// Reserved for those that won.
    won: AtomicI64,
    wins: AtomicI64,
    win_delay_ms: AtomicI64,
    /// Reserved for those that were billed, and what they were billed.
    billed_of: AtomicI64,
    billed: AtomicI64,
    bills: AtomicI64,
    bill_delay_ms: AtomicI64,
    /// Some bid was shaded since the last look.
    shaded: AtomicBool,
}

/// Relaxed throughout: sums that nothing is read behind; each is looked at again a second later.
impl Totals {
    pub fn bid(&self, amount: i64) {
        self.bid.add(amount);
    }

    pub fn bid_shaded(&self) {
        // Written once a look, not with each bid: other workers read what lies beside it.
        if !self.shaded.load(Ordering::Relaxed) {
            self.shaded.store(true, Ordering::Relaxed);
        }
    }

    /// Whether some bid was shaded since this was asked last.
    pub fn take_shaded(&self) -> bool {
        self.shaded.swap(false, Ordering::Relaxed)
    }

    pub fn won(&self, amount: i64, delay_ms: i64) {
        self.won.fetch_add(amount, Ordering::Relaxed);
        self.wins.fetch_add(1, Ordering::Relaxed);
        self.win_delay_ms.fetch_add(delay_ms, Ordering::Relaxed);
    }

    pub fn billed(&self, reserved: i64, price: i64, delay_ms: i64) {
        self.billed_of.fetch_add(reserved, Ordering::Relaxed);
        self.billed.fetch_add(price, Ordering::Relaxed);
        self.bills.fetch_add(1, Ordering::Relaxed);
        self.bill_delay_ms.fetch_add(delay_ms, Ordering::Relaxed);
    }

    fn read(&self) -> [f64; 8] {
        let of_books = [
            &self.won,
            &self.wins,
            &self.win_delay_ms,
            &self.billed_of,
            &self.billed,
            &self.bills,
            &self.bill_delay_ms,
        ];
        let [won, wins, win_delay, billed_of, billed, bills, bill_delay] =
            of_books.map(|total| total.load(Ordering::Relaxed));
        [
            self.bid.sum(),
            won,
            wins,
            win_delay,
            billed_of,
            billed,
            bills,
            bill_delay,
        ]
        .map(|total| total as f64)
    }
}

/// What survives a restart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// Of the money that is bid, what wins: 0..=1.
    pub won: f64,
    /// Of the money that wins, what is charged: 0..=1, above where prices exceed bids.
    pub charged: f64,
    /// From a bid to its win and to its bill, in seconds.
    pub win_delay_s: f64,
    pub bill_delay_s: f64,
}

impl Shares {
    /// Nothing is known: all that is bid may be charged.
    pub const UNKNOWN: Shares = Shares {
        won: 1.0,
        charged: 1.0,
        win_delay_s: DELAY_S,
        bill_delay_s: DELAY_S,
    };
}

/// Moved on by one thread.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    seen: [f64; 8],
    pub shares: Shares,
    /// Nanos a second that are bid.
    bid_rate: f64,
    /// The same, later by the delay of wins: what wins of now were bid at.
    lagged_rate: f64,
    /// Fading sums, as large as they are sure.
    won: f64,
    lagged: f64,
    billed: f64,
    billed_of: f64,
    /// Of open bids, what is expected to be billed.
    in_flight: f64,
}

impl Flow {
    pub fn new(shares: Shares) -> Flow {
        Flow {
            seen: [0.0; 8],
            shares,
            bid_rate: 0.0,
            lagged_rate: 0.0,
            won: 0.0,
            lagged: 0.0,
            billed: 0.0,
            billed_of: 0.0,
            in_flight: 0.0,
        }
    }

    /// Moves on by `seconds` > 0. `small` nanos of bids weigh as much as what was known before.
    pub fn step(&mut self, totals: &Totals, seconds: f64, small: f64) {
        let now = totals.read();
        let [bid, won, wins, win_delay, billed_of, billed, bills, bill_delay] =
            std::array::from_fn(|i| now[i] - self.seen[i]);
        self.seen = now;
        let Shares {
            won: won_share,
            charged,
            ..
        } = self.shares;
        follow_delay(&mut self.shares.win_delay_s, wins, win_delay);
        follow_delay(&mut self.shares.bill_delay_s, bills, bill_delay);

        let rate = bid / seconds;
        self.bid_rate += (rate - self.bid_rate) * gone(seconds, RATE_S);
        self.lagged_rate += (rate - self.lagged_rate) * gone(seconds, self.shares.win_delay_s);
        let kept = 1.0 - gone(seconds, SHARE_S);
        self.won = self.won * kept + won;
        self.lagged = self.lagged * kept + self.lagged_rate * seconds;
        self.billed = self.billed * kept + billed;
        self.billed_of = self.billed_of * kept + billed_of;
        let prior = small.max(1.0);
        if self.lagged > 0.0 {
            // What was known before stands in for a little money: it is replaced, not remembered.
            self.shares.won = ((self.won + prior * won_share) / (self.lagged + prior)).clamp(0.0, 1.0);
        }
        if self.billed_of > 0.0 {
            self.shares.charged =
                ((self.billed + prior * charged) / (self.billed_of + prior)).clamp(0.0, 4.0);
        }
        self.in_flight *= 1.0 - gone(seconds, self.shares.bill_delay_s);
        self.in_flight += bid * self.shares.won * self.shares.charged;
    }

    /// Nanos a second that bids of now are expected to cost.
    pub fn rate(&self) -> f64 {
        self.bid_rate * self.shares.won * self.shares.charged
    }

    /// Of the `reserved` nanos, what is expected to be billed.
    pub fn in_flight(&self, reserved: f64) -> f64 {
        self.in_flight.min(reserved)
    }
}

/// The share of something with this time constant that passes in `seconds`.
fn gone(seconds: f64, constant_s: f64) -> f64 {
    1.0 - (-seconds / constant_s.max(0.1)).exp()
}

fn follow_delay(delay_s: &mut f64, events: f64, sum_ms: f64) {
    if events > 0.0 {
        let mean_s = sum_ms / events / 1000.0;
        *delay_s += (mean_s - *delay_s) * (1.0 - (-events / DELAY_EVENTS).exp());
        // A tick, and as long as a hold can be.
        *delay_s = delay_s.clamp(0.1, 65_535.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_known_before_the_bills_come() {
        // 100 nanos are bid each second, a fifth wins, each is charged at 70 %, half an hour later.
        let totals = Totals::default();
        let mut flow = Flow::new(Shares::UNKNOWN);
        for second in 0..7_200 {
            totals.bid(100);
            if second % 5 == 0 {
                totals.won(100, 5_000);
            }
            if second >= 1_800 && second % 5 == 0 {
                totals.billed(100, 70, 1_800_000);
            }
            flow.step(&totals, 1.0, 500.0);
            if second == 300 {
                assert!((flow.rate() - 20.0).abs() < 2.0, "{}", flow.rate());
            }
        }
        assert!((flow.rate() - 14.0).abs() < 0.5, "{}", flow.rate());
        let in_flight = flow.in_flight(1e9);
        assert!((in_flight / (14.0 * 1_800.0) - 1.0).abs() < 0.2, "{in_flight}");
        assert_eq!(flow.in_flight(10.0), 10.0, "never more than is reserved");
    }
}
