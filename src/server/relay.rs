//! Bookings between nodes: hands those of other nodes' bids to their owners, and fetches those that others took for us.
//!
//! Invariant: a booking is acknowledged when the shared server has it, and leaves it when the owner's books have it. In between
//! it may be fetched twice; the books know what they have booked.

use super::books::BooksDesk;
use super::clock;
use crate::events::bookkeeper::{NotBooked, Receipt};
use crate::events::notice::Inbound;
use crate::events::parcel;
use crate::pacing::lease::{Inbox, LeaseError, SharedSettings};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Bookings of others are fetched this often.
const FETCH_EVERY: Duration = Duration::from_millis(100);
/// Handed over or fetched with one call.
const BATCH_MAX: usize = 256;

/// What went between nodes since the start.
#[derive(Debug, Default)]
pub struct RelayCounts {
    pub handed_over: AtomicU64,
    pub fetched: AtomicU64,
    /// Of bids whose owner was declared dead: recorded here, charged with its lease.
    pub of_dead: AtomicU64,
    /// Not taken by the shared server: answered 503.
    pub refused: AtomicU64,
}

/// One for all workers.
pub struct Relay {
    node: u16,
    queue: Sender<Errand>,
    stopped: Arc<AtomicBool>,
    counts: Arc<RelayCounts>,
}

type Reply = oneshot::Sender<Result<Receipt, NotBooked>>;

struct Errand {
    inbound: Inbound,
    reply: Reply,
}

impl Relay {
    /// The thread ends after [`stop`](Relay::stop).
    pub fn spawn(
        settings: &SharedSettings,
        node: u16,
        books: Arc<BooksDesk>,
        queue_max: usize,
    ) -> Result<(Relay, JoinHandle<()>), LeaseError> {
        let (sender, queue) = bounded(queue_max);
        let counts = Arc::new(RelayCounts::default());
        let stopped = Arc::new(AtomicBool::new(false));
        let office = Office {
            node,
            inbox: Inbox::new(settings),
            books,
            queue,
            stopped: stopped.clone(),
            counts: counts.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("relay".into())
            .spawn(move || office.run())
            .map_err(|source: io::Error| LeaseError::Shared(source.to_string()))?;
        let relay = Relay {
            node,
            queue: sender,
            stopped,
            counts,
        };
        Ok((relay, thread))
    }

    /// Whether another node owns the bid.
    pub fn is_for_another(&self, inbound: &Inbound) -> bool {
        inbound.token.bid.node() != self.node
    }

    /// Hands `inbound` to the owner of its bid; answers when the shared server has it.
    pub async fn hand_over(&self, inbound: Inbound) -> Result<Receipt, NotBooked> {
        let (reply, answer) = oneshot::channel();
        match self.queue.try_send(Errand { inbound, reply }) {
            Ok(()) => answer.await.unwrap_or(Err(NotBooked::Closed)),
            Err(TrySendError::Full(_)) => Err(NotBooked::Busy),
            Err(TrySendError::Disconnected(_)) => Err(NotBooked::Closed),
        }
    }

    /// What waits is answered with an error; the senders repeat.
    pub fn stop(&self) {
        // Relaxed: nothing is handed over with it.
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub fn counts(&self) -> &RelayCounts {
        &self.counts
    }
}

/// The thread's own.
struct Office {
    node: u16,
    inbox: Inbox,
    books: Arc<BooksDesk>,
    queue: Receiver<Errand>,
    stopped: Arc<AtomicBool>,
    counts: Arc<RelayCounts>,
}

impl Office {
    fn run(mut self) {
        let mut next_fetch = Instant::now();
        while !self.stopped.load(Ordering::Relaxed) {
            let wait = next_fetch.saturating_duration_since(Instant::now());
            match self.queue.recv_timeout(wait) {
                Ok(errand) => self.hand_over(errand),
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(error) = self.fetch() {
                        tracing::debug!(%error, "bookings from other nodes wait");
                    }
                    next_fetch = Instant::now() + FETCH_EVERY;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// With all that waits, by owner.
    fn hand_over(&mut self, first: Errand) {
        let mut by_owner: BTreeMap<u16, Vec<Errand>> = BTreeMap::new();
        let more = std::iter::from_fn(|| self.queue.try_recv().ok()).take(BATCH_MAX - 1);
        for errand in std::iter::once(first).chain(more) {
            let owner = errand.inbound.token.bid.node();
            by_owner.entry(owner).or_default().push(errand);
        }
        for (owner, errands) in by_owner {
            self.hand_to(owner, errands);
        }
    }

    fn hand_to(&mut self, owner: u16, errands: Vec<Errand>) {
        let parcels: Vec<Vec<u8>> = errands
            .iter()
            .map(|errand| {
                let mut bytes = Vec::new();
                parcel::write(&errand.inbound, &mut bytes);
                bytes
            })
            .collect();
        match self.inbox.put(owner, &parcels, clock::now()) {
            Ok(()) => {
                self.counts
                    .handed_over
                    .fetch_add(errands.len() as u64, Ordering::Relaxed);
                // A caller that no longer waits needs no answer, here and below.
                errands.into_iter().for_each(|errand| {
                    let _ = errand.reply.send(Ok(Receipt::default()));
                });
            }
            Err(LeaseError::Refused { dead: true, .. }) => self.record_of_dead(errands),
            Err(error) => {
                tracing::debug!(%error, owner, "a booking cannot be handed over");
                self.counts
                    .refused
                    .fetch_add(errands.len() as u64, Ordering::Relaxed);
                errands.into_iter().for_each(|errand| {
                    let _ = errand.reply.send(Err(NotBooked::Busy));
                });
            }
        }
    }

    /// The owner will not come back, and its lease is charged in full: nothing is lost from sight, and nothing charged twice.
    fn record_of_dead(&self, errands: Vec<Errand>) {
        let Some(desk) = self.books.desk() else {
            return;
        };
        for errand in errands {
            self.counts.of_dead.fetch_add(1, Ordering::Relaxed);
            let receipt = match desk.submit_of_dead(errand.inbound) {
                Ok(answer) => answer.blocking_recv().unwrap_or(Err(NotBooked::Closed)),
                Err(error) => Err(error),
            };
            let _ = errand.reply.send(receipt);
        }
    }

    fn fetch(&mut self) -> Result<(), LeaseError> {
        let Some(desk) = self.books.desk() else {
            return Ok(());
        };
        loop {
            let parcels = self.inbox.peek(self.node, BATCH_MAX, clock::now())?;
            if parcels.is_empty() {
                return Ok(());
            }
            let mut answers = Vec::with_capacity(parcels.len());
            for bytes in &parcels {
                match parcel::read(bytes) {
                    Ok(inbound) => answers.push(desk.submit(inbound)),
                    Err(error) => tracing::error!(%error, "a booking from another node cannot be read"),
                }
            }
            for answer in answers {
                let receipt = answer.map(|answer| answer.blocking_recv().unwrap_or(Err(NotBooked::Closed)));
                if !matches!(receipt, Ok(Ok(_))) {
                    // All of them again with the next look: those that are booked are known.
                    return Ok(());
                }
            }
            self.inbox.drop_first(self.node, parcels.len(), clock::now())?;
            self.counts
                .fetched
                .fetch_add(parcels.len() as u64, Ordering::Relaxed);
        }
    }
}
