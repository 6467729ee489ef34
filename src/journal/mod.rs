//! Checksummed append-only segment files, the ground under the event log and the books.
//! A record that was synced is read back whole or refused by name and offset; a record is never invented.
//!
//! A journal is a row of files `PREFIX-00000001.seg`, `PREFIX-00000002.seg`, … in one directory; only the last one grows.
//! All numbers are little-endian.
//!
//! ```text
//! segment   header | frame | frame | …
//! header    magic "OUTBIDJL" (8) | version u32 | sequence u64 | bytes of the segment before u64 (0 = none)
//!           | crc32 of the 28 bytes before it u32                                                          = 32 bytes
//! frame     length u32 | crc32 of length and payload u32 | payload (length bytes, at most 1 MiB)
//! ```
//!
//! The checksum covers the length, so that a run of zeros is not an empty frame. A header names the length of the segment
//! before it, so that a closed segment cut between two frames does not pass for a whole one.
//!
//! What a crash may leave, and what [`Journal::open`] does about it:
//!
//! | found | done |
//! |---|---|
//! | the last segment ends in the middle of a frame, or in one frame that does not check | cut, and reported in [`Recovered`] |
//! | the last segment is shorter than its header | removed, and reported |
//! | a frame that does not check, with a whole frame behind it, or in a closed segment | refused: [`JournalError::Corrupt`] |
//! | a sequence number is missing between two others | refused: [`JournalError::Missing`] |
//!
//! Frames of closed segments are checked when they are read, not when the journal is opened.

mod fields;
mod folder;
mod reader;
mod segment;
mod writer;

pub use fields::{BadFields, FieldReader, FieldWriter};
pub use folder::{DiskFolder, Folder, Medium};
pub use reader::{Record, Records, read, read_in, segments};
pub use segment::{FRAME_BYTES_MAX, FRAME_HEAD_BYTES, HEADER_BYTES, TornTail};
pub use writer::{Journal, Recovered};

use std::io;
use std::path::{Path, PathBuf};

/// Where a frame begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub segment: u64,
    pub offset: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "{} is damaged at byte {offset}: {what}. Restore the file from a copy; or, to give up everything from there on, \
         stop the process, move later segments away and run `truncate -s {offset} {}`",
        path.display(), path.display()
    )]
    Corrupt {
        path: PathBuf,
        offset: u64,
        what: &'static str,
    },
    #[error("{} is missing although later segments are there. Restore it from a copy, or move the later segments away", path.display())]
    Missing { path: PathBuf },
    #[error("a record of {bytes} bytes is above the limit of {FRAME_BYTES_MAX}")]
    TooLarge { bytes: usize },
    #[error("an earlier write or sync failed, so that what is on the disk is unknown: reopen the journal")]
    Poisoned,
}

impl JournalError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> JournalError + '_ {
        move |source| JournalError::Io {
            path: path.to_owned(),
            source,
        }
    }
}
