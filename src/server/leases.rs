//! The thread that keeps leases topped up, ten times a second, from when the books are open until they close.

use super::clock;
use crate::pacing::lease::{LeaseCounts, LeaseError, Leases};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A campaign that runs out of its lease stands still for this long at most.
const TICK: Duration = Duration::from_millis(100);

/// Ended by [`end`](LeaseThread::end), or else with the process: then what was not given back is set aside by the next one.
pub struct LeaseThread {
    stop: Sender<()>,
    thread: JoinHandle<Result<(), LeaseError>>,
    shown: Arc<Mutex<Shown>>,
}

/// For the pages.
#[derive(Clone, Copy, Default)]
struct Shown {
    counts: LeaseCounts,
    look: Duration,
}

impl LeaseThread {
    pub fn spawn(leases: Leases) -> io::Result<LeaseThread> {
        let (stop, stopped) = channel();
        let shown = Arc::new(Mutex::new(Shown {
            counts: leases.counts(),
            look: Duration::ZERO,
        }));
        let show = shown.clone();
        let thread = std::thread::Builder::new()
            .name("leases".into())
            .spawn(move || run(leases, &stopped, &show))?;
        Ok(LeaseThread { stop, thread, shown })
    }

    pub fn counts(&self) -> LeaseCounts {
        self.shown().counts
    }

    /// How long the last look at all leases took.
    pub fn look(&self) -> Duration {
        self.shown().look
    }

    fn shown(&self) -> Shown {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back what is neither spent nor held. Nobody may bid any more.
    pub fn end(self) -> Result<(), LeaseError> {
        drop(self.stop);
        self.thread.join().unwrap_or(Ok(()))
    }
}

fn run(mut leases: Leases, stopped: &Receiver<()>, shown: &Mutex<Shown>) -> Result<(), LeaseError> {
    let mut failing = false;
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
        let began = Instant::now();
        let result = leases.tick(clock::now());
        match &result {
            Err(error) if !failing => {
                tracing::error!(%error, "no new leases: bids go on until the money at hand is used up");
            }
            Ok(()) if failing => tracing::info!("leases are granted again"),
            _ => {}
        }
        failing = result.is_err();
        *shown.lock().unwrap_or_else(PoisonError::into_inner) = Shown {
            counts: leases.counts(),
            look: began.elapsed(),
        };
    }
    leases.end(clock::now())
}
