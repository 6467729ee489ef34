//! The journal on real files: crash images, damage at every byte, disks that fail.

use outbid::journal::{
    FRAME_BYTES_MAX, FRAME_HEAD_BYTES, HEADER_BYTES, Journal, JournalError, Medium, Position, read,
};
use proptest::prelude::*;
use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const NO_ROTATION: u64 = 1 << 30;

fn segment(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(format!("books-{sequence:08}.seg"))
}

fn payloads(dir: &Path) -> Result<Vec<Vec<u8>>, JournalError> {
    read(dir, "books", 0)?
        .map(|record| record.map(|r| r.payload))
        .collect()
}

fn written(segment_bytes_max: u64, records: &[Vec<u8>]) -> TempDir {
    let dir = TempDir::new().unwrap();
    let (mut journal, recovered) = Journal::open(dir.path(), "books", segment_bytes_max).unwrap();
    assert_eq!(recovered.segments, None);
    for record in records {
        journal.append(record).unwrap();
    }
    journal.sync().unwrap();
    dir
}

fn some_records() -> Vec<Vec<u8>> {
    [
        &b"first"[..],
        b"",
        b"a third one, somewhat longer than the others",
        &[0; 20],
        b"last",
    ]
    .map(Vec::from)
    .to_vec()
}

/// Opens a damaged copy. What it accepts must be a prefix of `records`, readable as such, and fit to be written on.
fn check_image(image: &[u8], records: &[Vec<u8>]) -> Result<usize, JournalError> {
    let dir = TempDir::new().unwrap();
    fs::write(segment(dir.path(), 1), image).unwrap();
    let (mut journal, recovered) = Journal::open(dir.path(), "books", NO_ROTATION)?;
    let kept = payloads(dir.path()).unwrap();
    assert!(records.starts_with(&kept), "records were invented: {kept:?}");
    assert_eq!(recovered.records_in_last, kept.len() as u64);
    journal.append(b"after the crash").unwrap();
    journal.flush().unwrap();
    let all = payloads(dir.path()).unwrap();
    assert_eq!(all[..kept.len()], kept[..]);
    assert_eq!(all[kept.len()..], [b"after the crash".to_vec()]);
    Ok(kept.len())
}

#[test]
fn records_come_back_in_order_over_segments_with_their_positions() {
    let records = some_records();
    let dir = written(60, &records);
    let read_back: Vec<_> = read(dir.path(), "books", 0)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        read_back.iter().map(|r| r.payload.clone()).collect::<Vec<_>>(),
        records
    );
    assert_eq!(
        read_back[0].position,
        Position {
            segment: 1,
            offset: HEADER_BYTES
        }
    );
    let last = read_back.last().unwrap().position.segment;
    assert!(last > 1, "nothing was rotated");
    assert!(
        read_back
            .windows(2)
            .all(|pair| pair[0].position < pair[1].position)
    );
    let from_last: Vec<_> = read(dir.path(), "books", last)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(!from_last.is_empty() && from_last.iter().all(|r| r.position.segment == last));

    let (mut journal, recovered) = Journal::open(dir.path(), "books", 60).unwrap();
    assert_eq!((recovered.segments, recovered.bytes_cut), (Some((1, last)), 0));
    assert_eq!(journal.remove_before(last).unwrap() as u64, last - 1);
    assert_eq!(payloads(dir.path()).unwrap().len(), from_last.len());
}

#[test]
fn a_file_cut_at_any_byte_yields_the_whole_records_before_it() {
    let records = some_records();
    let dir = written(NO_ROTATION, &records);
    let image = fs::read(segment(dir.path(), 1)).unwrap();
    let mut ends = vec![HEADER_BYTES as usize];
    for record in &records {
        ends.push(ends.last().unwrap() + FRAME_HEAD_BYTES as usize + record.len());
    }
    for cut in 0..=image.len() {
        let whole = ends[1..].iter().filter(|&&end| end <= cut).count();
        assert_eq!(
            check_image(&image[..cut], &records).unwrap(),
            whole,
            "cut at {cut}"
        );
    }
}

#[test]
fn a_flipped_bit_anywhere_is_cut_or_refused_and_never_becomes_a_record() {
    let records = some_records();
    let dir = written(NO_ROTATION, &records);
    let image = fs::read(segment(dir.path(), 1)).unwrap();
    let last_frame = image.len() - records.last().unwrap().len() - FRAME_HEAD_BYTES as usize;
    for byte in 0..image.len() {
        for bit in 0..8 {
            let mut damaged = image.clone();
            damaged[byte] ^= 1 << bit;
            match check_image(&damaged, &records) {
                Ok(kept) => {
                    assert!(byte >= last_frame, "damage at {byte} was taken for a torn tail");
                    assert_eq!(kept, records.len() - 1);
                }
                Err(JournalError::Corrupt { offset, .. }) => {
                    assert!(
                        byte < last_frame && offset <= byte as u64,
                        "{byte} reported at {offset}"
                    );
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn zeros_behind_the_last_record_are_cut() {
    let records = some_records();
    let dir = written(NO_ROTATION, &records);
    let mut image = fs::read(segment(dir.path(), 1)).unwrap();
    image.extend([0; 4096]);
    assert_eq!(check_image(&image, &records).unwrap(), records.len());
}

#[test]
fn a_damaged_closed_segment_is_refused_with_file_offset_and_advice() {
    let dir = written(40, &some_records());
    let path = segment(dir.path(), 1);
    let image = fs::read(&path).unwrap();
    for length in 0..image.len() {
        fs::write(&path, &image[..length]).unwrap();
        let message = payloads(dir.path()).unwrap_err().to_string();
        for part in ["books-00000001.seg", "is damaged at byte", "truncate -s"] {
            assert!(message.contains(part), "{message}");
        }
    }
}

#[test]
fn a_closed_segment_that_was_cut_between_two_records_is_noticed_at_the_start() {
    let dir = written(60, &some_records());
    let path = segment(dir.path(), 1);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(HEADER_BYTES)
        .unwrap();
    fs::remove_file(segment(dir.path(), 3)).ok();
    let error = Journal::open(dir.path(), "books", 60).err().unwrap().to_string();
    assert!(
        error.contains("books-00000001.seg is damaged at byte 32"),
        "{error}"
    );
}

#[test]
fn a_missing_segment_is_named() {
    let dir = written(40, &some_records());
    fs::remove_file(segment(dir.path(), 2)).unwrap();
    for error in [
        payloads(dir.path()).unwrap_err(),
        Journal::open(dir.path(), "books", 40).err().unwrap(),
    ] {
        assert!(
            error.to_string().contains("books-00000002.seg is missing"),
            "{error}"
        );
    }
}

#[test]
fn a_record_above_the_limit_is_refused_and_the_journal_goes_on() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = Journal::open(dir.path(), "books", NO_ROTATION).unwrap();
    let error = journal.append(&vec![1; FRAME_BYTES_MAX + 1]).unwrap_err();
    assert!(matches!(error, JournalError::TooLarge { .. }));
    journal.append(&vec![1; FRAME_BYTES_MAX]).unwrap();
    journal.sync().unwrap();
    assert_eq!(payloads(dir.path()).unwrap(), [vec![1; FRAME_BYTES_MAX]]);
}

thread_local! {
    /// Bytes that the disk still takes, and whether it syncs: per thread, as every test has its own.
    static DISK: Cell<(usize, bool)> = const { Cell::new((usize::MAX, true)) };
}

/// A disk that is full after some bytes, in the middle of a write where it comes to that, or that cannot sync.
struct FailingDisk(File);

impl Medium for FailingDisk {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (room, syncs) = DISK.get();
        let taken = bytes.len().min(room);
        Medium::write_all(&mut self.0, &bytes[..taken])?;
        DISK.set((room - taken, syncs));
        if taken == bytes.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        if DISK.get().1 {
            Medium::sync(&mut self.0)
        } else {
            Err(io::Error::other("the disk does not answer"))
        }
    }
}

#[test]
fn after_a_full_disk_nothing_more_is_accepted_and_a_reopened_journal_holds_what_was_synced() {
    let records = some_records();
    let bytes: usize = records.iter().map(|r| r.len() + FRAME_HEAD_BYTES as usize).sum();
    for room in 0..bytes {
        let dir = TempDir::new().unwrap();
        DISK.set((room, true));
        let open = Journal::open_on(dir.path(), "books", NO_ROTATION, |file| {
            Box::new(FailingDisk(file))
        });
        let (mut journal, _) = open.unwrap();
        let promised = records
            .iter()
            .take_while(|r| journal.append(r).and_then(|_| journal.sync()).is_ok())
            .count();
        assert!(promised < records.len());
        assert!(matches!(journal.append(b"more"), Err(JournalError::Poisoned)));
        assert!(matches!(journal.sync(), Err(JournalError::Poisoned)));
        drop(journal);
        let (_, recovered) = Journal::open(dir.path(), "books", NO_ROTATION).unwrap();
        assert_eq!(recovered.records_in_last, promised as u64);
        assert_eq!(payloads(dir.path()).unwrap(), records[..promised]);
    }
}

#[test]
fn a_failed_sync_is_never_followed_by_a_successful_one() {
    let dir = TempDir::new().unwrap();
    DISK.set((usize::MAX, false));
    let open = Journal::open_on(dir.path(), "books", NO_ROTATION, |file| {
        Box::new(FailingDisk(file))
    });
    let (mut journal, _) = open.unwrap();
    journal.append(b"one").unwrap();
    assert!(matches!(journal.sync(), Err(JournalError::Io { .. })));
    DISK.set((usize::MAX, true));
    assert!(matches!(journal.sync(), Err(JournalError::Poisoned)));
    assert!(matches!(journal.rotate(), Err(JournalError::Poisoned)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_bytes_a_file_holds_opening_it_never_panics(tail in prop::collection::vec(any::<u8>(), 0..300), whole in any::<bool>()) {
        let records = some_records();
        let dir = written(NO_ROTATION, &records);
        let path = segment(dir.path(), 1);
        let image = if whole { [fs::read(&path).unwrap(), tail].concat() } else { tail };
        // An error is as good as a prefix; `check_image` judges the rest.
        let _ = check_image(&image, &records);
    }

    #[test]
    fn any_records_come_back_under_any_segment_size(
        records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..40),
        segment_bytes_max in 0u64..600,
    ) {
        let dir = written(segment_bytes_max, &records);
        prop_assert_eq!(payloads(dir.path()).unwrap(), records);
    }
}
