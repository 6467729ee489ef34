//! Why a request got the answer it got: the bid path itself, with every step written down.
//!
//! Invariant: an explanation takes no money and leaves no trace in statistics. What it says of the line items that the
//! index never offered comes from the plain loop that the index is proved equal to.

use super::scratch::{Auction, Candidate, Funnel, Shade};
use super::{ExchangeTerms, Live, Outcome, Scratch, Snapshot, Summary, Turn, bid};
use crate::openrtb::request::Request;
use crate::optouts::OptOuts;
use crate::store::campaigns::{Dimension, naive};
use crate::store::models::{ContextBuffer, Group, Score};
use crate::telemetry::Reason;
use crate::units::{Cpm, Timestamp};

/// Features shown for each candidate: those that move the click prediction most.
const FEATURES: usize = 5;

/// A decision with the fate of every line item for every imp that was evaluated.
#[derive(Debug)]
pub struct Explanation {
    pub outcome: Outcome,
    pub audience: Summary,
    pub fates: Vec<Fate>,
}

/// What became of one line item for one imp, or of one of the ways in which it could bid there.
#[derive(Debug)]
pub struct Fate {
    /// Position in the request.
    pub imp: u16,
    /// Position in [`Campaigns::line_items`](crate::store::campaigns::Campaigns::line_items).
    pub line_item: u32,
    /// Position among the imp's deals, for a bid or a candidate through a deal.
    pub deal: Option<u16>,
    pub step: Step,
    /// From the model on.
    pub scored: Option<Scored>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The targeting does not meet the imp in this dimension.
    NotTargeted(Dimension),
    FellOut(Reason),
    Bid,
}

/// What the model and the price made of a candidate. Prices in the accounting currency.
#[derive(Debug)]
pub struct Scored {
    /// Position in the line item's creatives.
    pub creative: u16,
    pub score: Score,
    pub value: Cpm,
    pub price: Option<Cpm>,
    pub auction: Auction,
    /// Where the price was looked for below the value.
    pub shade: Option<Shade>,
    pub floor: Cpm,
    /// Name of a feature of request or user, and by how much its presence changes the log-odds of a click.
    pub features: Vec<(&'static str, f32)>,
}

/// Decides on `request` as [`bid`] does, as a test, so that nothing is held.
pub fn explain(
    request: &mut Request,
    exchange: &ExchangeTerms,
    snapshot: &Snapshot,
    live: &Live,
    turn: &mut Turn,
) -> Explanation {
    request.test = true;
    let mut scratch = Scratch {
        funnel: Funnel::traced(),
        ..Scratch::default()
    };
    let outcome = bid(request, exchange, snapshot, live, &mut scratch, turn);
    let mut fates = Vec::new();
    for fallen in scratch.funnel.fallen() {
        fates.push(Fate {
            imp: fallen.imp,
            line_item: fallen.line_item,
            deal: fallen.deal,
            step: Step::FellOut(fallen.reason),
            scored: None,
        });
    }
    for bid in &scratch.bids {
        let Candidate {
            imp, line_item, deal, ..
        } = bid.candidate;
        fates.push(Fate {
            imp,
            line_item,
            deal,
            step: Step::Bid,
            scored: None,
        });
    }
    // Without terms no line item was looked at.
    let refused = scratch.audience.consent.is_none();
    if !refused {
        add_untargeted(request, exchange, snapshot, &live.opt_outs, turn.now, &mut fates);
    }
    add_scores(snapshot, &mut scratch, &mut fates);
    fates.sort_by_key(|fate| (fate.imp, fate.line_item, fate.deal));
    Explanation {
        outcome,
        audience: scratch.audience,
        fates,
    }
}

fn add_untargeted(
    request: &Request,
    exchange: &ExchangeTerms,
    snapshot: &Snapshot,
    opt_outs: &OptOuts,
    now: Timestamp,
    fates: &mut Vec<Fate>,
) {
    let audience = snapshot
        .people
        .find(request, &exchange.user_namespace, opt_outs, now);
    let campaigns = &snapshot.campaigns;
    let known: std::collections::HashSet<_> = fates.iter().map(|fate| (fate.imp, fate.line_item)).collect();
    for (imp_index, imp) in request.imps.iter().take(exchange.settings.imps_max).enumerate() {
        let opportunity = audience.opportunity(request, imp, exchange, snapshot);
        for (position, item) in campaigns.line_items().iter().enumerate() {
            let (imp, line_item) = (imp_index as u16, position as u32);
            if known.contains(&(imp, line_item)) {
                continue;
            }
            let mismatch = naive::first_mismatch(item, &opportunity, audience.profile.as_ref(), now);
            // A match beyond those that are looked at stands behind better ones.
            let step = mismatch.map_or(Step::FellOut(Reason::NotScored), Step::NotTargeted);
            fates.push(Fate {
                imp,
                line_item,
                deal: None,
                step,
                scored: None,
            });
        }
    }
}

fn add_scores(snapshot: &Snapshot, scratch: &mut Scratch, fates: &mut [Fate]) {
    for candidate in std::mem::take(&mut scratch.candidates) {
        let Some(score) = candidate.score else { continue };
        let scored = Scored {
            creative: candidate.creative,
            score,
            value: candidate.value,
            price: candidate.price,
            auction: candidate.auction,
            shade: candidate.shade,
            floor: candidate.floor.accounting,
            features: features(snapshot, scratch, &candidate, score),
        };
        let same = |fate: &&mut Fate| {
            (fate.imp, fate.line_item, fate.deal) == (candidate.imp, candidate.line_item, candidate.deal)
        };
        if let Some(fate) = fates.iter_mut().find(same) {
            fate.scored = Some(scored);
        }
    }
}

/// Takes each feature of the context away in turn and looks at what that does.
fn features(
    snapshot: &Snapshot,
    scratch: &mut Scratch,
    candidate: &Candidate,
    score: Score,
) -> Vec<(&'static str, f32)> {
    let model = &snapshot.model;
    let row = &snapshot.ready[candidate.line_item as usize].rows[usize::from(candidate.creative)].columns;
    let slots = scratch.slots_of(candidate.imp).to_vec();
    let mut buffer = ContextBuffer::default();
    let mut moved = Vec::new();
    for feature in model
        .schema()
        .features(Group::Context)
        .iter()
        .filter(|feature| !feature.sensitive)
    {
        model.context_without(feature, &slots, &mut buffer);
        let rescored = scratch
            .scorer
            .score(model, &buffer.columns, row, &mut scratch.scores);
        if let (Ok(()), Some(without)) = (rescored, scratch.scores.first()) {
            moved.push((feature.source.name(), log_odds(score) - log_odds(*without)));
        }
    }
    moved.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    moved.truncate(FEATURES);
    moved.retain(|(_, by)| *by != 0.0);
    moved
}

fn log_odds(score: Score) -> f32 {
    let p = score.click.get().clamp(1e-6, 1.0 - 1e-6);
    (p / (1.0 - p)).ln()
}
