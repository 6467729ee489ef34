//! The memory of one worker's decisions, reused from request to request.

use super::audience::Summary;
use super::snapshot::Snapshot;
use crate::creative::Fit;
use crate::store::campaigns::MatchScratch;
use crate::store::models::{ContextBuffer, Group, Score, Scorer};
use crate::store::supply::Verdict;
use crate::telemetry::Reason;
use crate::units::{BidId, Cpm, Currency, Nanos, Timestamp};

/// Everything a decision writes. After [`bid`](super::bid) the public parts hold what it found.
#[derive(Default)]
pub struct Scratch {
    pub bids: Vec<Bid>,
    pub candidates: Vec<Candidate>,
    pub funnel: Funnel,
    pub audience: Summary,
    /// Of the supply path.
    pub supply: Verdict,
    /// Line items that matched, over all imps.
    pub matched: usize,
    /// The same, imp by imp.
    pub matched_by_imp: Vec<u32>,
    /// The context rows that were scored, one per imp that had candidates.
    pub contexts: Vec<ContextRow>,
    /// The slots of all context rows, as logged.
    pub context_slots: Vec<u32>,

    pub(super) matcher: MatchScratch,
    pub(super) context: ContextBuffer,
    pub(super) rows: Vec<f32>,
    pub(super) scores: Vec<Score>,
    pub(super) scorer: Scorer,
    pub(super) order: Vec<u32>,
}

impl Scratch {
    pub(super) fn clear(&mut self) {
        self.bids.clear();
        self.candidates.clear();
        self.funnel.clear();
        self.audience = Summary::default();
        self.supply = Verdict::default();
        self.matched = 0;
        self.matched_by_imp.clear();
        self.contexts.clear();
        self.context_slots.clear();
    }

    /// Makes the model's working memory for every batch size, so that the first requests do not wait for it.
    pub fn warm(&mut self, snapshot: &Snapshot, candidates_max: usize) {
        let schema = snapshot.model.schema();
        let context = vec![0.0; schema.columns(Group::Context)];
        for count in 1..=candidates_max {
            let rows = vec![0.0; count * schema.columns(Group::Candidate)];
            if let Err(error) = self
                .scorer
                .score(&snapshot.model, &context, &rows, &mut self.scores)
            {
                tracing::error!(%error, "the model cannot score");
            }
        }
    }

    /// The slots of the context in which the candidates of an imp were scored.
    pub fn slots_of(&self, imp: u16) -> &[u32] {
        let row = self.contexts.iter().find(|row| row.imp == imp);
        row.map_or(&[], |row| {
            &self.context_slots[row.start as usize..row.end as usize]
        })
    }
}

/// Where the slots of one imp's context stand in [`Scratch::context_slots`].
#[derive(Clone, Copy, Debug)]
pub struct ContextRow {
    pub imp: u16,
    pub start: u32,
    pub end: u32,
}

/// A line item with one of its creatives, for one imp.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Position in the request.
    pub imp: u16,
    /// Position in [`Campaigns::line_items`](crate::store::campaigns::Campaigns::line_items).
    pub line_item: u32,
    /// Position in the line item's creatives.
    pub creative: u16,
    pub fit: Fit,
    /// Position among the imp's deals.
    pub deal: Option<u16>,
    pub floor: Floor,
    /// `None` = the model could not score it.
    pub score: Option<Score>,
    /// What an impression is expected to be worth, multipliers included.
    pub value: Cpm,
    /// What is bid, in the accounting currency; `None` = fell out.
    pub price: Option<Cpm>,
    /// The step at which it fell out; `None` = it became a bid.
    pub fell_out: Option<Reason>,
}

/// A bid that is paid for: its money is held until `hold_until`.
#[derive(Clone, Copy, Debug)]
pub struct Bid {
    pub id: BidId,
    pub candidate: Candidate,
    /// In the currency of the response.
    pub price: Cpm,
    /// In the accounting currency; zero for tests.
    pub reserved: Nanos,
    /// Seconds that the bid stays valid.
    pub exp_s: u32,
    pub hold_until: Timestamp,
}

/// The lowest price that may be bid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// In the accounting currency, rounded up.
    pub accounting: Cpm,
    /// As the seller asks it, in `currency`.
    pub asked: Cpm,
    pub currency: Currency,
}

impl Floor {
    pub const NONE: Floor = Floor {
        accounting: Cpm::ZERO,
        asked: Cpm::ZERO,
        currency: Currency::USD,
    };
}

/// How many line items fell out at which step of one decision.
#[derive(Clone, Debug)]
pub struct Funnel {
    counts: [u32; Reason::COUNT],
    /// Each one by name, where somebody asked for an explanation; such a decision leaves no trace in the statistics.
    trace: Option<Vec<Fallen>>,
}

/// A line item that fell out for an imp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fallen {
    pub imp: u16,
    pub line_item: u32,
    pub reason: Reason,
}

impl Default for Funnel {
    fn default() -> Self {
        Funnel {
            counts: [0; Reason::COUNT],
            trace: None,
        }
    }
}

impl Funnel {
    /// From now on keeps who fell out where.
    pub(super) fn traced() -> Funnel {
        Funnel {
            trace: Some(Vec::new()),
            ..Funnel::default()
        }
    }

    pub(super) fn clear(&mut self) {
        self.counts = [0; Reason::COUNT];
        if let Some(trace) = &mut self.trace {
            trace.clear();
        }
    }

    pub(super) fn out(&mut self, snapshot: &Snapshot, imp: u16, line_item: u32, reason: Reason) {
        self.counts[reason as usize] += 1;
        match &mut self.trace {
            Some(trace) => trace.push(Fallen {
                imp,
                line_item,
                reason,
            }),
            None => snapshot.ready[line_item as usize].stats.fell_out(reason),
        }
    }

    /// The same for a candidate, which keeps the reason for the log.
    pub(super) fn out_candidate(&mut self, snapshot: &Snapshot, candidate: &mut Candidate, reason: Reason) {
        candidate.fell_out = Some(reason);
        self.out(snapshot, candidate.imp, candidate.line_item, reason);
    }

    pub(super) fn fallen(&self) -> &[Fallen] {
        self.trace.as_deref().unwrap_or_default()
    }

    pub fn count(&self, reason: Reason) -> u32 {
        self.counts[reason as usize]
    }

    /// The latest step at which anything fell out.
    pub fn last(&self) -> Option<Reason> {
        Reason::ALL
            .into_iter()
            .rev()
            .find(|reason| self.count(*reason) > 0)
    }

    pub fn iter(&self) -> impl Iterator<Item = (Reason, u32)> + '_ {
        Reason::ALL
            .into_iter()
            .map(|reason| (reason, self.count(reason)))
            .filter(|(_, count)| *count > 0)
    }
}
