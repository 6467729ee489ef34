//! Checkpoints of the books: files that stand for all journal segments before a number.
//!
//! Invariant: a checkpoint file is whole or it is not used; it appears under its name only when it is durable.
//!
//! ```text
//! books-00000042.ckp:  magic "OUTBIDCK" (8) | version u32 | segment u64 | three lengths u64 | crc32 u32 | three parts
//! ```
//!
//! The parts are the memory of the books, the budgets with their open holds, and the caps. The number in the name is `segment`: replay starts there. The checksum covers everything but itself.
//! The newest two are kept, so that one damaged file costs a longer replay and no money.

use crate::journal::Folder;
use std::io;

const MAGIC: &[u8; 8] = b"OUTBIDCK";
const VERSION: u32 = 1;
const CRC_OFFSET: usize = 8 + 4 + 8 + PARTS * 8;
const HEAD: usize = CRC_OFFSET + 4;
const KEPT: usize = 2;
const PARTS: usize = 3;

/// Memory, budgets, caps.
pub type Parts = [Vec<u8>; PARTS];

pub struct Checkpoint {
    /// The first segment whose records are not in `parts`.
    pub segment: u64,
    pub parts: Parts,
}

/// Writes it whole or not at all, then removes what is older than the newest two.
pub fn write(folder: &dyn Folder, segment: u64, parts: &Parts) -> io::Result<()> {
    let parts = parts.each_ref().map(Vec::as_slice);
    let head = head(segment, &parts);
    let [memory, budgets, caps] = parts;
    folder.replace(
        &format!("books-{segment:08}.ckp"),
        &[&head, memory, budgets, caps],
    )?;
    let files = list(folder)?;
    for (_, name) in &files[..files.len().saturating_sub(KEPT)] {
        folder.remove(name)?;
    }
    Ok(())
}

/// The checkpoints that are whole, newest first, with the names and faults of those that are not.
pub fn read_newest(folder: &dyn Folder) -> io::Result<(Option<Checkpoint>, Vec<String>)> {
    let mut faults = Vec::new();
    for (segment, name) in list(folder)?.into_iter().rev() {
        match read(&folder.read(&name)?, segment) {
            Ok(parts) => return Ok((Some(Checkpoint { segment, parts }), faults)),
            Err(fault) => faults.push(format!("{}: {fault}", folder.path().join(name).display())),
        }
    }
    Ok((None, faults))
}

fn head(segment: u64, parts: &[&[u8]; PARTS]) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    head[12..20].copy_from_slice(&segment.to_le_bytes());
    for (place, part) in head[20..CRC_OFFSET].chunks_exact_mut(8).zip(parts) {
        place.copy_from_slice(&(part.len() as u64).to_le_bytes());
    }
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head[..CRC_OFFSET]);
    parts.iter().for_each(|part| crc.update(part));
    head[CRC_OFFSET..].copy_from_slice(&crc.finalize().to_le_bytes());
    head
}

fn read(bytes: &[u8], segment: u64) -> Result<Parts, &'static str> {
    let (found, mut rest) = bytes.split_at_checked(HEAD).ok_or("shorter than its header")?;
    if &found[..8] != MAGIC {
        return Err("not a checkpoint of the books");
    }
    if found[8..12] != VERSION.to_le_bytes() {
        return Err("written by another version");
    }
    let mut parts: [&[u8]; PARTS] = Default::default();
    for (part, length) in parts.iter_mut().zip(found[20..CRC_OFFSET].chunks_exact(8)) {
        let length = u64::from_le_bytes(length.try_into().expect("chunks of eight"));
        let length = usize::try_from(length).map_err(|_| DAMAGED)?;
        (*part, rest) = rest.split_at_checked(length).ok_or(DAMAGED)?;
    }
    if !rest.is_empty() || *found != head(segment, &parts) {
        return Err(DAMAGED);
    }
    Ok(parts.map(<[u8]>::to_vec))
}

const DAMAGED: &str = "damaged: its checksum, lengths or number do not fit";

/// By segment, ascending. Drafts that a crash left are not listed; the next write of that name replaces them.
fn list(folder: &dyn Folder) -> io::Result<Vec<(u64, String)>> {
    let mut files = Vec::new();
    for name in folder.names()? {
        let number = name
            .strip_prefix("books-")
            .and_then(|rest| rest.strip_suffix(".ckp"));
        if let Some(segment) = number.and_then(|number| number.parse().ok()) {
            files.push((segment, name));
        }
    }
    files.sort_unstable();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::DiskFolder;
    use std::fs;
    use std::path::Path;

    fn parts(text: &str) -> Parts {
        [text.into(), vec![], text.repeat(20).into()]
    }

    fn folder(dir: &Path) -> DiskFolder {
        DiskFolder::open(dir).unwrap()
    }

    fn newest(dir: &Path) -> (Option<(u64, Parts)>, usize) {
        let (found, faults) = read_newest(&folder(dir)).unwrap();
        (found.map(|c| (c.segment, c.parts)), faults.len())
    }

    #[test]
    fn the_newest_whole_checkpoint_counts_and_older_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(newest(dir.path()), (None, 0));
        for segment in [2, 3, 5] {
            write(&folder(dir.path()), segment, &parts(&segment.to_string())).unwrap();
        }
        assert_eq!(newest(dir.path()), (Some((5, parts("5"))), 0));
        assert_eq!(list(&folder(dir.path())).unwrap().len(), KEPT);
    }

    #[test]
    fn a_checkpoint_that_is_cut_or_changed_anywhere_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        write(&folder(dir.path()), 1, &parts("older")).unwrap();
        write(&folder(dir.path()), 2, &parts("newer")).unwrap();
        let path = dir.path().join("books-00000002.ckp");
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 4;
            for bytes in [&changed[..], &whole[..at]] {
                fs::write(&path, bytes).unwrap();
                assert_eq!(newest(dir.path()), (Some((1, parts("older"))), 1), "byte {at}");
            }
        }
    }
}
