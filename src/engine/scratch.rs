//! The memory of one worker's decisions, reused from request to request.

use super::audience::Summary;
use super::explore::Standing;
use super::snapshot::Snapshot;
use crate::creative::Fit;
use crate::shading::{MarketId, Ticket};
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
    /// Line items that became candidates, over all imps; one that may bid in several ways counts once.
    pub scored: usize,
    /// The context rows that were scored, one per imp that had candidates.
    pub contexts: Vec<ContextRow>,
    /// The slots of all context rows, as logged.
    pub context_slots: Vec<u32>,

    pub(super) matcher: MatchScratch,
    pub(super) context: ContextBuffer,
    pub(super) rows: Vec<f32>,
    pub(super) scores: Vec<Score>,
    pub(super) scorer: Scorer,
    pub(super) shares: Shares,
    pub(super) order: Vec<u32>,
    /// What each candidate is ranked by, parallel to `candidates`.
    pub(super) standing: Vec<Cpm>,
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
        self.scored = 0;
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

/// Who of one imp's matches is looked at first, where deals are offered.
#[derive(Default)]
pub(super) struct Shares {
    /// Candidates of each of the imp's deals.
    pub by_deal: Vec<u32>,
    /// Line items that wait until the open auction had its part, in the order of matches.
    pub waiting: Vec<u32>,
}

/// A line item with one of its creatives, for one imp, through one deal or in the open auction.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Position in the request.
    pub imp: u16,
    /// Position in [`Campaigns::line_items`](crate::store::campaigns::Campaigns::line_items).
    pub line_item: u32,
    /// Position in the line item's creatives.
    pub creative: u16,
    pub fit: Fit,
    /// Position among the imp's deals; `None` = the open auction.
    pub deal: Option<u16>,
    /// The ad of the candidate before it, bid in another way: it shares its score and its value.
    pub alternative: bool,
    pub auction: Auction,
    /// `deal.guar`: bid whatever the value, within budget, consent, caps and blocks.
    pub guaranteed: bool,
    pub floor: Floor,
    /// `None` = the model could not score it.
    pub score: Option<Score>,
    pub standing: Standing,
    /// What an impression is expected to be worth, multipliers, weight and trial included.
    pub value: Cpm,
    /// What is bid, in the accounting currency; `None` = fell out.
    pub price: Option<Cpm>,
    /// Where the price was looked for below the value.
    pub shade: Option<Shade>,
    /// The step at which it fell out; `None` = it became a bid.
    pub fell_out: Option<Reason>,
}

impl Candidate {
    /// The same line item on the same imp in the same way.
    pub fn is_same_offer(&self, other: &Candidate) -> bool {
        (self.imp, self.line_item, self.deal) == (other.imp, other.line_item, other.deal)
    }
}

/// How a price below the value came about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shade {
    /// Whoever hears how the bid ended teaches it.
    pub market: MarketId,
    /// What shading was given: the value with the pace of the budget in it, which is above the value itself where money would be
    /// left over.
    pub value: Cpm,
    /// The expected chance of the bid to win.
    pub win_rate: f32,
    /// Drawn beside the best bid, to learn.
    pub explored: bool,
}

impl Shade {
    /// By which the market is taught once it is known how `bid` ended.
    pub fn ticket(&self, bid: Cpm) -> Ticket {
        Ticket {
            market: self.market,
            bid,
        }
    }
}

/// How the price of a win comes about: `at` of the deal, else of the request (sections 3.2.1 and 3.2.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auction {
    /// 1: what is bid is paid.
    FirstPrice,
    /// 2, the default: what is bid is an upper bound.
    SecondPrice,
    /// 3 of a deal: the floor is the agreed price.
    Fixed,
    /// 500 and above: as agreed with the exchange.
    Other,
}

impl Auction {
    /// `deal.at` of a fixed price.
    pub const FIXED: u32 = 3;

    /// Of `at` of the request and of the deal, where there is one that says it.
    pub fn of(request: u32, deal: Option<u32>) -> Auction {
        match (deal, request) {
            (Some(1), _) | (None, 1) => Auction::FirstPrice,
            (Some(2), _) | (None, 2) => Auction::SecondPrice,
            (Some(Auction::FIXED), _) => Auction::Fixed,
            _ => Auction::Other,
        }
    }
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
    /// While no win is known.
    pub hold_until: Timestamp,
    /// The line item whose bids of this response are won together or not at all (`seatbid.group`).
    pub group: Option<u32>,
    /// That its money is from.
    pub lease: u32,
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
    /// Of a candidate that would have bid through a deal.
    pub deal: Option<u16>,
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

    pub(super) fn out(&mut self, snapshot: &Snapshot, fallen: Fallen) {
        self.counts[fallen.reason as usize] += 1;
        match &mut self.trace {
            Some(trace) => trace.push(fallen),
            None => snapshot.ready[fallen.line_item as usize]
                .stats
                .fell_out(fallen.reason),
        }
    }

    /// The same for a candidate, which keeps the reason for the log.
    pub(super) fn out_candidate(&mut self, snapshot: &Snapshot, candidate: &mut Candidate, reason: Reason) {
        candidate.fell_out = Some(reason);
        let Candidate {
            imp, line_item, deal, ..
        } = *candidate;
        self.out(
            snapshot,
            Fallen {
                imp,
                line_item,
                deal,
                reason,
            },
        );
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
