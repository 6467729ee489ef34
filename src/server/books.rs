//! What one process at a time may write, the books and the log: open, or held by another process that is about to end.

use crate::caps::Caps;
use crate::events::bookkeeper::{Bookkeeper, BooksError, BooksSettings, Desk};
use crate::events::lock::LockError;
use crate::events::log::{BidLog, LogCounts, LogIntake, LogSettings};
use crate::pacing::Budgets;
use arc_swap::ArcSwapOption;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a process that stands by asks for the books.
const RETRY: Duration = Duration::from_millis(50);

/// Nothing that holds one of these locks can panic.
const UNPOISONED: &str = "no panic while held";

/// Where notices are handed in once the books are open. Without them there are no bids, as no money can be taken.
pub struct BooksDesk {
    desk: ArcSwapOption<Desk>,
    bookkeeper: Mutex<Option<Bookkeeper>>,
    /// Until the log is open.
    intake: Mutex<Option<(LogIntake, LogSettings)>>,
    log: Mutex<Option<BidLog>>,
}

impl BooksDesk {
    pub fn new(intake: LogIntake, log: LogSettings) -> BooksDesk {
        BooksDesk {
            desk: ArcSwapOption::empty(),
            bookkeeper: Mutex::new(None),
            intake: Mutex::new(Some((intake, log))),
            log: Mutex::new(None),
        }
    }

    pub fn is_open(&self) -> bool {
        self.desk.load().is_some()
    }

    pub fn desk(&self) -> Option<Arc<Desk>> {
        self.desk.load_full()
    }

    /// Opens the books, or stands by on a thread of its own until the process that holds them ends. The thread also
    /// ends when `stop` hangs up.
    ///
    /// # Errors
    /// Whatever else keeps the books closed.
    pub fn open(
        self: &Arc<Self>,
        settings: BooksSettings,
        budgets: Arc<Budgets>,
        caps: Arc<Caps>,
        stop: Receiver<()>,
    ) -> Result<Option<JoinHandle<()>>, BooksError> {
        match Bookkeeper::try_open(&settings, budgets.clone(), caps.clone(), super::now()) {
            Ok(bookkeeper) => {
                self.take_over(bookkeeper);
                Ok(None)
            }
            Err(BooksError::Lock(held @ LockError::Held { .. })) => {
                tracing::warn!("standing by without bids: {held}");
                let books = self.clone();
                let stand_by = move || books.stand_by(&settings, &budgets, &caps, &stop);
                let thread = std::thread::Builder::new().name("standby".into()).spawn(stand_by);
                thread.map(Some).map_err(|source| BooksError::Io {
                    dir: "standby thread".into(),
                    source,
                })
            }
            Err(error) => Err(error),
        }
    }

    fn stand_by(
        &self,
        settings: &BooksSettings,
        budgets: &Arc<Budgets>,
        caps: &Arc<Caps>,
        stop: &Receiver<()>,
    ) {
        while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(RETRY) {
            match Bookkeeper::try_open(settings, budgets.clone(), caps.clone(), super::now()) {
                Ok(bookkeeper) => return self.take_over(bookkeeper),
                Err(BooksError::Lock(LockError::Held { .. })) => {}
                Err(error) => {
                    return tracing::error!(%error, "the books cannot be opened; there will be no bids");
                }
            }
        }
    }

    fn take_over(&self, bookkeeper: Bookkeeper) {
        self.open_log();
        let found = bookkeeper.replayed();
        tracing::info!(records = found.records, bytes_cut = found.bytes_cut, "books open");
        self.desk.store(Some(Arc::new(bookkeeper.desk())));
        *self.bookkeeper.lock().expect(UNPOISONED) = Some(bookkeeper);
    }

    /// Without a log there are bids all the same: their records wait, then drop, and are counted.
    fn open_log(&self) {
        let Some((intake, settings)) = self.intake.lock().expect(UNPOISONED).take() else {
            return;
        };
        match BidLog::open(intake, &settings) {
            Ok(log) => *self.log.lock().expect(UNPOISONED) = Some(log),
            Err(error) => tracing::error!(%error, "bids are not logged"),
        }
    }

    /// `None` while there is no log.
    pub fn log_counts(&self) -> Option<LogCounts> {
        self.log.lock().expect(UNPOISONED).as_ref().map(BidLog::counts)
    }

    /// No bids from here on; ends the log, then writes the checkpoint with the open holds and lets the next process
    /// have both.
    ///
    /// # Errors
    /// When the checkpoint could not be written; the journal has everything all the same, but for the open holds.
    pub fn close(&self) -> Result<(), BooksError> {
        self.desk.store(None);
        if let Some(log) = self.log.lock().expect(UNPOISONED).take() {
            let counts = log.close();
            let LogCounts {
                written,
                dropped,
                failed,
                ..
            } = counts;
            tracing::info!(written, dropped, failed, "bid log closed");
        }
        let bookkeeper = self.bookkeeper.lock().expect(UNPOISONED).take();
        bookkeeper.map_or(Ok(()), Bookkeeper::stop)
    }
}
