//! Which bids may stand beside each other in one response.
//!
//! Bids on one imp are alternatives, of which at most one is shown (section 7.3), except in the dynamic part of a pod.
//! Bids that may be shown together count against each other: for the caps of the person, and for who is kept apart.

use super::pod;
use super::scratch::{Bid, Candidate};
use super::{Audience, ExchangeTerms, Live, Snapshot};
use crate::caps::CapRule;
use crate::openrtb::request::Request;
use crate::units::Timestamp;

/// What the bids of one response are held to.
pub(super) struct Beside<'d, 'r> {
    pub request: &'d Request<'r>,
    pub exchange: &'d ExchangeTerms,
    pub snapshot: &'d Snapshot,
    pub live: &'d Live,
    pub audience: &'d Audience<'d>,
    pub now: Timestamp,
}

impl Beside<'_, '_> {
    pub fn allows(&self, candidate: &Candidate, bids: &[Bid]) -> bool {
        self.has_place(candidate, bids)
            && bids.iter().all(|bid| self.stands_with(candidate, &bid.candidate))
            && self.keeps_caps(candidate, bids)
    }

    /// Whether both may be shown to the same person.
    fn together(&self, a: &Candidate, b: &Candidate) -> bool {
        a.imp != b.imp || pod::share_a_part(self.request, a, b)
    }

    fn is_dynamic(&self, candidate: &Candidate) -> bool {
        pod::is_dynamic(self.request, candidate)
    }

    /// The imp takes one more bid of this deal, or of the open auction.
    fn has_place(&self, candidate: &Candidate, bids: &[Bid]) -> bool {
        if self.is_dynamic(candidate) {
            return pod::has_room(self.request, candidate, bids);
        }
        let limits = self.exchange.settings.bids;
        let (mut on_imp, mut in_way) = (0, 0);
        let of_imp = bids.iter().map(|bid| &bid.candidate);
        for other in of_imp.filter(|other| other.imp == candidate.imp) {
            on_imp += 1;
            in_way += usize::from(self.is_same_way(candidate, other));
        }
        let most = if candidate.deal.is_some() {
            limits.per_deal
        } else {
            limits.open
        };
        on_imp < limits.per_imp && in_way < most
    }

    /// Through the same deal, by its id: an exchange may list it more than once.
    fn is_same_way(&self, a: &Candidate, b: &Candidate) -> bool {
        let deals = self.request.deals(&self.request.imps[usize::from(a.imp)]);
        let id = |candidate: &Candidate| candidate.deal.map(|deal| deals[usize::from(deal)].id);
        id(a) == id(b)
    }

    /// A line item bids on one imp, and there in each of its ways, unless it road-blocks; two bids in the same way show
    /// different ads, or the second is as good as none.
    fn stands_with(&self, candidate: &Candidate, other: &Candidate) -> bool {
        let same_line_item = candidate.line_item == other.line_item;
        if !self.together(candidate, other) {
            return !self.is_same_way(candidate, other) || self.creative(candidate) != self.creative(other);
        }
        let roadblock = self.snapshot.ready[candidate.line_item as usize].roadblock;
        let again = same_line_item && (!roadblock || candidate.imp == other.imp);
        !again && !pod::keeps_apart(self.request, self.snapshot, candidate, other)
    }

    fn creative(&self, candidate: &Candidate) -> u32 {
        let item = &self.snapshot.campaigns.line_items()[candidate.line_item as usize];
        item.creatives[usize::from(candidate.creative)]
    }

    /// Every cap of every bid still holds if all that may be shown together are.
    fn keeps_caps(&self, candidate: &Candidate, bids: &[Bid]) -> bool {
        if bids.is_empty() {
            return true;
        }
        let others = bids.iter().map(|bid| &bid.candidate);
        others.chain([candidate]).all(|owner| {
            let fatigue = &self.snapshot.ready[owner.line_item as usize].fatigue;
            let mut rules = fatigue.rules(owner.creative, self.audience.who());
            rules.all(|rule| self.keeps_cap(&rule, candidate, bids))
        })
    }

    /// A person of whom nothing is known has seen nothing.
    fn keeps_cap(&self, rule: &CapRule, candidate: &Candidate, bids: &[Bid]) -> bool {
        if !self.counts(candidate, rule) {
            return true;
        }
        let with_it = 1 + self.shown_beside(candidate, bids, rule);
        match self.audience.key {
            Some(user) => self.live.caps.has_room(user, rule, with_it, self.now),
            None => with_it <= usize::from(rule.impressions),
        }
    }

    fn counts(&self, candidate: &Candidate, rule: &CapRule) -> bool {
        let ready = &self.snapshot.ready[candidate.line_item as usize];
        ready.fatigue.counts(candidate.creative, rule.object)
    }

    /// How many of the bids that the rule counts may be shown beside the candidate: alternatives are one.
    fn shown_beside(&self, candidate: &Candidate, bids: &[Bid], rule: &CapRule) -> usize {
        let counted =
            |bid: &Bid| self.together(candidate, &bid.candidate) && self.counts(&bid.candidate, rule);
        let shown = |(place, bid): &(usize, &Bid)| {
            let alone = |bid: &Bid| !self.is_dynamic(&bid.candidate);
            let alternative =
                |earlier: &Bid| earlier.candidate.imp == bid.candidate.imp && alone(earlier) && alone(bid);
            counted(bid)
                && !bids[..*place]
                    .iter()
                    .any(|earlier| alternative(earlier) && counted(earlier))
        };
        bids.iter().enumerate().filter(shown).count()
    }
}
