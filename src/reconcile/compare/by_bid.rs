//! Rows by bid, matched one by one by our bid id.

use super::{
    Comparison, Difference, Group, InvoiceCurrency, KEPT_MIN, Kind, Options, Side, Uncomparable, Verdict,
    half_decimal, money_in, no_rows,
};
use crate::reconcile::invoice::{Invoice, Money, Role, Row};
use crate::reconcile::ours::{OurBid, Ours};
use crate::reconcile::split::{Key, Names, Value};
use crate::units::{BidId, Currency, MixHasher, Nanos};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// Where rows of bids that we do not know are summed up.
const UNKNOWN: &str = "not in our books";

/// What the rows about one bid of ours say.
#[derive(Clone, Copy, Default)]
struct Theirs {
    rows: u32,
    line: u32,
    impressions_micros: u64,
    /// In all; of one impression a row where the rows say neither an amount nor impressions.
    money: Nanos,
}

struct Matching<'a> {
    ours: &'a Ours,
    names: &'a Names,
    options: &'a Options,
    theirs: HashMap<BidId, Theirs, BuildHasherDefault<MixHasher>>,
    verdict: Verdict,
    worst: Vec<Difference>,
    groups: Vec<(Key, HashMap<Option<Value>, Group>)>,
    /// Cells that have the form of our ids.
    ids: u64,
}

pub fn compare(
    ours: &Ours,
    invoice: &mut Invoice,
    names: &Names,
    options: &Options,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Comparison, Uncomparable> {
    let mut matching = Matching {
        ours,
        names,
        options,
        theirs: HashMap::default(),
        verdict: Verdict::new(),
        worst: Vec::new(),
        groups: options.split.iter().map(|&key| (key, HashMap::new())).collect(),
        ids: 0,
    };
    let mut currency = InvoiceCurrency::new(ours, options);
    let mut example = String::new();
    while let Some(row) = invoice.next_row()? {
        if row.line % 4096 == 0 {
            progress(invoice.bytes_read(), invoice.bytes);
        }
        currency.see(invoice, &row)?;
        if !matching.take(&row) {
            invoice.leave_out();
        } else if example.is_empty() {
            example = row.bid_text;
        }
    }
    if invoice.rows == 0 {
        return Err(no_rows(invoice));
    }
    if matching.ids == 0 {
        let column = invoice.columns().place(Role::Bid).expect("asked for before");
        return Err(Uncomparable::NoIds {
            file: invoice.path().display().to_string(),
            rows: invoice.rows,
            column: invoice.columns().name(column).to_owned(),
            example,
        });
    }
    matching.judge(invoice, currency.get()?)
}

impl Matching<'_> {
    /// False where the row does not count.
    fn take(&mut self, row: &Row) -> bool {
        let ours = row.bid.and_then(|bid| self.ours.get(bid));
        if row.of_other_day && !ours.is_some_and(OurBid::counts) {
            return false;
        }
        self.ids += u64::from(row.bid.is_some());
        let impressions = row.impressions_micros.unwrap_or(Nanos::ONE_IMPRESSION_MICROS);
        let money = match row.money {
            Some(Money::Amount(amount)) => amount,
            Some(Money::PerImpression(price)) => price.for_impressions(impressions),
            None => Nanos::ZERO,
        };
        match (ours, row.bid) {
            (Some(_), Some(bid)) => {
                let theirs = self.theirs.entry(bid).or_default();
                theirs.rows = theirs.rows.saturating_add(1);
                theirs.line = u32::try_from(row.line).unwrap_or(u32::MAX);
                theirs.impressions_micros = theirs.impressions_micros.saturating_add(impressions);
                theirs.money = theirs.money.saturating_add(money);
            }
            _ => self.take_unknown(row, impressions, money),
        }
        true
    }

    fn take_unknown(&mut self, row: &Row, impressions: u64, money: Nanos) {
        let theirs = Side {
            count: 1,
            impressions_micros: impressions,
            money,
        };
        self.verdict.add(Kind::Unknown, Side::default(), theirs);
        for (_, groups) in &mut self.groups {
            let group = groups
                .entry(None)
                .or_insert_with(|| Group::new(UNKNOWN.to_owned()));
            group.theirs.add(1, impressions, money);
        }
        self.keep(Difference {
            kind: Kind::Unknown,
            bid: row.bid_text.chars().take(60).collect(),
            line: Some(row.line),
            ours: Nanos::ZERO,
            theirs: money,
        });
    }

    fn judge(mut self, invoice: &Invoice, currency: Currency) -> Result<Comparison, Uncomparable> {
        let ours = self.ours;
        for (id, bid) in ours.bids() {
            let theirs = self.theirs.get(&id).copied();
            if bid.counts() || theirs.is_some() {
                self.judge_bid(invoice, currency, id, bid, theirs)?;
            }
        }
        self.trim(self.options.worst);
        let apart = self.verdict.money_share();
        let groups = self.groups.into_iter().map(|(key, groups)| {
            let mut groups: Vec<_> = groups.into_values().collect();
            groups.sort_by(|a, b| (b.apart(), &a.label).cmp(&(a.apart(), &b.label)));
            (vec![key], groups)
        });
        Ok(Comparison {
            currency,
            by_bid: true,
            has_money: true,
            ours: self.verdict.ours,
            theirs: self.verdict.theirs,
            groups: groups.collect(),
            kinds: self.verdict.kinds,
            worst: self.worst,
            apart,
            agrees: apart <= self.options.tolerance,
        })
    }

    fn judge_bid(
        &mut self,
        invoice: &Invoice,
        currency: Currency,
        id: BidId,
        bid: &OurBid,
        theirs: Option<Theirs>,
    ) -> Result<(), Uncomparable> {
        let mut ours = Side::default();
        if bid.counts() {
            let money = money_in(currency, bid, self.ours.place_of(bid), self.options)?;
            ours.add(1, bid.impressions_micros, money);
        }
        let side = theirs
            .map(|theirs| side_of(theirs, bid, invoice))
            .unwrap_or_default();
        let kind = match theirs {
            None => Kind::MissingInTheirs,
            Some(_) if !bid.in_day => Kind::OtherDay,
            Some(_) if !bid.billed && bid.flags.0 != 0 => Kind::NotBooked,
            Some(_) if !bid.billed => Kind::NotBilled,
            Some(theirs) if theirs.rows > 1 && side.impressions_micros > bid.impressions_micros => {
                Kind::BilledTwice
            }
            Some(theirs) if ours.apart(&side) <= rounding(invoice, theirs, bid) => Kind::Agrees,
            Some(_) => Kind::Differs,
        };
        self.verdict.add(kind, ours, side);
        self.add_to_groups(bid, ours, side, kind);
        if kind != Kind::Agrees {
            self.keep(Difference {
                kind,
                bid: id.to_string(),
                line: theirs.map(|theirs| theirs.line.into()),
                ours: ours.money,
                theirs: side.money,
            });
        }
        Ok(())
    }

    fn add_to_groups(&mut self, bid: &OurBid, ours: Side, theirs: Side, kind: Kind) {
        let (place, day) = (self.ours.place_of(bid), &self.ours.question.day);
        for (key, groups) in &mut self.groups {
            let value = self.names.value(*key, bid, place, day);
            let group = groups
                .entry(Some(value))
                .or_insert_with(|| Group::new(self.names.label(*key, bid, place, day)));
            group.ours.add(ours.count, ours.impressions_micros, ours.money);
            group
                .theirs
                .add(theirs.count, theirs.impressions_micros, theirs.money);
            group.kind = group.kind.max(kind);
        }
    }

    fn keep(&mut self, difference: Difference) {
        if self.options.worst == 0 {
            return;
        }
        self.worst.push(difference);
        if self.worst.len() >= KEPT_MIN.max(2 * self.options.worst) {
            self.trim(self.options.worst);
        }
    }

    fn trim(&mut self, most: usize) {
        self.worst
            .sort_by(|a, b| (b.apart(), &a.bid).cmp(&(a.apart(), &b.bid)));
        self.worst.truncate(most);
    }
}

fn is_priced_by_impression(invoice: &Invoice) -> bool {
    !invoice.columns().has(Role::Amount)
}

/// A row without a number of impressions stands for all that were bid for, unless there are several.
fn side_of(theirs: Theirs, bid: &OurBid, invoice: &Invoice) -> Side {
    let counted = invoice.columns().has(Role::Impressions);
    let stands_for_all = !counted && theirs.rows == 1 && bid.billed;
    let (impressions_micros, money) = match (stands_for_all, is_priced_by_impression(invoice)) {
        (true, true) => (
            bid.impressions_micros,
            theirs.money.for_impressions(bid.impressions_micros),
        ),
        (true, false) => (bid.impressions_micros, theirs.money),
        (false, _) => (theirs.impressions_micros, theirs.money),
    };
    Side {
        count: theirs.rows.into(),
        impressions_micros,
        money,
    }
}

/// What rounding in the invoice can explain.
fn rounding(invoice: &Invoice, theirs: Theirs, bid: &OurBid) -> Nanos {
    let half = half_decimal(invoice);
    if is_priced_by_impression(invoice) {
        Nanos(half.0 / 1000 + 1).for_impressions(bid.impressions_micros.max(1_000_000))
    } else {
        half.for_impressions(u64::from(theirs.rows) * Nanos::ONE_IMPRESSION_MICROS)
    }
}
