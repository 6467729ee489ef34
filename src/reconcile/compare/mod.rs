//! The invoice beside our books: bid by bid where its rows name bids, else sum by sum.
//!
//! Invariant: differences are not set off against each other. What they add up to, or by how much the totals differ where
//! that is more, is what the tolerance is held against; what rounding in the invoice explains is no difference of a row.

mod by_bid;
mod by_key;

use super::invoice::{Invoice, InvoiceError, Role, Row};
use super::ours::{OurBid, Ours, Place};
use super::split::{GROUPS_MAX, Key, Names};
use crate::store::rates::Rate;
use crate::units::{Currency, Nanos};

/// Differences that are kept before the smaller ones are let go: a few thousand times 100 bytes.
const KEPT_MIN: usize = 4096;

#[derive(Clone, Debug)]
pub struct Options {
    pub accounting: Currency,
    /// Of the invoice, where it does not say so.
    pub currency: Option<Currency>,
    /// Of the exchange, where nothing else is known.
    pub exchange_currency: Currency,
    /// Accounting units for one unit of the invoice's currency.
    pub rate: Option<Rate>,
    /// Share of the larger total.
    pub tolerance: f64,
    /// How many differences are told one by one.
    pub worst: usize,
    /// By what the bids of an invoice by bid are summed up.
    pub split: Vec<Key>,
}

/// Why an invoice and the books cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum Uncomparable {
    #[error(transparent)]
    Invoice(#[from] InvoiceError),
    #[error("{file} has no row for that day ({of_other_days} rows are of other days)")]
    NoRows { file: String, of_other_days: u64 },
    #[error(
        "{file}: none of {rows} cells of `{column}` is a bid id of ours (24 hexadecimal digits, `bid.id` of our responses), such as \
         `{example}`: it may be the exchange's own id; name the right column with --columns bid=NAME"
    )]
    NoIds {
        file: String,
        rows: u64,
        column: String,
        example: String,
    },
    #[error("{file}:{line}: the row is in {row}, {before} before: compare one currency at a time")]
    Currencies {
        file: String,
        line: u64,
        row: Currency,
        before: Currency,
    },
    #[error("our bids of that day are in {0}, and the invoice does not say in what it is: give --currency")]
    NoCurrency(String),
    #[error(
        "the invoice is in {invoice}, bids are in {bid}, the books in {accounting}: give --rate, {accounting} for 1 {invoice}"
    )]
    NoRate {
        invoice: Currency,
        bid: Currency,
        accounting: Currency,
    },
    #[error("the invoice has more than {GROUPS_MAX} different keys: leave one of its key columns out")]
    TooManyGroups,
}

/// One side of a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Bids of ours, rows of theirs.
    pub count: u64,
    pub impressions_micros: u64,
    pub money: Nanos,
}

/// What a bid, or a group of them, is found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Agrees,
    /// Theirs, and nothing in our books near that day is of that id or key.
    Unknown,
    /// Theirs; by our books it is of the day before or after.
    OtherDay,
    /// Theirs; we know of the win and no bill came.
    NotBilled,
    /// Theirs; a test, an audit, so late that it was not booked, or of a node that was declared dead.
    NotBooked,
    /// Ours, and not in the invoice.
    MissingInTheirs,
    /// Both have it, for other money.
    Differs,
    /// More than one row for one impression.
    BilledTwice,
}

impl Kind {
    pub const DIFFERENT: [Kind; 7] = [
        Kind::Unknown,
        Kind::OtherDay,
        Kind::NotBilled,
        Kind::NotBooked,
        Kind::MissingInTheirs,
        Kind::Differs,
        Kind::BilledTwice,
    ];

    /// For scripts.
    pub fn id(self) -> &'static str {
        match self {
            Kind::Agrees => "agrees",
            Kind::Unknown => "missing_in_ours",
            Kind::OtherDay => "of_another_day",
            Kind::NotBilled => "won_without_bill",
            Kind::NotBooked => "not_booked",
            Kind::MissingInTheirs => "missing_in_theirs",
            Kind::Differs => "price_differs",
            Kind::BilledTwice => "billed_twice",
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Agrees => "agree",
            Kind::Unknown => "missing in ours",
            Kind::OtherDay => "of another day by our books",
            Kind::NotBilled => "won, but no bill came to us",
            Kind::NotBooked => "test, audit or too late",
            Kind::MissingInTheirs => "missing in theirs",
            Kind::Differs => "price differs",
            Kind::BilledTwice => "billed twice by them",
        }
    }
}

/// One bid on which the two sides differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub kind: Kind,
    /// The bid id, as it stands in the invoice or in our books.
    pub bid: String,
    /// The last row of the invoice about it.
    pub line: Option<u64>,
    pub ours: Nanos,
    pub theirs: Nanos,
}

/// Bids of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub label: String,
    pub kind: Kind,
    pub ours: Side,
    pub theirs: Side,
}

/// Money is in `currency`.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub currency: Currency,
    pub by_bid: bool,
    /// False where the invoice tells impressions alone.
    pub has_money: bool,
    pub ours: Side,
    pub theirs: Side,
    /// How many bids, or rows of a summary, are of each kind, and their money on both sides.
    pub kinds: Vec<(Kind, Side, Side)>,
    /// Single bids, the largest difference first.
    pub worst: Vec<Difference>,
    /// By what the groups are, and the groups, the largest difference first.
    pub groups: Vec<(Vec<Key>, Vec<Group>)>,
    /// By what share of the larger total the two differ.
    pub apart: f64,
    pub agrees: bool,
}

/// Compares what is read, row by row. `progress` hears of bytes read and of all there are.
///
/// # Errors
/// What cannot be understood or put side by side.
pub fn compare(
    ours: &Ours,
    invoice: &mut Invoice,
    names: &Names,
    options: &Options,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Comparison, Uncomparable> {
    if invoice.columns().has(Role::Bid) {
        by_bid::compare(ours, invoice, names, options, progress)
    } else {
        by_key::compare(ours, invoice, names, options, progress)
    }
}

impl Side {
    fn add(&mut self, count: u64, impressions_micros: u64, money: Nanos) {
        self.count += count;
        self.impressions_micros = self.impressions_micros.saturating_add(impressions_micros);
        self.money = self.money.saturating_add(money);
    }

    fn apart(&self, other: &Side) -> Nanos {
        Nanos(self.money.saturating_sub(other.money).0.saturating_abs())
    }
}

impl Group {
    fn new(label: String) -> Group {
        Group {
            label,
            kind: Kind::Agrees,
            ours: Side::default(),
            theirs: Side::default(),
        }
    }

    pub fn apart(&self) -> Nanos {
        self.ours.apart(&self.theirs)
    }
}

impl Difference {
    pub fn apart(&self) -> Nanos {
        Nanos(self.theirs.saturating_sub(self.ours).0.saturating_abs())
    }
}

/// The one currency of the invoice: of its rows, else as told, else of our bids.
struct InvoiceCurrency<'a> {
    options: &'a Options,
    ours: &'a Ours,
    found: Option<Currency>,
}

impl<'a> InvoiceCurrency<'a> {
    fn new(ours: &'a Ours, options: &'a Options) -> Self {
        InvoiceCurrency {
            options,
            ours,
            found: options.currency,
        }
    }

    fn see(&mut self, invoice: &Invoice, row: &Row) -> Result<(), Uncomparable> {
        let Some(currency) = row.currency else {
            return Ok(());
        };
        match self.found {
            Some(before) if before != currency => Err(Uncomparable::Currencies {
                file: invoice.path().display().to_string(),
                line: row.line,
                row: currency,
                before,
            }),
            _ => {
                self.found = Some(currency);
                Ok(())
            }
        }
    }

    fn get(&self) -> Result<Currency, Uncomparable> {
        if let Some(found) = self.found {
            return Ok(found);
        }
        let bids = self.ours.billed();
        let mut currencies: Vec<_> = bids.map(|(_, bid)| self.ours.place_of(bid).currency).collect();
        currencies.sort();
        currencies.dedup();
        match currencies[..] {
            [] => Ok(self.options.exchange_currency),
            [one] => Ok(one),
            _ => {
                let names: Vec<_> = currencies.iter().map(Currency::to_string).collect();
                Err(Uncomparable::NoCurrency(names.join(" and ")))
            }
        }
    }
}

/// What a bid cost, in the invoice's currency: as its price was sent, as it was booked, else at the rate that was given.
fn money_in(
    currency: Currency,
    bid: &OurBid,
    place: &Place,
    options: &Options,
) -> Result<Nanos, Uncomparable> {
    if currency == place.currency {
        return Ok(bid.sent);
    }
    if currency == options.accounting {
        return Ok(bid.booked);
    }
    let rate = options
        .rate
        .filter(|rate| rate.0 > 0)
        .ok_or(Uncomparable::NoRate {
            invoice: currency,
            bid: place.currency,
            accounting: options.accounting,
        })?;
    let booked = u64::try_from(bid.booked.0).unwrap_or(0);
    Ok(Nanos(Rate::ONE.0).scaled_up(booked, rate.0.unsigned_abs()))
}

/// Half a unit of the last decimal that the invoice writes money with: 2 decimals at least, since some leave zeros out.
fn half_decimal(invoice: &Invoice) -> Nanos {
    Nanos(Nanos::PER_UNIT / 2 / 10i64.pow(invoice.decimals.clamp(2, 9)))
}

fn no_rows(invoice: &Invoice) -> Uncomparable {
    Uncomparable::NoRows {
        file: invoice.path().display().to_string(),
        of_other_days: invoice.of_other_days,
    }
}

/// Adds up kinds and sides, and judges.
struct Verdict {
    ours: Side,
    theirs: Side,
    kinds: Vec<(Kind, Side, Side)>,
    money_apart: i128,
}

impl Verdict {
    fn new() -> Verdict {
        let kinds = [Kind::Agrees].into_iter().chain(Kind::DIFFERENT);
        Verdict {
            ours: Side::default(),
            theirs: Side::default(),
            kinds: kinds
                .map(|kind| (kind, Side::default(), Side::default()))
                .collect(),
            money_apart: 0,
        }
    }

    fn add(&mut self, kind: Kind, ours: Side, theirs: Side) {
        let place = self.kinds.iter_mut().find(|(known, ..)| *known == kind);
        let (_, ours_of_kind, theirs_of_kind) = place.expect("all kinds are there");
        for (sum, side) in [(ours_of_kind, ours), (theirs_of_kind, theirs)] {
            sum.add(side.count, side.impressions_micros, side.money);
        }
        self.ours.add(ours.count, ours.impressions_micros, ours.money);
        self.theirs
            .add(theirs.count, theirs.impressions_micros, theirs.money);
        if kind != Kind::Agrees {
            self.money_apart += i128::from(ours.apart(&theirs).0);
        }
    }

    /// Of the larger total.
    fn money_share(&self) -> f64 {
        let apart = self.money_apart.max(self.ours.apart(&self.theirs).0.into());
        let most = self
            .ours
            .money
            .0
            .unsigned_abs()
            .max(self.theirs.money.0.unsigned_abs());
        share(apart as f64, most as f64)
    }
}

fn share(apart: f64, most: f64) -> f64 {
    if apart == 0.0 { 0.0 } else { apart / most.max(1.0) }
}
