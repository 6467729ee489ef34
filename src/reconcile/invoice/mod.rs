//! An exchange's invoice or report: CSV with a header, one row after the other, whatever its size.
//!
//! Invariant: a row is understood in full or is an error with file, line and column; only rows of other days and rows
//! that add others up are left out, and counted.

mod columns;
mod number;

pub use columns::{Columns, Role};
pub use number::Decimal;

use super::day::{Day, parse_date};
use super::split::{Key, Value};
use crate::units::{BidId, Currency, Nanos};
use csv::{ErrorKind, StringRecord};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// A row of an invoice has some hundred bytes; a file without line ends must not be read into memory whole.
const LINE_BYTES_MAX: usize = 1 << 20;

#[derive(Clone, Debug, Default)]
pub struct InvoiceOptions {
    /// `role=column,…`.
    pub columns: Option<String>,
    pub decimal: Decimal,
}

/// See the head of this file.
pub struct Invoice {
    path: PathBuf,
    reader: csv::Reader<Bounded<BufReader<File>>>,
    record: StringRecord,
    columns: Columns,
    options: InvoiceOptions,
    day: Day,
    keys: Vec<(Key, usize)>,
    pub bytes: u64,
    /// Rows that count.
    pub rows: u64,
    /// Left out.
    pub of_other_days: u64,
    /// Rows that add up others.
    pub sums: u64,
    /// The most decimals that money is written with.
    pub decimals: u32,
}

/// One row that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub line: u64,
    /// The row says that it is of another day: only so of a row by bid.
    pub of_other_day: bool,
    /// `None` where the cell holds no id of the form of ours.
    pub bid: Option<BidId>,
    /// The text of the bid's cell; empty without such a column.
    pub bid_text: String,
    pub money: Option<Money>,
    /// In millionths.
    pub impressions_micros: Option<u64>,
    pub currency: Option<Currency>,
    /// In the order of [`Invoice::keys`].
    pub keys: Vec<Value>,
}

/// What a row says it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Money {
    /// All of the row.
    Amount(Nanos),
    /// Each impression of the row.
    PerImpression(Nanos),
}

#[derive(Debug, thiserror::Error)]
pub enum InvoiceError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}:{line}: {what}", path.display())]
    Line { path: PathBuf, line: u64, what: String },
    #[error("{}:{line}, column {column} (`{name}`): `{text}` {what}", path.display())]
    Cell {
        path: PathBuf,
        line: u64,
        /// From 1.
        column: usize,
        name: String,
        text: String,
        what: String,
    },
}

impl Invoice {
    /// Reads the header. Rows of other days than `day` are left out where there is a column of days.
    pub fn open(path: &Path, day: &Day, options: InvoiceOptions) -> Result<Invoice, InvoiceError> {
        let at = |source| InvoiceError::Io {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(at)?;
        let bytes = file.metadata().map_err(at)?.len();
        let (delimiter, input) = sniff(file).map_err(at)?;
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .trim(csv::Trim::All)
            .from_reader(Bounded { input, line_bytes: 0 });
        let header = reader.headers().map_err(|error| unreadable(path, error))?.clone();
        let line = |what| InvoiceError::Line {
            path: path.to_owned(),
            line: 1,
            what,
        };
        let columns = Columns::find(header.iter(), options.columns.as_deref()).map_err(line)?;
        check(&columns).map_err(line)?;
        // A bid says itself what it belongs to.
        let by_bid = columns.has(Role::Bid);
        let keys = KEYS.iter().filter(|_| !by_bid);
        let keys = keys.filter_map(|(role, key)| Some((*key, columns.place(*role)?)));
        Ok(Invoice {
            path: path.to_owned(),
            record: StringRecord::new(),
            keys: keys.collect(),
            reader,
            columns,
            options,
            day: day.clone(),
            bytes,
            rows: 0,
            of_other_days: 0,
            sums: 0,
            decimals: 0,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// By what the rows are split.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        self.keys.iter().map(|(key, _)| *key)
    }

    pub fn bytes_read(&self) -> u64 {
        self.reader.position().byte()
    }

    /// The cells of the row read last, as they stand there, in the order of [`keys`](Invoice::keys).
    pub fn labels(&self) -> Vec<String> {
        let cell = |&(key, place): &(Key, usize)| match &self.record[place] {
            _ if key == Key::Hour => self
                .hour(place)
                .map_or(String::new(), |hour| format!("{hour:02}")),
            text if key == Key::Deal && is_no_deal(text) => "open auction".to_owned(),
            text => text.to_owned(),
        };
        self.keys.iter().map(cell).collect()
    }

    /// The next row that counts.
    pub fn next_row(&mut self) -> Result<Option<Row>, InvoiceError> {
        loop {
            let read = self.reader.read_record(&mut self.record);
            if !read.map_err(|error| unreadable(&self.path, error))? {
                return Ok(None);
            }
            if self.is_sum() {
                self.sums += 1;
                continue;
            }
            let of_other_day = !self.is_of_day()?;
            if of_other_day && !self.columns.has(Role::Bid) {
                self.of_other_days += 1;
                continue;
            }
            self.rows += 1;
            return self.row(of_other_day).map(Some);
        }
    }

    /// The row read last does not count.
    pub fn leave_out(&mut self) {
        self.rows -= 1;
        self.of_other_days += 1;
    }

    fn is_sum(&self) -> bool {
        let first = self.record.get(0).unwrap_or_default().trim_end_matches(':');
        ["total", "totals", "grand total", "sum"]
            .iter()
            .any(|word| first.eq_ignore_ascii_case(word))
    }

    fn is_of_day(&self) -> Result<bool, InvoiceError> {
        let day = self.columns.place(Role::Day);
        if let Some(place) = day {
            let text = &self.record[place];
            let date = text.split(['T', ' ']).next().and_then(parse_date);
            let date = date.ok_or_else(|| self.cell(place, "is no day such as 2026-03-02"))?;
            return Ok(date == self.day.date);
        }
        // An hour with its day in front.
        let hour = self.keys.iter().find(|(key, _)| *key == Key::Hour);
        let date = hour.and_then(|&(_, place)| self.record[place].split_once(['T', ' ']));
        Ok(date.is_none_or(|(date, _)| parse_date(date).is_none_or(|date| date == self.day.date)))
    }

    fn row(&mut self, of_other_day: bool) -> Result<Row, InvoiceError> {
        let bid_text = self.text(Role::Bid).unwrap_or_default().to_owned();
        let money = self.money()?;
        let impressions_micros = self.impressions()?;
        let currency = match self.columns.place(Role::Currency) {
            None => self.columns.currency,
            Some(place) => Some(
                Currency::parse(&self.record[place])
                    .ok_or_else(|| self.cell(place, "is no currency such as USD"))?,
            ),
        };
        let keys = self.keys.iter().map(|&(key, place)| self.value(key, place));
        Ok(Row {
            line: self.line(),
            of_other_day,
            bid: parse_bid(&bid_text),
            keys: keys.collect::<Result<_, _>>()?,
            bid_text,
            money,
            impressions_micros,
            currency,
        })
    }

    fn money(&mut self) -> Result<Option<Money>, InvoiceError> {
        let amount = self.columns.place(Role::Amount);
        let Some(place) = amount.or(self.columns.place(Role::Price)) else {
            return Ok(None);
        };
        let number = self.number(place)?;
        self.decimals = self.decimals.max(number.decimals);
        if amount.is_some() {
            return Ok(Some(Money::Amount(number.nanos)));
        }
        if number.nanos < Nanos::ZERO {
            return Err(self.cell(place, "is below 0: a price per thousand is not"));
        }
        let per_impression = (number.nanos.0 + 500) / 1000;
        Ok(Some(Money::PerImpression(Nanos(per_impression))))
    }

    fn impressions(&self) -> Result<Option<u64>, InvoiceError> {
        let Some(place) = self.columns.place(Role::Impressions) else {
            return Ok(None);
        };
        let number = self.number(place)?;
        let micros = u64::try_from(number.nanos.0 / 1000);
        micros
            .map(Some)
            .map_err(|_| self.cell(place, "is below 0: a number of impressions is not"))
    }

    fn number(&self, place: usize) -> Result<number::Number, InvoiceError> {
        let text = &self.record[place];
        number::parse(text, self.options.decimal).map_err(|what| self.cell(place, &what))
    }

    fn value(&self, key: Key, place: usize) -> Result<Value, InvoiceError> {
        match (key, &self.record[place]) {
            (Key::Hour, _) => {
                let hour = self.hour(place);
                hour.map(Value::of_hour)
                    .ok_or_else(|| self.cell(place, "is no hour such as 7, 07:00 or 2026-03-02 07:00"))
            }
            (Key::Deal, text) if is_no_deal(text) => Ok(Value::NONE),
            (_, text) => Ok(Value::of_id(text)),
        }
    }

    fn hour(&self, place: usize) -> Option<u8> {
        let text = &self.record[place];
        let time = text.split_once(['T', ' ']).map_or(text, |(_, time)| time);
        let hour = time.split(':').next()?;
        let hour: u8 = hour.parse().ok().filter(|_| hour.len() <= 2)?;
        (hour < 24).then_some(hour)
    }

    fn text(&self, role: Role) -> Option<&str> {
        self.columns.place(role).map(|place| &self.record[place])
    }

    fn line(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::line)
    }

    fn cell(&self, place: usize, what: &str) -> InvoiceError {
        InvoiceError::Cell {
            path: self.path.clone(),
            line: self.line(),
            column: place + 1,
            name: self.columns.name(place).to_owned(),
            text: self.record[place].chars().take(60).collect(),
            what: what.to_owned(),
        }
    }
}

const KEYS: [(Role, Key); 5] = [
    (Role::Campaign, Key::Campaign),
    (Role::Deal, Key::Deal),
    (Role::Seat, Key::Seat),
    (Role::Creative, Key::Creative),
    (Role::Hour, Key::Hour),
];

/// What is needed to compare anything.
fn check(columns: &Columns) -> Result<(), String> {
    let has = |role| columns.has(role);
    let found = columns.all();
    if has(Role::Bid) && !has(Role::Price) && !has(Role::Amount) {
        return Err(format!(
            "rows by bid need a price (per thousand) or an amount beside the bid; found {found}: name it with --columns price=NAME"
        ));
    }
    if !has(Role::Bid) && !has(Role::Amount) && !has(Role::Impressions) {
        return Err(format!(
            "none of the columns is known: rows by bid need bid and price (or amount), a summary needs amount or \
             impressions; found {found}: name them with --columns bid=NAME,price=NAME"
        ));
    }
    Ok(())
}

/// 24 hexadecimal digits, as [`BidId`] is written.
fn parse_bid(text: &str) -> Option<BidId> {
    let is_id = text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = is_id.then(|| u128::from_str_radix(text, 16).ok())?;
    number.map(|number| BidId(number << 32))
}

fn is_no_deal(text: &str) -> bool {
    let words = [
        "",
        "-",
        "none",
        "n/a",
        "null",
        "0",
        "open",
        "open auction",
        "open market",
    ];
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// The delimiter of the header (comma, semicolon or tab), and the file from its start, without a byte order mark.
fn sniff(file: File) -> io::Result<(u8, BufReader<File>)> {
    let mut input = BufReader::with_capacity(1 << 16, file);
    let start = input.fill_buf()?;
    let mark = if start.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let header = start.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: &u8| header.iter().filter(|&byte| byte == delimiter).count();
    let delimiter = [b'\t', b';', b','].into_iter().max_by_key(count);
    input.consume(mark);
    Ok((delimiter.unwrap_or(b','), input))
}

fn unreadable(path: &Path, error: csv::Error) -> InvoiceError {
    let line = error.position().map_or(1, csv::Position::line);
    let what = match error.into_kind() {
        ErrorKind::Io(source) => {
            return InvoiceError::Io {
                path: path.to_owned(),
                source,
            };
        }
        ErrorKind::Utf8 { .. } => "is not in UTF-8: save the file in that encoding".to_owned(),
        ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("has {len} columns where the header has {expected_len}")
        }
        other => format!("cannot be read: {other:?}"),
    };
    InvoiceError::Line {
        path: path.to_owned(),
        line,
        what,
    }
}

/// Refuses lines that are too long before they are in memory.
struct Bounded<R> {
    input: R,
    line_bytes: usize,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        for line in buffer[..read].split_inclusive(|&byte| byte == b'\n') {
            self.line_bytes += line.len();
            if self.line_bytes > LINE_BYTES_MAX {
                return Err(io::Error::other(format!(
                    "a line of more than {LINE_BYTES_MAX} bytes: this is no CSV with one row a line"
                )));
            }
            if line.ends_with(b"\n") {
                self.line_bytes = 0;
            }
        }
        Ok(read)
    }
}
