//! Users from JSON lines and CSV. Invariant: a line is taken whole or not at all, and a line that is not taken is counted.
//!
//! One user per line. As JSON (all but `ids` may be left out; an id may be a list):
//!
//! ```text
//! {"ids":{"buyeruid":"u-000001","ifa":"6D92…"},"gender":"m","birth_year":1994,"country":"USA","utc_offset_min":-300,
//!  "language":"en","ltv":12.5,"monetary":88.1,"frequency":4,"last_active":"2026-11-02",
//!  "tags":[{"tag":"visited:car-forum","dimension":"behaviour","weight":0.7,"day":"2026-10-30"}]}
//! ```
//!
//! As CSV the columns have the same names, in any order; `ids` is `namespace:id;…` (`exchange:NAME:id` for an exchange's
//! own ids) and `tags` is `dimension/name=weight@date;…`, where weight and date may be left out.

use super::columns::Columns;
use super::error::Error;
use super::line::Raw;
use super::record::Record;
use crate::units::UserKeySecret;
use serde::Serialize;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Bytes of a line: 5,000 tags of 200 bytes each fit.
const LINE_BYTES_MAX: u64 = 2 << 20;
/// Bad lines that are listed; the others are only counted.
const LISTED_MAX: usize = 20;
/// Lines between two calls of the progress function.
const PROGRESS_EVERY: u64 = 4096;

/// How far the reading of one file is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub read: u64,
    pub total: u64,
}

/// What came of one input file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct InputReport {
    pub file: String,
    /// Without empty ones and the header of a CSV.
    pub lines: u64,
    pub bad_lines: u64,
    /// The first 20.
    pub listed: Vec<BadLine>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BadLine {
    /// From 1.
    pub line: u64,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl InputReport {
    /// `FILE:LINE: what is wrong`.
    pub fn first_bad(&self) -> Option<String> {
        let bad = self.listed.first()?;
        Some(format!("{}:{}: {}", self.file, bad.line, bad.what))
    }

    fn note(&mut self, line: u64, what: String) {
        self.bad_lines += 1;
        if self.listed.len() < LISTED_MAX {
            self.listed.push(BadLine { line, what });
        }
    }
}

/// Reads `.csv`, or JSON lines as `.jsonl`, `.ndjson` or `.json`. Bad lines are in the report; errors are those of the
/// file system, of a CSV header, and of `on_record`.
pub fn read_input(
    path: &Path,
    secret: &UserKeySecret,
    on_progress: &mut dyn FnMut(Progress),
    on_record: &mut dyn FnMut(Record) -> Result<(), Error>,
) -> Result<InputReport, Error> {
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    let csv = match extension.to_ascii_lowercase().as_str() {
        "csv" => true,
        "jsonl" | "ndjson" | "json" => false,
        other => {
            let what = format!("the extension `{other}` is not known; .csv, .jsonl, .ndjson or .json");
            return Err(Error::Input {
                path: path.to_path_buf(),
                what,
            });
        }
    };
    let file = File::open(path).map_err(Error::io(path, "open"))?;
    let total = file.metadata().map_err(Error::io(path, "read"))?.len();
    let report = InputReport {
        file: path.display().to_string(),
        ..InputReport::default()
    };
    let mut reading = Reading {
        path,
        secret,
        total,
        report,
        on_progress,
        on_record,
    };
    if csv {
        reading.csv(file)?
    } else {
        reading.json_lines(file)?
    }
    (reading.on_progress)(Progress { read: total, total });
    Ok(reading.report)
}

struct Reading<'a> {
    path: &'a Path,
    secret: &'a UserKeySecret,
    total: u64,
    report: InputReport,
    on_progress: &'a mut dyn FnMut(Progress),
    on_record: &'a mut dyn FnMut(Record) -> Result<(), Error>,
}

impl Reading<'_> {
    fn json_lines(&mut self, file: File) -> Result<(), Error> {
        let mut file = BufReader::with_capacity(1 << 18, file);
        let mut line = Vec::new();
        let (mut number, mut read) = (0, 0);
        loop {
            line.clear();
            let taken = (&mut file).take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
            let taken = taken.map_err(Error::io(self.path, "read"))? as u64;
            if taken == 0 {
                return Ok(());
            }
            number += 1;
            read += taken;
            if taken == LINE_BYTES_MAX && line.last() != Some(&b'\n') {
                read += file.skip_until(b'\n').map_err(Error::io(self.path, "read"))? as u64;
                self.take(number, read, Err(format!("longer than {LINE_BYTES_MAX} bytes")))?;
            } else if !line.trim_ascii().is_empty() {
                let raw = serde_json::from_slice::<Raw>(&line).map_err(|error| error.to_string());
                self.take(number, read, raw)?;
            }
        }
    }

    fn csv(&mut self, file: File) -> Result<(), Error> {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(BufReader::new(file));
        let headers = reader
            .headers()
            .map_err(|error| self.unusable(error.to_string()))?
            .clone();
        let columns = Columns::of(&headers).map_err(|what| self.unusable(what))?;
        let mut row = csv::StringRecord::new();
        loop {
            let before = reader.position().line();
            match reader.read_record(&mut row) {
                Ok(false) => return Ok(()),
                Ok(true) => {
                    let position = row.position();
                    let (line, byte) = position.map_or((before, 0), |at| (at.line(), at.byte()));
                    let raw = if row.len() == headers.len() {
                        columns.raw(&row)
                    } else {
                        Err(format!("{} fields; the header has {}", row.len(), headers.len()))
                    };
                    self.take(line, byte, raw)?;
                }
                Err(error) if error.is_io_error() => return Err(self.unusable(error.to_string())),
                Err(error) => self.take(before, 0, Err(error.to_string()))?,
            }
        }
    }

    fn take(&mut self, line: u64, read: u64, raw: Result<Raw<'_>, String>) -> Result<(), Error> {
        self.report.lines += 1;
        if self.report.lines.is_multiple_of(PROGRESS_EVERY) {
            (self.on_progress)(Progress {
                read,
                total: self.total,
            });
        }
        match raw.and_then(|raw| raw.into_record(self.secret)) {
            Ok(record) => (self.on_record)(record),
            Err(what) => {
                self.report.note(line, what);
                Ok(())
            }
        }
    }

    fn unusable(&self, what: String) -> Error {
        Error::Input {
            path: self.path.to_path_buf(),
            what,
        }
    }
}
