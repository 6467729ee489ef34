//! All markets: a fixed table that workers read without waiting and one thread teaches.
//!
//! Memory is taken at the start: about 5 KB a market. Once the table is full, new markets bid by the next coarser one.

use super::Outcome;
use super::binary::{Binary, LogNormal};
use super::curve::Curve;
use super::drift::Drift;
use super::grid::{self, STEPS};
use super::path::{MarketName, MarketPath, PLACEMENTS, Ticket};
use super::told::Told;
use crate::units::{Cpm, MixHasher, ObjectId, Timestamp};
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Told prices at which the histogram weighs as much as the fitted curve.
const TOLD_TRUST: f64 = 200.0;
/// Observations at which a market weighs as much as the next coarser one.
const OWN_TRUST: f64 = 300.0;
/// When a market is weighed, an observation counts half after 8,000 others.
const COUNT_KEPT: f64 = super::kept_after_one(8_000.0);
/// Outcomes of all markets together before bids are shaded by what was learnt; until then they are spread out.
const LEARNING: u64 = 200;
/// Bids while nothing is known: the value times a factor drawn evenly from here to 1.
const LEARNING_LOWEST: f64 = 0.5;
/// One bid in so many looks beside the optimum where a market is known well, stays as it is, and tells prices to win.
/// Where it tells none these bids may be all that shows the slope of a curve: twice as many.
const EXPLORED_LEAST: u32 = 100;
/// The same where it is new or has just moved.
const EXPLORED_MOST: u32 = 8;
/// Between the two where prices are told: one in a hundredth of what was observed. Where none are, one in as many as the squared number
/// of standard errors by which the slope is known: a bid from a slope that is off by a fifth, as with 25, earns some 3 % less.
const EXPLORED_BY_COUNT: f64 = 0.01;
/// Observations that are left of a market that has moved.
const KEPT_OF_MOVED: f64 = 100.0;
/// How far beside: within ± 40 %.
const EXPLORED_LOG: f64 = 0.35;
/// A curve is worked out anew after as many observations as are a sixteenth of those that were made, and after this many at the latest:
/// they move what a market knows well by a hundredth of its weight at most.
const PUBLISHED_EVERY: u64 = 32;
const PUBLISHED_BY_SHARE: u64 = 16;
/// Places looked at before a market counts as not fitting in.
const PROBES_MAX: usize = 16;

/// More than any set of exchanges has; a [`Ticket`](super::Ticket) has room for it.
pub const MARKETS_MAX: usize = 1 << 20;

/// The market of all markets.
const ROOT: MarketId = MarketId(0);

/// A place in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MarketId(pub u32);

/// A bid for a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shaded {
    pub bid: Cpm,
    /// The expected chance to win.
    pub win_rate: f32,
    /// Drawn beside the optimum, to learn.
    pub explored: bool,
}

/// What is known of every market.
pub struct Markets {
    /// The first one is the market of all markets.
    places: Box<[Place]>,
    /// Outcomes seen, of all markets.
    outcomes: AtomicU64,
}

struct Place {
    /// 0 = free.
    key: AtomicU64,
    /// The next coarser market, and the name. Written just after the key is taken: whoever comes between learns from all
    /// markets, and does not show this one.
    parent: AtomicU32,
    exchange: AtomicU64,
    rest: AtomicU64,
    /// The last time that an exchange said how a bid ended, of all its placements: milliseconds since 1970.
    heard: AtomicI64,
    curve: Curve,
    learnt: Mutex<Learnt>,
}

/// What one market knows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Learnt {
    pub binary: Binary,
    pub told: Told,
    pub drift: Drift,
    /// Fading count of observations.
    pub count: f64,
    /// Ever.
    pub observed: u64,
    pub won: u64,
}

/// For pages and tests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarketView {
    /// `None` = all markets.
    pub exchange: Option<ObjectId>,
    /// `at` of the requests.
    pub auction: u16,
    /// `mtype` of the bids.
    pub format: u8,
    /// `None` = all placements.
    pub placement: Option<u16>,
    /// One bid in so many looks beside the optimum.
    pub explored_one_in: u32,
    pub observed: u64,
    pub won: u64,
    /// Prices to win at which a bid wins 10, 50 and 90 % of the time, in CPM of the accounting currency.
    pub prices: [Cpm; 3],
}

impl fmt::Debug for Markets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Markets with room for {}", self.places.len())
    }
}

impl Default for Markets {
    /// With room for all placements of 32 pairs of exchange and format.
    fn default() -> Self {
        Markets::new(32 * usize::from(PLACEMENTS))
    }
}

impl Markets {
    /// With room for about `markets_max` markets, at most [`MARKETS_MAX`]; and for a handful always.
    pub fn new(markets_max: usize) -> Markets {
        let markets_max = markets_max.min(MARKETS_MAX);
        // A quarter more, so that probing stays short.
        let places = (markets_max + markets_max / 4).max(PROBES_MAX) + 1;
        let places: Box<[Place]> = (0..places).map(|_| Place::new()).collect();
        places[0].learnt().publish(&places[0].curve, None);
        Markets {
            places,
            outcomes: AtomicU64::new(0),
        }
    }

    /// The market of a path: the finest that has room. Takes no lock; allocates nothing.
    pub fn find(&self, path: MarketPath) -> MarketId {
        let exchange = self.intern(MarketName::of_exchange(path), ROOT).unwrap_or(ROOT);
        self.intern(MarketName::of(path), exchange).unwrap_or(exchange)
    }

    /// The market of a name, as [`find`](Markets::find) finds it.
    pub fn find_name(&self, name: MarketName) -> MarketId {
        let coarser = name
            .coarser()
            .map_or(Some(ROOT), |coarser| self.intern(coarser, ROOT));
        let coarser = coarser.unwrap_or(ROOT);
        self.intern(name, coarser).unwrap_or(coarser)
    }

    /// `None` = the market of all markets.
    pub fn name_of(&self, market: MarketId) -> Option<MarketName> {
        self.place(market).name()
    }

    /// The bid for something worth `value`, between `floor` (≤ `value`) and `value`.
    pub fn shade(&self, market: MarketId, value: Cpm, floor: Cpm, seed: u64) -> Shaded {
        debug_assert!(floor <= value);
        let curve = &self.place(market).curve;
        // Relaxed: a count that nothing is read behind.
        let known = self.outcomes.load(Ordering::Relaxed) >= LEARNING;
        // The same for all values: what is worth more never bids less for the same seed.
        let dice = MixHasher::mix(seed, market.0.into());
        let explored = !known || dice.is_multiple_of(curve.explored_one_in().into());
        // 53 bits of the dice above those that chose.
        let share = (dice >> 11) as f64 / (1_u64 << 53) as f64;
        let (start, factor) = match (known, explored) {
            (false, _) => (value, LEARNING_LOWEST + (1.0 - LEARNING_LOWEST) * share),
            (true, true) => (
                curve.best(value, floor),
                (EXPLORED_LOG * (2.0 * share - 1.0)).exp(),
            ),
            (true, false) => (curve.best(value, floor), 1.0),
        };
        let bid = Cpm((start.0 as f64 * factor) as i64).clamp(floor, value);
        Shaded {
            bid,
            win_rate: curve.win_rate(bid) as f32,
            explored,
        }
    }

    /// The chance that a bid wins in a market.
    pub fn win_rate(&self, market: MarketId, bid: Cpm) -> f64 {
        self.place(market).curve.win_rate(bid)
    }

    /// Learns from one bid, in its market and in all coarser ones. `market` is what [`find`](Markets::find) said when the
    /// bid was made; a place that is not in this table (made smaller since) teaches all markets.
    pub fn observe(&self, market: MarketId, bid: Cpm, outcome: Outcome) {
        self.outcomes.fetch_add(1, Ordering::Relaxed);
        let mut at = market;
        while at != ROOT {
            let parent = self.parent(at);
            self.teach(at, Some(parent), bid, outcome);
            at = parent;
        }
        self.teach(ROOT, None, bid, outcome);
    }

    /// An exchange has said how a bid in this market ended.
    pub fn hear(&self, market: MarketId, at: Timestamp) {
        self.heard_of(market).fetch_max(at.0, Ordering::Relaxed);
    }

    /// Nothing was heard of a bid, made at `bid_at`, until the end of its hold. That is a loss where the exchange has said
    /// how others ended since: few lost notices lower all of F alike, which moves no bid. Where nothing comes any more it
    /// says nothing. Returns whether it was taken for a loss.
    pub fn observe_silence(&self, ticket: Ticket, bid_at: Timestamp) -> bool {
        let speaks = self.heard_of(ticket.market).load(Ordering::Relaxed) >= bid_at.0;
        if speaks {
            self.observe(ticket.market, ticket.bid, Outcome::Lost);
        }
        speaks
    }

    /// All markets together, then every one that was bid in.
    pub fn views(&self) -> Vec<MarketView> {
        let used = |(place, at): (&Place, usize)| {
            let name = place.name();
            (name.is_some() || at == 0).then(|| place.view(name))
        };
        self.places.iter().zip(0..).filter_map(used).collect()
    }

    fn teach(&self, at: MarketId, parent: Option<MarketId>, bid: Cpm, outcome: Outcome) {
        let place = self.place(at);
        let mut learnt = place.learnt();
        learnt.observe(bid, outcome, &place.curve);
        let every = (learnt.observed / PUBLISHED_BY_SHARE).clamp(1, PUBLISHED_EVERY);
        if learnt.observed.is_multiple_of(every) {
            learnt.binary.fit();
            learnt.publish(&place.curve, parent.map(|parent| &self.place(parent).curve));
        }
    }

    fn place(&self, market: MarketId) -> &Place {
        self.places.get(market.0 as usize).unwrap_or(&self.places[0])
    }

    /// Of the market, or of the one with all its placements. Relaxed: a number on its own.
    fn heard_of(&self, market: MarketId) -> &AtomicI64 {
        let coarser = self.parent(market);
        let exchange = if coarser == ROOT { market } else { coarser };
        &self.place(exchange).heard
    }

    fn parent(&self, market: MarketId) -> MarketId {
        MarketId(self.place(market).parent.load(Ordering::Relaxed))
    }

    fn intern(&self, name: MarketName, parent: MarketId) -> Option<MarketId> {
        let key = name.key();
        let room = self.places.len() as u64 - 1;
        let start = MixHasher::mix(key, 0) % room;
        for probe in 0..PROBES_MAX as u64 {
            let at = 1 + ((start + probe) % room) as u32;
            let place = &self.places[at as usize];
            let free = || {
                place
                    .key
                    .compare_exchange(0, key, Ordering::AcqRel, Ordering::Acquire)
            };
            match place.key.load(Ordering::Acquire) {
                0 => match free() {
                    Ok(_) => {
                        place.settle_in(name, parent, &self.place(parent).curve);
                        return Some(MarketId(at));
                    }
                    Err(taken) if taken == key => return Some(MarketId(at)),
                    Err(_) => {}
                },
                found if found == key => return Some(MarketId(at)),
                _ => {}
            }
        }
        None
    }

    /// Every market that has learnt something, with its name (`None` = all markets).
    pub(super) fn for_each(&self, mut visit: impl FnMut(Option<MarketName>, &Learnt)) {
        for (at, place) in self.places.iter().enumerate() {
            let (name, learnt) = (place.name(), place.learnt());
            if at == 0 || (name.is_some() && learnt.observed > 0) {
                visit(name, &learnt);
            }
        }
    }

    /// Puts back what a market knew, coarser ones first. One that has no room (any more) is left out.
    pub(super) fn put_back(&self, name: Option<MarketName>, learnt: Learnt) {
        let Some(name) = name else {
            self.outcomes.store(learnt.observed, Ordering::Relaxed);
            return self.places[0].put_back(learnt, None);
        };
        let coarser = name
            .coarser()
            .map_or(Some(ROOT), |coarser| self.intern(coarser, ROOT));
        let place = coarser.and_then(|coarser| Some((self.intern(name, coarser)?, coarser)));
        if let Some((at, coarser)) = place {
            self.place(at).put_back(learnt, Some(&self.place(coarser).curve));
        }
    }
}

impl Place {
    fn new() -> Place {
        let learnt = Learnt::new(LogNormal::UNKNOWN);
        Place {
            key: AtomicU64::new(0),
            parent: AtomicU32::new(ROOT.0),
            exchange: AtomicU64::new(0),
            rest: AtomicU64::new(0),
            heard: AtomicI64::new(0),
            curve: Curve::new(),
            learnt: Mutex::new(learnt),
        }
    }

    /// A new market begins where the next coarser one stands.
    fn settle_in(&self, name: MarketName, parent: MarketId, coarser: &Curve) {
        self.parent.store(parent.0, Ordering::Relaxed);
        self.exchange.store(name.exchange.0, Ordering::Relaxed);
        // Release: who sees it sees the exchange too.
        self.rest.store(name.to_bits(), Ordering::Release);
        for step in 0..STEPS {
            self.curve.publish(step, coarser.at(step));
        }
        self.curve.explore_one_in(EXPLORED_MOST);
    }

    fn name(&self) -> Option<MarketName> {
        let rest = self.rest.load(Ordering::Acquire);
        let exchange = ObjectId(self.exchange.load(Ordering::Relaxed));
        MarketName::from_bits(exchange, rest)
    }

    fn put_back(&self, learnt: Learnt, coarser: Option<&Curve>) {
        learnt.publish(&self.curve, coarser);
        *self.learnt() = learnt;
    }

    fn learnt(&self) -> MutexGuard<'_, Learnt> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self, name: Option<MarketName>) -> MarketView {
        let learnt = self.learnt();
        let price_at = |share: f64| {
            let step = (0..STEPS)
                .find(|&step| self.curve.at(step) >= share)
                .unwrap_or(STEPS - 1);
            Cpm::from_units(grid::prices()[step]).unwrap_or(Cpm::MAX)
        };
        MarketView {
            exchange: name.map(|name| name.exchange),
            auction: name.map_or(0, MarketName::auction),
            format: name.map_or(0, MarketName::format),
            placement: name.and_then(MarketName::placement),
            explored_one_in: self.curve.explored_one_in(),
            observed: learnt.observed,
            won: learnt.won,
            prices: [0.1, 0.5, 0.9].map(price_at),
        }
    }
}

impl Learnt {
    pub fn new(start: LogNormal) -> Learnt {
        Learnt {
            binary: Binary::new(start),
            told: Told::default(),
            drift: Drift::default(),
            count: 0.0,
            observed: 0,
            won: 0,
        }
    }

    fn observe(&mut self, bid: Cpm, outcome: Outcome, believed: &Curve) {
        let log_bid = grid::log_of(bid);
        if self.drift.observe(self.binary.expected(log_bid), outcome.won()) {
            self.binary.forget();
            self.told.forget(KEPT_OF_MOVED);
            self.count = self.count.min(OWN_TRUST);
        }
        self.binary.observe(log_bid, outcome.won());
        match outcome.told(bid) {
            Some(price) => self.told.observe_price(grid::log_of(price)),
            None => self.told.observe_bid(log_bid, outcome.won(), believed),
        }
        self.count = self.count * COUNT_KEPT + 1.0;
        self.observed += 1;
        self.won += u64::from(outcome.won());
    }

    /// Works the curve out.
    fn publish(&self, curve: &Curve, coarser: Option<&Curve>) {
        let fitted = self.binary.curve();
        let told = self.told.cumulative();
        let of_told = self.told.count() / (self.told.count() + TOLD_TRUST);
        let of_own = coarser.map_or(1.0, |_| self.count / (self.count + OWN_TRUST));
        let untold = self.told.count() < TOLD_TRUST;
        let halved = if untold { 2 } else { 1 };
        let known = if untold {
            self.binary.certainty()
        } else {
            self.count * EXPLORED_BY_COUNT
        };
        let by_count = known as u32;
        curve.explore_one_in((by_count.min(EXPLORED_LEAST) / halved).max(EXPLORED_MOST));
        for step in 0..STEPS {
            let fitted = fitted.win_rate(grid::log_price(step));
            let own = told
                .as_ref()
                .map_or(fitted, |told| fitted + of_told * (told[step] - fitted));
            let coarser = coarser.map_or(own, |coarser| coarser.at(step));
            curve.publish(step, coarser + of_own * (own - coarser));
        }
    }
}
