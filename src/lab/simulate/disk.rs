//! A disk in memory that loses what a crash loses: everything that was not synced, but for a part of it that may be there.
//!
//! Invariant: what was said to be on stable storage is there after every crash, and what is there was once written.

use crate::journal::{Folder, Medium};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use world::{Random, Stream};

/// One folder of one node. Clones are the same folder.
#[derive(Clone)]
pub struct Disk(Arc<Mutex<State>>);

struct State {
    files: BTreeMap<String, Arc<Mutex<Content>>>,
    random: Random,
    /// Writes and syncs until the process dies in the middle of one.
    fuse: Option<u32>,
    dead: bool,
}

struct Content {
    bytes: Bytes,
    /// On stable storage.
    synced: usize,
}

/// A day's books have tens of megabytes: grown as one piece, they would be copied again and again.
#[derive(Default)]
struct Bytes(Vec<Vec<u8>>);

const PIECE: usize = 256 * 1024;

impl Bytes {
    fn of(bytes: &[u8]) -> Bytes {
        let mut whole = Bytes::default();
        whole.extend(bytes);
        whole
    }

    fn len(&self) -> usize {
        let last = self.0.last().map_or(0, Vec::len);
        self.0.len().saturating_sub(1) * PIECE + last
    }

    fn extend(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.0.last().is_none_or(|piece| piece.len() == PIECE) {
                // What is small stays small: there are many small files.
                let whole = self.0.is_empty().then(|| bytes.len().min(PIECE));
                self.0.push(Vec::with_capacity(whole.unwrap_or(PIECE)));
            }
            let piece = self.0.last_mut().expect("one was pushed");
            let (now, rest) = bytes.split_at(bytes.len().min(PIECE - piece.len()));
            piece.extend_from_slice(now);
            bytes = rest;
        }
    }

    fn truncate(&mut self, len: usize) {
        self.0.truncate(len.div_ceil(PIECE));
        let whole = self.0.len().saturating_sub(1) * PIECE;
        if let Some(piece) = self.0.last_mut() {
            piece.truncate(len - whole);
        }
    }
}

struct Open {
    disk: Disk,
    content: Arc<Mutex<Content>>,
}

impl Disk {
    /// Empty; what a crash leaves of unsynced bytes follows from seed and number.
    pub fn new(seed: u64, number: u64) -> Disk {
        Disk(Arc::new(Mutex::new(State {
            files: BTreeMap::new(),
            random: Random::new(seed, Stream::Mishap, number),
            fuse: None,
            dead: false,
        })))
    }

    /// The process dies within the `operations`-th write from now on.
    pub fn light_fuse(&self, operations: u32) {
        self.state().fuse = Some(operations);
    }

    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// What the next process finds.
    pub fn crash(&self) {
        let state = &mut *self.state();
        for content in state.files.values() {
            let content = &mut *lock(content);
            let unsynced = content.bytes.len() - content.synced;
            let left = state.random.below(unsynced as u64 + 1) as usize;
            content.bytes.truncate(content.synced + left);
            content.synced = content.bytes.len();
        }
        (state.fuse, state.dead) = (None, false);
    }

    /// Removes files that sort before the last `kept` with this beginning and end: what an archive would take.
    pub fn archive(&self, begin: &str, end: &str, kept: usize) {
        let state = &mut *self.state();
        let names: Vec<_> = state
            .files
            .keys()
            .filter(|name| name.starts_with(begin) && name.ends_with(end))
            .cloned()
            .collect();
        for name in &names[..names.len().saturating_sub(kept)] {
            state.files.remove(name);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    fn open(&self, content: Arc<Mutex<Content>>) -> Box<dyn Medium> {
        let disk = self.clone();
        Box::new(Open { disk, content })
    }
}

impl State {
    /// Counts one operation. `Err(part)`: the process dies in it, when that part of a thousand is done.
    fn burn(&mut self) -> Result<(), Option<u64>> {
        match self.fuse {
            _ if self.dead => Err(None),
            Some(0) => {
                self.dead = true;
                Err(Some(self.random.below(1_001)))
            }
            Some(left) => {
                self.fuse = Some(left - 1);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn find(&self, name: &str) -> io::Result<Arc<Mutex<Content>>> {
        self.files
            .get(name)
            .cloned()
            .ok_or(io::ErrorKind::NotFound.into())
    }
}

fn died() -> io::Error {
    io::Error::other("the process died")
}

impl Folder for Disk {
    fn path(&self) -> &Path {
        Path::new("memory")
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.state().files.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let content = self.state().find(name)?;
        let bytes = lock(&content).bytes.0.concat();
        Ok(bytes)
    }

    fn bytes(&self, name: &str) -> io::Result<u64> {
        let content = self.state().find(name)?;
        let bytes = lock(&content).bytes.len();
        Ok(bytes as u64)
    }

    /// A crash within leaves the file with a part of its first bytes, or no file.
    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<Box<dyn Medium>> {
        let state = &mut *self.state();
        let burnt = state.burn();
        if burnt == Err(None) || burnt == Err(Some(0)) {
            return Err(died());
        }
        if state.files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let there = burnt.map_or_else(|part| part_of(bytes, part), |()| bytes);
        let content = Arc::new(Mutex::new(Content {
            bytes: Bytes::of(there),
            synced: there.len(),
        }));
        state.files.insert(name.to_owned(), content.clone());
        match burnt {
            Ok(()) => Ok(self.open(content)),
            Err(_) => Err(died()),
        }
    }

    fn append(&self, name: &str, end: u64) -> io::Result<Box<dyn Medium>> {
        let content = self.state().find(name)?;
        {
            let content = &mut *lock(&content);
            content.bytes.truncate(end as usize);
            content.synced = content.bytes.len();
        }
        Ok(self.open(content))
    }

    fn replace(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let state = &mut *self.state();
        let burnt = state.burn();
        // Half of the crashes come after the rename.
        if burnt == Ok(()) || burnt.is_err_and(|part| part.is_some_and(|part| part >= 500)) {
            let mut bytes = Bytes::default();
            parts.iter().for_each(|part| bytes.extend(part));
            let synced = bytes.len();
            state
                .files
                .insert(name.to_owned(), Arc::new(Mutex::new(Content { bytes, synced })));
        }
        burnt.map_err(|_| died())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let state = &mut *self.state();
        state.burn().map_err(|_| died())?;
        state
            .files
            .remove(name)
            .map(drop)
            .ok_or(io::ErrorKind::NotFound.into())
    }
}

impl Medium for Open {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let burnt = self.disk.state().burn();
        let there = burnt.map_or_else(|part| part_of(bytes, part), |()| bytes);
        lock(&self.content).bytes.extend(there);
        burnt.map_err(|_| died())
    }

    /// A crash within leaves it open whether the bytes are there.
    fn sync(&mut self) -> io::Result<()> {
        self.disk.state().burn().map_err(|_| died())?;
        let content = &mut *lock(&self.content);
        content.synced = content.bytes.len();
        Ok(())
    }
}

fn part_of(bytes: &[u8], part: Option<u64>) -> &[u8] {
    &bytes[..bytes.len() * part.unwrap_or(0) as usize / 1_000]
}

/// Plain values: a panic while the lock was held cannot leave them half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Journal, read_in};

    #[test]
    fn bytes_in_pieces_are_those_that_were_written_however_they_are_cut() {
        let written: Vec<u8> = (0..3 * PIECE + 7).map(|n| (n % 251) as u8).collect();
        for step in [1_000, PIECE, PIECE + 1] {
            let mut bytes = Bytes::default();
            written.chunks(step).for_each(|part| bytes.extend(part));
            for len in [written.len(), 3 * PIECE, 2 * PIECE + 1, PIECE, 5, 0] {
                bytes.truncate(len);
                assert_eq!(bytes.len(), len);
                assert!(bytes.0.concat() == written[..len], "{step} {len}");
            }
            bytes.extend(&written);
            assert!(bytes.0.concat() == written);
        }
    }

    /// Whatever the moment of the crash, the journal opens again and holds what was synced, and perhaps more.
    #[test]
    fn a_journal_on_it_keeps_what_was_synced_whenever_the_process_dies() {
        for fuse in 0..40 {
            let disk = Disk::new(fuse, 0);
            let open = || Journal::open_in(Arc::new(disk.clone()), "books", 200);
            let (mut journal, _) = open().unwrap();
            disk.light_fuse(fuse as u32);
            let mut synced = 0u8;
            for n in 0..15u8 {
                if journal.append(&[n; 20]).and_then(|_| journal.sync()).is_err() {
                    break;
                }
                synced = n + 1;
            }
            drop(journal);
            disk.crash();
            open().unwrap();
            let records = read_in(Arc::new(disk.clone()), "books", 1).unwrap();
            let found: Vec<u8> = records.map(|record| record.unwrap().payload[0]).collect();
            assert!(
                found.len() >= synced.into() && found.len() <= usize::from(synced) + 1,
                "{fuse}: {found:?}"
            );
            assert!(
                found.iter().copied().eq(0..found.len() as u8),
                "{fuse}: {found:?}"
            );
        }
    }
}
