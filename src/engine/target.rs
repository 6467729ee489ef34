//! Which line items, with which creative and deal, may answer which imp.
//!
//! Matches come best prior first, so the first ones that pass are the ones worth scoring, and the search stops there.
//! Where deals are offered, the line items that target them are looked at before the others, so that no deal is left
//! without its bid because many can answer without one (section 7.3).

mod creative;
mod floor;

use super::explore::Standing;
use super::scratch::{Auction, Candidate, Fallen, Funnel, Shares};
use super::snapshot::Ready;
use super::{Audience, ExchangeTerms, Live, Scratch, Snapshot, Turn};
use crate::caps::Seen;
use crate::openrtb::domain;
use crate::openrtb::request::{ChannelKind, Deal, Imp, Request};
use crate::store::campaigns::LineItem;
use crate::store::campaigns::definition::WithoutId;
use crate::telemetry::Reason;
use crate::units::{Cpm, HourOfWeek, Timestamp};
use floor::Floors;

/// Matches looked at per imp. They come best first: whoever stands behind a thousand better ones is not bid for.
const MATCHES_MAX: usize = 1024;

/// Deals of one imp that one line item bids through: exchanges package an imp a few times, and each bid holds money.
const DEALS_PER_LINE_ITEM_MAX: usize = 8;

/// In which ways a line item may bid on an imp.
#[derive(Clone, Copy)]
struct Ways {
    /// Positions among the imp's deals, in their order.
    deals: [u16; DEALS_PER_LINE_ITEM_MAX],
    count: usize,
    /// In the open auction.
    open: bool,
}

impl Ways {
    fn deals(&self) -> &[u16] {
        &self.deals[..self.count]
    }

    fn add(&mut self, deal: usize) {
        self.deals[self.count] = deal as u16;
        self.count += 1;
    }

    fn is_full(&self) -> bool {
        self.count == DEALS_PER_LINE_ITEM_MAX
    }

    /// Deals first, then the open auction.
    fn iter(&self) -> impl Iterator<Item = Option<u16>> + '_ {
        self.deals()
            .iter()
            .copied()
            .map(Some)
            .chain(self.open.then_some(None))
    }
}

/// The candidates of one imp, up to its share.
struct Gathering<'s> {
    imp: u16,
    candidates: &'s mut Vec<Candidate>,
    funnel: &'s mut Funnel,
    snapshot: &'s Snapshot,
    user_time: HourOfWeek,
    /// Line items that may still become candidates.
    left: usize,
}

impl Gathering<'_> {
    fn out(&mut self, line_item: u32, reason: Reason) {
        let fallen = Fallen {
            imp: self.imp,
            line_item,
            deal: None,
            reason,
        };
        self.funnel.out(self.snapshot, fallen);
    }
}

/// What is asked of every line item, gathered.
struct Gate<'g, 'r> {
    request: &'g Request<'r>,
    exchange: &'g ExchangeTerms,
    snapshot: &'g Snapshot,
    live: &'g Live,
    audience: &'g Audience<'g>,
    now: Timestamp,
    seed: u64,
}

/// Fills `scratch.candidates`, in the order of imps.
pub(super) fn gather(
    request: &Request,
    exchange: &ExchangeTerms,
    snapshot: &Snapshot,
    live: &Live,
    audience: &Audience,
    scratch: &mut Scratch,
    turn: &Turn,
) {
    let gate = Gate {
        request,
        exchange,
        snapshot,
        live,
        audience,
        now: turn.now,
        seed: turn.seed,
    };
    let imps = request.imps.len().min(exchange.settings.imps_max);
    scratch.matched_by_imp.resize(imps, 0);
    for (index, imp) in request.imps.iter().take(imps).enumerate() {
        // What earlier imps left over is shared by the rest.
        let share = (turn.candidates_max - scratch.scored).div_ceil(imps - index);
        gate.gather_imp(index as u16, imp, share, scratch);
    }
}

impl<'g, 'r> Gate<'g, 'r> {
    fn gather_imp(&self, index: u16, imp: &'g Imp<'r>, share: usize, scratch: &mut Scratch) {
        let opportunity = self
            .audience
            .opportunity(self.request, imp, self.exchange, self.snapshot);
        let profile = self.audience.profile.as_ref();
        let matched = self.snapshot.campaigns.match_into(
            &opportunity,
            profile,
            self.now,
            MATCHES_MAX,
            &mut scratch.matcher,
        );
        scratch.matched += matched.len();
        scratch.matched_by_imp[usize::from(index)] = matched.len() as u32;
        let mut gathering = Gathering {
            imp: index,
            candidates: &mut scratch.candidates,
            funnel: &mut scratch.funnel,
            snapshot: self.snapshot,
            user_time: opportunity.user_time,
            left: share,
        };
        let shares = &mut scratch.shares;
        self.gather_deals(imp, matched, shares, &mut gathering);
        let mut waiting = shares.waiting.iter().peekable();
        for &line_item in matched {
            if self.wants_deals(line_item) && waiting.next_if_eq(&&line_item).is_none() {
                // It had its turn.
                continue;
            }
            self.consider(imp, line_item, &mut gathering);
        }
        scratch.scored += share - gathering.left;
    }

    /// The line items that target the deals of this imp: the best of each deal at least, and all of them no more than
    /// half of the share where the auction is open too. Who comes later waits for what is left.
    fn gather_deals(&self, imp: &Imp<'r>, matched: &[u32], shares: &mut Shares, gathering: &mut Gathering) {
        let deals = self.request.deals(imp);
        shares.waiting.clear();
        if deals.is_empty() {
            return;
        }
        shares.by_deal.clear();
        shares.by_deal.resize(deals.len(), 0);
        let all = if imp.private_auction {
            gathering.left
        } else {
            gathering.left.div_ceil(2)
        };
        let end = gathering.left - all;
        let each = (all / deals.len()).max(1) as u32;
        for &line_item in matched.iter().filter(|line_item| self.wants_deals(**line_item)) {
            let item = &self.snapshot.campaigns.line_items()[line_item as usize];
            let ways = match self.ways(imp, item) {
                Ok(ways) => ways,
                Err(reason) => {
                    gathering.out(line_item, reason);
                    continue;
                }
            };
            let has_turn = |deal: &u16| {
                let deal = usize::from(*deal);
                shares.by_deal[deal] < each && (gathering.left > end || deals[deal].guaranteed)
            };
            if gathering.left == 0 || !ways.deals().iter().any(has_turn) {
                shares.waiting.push(line_item);
                continue;
            }
            let before = gathering.candidates.len();
            self.consider(imp, line_item, gathering);
            let added = &gathering.candidates[before..];
            for deal in added.iter().filter_map(|candidate| candidate.deal) {
                shares.by_deal[usize::from(deal)] += 1;
            }
        }
    }

    fn wants_deals(&self, line_item: u32) -> bool {
        let item = &self.snapshot.campaigns.line_items()[line_item as usize];
        !item.definition.targeting.deal.include.is_empty()
    }

    fn consider(&self, imp: &Imp<'r>, line_item: u32, gathering: &mut Gathering) {
        if gathering.left == 0 {
            return gathering.out(line_item, Reason::NotScored);
        }
        if self.disturbs(line_item, gathering.user_time) {
            return gathering.out(line_item, Reason::DoNotDisturb);
        }
        match self.admit(gathering.imp, imp, line_item, gathering.candidates) {
            Ok(()) => gathering.left -= 1,
            Err(reason) => gathering.out(line_item, reason),
        }
    }

    /// Adds a candidate for each way in which the line item may bid; at least one, or the reason why not.
    fn admit(
        &self,
        index: u16,
        imp: &Imp<'r>,
        position: u32,
        candidates: &mut Vec<Candidate>,
    ) -> Result<(), Reason> {
        let item = &self.snapshot.campaigns.line_items()[position as usize];
        let ready = &self.snapshot.ready[position as usize];
        if !self.exchange.allows_seat_of(item.advertiser, self.request) {
            return Err(Reason::Seat);
        }
        self.check_user(item, ready)?;
        let ways = self.ways(imp, item)?;
        // The price of a deal has little to do with what the line item expects elsewhere.
        let prior = if ways.count == 0 { item.prior } else { Cpm::ZERO };
        if !ready.has_free(prior, self.now) {
            return Err(Reason::BudgetSpent);
        }
        let (creative, fit) = self.choose_creative(imp, item, ready, &ways)?;
        let domains =
            &self.snapshot.campaigns.creatives()[item.creatives[usize::from(creative)] as usize].domains;
        let first = candidates.len();
        let mut why = Reason::Deal;
        for way in ways.iter() {
            let deal = way.map(|deal| &self.request.deals(imp)[usize::from(deal)]);
            if deal.is_some_and(|deal| !self.admits_domains(deal, domains)) {
                continue;
            }
            match self.floors().of(imp, deal, &fit) {
                Err(reason) => why = reason,
                Ok(floor) => candidates.push(Candidate {
                    imp: index,
                    line_item: position,
                    creative,
                    fit,
                    deal: way,
                    alternative: candidates.len() > first,
                    auction: self.auction(deal),
                    guaranteed: deal.is_some_and(|deal| deal.guaranteed),
                    floor,
                    score: None,
                    standing: Standing::PLAIN,
                    value: Cpm::ZERO,
                    price: None,
                    shade: None,
                    fell_out: None,
                }),
            }
        }
        if candidates.len() > first {
            Ok(())
        } else {
            Err(why)
        }
    }

    /// `at` of the deal, else of the request, with what is agreed with the exchange: its own codes, and its word on all
    /// requests, have a meaning then.
    fn auction(&self, deal: Option<&Deal>) -> Auction {
        let agreed = &self.exchange.settings.auction;
        let of_deal = deal.and_then(|deal| deal.at).map(|at| match at {
            0..500 => at,
            own => agreed.of(own) as u32,
        });
        Auction::of(agreed.of(self.request.at) as u32, of_deal)
    }

    fn check_user(&self, item: &LineItem, ready: &Ready) -> Result<(), Reason> {
        match item.definition.without_id {
            WithoutId::NoBid if self.audience.key.is_none() => Err(Reason::NoUserId),
            _ if ready.fatigue.is_none() => Ok(()),
            _ if self.is_unsure() => Err(Reason::CapsApart),
            _ => match self.seen() {
                Some(seen) => ready.fatigue.check(&seen, self.audience.who()),
                None => Ok(()),
            },
        }
    }

    fn check_creative_caps(&self, ready: &Ready, creative: usize) -> Result<(), Reason> {
        if !ready.fatigue.caps_creative(creative) {
            return Ok(());
        }
        if self.is_unsure() {
            return Err(Reason::CapsApart);
        }
        match self.seen() {
            Some(seen) => ready.fatigue.check_creative(creative, &seen, self.audience.who()),
            None => Ok(()),
        }
    }

    /// What other nodes showed this person is not known, and would have to be.
    fn is_unsure(&self) -> bool {
        self.audience.key.is_some() && !self.live.caps.is_sure()
    }

    /// What this person was shown and did before. Somebody who may not be known has seen nothing.
    fn seen(&self) -> Option<Seen<'_>> {
        self.live.caps.seen(self.audience.key?)
    }

    /// Hours in which people are left in peace, in their own time zone and when the ad will be shown, win over dayparts and over
    /// deals, guaranteed ones too. A screen of many stands where it stands: it disturbs nobody at home.
    fn disturbs(&self, line_item: u32, user_time: HourOfWeek) -> bool {
        let campaigns = &self.snapshot.campaigns;
        let item = &campaigns.line_items()[line_item as usize];
        self.request.channel.kind != ChannelKind::Dooh && campaigns.disturbs(item.advertiser, user_time)
    }

    /// A line item that targets deals bids through every one of them that is offered and open to it, and in the open
    /// auction beside them where it says so. One that targets none bids in the open auction, where there is one.
    fn ways(&self, imp: &Imp<'r>, item: &LineItem) -> Result<Ways, Reason> {
        let wanted = &item.definition.targeting.deal.include;
        let mut ways = Ways {
            deals: [0; DEALS_PER_LINE_ITEM_MAX],
            count: 0,
            open: !imp.private_auction && (wanted.is_empty() || item.definition.open_beside_deals),
        };
        if wanted.is_empty() {
            return if ways.open {
                Ok(ways)
            } else {
                Err(Reason::PrivateAuction)
            };
        }
        let deals = self.request.deals(imp);
        for (position, deal) in deals.iter().enumerate().take(usize::from(u16::MAX)) {
            let named = wanted.iter().any(|id| id.eq_ignore_ascii_case(deal.id));
            let known = |earlier: &u16| deals[usize::from(*earlier)].id == deal.id;
            if named && self.is_usable(deal, item) && !ways.deals().iter().any(known) && !ways.is_full() {
                ways.add(position);
            }
        }
        if ways.count > 0 {
            Ok(ways)
        } else {
            Err(Reason::Deal)
        }
    }

    fn floors(&self) -> Floors<'_, 'r> {
        Floors {
            request: self.request,
            rates: &self.snapshot.rates,
            now: self.now,
        }
    }

    /// For the seat that bids; and a fixed price that is not told cannot be bid exactly.
    fn is_usable(&self, deal: &Deal, item: &LineItem) -> bool {
        let seats = self.request.strs(deal.wseat);
        let own_seat = &self.exchange.seats[self.exchange.seat_of(item.advertiser)];
        let priced = deal.at != Some(Auction::FIXED) || deal.floor > Cpm::ZERO;
        priced && (seats.is_empty() || seats.iter().any(|seat| *seat == own_seat))
    }

    /// `deal.wadomain`: every domain that the ad is for is one of them, or below one.
    fn admits_domains(&self, deal: &Deal, domains: &[String]) -> bool {
        let allowed = self.request.strs(deal.wadomain);
        let covered = |own: &String| allowed.iter().any(|allowed| domain::covers(allowed, own));
        allowed.is_empty() || domains.iter().all(covered)
    }
}
