//! Where money goes within a campaign: what each source brought, what is tried because too little is known of it, and the weights
//! by which rules move money between sources.
//!
//! A *source* is a line item at an exchange, in a format, on a placement. The books tell what each cost and brought
//! ([`Sources`]); what is under-observed is explored by Thompson sampling within a reserve ([`Exploration`]); rules judge slices of
//! sources on a schedule and set the weights of bids ([`Weights`]).
//!
//! Invariants: old facts fade (half in a week), so what was learnt can be learnt anew; everything is bounded; a weight above
//! what a person must approve is proposed, not used.

mod checkpoint;
mod explore;
mod rules;
mod sources;
mod weights;

pub use checkpoint::RestoreError;
pub use explore::{Exploration, GROWN_SHARE, Trial};
pub use rules::{Cause, Change, LtvRule, RetentionRule, RoiRule, Rules, judge};
pub use sources::{Fact, Source, Sources, Sums};
pub use weights::{Proposal, Slice, WeightView, Weights};

use crate::units::ObjectId;
use dashmap::DashMap;
use std::sync::Arc;

/// Shared by workers, which ask, the books, which tell, and the control thread, which decides. Durable through the books.
#[derive(Debug, Default)]
pub struct Allocation {
    pub sources: Sources,
    pub weights: Weights,
    campaigns: DashMap<ObjectId, Arc<Exploration>>,
}

impl Allocation {
    /// The exploration of a campaign; the same one whoever asks.
    pub fn exploration(&self, campaign: ObjectId) -> Arc<Exploration> {
        self.campaigns.entry(campaign).or_default().clone()
    }

    /// By campaign.
    pub fn explorations(&self) -> Vec<(ObjectId, Arc<Exploration>)> {
        let all = self.campaigns.iter();
        let mut all: Vec<_> = all.map(|entry| (*entry.key(), entry.value().clone())).collect();
        all.sort_unstable_by_key(|(campaign, _)| *campaign);
        all
    }
}
