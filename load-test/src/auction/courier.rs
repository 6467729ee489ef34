//! Delivers notices over connections of its own: what one impression leads to is delivered in order, again after a 503.
//!
//! Invariant: a journey ends by delivery of its last stop, never silently.

use super::tally::NoticeCounts;
use crate::client::{Connection, LossKind, Poller, Ready, Step};
use crate::target::{self, Target};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What a notice reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Win,
    Bill,
    Loss,
    Impression,
    VideoEvent,
    ClickTracker,
    Click,
    Conversion,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Win => "win",
            Kind::Bill => "bill",
            Kind::Loss => "loss",
            Kind::Impression => "impression",
            Kind::VideoEvent => "video event",
            Kind::ClickTracker => "click tracker",
            Kind::Click => "click",
            Kind::Conversion => "conversion",
        }
    }
}

/// One GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    pub kind: Kind,
    pub target: Target,
}

/// What a person buys after a click.
#[derive(Clone, Debug, PartialEq)]
pub struct Purchase {
    pub value: f64,
    pub order: String,
}

/// Everything that follows from one bid, in order.
#[derive(Clone, Debug, Default)]
pub struct Journey {
    stops: VecDeque<Stop>,
    /// Follows a click that was answered with a redirect.
    purchase: Option<Purchase>,
    tries: u32,
    /// The connection ended once without an answer to this stop.
    lost_once: bool,
}

impl Journey {
    pub fn then(&mut self, kind: Kind, target: Target) {
        self.stops.push_back(Stop { kind, target });
    }

    pub fn buys(&mut self, purchase: Purchase) {
        self.purchase = Some(purchase);
    }

    pub fn stops(&self) -> impl Iterator<Item = &Stop> {
        self.stops.iter()
    }
}

/// Pause after a 503, and how often a stop is tried in all: half a minute of patience. Exchanges have a minute (OpenRTB 2.6
/// section 7.8).
const RETRY_PAUSE: Duration = Duration::from_millis(250);
const TRIES_MAX: u32 = 120;
/// A notice without an answer after this long is given up.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Courier {
    poller: Poller,
    slots: Vec<Slot>,
    waiting: VecDeque<Journey>,
    /// Until when each is put off; the pause is the same for all, so they stand in order.
    later: VecDeque<(Instant, Journey)>,
    addresses: HashMap<String, Option<SocketAddr>>,
    counts: BTreeMap<&'static str, NoticeCounts>,
    conversions: u64,
    conversion_value: f64,
    backlog_max: u64,
    ready: Vec<Ready>,
    request: Vec<u8>,
}

struct Slot {
    connection: Connection,
    address: Option<SocketAddr>,
    journey: Option<Journey>,
    since: Instant,
}

impl Courier {
    /// # Errors
    /// When the operating system refuses a poller.
    pub fn new(connections: usize) -> std::io::Result<Courier> {
        let slot = || Slot {
            connection: Connection::new(),
            address: None,
            journey: None,
            since: Instant::now(),
        };
        Ok(Courier {
            poller: Poller::new()?,
            slots: std::iter::repeat_with(slot).take(connections.max(1)).collect(),
            waiting: VecDeque::new(),
            later: VecDeque::new(),
            addresses: HashMap::new(),
            counts: BTreeMap::new(),
            conversions: 0,
            conversion_value: 0.0,
            backlog_max: 0,
            ready: Vec::new(),
            request: Vec::new(),
        })
    }

    pub fn take(&mut self, journey: Journey) {
        if !journey.stops.is_empty() {
            self.waiting.push_back(journey);
            self.backlog_max = self.backlog_max.max(self.backlog());
        }
    }

    /// Journeys that are not finished.
    pub fn backlog(&self) -> u64 {
        let under_way = self.slots.iter().filter(|slot| slot.journey.is_some()).count();
        (self.waiting.len() + self.later.len() + under_way) as u64
    }

    pub fn backlog_max(&self) -> u64 {
        self.backlog_max
    }

    /// By the name of their kind.
    pub fn counts(&self) -> &BTreeMap<&'static str, NoticeCounts> {
        &self.counts
    }

    /// Conversions that were accepted, and their value.
    pub fn conversions(&self) -> (u64, f64) {
        (self.conversions, self.conversion_value)
    }

    /// Sends what can be sent and reads what has come, waiting at most `wait` for it.
    ///
    /// # Errors
    /// When the poller fails.
    pub fn turn(&mut self, wait: Duration) -> std::io::Result<()> {
        let now = Instant::now();
        while self.later.front().is_some_and(|(until, _)| *until <= now) {
            self.waiting
                .extend(self.later.pop_front().map(|(_, journey)| journey));
        }
        self.expire(now);
        self.assign();
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        self.poller.wait(wait, &mut ready)?;
        for ready in &ready {
            self.look(ready);
        }
        self.ready = ready;
        self.assign();
        Ok(())
    }

    fn assign(&mut self) {
        for at in 0..self.slots.len() {
            while self.slots[at].journey.is_none() {
                let Some(journey) = self.waiting.pop_front() else {
                    return;
                };
                self.start(at, journey);
            }
        }
    }

    /// Goes to the next stop of a journey on a connection that is free.
    fn start(&mut self, at: usize, journey: Journey) {
        let Some(stop) = journey.stops.front() else { return };
        let Some(address) = self.address_of(&stop.target.authority) else {
            return self.give_up(journey);
        };
        let slot = &mut self.slots[at];
        slot.since = Instant::now();
        slot.journey = Some(journey);
        if slot.connection.is_idle() && slot.address == Some(address) {
            return self.send(at);
        }
        slot.address = Some(address);
        if slot.connection.open(address, at as u32, &self.poller).is_err() {
            slot.connection.close();
            self.fail(at);
        }
    }

    fn send(&mut self, at: usize) {
        let Some(journey) = &self.slots[at].journey else {
            return;
        };
        let stop = journey.stops.front().expect("a journey under way has a stop");
        self.counts.entry(stop.kind.name()).or_default().sent += 1;
        self.request.clear();
        for part in [
            "GET ",
            &stop.target.path,
            " HTTP/1.1\r\nHost: ",
            &stop.target.authority,
            "\r\n\r\n",
        ] {
            self.request.extend_from_slice(part.as_bytes());
        }
        if self.slots[at].connection.send(&self.request).is_err() {
            self.lose(at, LossKind::Reset);
        }
    }

    fn look(&mut self, ready: &Ready) {
        let at = Connection::slot(ready);
        let slot = &mut self.slots[at];
        match slot.connection.on_ready(ready) {
            Step::Nothing => {}
            Step::Connected => self.send(at),
            Step::Lost(loss) => self.lose(at, loss.kind),
            Step::Answered(received) => {
                let (status, location) = (received.status, received.location.map(str::to_string));
                if let Some(journey) = slot.journey.take() {
                    self.arrive(journey, status, location.as_deref());
                }
            }
        }
    }

    /// A stop was answered.
    fn arrive(&mut self, mut journey: Journey, status: u16, location: Option<&str>) {
        let stop = journey.stops.front().expect("a journey under way has a stop");
        let (kind, counts) = (stop.kind, self.counts.entry(stop.kind.name()).or_default());
        let accepted = match kind {
            Kind::Click => (300..400).contains(&status) && location.is_some(),
            _ => (200..300).contains(&status),
        };
        if status == 503 && journey.tries + 1 < TRIES_MAX {
            counts.retried_503 += 1;
            journey.tries += 1;
            return self.later.push_back((Instant::now() + RETRY_PAUSE, journey));
        }
        if !accepted {
            return self.give_up(journey);
        }
        counts.accepted += 1;
        match kind {
            Kind::Click => self.after_click(&mut journey, location.unwrap_or_default()),
            Kind::Conversion => {
                self.conversions += 1;
                self.conversion_value += journey.purchase.as_ref().map_or(0.0, |purchase| purchase.value);
            }
            _ => {}
        }
        self.go_on(journey);
    }

    /// Someone who buys does so at once: the law's delay of 40 minutes and more is longer than most runs.
    fn after_click(&mut self, journey: &mut Journey, location: &str) {
        let click = journey.stops.front().expect("the click is the stop");
        let token = parameter(location, "outbid_token").or_else(|| parameter(&click.target.path, "t"));
        if let (Some(purchase), Some(token)) = (&journey.purchase, token) {
            let prefix = click
                .target
                .path
                .split("/n/")
                .next()
                .filter(|prefix| !prefix.contains('?'))
                .unwrap_or("");
            let (value, order) = (purchase.value, &purchase.order);
            let path = format!("{prefix}/n/conv?t={token}&n=purchase&v={value:.2}&c=USD&o={order}");
            let target = Target {
                authority: click.target.authority.clone(),
                path,
            };
            journey.stops.push_back(Stop {
                kind: Kind::Conversion,
                target,
            });
        }
    }

    fn go_on(&mut self, mut journey: Journey) {
        journey.stops.pop_front();
        journey.tries = 0;
        journey.lost_once = false;
        if !journey.stops.is_empty() {
            // What has begun goes first, so that a win is not long before its impression.
            self.waiting.push_front(journey);
        }
    }

    /// The stop has failed for good; the rest goes on.
    fn give_up(&mut self, journey: Journey) {
        let stop = journey.stops.front().expect("a journey under way has a stop");
        self.counts.entry(stop.kind.name()).or_default().failed += 1;
        self.go_on(journey);
    }

    /// One more try on a fresh connection where the old one had been closed by the other side.
    fn lose(&mut self, at: usize, kind: LossKind) {
        match &mut self.slots[at].journey {
            Some(journey) if kind == LossKind::Reset && !journey.lost_once => {
                journey.lost_once = true;
                let journey = self.slots[at].journey.take();
                self.waiting.extend(journey);
            }
            Some(_) => self.fail(at),
            None => {}
        }
    }

    fn fail(&mut self, at: usize) {
        if let Some(journey) = self.slots[at].journey.take() {
            self.give_up(journey);
        }
    }

    fn expire(&mut self, now: Instant) {
        for at in 0..self.slots.len() {
            let slot = &mut self.slots[at];
            if slot.journey.is_some() && now.duration_since(slot.since) > PATIENCE {
                slot.connection.close();
                self.fail(at);
            }
        }
    }

    fn address_of(&mut self, authority: &str) -> Option<SocketAddr> {
        if let Some(known) = self.addresses.get(authority) {
            return *known;
        }
        let found = target::resolve(authority).ok();
        self.addresses.insert(authority.to_string(), found);
        found
    }
}

/// The value of a parameter in the query of a URL.
fn parameter<'a>(url: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = url.split_once('?')?;
    let query = query.split('#').next()?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_in_the_query_only() {
        for (url, expected) in [
            ("https://a.example/?outbid_token=T", Some("T")),
            ("https://a.example/?x=1&outbid_token=T#top", Some("T")),
            ("https://a.example/?xoutbid_token=T", None),
            ("https://a.example/outbid_token=T", None),
        ] {
            assert_eq!(parameter(url, "outbid_token"), expected, "{url}");
        }
    }
}
