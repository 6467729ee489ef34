//! The exchange: what it makes of bids, and when it tells us, with what goes wrong on the way.

use super::scenario::{Fault, Scenario};
use crate::events::token::Token;
use crate::units::{Cpm, Timestamp};
use world::Random;

/// A win is told after a log-normal time with this standard deviation, in logarithms.
const DELAY_LOG: f64 = 1.0;
/// Standard deviations to the 99.9th percentile.
const P999: f64 = 3.09;
/// The hold is the 99.9th percentile and half as much again (see `pacing`).
const HOLD_OF_P999: f64 = 1.5;
/// From a win to its bill: the page is drawn. Median, ms.
const RENDER_MS: f64 = 1_500.0;
/// From an auction to the word that it is lost: mean, ms.
const LOSS_MS: f64 = 1_000.0;
/// From a bill to a click: median, ms.
const CLICK_MS: f64 = 8_000.0;
/// Loss code: a higher bid won (OpenRTB 2.6, list of loss reason codes).
pub const OUTBID: u32 = 102;
/// A refused notice is sent again after these times.
pub const REPEATS_MS: [i64; 6] = [1_000, 5_000, 30_000, 120_000, 600_000, 3_600_000];

const DELAYED: f64 = 1.0 / 50.0;
/// Mean of such a delay.
const DELAYED_MS: f64 = 300_000.0;
const DELAYED_BEYOND: f64 = 1.0 / 500.0;
/// The most of such a delay.
const DELAYED_BEYOND_MS: f64 = 3.0 * 3_600_000.0;
const LOST: f64 = 1.0 / 100.0;
const DOUBLED: f64 = 1.0 / 30.0;
const DOUBLED_WITHIN_MS: f64 = 600_000.0;
const REORDERED: f64 = 1.0 / 10.0;
const REORDERED_BY_MS: f64 = 60_000.0;

/// What is told of a bid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Win,
    Bill,
    Loss,
    Click,
}

/// A bid that the exchange has, until everything of it is told.
pub struct OpenBid {
    pub token: Token,
    pub item: usize,
    /// What it costs, where it won.
    pub price: Option<Cpm>,
    pub min_to_win: Cpm,
    /// Notices on their way.
    pub on_the_way: u8,
    /// A win was taken before the first hold was over.
    pub win_taken: bool,
    pub loss_taken: bool,
    pub is_booked: bool,
    /// A process died with the bill in its hands at this time of its clock: it may be on the disk.
    pub bill_in_doubt: Option<Timestamp>,
}

/// When each notice of a bid comes, in milliseconds after the auction.
#[derive(Default)]
pub struct Post(pub Vec<(Kind, i64)>);

impl OpenBid {
    /// Whether a bill that reaches the owner of the bid at `at`, by its clock, is within the hold.
    pub fn is_on_time(&self, at: Timestamp) -> bool {
        let end = if self.win_taken {
            self.token.hold_end
        } else {
            self.token.win_hold_end.min(self.token.hold_end)
        };
        at < end && !self.loss_taken
    }
}

impl Post {
    /// The notices of a bid that won.
    pub fn of_win(scenario: &Scenario, click: bool, dice: &mut Random) -> Post {
        let median = 1_000.0 * f64::from(scenario.hold_s) / HOLD_OF_P999 / (P999 * DELAY_LOG).exp();
        let win = median * (DELAY_LOG * dice.normal()).exp();
        let bill = win + RENDER_MS * dice.normal().exp();
        let told = match scenario.faults.has(Fault::Reordered) && dice.chance(REORDERED) {
            true => bill + REORDERED_BY_MS * dice.unit(),
            false => win,
        };
        let mut post = Post::default();
        post.send(scenario, Kind::Win, told, dice);
        post.send(scenario, Kind::Bill, bill, dice);
        if click {
            post.send(scenario, Kind::Click, bill + CLICK_MS * dice.normal().exp(), dice);
        }
        post
    }

    pub fn of_loss(scenario: &Scenario, dice: &mut Random) -> Post {
        let mut post = Post::default();
        if scenario.losses {
            post.send(scenario, Kind::Loss, LOSS_MS * dice.exponential(), dice);
        }
        post
    }

    fn send(&mut self, scenario: &Scenario, kind: Kind, after_ms: f64, dice: &mut Random) {
        let faults = scenario.faults;
        // The same number of draws whatever the faults, so that switching one on moves nothing else.
        let [delayed, beyond, lost, doubled] = std::array::from_fn(|_| dice.unit());
        let [late, later, again] = [
            DELAYED_MS * dice.exponential(),
            DELAYED_BEYOND_MS * dice.unit(),
            DOUBLED_WITHIN_MS * dice.unit(),
        ];
        let mut after_ms = after_ms;
        if faults.has(Fault::Delayed) {
            after_ms += if delayed < DELAYED { late } else { 0.0 };
            after_ms += if beyond < DELAYED_BEYOND { later } else { 0.0 };
        }
        if !(faults.has(Fault::Lost) && lost < LOST) {
            self.0.push((kind, after_ms as i64));
        }
        if faults.has(Fault::Doubled) && doubled < DOUBLED {
            self.0.push((kind, (after_ms + again) as i64));
        }
    }
}
