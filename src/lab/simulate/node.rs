//! One bidder: the real budgets, caps, books and leases over a disk that a crash does not harm, and the process that dies.
//!
//! Invariant: whatever a process knew and its disks do not is gone with it.

use super::arrival::Arrival;
use super::authority::{Server, Way};
use super::disk::Disk;
use super::market::{Chance, Item, Market};
use super::scenario::Shading;
use crate::caps::Caps;
use crate::engine::{Auction, Pace, Sale, Shade, Shader, Slot, bid_price};
use crate::events::booking::Record;
use crate::events::bookkeeper::BooksSettings;
use crate::events::books::Books;
use crate::events::notice::Inbound;
use crate::events::office::Office;
use crate::events::silence::Silence;
use crate::events::token::{Format, ImpRef, Token};
use crate::openrtb::notice::PriceUnit;
use crate::pacing::lease::{Authority, LocalAuthority};
use crate::pacing::{Account, Budgets, Drive, ExchangeHolds, ExchangeTraffic, Leases, PacePlan, Settled};
use crate::shading::Markets;
use crate::store::exchange::BillingEvent;
use crate::store::rates::Rate;
use crate::units::{BidId, Cpm, Currency, Limits, MixHasher, Nanos, ObjectId, Timestamp, UserKey};
use jiff::tz::TimeZone;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use world::Visit;

/// All people of the world, and then some.
const USERS_MAX: usize = 1 << 15;
/// The control thread has its turn this often: a tenth of what it has in the product, and two steps of the pace at once.
const TICK_MS: i64 = 2_000;
/// Caps that are over are let go of this often.
const CAPS_EVERY_MS: i64 = 3_600_000;
/// A checkpoint is made after so many records: some twenty a day.
const CHECKPOINT_RECORDS: u64 = 20_000;
/// Checkpoints, and with them the segments behind the oldest, that stay on the disk.
const KEPT: usize = 3;
/// Of a bid that wins, until when it may be billed.
pub const EXP_S: u32 = 3_600;

/// What all nodes have in common.
pub struct Terms {
    pub zone: TimeZone,
    pub win_hold_s: u32,
    pub exchange: ObjectId,
    /// Of all accounts.
    pub plan: PacePlan,
    pub shading: Shading,
    /// Open bids that a node has room for.
    pub holds_max: usize,
}

pub struct Node {
    pub number: u16,
    /// Its clock is that much ahead.
    pub skew_ms: i64,
    books: Disk,
    leases: Disk,
    /// Where it shares budgets.
    server: Option<Server>,
    boots: u32,
    process: Option<Process>,
}

struct Process {
    budgets: Arc<Budgets>,
    caps: Arc<Caps>,
    markets: Arc<Markets>,
    silence: Silence,
    accounts: Vec<Arc<Account>>,
    office: Office,
    leases: Leases,
    holds: Arc<ExchangeHolds>,
    requests: Arc<ExchangeTraffic>,
    next_bid: u64,
    ticked_at: Timestamp,
    caps_ticked_at: Timestamp,
}

/// A bid that goes out.
pub struct Offer {
    pub item: usize,
    pub chance: Chance,
    pub price: Cpm,
    /// In the open first-price auction: the paced value that the price is from, stretched where the budget would be left over.
    pub open_at: Option<Cpm>,
    pub explored: bool,
    pub token: Token,
}

/// What a node would bid for one item.
struct Priced {
    item: usize,
    chance: Chance,
    price: Cpm,
    open_at: Option<Cpm>,
    shade: Option<Shade>,
}

/// The process died in the middle of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Died;

impl Node {
    pub fn new(number: u16, seed: u64, skew_ms: i64, server: Option<Server>) -> Node {
        let disk = |which| Disk::new(seed, u64::from(number) << 8 | which);
        Node {
            number,
            skew_ms,
            books: disk(0),
            leases: disk(1),
            server,
            boots: 0,
            process: None,
        }
    }

    pub fn is_up(&self) -> bool {
        self.process.is_some()
    }

    pub fn clock(&self, at: Timestamp) -> Timestamp {
        Timestamp(at.0 + self.skew_ms)
    }

    /// Reads the disks and begins a lease, as a start does. False while the server of the leases does not answer.
    pub fn start(&mut self, market: &Market, limits: &[Limits], terms: &Terms, at: Timestamp) -> bool {
        if self
            .server
            .as_ref()
            .is_some_and(|server| server.way(self.number) != Way::Open)
        {
            return false;
        }
        let now = self.clock(at);
        let budgets = Arc::new(Budgets::leased(terms.holds_max));
        budgets.want_hold(terms.win_hold_s);
        let open = |(account, limits): (&super::market::AccountTerms, &Limits)| {
            let opened = budgets.account(account.id, account.name, account.kind, &terms.zone, now);
            opened.set_limits(*limits, now);
            opened.set_plan(terms.plan.clone());
            opened
        };
        let accounts: Vec<_> = market.accounts.iter().zip(limits).map(open).collect();
        let caps = Arc::new(Caps::new(USERS_MAX));
        caps.set_rules(market.items.iter().flat_map(|item| item.caps.iter().copied()));
        let settings = BooksSettings {
            checkpoint_records: CHECKPOINT_RECORDS,
            ..BooksSettings::new(PathBuf::new())
        };
        let markets = Arc::new(match terms.shading {
            Shading::On => Markets::default(),
            Shading::Off | Shading::Fixed(_) => Markets::new(0),
        });
        let books = Books::new(budgets.clone(), caps.clone(), settings.memory).teaching(markets.clone());
        let office = match Office::open(&settings, Arc::new(self.books.clone()), books, now) {
            Ok((office, _)) => office,
            Err(error) => return self.died_in_start(&error),
        };
        let authority: Box<dyn Authority> = match &self.server {
            Some(server) => Box::new(server.line(self.number)),
            None => match LocalAuthority::open_in(Arc::new(self.leases.clone())) {
                Ok(local) => Box::new(local),
                Err(error) => return self.died_in_start(&error),
            },
        };
        let leases = match Leases::begin(authority, budgets.clone(), self.number, now) {
            Ok(leases) => leases,
            Err(error) => return self.died_in_start(&error),
        };
        let holds = budgets.hold_times().of(terms.exchange);
        let requests = budgets.traffic().of(terms.exchange);
        self.boots += 1;
        self.process = Some(Process {
            budgets,
            caps,
            markets,
            silence: Silence::default(),
            accounts,
            office,
            leases,
            holds,
            requests,
            next_bid: 0,
            ticked_at: now,
            caps_ticked_at: now,
        });
        true
    }

    /// A process that is to die in one of its next writes may do so while it starts. Whatever else a crash leaves can be read.
    fn died_in_start(&mut self, error: &dyn std::error::Error) -> bool {
        assert!(self.survived().is_err(), "node {}: {error}", self.number);
        self.crash();
        false
    }

    /// The machine loses its power.
    pub fn crash(&mut self) {
        self.process = None;
        self.books.crash();
        self.leases.crash();
    }

    /// The process will die in the middle of one of its next writes.
    pub fn light_fuse(&self, operations: u32, books: bool) {
        let disk = if books || self.server.is_some() {
            &self.books
        } else {
            &self.leases
        };
        disk.light_fuse(operations);
    }

    /// Ends in order: everything booked, leases given back.
    pub fn stop(&mut self, at: Timestamp) -> Result<(), Died> {
        let now = self.clock(at);
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        process.office.checkpoint().map_err(|_| Died)?;
        // A server that does not answer now has the leases on record as they are, which is on the safe side.
        let _ = process.leases.end(now);
        self.survived()
    }

    /// The control thread's turn.
    pub fn tick(&mut self, at: Timestamp) -> Result<(), Died> {
        let now = self.clock(at);
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        if now.since(process.ticked_at) < TICK_MS {
            return Ok(());
        }
        process.ticked_at = now;
        process.silence.tick(&process.budgets, &process.markets, now);
        if now.since(process.caps_ticked_at) >= CAPS_EVERY_MS {
            process.caps_ticked_at = now;
            process.caps.tick(now);
        }
        // Without an answer the node bids on from what it has.
        let _ = process.leases.tick(now);
        if process.office.is_checkpoint_due() {
            process.office.checkpoint().map_err(|_| Died)?;
            self.books.archive("books-", ".seg", KEPT);
        }
        self.survived()
    }

    pub fn set_limits(&self, limits: &[Limits], at: Timestamp) {
        let now = self.clock(at);
        if let Some(process) = &self.process {
            for (account, limits) in process.accounts.iter().zip(limits) {
                account.set_limits(*limits, now);
            }
        }
    }

    /// What the node answers to a visit: its best item, if there is money for it.
    /// The number of the auction is the seed of its request.
    pub fn bid(&mut self, market: &Market, terms: &Terms, arrival: &Arrival, at: Timestamp) -> Option<Offer> {
        let now = self.clock(at);
        let visit = &arrival.visit;
        let (number, boots) = (self.number, self.boots);
        let process = self.process.as_mut()?;
        process.requests.count();
        let user = UserKey(visit.person as u64 + 1);
        let priced = process.best(market, terms, arrival, user, now)?;
        let (of, price) = (&market.items[priced.item], priced.price);
        let hold_s = process.win_hold_s(terms, visit).min(EXP_S.max(terms.win_hold_s));
        let reserved = price.per_impression();
        process.next_bid += 1;
        let token = Token {
            bid: BidId::new(number, boots, process.next_bid),
            lease: process.budgets.lease(),
            win_hold_end: now + Duration::from_secs(hold_s.into()),
            ..token(of, market, terms, visit, user, price, now)
        };
        process
            .take_money(of, &token, (reserved, priced.ticket()), now)
            .then_some(Offer {
                item: priced.item,
                chance: priced.chance,
                price,
                open_at: priced.open_at,
                explored: priced.shade.is_some_and(|shade| shade.explored),
                token,
            })
    }

    /// Books what has come in; tells of it once it is durable.
    pub fn book(
        &mut self,
        inbound: &Inbound,
        mut told: impl FnMut(&Record, Option<Settled>),
    ) -> Result<bool, Died> {
        let Some(process) = &mut self.process else {
            return Ok(false);
        };
        let taken = process.office.take(inbound, false).map_err(|_| Died)?;
        process.office.commit(&mut told).map_err(|_| Died)?;
        self.survived()?;
        Ok(taken.is_ok())
    }

    pub fn accounts(&self) -> Option<&[Arc<Account>]> {
        self.process.as_ref().map(|process| process.accounts.as_slice())
    }

    fn survived(&self) -> Result<(), Died> {
        if self.books.is_dead() || self.leases.is_dead() {
            Err(Died)
        } else {
            Ok(())
        }
    }
}

impl Process {
    /// The item that bids most.
    fn best(
        &self,
        market: &Market,
        terms: &Terms,
        arrival: &Arrival,
        user: UserKey,
        now: Timestamp,
    ) -> Option<Priced> {
        let (visit, seed) = (&arrival.visit, arrival.number);
        let shader = self.shader(terms, visit, seed);
        let mut best: Option<Priced> = None;
        for (index, item) in market.items.iter().enumerate() {
            let (Some(sale), Some(chance)) = (sale(item, visit), arrival.chances[index]) else {
                continue;
            };
            let pace = Pace::new(self.drive(item), seed, index as u32);
            let shade = |range| shader.as_ref()?.shade(slot(visit), range);
            let Ok((price, shade)) = bid_price(chance.value, &sale, &pace, shade) else {
                continue;
            };
            let priced = Priced {
                item: index,
                chance,
                price,
                open_at: sale
                    .is_open_first_price()
                    .then(|| shade.map_or(price, |shade| shade.value)),
                shade,
            };
            let priced = priced.at_factor(terms.shading, sale.floor);
            if best.as_ref().is_some_and(|best| priced.price <= best.price) {
                continue;
            }
            let amount = priced.price.per_impression();
            let has_money = [item.account, item.campaign_account]
                .map(|account| self.accounts[account].has_free(amount, now))
                .iter()
                .all(|free| *free);
            if has_money && self.caps.allows(user, &item.caps, now).is_ok() {
                best = Some(priced);
            }
        }
        best
    }

    /// `None` where the exchange's bids are not shaded.
    fn shader(&self, terms: &Terms, visit: &Visit, seed: u64) -> Option<Shader<'_>> {
        (terms.shading == Shading::On).then(|| Shader {
            markets: &self.markets,
            exchange: terms.exchange,
            auction: visit.at as u16,
            place: u64::from(visit.imp.context.property),
            seed: MixHasher::mix(seed, 0),
        })
    }

    fn drive(&self, item: &Item) -> Drive {
        self.accounts[item.account].drive_under(&self.accounts[item.campaign_account])
    }

    fn win_hold_s(&self, terms: &Terms, visit: &Visit) -> u32 {
        let learnt = self.holds.hold_s(format(visit) as u8);
        learnt.unwrap_or(terms.win_hold_s).min(self.budgets.hold_max_s())
    }

    /// Holds the money and the user's one chance, both or neither.
    fn take_money(
        &self,
        item: &Item,
        token: &Token,
        (reserved, ticket): (Nanos, u64),
        now: Timestamp,
    ) -> bool {
        let accounts = [
            &*self.accounts[item.account],
            &*self.accounts[item.campaign_account],
        ];
        let Ok(reservation) = self.budgets.reserve(&accounts, reserved, now) else {
            return false;
        };
        let until = token.win_hold_end;
        let capped = token.user.filter(|_| !item.caps.is_empty());
        if let Some(user) = capped
            && !self.caps.provisional(user, item.line_item, token.bid, now, until)
        {
            return false;
        }
        reservation.commit_noting(token.bid, until, ticket).is_ok()
    }
}

impl Priced {
    /// At a fixed share of the paced value, where that is what is played.
    fn at_factor(self, shading: Shading, floor: Cpm) -> Priced {
        match (shading, self.open_at) {
            (Shading::Fixed(factor), Some(paced)) => Priced {
                price: Shading::price(factor, paced, floor),
                ..self
            },
            _ => self,
        }
    }

    /// What its hold notes; 0 = nothing.
    fn ticket(&self) -> u64 {
        self.shade.map_or(0, |shade| shade.ticket(self.price).to_bits())
    }
}

/// How this visit is sold to the item; `None` where it does not buy it.
fn sale(item: &Item, visit: &Visit) -> Option<Sale> {
    let deal = match item.deal {
        Some(id) => Some(visit.imp.deals.iter().find(|deal| deal.id == id)?),
        None => None,
    };
    Some(Sale {
        auction: Auction::of(visit.at, deal.map(|deal| deal.at)),
        floor: Cpm::from_units(deal.map_or(visit.imp.floor, |deal| deal.floor))?,
        in_deal: deal.is_some(),
        guaranteed: false,
        delivered: false,
    })
}

fn slot(visit: &Visit) -> Slot {
    Slot {
        format: format(visit) as u8,
        size: visit
            .imp
            .sizes
            .first()
            .copied()
            .filter(|_| format(visit) == Format::Banner),
    }
}

fn format(visit: &Visit) -> Format {
    match visit.imp.format {
        world::Format::Banner => Format::Banner,
        world::Format::Video => Format::Video,
        world::Format::Native => Format::Native,
    }
}

/// Sealing it is left out: what is opened again is what was sealed.
fn token(
    item: &Item,
    market: &Market,
    terms: &Terms,
    visit: &Visit,
    user: UserKey,
    price: Cpm,
    now: Timestamp,
) -> Token {
    Token {
        bid: BidId(0),
        lease: 0,
        budget_day: now.day() as u16,
        bid_time: now,
        win_hold_end: now,
        hold_end: now + Duration::from_secs(EXP_S.max(2 * terms.win_hold_s).into()),
        exchange: terms.exchange,
        imp: ImpRef { index: 0, hash: 0 },
        format: format(visit),
        line_item_account: market.accounts[item.account].id,
        campaign_account: market.accounts[item.campaign_account].id,
        line_item: item.line_item,
        campaign: item.campaign,
        advertiser: item.campaign,
        creative: item.line_item,
        deal: item.deal.map(ObjectId::of),
        reserved: price.per_impression(),
        rate: Rate::ONE,
        currency: Currency::USD,
        price,
        billing: BillingEvent::Burl,
        price_unit: PriceUnit::Cpm,
        test: false,
        user: Some(user),
        consent: None,
        profile_used: false,
        arms: 0,
    }
}
