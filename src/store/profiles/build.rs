//! Making a store from records of any number. Invariant: the output appears whole, by a rename, or not at all; whoever has
//! the old file mapped keeps it.
//!
//! Memory is bounded: rows and tags stream to disk as they come, keys are sorted in runs of
//! [`BuildOptions::sorted_in_memory`] entries (16 bytes each, 64 MiB by default), one bit a user says who is still
//! pointed to (4 MB for 30 million), and the dictionary holds each tag name once.

use super::dedupe::dedupe;
use super::error::Error;
use super::file::StoreFile;
use super::input::{InputReport, Progress, read_input};
use super::layout::Row;
use super::profile::Tag;
use super::record::{Dictionary, Record, check_keys};
use super::report::BuildReport;
use super::scratch::Scratch;
use super::sort::Sorter;
use crate::units::{UserKey, UserKeySecret};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zerocopy::IntoBytes;

#[derive(Clone)]
pub struct BuildOptions {
    pub secret: UserKeySecret,
    /// Kept in the header, so that the caller can tell whether a store is still the one it wants.
    pub source: u64,
    /// Refuse the input when any line is bad.
    pub strict: bool,
    /// Keys sorted at once.
    pub sorted_in_memory: usize,
    /// A record with any such key does not get into the store: its person opted out.
    pub leave_out: Arc<dyn Fn(UserKey) -> bool + Send + Sync>,
}

impl BuildOptions {
    /// 4 Mi entries of 16 bytes: 64 MiB.
    pub const SORTED_IN_MEMORY: usize = 4 << 20;

    pub fn new(secret: UserKeySecret) -> BuildOptions {
        BuildOptions {
            secret,
            source: 0,
            strict: false,
            sorted_in_memory: Self::SORTED_IN_MEMORY,
            leave_out: Arc::new(|_| false),
        }
    }
}

/// Builds a store from files of JSON lines and CSV, taken in order.
pub fn build(
    inputs: &[PathBuf],
    output: &Path,
    options: &BuildOptions,
    on_progress: &mut dyn FnMut(&Path, Progress),
) -> Result<BuildReport, Error> {
    let mut builder = Builder::new(output, options.source, options.sorted_in_memory)?;
    let mut reports = Vec::new();
    let mut left_out = 0;
    for path in inputs {
        let report = read_input(
            path,
            &options.secret,
            &mut |progress| on_progress(path, progress),
            &mut |record| {
                if record.keys.iter().any(|key| (options.leave_out)(*key)) {
                    left_out += 1;
                    return Ok(());
                }
                builder.push(&record)
            },
        )?;
        reports.push(report);
    }
    let bad: u64 = reports.iter().map(|report| report.bad_lines).sum();
    if options.strict && bad > 0 {
        let lines = reports.iter().map(|report| report.lines).sum();
        let first = reports
            .iter()
            .find_map(InputReport::first_bad)
            .unwrap_or_default();
        return Err(Error::BadLines { bad, lines, first });
    }
    let report = builder.finish()?;
    Ok(BuildReport {
        inputs: reports,
        left_out,
        ..report
    })
}

/// Takes records one by one; nothing stands at the output's place before [`Builder::finish`] has returned.
#[derive(Debug)]
pub struct Builder {
    output: PathBuf,
    scratch: Scratch,
    source: u64,
    rows: BufWriter<File>,
    tags: BufWriter<File>,
    records: u32,
    tag_count: u64,
    sorter: Sorter,
    dictionary: Dictionary,
    packed: Vec<Tag>,
}

impl Builder {
    /// Works in a folder beside `output`, so that the last step is a rename.
    pub fn new(output: &Path, source: u64, sorted_in_memory: usize) -> Result<Builder, Error> {
        let scratch = Scratch::new(output)?;
        Ok(Builder {
            rows: scratch.create("rows")?,
            tags: scratch.create("tags")?,
            sorter: Sorter::new(&scratch.folder, sorted_in_memory),
            output: output.to_path_buf(),
            scratch,
            source,
            records: 0,
            tag_count: 0,
            dictionary: Dictionary::default(),
            packed: Vec::new(),
        })
    }

    pub fn push(&mut self, record: &Record) -> Result<(), Error> {
        let number = u64::from(self.records) + 1;
        let wrong = |what| Error::Record { number, what };
        if self.records == u32::MAX {
            return Err(wrong(format!("at most {} users fit one store", u32::MAX)));
        }
        let key = check_keys(record).map_err(wrong)?;
        self.dictionary.pack(record, &mut self.packed).map_err(wrong)?;
        let row = Row::of(record, key, self.tag_count, self.packed.len() as u32);
        self.rows
            .write_all(row.as_bytes())
            .map_err(Error::io(&self.scratch.folder, "write rows in"))?;
        self.tags
            .write_all(self.packed.as_bytes())
            .map_err(Error::io(&self.scratch.folder, "write tags in"))?;
        for key in &record.keys {
            self.sorter.push((key.0, self.records))?;
        }
        self.tag_count += self.packed.len() as u64;
        self.records += 1;
        Ok(())
    }

    pub fn finish(self) -> Result<BuildReport, Error> {
        let Builder {
            output,
            scratch,
            source,
            mut rows,
            mut tags,
            records,
            sorter,
            dictionary,
            ..
        } = self;
        rows.flush()
            .map_err(Error::io(&scratch.folder, "write rows in"))?;
        tags.flush()
            .map_err(Error::io(&scratch.folder, "write tags in"))?;
        let (survivors, mut report) = dedupe(&scratch, sorter, records)?;
        let names = dictionary.into_names();
        let new = scratch.folder.join("store");
        let mut file = StoreFile::create(&new)?;
        file.write_index(&scratch, &survivors, report.keys)?;
        file.write_rows(&scratch, &survivors)?;
        report.tags = file.write_tags(&scratch, &survivors)?;
        file.write_names(&names)?;
        report.users = survivors.len();
        report.names = names.len() as u64;
        report.bytes = file.seal(source, &report)?;
        fs::rename(&new, &output).map_err(Error::io(&output, "replace"))?;
        sync_folder_of(&output)?;
        Ok(report)
    }
}

/// Makes the rename durable.
fn sync_folder_of(path: &Path) -> Result<(), Error> {
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(Error::io(folder, "sync"))
}
