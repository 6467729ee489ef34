//! What one process at a time may write, the books, the leases and the log: open, or held by another process that is about to end.

use super::leases::LeaseThread;
use super::sharing::{SharingOffice, SharingSettings, SharingThread};
use crate::caps::Caps;
use crate::events::bookkeeper::{Bookkeeper, BooksError, BooksSettings, Desk};
use crate::events::lock::LockError;
use crate::events::log::{BidLog, LogCounts, LogIntake, LogSettings};
use crate::pacing::Budgets;
use crate::pacing::lease::{AuthoritySettings, LeaseCounts, LeaseError, Leases};
use arc_swap::ArcSwapOption;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a process that stands by asks for the books and for the authority of the leases.
const RETRY: Duration = Duration::from_millis(50);

/// Nothing that holds one of these locks can panic.
const UNPOISONED: &str = "no panic while held";

/// Where notices are handed in once the books are open. Without them there are no bids, as no money can be taken.
pub struct BooksDesk {
    desk: ArcSwapOption<Desk>,
    bookkeeper: Mutex<Option<Bookkeeper>>,
    leases: Mutex<Option<LeaseThread>>,
    /// Where several nodes share a server.
    sharing: Mutex<Option<SharingThread>>,
    /// Until the log is open.
    intake: Mutex<Option<(LogIntake, LogSettings)>>,
    log: Mutex<Option<BidLog>>,
}

/// What is opened together, and what it is opened into.
#[derive(Clone)]
pub struct Ledger {
    pub books: BooksSettings,
    pub authority: AuthoritySettings,
    pub node: u16,
    pub budgets: Arc<Budgets>,
    pub caps: Arc<Caps>,
    pub sharing: Option<SharingSettings>,
}

/// What [`Ledger::open`] opens.
struct Opened {
    bookkeeper: Bookkeeper,
    leases: Leases,
    sharing: Option<SharingOffice>,
}

#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error(transparent)]
    Books(#[from] BooksError),
    #[error("the leases cannot be opened: {0}")]
    Leases(#[from] LeaseError),
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] io::Error),
}

impl LedgerError {
    /// Another process has the books and will end, or the shared server is away and will come back.
    fn may_pass(&self) -> bool {
        matches!(
            self,
            LedgerError::Books(BooksError::Lock(LockError::Held { .. }))
                | LedgerError::Leases(LeaseError::Shared(_) | LeaseError::Broken)
        )
    }
}

impl Ledger {
    /// The books first: they say what was booked and held. Then the leases say what else may have been bid, and the other nodes
    /// what happened there.
    fn open(&self) -> Result<Opened, LedgerError> {
        let now = super::now();
        self.authority.reach(now)?;
        let bookkeeper = Bookkeeper::try_open(&self.books, self.budgets.clone(), self.caps.clone(), now)?;
        let authority = self.authority.open()?;
        let leases = Leases::begin(authority, self.budgets.clone(), self.node, now)?;
        let begin =
            |settings| SharingOffice::begin(&self.authority, bookkeeper.desk(), self.caps.clone(), settings);
        let sharing = self.sharing.as_ref().map(begin).transpose()?.flatten();
        Ok(Opened {
            bookkeeper,
            leases,
            sharing,
        })
    }
}

impl BooksDesk {
    pub fn new(intake: LogIntake, log: LogSettings) -> BooksDesk {
        BooksDesk {
            desk: ArcSwapOption::empty(),
            bookkeeper: Mutex::new(None),
            leases: Mutex::new(None),
            sharing: Mutex::new(None),
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

    /// Opens the books, or stands by on a thread of its own until the process that holds them ends and the authority of the
    /// leases answers. The thread also ends when `stop` hangs up.
    ///
    /// # Errors
    /// Whatever else keeps the books closed.
    pub fn open(
        self: &Arc<Self>,
        ledger: Ledger,
        stop: Receiver<()>,
    ) -> Result<Option<JoinHandle<()>>, LedgerError> {
        match ledger.open() {
            Ok(opened) => {
                self.take_over(opened)?;
                Ok(None)
            }
            Err(error) if error.may_pass() => {
                tracing::warn!("standing by without bids: {error}");
                let books = self.clone();
                let stand_by = move || books.stand_by(&ledger, &stop);
                let thread = std::thread::Builder::new()
                    .name("standby".into())
                    .spawn(stand_by)?;
                Ok(Some(thread))
            }
            Err(error) => Err(error),
        }
    }

    fn stand_by(&self, ledger: &Ledger, stop: &Receiver<()>) {
        while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(RETRY) {
            let opened = ledger.open().and_then(|opened| self.take_over(opened));
            match opened {
                Ok(()) => return,
                Err(error) if error.may_pass() => {}
                Err(error) => {
                    return tracing::error!(%error, "the books cannot be opened; there will be no bids");
                }
            }
        }
    }

    fn take_over(&self, opened: Opened) -> Result<(), LedgerError> {
        let Opened {
            bookkeeper,
            leases,
            sharing,
        } = opened;
        self.open_log();
        *self.sharing.lock().expect(UNPOISONED) = sharing.map(SharingThread::spawn).transpose()?;
        *self.leases.lock().expect(UNPOISONED) = Some(LeaseThread::spawn(leases)?);
        let found = bookkeeper.replayed();
        tracing::info!(records = found.records, bytes_cut = found.bytes_cut, "books open");
        self.desk.store(Some(Arc::new(bookkeeper.desk())));
        *self.bookkeeper.lock().expect(UNPOISONED) = Some(bookkeeper);
        Ok(())
    }

    /// `None` while the books are not open.
    pub fn lease_counts(&self) -> Option<LeaseCounts> {
        self.leases
            .lock()
            .expect(UNPOISONED)
            .as_ref()
            .map(LeaseThread::counts)
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

    /// How long the last look at all leases took.
    pub fn lease_look(&self) -> Duration {
        let leases = self.leases.lock().expect(UNPOISONED);
        leases.as_ref().map_or(Duration::ZERO, LeaseThread::look)
    }

    /// No bids from here on; ends the log, gives the leases back, then writes the checkpoint with the open holds and lets
    /// the next process have all of them.
    ///
    /// # Errors
    /// When the checkpoint could not be written; the journal has everything all the same, but for the open holds.
    pub fn close(&self) -> Result<(), LedgerError> {
        self.desk.store(None);
        // Whoever comes next sets aside what could not be given back.
        if let Some(Err(error)) = self.leases.lock().expect(UNPOISONED).take().map(LeaseThread::end) {
            tracing::error!(%error, "the leases were not given back");
        }
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
        let closed = bookkeeper.map_or(Ok(()), Bookkeeper::stop);
        // Last, so that it tells of what was booked last.
        if let Some(sharing) = self.sharing.lock().expect(UNPOISONED).take() {
            sharing.end();
        }
        Ok(closed?)
    }
}
