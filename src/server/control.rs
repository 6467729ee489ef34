//! The control thread: moves budgets and caps on in time, ten times a second. Bids of which nothing was heard teach their market here.

use super::allocation::Schedule;
use super::{Phase, PhaseWatch, clock};
use crate::engine::{Live, Snapshot};
use crate::events::silence::Silence;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Holds expire and periods roll within this time of when they should.
const TICK: Duration = Duration::from_millis(100);

/// Runs until `stop` hangs up.
pub fn spawn(
    live: Arc<Live>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    phase: PhaseWatch,
    stop: Receiver<()>,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("control".into()).spawn(move || {
        let mut allocation = Schedule::default();
        let mut silence = Silence::default();
        while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(TICK) {
            let now = clock::now();
            let expired = silence.tick(&live.budgets, &live.markets, now);
            live.caps.tick(now);
            allocation.tick(&snapshot.load(), &live, now);
            if expired.count > 0 && *phase.borrow() == Phase::Serving {
                tracing::debug!(count = expired.count, amount = %expired.amount, "holds expired");
            }
        }
    })
}
