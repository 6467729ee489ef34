//! How a start finds the books: the newest whole checkpoint, then every record behind it.
//!
//! Invariant: what was acknowledged is found again; where files are missing for that, the start is refused.

use super::booking::{BadRecord, Record};
use super::bookkeeper::BooksSettings;
use super::books::{Books, RestoreError};
use super::checkpoint;
use super::lock::LockError;
use crate::journal::{self, Folder, Journal, JournalError, Position};
use crate::optouts::OptOutError;
use crate::units::Timestamp;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const PREFIX: &str = "books";

/// What a start found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// The segment whose checkpoint was read.
    pub checkpoint: Option<u64>,
    pub records: u64,
    pub bytes_cut: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    OptOuts(#[from] OptOutError),
    #[error("{dir}: the checkpoint of segment {segment}: {source}")]
    Restore {
        dir: PathBuf,
        segment: u64,
        source: RestoreError,
    },
    #[error("{dir}: segment {}, byte {}: {source}: the files belong to another version", at.segment, at.offset)]
    Record {
        dir: PathBuf,
        at: Position,
        source: BadRecord,
    },
    #[error(
        "{dir}: the journal begins at segment {first}, and no whole checkpoint covers what was before it: \
         restore segments {from} to {} or a checkpoint from a copy", first - 1
    )]
    Gap { dir: PathBuf, first: u64, from: u64 },
    #[error("{dir}: {source}")]
    Io { dir: PathBuf, source: io::Error },
    #[error("the thread of the books panicked")]
    Panicked,
}

/// Reads checkpoint and journal into `books`; the journal stands at its end.
pub(super) fn restore(
    folder: &Arc<dyn Folder>,
    settings: &BooksSettings,
    books: &mut Books,
    now: Timestamp,
) -> Result<(Journal, Replayed), BooksError> {
    let dir = folder.path();
    let (newest, faults) = checkpoint::read_newest(&**folder).map_err(at_dir(dir))?;
    for fault in faults {
        tracing::error!(fault, "passed over a checkpoint of the books");
    }
    let mut replayed = Replayed {
        checkpoint: newest.as_ref().map(|found| found.segment),
        ..Replayed::default()
    };
    if let Some(found) = newest {
        books
            .restore(&found.parts, settings.memory, now)
            .map_err(|source| BooksError::Restore {
                dir: dir.to_owned(),
                segment: found.segment,
                source,
            })?;
    }
    let from = replayed.checkpoint.unwrap_or(1);
    // Segments are closed together with a checkpoint, never by the journal itself.
    let (mut journal, recovered) = Journal::open_in(folder.clone(), PREFIX, u64::MAX)?;
    replayed.bytes_cut = recovered.bytes_cut;
    if recovered.bytes_cut > 0 {
        tracing::warn!(
            bytes = recovered.bytes_cut,
            "cut a torn tail off the books: nobody was told of it"
        );
    }
    if let Some((first, _)) = recovered.segments.filter(|(first, _)| *first > from) {
        return Err(BooksError::Gap {
            dir: dir.to_owned(),
            first,
            from,
        });
    }
    for entry in journal::read_in(folder.clone(), PREFIX, from)? {
        let entry = entry?;
        let record = Record::read(&entry.payload).map_err(|source| BooksError::Record {
            dir: dir.to_owned(),
            at: entry.position,
            source,
        })?;
        books.apply(&record);
        if let (Some(facts), Some(noted)) = (&settings.facts, books.fact(&record)) {
            facts.push(entry.position, noted);
        }
        replayed.records += 1;
    }
    // What is written now must stand behind the checkpoint, also where the crash took its empty segment.
    while journal.position().segment < from {
        journal.rotate()?;
    }
    Ok((journal, replayed))
}

pub(super) fn at_dir(dir: &Path) -> impl FnOnce(io::Error) -> BooksError {
    let dir = dir.to_owned();
    |source| BooksError::Io { dir, source }
}
