//! The log of bids: everything pushed is written, dropped or failed, and counted as such; nothing is invented.

use outbid::events::lock::LockError;
use outbid::events::log::{BidLog, LogError, LogSettings, queues};
use outbid::journal::{FRAME_BYTES_MAX, Medium, read};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

fn settings(dir: &Path) -> LogSettings {
    LogSettings {
        records_max: 64,
        sync_interval: Duration::ZERO,
        ..LogSettings::new(dir.into())
    }
}

fn records(dir: &Path) -> Vec<String> {
    read(dir, "bids", 1)
        .unwrap()
        .map(|record| String::from_utf8(record.unwrap().payload).unwrap())
        .collect()
}

#[test]
fn what_is_pushed_before_the_close_is_written_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let (queues, intake) = queues(2, &settings);
    let log = BidLog::open(intake, &settings).unwrap();
    for number in 0..10 {
        assert!(queues[number % 2].push(|out| out.extend(format!("r{number}").bytes())));
    }
    let counts = log.close();
    assert_eq!(
        (counts.pushed, counts.written, counts.dropped, counts.failed),
        (10, 10, 0, 0)
    );
    let mut written = records(dir.path());
    let of_first: Vec<_> = written
        .iter()
        .filter(|r| r.as_bytes()[1] % 2 == 0)
        .cloned()
        .collect();
    assert_eq!(of_first, ["r0", "r2", "r4", "r6", "r8"]);
    written.sort();
    assert_eq!(written.len(), 10);
}

#[test]
fn without_a_free_buffer_records_are_dropped_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let (queues, intake) = queues(1, &settings);
    // Nobody takes them yet.
    let taken = (0..100).filter(|_| queues[0].push(|out| out.push(b'x'))).count();
    assert_eq!(taken, settings.records_max);
    let counts = BidLog::open(intake, &settings).unwrap().close();
    assert_eq!((counts.pushed, counts.written, counts.dropped), (100, 64, 36));
    assert_eq!(records(dir.path()).len(), 64);
}

#[test]
fn buffers_go_round_and_a_record_above_a_frame_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let (queues, intake) = queues(1, &settings);
    for _ in 0..1_000 {
        assert!(!queues[0].push(|out| out.resize(FRAME_BYTES_MAX + 1, 0)));
    }
    assert!(queues[0].push(|out| {
        assert!(out.is_empty() && out.capacity() >= settings.record_bytes);
        out.push(b'y');
    }));
    let counts = BidLog::open(intake, &settings).unwrap().close();
    assert_eq!((counts.written, counts.dropped), (1, 1_000));
}

#[test]
fn workers_push_while_the_writer_writes() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let (queues, intake) = queues(2, &settings);
    let log = BidLog::open(intake, &settings).unwrap();
    std::thread::scope(|scope| {
        for queue in &queues {
            scope.spawn(move || {
                for _ in 0..5_000 {
                    queue.push(|out| out.extend([b'z'; 100]));
                }
            });
        }
    });
    let counts = log.close();
    assert_eq!(counts.pushed, 10_000);
    assert_eq!(counts.written + counts.dropped, 10_000);
    assert_eq!(records(dir.path()).len() as u64, counts.written);
}

#[test]
fn a_torn_tail_is_cut_and_the_log_goes_on_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    for round in 0..2 {
        let (queues, intake) = queues(1, &settings);
        let log = BidLog::open(intake, &settings).unwrap();
        queues[0].push(|out| out.extend(format!("whole-{round}").bytes()));
        queues[0].push(|out| out.extend(b"torn"));
        log.close();
        let path = dir.path().join("bids-00000001.seg");
        let length = fs::metadata(&path).unwrap().len();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(length - 1)
            .unwrap();
    }
    assert_eq!(records(dir.path()), ["whole-0", "whole-1"]);
}

#[test]
fn one_process_writes_a_log() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let log = BidLog::open(queues(1, &settings).1, &settings).unwrap();
    let second = BidLog::open(queues(1, &settings).1, &settings);
    assert!(matches!(
        second.err(),
        Some(LogError::Lock(LockError::Held { .. }))
    ));
    log.close();
}

struct NoDisk;

impl Medium for NoDisk {
    fn write_all(&mut self, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn sync(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }
}

#[test]
fn a_disk_that_fails_stops_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let (queues, intake) = queues(1, &settings);
    let log = BidLog::open_on(intake, &settings, |_| Box::new(NoDisk)).unwrap();
    for _ in 0..10_000 {
        queues[0].push(|out| out.extend([b'z'; 1_000]));
    }
    let counts = log.close();
    assert_eq!(counts.pushed, 10_000);
    assert_eq!(counts.written + counts.dropped + counts.failed, 10_000);
}
