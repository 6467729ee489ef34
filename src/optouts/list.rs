//! The list on disk and in memory.

use super::table::KeySet;
use crate::journal::{self, BadFields, FieldReader, FieldWriter, Journal, JournalError};
use crate::units::{EntryId, Timestamp, UserKey};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

const PREFIX: &str = "optouts";
const VERSION: u8 = 2;
/// Of before nodes told each other.
const VERSION_1: u8 = 1;
/// 64 MiB: read whole at the start, one at a time.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// See the [module](super). One per process, outside every snapshot.
pub struct OptOuts {
    set: KeySet,
    ids_max: usize,
    /// `None` until [`OptOuts::open`]: another process has the folder, or nobody writes.
    journal: Mutex<Option<(Journal, PathBuf)>>,
    /// Changes that were taken here.
    own: AtomicU64,
    heard: Mutex<EntryId>,
}

/// What one person, or somebody on their behalf, wants for all ids that are known to be theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub direction: Direction,
    pub source: Source,
    pub at: Timestamp,
    /// Where it stands in the row that nodes share; the default = it was taken here.
    pub place: EntryId,
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
            own: AtomicU64::new(0),
            heard: Mutex::default(),
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
        *self.journal.lock().unwrap_or_else(PoisonError::into_inner) = Some((journal, dir.to_owned()));
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
        let (journal, _) = journal.as_mut().ok_or(OptOutError::Closed)?;
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

    /// How many changes were taken here, in all.
    pub fn own(&self) -> u64 {
        self.own.load(Ordering::Acquire)
    }

    /// Up to `most` of the changes that were taken here, behind the first `count`, with their number. Reads the files.
    pub fn own_after(&self, count: u64, most: usize) -> Result<Vec<(u64, Change)>, OptOutError> {
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, dir) = journal.as_ref().ok_or(OptOutError::Closed)?;
        let (dir, own) = (dir.clone(), self.own());
        drop(journal);
        let mut number = 0;
        let mut found = Vec::new();
        for record in journal::read(&dir, PREFIX, 1)? {
            // Behind that, a change may be half written.
            if number >= own || found.len() >= most {
                break;
            }
            let change = read(&dir, &record?)?;
            number += u64::from(change.is_own());
            if change.is_own() && number > count {
                found.push((number, change));
            }
        }
        Ok(found)
    }

    /// The latest change of the row that nodes share that has changed anything here.
    pub fn heard(&self) -> EntryId {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_in(&self, dir: &Path) -> Result<(), OptOutError> {
        for record in journal::read(dir, PREFIX, 1)? {
            self.apply(&read(dir, &record?)?);
        }
        Ok(())
    }

    fn apply(&self, change: &Change) {
        if change.is_own() {
            // Release pairs with the Acquire of `own`: what is counted is on the disk.
            self.own.fetch_add(1, Ordering::Release);
        } else {
            *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = change.place;
        }
        for &key in &change.keys {
            match change.direction {
                Direction::Out => self.set.insert(key),
                Direction::In => self.set.remove(key),
            };
        }
    }
}

fn read(dir: &Path, record: &journal::Record) -> Result<Change, OptOutError> {
    Change::read(&record.payload).map_err(|source| OptOutError::Record {
        dir: dir.to_owned(),
        segment: record.position.segment,
        offset: record.position.offset,
        source,
    })
}

impl Change {
    /// The ids of one profile, and the one that was named.
    pub const KEYS_MAX: usize = 65;

    fn is_own(&self) -> bool {
        self.place == EntryId::default()
    }

    pub fn write(&self) -> Vec<u8> {
        let mut out = FieldWriter::default();
        out.u8(VERSION);
        out.u8(self.direction as u8);
        out.u8(self.source as u8);
        out.i64(self.at.0);
        out.u64(self.place.ms);
        out.u64(self.place.sequence);
        out.count(self.keys.len());
        self.keys.iter().for_each(|key| out.u64(key.0));
        out.finish()
    }

    /// # Errors
    /// The bytes were written by another version.
    pub fn read(bytes: &[u8]) -> Result<Change, BadFields> {
        let mut fields = FieldReader::new(bytes);
        let version = fields.u8()?;
        if ![VERSION, VERSION_1].contains(&version) {
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
        let mut place = EntryId::default();
        if version == VERSION {
            (place.ms, place.sequence) = (fields.u64()?, fields.u64()?);
        }
        let mut keys = Vec::new();
        for _ in 0..fields.count(8)? {
            keys.push(UserKey(fields.u64()?));
        }
        fields.finish()?;
        Ok(Change {
            direction,
            source,
            at,
            place,
            keys,
        })
    }
}
