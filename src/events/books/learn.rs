//! What the books let others learn from a record: creatives, sources, costs, caps, markets and holds. No money moves here.

use super::{Books, Conversion, Marks, Record, Token, What, order_key};
use crate::allocation::{Fact, Source};
use crate::approvals::{self, CreativeLoss};
use crate::caps::{CapObject, Noted, Shown, UserFact};
use crate::events::booking::Flags;
use crate::openrtb::loss;
use crate::pacing::Happened;
use crate::shading::{MarketId, MarketName, Outcome, Ticket};
use crate::units::{Nanos, ObjectId};

impl Books {
    /// From a record that is noted and durable.
    pub(super) fn learn(&self, record: &Record) {
        self.hear(record);
        self.count_cost(record);
        self.count_outcome(record);
        if let Some(noted) = self.fact(record) {
            self.caps.learn(&noted);
        }
        self.teach(record);
    }

    /// How long it took until the first event that needs the hold of its bid: the win, or the booking where that comes first.
    pub(super) fn learn_hold(&self, record: &Record) {
        let token = &record.token;
        let needs_hold = matches!(record.what, What::Win) || record.verdict.booked.is_some();
        if !needs_hold
            || self
                .memory
                .marks(token.bid)
                .has_any(Marks(Marks::WON.0 | Marks::BOOKED.0))
        {
            return;
        }
        let holds = self.budgets.hold_times().of(token.exchange);
        if let Some(hold_s) = holds.observe(token.format as u8, record.at.since(token.bid_time)) {
            self.budgets.want_hold(hold_s);
        }
    }

    /// What the impression cost, for its source and for what its campaign tries.
    fn count_cost(&self, record: &Record) {
        let Some(price) = record.verdict.booked else {
            return;
        };
        let token = &record.token;
        let (source, tried) = source_of(token);
        self.allocation
            .sources
            .count(source, Fact::Impression(price), record.at);
        self.allocation.exploration(token.campaign).cost(tried, price);
    }

    /// What an impression led to, for its source, for what its campaign tries and for the control of costs.
    fn count_outcome(&self, record: &Record) {
        if !record.verdict.counts() {
            return;
        }
        let token = &record.token;
        let (source, tried) = source_of(token);
        let (happened, fact) = match &record.what {
            What::Click => {
                self.allocation.exploration(token.campaign).click(tried);
                (Happened::Click, Fact::Click)
            }
            What::Conversion(conversion) => {
                let event = ObjectId::of(&conversion.name);
                let value = worth(conversion, token);
                let counted = |count, value| Fact::Conversion { event, count, value };
                match conversion.reversal {
                    false => (Happened::Conversion { event, value }, counted(1, value)),
                    true => (Happened::Reversal { event, value }, counted(-1, -value)),
                }
            }
            _ => return,
        };
        self.allocation.sources.count(source, fact, record.at);
        let delay_ms = record.at.since(token.bid_time);
        self.budgets.happened(token.line_item_account, happened, delay_ms);
    }

    /// What the exchange lets us know of the creative.
    fn hear(&self, record: &Record) {
        let (verdict, token) = (&record.verdict, &record.token);
        if !verdict.counts() || verdict.flags.has(Flags::CONTRADICTION) {
            return;
        }
        let place = approvals::Place {
            exchange: token.exchange,
            creative: token.creative,
        };
        let (bid_at, at) = (token.bid_time, record.at);
        match record.what {
            What::Win | What::Bill | What::Impression => self.approvals.took_part(place, bid_at, at),
            What::Loss {
                reason: Some(code), ..
            } if loss::was_outbid(code) => {
                self.approvals.took_part(place, bid_at, at);
            }
            What::Loss {
                reason: Some(code), ..
            } => {
                if let Some(version) = verdict.creative_version {
                    self.approvals.lost(&CreativeLoss {
                        place,
                        version,
                        code,
                        bid_at,
                        at,
                    });
                }
            }
            _ => {}
        }
    }

    /// The market that learns from an event: of the first one that says how its bid ended, while the hold is open.
    pub(super) fn market_of(&self, record: &Record) -> Option<u64> {
        let (about_price, ended) = match record.what {
            What::Win | What::Bill | What::Impression => (true, true),
            What::Loss { reason, .. } => (loss::is_about_price(reason), true),
            _ => (false, false),
        };
        if !ended || !record.verdict.counts() {
            return None;
        }
        let ticket = Ticket::from_bits(self.budgets.take_ticket(record.token.bid)?)?;
        self.markets.hear(ticket.market, record.at);
        about_price.then(|| {
            let name = self.markets.name_of(ticket.market);
            name.map_or(0, MarketName::to_bits)
        })
    }

    fn teach(&self, record: &Record) {
        let Some(bits) = record.verdict.market else { return };
        let token = &record.token;
        let name = MarketName::from_bits(token.exchange, bits);
        let market = name.map_or(MarketId::default(), |name| self.markets.find_name(name));
        let outcome = match (&record.what, record.told.min_to_win) {
            (What::Loss { .. }, None) => Outcome::Lost,
            (What::Loss { .. }, Some(price)) => Outcome::LostTo(price),
            (_, None) => Outcome::Won,
            (_, Some(price)) => Outcome::WonAt(price),
        };
        self.markets
            .observe(market, token.rate.to_accounting_up(token.price), outcome);
    }

    /// What a settled record says of its user, where the caps ask for it: an impression that counts; a click, as whoever clicks
    /// has not had enough of the ad; a purchase, as whoever bought has, until they bring it back.
    pub fn fact(&self, record: &Record) -> Option<Noted> {
        let token = &record.token;
        let user = self.user_of(token)?;
        let fact = match &record.what {
            _ if record.verdict.booked.is_some() => UserFact::Shown(Shown {
                creative: token.creative,
                line_item: token.line_item,
                campaign: token.campaign,
                advertiser: token.advertiser,
                answered: self.memory.marks(token.bid).has_any(Marks::CLICKED),
            }),
            _ if !record.verdict.counts() => return None,
            What::Click => UserFact::Clicked(token.line_item),
            What::Conversion(conversion) => {
                let sold = CapObject::bought(token.advertiser, &conversion.name);
                let counted_at = self.memory.order_at(order_key(token, conversion));
                match (conversion.reversal, counted_at) {
                    (true, Some(bought_at)) => UserFact::Returned { sold, bought_at },
                    (true, None) => return None,
                    (false, _) => UserFact::Bought(sold),
                }
            }
            _ => return None,
        };
        let at = record.at;
        self.caps.wants(&fact).then_some(Noted { user, at, fact })
    }
}

/// Where the impression came from, and whether it was a trial.
fn source_of(token: &Token) -> (Source, bool) {
    let (placement, tried) = Source::of_arms(token.arms);
    let source = Source {
        line_item: token.line_item,
        exchange: token.exchange,
        format: token.format as u8,
        placement,
    };
    (source, tried)
}

/// What a conversion is worth in the accounting currency. Records of before say it only where it is told in the currency of its bid.
fn worth(conversion: &Conversion, token: &Token) -> Nanos {
    const BILLIONTHS: u64 = 1_000_000_000;
    let known = conversion
        .currency
        .is_some_and(|currency| currency == token.currency);
    match (conversion.worth, u64::try_from(token.rate.0)) {
        (Some(worth), _) => worth,
        (None, Ok(rate)) if known => conversion.value.scaled_up(rate, BILLIONTHS),
        _ => Nanos::ZERO,
    }
}
