//! Sorting more keys than fit in memory: sorted runs on disk, merged. Invariant: memory is bounded by the run length plus
//! one read buffer a run.

use super::error::Error;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// A key and the number of the record that has it.
pub(super) type Entry = (u64, u32);

/// Bytes of an entry on disk.
const ENTRY: usize = 12;
/// Read buffer of one run while merging.
const RUN_BUFFER: usize = 256 * 1024;

/// Takes entries in any order, gives them back sorted.
#[derive(Debug)]
pub(super) struct Sorter {
    folder: PathBuf,
    buffer: Vec<Entry>,
    entries_max: usize,
    runs: Vec<PathBuf>,
}

impl Sorter {
    /// Runs are written into `folder` whenever `entries_max` (16 bytes each in memory) have come together.
    pub fn new(folder: &Path, entries_max: usize) -> Sorter {
        Sorter {
            folder: folder.to_path_buf(),
            buffer: Vec::new(),
            entries_max: entries_max.max(1),
            runs: Vec::new(),
        }
    }

    pub fn push(&mut self, entry: Entry) -> Result<(), Error> {
        self.buffer.push(entry);
        if self.buffer.len() >= self.entries_max {
            self.spill()
        } else {
            Ok(())
        }
    }

    /// Calls `each` with every entry, in order.
    pub fn drain(mut self, mut each: impl FnMut(Entry) -> Result<(), Error>) -> Result<(), Error> {
        self.buffer.sort_unstable();
        if self.runs.is_empty() {
            return self.buffer.into_iter().try_for_each(each);
        }
        self.spill()?;
        self.buffer = Vec::new();
        let mut runs = Vec::new();
        let mut heads = BinaryHeap::new();
        for (number, path) in self.runs.iter().enumerate() {
            let mut run = Run::open(path)?;
            heads.extend(run.next()?.map(|entry| Reverse((entry, number))));
            runs.push(run);
        }
        while let Some(Reverse((entry, number))) = heads.pop() {
            each(entry)?;
            heads.extend(runs[number].next()?.map(|entry| Reverse((entry, number))));
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<(), Error> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.buffer.sort_unstable();
        let path = self.folder.join(format!("run-{}", self.runs.len()));
        let mut file = BufWriter::new(File::create(&path).map_err(Error::io(&path, "create"))?);
        for (key, record) in self.buffer.drain(..) {
            let mut bytes = [0; ENTRY];
            bytes[..8].copy_from_slice(&key.to_le_bytes());
            bytes[8..].copy_from_slice(&record.to_le_bytes());
            file.write_all(&bytes).map_err(Error::io(&path, "write"))?;
        }
        file.flush().map_err(Error::io(&path, "write"))?;
        self.runs.push(path);
        Ok(())
    }
}

struct Run {
    path: PathBuf,
    file: BufReader<File>,
    left: u64,
}

impl Run {
    fn open(path: &Path) -> Result<Run, Error> {
        let file = File::open(path).map_err(Error::io(path, "open"))?;
        let bytes = file.metadata().map_err(Error::io(path, "read"))?.len();
        let left = bytes / ENTRY as u64;
        Ok(Run {
            path: path.to_path_buf(),
            file: BufReader::with_capacity(RUN_BUFFER, file),
            left,
        })
    }

    fn next(&mut self) -> Result<Option<Entry>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut key = [0; 8];
        let mut record = [0; 4];
        self.file
            .read_exact(&mut key)
            .map_err(Error::io(&self.path, "read"))?;
        self.file
            .read_exact(&mut record)
            .map_err(Error::io(&self.path, "read"))?;
        Ok(Some((u64::from_le_bytes(key), u32::from_le_bytes(record))))
    }
}
