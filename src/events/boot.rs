//! Bid ids: unique because no two starts of a node ever share an epoch.
//!
//! Invariant: an epoch is durable before the first id that carries it is handed out. The seal of a token takes
//! its nonce from the bid id, so a repeated id would break the secrecy of tokens, not only the books.

use crate::units::{BidId, Timestamp};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// The number of this start of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootEpoch(u32);

impl BootEpoch {
    /// Takes the next epoch from `path` and makes it durable. Processes that start at once get different ones.
    ///
    /// An epoch is above the last one and not below the seconds since 1970, so that a restored older
    /// copy of the file does not bring old epochs back.
    pub fn next(path: &Path, now: Timestamp) -> io::Result<BootEpoch> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        file.lock()?;
        let last = read_epoch(&mut file, path)?;
        let seconds = u32::try_from(now.0.div_euclid(1000)).unwrap_or(0);
        let next = last.checked_add(1).map(|next| next.max(seconds)).ok_or_else(|| {
            io::Error::other(format!("{}: all {} epochs are used up", path.display(), u32::MAX))
        })?;
        file.seek(SeekFrom::Start(0))?;
        // Ten digits always: an overwrite within one disk sector leaves no mix of two lengths.
        file.write_all(format!("{next:010}\n").as_bytes())?;
        file.sync_all()?;
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            File::open(dir)?.sync_all()?;
        }
        Ok(BootEpoch(next))
    }

    /// For worlds of one process, such as tests and simulations.
    pub fn new(epoch: u32) -> BootEpoch {
        BootEpoch(epoch)
    }
}

/// The ids of one worker's bids: counters that no other worker of the process draws.
#[derive(Clone, Debug)]
pub struct BidIds {
    node: u16,
    boot: BootEpoch,
    counter: u64,
    step: u64,
}

impl BidIds {
    /// Worker `worker` of `workers` draws the counters that leave the remainder `worker`.
    ///
    /// # Panics
    /// When `worker` is not below `workers`.
    pub fn of_worker(node: u16, boot: BootEpoch, worker: usize, workers: usize) -> BidIds {
        assert!(worker < workers, "worker {worker} of {workers}");
        BidIds {
            node,
            boot,
            counter: worker as u64,
            step: workers as u64,
        }
    }

    pub fn draw(&mut self) -> BidId {
        let id = BidId::new(self.node, self.boot.0, self.counter);
        self.counter += self.step;
        id
    }
}

fn read_epoch(file: &mut File, path: &Path) -> io::Result<u32> {
    let mut text = String::new();
    file.take(64).read_to_string(&mut text)?;
    if text.is_empty() {
        return Ok(0);
    }
    text.trim_end().parse().map_err(|_| {
        let what = format!(
            "{}: holds {text:?}, not an epoch; write a number above all former ones",
            path.display()
        );
        io::Error::new(io::ErrorKind::InvalidData, what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_rise_with_every_start_also_when_the_clock_stands_or_goes_back() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("boot");
        for (now_s, expected) in [
            (1_000, 1_000),
            (1_000, 1_001),
            (500, 1_002),
            (2_000, 2_000),
            (-7, 2_001),
        ] {
            assert_eq!(
                BootEpoch::next(&path, Timestamp::from_secs(now_s)).unwrap(),
                BootEpoch(expected)
            );
        }
        std::fs::write(&path, "what").unwrap();
        let error = BootEpoch::next(&path, Timestamp(0)).unwrap_err().to_string();
        assert!(error.contains("not an epoch"), "{error}");
    }

    #[test]
    fn workers_draw_different_ids() {
        let mut ids: Vec<BidId> = (0..3)
            .flat_map(|worker| {
                let mut ids = BidIds::of_worker(1, BootEpoch::new(9), worker, 3);
                std::iter::repeat_with(move || ids.draw()).take(100)
            })
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 300);
    }
}
