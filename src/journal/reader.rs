//! Reading a journal from a segment on, one segment in memory at a time.
//! Records come in the order of writing; the first damage ends the reading with an error.

use super::folder::{DiskFolder, Folder};
use super::segment::{self, Segment, Step, TornTail};
use super::{JournalError, Position};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One record and where its frame begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub position: Position,
    pub payload: Vec<u8>,
}

/// Iterates over the records of a journal. Made by [`read`].
pub struct Records {
    folder: Arc<dyn Folder>,
    prefix: String,
    waiting: std::vec::IntoIter<u64>,
    segment: Option<Segment>,
    /// The segment read before, which the next header must know the length of.
    read: Option<(PathBuf, u64)>,
    torn: Option<TornTail>,
}

/// All records of the segments numbered `from_segment` and above.
///
/// A torn tail of the last segment ends the iteration without an error, so that a journal can be read while it grows.
pub fn read(dir: &Path, prefix: &str, from_segment: u64) -> Result<Records, JournalError> {
    read_in(
        Arc::new(DiskFolder::at(dir, |file| Box::new(file))),
        prefix,
        from_segment,
    )
}

/// [`read`] in any folder.
pub fn read_in(folder: Arc<dyn Folder>, prefix: &str, from_segment: u64) -> Result<Records, JournalError> {
    let mut sequences = segment::list(&*folder, prefix)?;
    sequences.retain(|&sequence| sequence >= from_segment);
    Ok(Records {
        folder,
        prefix: prefix.to_owned(),
        waiting: sequences.into_iter(),
        segment: None,
        read: None,
        torn: None,
    })
}

/// The segments of a journal: number, bytes and when each was last written to, in order.
pub fn segments(dir: &Path, prefix: &str) -> Result<Vec<(u64, fs::Metadata)>, JournalError> {
    let folder = DiskFolder::at(dir, |file| Box::new(file));
    let sequences = segment::list(&folder, prefix)?;
    let look = |sequence| {
        let path = segment::path(&folder, prefix, sequence);
        let metadata = fs::metadata(&path).map_err(JournalError::io(&path))?;
        Ok((sequence, metadata))
    };
    sequences.into_iter().map(look).collect()
}

impl Records {
    /// What was left out at the end of the last segment, once everything before it has been read.
    pub fn torn_tail(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    fn advance(&mut self) -> Result<Option<Record>, JournalError> {
        loop {
            let is_last = self.waiting.as_slice().is_empty();
            let Some(segment) = &mut self.segment else {
                match self.open_next()? {
                    true => continue,
                    false => return Ok(None),
                }
            };
            let sequence = segment.sequence;
            let damage = match segment.step() {
                Step::Frame { offset, payload } => {
                    let position = Position {
                        segment: sequence,
                        offset,
                    };
                    return Ok(Some(Record {
                        position,
                        payload: payload.to_vec(),
                    }));
                }
                Step::End => None,
                Step::Damaged { offset, what } => Some((offset, what)),
            };
            if let Some((offset, what)) = damage
                && (!is_last || segment.continues_behind_damage())
            {
                return Err(JournalError::Corrupt {
                    path: segment.path.clone(),
                    offset,
                    what,
                });
            }
            self.torn = damage.map(|(offset, _)| segment.tail(offset));
            self.read = self
                .segment
                .take()
                .map(|segment| (segment.path.clone(), segment.len()));
        }
    }

    fn open_next(&mut self) -> Result<bool, JournalError> {
        let Some(sequence) = self.waiting.next() else {
            return Ok(false);
        };
        let is_last = self.waiting.as_slice().is_empty();
        let segment = Segment::load(&*self.folder, &self.prefix, sequence)?;
        match segment.check_header() {
            Ok(()) => {}
            Err(_) if is_last && segment.len() <= segment::HEADER_BYTES => {
                self.torn = Some(segment.tail(0));
                return Ok(false);
            }
            Err(what) => {
                return Err(JournalError::Corrupt {
                    path: segment.path,
                    offset: 0,
                    what,
                });
            }
        }
        if let Some((path, bytes)) = self.read.take()
            && bytes != segment.bytes_before()
        {
            return Err(JournalError::Corrupt {
                path,
                offset: bytes,
                what: segment::CUT,
            });
        }
        self.segment = Some(segment);
        Ok(true)
    }
}

impl Iterator for Records {
    type Item = Result<Record, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = self.advance();
        if result.is_err() {
            self.segment = None;
            self.waiting = Vec::new().into_iter();
        }
        result.transpose()
    }
}
