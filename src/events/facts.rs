//! What the books have made durable of users, on its way to the other nodes.
//!
//! Invariant: a fact carries the place of its record in the journal, so that one that is told again after a crash is known to be
//! the same.

use crate::caps::Noted;
use crate::journal::Position;
use crossbeam::channel::{Receiver, Sender, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bounded: what does not fit is told to nobody, and counted.
#[derive(Clone, Debug)]
pub struct FactQueue {
    queue: Sender<(u64, Noted)>,
    dropped: Arc<AtomicU64>,
}

impl FactQueue {
    /// With the end at which numbered facts come out, in rising order.
    pub fn new(most: usize) -> (FactQueue, Receiver<(u64, Noted)>) {
        let (queue, facts) = bounded(most);
        let dropped = Arc::default();
        (FactQueue { queue, dropped }, facts)
    }

    /// Never waits.
    pub fn push(&self, at: Position, noted: Noted) {
        if self.queue.try_send((number(at), noted)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Exact as a number of a script, which has 53 bits: two million segments, each far below 4 GiB.
fn number(at: Position) -> u64 {
    at.segment << 32 | at.offset
}
