//! The writing end of a journal.
//! After a write or a sync that failed nothing more is accepted: the disk's content is then known only to a new `open`.

use super::folder::{DiskFolder, Folder, Medium};
use super::segment::{self, HEADER_BYTES, Segment, Step};
use super::{FRAME_BYTES_MAX, FRAME_HEAD_BYTES, JournalError, Position};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Frames wait in memory up to this size before they are handed to the operating system: 16 pages a call.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// What was found by [`Journal::open`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Lowest and highest sequence number; `None` = there was no journal.
    pub segments: Option<(u64, u64)>,
    /// Whole records in the last segment.
    pub records_in_last: u64,
    /// Bytes of a torn tail that were cut off.
    pub bytes_cut: u64,
}

/// The single writer of one journal. Two writers on the same files are kept apart by the caller's lock.
pub struct Journal {
    folder: Arc<dyn Folder>,
    prefix: String,
    segment_bytes_max: u64,
    medium: Box<dyn Medium>,
    segment: u64,
    /// End of the segment, counting what still waits in `buffer`.
    end: u64,
    buffer: Vec<u8>,
    unsynced: bool,
    poisoned: bool,
}

impl Journal {
    /// Opens the journal `prefix` in `dir` (created if missing), cuts a torn tail and stands at its end.
    /// A segment is closed once it holds `segment_bytes_max` bytes.
    pub fn open(
        dir: &Path,
        prefix: &str,
        segment_bytes_max: u64,
    ) -> Result<(Journal, Recovered), JournalError> {
        Journal::open_on(dir, prefix, segment_bytes_max, |file| Box::new(file))
    }

    /// [`open`](Journal::open) on files wrapped by `wrap`: the place where a test lets writes fail.
    pub fn open_on(
        dir: &Path,
        prefix: &str,
        segment_bytes_max: u64,
        wrap: fn(File) -> Box<dyn Medium>,
    ) -> Result<(Journal, Recovered), JournalError> {
        let folder = DiskFolder::open_on(dir, wrap).map_err(JournalError::io(dir))?;
        Journal::open_in(Arc::new(folder), prefix, segment_bytes_max)
    }

    /// [`open`](Journal::open) in any folder.
    pub fn open_in(
        folder: Arc<dyn Folder>,
        prefix: &str,
        segment_bytes_max: u64,
    ) -> Result<(Journal, Recovered), JournalError> {
        let sequences = segment::list(&*folder, prefix)?;
        let ends = sequences.first().copied().zip(sequences.last().copied());
        let mut recovered = Recovered {
            segments: ends,
            ..Recovered::default()
        };
        let (medium, segment, end) = match ends {
            None => (create(&*folder, prefix, 1, 0)?, 1, HEADER_BYTES),
            Some((_, last)) => {
                let (medium, end) = recover(&*folder, prefix, last, &mut recovered)?;
                (medium, last, end)
            }
        };
        let journal = Journal {
            folder,
            prefix: prefix.to_owned(),
            segment_bytes_max,
            medium,
            segment,
            end,
            buffer: Vec::with_capacity(BUFFER_BYTES_MAX),
            unsynced: false,
            poisoned: false,
        };
        Ok((journal, recovered))
    }

    /// Adds a record; it is durable after the next [`sync`](Journal::sync). Closes a full segment first.
    pub fn append(&mut self, payload: &[u8]) -> Result<Position, JournalError> {
        self.check_usable()?;
        if payload.len() > FRAME_BYTES_MAX {
            return Err(JournalError::TooLarge { bytes: payload.len() });
        }
        if self.end >= self.segment_bytes_max.max(HEADER_BYTES + 1) {
            self.rotate()?;
        }
        let position = self.position();
        segment::put_frame(&mut self.buffer, payload);
        self.end += FRAME_HEAD_BYTES + payload.len() as u64;
        self.unsynced = true;
        if self.buffer.len() >= BUFFER_BYTES_MAX {
            self.flush()?;
        }
        Ok(position)
    }

    /// Where the next record will stand, unless the segment is closed first.
    pub fn position(&self) -> Position {
        Position {
            segment: self.segment,
            offset: self.end,
        }
    }

    /// Hands waiting frames to the operating system. They survive the end of the process, not of the machine.
    pub fn flush(&mut self) -> Result<(), JournalError> {
        self.check_usable()?;
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = self.medium.write_all(&self.buffer);
        self.buffer.clear();
        self.keep(written)
    }

    /// Returns when every record appended so far is on stable storage.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        self.flush()?;
        if !self.unsynced {
            return Ok(());
        }
        let synced = self.medium.sync();
        self.keep(synced)?;
        self.unsynced = false;
        Ok(())
    }

    /// Closes the segment (synced) and begins the next one, whose number is returned.
    pub fn rotate(&mut self) -> Result<u64, JournalError> {
        self.sync()?;
        let next = self.segment + 1;
        match create(&*self.folder, &self.prefix, next, self.end) {
            Ok(medium) => self.medium = medium,
            Err(error) => {
                self.poisoned = true;
                return Err(error);
            }
        }
        (self.segment, self.end) = (next, HEADER_BYTES);
        Ok(next)
    }

    /// Deletes closed segments numbered below `segment`; returns how many. Lowest first, so that no gap is left by a crash.
    pub fn remove_before(&mut self, segment: u64) -> Result<usize, JournalError> {
        let mut removed = 0;
        for sequence in segment::list(&*self.folder, &self.prefix)? {
            if sequence >= segment.min(self.segment) {
                break;
            }
            let name = segment::name(&self.prefix, sequence);
            let removing = self.folder.remove(&name);
            removing.map_err(JournalError::io(&self.folder.path().join(name)))?;
            removed += 1;
        }
        Ok(removed)
    }

    fn check_usable(&self) -> Result<(), JournalError> {
        if self.poisoned {
            Err(JournalError::Poisoned)
        } else {
            Ok(())
        }
    }

    /// A failed sync may have thrown the dirty pages away, so that a second sync would succeed without them.
    fn keep(&mut self, result: io::Result<()>) -> Result<(), JournalError> {
        result.map_err(|source| {
            self.poisoned = true;
            JournalError::Io {
                path: segment::path(&*self.folder, &self.prefix, self.segment),
                source,
            }
        })
    }
}

impl Drop for Journal {
    /// Hands over what waits; an error has no one left to be told to, and nothing unsynced was promised.
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

/// A new segment with its header and its name on stable storage.
fn create(
    folder: &dyn Folder,
    prefix: &str,
    sequence: u64,
    bytes_before: u64,
) -> Result<Box<dyn Medium>, JournalError> {
    let header = segment::header(sequence, bytes_before);
    let created = folder.create(&segment::name(prefix, sequence), &header);
    created.map_err(JournalError::io(&segment::path(folder, prefix, sequence)))
}

/// Opens the last segment for appending, without its torn tail; returns where it ends.
fn recover(
    folder: &dyn Folder,
    prefix: &str,
    last: u64,
    recovered: &mut Recovered,
) -> Result<(Box<dyn Medium>, u64), JournalError> {
    let mut segment = Segment::load(folder, prefix, last)?;
    let (name, path) = (segment::name(prefix, last), segment.path.clone());
    let before = last.saturating_sub(1);
    let bytes_before = folder.bytes(&segment::name(prefix, before)).ok();
    if let Err(what) = segment.check_header() {
        if segment.len() > HEADER_BYTES {
            return Err(JournalError::Corrupt {
                path,
                offset: 0,
                what,
            });
        }
        recovered.bytes_cut = segment.len();
        folder.remove(&name).map_err(JournalError::io(&path))?;
        return Ok((
            create(folder, prefix, last, bytes_before.unwrap_or(0))?,
            HEADER_BYTES,
        ));
    }
    if let Some(offset) = bytes_before.filter(|&bytes| bytes != segment.bytes_before()) {
        return Err(JournalError::Corrupt {
            path: segment::path(folder, prefix, before),
            offset,
            what: segment::CUT,
        });
    }
    let mut end = HEADER_BYTES;
    loop {
        match segment.step() {
            Step::Frame { offset, payload } => {
                end = offset + FRAME_HEAD_BYTES + payload.len() as u64;
                recovered.records_in_last += 1;
            }
            Step::End => break,
            Step::Damaged { offset, what } => {
                if segment.continues_behind_damage() {
                    return Err(JournalError::Corrupt { path, offset, what });
                }
                recovered.bytes_cut = segment.len() - end;
                break;
            }
        }
    }
    let medium = folder.append(&name, end).map_err(JournalError::io(&path))?;
    Ok((medium, end))
}
