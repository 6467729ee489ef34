//! Plays a log against a strategy, episode by episode.
//!
//! Invariant: in no episode is more spent than its budget, whatever the strategy bids.

use super::{Auction, BID_MAX, Bidder, Moment, Outcome};
use std::iter::Sum as IterSum;
use std::ops::AddAssign;

/// How long an episode is and what it may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Auctions, at least 1; the last episode of a log may be shorter.
    pub episode: usize,
    /// Money, in the log's unit of price.
    pub budget: u32,
}

/// What one episode came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Episode {
    pub auctions: u32,
    pub impressions: u32,
    pub clicks: u32,
    /// At most the plan's budget.
    pub cost: u32,
}

/// What many episodes came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub episodes: u64,
    pub auctions: u64,
    pub impressions: u64,
    pub clicks: u64,
    pub cost: u64,
}

/// One outcome per episode, in the order of the log; `done` is told how many auctions are through.
///
/// # Panics
/// Where the plan's episodes have no auction.
pub fn replay(
    auctions: &[Auction],
    plan: Plan,
    bidder: &mut Bidder,
    done: &mut dyn FnMut(usize),
) -> Vec<Episode> {
    let mut through = 0;
    let mut play = |part: &[Auction]| {
        let episode = play(part, plan, bidder);
        through += part.len();
        done(through);
        episode
    };
    auctions.chunks(plan.episode).map(&mut play).collect()
}

fn play(auctions: &[Auction], plan: Plan, bidder: &mut Bidder) -> Episode {
    let mut episode = Episode::default();
    for (position, auction) in auctions.iter().enumerate() {
        let moment = Moment {
            auctions: plan.episode - position,
            budget: plan.budget - episode.cost,
        };
        let bid = bidder.bid(moment, auction.pctr).min(BID_MAX).min(moment.budget);
        let won = bid >= auction.price;
        episode.auctions += 1;
        if won {
            episode.impressions += 1;
            episode.clicks += u32::from(auction.click);
            episode.cost += auction.price;
        }
        bidder.learn(
            bid,
            if won {
                Outcome::Won {
                    price: auction.price,
                    click: auction.click,
                }
            } else {
                Outcome::Lost
            },
        );
    }
    episode
}

impl AddAssign<&Episode> for Sum {
    fn add_assign(&mut self, episode: &Episode) {
        self.episodes += 1;
        self.auctions += u64::from(episode.auctions);
        self.impressions += u64::from(episode.impressions);
        self.clicks += u64::from(episode.clicks);
        self.cost += u64::from(episode.cost);
    }
}

impl<'a> IterSum<&'a Episode> for Sum {
    fn sum<I: Iterator<Item = &'a Episode>>(episodes: I) -> Sum {
        let mut sum = Sum::default();
        for episode in episodes {
            sum += episode;
        }
        sum
    }
}
