//! The days of one seed, event by event on a fake clock.
//!
//! Invariant: what comes next depends on the scenario and the seed alone.

mod faults;
mod tally;

use super::arrival::{self, Arrival};
use super::authority::{Server, Way};
use super::exchange::{Kind, OUTBID, OpenBid, Post, REPEATS_MS};
use super::market::Market;
use super::mishaps::{self, Mishap};
use super::node::{Died, Node, Offer, Terms};
use super::oracle::{Fate, Oracle};
use super::outcome::Outcome;
use super::scenario::{Fault, MinToWin, Scenario};
use super::timeline::{self, Timeline};
use crate::events::booking::Verdict;
use crate::events::notice::{Inbound, Paid, Told, What};
use crate::openrtb::notice::PriceField;
use crate::pacing::{PacePlan, Settled};
use crate::units::{BidId, Cpm, Limits, MixHasher, Nanos, ObjectId, Timestamp};
use jiff::tz::TimeZone;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use tally::Tally;
use world::{Random, Stream, settle};

/// A balancer sends to other nodes this long after one is gone.
const NOTICED_AFTER_MS: i64 = 3_000;
/// A node that finds no server for its leases tries again after this.
const START_AGAIN_MS: i64 = 5_000;
/// A lowered limit counts so long after: a reload (within 3 s), a look at the leases, and wrong clocks.
const LOWERED_AFTER_MS: i64 = 10_000;
const MINUTE_MS: i64 = 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A notice of the open bid in this place comes, for the n-th time.
    Notice {
        place: u32,
        kind: Kind,
        repeat: u8,
    },
    Start {
        node: u16,
    },
    Mishap(Mishap),
    /// A node reads the configuration.
    Reload {
        node: u16,
    },
}

struct Play<'a> {
    scenario: &'a Scenario,
    seed: u64,
    market: Arc<Market>,
    terms: Terms,
    nodes: Vec<Node>,
    server: Option<Server>,
    days: Arc<[Timeline]>,
    limits: Vec<Limits>,
    /// Since when all nodes could have read limits that were lowered.
    lowered: Option<Timestamp>,
    now: Timestamp,
    queue: BinaryHeap<Reverse<(Timestamp, u64, Event)>>,
    queued: u64,
    open: Vec<Option<OpenBid>>,
    free: Vec<u32>,
    places: HashMap<BidId, u32, BuildHasherDefault<MixHasher>>,
    /// When each node went down.
    down_since: Vec<Option<Timestamp>>,
    /// The next bid of this node is its last.
    dies_at_bid: Vec<bool>,
    dice: Random,
    oracle: Oracle,
    tally: Tally,
}

/// Plays one seed.
pub fn simulate(scenario: &Scenario, seed: u64) -> Outcome {
    let mut play = Play::new(scenario, seed);
    for day in 0..play.days.len() {
        play.play_day(day);
    }
    play.drain();
    play.finish()
}

impl<'a> Play<'a> {
    fn new(scenario: &'a Scenario, seed: u64) -> Play<'a> {
        let days = timeline::days(scenario.faults, seed, scenario.days);
        let market = Arc::new(Market::new(scenario, seed, |share| days[0].at(share)));
        let (from, until) = (days[0].from, days[days.len() - 1].until);
        let zone = TimeZone::get(timeline::zone(scenario.faults, seed)).expect("the zones are bundled");
        let limits: Vec<_> = market.accounts.iter().map(|account| account.limits).collect();
        let mut dice = Random::new(seed, Stream::Mishap, u64::MAX);
        let server = (scenario.nodes > 1).then(Server::default);
        let nodes = (1..=scenario.nodes).map(|number| {
            let skew_ms = dice.below(4_001) as i64 - 2_000;
            let skew_ms = if scenario.faults.has(Fault::Skew) {
                skew_ms
            } else {
                0
            };
            Node::new(number, seed, skew_ms, server.clone())
        });
        let nodes: Vec<_> = nodes.collect();
        let count = nodes.len();
        let minutes = (until.since(from) / MINUTE_MS) as usize;
        let mut play = Play {
            scenario,
            seed,
            terms: Terms {
                zone: zone.clone(),
                win_hold_s: scenario.hold_s,
                exchange: ObjectId::of("simulated"),
                // A day's peak is less than thrice its mean, and a notice that is lost costs a hold's length.
                holds_max: 4_096
                    + (u64::from(scenario.auctions_per_day) * 4 * u64::from(scenario.hold_s + 60) / 86_400)
                        as usize,
                shading: scenario.shading,
                plan: PacePlan {
                    spread: scenario.spread,
                    from: Some(from),
                    until: Some(until),
                    ..PacePlan::default()
                },
            },
            tally: Tally::new(&market, minutes),
            oracle: Oracle::new(zone, Timestamp(i64::MIN), limits.clone()),
            market,
            nodes,
            server,
            days: days.into(),
            limits,
            lowered: None,
            now: from,
            queue: BinaryHeap::new(),
            queued: 0,
            open: Vec::new(),
            free: Vec::new(),
            places: HashMap::default(),
            down_since: vec![None; count],
            dies_at_bid: vec![false; count],
            dice,
        };
        for node in 0..count {
            play.start(node as u16);
        }
        for (at, mishap) in mishaps::plan(scenario, seed, from, until) {
            play.push(at, Event::Mishap(mishap));
        }
        play
    }

    fn play_day(&mut self, day: usize) {
        let count = u64::from(self.scenario.auctions_per_day);
        let dice = Random::new(self.seed, Stream::Mishap, 1 << 32 | day as u64);
        let (market, days) = (self.market.clone(), self.days.clone());
        arrival::each(
            &market,
            &days[day],
            (day as u64 * count, count),
            dice,
            |arrival| {
                self.play_events_until(arrival.at);
                self.auction(&arrival);
            },
        );
        self.play_events_until(days[day].until);
    }

    fn play_events_until(&mut self, at: Timestamp) {
        while let Some(Reverse((when, _, event))) = self.queue.peek().copied()
            && when < at
        {
            self.queue.pop();
            self.move_to(when);
            self.play_event(event);
        }
        self.move_to(at);
    }

    /// The fake clock goes on, and the control threads have their turn.
    fn move_to(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
        for node in 0..self.nodes.len() {
            if self.nodes[node].tick(self.now).is_err() {
                self.crash(node);
            }
            self.fetch(node);
        }
        self.lower_when_read();
    }

    fn push(&mut self, at: Timestamp, event: Event) {
        self.queued += 1;
        self.queue.push(Reverse((at, self.queued, event)));
    }

    fn push_in(&mut self, after_ms: i64, event: Event) {
        self.push(Timestamp(self.now.0 + after_ms), event);
    }

    fn play_event(&mut self, event: Event) {
        match event {
            Event::Notice { place, kind, repeat } => self.notice(place, kind, repeat),
            Event::Start { node } => self.start(node),
            Event::Reload { node } => self.nodes[usize::from(node)].set_limits(&self.limits, self.now),
            Event::Mishap(mishap) => self.mishap(mishap),
        }
    }

    fn auction(&mut self, arrival: &Arrival) {
        let minute = self.minute();
        self.tally.auctions += 1;
        self.tally.auction_minutes[minute] = true;
        self.look_at_pace();
        self.slots(|slot| slot.auctions += 1);
        let Some(node) = self.balance() else {
            self.tally.mishaps.missed += 1;
            return;
        };
        let Some(offer) = self.nodes[node].bid(&self.market, &self.terms, arrival, self.now) else {
            return;
        };
        let campaign = self.market.items[offer.item].campaign_account;
        self.tally.bids += 1;
        self.tally.bid_minutes[campaign][minute] = true;
        self.slot(campaign).bids += 1;
        self.tally.mix(&[
            arrival.number,
            offer.item as u64,
            offer.price.0 as u64,
            offer.token.bid.0 as u64,
        ]);
        if std::mem::take(&mut self.dies_at_bid[node]) {
            self.crash(node);
            return;
        }
        self.settle(arrival, offer);
    }

    /// The exchange decides.
    fn settle(&mut self, arrival: &Arrival, offer: Offer) {
        let (visit, rivals) = (&arrival.visit, &arrival.rivals);
        let item = &self.market.items[offer.item];
        let deal = item
            .deal
            .and_then(|id| visit.imp.deals.iter().find(|deal| deal.id == id));
        let (at, floor) = deal.map_or((visit.at, visit.imp.floor), |deal| (deal.at, deal.floor));
        let outcome = settle(at, floor, offer.price.as_units(), rivals);
        if let Some(paced) = offer.open_at {
            self.tally.open_bids.count(&offer, paced, floor, rivals);
        }
        let units = |units: f64| Cpm::from_units(units).unwrap_or(Cpm::ZERO);
        let price = outcome.won.then(|| units(outcome.price).min(offer.price));
        let mut dice = self.market.world.outcome_dice(arrival.number, 0);
        let clicks = price.is_some() && dice.chance(offer.chance.click);
        let buys = clicks && dice.chance(offer.chance.conversion_given_click);
        let post = match price {
            Some(_) => Post::of_win(self.scenario, clicks, &mut dice),
            None => Post::of_loss(self.scenario, &mut dice),
        };
        if let Some(price) = price {
            self.tally.won(&offer, price, clicks, buys);
            let campaign = self.market.items[offer.item].campaign_account;
            let slot = self.slot(campaign);
            slot.wins += 1;
            slot.spent += price.per_impression().as_units();
        }
        let bid = OpenBid {
            token: offer.token,
            item: offer.item,
            price,
            min_to_win: units(outcome.min_to_win),
            on_the_way: post.0.len() as u8,
            win_taken: false,
            loss_taken: false,
            is_booked: false,
            bill_in_doubt: None,
        };
        self.send(bid, post);
    }

    fn send(&mut self, bid: OpenBid, post: Post) {
        self.tally.notices.sent += post.0.len() as u64;
        if post.0.is_empty() {
            return self.forget(&bid);
        }
        let place = self.free.pop().unwrap_or_else(|| {
            self.open.push(None);
            self.open.len() as u32 - 1
        });
        self.places.insert(bid.token.bid, place);
        self.open[place as usize] = Some(bid);
        for (kind, after_ms) in post.0 {
            self.push_in(
                after_ms,
                Event::Notice {
                    place,
                    kind,
                    repeat: 0,
                },
            );
        }
    }

    /// A notice knocks at any node.
    fn notice(&mut self, place: u32, kind: Kind, repeat: u8) {
        let Some(bid) = &self.open[place as usize] else {
            return;
        };
        let (owner, to) = (
            usize::from(bid.token.bid.node()) - 1,
            self.dice.below(self.nodes.len() as u64) as usize,
        );
        let inbound = inbound(
            bid,
            kind,
            self.scenario.min_to_win,
            self.nodes[to].clock(self.now),
        );
        let is_taken = match &self.server {
            _ if !self.nodes[to].is_up() => false,
            Some(server) if to != owner => {
                self.tally.notices.for_another_node += 1;
                server.hand_over(to as u16 + 1, owner as u16 + 1, inbound)
            }
            _ => self.book(owner, &inbound),
        };
        match REPEATS_MS.get(usize::from(repeat)) {
            _ if is_taken => self.tally.notices.taken += 1,
            Some(&after_ms) => {
                self.tally.notices.repeated += 1;
                return self.push_in(
                    after_ms,
                    Event::Notice {
                        place,
                        kind,
                        repeat: repeat + 1,
                    },
                );
            }
            None => self.tally.notices.lost += 1,
        }
        self.told(place);
    }

    /// One notice less is on its way. A bid of which nothing more comes is forgotten, unless it waits for its owner.
    fn told(&mut self, place: u32) {
        let Some(bid) = &mut self.open[place as usize] else {
            return;
        };
        bid.on_the_way -= 1;
        if bid.on_the_way == 0 && (self.server.is_none() || bid.price.is_none()) {
            self.close(place);
        }
    }

    fn close(&mut self, place: u32) {
        if let Some(bid) = self.open[place as usize].take() {
            self.places.remove(&bid.token.bid);
            self.free.push(place);
            self.forget(&bid);
        }
    }

    /// What was billed and never told is known to the exchange alone.
    fn forget(&mut self, bid: &OpenBid) {
        if let Some(price) = bid.price.filter(|_| !bid.is_booked) {
            let accounts = self.accounts_of(bid.item);
            self.oracle
                .billed(&bid.token, accounts, price.per_impression(), Fate::Unknown);
        }
    }

    /// Hands `inbound` to the books of the owner. False where they did not say that they have it.
    fn book(&mut self, owner: usize, inbound: &Inbound) -> bool {
        let at = self.nodes[owner].clock(self.now);
        let mut receipt = None;
        let booked = self.nodes[owner].book(inbound, |record, settled| {
            receipt = Some((record.verdict, settled));
        });
        match receipt {
            Some((verdict, settled)) => self.took(inbound, &verdict, settled, at),
            None if booked.is_err() => self.is_in_doubt(inbound, at),
            None => {}
        }
        match booked {
            Ok(taken) => taken,
            Err(Died) => {
                self.crash(owner);
                false
            }
        }
    }

    /// Whether it is on the disk is seen when it comes again.
    fn is_in_doubt(&mut self, inbound: &Inbound, at: Timestamp) {
        if let Some(bid) = self.open_bid(inbound).filter(|_| inbound.what == What::Bill) {
            bid.bill_in_doubt.get_or_insert(at);
        }
    }

    /// The books of the owner have it, durably.
    fn took(&mut self, inbound: &Inbound, verdict: &Verdict, settled: Option<Settled>, at: Timestamp) {
        let Some(bid) = self.open_bid(inbound) else { return };
        match inbound.what {
            What::Win if !bid.is_booked => bid.win_taken |= bid.is_on_time(at),
            What::Loss { .. } if !bid.win_taken && !bid.is_booked => bid.loss_taken = true,
            _ => {}
        }
        // A bill of which the books know already was booked by the process that died with it.
        let in_doubt = bid.bill_in_doubt.filter(|_| inbound.what == What::Bill);
        let booked_at = match (verdict.booked, in_doubt) {
            _ if bid.is_booked => return,
            (Some(_), _) => at,
            (None, Some(died_at)) => died_at,
            (None, None) => return,
        };
        bid.is_booked = true;
        let fate = if bid.is_on_time(booked_at) {
            Fate::OnTime
        } else {
            Fate::Late
        };
        let (token, item) = (bid.token, bid.item);
        let amount = bid.price.map_or(Nanos::ZERO, Cpm::per_impression);
        if fate == Fate::OnTime && settled.is_some_and(|settled| settled.late > Nanos::ZERO) {
            self.tally.late_by_books_only += 1;
        }
        self.tally.mix(&[
            token.bid.0 as u64,
            amount.0 as u64,
            fate as u64,
            booked_at.0 as u64,
        ]);
        let accounts = self.accounts_of(item);
        self.oracle.billed(&token, accounts, amount, fate);
    }

    fn open_bid(&mut self, inbound: &Inbound) -> Option<&mut OpenBid> {
        let place = self.places.get(&inbound.token.bid)?;
        self.open[*place as usize].as_mut()
    }

    /// Bookings that other nodes took for this one.
    fn fetch(&mut self, node: usize) {
        let Some(server) = self.server.clone() else { return };
        if !self.nodes[node].is_up() {
            return;
        }
        let waiting = server.inbox(node as u16 + 1);
        let mut booked = 0;
        for inbound in &waiting {
            if !self.book(node, inbound) {
                break;
            }
            booked += 1;
        }
        server.fetched(node as u16 + 1, booked);
    }

    /// Any node, but not one that has been down for long.
    fn balance(&mut self) -> Option<usize> {
        let noticed =
            |since: &Option<Timestamp>| since.is_some_and(|since| self.now.since(since) >= NOTICED_AFTER_MS);
        let count = self.down_since.iter().filter(|since| !noticed(since)).count();
        let choice = self.dice.below(count as u64) as usize;
        let node = (0..self.nodes.len())
            .filter(|node| !noticed(&self.down_since[*node]))
            .nth(choice)?;
        self.nodes[node].is_up().then_some(node)
    }

    /// After the last day: everything that is on its way arrives.
    fn drain(&mut self) {
        if let Some(server) = &self.server {
            (1..=self.scenario.nodes).for_each(|number| server.set_way(number, Way::Open));
        }
        while let Some(Reverse((when, _, event))) = self.queue.pop() {
            self.move_to(when);
            if !matches!(event, Event::Mishap(_)) {
                self.play_event(event);
            }
        }
        // What still waits is fetched, and holds, also those that nobody will bill, come to their end.
        for _ in 0..3 {
            self.move_to(Timestamp(self.now.0 + Timestamp::MS_PER_DAY));
        }
        for place in 0..self.open.len() as u32 {
            self.close(place);
        }
    }
}

/// What the exchange says.
fn inbound(bid: &OpenBid, kind: Kind, told: MinToWin, at: Timestamp) -> Inbound {
    let min_to_win = Some(bid.min_to_win).filter(|_| match told {
        MinToWin::All => true,
        MinToWin::Losses => bid.price.is_none(),
        MinToWin::None => false,
    });
    let price = bid.price.map_or(PriceField::Absent, PriceField::Value);
    let (what, price) = match kind {
        Kind::Win => (What::Win, price),
        Kind::Bill => (What::Bill, price),
        Kind::Click => (What::Click, PriceField::Absent),
        Kind::Loss => {
            let what = What::Loss {
                reason: Some(OUTBID),
                min_to_win,
            };
            (what, PriceField::Absent)
        }
    };
    Inbound {
        at,
        token: bid.token,
        what,
        told: Told {
            min_to_win,
            ..Told::default()
        },
        paid: Paid {
            price,
            ..Paid::NOTHING
        },
        shown_at: None,
    }
}
