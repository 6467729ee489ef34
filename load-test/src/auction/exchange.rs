//! The auction itself: one answer in, a journey of notices out. Of several bids on one imp those for deals are asked first,
//! and the first that beats the rivals takes it.
//!
//! Invariant: the outcome follows from the seed and the number of the request, so two runs against the same answers end
//! alike.

use super::Played;
use super::courier::{Courier, Journey, Kind, Purchase};
use super::judge::{Bid, Flaw, Response, judge};
use super::macros::{Values, expand};
use super::markup::{Markup, MarkupKind, VideoEvent};
use super::offer::{Imp, Offer, main_format};
use super::tally::{AuctionTally, nanos_of_cpm};
use crate::target::Target;
use crate::traffic::Traffic;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use world::auction::{market_cpm, rival_price};
use world::{Ad, Format, Outcome, Random, Rivals, Stream, World, settle};

/// Loss reason "Lost to Higher Bid", from the list of OpenRTB 3.0.
const LOST_TO_HIGHER_BID: u32 = 102;

/// How notices are delivered.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Where requests go; its host is the bidder's own.
    pub target: Target,
    /// Takes the place of scheme and host in all notices.
    pub notice_base: Option<Target>,
    pub connections: usize,
    /// How long notices are delivered after the last answer.
    pub drain: Duration,
}

pub struct Exchange<'a> {
    world: &'a World,
    traffic: &'a Traffic,
    terms: Terms,
    courier: Courier,
    /// Impressions per person and advertiser domain.
    seen: HashMap<(u64, String), u32>,
    tally: AuctionTally,
}

/// One bid with what is known of it.
struct Candidate<'a> {
    bid: &'a Bid,
    seat: Option<&'a str>,
    price: f64,
    /// Of a group that wins all its imps.
    grouped: bool,
}

/// An ad in front of a person.
struct Shown<'a> {
    number: u64,
    /// Of a purchase, if it comes to one; its own in every run.
    order: String,
    /// Index of the imp.
    at: usize,
    user: u64,
    imp: &'a Imp,
    bid: &'a Bid,
    kind: MarkupKind,
    markup: &'a Markup,
}

impl<'a> Exchange<'a> {
    /// # Errors
    /// When the operating system refuses a poller.
    pub fn new(world: &'a World, traffic: &'a Traffic, terms: Terms) -> std::io::Result<Exchange<'a>> {
        let courier = Courier::new(terms.connections)?;
        Ok(Exchange {
            world,
            traffic,
            terms,
            courier,
            seen: HashMap::new(),
            tally: AuctionTally::default(),
        })
    }

    /// Plays what is received until the sender is gone and all notices are delivered, or time is up.
    ///
    /// # Errors
    /// When the poller fails.
    pub fn run(mut self, answers: &Receiver<Played>) -> std::io::Result<AuctionTally> {
        /// Answers in a row before notices get their turn.
        const BATCH: usize = 64;
        let mut closed_at: Option<Instant> = None;
        loop {
            let mut played = 0;
            while played < BATCH && closed_at.is_none() {
                match answers.try_recv() {
                    Ok(answer) => self.play(&answer),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => closed_at = Some(Instant::now()),
                }
                played += 1;
            }
            if closed_at.is_some_and(|at| self.courier.backlog() == 0 || at.elapsed() > self.terms.drain) {
                return Ok(self.finish());
            }
            self.courier.turn(if played > 0 {
                Duration::ZERO
            } else {
                Duration::from_millis(1)
            })?;
        }
    }

    /// Auctions one answer.
    pub fn play(&mut self, answer: &Played) {
        self.tally.auctions += 1;
        let (traffic, number) = (self.traffic, answer.number);
        let (offer, sent_id) = (traffic.offer(number), traffic.id(number));
        let response = match Response::read(&answer.body, sent_id.as_deref(), offer) {
            Ok(response) => response,
            Err(flaw) => return self.tally.refuse(flaw.name()),
        };
        let mut by_imp: BTreeMap<usize, Vec<Candidate>> = BTreeMap::new();
        for seat in &response.seatbid {
            let mut sound = Vec::new();
            for bid in &seat.bid {
                self.tally.bids += 1;
                let candidate = Candidate {
                    bid,
                    seat: seat.seat.as_deref(),
                    price: bid.price.unwrap_or(0.0),
                    grouped: false,
                };
                match judge(bid, response.currency(), offer) {
                    Ok(imp) => sound.push((imp, candidate)),
                    Err(flaw) => self.refuse(number, &response, &candidate, flaw),
                }
            }
            let whole = sound.len() == seat.bid.len();
            if seat.group == 1 && !(whole && self.group_wins(number, offer, &sound)) {
                for (imp, candidate) in &sound {
                    let outcome = self.settle(number, offer, *imp, candidate);
                    self.lose(number, &response, candidate, outcome.price, outcome.min_to_win);
                }
                continue;
            }
            for (imp, candidate) in sound {
                by_imp.entry(imp).or_default().push(Candidate {
                    grouped: seat.group == 1,
                    ..candidate
                });
            }
        }
        for (imp, mut candidates) in by_imp {
            // A group that wins everywhere takes all its imps.
            candidates.sort_by(|a, b| {
                let last = |c: &Candidate| (!c.grouped, c.bid.dealid.is_none());
                last(a).cmp(&last(b)).then(b.price.total_cmp(&a.price))
            });
            self.auction(number, offer, imp, &response, &candidates);
        }
    }

    /// Whether each bid of a group beats the rivals on an imp of its own.
    fn group_wins(&self, number: u64, offer: &Offer, group: &[(usize, Candidate)]) -> bool {
        let imps: BTreeSet<usize> = group.iter().map(|(imp, _)| *imp).collect();
        let wins = |(imp, candidate): &(usize, Candidate)| self.settle(number, offer, *imp, candidate).won;
        imps.len() == group.len() && group.iter().all(wins)
    }

    fn refuse(&mut self, number: u64, response: &Response, candidate: &Candidate, flaw: Flaw) {
        self.tally.refuse(flaw.name());
        let values = Values {
            loss: flaw.loss_reason(),
            ..self.values(number, response, candidate)
        };
        self.send_loss(candidate.bid, &values);
    }

    /// `candidates`: for one imp, in the order in which they are asked; at least one.
    fn auction(
        &mut self,
        number: u64,
        offer: &Offer,
        at: usize,
        response: &Response,
        candidates: &[Candidate],
    ) {
        // What is paid and what was bid by one of ours that won.
        let mut won: Option<(f64, f64)> = None;
        for candidate in candidates {
            if let Some((price, bid)) = won {
                self.lose(number, response, candidate, price, bid);
                continue;
            }
            let outcome = self.settle(number, offer, at, candidate);
            if !outcome.won {
                self.lose(number, response, candidate, outcome.price, outcome.min_to_win);
                continue;
            }
            won = Some((outcome.price, candidate.price));
            let values = Values {
                price: outcome.price,
                min_to_win: outcome.min_to_win,
                ..self.values(number, response, candidate)
            };
            self.win(number, offer, at, candidate, &values);
        }
    }

    fn lose(&mut self, number: u64, response: &Response, candidate: &Candidate, price: f64, min_to_win: f64) {
        self.tally.losses += 1;
        let values = Values {
            loss: LOST_TO_HIGHER_BID,
            price,
            min_to_win,
            ..self.values(number, response, candidate)
        };
        self.send_loss(candidate.bid, &values);
    }

    fn settle(&self, number: u64, offer: &Offer, at: usize, best: &Candidate) -> Outcome {
        let imp = &offer.imps[at];
        let deal = best.bid.dealid.as_deref().and_then(|id| imp.deal(id));
        let (kind, floor) = deal.map_or((offer.at, imp.floor), |deal| (deal.at, deal.floor));
        settle(kind, floor, best.price, &self.rivals(number, offer, at))
    }

    /// Three on average, around what the market pays for such an impression and such a person.
    fn rivals(&self, number: u64, offer: &Offer, at: usize) -> Rivals {
        let random = &mut Random::new(self.world.seed(), Stream::Rivals, number << 4 | (at as u64 & 15));
        let imp = &offer.imps[at];
        let market = market_cpm(&self.world.user(offer.user), &imp.context, main_format(imp));
        let count = (0..6).filter(|_| random.chance(0.5)).count();
        let mut bids: Vec<f64> = (0..count).map(|_| rival_price(market, random)).collect();
        bids.sort_by(|a, b| b.total_cmp(a));
        Rivals { bids }
    }

    fn win(&mut self, number: u64, offer: &Offer, at: usize, candidate: &Candidate, values: &Values) {
        let bid = candidate.bid;
        let adm = expand(bid.adm.as_deref().unwrap_or_default(), values);
        let kind = MarkupKind::of(bid.mtype, &adm);
        let Some(markup) = Markup::read(kind, &adm) else {
            return self.refuse_markup(bid, values);
        };
        self.tally.wins += 1;
        *self.tally.spend_nanos.entry(values.currency.clone()).or_default() += nanos_of_cpm(values.price);
        let own = self.own_hosts(bid);
        let mut journey = Journey::default();
        for (kind, url) in [(Kind::Win, &bid.nurl), (Kind::Bill, &bid.burl)] {
            if let Some(url) = url {
                self.add(&mut journey, kind, &expand(url, values), &own);
            }
        }
        for url in &markup.impressions {
            if self.add(&mut journey, Kind::Impression, url, &own) {
                self.tally.impressions += 1;
            }
        }
        let order = format!("{}-{at}", values.auction_id);
        let shown = Shown {
            number,
            order,
            at,
            user: offer.user,
            imp: &offer.imps[at],
            bid,
            kind,
            markup: &markup,
        };
        self.watch(&shown, &mut journey, &own);
        self.courier.take(journey);
    }

    fn refuse_markup(&mut self, bid: &Bid, values: &Values) {
        self.tally.refuse(Flaw::BrokenMarkup.name());
        self.send_loss(
            bid,
            &Values {
                loss: Flaw::BrokenMarkup.loss_reason(),
                ..values.clone()
            },
        );
    }

    /// The person looks, and does what the world's law says.
    fn watch(&mut self, shown: &Shown, journey: &mut Journey, own: &[String]) {
        let (law, context) = (self.world.law(), &shown.imp.context);
        let dice = &mut self.world.outcome_dice(shown.number, shown.at);
        let viewed = dice.chance(law.view_probability(context));
        // A video starts by itself; who does not look scrolls on.
        for (_, url) in shown
            .markup
            .video_events
            .iter()
            .filter(|(event, _)| viewed || *event == VideoEvent::Start)
        {
            self.add(journey, Kind::VideoEvent, url, own);
        }
        let person = self.world.user(shown.user);
        let domain = shown.bid.adomain.first().cloned().unwrap_or_default();
        let times = self.seen.entry((shown.user, domain.clone())).or_default();
        let categories: Vec<&str> = shown.bid.cat.iter().map(String::as_str).collect();
        let ad = shown.ad(&domain, &categories);
        let clicks = law.click_probability(&person, context, &ad, *times);
        let buys = law.conversion_given_click(&person, context, &ad);
        *times += 1;
        self.tally.clicks_expected += clicks;
        self.tally.conversions_expected += clicks * buys;
        let Some(click) = shown.markup.click.as_deref().filter(|_| dice.chance(clicks)) else {
            return;
        };
        for url in &shown.markup.click_trackers {
            self.add(journey, Kind::ClickTracker, url, own);
        }
        if self.add(journey, Kind::Click, click, own) {
            self.tally.clicks += 1;
            if dice.chance(buys) {
                let value = law.conversion_value(&person, &ad, dice);
                journey.buys(Purchase {
                    value,
                    order: shown.order.clone(),
                });
            }
        }
    }

    fn send_loss(&mut self, bid: &Bid, values: &Values) {
        let Some(url) = &bid.lurl else { return };
        let own = self.own_hosts(bid);
        let mut journey = Journey::default();
        self.add(&mut journey, Kind::Loss, &expand(url, values), &own);
        self.courier.take(journey);
    }

    /// Adds a URL of the bidder's to a journey; others are counted and left.
    fn add(&mut self, journey: &mut Journey, kind: Kind, url: &str, own: &[String]) -> bool {
        let host = authority(url);
        if !own.iter().any(|own| own == host) {
            self.tally.foreign_urls += 1;
            return false;
        }
        let target = match &self.terms.notice_base {
            Some(base) => {
                let path = &url[url.find(host).unwrap_or(0) + host.len()..];
                Target::parse(&format!("http://{}{path}", base.authority))
            }
            None => Target::parse(url),
        };
        match target {
            Ok(target) => {
                journey.then(kind, target);
                true
            }
            Err(_) => {
                self.tally.foreign_urls += 1;
                false
            }
        }
    }

    /// The bidder is where its notices go, and where requests go.
    fn own_hosts(&self, bid: &Bid) -> Vec<String> {
        let notices = [&bid.nurl, &bid.burl, &bid.lurl].into_iter().flatten();
        let mut hosts: Vec<String> = notices.map(|url| authority(url).to_string()).collect();
        hosts.push(self.terms.target.authority.clone());
        hosts.extend(self.terms.notice_base.iter().map(|base| base.authority.clone()));
        hosts
    }

    fn values(&self, number: u64, response: &Response, candidate: &Candidate) -> Values {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| time.as_millis() as i64);
        Values {
            auction_id: self.traffic.id(number).unwrap_or_else(|| response.id.clone()),
            bid_id: response.bidid.clone().unwrap_or_default(),
            imp_id: candidate.bid.impid.clone(),
            seat_id: candidate.seat.unwrap_or_default().to_string(),
            ad_id: candidate.bid.adid.clone().unwrap_or_default(),
            bid_price: candidate.price,
            currency: response.currency().to_string(),
            time_ms: now,
            ..Values::default()
        }
    }

    fn finish(mut self) -> AuctionTally {
        self.tally.notices = self.courier.counts().clone();
        self.tally.notices_backlog_max = self.courier.backlog_max();
        self.tally.notices_undelivered = self.courier.backlog();
        (self.tally.conversions, self.tally.conversion_value) = self.courier.conversions();
        self.tally
    }
}

impl Shown<'_> {
    fn ad<'s>(&self, domain: &'s str, categories: &'s [&'s str]) -> Ad<'s> {
        let format = match self.kind {
            MarkupKind::Html => Format::Banner,
            MarkupKind::Vast => Format::Video,
            MarkupKind::Native => Format::Native,
        };
        Ad {
            domain,
            categories,
            w: self.bid.w.unwrap_or(0) as u32,
            h: self.bid.h.unwrap_or(0) as u32,
            format,
        }
    }
}

/// Host and port of a URL; empty for what has none.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())]
}
