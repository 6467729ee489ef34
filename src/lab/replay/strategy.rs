//! What bids: the linear baselines, and the one form in which every strategy is asked and told.

use super::{Auction, BID_MAX, Campaign, Episode, Outbid, Plan, Rlb, Sum, replay};

/// What is left when an auction begins, that auction included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Auctions to come in this episode, at least 1.
    pub auctions: usize,
    /// Money, in the log's unit of price.
    pub budget: u32,
}

/// What a bidder learns of an auction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Won { price: u32, click: bool },
    Lost,
}

/// A strategy. The set is closed: what `outbid replay` offers.
pub enum Bidder {
    Mcpc(Mcpc),
    Lin(Lin),
    Rlb(Rlb),
    Outbid(Box<Outbid>),
}

impl Bidder {
    /// The bid for one auction; the caller caps it.
    pub fn bid(&mut self, moment: Moment, pctr: f64) -> u32 {
        match self {
            Bidder::Mcpc(mcpc) => mcpc.bid(pctr),
            Bidder::Lin(lin) => lin.bid(pctr),
            Bidder::Rlb(rlb) => rlb.bid(moment, pctr),
            Bidder::Outbid(outbid) => outbid.bid(moment, pctr),
        }
    }

    /// What became of the bid that was just made.
    pub fn learn(&mut self, bid: u32, outcome: Outcome) {
        if let Bidder::Outbid(outbid) = self {
            outbid.learn(bid, outcome);
        }
    }
}

/// Bids the mean price of a click in training for each click that is expected.
#[derive(Clone, Copy)]
pub struct Mcpc {
    price_per_click: f64,
}

impl Mcpc {
    pub fn new(campaign: &Campaign) -> Mcpc {
        Mcpc {
            price_per_click: campaign.price_per_click(),
        }
    }

    fn bid(self, pctr: f64) -> u32 {
        (pctr * self.price_per_click) as u32
    }
}

/// Bids `b0` on an auction of average prediction, and in proportion on others (Perlich et al., KDD 2012).
#[derive(Clone, Copy)]
pub struct Lin {
    b0: f64,
    mean_ctr: f64,
}

impl Lin {
    pub fn new(campaign: &Campaign, b0: f64) -> Lin {
        Lin {
            b0,
            mean_ctr: campaign.mean_ctr(),
        }
    }

    fn bid(self, pctr: f64) -> u32 {
        (pctr * self.b0 / self.mean_ctr) as u32
    }
}

/// The linear bidder that would have been best, had one known the log.
#[derive(Clone, Debug)]
pub struct BestLin {
    pub b0: u32,
    pub episodes: Vec<Episode>,
}

/// The lowest whole b0 from 1 to [`BID_MAX`] that wins the most clicks.
pub fn best_lin(auctions: &[Auction], campaign: &Campaign, plan: Plan) -> BestLin {
    let play = |b0: u32| {
        let mut lin = Bidder::Lin(Lin::new(campaign, f64::from(b0)));
        let episodes = replay(auctions, plan, &mut lin, &mut |_| ());
        (episodes.iter().sum::<Sum>().clicks, BestLin { b0, episodes })
    };
    let mut best = play(1);
    for b0 in 2..=BID_MAX {
        let next = play(b0);
        if next.0 > best.0 {
            best = next;
        }
    }
    best.1
}
