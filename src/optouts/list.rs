//! The list on disk and in memory.

use super::table::KeySet;
use crate::journal::{self, BadFields, FieldReader, FieldWriter, Journal, JournalError};
use crate::units::{Timestamp, UserKey};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const PREFIX: &str = "optouts";
const VERSION: u8 = 1;
/// 64 MiB: read whole at the start, one at a time.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// See the [module](super). One per process, outside every snapshot.
pub struct OptOuts {
    set: KeySet,
    ids_max: usize,
    /// `None` until [`OptOuts::open`]: another process has the folder, or nobody writes.
    journal: Mutex<Option<Journal>>,
}

/// What one person, or somebody on their behalf, wants for all ids that are known to be theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub direction: Direction,
    pub source: Source,
    pub at: Timestamp,
    /// At most [`Change::KEYS_MAX`].
    pub keys: Vec<UserKey>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Out = 1,
    /// Takes an opt-out back.
    In = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// By the link of an ad.
    Person = 1,
    Operator = 2,
}

#[derive(Debug, thiserror::Error)]
pub enum OptOutError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("{}: byte {offset} of segment {segment}: {source}: the file belongs to another version", dir.display())]
    Record {
        dir: PathBuf,
        segment: u64,
        offset: u64,
        source: BadFields,
    },
    #[error("{max} ids have opted out, the most that this build holds")]
    Full { max: usize },
    #[error("the list is not open for writing: another process has the books")]
    Closed,
}

/// Says how many; the keys are nobody's business.
impl fmt::Debug for OptOuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OptOuts({})", self.len())
    }
}

impl Default for OptOuts {
    fn default() -> OptOuts {
        OptOuts::new(OptOuts::IDS_MAX)
    }
}

impl OptOuts {
    /// Ids that can opt out: 256 MiB of table. Above it a person is told that it did not work, never that it did.
    pub const IDS_MAX: usize = 16_000_000;

    /// Empty, and in memory alone until it is opened.
    pub fn new(ids_max: usize) -> OptOuts {
        OptOuts {
            set: KeySet::default(),
            ids_max,
            journal: Mutex::new(None),
        }
    }

    /// The list of `dir` as it is now, for whoever does not write it; empty where there is none.
    pub fn read(dir: &Path) -> Result<OptOuts, OptOutError> {
        let list = OptOuts::default();
        if dir.is_dir() {
            list.take_in(dir)?;
        }
        Ok(list)
    }

    /// Reads the list of `dir` and keeps it open for changes. The caller holds the folder's lock.
    pub fn open(&self, dir: &Path) -> Result<(), OptOutError> {
        // First, as it cuts off a torn tail: a change that nobody was told of.
        let (journal, _) = Journal::open(dir, PREFIX, SEGMENT_BYTES_MAX)?;
        self.take_in(dir)?;
        *self.journal.lock().unwrap_or_else(PoisonError::into_inner) = Some(journal);
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ids on the list.
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// Takes no lock and allocates nothing.
    pub fn contains(&self, key: UserKey) -> bool {
        self.set.contains(key)
    }

    /// Makes a change durable, then lets it take effect. Returns for how many ids it is new; 0 writes nothing.
    ///
    /// # Errors
    /// The disk did not take it, or there is no room: nothing has changed, as far as anybody was told.
    pub fn change(&self, change: &Change) -> Result<usize, OptOutError> {
        debug_assert!(change.keys.len() <= Change::KEYS_MAX, "a bounded record");
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let journal = journal.as_mut().ok_or(OptOutError::Closed)?;
        let out = change.direction == Direction::Out;
        let new = change
            .keys
            .iter()
            .filter(|key| self.contains(**key) != out)
            .count();
        if new == 0 {
            return Ok(0);
        }
        if out && self.len() + new > self.ids_max {
            return Err(OptOutError::Full { max: self.ids_max });
        }
        journal.append(&change.write())?;
        journal.sync()?;
        self.apply(change);
        Ok(new)
    }

    fn take_in(&self, dir: &Path) -> Result<(), OptOutError> {
        for record in journal::read(dir, PREFIX, 1)? {
            let record = record?;
            let change = Change::read(&record.payload).map_err(|source| OptOutError::Record {
                dir: dir.to_owned(),
                segment: record.position.segment,
                offset: record.position.offset,
                source,
            })?;
            self.apply(&change);
        }
        Ok(())
    }

    fn apply(&self, change: &Change) {
        for &key in &change.keys {
            match change.direction {
                Direction::Out => self.set.insert(key),
                Direction::In => self.set.remove(key),
            };
        }
    }
}

impl Change {
    /// The ids of one profile, and the one that was named.
    pub const KEYS_MAX: usize = 65;

    fn write(&self) -> Vec<u8> {
        let mut out = FieldWriter::default();
        out.u8(VERSION);
        out.u8(self.direction as u8);
        out.u8(self.source as u8);
        out.i64(self.at.0);
        out.count(self.keys.len());
        self.keys.iter().for_each(|key| out.u64(key.0));
        out.finish()
    }

    fn read(bytes: &[u8]) -> Result<Change, BadFields> {
        let mut fields = FieldReader::new(bytes);
        if fields.u8()? != VERSION {
            return Err(fields.bad("has a version that is not known to this program"));
        }
        let direction = match fields.u8()? {
            1 => Direction::Out,
            2 => Direction::In,
            _ => return Err(fields.bad("is neither out nor in")),
        };
        let source = match fields.u8()? {
            1 => Source::Person,
            2 => Source::Operator,
            _ => return Err(fields.bad("comes from nobody known")),
        };
        let at = Timestamp(fields.i64()?);
        let mut keys = Vec::new();
        for _ in 0..fields.count(8)? {
            keys.push(UserKey(fields.u64()?));
        }
        fields.finish()?;
        Ok(Change {
            direction,
            source,
            at,
            keys,
        })
    }
}
