//! What nodes tell each other over the shared server: what happened to users, for the caps, and who opted out.
//!
//! Invariant: no bid ever waits for it. What this node tells is on its own disk before; what it hears is in its books, in the order
//! of the row, before the next entries are read. It bids only from when it has heard all that there was as it began.

use super::books::LedgerError;
use super::clock;
use super::settings::Apart;
use crate::caps::{Caps, Noted};
use crate::events::bookkeeper::{Desk, NotBooked};
use crate::events::facts::FactQueue;
use crate::optouts::{Change, Direction, OptOuts};
use crate::pacing::lease::{AuthoritySettings, Board, LeaseError, Row};
use crate::units::{EntryId, UserKey};
use crossbeam::channel::Receiver;
use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What is told is heard within two of these and two calls.
const ROUND: Duration = Duration::from_millis(100);
/// Told or heard with one call.
const BATCH_MAX: usize = 512;

/// What it takes to share, where a node shares.
#[derive(Clone)]
pub struct SharingSettings {
    pub apart: Apart,
    pub opt_outs: Arc<OptOuts>,
    /// The books push here …
    pub facts: FactQueue,
    /// … and this is where it comes out.
    pub told: Receiver<(u64, Noted)>,
    pub counts: Arc<SharingCounts>,
}

/// Since the start.
#[derive(Debug, Default)]
pub struct SharingCounts {
    pub told: AtomicU64,
    pub heard: AtomicU64,
    /// Times that entries may have gone from the row before this node read them.
    pub missed: AtomicU64,
    /// 1 while others have not been heard of for longer than the setting says.
    pub apart: AtomicU64,
}

/// Told and heard by a thread of its own, from when the books are open until they are closed.
pub struct SharingThread {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl SharingThread {
    pub fn spawn(office: SharingOffice) -> io::Result<SharingThread> {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("sharing".into())
            .spawn(move || office.run(&stopped))?;
        Ok(SharingThread { stop, thread })
    }

    /// Tells what is left; the books are closed.
    pub fn end(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("a thread panicked");
        }
    }
}

/// The thread's own.
pub struct SharingOffice {
    board: Board,
    desk: Desk,
    caps: Arc<Caps>,
    settings: SharingSettings,
    /// Taken from the queue, and not yet on the server.
    waiting: Vec<(u64, Vec<u8>)>,
    /// Own opt-outs that the server has; `None` = it has to be asked.
    posted: Option<u64>,
    heard_facts: EntryId,
    heard_opt_outs: EntryId,
    in_touch: Instant,
}

impl SharingOffice {
    /// Hears all that there is. `None` where the node has nobody to share with.
    ///
    /// # Errors
    /// The server does not answer, or the books take nothing.
    pub fn begin(
        authority: &AuthoritySettings,
        desk: Desk,
        caps: Arc<Caps>,
        settings: &SharingSettings,
    ) -> Result<Option<SharingOffice>, LedgerError> {
        let Some(board) = authority.board().transpose()? else {
            return Ok(None);
        };
        let mut office = SharingOffice {
            board,
            desk,
            heard_facts: caps.heard(),
            heard_opt_outs: settings.opt_outs.heard(),
            caps,
            settings: settings.clone(),
            waiting: Vec::with_capacity(BATCH_MAX),
            posted: None,
            in_touch: Instant::now(),
        };
        office.look_for_gaps()?;
        office.hear_opt_outs()?;
        office.hear_facts()?;
        office.caps.set_sure(true);
        Ok(Some(office))
    }

    fn run(mut self, stopped: &mpsc::Receiver<()>) {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(ROUND) {
            match self.round() {
                Ok(()) => self.in_touch = Instant::now(),
                Err(error) => {
                    // The next server may have lost what this one had.
                    self.posted = None;
                    tracing::debug!(%error, "other nodes are not heard of");
                }
            }
            self.mind_the_gap();
        }
        let rest = self.tell_opt_outs().and_then(|()| self.tell_facts());
        if let Err(error) = rest {
            tracing::warn!(%error, "other nodes are told the rest at the next start");
        }
    }

    /// Opt-outs first: whoever said no is not told of.
    fn round(&mut self) -> Result<(), LeaseError> {
        self.tell_opt_outs()?;
        self.hear_opt_outs()?;
        self.tell_facts()?;
        self.hear_facts()
    }

    /// Whether caps can still be kept by what this node knows alone.
    fn mind_the_gap(&self) {
        let Apart { after, stops } = self.settings.apart;
        let is_apart = self.in_touch.elapsed() > after;
        self.caps.set_sure(!(is_apart && stops));
        let was = self
            .settings
            .counts
            .apart
            .swap(is_apart.into(), Ordering::Relaxed);
        if is_apart && was == 0 {
            tracing::warn!(stops, "caps of other nodes are not known any more");
        } else if !is_apart && was == 1 {
            tracing::info!("caps of other nodes are known again");
        }
    }

    fn look_for_gaps(&mut self) -> Result<(), LeaseError> {
        let oldest = self.board.oldest(Row::Facts, clock::now())?;
        let was_away = self.heard_facts > EntryId::default();
        if was_away && oldest.is_some_and(|oldest| oldest > self.heard_facts) {
            self.settings.counts.missed.fetch_add(1, Ordering::Relaxed);
            tracing::warn!("this node was away so long that it may not know all that other nodes showed");
        }
        Ok(())
    }

    fn tell_facts(&mut self) -> Result<(), LeaseError> {
        loop {
            while self.waiting.len() < BATCH_MAX
                && let Ok((number, noted)) = self.settings.told.try_recv()
            {
                self.waiting.push((number, noted.write()));
            }
            let opt_outs = &self.settings.opt_outs;
            self.waiting
                .retain(|(_, bytes)| Noted::user_in(bytes).is_some_and(|user| !opt_outs.contains(user)));
            if self.waiting.is_empty() {
                return Ok(());
            }
            self.board.post(Row::Facts, &self.waiting, clock::now())?;
            self.settings
                .counts
                .told
                .fetch_add(self.waiting.len() as u64, Ordering::Relaxed);
            self.waiting.clear();
        }
    }

    fn hear_facts(&mut self) -> Result<(), LeaseError> {
        loop {
            let entries = self
                .board
                .read(Row::Facts, self.heard_facts, BATCH_MAX, clock::now())?;
            let Some(last) = entries.last() else {
                return Ok(());
            };
            let up_to = last.id;
            let others = entries.iter().filter(|entry| entry.author != self.board.author());
            let facts: Vec<Noted> = others.filter_map(|entry| read_fact(&entry.bytes)).collect();
            let count = facts.len() as u64;
            wait(self.desk.hear(facts, up_to))?;
            self.heard_facts = up_to;
            self.settings.counts.heard.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// What this node took and the server has not; then nothing of these people stays in the row of facts.
    fn tell_opt_outs(&mut self) -> Result<(), LeaseError> {
        let mut posted = match self.posted {
            Some(posted) => posted,
            None => self.board.posted(Row::OptOuts, clock::now())?,
        };
        while self.settings.opt_outs.own() > posted {
            let found = self.settings.opt_outs.own_after(posted, BATCH_MAX);
            let changes = found.map_err(|error| LeaseError::Shared(error.to_string()))?;
            let Some((last, _)) = changes.last() else { break };
            posted = *last;
            let entries: Vec<_> = changes.iter().map(|(n, change)| (*n, change.write())).collect();
            self.board.post(Row::OptOuts, &entries, clock::now())?;
            self.take_out(changes.iter().map(|(_, change)| change))?;
        }
        self.posted = Some(posted);
        Ok(())
    }

    fn take_out<'c>(&mut self, changes: impl Iterator<Item = &'c Change>) -> Result<(), LeaseError> {
        let gone: HashSet<UserKey> = changes
            .filter(|change| change.direction == Direction::Out)
            .flat_map(|change| change.keys.iter().copied())
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        let is_gone = |bytes: &[u8]| Noted::user_in(bytes).is_some_and(|user| gone.contains(&user));
        self.board.take_out(Row::Facts, is_gone, clock::now())?;
        Ok(())
    }

    /// Own ones too, so that the last one in the order of the row holds on every node.
    fn hear_opt_outs(&mut self) -> Result<(), LeaseError> {
        loop {
            let entries = self
                .board
                .read(Row::OptOuts, self.heard_opt_outs, BATCH_MAX, clock::now())?;
            if entries.is_empty() {
                return Ok(());
            }
            for entry in entries {
                match Change::read(&entry.bytes) {
                    Ok(change) => wait(self.desk.submit_change(Change {
                        place: entry.id,
                        ..change
                    }))
                    .map(drop)?,
                    Err(error) => tracing::error!(%error, "an opt-out of another node cannot be read"),
                }
                self.heard_opt_outs = entry.id;
            }
        }
    }
}

fn read_fact(bytes: &[u8]) -> Option<Noted> {
    Noted::read(bytes)
        .inspect_err(|error| tracing::error!(%error, "a fact of another node cannot be read"))
        .ok()
}

type Answer<T> = Result<tokio::sync::oneshot::Receiver<Result<T, NotBooked>>, NotBooked>;

fn wait<T>(answer: Answer<T>) -> Result<T, LeaseError> {
    let answer = answer.and_then(|answer| answer.blocking_recv().unwrap_or(Err(NotBooked::Closed)));
    answer.map_err(|error| LeaseError::Shared(error.to_string()))
}
