//! The log of bids: workers push records, one thread writes them to `data/log/bids-*.seg`.
//!
//! Invariant: a bid never waits. Without a free buffer a record is dropped and counted; the number of buffers bounds
//! the memory of the log, whatever the disk does.

use super::lock::{DirLock, LockError};
use crate::journal::{FRAME_BYTES_MAX, Journal, JournalError, Medium};
use crossbeam::queue::ArrayQueue;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
pub struct LogSettings {
    /// `data/log`.
    pub dir: PathBuf,
    pub segment_bytes_max: u64,
    /// Records that may wait per worker: 4,096 are a fifth of a second of 20,000 bids a second.
    pub records_max: usize,
    /// Room that a buffer has from the start; a larger record makes its buffer grow once.
    pub record_bytes: usize,
    /// What a crash of the machine may lose.
    pub sync_interval: Duration,
}

impl LogSettings {
    pub fn new(dir: PathBuf) -> LogSettings {
        LogSettings {
            dir,
            segment_bytes_max: 256 << 20,
            records_max: 4096,
            record_bytes: 4096,
            sync_interval: Duration::from_secs(1),
        }
    }
}

/// One worker's end of the log.
pub struct LogQueue {
    lane: Arc<Lane>,
}

/// The writer's ends of all queues, to be given to [`BidLog::open`]. Until then records wait, then drop.
pub struct LogIntake {
    lanes: Arc<[Arc<Lane>]>,
}

/// Records pushed and where they went. `written + failed + dropped` reaches `pushed` when the log is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogCounts {
    pub pushed: u64,
    pub written: u64,
    /// For want of a buffer, or larger than a frame of the journal.
    pub dropped: u64,
    /// Taken from a queue while the disk did not take them.
    pub failed: u64,
}

/// The writing thread.
pub struct BidLog {
    state: Arc<State>,
    lanes: Arc<[Arc<Lane>]>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("no thread for the log: {0}")]
    Thread(std::io::Error),
}

/// One queue for each of `workers` workers.
pub fn queues(workers: usize, settings: &LogSettings) -> (Vec<LogQueue>, LogIntake) {
    let lanes: Arc<[Arc<Lane>]> = (0..workers).map(|_| Arc::new(Lane::new(settings))).collect();
    let queues = lanes.iter().map(|lane| LogQueue { lane: lane.clone() }).collect();
    (queues, LogIntake { lanes })
}

impl LogQueue {
    /// Lets `write` fill an empty buffer and hands it over. False where the record was dropped.
    pub fn push(&self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let lane = &*self.lane;
        // Relaxed, here and below: counts guard nothing; the queue itself orders the buffers.
        lane.pushed.fetch_add(1, Ordering::Relaxed);
        let Some(mut buffer) = lane.empty.pop() else {
            lane.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        };
        write(&mut buffer);
        if buffer.len() > FRAME_BYTES_MAX {
            lane.dropped.fetch_add(1, Ordering::Relaxed);
            lane.give_back(buffer);
            return false;
        }
        // Both queues have room for every buffer there is.
        lane.filled.push(buffer).is_ok()
    }
}

impl BidLog {
    /// Cuts a torn tail, then writes until closed.
    ///
    /// # Errors
    /// [`LockError::Held`] while another process writes this log.
    pub fn open(intake: LogIntake, settings: &LogSettings) -> Result<BidLog, LogError> {
        BidLog::open_on(intake, settings, |file| Box::new(file))
    }

    /// [`open`](BidLog::open) on files wrapped by `wrap`: the place where a test lets writes fail.
    pub fn open_on(
        intake: LogIntake,
        settings: &LogSettings,
        wrap: fn(File) -> Box<dyn Medium>,
    ) -> Result<BidLog, LogError> {
        let lock = DirLock::try_acquire(&settings.dir)?;
        let state = Arc::new(State::default());
        let mut writer = Writer {
            _lock: lock,
            lanes: intake.lanes.clone(),
            state: state.clone(),
            settings: settings.clone(),
            wrap,
            sink: Sink::Broken {
                since: Instant::now(),
            },
            synced: Instant::now(),
        };
        writer.reopen()?;
        let thread = thread::Builder::new()
            .name("bid-log".into())
            .spawn(move || writer.run())
            .map_err(LogError::Thread)?;
        Ok(BidLog {
            state,
            lanes: intake.lanes,
            thread: Some(thread),
        })
    }

    pub fn counts(&self) -> LogCounts {
        let sum = |count: fn(&Lane) -> &AtomicU64| {
            self.lanes
                .iter()
                .map(|lane| count(lane).load(Ordering::Relaxed))
                .sum()
        };
        LogCounts {
            pushed: sum(|lane| &lane.pushed),
            dropped: sum(|lane| &lane.dropped),
            written: self.state.written.load(Ordering::Relaxed),
            failed: self.state.failed.load(Ordering::Relaxed),
        }
    }

    /// Writes and syncs what was pushed so far, and ends the thread. Later pushes wait, then drop.
    pub fn close(mut self) -> LogCounts {
        self.end();
        self.counts()
    }

    fn end(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Release: what this thread pushed is seen by the writer that sees the flag.
            self.state.closing.store(true, Ordering::Release);
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the bid log's thread panicked; records that waited are lost");
            }
        }
    }
}

impl Drop for BidLog {
    fn drop(&mut self) {
        self.end();
    }
}

/// The buffers of one worker, on their way round.
struct Lane {
    empty: ArrayQueue<Vec<u8>>,
    filled: ArrayQueue<Vec<u8>>,
    /// Buffers that grew far beyond this are made anew.
    record_bytes: usize,
    pushed: AtomicU64,
    dropped: AtomicU64,
}

impl Lane {
    fn new(settings: &LogSettings) -> Lane {
        let records_max = settings.records_max.max(1);
        let lane = Lane {
            empty: ArrayQueue::new(records_max),
            filled: ArrayQueue::new(records_max),
            record_bytes: settings.record_bytes,
            pushed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        };
        for _ in 0..records_max {
            lane.give_back(Vec::with_capacity(settings.record_bytes));
        }
        lane
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        /// One odd record must not keep its size for ever; ordinary ones differ by less.
        const GROWTH_KEPT: usize = 16;
        buffer.clear();
        if buffer.capacity() > self.record_bytes.saturating_mul(GROWTH_KEPT) {
            buffer.shrink_to(self.record_bytes);
        }
        let returned = self.empty.push(buffer);
        debug_assert!(returned.is_ok(), "there are as many places as buffers");
    }
}

#[derive(Default)]
struct State {
    closing: AtomicBool,
    written: AtomicU64,
    failed: AtomicU64,
}

enum Sink {
    Open(Journal),
    Broken { since: Instant },
}

struct Writer {
    _lock: DirLock,
    lanes: Arc<[Arc<Lane>]>,
    state: Arc<State>,
    settings: LogSettings,
    wrap: fn(File) -> Box<dyn Medium>,
    sink: Sink,
    synced: Instant,
}

impl Writer {
    /// How long an idle writer sleeps: workers do not wake it, since a wake-up costs the bid up to 26 µs.
    const POLL: Duration = Duration::from_millis(5);
    /// A full disk is not helped by trying more often.
    const RETRY: Duration = Duration::from_secs(1);

    fn run(mut self) {
        loop {
            // Read before the queues are: what was pushed before the flag is then found in them.
            let closing = self.state.closing.load(Ordering::Acquire);
            let moved = self.drain();
            if closing {
                break;
            }
            if self.synced.elapsed() >= self.settings.sync_interval {
                self.sync();
            }
            if moved == 0 {
                thread::park_timeout(Self::POLL);
            }
        }
        self.sync();
    }

    /// Takes what is in the queues now; returns the number of records.
    fn drain(&mut self) -> usize {
        if let Sink::Broken { since } = self.sink
            && since.elapsed() >= Self::RETRY
            && let Err(error) = self.reopen()
        {
            tracing::error!(%error, "the bid log is still not writable");
            self.sink = Sink::Broken {
                since: Instant::now(),
            };
        }
        let mut moved = 0;
        for lane in self.lanes.clone().iter() {
            // No more than are there now, so that one busy worker does not starve the others.
            for _ in 0..lane.filled.len() {
                let Some(record) = lane.filled.pop() else {
                    break;
                };
                self.append(&record);
                lane.give_back(record);
                moved += 1;
            }
        }
        moved
    }

    fn append(&mut self, record: &[u8]) {
        let Sink::Open(journal) = &mut self.sink else {
            self.state.failed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        match journal.append(record) {
            Ok(_) => {
                self.state.written.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                self.state.failed.fetch_add(1, Ordering::Relaxed);
                self.give_up(&error);
            }
        }
    }

    fn sync(&mut self) {
        self.synced = Instant::now();
        if let Sink::Open(journal) = &mut self.sink
            && let Err(error) = journal.sync()
        {
            self.give_up(&error);
        }
    }

    fn give_up(&mut self, error: &JournalError) {
        tracing::error!(%error, "the bid log cannot be written; its records are dropped until it can");
        self.sink = Sink::Broken {
            since: Instant::now(),
        };
    }

    fn reopen(&mut self) -> Result<(), JournalError> {
        let settings = &self.settings;
        let (journal, recovered) =
            Journal::open_on(&settings.dir, "bids", settings.segment_bytes_max, self.wrap)?;
        if recovered.bytes_cut > 0 {
            tracing::warn!(bytes = recovered.bytes_cut, "cut a torn tail off the bid log");
        }
        self.sink = Sink::Open(journal);
        Ok(())
    }
}
