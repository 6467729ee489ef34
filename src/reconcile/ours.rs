//! Our side: the bids of one exchange that were won or billed, as the books' journal has them.
//!
//! Invariant: a bid is one entry however many notices there were, and only the record that booked it gives it money.

use super::day::Day;
use crate::events::booking::{BadRecord, Flags, Record};
use crate::events::notice::What;
use crate::events::token::Token;
use crate::journal::{self, JournalError, Position, TornTail};
use crate::units::{BidId, Currency, MixHasher, Nanos, ObjectId, Timestamp};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Bids of the exchange on the day, and the day before and after: at about 150 bytes each 3 GB.
pub const BIDS_MAX: usize = 20_000_000;

const PREFIX: &str = "books";

/// Segments that were closed longer than this before the day are not read: clocks of nodes and of files may differ.
const CLOCKS_DIFFER_MS: i64 = Timestamp::MS_PER_HOUR;

/// Why a billable event books nothing, where it is none that came before.
const NOT_BOOKED: u32 = Flags::TEST.0 | Flags::AUDIT.0 | Flags::TOO_LATE.0 | Flags::OF_DEAD.0;

#[derive(Clone, Debug)]
pub struct Question {
    pub exchange: ObjectId,
    pub day: Day,
    pub by: By,
}

/// What makes a bid belong to a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// When it was bid.
    Bid,
    /// When it was billed; where it was only won, when that became known.
    Bill,
}

/// See the head of this file.
pub struct Ours {
    pub question: Question,
    bids: HashMap<BidId, OurBid, BuildHasherDefault<MixHasher>>,
    places: Vec<Place>,
    by_place: HashMap<Place, u32>,
    /// Further billable events of bids that were booked before; ignored by the books.
    pub duplicates: u64,
    /// Records read, of all exchanges and days.
    pub records: u64,
    /// Ends of journals that are no whole record: being written, or cut off in a crash.
    pub torn: Vec<TornTail>,
}

/// One bid that was won, billed, tested or audited.
#[derive(Clone, Copy, Debug)]
pub struct OurBid {
    /// When it was bid or billed, by the question.
    pub at: Timestamp,
    pub in_day: bool,
    pub won: bool,
    pub billed: bool,
    pub held: bool,
    /// Of the record that booked it, or of those that could not.
    pub flags: Flags,
    /// The price as sent times the impressions, in the bid's currency.
    pub sent: Nanos,
    /// In the accounting currency.
    pub booked: Nanos,
    /// In the accounting currency.
    pub reserved: Nanos,
    /// In millionths; 0 where it was not billed.
    pub impressions_micros: u64,
    place: u32,
}

/// What a bid was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub line_item: ObjectId,
    pub campaign: ObjectId,
    pub advertiser: ObjectId,
    pub creative: ObjectId,
    pub deal: Option<ObjectId>,
    pub currency: Currency,
}

#[derive(Debug, thiserror::Error)]
pub enum OursError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("{}: segment {}, byte {}: {source}: the files belong to another version", dir.display(), at.segment, at.offset)]
    Record {
        dir: PathBuf,
        at: Position,
        source: BadRecord,
    },
    #[error("{}: there are no books here (books-*.seg): name the right folder with --books", dir.display())]
    NoBooks { dir: PathBuf },
    #[error(
        "{}: segments before number {first} were moved away, and what is left begins after the day does: put them back", dir.display()
    )]
    Incomplete { dir: PathBuf, first: u64 },
    #[error("the exchange has more than {BIDS_MAX} bids around that day: more than are compared at once")]
    TooMany,
}

impl Ours {
    pub fn new(question: Question) -> Ours {
        Ours {
            question,
            bids: HashMap::default(),
            places: Vec::new(),
            by_place: HashMap::new(),
            duplicates: 0,
            records: 0,
            torn: Vec::new(),
        }
    }

    /// Adds what the books in `dir` have; those of several nodes are added one after the other. Files are only read, and may
    /// grow meanwhile. `progress` hears of bytes read and of all there are.
    ///
    /// Segments are never removed by the bidder, so that any day since its first one can be asked for.
    pub fn read(&mut self, dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), OursError> {
        let plan = self.plan(dir)?;
        let mut records = journal::read(dir, PREFIX, plan.from_segment)?;
        let mut is_first = true;
        for entry in &mut records {
            let entry = entry?;
            let record = Record::read(&entry.payload).map_err(|source| OursError::Record {
                dir: dir.to_owned(),
                at: entry.position,
                source,
            })?;
            if self.records.is_multiple_of(4096) {
                progress(
                    plan.bytes_before(entry.position.segment) + entry.position.offset,
                    plan.bytes,
                );
            }
            self.records += 1;
            if std::mem::take(&mut is_first) && plan.is_cut && record.at > self.question.day.from() {
                return Err(OursError::Incomplete {
                    dir: dir.to_owned(),
                    first: plan.from_segment,
                });
            }
            self.take(&record)?;
        }
        self.torn.extend(records.torn_tail().cloned());
        Ok(())
    }

    fn plan(&self, dir: &Path) -> Result<Plan, OursError> {
        let segments = journal::segments(dir, PREFIX)?;
        let Some(&(first, _)) = segments.first() else {
            return Err(OursError::NoBooks { dir: dir.to_owned() });
        };
        let day_from_ms = self.question.day.from().0;
        let is_over = |metadata: &std::fs::Metadata| {
            let written = metadata
                .modified()
                .ok()
                .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            written.is_some_and(|at| (at.as_millis() as i64) < day_from_ms - CLOCKS_DIFFER_MS)
        };
        // The header of the one behind knows its length, so that a cut is found; the last one is always read.
        let skipped = segments[..segments.len() - 1]
            .iter()
            .take_while(|(_, metadata)| is_over(metadata));
        let skipped = skipped.count();
        let kept = &segments[skipped..];
        let mut bytes = 0;
        let starts = kept.iter().map(|(sequence, metadata)| {
            bytes += metadata.len();
            (*sequence, bytes - metadata.len())
        });
        Ok(Plan {
            starts: starts.collect(),
            from_segment: kept[0].0,
            is_cut: first > 1 && skipped == 0,
            bytes,
        })
    }

    fn take(&mut self, record: &Record) -> Result<(), OursError> {
        let (token, verdict) = (&record.token, &record.verdict);
        if token.exchange != self.question.exchange {
            return Ok(());
        }
        let won = matches!(record.what, What::Win);
        let bills = record.what.is_billed_by(token.billing);
        if !won && !bills {
            return Ok(());
        }
        let at = match self.question.by {
            By::Bid => token.bid_time,
            By::Bill => record.at,
        };
        let in_day = self.question.day.contains(at);
        if !self.question.day.is_near(at) && !self.bids.contains_key(&token.bid) {
            return Ok(());
        }
        if bills && verdict.flags.has(Flags::DUPLICATE) {
            self.duplicates += u64::from(in_day);
            return Ok(());
        }
        let place = self.place(token);
        let room = self.bids.len() < BIDS_MAX;
        let bid = match self.bids.entry(token.bid) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if !room => return Err(OursError::TooMany),
            Entry::Vacant(free) => free.insert(OurBid::new(at, in_day, place, token)),
        };
        bid.won |= won && verdict.counts();
        match verdict.booked {
            Some(booked) => bid.book(record, booked, at, in_day),
            None if !bid.billed => bid.flags.set(Flags(verdict.flags.0 & NOT_BOOKED)),
            None => {}
        }
        Ok(())
    }

    fn place(&mut self, token: &Token) -> u32 {
        let place = Place {
            line_item: token.line_item,
            campaign: token.campaign,
            advertiser: token.advertiser,
            creative: token.creative,
            deal: token.deal,
            currency: token.currency,
        };
        let places = &mut self.places;
        *self.by_place.entry(place).or_insert_with(|| {
            places.push(place);
            places.len() as u32 - 1
        })
    }

    pub fn get(&self, bid: BidId) -> Option<&OurBid> {
        self.bids.get(&bid)
    }

    pub fn place_of(&self, bid: &OurBid) -> &Place {
        &self.places[bid.place as usize]
    }

    /// All bids of the day and around it.
    pub fn bids(&self) -> impl Iterator<Item = (BidId, &OurBid)> {
        self.bids.iter().map(|(&id, bid)| (id, bid))
    }

    /// Those of the day that were billed.
    pub fn billed(&self) -> impl Iterator<Item = (BidId, &OurBid)> {
        self.bids().filter(|(_, bid)| bid.counts())
    }
}

impl OurBid {
    fn new(at: Timestamp, in_day: bool, place: u32, token: &Token) -> OurBid {
        OurBid {
            at,
            in_day,
            won: false,
            billed: false,
            held: false,
            flags: Flags::default(),
            sent: Nanos::ZERO,
            booked: Nanos::ZERO,
            reserved: token.reserved,
            impressions_micros: 0,
            place,
        }
    }

    fn book(&mut self, record: &Record, booked: Nanos, at: Timestamp, in_day: bool) {
        let verdict = &record.verdict;
        (self.at, self.in_day) = (at, in_day);
        self.billed = true;
        self.held = verdict.held;
        self.flags = Flags(self.flags.0 | verdict.flags.0);
        self.booked = booked;
        let token = &record.token;
        let as_bid = impressions_as_bid(token);
        self.impressions_micros = verdict.multiplier_micros.unwrap_or(as_bid);
        let (price, impressions) = match verdict.price {
            Some(price) if !verdict.flags.has(Flags::AT_RESERVED) => (price, self.impressions_micros),
            _ => (token.price, as_bid),
        };
        self.sent = price.per_impression().for_impressions(impressions);
    }

    /// Billed, and on the day.
    pub fn counts(&self) -> bool {
        self.in_day && self.billed
    }

    /// What the budgets have in their late column: above the hold, or all of it where there was no hold (any more).
    pub fn late(&self) -> Nanos {
        match (self.billed, self.held) {
            (false, _) => Nanos::ZERO,
            (true, true) => self.booked.saturating_sub(self.reserved).max(Nanos::ZERO),
            (true, false) => self.booked,
        }
    }
}

/// In millionths: what was reserved is their price.
fn impressions_as_bid(token: &Token) -> u64 {
    let one = i128::from(token.rate.to_accounting_up(token.price).per_impression().0);
    if one <= 0 || token.reserved <= Nanos::ZERO {
        return Nanos::ONE_IMPRESSION_MICROS;
    }
    let micros = (i128::from(token.reserved.0) * i128::from(Nanos::ONE_IMPRESSION_MICROS) + one / 2) / one;
    u64::try_from(micros).unwrap_or(Nanos::ONE_IMPRESSION_MICROS)
}

struct Plan {
    /// Where each segment begins, in bytes of all.
    starts: HashMap<u64, u64>,
    from_segment: u64,
    /// Older segments were moved away.
    is_cut: bool,
    bytes: u64,
}

impl Plan {
    fn bytes_before(&self, segment: u64) -> u64 {
        self.starts.get(&segment).copied().unwrap_or(self.bytes)
    }
}
