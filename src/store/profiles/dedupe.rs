//! Which record a key leads to. Invariant: the last one that has it; a record that no key leads to is left out.

use super::error::Error;
use super::report::BuildReport;
use super::scratch::Scratch;
use super::sort::{Entry, Sorter};
use std::io::Write;

/// The records that some key still leads to: one bit each, with running counts so that ranks are quick.
pub(super) struct Survivors {
    words: Vec<u64>,
    before: Vec<u32>,
}

impl Survivors {
    pub fn new(records: u32) -> Survivors {
        Survivors {
            words: vec![0; records as usize / 64 + 1],
            before: Vec::new(),
        }
    }

    fn keep(&mut self, record: u32) {
        self.words[record as usize / 64] |= 1 << (record % 64);
    }

    fn count(&mut self) {
        let mut sum = 0;
        for word in &self.words {
            self.before.push(sum);
            sum += word.count_ones();
        }
    }

    pub fn has(&self, record: u32) -> bool {
        self.words[record as usize / 64] >> (record % 64) & 1 == 1
    }

    /// The row of a record: how many before it are kept.
    pub fn rank(&self, record: u32) -> u32 {
        let (word, bit) = (record as usize / 64, record % 64);
        self.before[word] + (self.words[word] & ((1 << bit) - 1)).count_ones()
    }

    pub fn len(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

/// Sorts the keys, lets the last record of each win, and leaves them in the scratch file `keys`.
pub(super) fn dedupe(
    scratch: &Scratch,
    sorter: Sorter,
    records: u32,
) -> Result<(Survivors, BuildReport), Error> {
    let mut survivors = Survivors::new(records);
    let mut report = BuildReport::default();
    let mut sorted = scratch.create("keys")?;
    let mut last: Option<Entry> = None;
    let mut settle = |(key, record): Entry, report: &mut BuildReport| {
        survivors.keep(record);
        report.keys += 1;
        sorted.write_all(&key.to_le_bytes())?;
        sorted.write_all(&record.to_le_bytes())
    };
    sorter.drain(|entry| {
        match last.replace(entry) {
            Some(before) if before.0 == entry.0 => report.duplicate_keys += u64::from(before.1 != entry.1),
            Some(before) => settle(before, &mut report).map_err(scratch.failed("write keys in"))?,
            None => {}
        }
        Ok(())
    })?;
    if let Some(entry) = last {
        settle(entry, &mut report).map_err(scratch.failed("write keys in"))?;
    }
    sorted.flush().map_err(scratch.failed("write keys in"))?;
    survivors.count();
    report.replaced_users = u64::from(records) - survivors.len();
    Ok((survivors, report))
}
