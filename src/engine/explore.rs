//! Between the model and the price: which bids are trials, and by how much their sources are weighed.

use super::scratch::Candidate;
use super::{ExchangeTerms, Live, Scratch, Snapshot, Turn};
use crate::allocation::{Source, Trial};
use crate::openrtb::request::{Imp, Request};
use crate::store::campaigns::definition::BidStrategy;
use crate::store::campaigns::place_of;
use crate::telemetry::Reason;
use crate::units::{Cpm, MixHasher, ObjectId};

/// Draws by which it is estimated how likely what was bid is: about 20 ns each for each trial.
const DRAWS: u64 = 16;
/// Sets the dice of trials apart from those of others.
const DICE: u64 = 0x7472_6961_6c73;

/// What exploration and re-allocation make of a candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// 16 bits of a hash of the place; never 0.
    pub placement: u16,
    /// What the model makes of it, before the factor.
    pub worth: Cpm,
    /// What that is multiplied by: the weight of the source, and of a trial the ratio that was drawn.
    pub factor: f64,
    /// It may be tried.
    trial: Option<Trial>,
    /// The factor without the draw.
    weight: f64,
    /// It is bid at a value that was drawn.
    pub tried: bool,
    /// The probability that it is the open auction's best bid on its imp, over all draws; 1 where nothing is tried there.
    pub propensity: f32,
}

impl Standing {
    /// As if nothing was known: neither weighed nor tried.
    pub const PLAIN: Standing = Standing {
        placement: 0,
        worth: Cpm::ZERO,
        factor: 1.0,
        trial: None,
        weight: 1.0,
        tried: false,
        propensity: 1.0,
    };

    /// What the token says of it.
    pub fn arms(&self) -> u32 {
        Source::arms(self.placement, self.tried)
    }

    /// Of what a bid is worth by the model, what it is bid at; never above `max`.
    pub(super) fn weigh(&self, value: Cpm, max: Option<Cpm>) -> Cpm {
        weighed(value, self.factor, max)
    }
}

fn weighed(value: Cpm, factor: f64, max: Option<Cpm>) -> Cpm {
    if factor == 1.0 {
        return value;
    }
    let weighed = Cpm(((value.0 as f64 * factor).round() as i64).min(Cpm::MAX.0));
    max.map_or(weighed, |max| weighed.min(max))
}

/// Fills the standing of every candidate; what rests falls out.
pub(super) fn explore(
    request: &Request,
    exchange: &ExchangeTerms,
    snapshot: &Snapshot,
    live: &Live,
    scratch: &mut Scratch,
    turn: &Turn,
) {
    let Scratch {
        candidates, funnel, ..
    } = scratch;
    let (mut last, mut place) = (Standing::PLAIN, None);
    for candidate in candidates {
        if !candidate.alternative {
            let placement = match place {
                Some((imp, placement)) if imp == candidate.imp => placement,
                _ => placement(request, &request.imps[usize::from(candidate.imp)]),
            };
            place = Some((candidate.imp, placement));
            last = standing(placement, exchange, snapshot, live, candidate, turn);
        }
        if candidate.guaranteed {
            candidate.standing.placement = last.placement;
            continue;
        }
        candidate.standing = last;
        if last.factor == 0.0 {
            funnel.out_candidate(snapshot, candidate, Reason::Rests);
        }
    }
}

fn standing(
    placement: u16,
    exchange: &ExchangeTerms,
    snapshot: &Snapshot,
    live: &Live,
    candidate: &Candidate,
    turn: &Turn,
) -> Standing {
    let item = &snapshot.campaigns.line_items()[candidate.line_item as usize];
    let source = Source {
        line_item: item.counted_as,
        exchange: exchange.settings.id,
        format: candidate.fit.mtype(),
        placement,
    };
    let weight = live.allocation.weights.of(&source);
    let mut standing = Standing {
        placement,
        factor: weight,
        weight,
        ..Standing::PLAIN
    };
    let chance = snapshot.ready[candidate.line_item as usize].exploration.chance();
    // A price per thousand does not depend on what the model says: there is nothing to learn by it.
    let learns = !matches!(item.definition.bid, BidStrategy::Cpm(_));
    let Some(score) = candidate.score.filter(|_| chance > 0.0 && learns && weight > 0.0) else {
        return standing;
    };
    let sums = live.allocation.sources.get(source, turn.now);
    standing.trial = Trial::of(sums.clicks, sums.impressions, score.click.get().into());
    if let Some(trial) = standing.trial
        && tries(chance, item.campaign, turn.seed)
    {
        standing.tried = true;
        standing.factor = weight * trial.draw(dice(turn.seed, candidate));
    }
    standing
}

/// Once candidates have their prices: how likely each was to be the best of the open auction on its imp.
pub(super) fn propensities(snapshot: &Snapshot, candidates: &mut [Candidate], seed: u64) {
    for of_imp in candidates.chunk_by_mut(|a, b| a.imp == b.imp) {
        let is_tried = |candidate: &Candidate| is_open(candidate) && candidate.standing.trial.is_some();
        if of_imp.iter().any(is_tried) {
            estimate(snapshot, of_imp, seed);
        }
    }
}

fn is_open(candidate: &Candidate) -> bool {
    candidate.price.is_some() && candidate.fell_out.is_none() && candidate.deal.is_none()
}

/// The draw that was made counts as one of `DRAWS` + 1, so that nothing that was bid was impossible. What fell out by the draw
/// that was made is not looked at in others.
fn estimate(snapshot: &Snapshot, of_imp: &mut [Candidate], seed: u64) {
    let mut best = [usize::MAX; DRAWS as usize];
    for (draw, best) in best.iter_mut().enumerate() {
        let seed = MixHasher::mix(seed, DICE + 1 + draw as u64);
        let mut most = 0.0;
        for (place, candidate) in of_imp
            .iter()
            .enumerate()
            .filter(|(_, candidate)| is_open(candidate))
        {
            let price = drawn_price(snapshot, candidate, seed);
            if price > most {
                (*best, most) = (place, price);
            }
        }
    }
    for (place, candidate) in of_imp.iter_mut().enumerate() {
        let times = best.iter().filter(|best| **best == place).count();
        candidate.standing.propensity = (times + 1) as f32 / (DRAWS + 1) as f32;
    }
}

/// What would be bid in another draw: the price goes with the value. 0 below the floor.
fn drawn_price(snapshot: &Snapshot, candidate: &Candidate, seed: u64) -> f64 {
    let price = candidate.price.unwrap_or_default();
    let Some(trial) = candidate.standing.trial else {
        return price.0 as f64;
    };
    let item = &snapshot.campaigns.line_items()[candidate.line_item as usize];
    let chance = snapshot.ready[candidate.line_item as usize].exploration.chance();
    let Standing { worth, weight, .. } = candidate.standing;
    let ratio = if tries(chance, item.campaign, seed) {
        trial.draw(dice(seed, candidate))
    } else {
        1.0
    };
    let value = weighed(worth, weight * ratio, item.definition.max_bid);
    let price = price.0 as f64 * value.0 as f64 / candidate.value.0.max(1) as f64;
    if price < candidate.floor.accounting.0 as f64 {
        return 0.0;
    }
    price
}

/// A campaign tries in a request or it does not: all its candidates that may be tried are.
fn tries(chance: f64, campaign: usize, seed: u64) -> bool {
    MixHasher::unit(seed ^ DICE, campaign as u64) < chance
}

fn dice(seed: u64, candidate: &Candidate) -> u64 {
    MixHasher::mix(
        seed ^ DICE,
        u64::from(candidate.imp) << 32 | u64::from(candidate.line_item),
    )
}

/// Site, app or screen, and tag. Two places in 65,535 that share a number are learnt together.
fn placement(request: &Request, imp: &Imp) -> u16 {
    let [place, tag] = [place_of(request), imp.tagid].map(|text| ObjectId::of(text.unwrap_or_default()).0);
    ((MixHasher::mix(place, tag) >> 48) as u16).max(1)
}
