//! The books with their journal: decides, makes durable, then moves the money. One thread owns it.
//!
//! Invariant: what [`commit`](Office::commit) tells of is on stable storage; whatever happens before that, a restart finds
//! either nothing of a record or all of it.

use super::booking::Record;
use super::bookkeeper::BooksSettings;
use super::books::{Books, MemoryFull};
use super::checkpoint;
use super::facts::FactQueue;
use super::notice::Inbound;
use super::replay::{BooksError, Replayed, restore};
use crate::caps::Noted;
use crate::journal::{Folder, Journal, Position};
use crate::pacing::Settled;
use crate::units::{EntryId, Timestamp};
use std::sync::Arc;

/// Facts of other nodes are in no journal of this one: after a crash they are read again from the row that nodes share, which
/// keeps four times as many.
const HEARD_MAX: usize = 250_000;

/// See the [module](self).
pub struct Office {
    folder: Arc<dyn Folder>,
    checkpoint_records: u64,
    segment_bytes_max: u64,
    books: Books,
    journal: Journal,
    /// Records since the last checkpoint.
    checkpoint_due: u64,
    /// Facts of other nodes since then.
    heard_due: usize,
    facts: Option<FactQueue>,
    /// Noted and not yet committed.
    batch: Vec<(Record, Position)>,
    buffer: Vec<u8>,
}

impl Office {
    /// Reads the newest checkpoint in `folder` and the journal behind it into `books`. Of the settings only the limits count, and where facts are told.
    /// The caller sees to it that nobody else has the folder.
    pub fn open(
        settings: &BooksSettings,
        folder: Arc<dyn Folder>,
        mut books: Books,
        now: Timestamp,
    ) -> Result<(Office, Replayed), BooksError> {
        let (journal, replayed) = restore(&folder, settings, &mut books, now)?;
        let office = Office {
            folder,
            checkpoint_records: settings.checkpoint_records,
            segment_bytes_max: settings.segment_bytes_max,
            books,
            journal,
            checkpoint_due: replayed.records,
            heard_due: 0,
            facts: settings.facts.clone(),
            batch: Vec::with_capacity(settings.batch_max),
            buffer: Vec::new(),
        };
        Ok((office, replayed))
    }

    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Decides on `inbound`; it takes effect with the next commit. Noted at once, so that the next event of the same bid is
    /// decided with it, also within the batch. `of_dead`: the owner of its bid was declared dead.
    ///
    /// # Errors
    /// The outer one is of the disk: nothing may be handed in any more.
    pub fn take(&mut self, inbound: &Inbound, of_dead: bool) -> Result<Result<(), MemoryFull>, BooksError> {
        let decided = if of_dead {
            Ok(self.books.decide_of_dead(inbound))
        } else {
            self.books.decide(inbound)
        };
        let mut record = match decided {
            Ok(record) => record,
            Err(full) => return Ok(Err(full)),
        };
        self.books.note(&record);
        self.books.pin(&mut record);
        self.buffer.clear();
        record.write(&mut self.buffer);
        let at = self.journal.append(&self.buffer)?;
        self.batch.push((record, at));
        Ok(Ok(()))
    }

    /// Makes durable what was taken, moves its money, and tells of each record in the order of taking.
    pub fn commit(&mut self, mut told: impl FnMut(&Record, Option<Settled>)) -> Result<(), BooksError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.journal.sync()?;
        self.checkpoint_due += self.batch.len() as u64;
        for (record, at) in self.batch.drain(..) {
            let settled = self.books.settle(&record);
            if let (Some(facts), Some(noted)) = (&self.facts, self.books.fact(&record)) {
                facts.push(at, noted);
            }
            told(&record, settled);
        }
        Ok(())
    }

    /// Takes in what other nodes tell of users, up to an entry of the row that they share.
    pub fn hear(&mut self, facts: Vec<Noted>, up_to: EntryId) {
        self.heard_due += facts.len();
        self.books.hear_of_users(facts, up_to);
    }

    pub fn is_checkpoint_due(&self) -> bool {
        self.checkpoint_due >= self.checkpoint_records
            || self.heard_due >= HEARD_MAX
            || self.journal.position().offset >= self.segment_bytes_max
    }

    /// Closes the segment and writes what it led to. The journal alone is the truth: a checkpoint
    /// that cannot be written costs the next start a longer replay and nothing else. False where it could not.
    pub fn checkpoint(&mut self) -> Result<bool, BooksError> {
        let segment = self.journal.rotate()?;
        (self.checkpoint_due, self.heard_due) = (0, 0);
        let written = checkpoint::write(&*self.folder, segment, &self.books.checkpoint());
        if let Err(error) = &written {
            tracing::error!(%error, segment, "no checkpoint of the books could be written");
        }
        Ok(written.is_ok())
    }
}
