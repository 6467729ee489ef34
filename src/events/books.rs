//! The meaning of notices: which event books a bid, and what every other one is.
//!
//! Invariant: a bid id is booked at most once, whatever comes in, in whatever order, however often, and across
//! restarts: deciding depends only on what was noted, and noting a record again changes nothing.
//!
//! | comes in | means |
//! |---|---|
//! | the billable event of the exchange (burl, impression or win), first of its bid | books the price; counts for the caps |
//! | any other event, or the same again | recorded and free |
//! | a price that is missing, not replaced, not readable or in another currency | the reserved price is booked, flagged |
//! | a price above our bid, or for more impressions than we bid for | booked as told, flagged: an alarm |
//! | a price for another number of impressions than one | booked times that number (section 7.9.4); without one, times that of the bid |
//! | `AUDIT`, or a bid on `test = 1` | recorded; books and counts nothing |
//! | a win | the hold lasts until the bid's `exp` |
//! | an event of a bid whose hold a crash made forgotten, before the end of that hold | the hold is back, from what was set aside |
//! | a loss | the hold and the provisional cap are freed, unless the bid was won or booked |
//! | after the hold's end | booked, flagged; the budgets put it in their late column |
//! | so late that the bid may be forgotten | recorded, not booked |
//! | any of these, of a user who opted out since the bid | the same for the money; recorded and counted for nobody |
//! | about a bid of a node that was declared dead | recorded, not booked: its lease is charged in full |
//! | about a bid that this node should hold money for and does not | booked in the late column, flagged as unmatched: an alarm |
//!
//! The first word of how a shaded bid ended, while its hold is open, teaches its market: the note that the bid left with its hold is
//! taken by it, so nothing teaches twice. Losses for other reasons than the price teach nothing.
//!
//! A loss alone is remembered for two minutes, in which senders repeat it: it is the most frequent notice. Of several
//! losses of a bid the first one counts, with its code. What a loss says of the creative goes to [`Approvals`].

mod learn;

use super::booking::{Flags, Record, Verdict};
use super::checkpoint::Parts;
use super::losses::RecentLosses;
use super::memory::{Marks, Memory, MemoryLimits, Order, OrderKey};
use super::notice::{Conversion, Engagement, Inbound, Paid, What};
use super::token::Token;
use crate::allocation::{self, Allocation, Slice};
use crate::approvals::{self, Approvals};
use crate::caps::{self, Caps, Noted};
use crate::journal::{BadFields, FieldReader, FieldWriter};
use crate::openrtb::loss;
use crate::openrtb::notice::PriceField;
use crate::openrtb::privacy::Consent;
use crate::optouts::OptOuts;
use crate::pacing::{self, Booking, Budgets, Settled};
use crate::shading::{self, Markets};
use crate::units::{AccountId, EntryId, Nanos, Timestamp, UserKey};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A hold may be swept while a notice that came just before its end waits for the books.
const SWEEP_AHEAD_MS: i64 = 1000;

/// What is owed, counted and known. One thread owns it.
pub struct Books {
    budgets: Arc<Budgets>,
    caps: Arc<Caps>,
    opt_outs: Arc<OptOuts>,
    approvals: Arc<Approvals>,
    allocation: Arc<Allocation>,
    markets: Arc<Markets>,
    memory: Memory,
    losses: RecentLosses,
}

/// What a person decides about something that the books keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The creative, whatever the exchange said of it.
    ShowAgain(approvals::Place),
    /// The weight that is proposed for a slice of sources.
    Approve(Slice),
    /// A slice goes on as if nothing had been decided about it.
    Reset(Slice),
}

/// No room to remember another bid or order. Booking what cannot be remembered could book it twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the books remember as many bids and orders as they may: raise the limit, or wait until some end")]
pub struct MemoryFull;

#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("what the books remember: {0}")]
    Memory(#[from] BadFields),
    #[error(transparent)]
    Budgets(#[from] pacing::RestoreError),
    #[error(transparent)]
    Caps(#[from] caps::RestoreError),
    #[error(transparent)]
    Approvals(#[from] approvals::RestoreError),
    #[error(transparent)]
    Allocation(#[from] allocation::RestoreError),
    #[error(transparent)]
    Markets(#[from] shading::RestoreError),
}

impl Books {
    pub fn new(budgets: Arc<Budgets>, caps: Arc<Caps>, limits: MemoryLimits) -> Books {
        Books {
            budgets,
            caps,
            opt_outs: Arc::default(),
            approvals: Arc::default(),
            allocation: Arc::default(),
            markets: Arc::new(Markets::new(0)),
            memory: Memory::new(limits),
            losses: RecentLosses::default(),
        }
    }

    /// Books that neither count nor record a user who is on `opt_outs`, whatever an older token says.
    pub fn honouring(self, opt_outs: Arc<OptOuts>) -> Books {
        Books { opt_outs, ..self }
    }

    /// Books that tell `approvals` what loss notices say of creatives.
    pub fn telling(self, approvals: Arc<Approvals>) -> Books {
        Books { approvals, ..self }
    }

    /// Books that tell `allocation` what every source cost and brought.
    pub fn allocating(self, allocation: Arc<Allocation>) -> Books {
        Books { allocation, ..self }
    }

    /// Books that teach `markets` how bids end.
    pub fn teaching(self, markets: Arc<Markets>) -> Books {
        Books { markets, ..self }
    }

    /// What `inbound` means. Changes nothing.
    pub fn decide(&self, inbound: &Inbound) -> Result<Record, MemoryFull> {
        let verdict = match &inbound.what {
            What::Conversion(conversion) => self.decide_conversion(inbound, conversion)?,
            _ => self.decide_notice(inbound)?,
        };
        Ok(Record {
            at: inbound.at,
            token: self.as_wanted_now(inbound.token),
            what: inbound.what.clone(),
            told: inbound.told,
            verdict,
        })
    }

    /// What `inbound` means where the owner of its bid was declared dead: nothing, as its lease is charged in full.
    pub fn decide_of_dead(&self, inbound: &Inbound) -> Record {
        let mut flags = free_flags(inbound);
        flags.set(Flags::OF_DEAD);
        Record {
            at: inbound.at,
            token: self.as_wanted_now(inbound.token),
            what: inbound.what.clone(),
            told: inbound.told,
            verdict: Verdict {
                flags,
                shown_at: inbound.shown_at,
                ..Verdict::default()
            },
        }
    }

    /// Remembers a record, so that what comes next is decided with it. Moves no money.
    pub fn note(&mut self, record: &Record) {
        self.memory.advance(record.at);
        let flags = record.verdict.flags;
        let free = [
            Flags::TEST,
            Flags::AUDIT,
            Flags::TOO_LATE,
            Flags::UNKNOWN_ORDER,
            Flags::OF_DEAD,
        ];
        if free.into_iter().any(|flag| flags.has(flag)) {
            return;
        }
        let token = &record.token;
        self.learn_hold(record);
        if let What::Loss { .. } = record.what {
            self.losses.note(token.bid, record.at);
        }
        match &record.what {
            What::Conversion(_) if flags.has(Flags::DUPLICATE) => {}
            What::Conversion(conversion) => {
                let order = if conversion.reversal {
                    Order::Reversed
                } else {
                    Order::Counted
                };
                self.memory
                    .keep_order(order_key(token, conversion), order, record.at);
            }
            What::Loss { .. } if self.memory.marks(token.bid) == Marks::default() => {}
            what => {
                let booked = if record.verdict.booked.is_some() {
                    Marks::BOOKED.0
                } else {
                    0
                };
                self.memory
                    .mark(token.bid, Marks(mark_of(what).0 | booked), token.hold_end);
            }
        }
    }

    /// Fixes whether a record that books, or makes a win known, does so within a hold: the hold does not expire before the
    /// record is durable, and a replay settles as it was settled the first time. A hold that a crash made forgotten comes back.
    pub fn pin(&self, record: &mut Record) {
        record.verdict.market = self.market_of(record);
        let token = &record.token;
        let until = match (record.verdict.booked, &record.what) {
            (Some(_), _) => Timestamp(record.at.0.saturating_add(Timestamp::MS_PER_DAY)),
            (None, What::Win) if record.verdict.counts() => token.hold_end,
            _ => {
                record.verdict.held = false;
                return;
            }
        };
        let reopened = |budgets: &Budgets| {
            budgets.reopen(
                token.bid,
                token.lease,
                &booking(token, &accounts(token), Nanos::ZERO),
                until,
            )
        };
        let due = record.verdict.held;
        record.verdict.held = self.budgets.win(token.bid, until) || (due && reopened(&self.budgets));
        let hold_end = token.win_hold_end.min(token.hold_end);
        if due && !record.verdict.held && record.at.since(hold_end) < -SWEEP_AHEAD_MS {
            record.verdict.flags.set(Flags::UNMATCHED);
        }
    }

    /// Moves the money and counts the impression of a record that is noted and durable.
    pub fn settle(&self, record: &Record) -> Option<Settled> {
        let token = &record.token;
        self.learn(record);
        if let Some(price) = record.verdict.booked {
            self.end_chance(token);
            let accounts = accounts(token);
            let booking = booking(token, &accounts, price);
            return Some(
                self.budgets
                    .settle_again(token.bid, &booking, record.verdict.held),
            );
        }
        let flags = record.verdict.flags;
        match record.what {
            What::Win if record.verdict.counts() => {
                let known = self.budgets.win(token.bid, token.hold_end);
                if record.verdict.held && !known {
                    let accounts = accounts(token);
                    let booking = booking(token, &accounts, Nanos::ZERO);
                    self.budgets.hold_again(token.bid, &booking, token.hold_end);
                }
            }
            What::Loss { .. } if !flags.has(Flags::CONTRADICTION) => {
                self.budgets.release(token.bid);
                self.end_chance(token);
            }
            _ => {}
        }
        None
    }

    /// [`note`](Books::note) and [`settle`](Books::settle): how a restart reads the journal.
    pub fn apply(&mut self, record: &Record) -> Option<Settled> {
        self.note(record);
        self.settle(record)
    }

    /// What a person decides. False where there was nothing to decide.
    pub fn heed(&self, word: Word, at: Timestamp) -> bool {
        let weights = &self.allocation.weights;
        match word {
            Word::ShowAgain(place) => self.approvals.clear(place, at),
            Word::Approve(slice) => weights.approve(slice, at).is_some(),
            Word::Reset(slice) => weights.reset(slice).is_some(),
        }
    }

    /// Bids and orders remembered.
    pub fn remembered(&self) -> (usize, usize) {
        self.memory.len()
    }

    /// The bid is not outstanding any more.
    fn end_chance(&self, token: &Token) {
        if let Some(user) = self.user_of(token) {
            self.caps.clear(user, token.line_item, token.bid);
        }
    }

    /// Takes in what other nodes tell of users, up to an entry of the row that they share.
    pub fn hear_of_users(&self, mut facts: Vec<Noted>, up_to: EntryId) {
        facts.retain(|noted| !self.opt_outs.contains(noted.user));
        self.caps.hear(&facts, up_to);
    }

    /// Lets go of what is counted of users who have just opted out.
    pub fn forget(&self, users: &[UserKey]) {
        self.caps.forget(users);
    }

    /// Everything that a restart needs: memory, money with its open holds, caps.
    pub fn checkpoint(&self) -> Parts {
        // A bid that was being made while its user opted out may have left a provisional count.
        self.forget_opted_out();
        let mut memory = FieldWriter::default();
        self.memory.checkpoint(&mut memory);
        self.budgets.hold_times().checkpoint(&mut memory);
        self.approvals.checkpoint(&mut memory);
        self.allocation.checkpoint(self.memory.clock(), &mut memory);
        self.markets.checkpoint(&mut memory);
        [
            memory.finish(),
            self.budgets.checkpoint(true),
            self.caps.checkpoint(),
        ]
    }

    /// Takes a checkpoint in, into budgets whose accounts are those of the configuration.
    pub fn restore(
        &mut self,
        parts: &Parts,
        limits: MemoryLimits,
        now: Timestamp,
    ) -> Result<(), RestoreError> {
        let [memory, budgets, caps] = parts;
        let mut fields = FieldReader::new(memory);
        let memory = Memory::restore(limits, &mut fields)?;
        // Absent in a checkpoint of a version that did not learn holds.
        if !fields.is_at_end() {
            self.budgets.hold_times().restore(&mut fields)?;
        }
        // Absent in a checkpoint of a version that did not hear what exchanges say of creatives.
        if !fields.is_at_end() {
            self.approvals.restore(&mut fields)?;
        }
        // Absent in a checkpoint of a version that did not count sources.
        if !fields.is_at_end() {
            self.allocation.restore(&mut fields)?;
        }
        // Absent in a checkpoint of a version that did not shade.
        if !fields.is_at_end() {
            self.markets.restore(&mut fields)?;
        }
        fields.finish()?;
        self.budgets.restore(budgets, now)?;
        self.caps.restore(caps)?;
        self.forget_opted_out();
        self.memory = memory;
        Ok(())
    }

    fn forget_opted_out(&self) {
        if !self.opt_outs.is_empty() {
            self.caps.retain(|user| !self.opt_outs.contains(user));
        }
    }

    /// Without the user where they opted out since the bid.
    fn as_wanted_now(&self, token: Token) -> Token {
        if token.user == self.user_of(&token) {
            return token;
        }
        Token {
            user: None,
            consent: token.consent.map(Consent::opt_out),
            ..token
        }
    }

    /// The user that may be counted and recorded.
    fn user_of(&self, token: &Token) -> Option<UserKey> {
        token.user.filter(|user| !self.opt_outs.contains(*user))
    }

    fn decide_notice(&self, inbound: &Inbound) -> Result<Verdict, MemoryFull> {
        let (token, what) = (&inbound.token, &inbound.what);
        let mut verdict = Verdict {
            flags: free_flags(inbound),
            ..Verdict::default()
        };
        if let PriceField::Value(price) = inbound.paid.price {
            verdict.price = Some(price);
        }
        verdict.multiplier_micros = inbound.paid.multiplier_micros;
        verdict.shown_at = inbound.shown_at;
        if verdict.flags != Flags::default() {
            return Ok(verdict);
        }
        if self.memory.may_have_forgotten(token.hold_end, inbound.at) {
            verdict.flags.set(Flags::TOO_LATE);
            return Ok(verdict);
        }
        let remembers = !matches!(what, What::Loss { .. });
        if remembers && !self.memory.has_room_for_bid(token.bid) {
            return Err(MemoryFull);
        }
        let marks = self.memory.marks(token.bid);
        verdict.held = should_be_held(inbound, marks);
        self.flag_history(inbound, marks, &mut verdict.flags);
        if let What::Loss {
            reason: Some(code), ..
        } = what
            && loss::is_about_creative(*code)
        {
            verdict.creative_version = self.approvals.version_at(token.creative, token.bid_time);
        }
        if what.is_billed_by(token.billing) && !marks.has_any(Marks::BOOKED) {
            verdict.booked = Some(amount(token, &inbound.paid, &mut verdict.flags));
        }
        Ok(verdict)
    }

    fn flag_history(&self, inbound: &Inbound, marks: Marks, flags: &mut Flags) {
        let lost_before =
            matches!(inbound.what, What::Loss { .. }) && self.losses.contains(inbound.token.bid);
        if lost_before || marks.has_any(mark_of(&inbound.what)) {
            flags.set(Flags::DUPLICATE);
        }
        if inbound.at > inbound.token.hold_end {
            flags.set(Flags::LATE);
        }
        let contradicts = match inbound.what {
            What::Loss { .. } => marks.has_any(Marks(Marks::WON.0 | Marks::BOOKED.0)),
            What::Win | What::Bill => marks.has_any(Marks::LOST),
            _ => false,
        };
        if contradicts {
            flags.set(Flags::CONTRADICTION);
        }
    }

    fn decide_conversion(&self, inbound: &Inbound, conversion: &Conversion) -> Result<Verdict, MemoryFull> {
        let mut flags = free_flags(inbound);
        if flags == Flags::default() {
            let key = order_key(&inbound.token, conversion);
            if !self.memory.has_room_for_order(key) {
                return Err(MemoryFull);
            }
            match (self.memory.order(key), conversion.reversal) {
                (None, false) | (Some(Order::Counted), true) => {}
                (None, true) => flags.set(Flags::UNKNOWN_ORDER),
                (Some(_), _) => flags.set(Flags::DUPLICATE),
            }
        }
        Ok(Verdict {
            flags,
            ..Verdict::default()
        })
    }
}

/// Whether the bid's hold is neither over nor used, by what came in so far.
fn should_be_held(inbound: &Inbound, marks: Marks) -> bool {
    let token = &inbound.token;
    let end = if marks.has_any(Marks::WON) {
        token.hold_end
    } else {
        token.win_hold_end.min(token.hold_end)
    };
    inbound.at <= end && !marks.has_any(Marks(Marks::LOST.0 | Marks::BOOKED.0))
}

fn accounts(token: &Token) -> [AccountId; 2] {
    [token.line_item_account, token.campaign_account]
}

fn booking<'a>(token: &Token, accounts: &'a [AccountId], price: Nanos) -> Booking<'a> {
    Booking {
        accounts,
        bid_at: token.bid_time,
        reserved: token.reserved,
        price,
    }
}

/// Tests of the exchange and of ours: they leave no trace but the record.
fn free_flags(inbound: &Inbound) -> Flags {
    let mut flags = Flags::default();
    if inbound.token.test {
        flags.set(Flags::TEST);
    }
    if inbound.paid.price == PriceField::Audit {
        flags.set(Flags::AUDIT);
    }
    flags
}

/// What the bid costs. The rate is the bid's: what the exchange rate does since is not ours to guess.
fn amount(token: &Token, paid: &Paid, flags: &mut Flags) -> Nanos {
    let PriceField::Value(price) = paid.price else {
        flags.set(Flags::AT_RESERVED);
        return token.reserved;
    };
    if paid.currency.is_some_and(|sent| sent != token.currency) {
        flags.set(Flags::OTHER_CURRENCY);
        flags.set(Flags::AT_RESERVED);
        return token.reserved;
    }
    if price > token.price {
        flags.set(Flags::ABOVE_BID);
    }
    let one = token.rate.to_accounting_up(price).per_impression();
    let all = match paid.multiplier_micros {
        Some(micros) => one.for_impressions(micros),
        None => for_as_many_as_bid(token, one),
    };
    if all != one {
        flags.set(Flags::MULTIPLIED);
        if all > token.reserved {
            flags.set(Flags::ABOVE_BID);
        }
    }
    all
}

/// Where the notice does not say how many impressions there were, there were those that were bid for: what was reserved
/// is their price already (section 7.9.4).
fn for_as_many_as_bid(token: &Token, one: Nanos) -> Nanos {
    let one_as_bid = token.rate.to_accounting_up(token.price).per_impression();
    match (u64::try_from(token.reserved.0), u64::try_from(one_as_bid.0)) {
        (Ok(reserved), Ok(one_as_bid)) if one_as_bid > 0 && reserved != one_as_bid => {
            one.scaled_up(reserved, one_as_bid)
        }
        _ => one,
    }
}

fn mark_of(what: &What) -> Marks {
    match what {
        What::Win => Marks::WON,
        What::Bill => Marks::BILLED,
        What::Loss { .. } => Marks::LOST,
        What::Impression => Marks::SHOWN,
        What::View => Marks::VIEWED,
        What::Click => Marks::CLICKED,
        What::VastError { .. } => Marks::VAST_ERROR,
        What::Engagement(kind) => Marks(Marks::PLAYBACK.0 << playback_index(*kind)),
        What::Conversion(_) => Marks::default(),
    }
}

fn playback_index(kind: Engagement) -> u32 {
    match kind {
        Engagement::Start => 0,
        Engagement::FirstQuartile => 1,
        Engagement::Midpoint => 2,
        Engagement::ThirdQuartile => 3,
        Engagement::Complete => 4,
        Engagement::Skip => 5,
    }
}

/// Cryptographic, so that nobody can make up an order id that hides another one's.
fn order_key(token: &Token, conversion: &Conversion) -> OrderKey {
    let mut hash = Sha256::new();
    match &conversion.order {
        Some(order) => {
            hash.update([1]);
            hash.update(token.advertiser.0.to_le_bytes());
            hash.update(order.as_bytes());
        }
        None => {
            hash.update([2]);
            hash.update(token.bid.0.to_le_bytes());
        }
    }
    // The separator is no byte of UTF-8 text.
    hash.update([0xff]);
    hash.update(conversion.name.as_bytes());
    let digest = hash.finalize();
    OrderKey(u128::from_le_bytes(
        digest[..16].try_into().expect("a digest of 32 bytes"),
    ))
}
