//! What is counted while a seed is played, and what comes out of it.

use super::super::market::{CAMPAIGNS, Market};
use super::super::node::{Node, Offer};
use super::super::oracle::Oracle;
use super::super::outcome::{self, AccountOutcome, ItemOutcome, Mishaps, Notices, Outcome, SLOT_MS, Slot};
use super::super::shaded::OpenBids;
use super::super::timeline;
use super::{MINUTE_MS, Play};
use crate::pacing::{DayPlan, Span};
use crate::store::campaigns::definition::BidStrategy;
use crate::units::{Cpm, MixHasher, Nanos, Spread, Timestamp};
use jiff::tz::TimeZone;

pub(super) struct Tally {
    pub auctions: u64,
    pub bids: u64,
    pub wins: u64,
    pub notices: Notices,
    pub mishaps: Mishaps,
    pub items: Vec<ItemOutcome>,
    pub expected_clicks: Vec<f64>,
    pub expected_conversions: Vec<f64>,
    /// In first-price auctions.
    pub open_bids: OpenBids,
    pub slots: Vec<Vec<Slot>>,
    /// Of each campaign, one for each minute; and of auctions.
    pub bid_minutes: Vec<Vec<bool>>,
    pub auction_minutes: Vec<bool>,
    /// Bills that came within their hold and were booked late all the same.
    pub late_by_books_only: u64,
    pub digest: u64,
}

impl Play<'_> {
    pub(super) fn finish(mut self) -> Outcome {
        let count = self.market.accounts.len();
        let mut booked = vec![Nanos::ZERO; count];
        let mut stuck = Nanos::ZERO;
        for node in &self.nodes {
            for (account, booked) in node.accounts().into_iter().flatten().zip(&mut booked) {
                let lifetime = account.view(node.clock(self.now)).lifetime;
                *booked += lifetime.spent + lifetime.late;
                stuck += lifetime.reserved + lifetime.quarantined;
            }
        }
        self.plan_slots();
        let all_up = self.nodes.iter().all(Node::is_up);
        let oracle = std::mem::replace(&mut self.oracle, Oracle::new(TimeZone::UTC, self.now, Vec::new()));
        let judged = oracle.judge(self.scenario.days);
        let agree = judged
            .iter()
            .zip(&booked)
            .all(|(judged, booked)| judged.on_time + judged.late == *booked);
        for judged in &judged {
            self.tally.mix(&[
                judged.billed.0 as u64,
                judged.on_time.0 as u64,
                judged.overspend.0 as u64,
            ]);
        }
        let tally = self.tally;
        let mut accounts: Vec<_> = (self.market.accounts.iter())
            .zip(&judged)
            .map(|(account, judged)| AccountOutcome::new(account.name, judged))
            .collect();
        for (campaign, account) in accounts.iter_mut().take(CAMPAIGNS.len()).enumerate() {
            account.slot_error = outcome::slot_error(&tally.slots[campaign]);
            let minutes = tally.auction_minutes.iter().filter(|minute| **minute).count();
            let bids = tally.bid_minutes[campaign]
                .iter()
                .filter(|minute| **minute)
                .count();
            account.alive = (minutes > 0).then(|| bids as f64 / minutes as f64);
        }
        let items = tally.items.into_iter().enumerate().map(|(index, item)| {
            let (goal, expected) = match &self.market.items[index].goal {
                BidStrategy::Cpc(worth) => (Some(worth.as_units()), tally.expected_clicks[index]),
                BidStrategy::Cpa { value, .. } => (Some(value.as_units()), tally.expected_conversions[index]),
                _ => (None, 0.0),
            };
            let cost = (expected > 0.0).then(|| item.spent / expected);
            ItemOutcome { goal, cost, ..item }
        });
        let items: Vec<_> = items.collect();
        Outcome {
            seed: self.seed,
            nodes: self.scenario.nodes,
            zone: timeline::zone(self.scenario.faults, self.seed),
            auctions: tally.auctions,
            bids: tally.bids,
            wins: tally.wins,
            clicks: items.iter().map(|item| item.clicks).sum(),
            conversions: items.iter().map(|item| item.conversions).sum(),
            notices: tally.notices,
            mishaps: tally.mishaps,
            accounts,
            items,
            shaded: tally.open_bids.outcome(),
            books_agree: agree && all_up,
            late_by_books_only: tally.late_by_books_only,
            stuck: stuck.as_units(),
            digest: format!("{:016x}", tally.digest),
            slots: tally.slots,
        }
    }

    /// What the plan of the scenario gives each slot. A plan by traffic follows what was learnt, and is not told here.
    pub(super) fn plan_slots(&mut self) {
        if !matches!(self.scenario.spread, Spread::Even | Spread::FrontLoaded) {
            return;
        }
        let from = self.days[0].from;
        for day in self.days.iter() {
            let span = Span {
                from: day.from,
                until: day.until,
            };
            let plan = DayPlan::new(&self.terms.plan, &self.terms.zone, span, |_| 1.0);
            for (campaign, limits) in self.limits.iter().take(CAMPAIGNS.len()).enumerate() {
                let daily = limits.daily.map_or(0.0, Nanos::as_units);
                for (slot, at) in self.tally.slots[campaign]
                    .iter_mut()
                    .zip((0..).map(|slot| Timestamp(from.0 + slot * SLOT_MS)))
                {
                    if (day.from..day.until).contains(&at) {
                        let share = plan.share(Timestamp(at.0 + SLOT_MS)) - plan.share(at);
                        slot.planned = Some(daily * share);
                    }
                }
            }
        }
    }

    pub(super) fn accounts_of(&self, item: usize) -> [usize; 2] {
        let item = &self.market.items[item];
        [item.account, item.campaign_account]
    }

    /// Once a slot: what is planned for it, and the multiplier as it is.
    pub(super) fn look_at_pace(&mut self) {
        let at = self.slot_now();
        if self.tally.slots[0][at].auctions > 0 {
            return;
        }
        let Some(node) = self.nodes.iter().find(|node| node.is_up()) else {
            return;
        };
        let now = node.clock(self.now);
        let views = node.accounts().into_iter().flatten().take(CAMPAIGNS.len());
        let paces: Vec<_> = views.map(|account| account.pace_view(now)).collect();
        for (campaign, pace) in paces.iter().enumerate() {
            self.tally.slots[campaign][at].multiplier = pace.multiplier;
        }
    }

    pub(super) fn slot_now(&self) -> usize {
        let at = (self.now.since(self.days[0].from) / SLOT_MS) as usize;
        at.min(self.tally.slots[0].len() - 1)
    }

    pub(super) fn minute(&self) -> usize {
        let minute = self.now.since(self.days[0].from) / MINUTE_MS;
        (minute.max(0) as usize).min(self.tally.auction_minutes.len() - 1)
    }

    pub(super) fn slot(&mut self, campaign: usize) -> &mut Slot {
        let at = self.slot_now();
        &mut self.tally.slots[campaign][at]
    }

    pub(super) fn slots(&mut self, act: impl Fn(&mut Slot)) {
        (0..CAMPAIGNS.len()).for_each(|campaign| act(self.slot(campaign)));
    }
}

impl Tally {
    pub(super) fn new(market: &Market, minutes: usize) -> Tally {
        let slots = minutes.div_ceil((SLOT_MS / MINUTE_MS) as usize);
        let items = market.items.iter().map(|item| ItemOutcome {
            name: item.name,
            wins: 0,
            spent: 0.0,
            surplus: 0.0,
            clicks: 0,
            conversions: 0,
            goal: None,
            cost: None,
        });
        Tally {
            auctions: 0,
            bids: 0,
            wins: 0,
            notices: Notices::default(),
            mishaps: Mishaps::default(),
            items: items.collect(),
            expected_clicks: vec![0.0; market.items.len()],
            expected_conversions: vec![0.0; market.items.len()],
            open_bids: OpenBids::default(),
            slots: vec![vec![Slot::default(); slots]; CAMPAIGNS.len()],
            bid_minutes: vec![vec![false; minutes]; CAMPAIGNS.len()],
            auction_minutes: vec![false; minutes],
            late_by_books_only: 0,
            digest: 0,
        }
    }

    pub(super) fn won(&mut self, offer: &Offer, price: Cpm, clicks: bool, buys: bool) {
        self.wins += 1;
        let item = &mut self.items[offer.item];
        item.wins += 1;
        item.spent += price.per_impression().as_units();
        item.surplus += offer.chance.value.per_impression().as_units() - price.per_impression().as_units();
        item.clicks += u64::from(clicks);
        item.conversions += u64::from(buys);
        self.expected_clicks[offer.item] += offer.chance.click;
        self.expected_conversions[offer.item] += offer.chance.click * offer.chance.conversion_given_click;
    }

    pub(super) fn mix(&mut self, words: &[u64]) {
        for word in words {
            self.digest = MixHasher::mix(self.digest.rotate_left(5), *word);
        }
    }
}
