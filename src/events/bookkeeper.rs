//! The one thread that owns the books: what comes in is handed to the [`Office`], and answered when that has it durable.
//!
//! Invariant: an answer says only what is on the disk. Whoever gets an error sends again, and finds either nothing
//! or the first booking.
//!
//! ```text
//! data/books/lock                 held by the process that owns the books
//! data/books/books-00000001.seg   journal: every record since segment 1, in order (Events of event.proto)
//! data/books/books-00000002.ckp   state of the books before segment 2
//! data/books/optouts-00000001.seg who has opted out: a journal of its own, see `optouts`
//! ```
//!
//! Records that wait together share one `fdatasync`: while one batch is written the next one gathers, so nobody
//! waits longer than two syncs of the disk. After an error of the disk nothing is accepted any more, since
//! what the disk holds is then unknown: a restart reads it and goes on from there.

use super::booking::Flags;
use super::books::{Books, MemoryFull, Word};
use super::counts::BooksCounts;
use super::facts::FactQueue;
use super::lock::DirLock;
use super::memory::MemoryLimits;
use super::notice::Inbound;
use super::office::Office;
use super::replay::at_dir;
use crate::allocation::Allocation;
use crate::approvals::Approvals;
use crate::caps::{Caps, Noted};
use crate::journal::{DiskFolder, Medium};
use crate::optouts::{Change, Direction, OptOutError, OptOuts};
use crate::pacing::{Budgets, Settled};
use crate::shading::Markets;
use crate::units::{EntryId, Nanos, Timestamp};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;

pub use super::replay::{BooksError, Replayed};

#[derive(Clone, Debug)]
pub struct BooksSettings {
    /// `data/books`.
    pub dir: PathBuf,
    /// Inbound events that may wait; above it the caller answers 503 and the sender repeats.
    pub queue_max: usize,
    /// Records that share one sync: a longer batch would keep its first one waiting.
    pub batch_max: usize,
    /// A segment of this size is closed with a checkpoint.
    pub segment_bytes_max: u64,
    /// A checkpoint is made at least after this many records: a restart replays about 300,000 a second.
    pub checkpoint_records: u64,
    pub memory: MemoryLimits,
    /// Shared with the bid path; read from the same folder when the books are opened.
    pub opt_outs: Arc<OptOuts>,
    /// What exchanges say of creatives; the books' checkpoints keep it.
    pub approvals: Arc<Approvals>,
    /// Where other nodes are told what happened to users: when it is durable, and again after a crash.
    pub facts: Option<FactQueue>,
    /// What sources cost and brought; likewise.
    pub allocation: Arc<Allocation>,
    /// What bids win where; the books teach it, and their checkpoints keep it.
    pub markets: Arc<Markets>,
}

impl BooksSettings {
    pub fn new(dir: PathBuf) -> BooksSettings {
        BooksSettings {
            dir,
            queue_max: 16_384,
            batch_max: 1_024,
            segment_bytes_max: 128 << 20,
            checkpoint_records: 500_000,
            memory: MemoryLimits::default(),
            opt_outs: Arc::default(),
            approvals: Arc::default(),
            facts: None,
            allocation: Arc::default(),
            markets: Arc::new(Markets::new(0)),
        }
    }
}

/// Owns the thread. Dropping it is a clean stop.
pub struct Bookkeeper {
    desk: Desk,
    thread: Option<JoinHandle<Result<(), BooksError>>>,
    replayed: Replayed,
}

/// Where inbound events are handed in; one for every server task that wants one.
#[derive(Clone)]
pub struct Desk {
    queue: SyncSender<Message>,
    /// Messages in the queue.
    waiting: Arc<AtomicUsize>,
    counts: Arc<BooksCounts>,
}

/// What the books say to an event that is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// What the event cost; `None` where it booked nothing.
    pub booked: Option<Nanos>,
    pub settled: Option<Settled>,
    pub flags: Flags,
    /// Whether reports count the event.
    pub counts: bool,
}

/// Nothing was recorded; the sender must repeat (503).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotBooked {
    #[error("the queue of the books is full")]
    Busy,
    #[error(transparent)]
    Full(#[from] MemoryFull),
    #[error("as many ids have opted out as there is room for")]
    OptOutsFull,
    #[error("the books are closed")]
    Closed,
}

impl Bookkeeper {
    /// Takes the books of `settings.dir` over: locks them, reads the newest checkpoint and the journal behind it into
    /// `budgets` and `caps`, and begins to accept. The accounts of the configuration must be made before.
    ///
    /// # Errors
    /// [`LockError::Held`](super::lock::LockError::Held) while another process has the books: stand by and try again.
    pub fn try_open(
        settings: &BooksSettings,
        budgets: Arc<Budgets>,
        caps: Arc<Caps>,
        now: Timestamp,
    ) -> Result<Bookkeeper, BooksError> {
        Bookkeeper::try_open_on(settings, budgets, caps, now, |file| Box::new(file))
    }

    /// [`try_open`](Bookkeeper::try_open) on files wrapped by `wrap`: the place where a test lets writes fail.
    pub fn try_open_on(
        settings: &BooksSettings,
        budgets: Arc<Budgets>,
        caps: Arc<Caps>,
        now: Timestamp,
        wrap: fn(File) -> Box<dyn Medium>,
    ) -> Result<Bookkeeper, BooksError> {
        let lock = DirLock::try_acquire(&settings.dir)?;
        // Before anything is read that may be about people on the list.
        settings.opt_outs.open(&settings.dir)?;
        let books = Books::new(budgets, caps, settings.memory)
            .honouring(settings.opt_outs.clone())
            .telling(settings.approvals.clone())
            .allocating(settings.allocation.clone())
            .teaching(settings.markets.clone());
        let folder = DiskFolder::open_on(&settings.dir, wrap).map_err(at_dir(&settings.dir))?;
        let (office, replayed) = Office::open(settings, Arc::new(folder), books, now)?;
        // Of the standard library: what waits when the thread ends is dropped with its end of the queue, so that nobody waits for ever for
        // an answer. The bounded channels of crossbeam keep it until the last sender goes.
        let (sender, queue) = mpsc::sync_channel(settings.queue_max);
        let waiting = Arc::new(AtomicUsize::new(0));
        let counts = Arc::new(BooksCounts::default());
        let clerk = Clerk {
            _lock: lock,
            settings: settings.clone(),
            office,
            queue,
            waiting: waiting.clone(),
            counts: counts.clone(),
            replies: Vec::with_capacity(settings.batch_max),
        };
        let thread = thread::Builder::new()
            .name("books".into())
            .spawn(move || clerk.run())
            .map_err(at_dir(&settings.dir))?;
        Ok(Bookkeeper {
            desk: Desk {
                queue: sender,
                waiting,
                counts,
            },
            thread: Some(thread),
            replayed,
        })
    }

    pub fn desk(&self) -> Desk {
        self.desk.clone()
    }

    pub fn replayed(&self) -> Replayed {
        self.replayed
    }

    /// Books what waits, writes a checkpoint with the open holds, and gives the books back.
    pub fn stop(mut self) -> Result<(), BooksError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), BooksError> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        // Fails only where the thread is gone already; joining says why.
        self.desk.waiting.fetch_add(1, Ordering::Relaxed);
        let _ = self.desk.queue.send(Message::Stop);
        thread.join().unwrap_or(Err(BooksError::Panicked))
    }
}

impl Drop for Bookkeeper {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "the books were not closed cleanly");
        }
    }
}

impl Desk {
    /// Hands `inbound` in without waiting. The answer comes when it is durable; a dropped sender means
    /// [`NotBooked::Closed`].
    pub fn submit(&self, inbound: Inbound) -> Result<Answer<Receipt>, NotBooked> {
        self.send(inbound, false)
    }

    /// [`submit`](Desk::submit) of an event whose bid belongs to a node that was declared dead. Its lease is charged in full:
    /// the event is recorded and books nothing.
    pub fn submit_of_dead(&self, inbound: Inbound) -> Result<Answer<Receipt>, NotBooked> {
        self.send(inbound, true)
    }

    fn send(&self, inbound: Inbound, of_dead: bool) -> Result<Answer<Receipt>, NotBooked> {
        let inbound = Box::new(inbound);
        let sent = self.ask(|reply| Message::Inbound {
            inbound,
            of_dead,
            reply,
        });
        if let Err(NotBooked::Busy) = sent {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }

    /// Hands a message in without waiting; its answer comes over what is returned.
    fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<Answer<T>, NotBooked> {
        let (reply, answer) = oneshot::channel();
        // Relaxed counts: a number for a page, behind which nothing is read.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let refused = match self.queue.try_send(message(reply)) {
            Ok(()) => return Ok(answer),
            Err(TrySendError::Full(_)) => NotBooked::Busy,
            Err(TrySendError::Disconnected(_)) => NotBooked::Closed,
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Err(refused)
    }

    /// Hands `inbound` in and waits for its receipt.
    pub async fn book(&self, inbound: Inbound) -> Result<Receipt, NotBooked> {
        self.submit(inbound)?.await.unwrap_or(Err(NotBooked::Closed))
    }

    /// Hands an opt-out, or its revocation, in and waits until it is durable and in effect. Returns for how many ids it is new.
    pub async fn change_opt_outs(&self, change: Change) -> Result<usize, NotBooked> {
        let answer = self.submit_change(change)?;
        answer.await.unwrap_or(Err(NotBooked::Closed))
    }

    /// [`change_opt_outs`](Desk::change_opt_outs) without waiting.
    pub fn submit_change(&self, change: Change) -> Result<Answer<usize>, NotBooked> {
        self.ask(|reply| Message::OptOut(change, reply))
    }

    /// What other nodes tell of users, up to an entry of the row that they share; it is in when the answer comes.
    pub fn hear(&self, facts: Vec<Noted>, up_to: EntryId) -> Result<Answer<()>, NotBooked> {
        self.ask(|reply| Message::Heard(facts, up_to, reply))
    }

    /// What a person decides; durable when the answer comes. False where there was nothing to decide.
    pub fn say(&self, word: Word, at: Timestamp) -> Result<Answer<bool>, NotBooked> {
        self.ask(|reply| Message::Word(word, at, reply))
    }

    pub fn counts(&self) -> &BooksCounts {
        &self.counts
    }

    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

type Reply<T> = oneshot::Sender<Result<T, NotBooked>>;

/// Comes when it is durable; a dropped sender means [`NotBooked::Closed`].
pub type Answer<T> = oneshot::Receiver<Result<T, NotBooked>>;

enum Message {
    Inbound {
        inbound: Box<Inbound>,
        of_dead: bool,
        reply: Reply<Receipt>,
    },
    OptOut(Change, Reply<usize>),
    Heard(Vec<Noted>, EntryId, Reply<()>),
    Word(Word, Timestamp, Reply<bool>),
    Stop,
}

/// The thread's own.
struct Clerk {
    _lock: DirLock,
    settings: BooksSettings,
    office: Office,
    queue: Receiver<Message>,
    waiting: Arc<AtomicUsize>,
    counts: Arc<BooksCounts>,
    /// Of the records that the office has not committed, in their order.
    replies: Vec<Reply<Receipt>>,
}

impl Clerk {
    fn run(mut self) -> Result<(), BooksError> {
        let result = self.work();
        if let Err(error) = &result {
            tracing::error!(%error, "the books accept nothing more until the process is restarted");
            self.counts.closed.store(true, Ordering::Relaxed);
        }
        // Dropping the queue's end refuses what waits and what comes.
        result
    }

    fn work(&mut self) -> Result<(), BooksError> {
        let mut open = true;
        while open {
            open = self.gather()?;
            self.commit()?;
            if self.office.is_checkpoint_due() {
                self.checkpoint()?;
            }
        }
        self.checkpoint().map(drop)
    }

    /// Decides on everything that waits, at most a batch; false once a stop was asked for and nothing waits.
    fn gather(&mut self) -> Result<bool, BooksError> {
        let Ok(mut message) = self.queue.recv() else {
            return Ok(false);
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        let mut open = true;
        loop {
            match message {
                Message::Inbound {
                    inbound,
                    of_dead,
                    reply,
                } => self.take(&inbound, of_dead, reply)?,
                Message::OptOut(change, reply) => self.change_opt_outs(&change, reply),
                Message::Heard(facts, up_to, reply) => self.hear(facts, up_to, reply),
                Message::Word(word, at, reply) => self.heed(word, at, reply)?,
                // What was handed in while the stop was on its way is taken too, however much it is.
                Message::Stop => open = false,
            }
            if open && self.replies.len() >= self.settings.batch_max {
                return Ok(true);
            }
            let Ok(next) = self.queue.try_recv() else {
                return Ok(open);
            };
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            message = next;
        }
    }

    fn take(&mut self, inbound: &Inbound, of_dead: bool, reply: Reply<Receipt>) -> Result<(), BooksError> {
        match self.office.take(inbound, of_dead)? {
            Ok(()) => self.replies.push(reply),
            Err(full) => {
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
                // A caller that no longer waits needs no answer.
                let _ = reply.send(Err(full.into()));
            }
        }
        Ok(())
    }

    /// Here, between two notices, so that every notice is decided either before an opt-out or with it. After an error of the
    /// disk no opt-out is taken any more, and nobody is told that one was; money goes on.
    fn change_opt_outs(&self, change: &Change, reply: Reply<usize>) {
        let changed = self.settings.opt_outs.change(change).map_err(|error| {
            tracing::error!(%error, "an opt-out was not taken");
            match error {
                OptOutError::Full { .. } => NotBooked::OptOutsFull,
                _ => NotBooked::Closed,
            }
        });
        if changed.is_ok_and(|new| new > 0) && change.direction == Direction::Out {
            self.office.books().forget(&change.keys);
        }
        // A caller that no longer waits needs no answer.
        let _ = reply.send(changed);
    }

    fn hear(&mut self, facts: Vec<Noted>, up_to: EntryId, reply: Reply<()>) {
        self.office.hear(facts, up_to);
        // A caller that no longer waits needs no answer.
        let _ = reply.send(Ok(()));
    }

    /// A person's word is no notice and has no record: the checkpoint that follows keeps it. What came before is
    /// settled first, so that it is the last word.
    fn heed(&mut self, word: Word, at: Timestamp, reply: Reply<bool>) -> Result<(), BooksError> {
        self.commit()?;
        let decided = self.office.books().heed(word, at);
        let kept = !decided || self.checkpoint()?;
        // A caller that no longer waits needs no answer.
        let _ = reply.send(kept.then_some(decided).ok_or(NotBooked::Closed));
        Ok(())
    }

    fn commit(&mut self) -> Result<(), BooksError> {
        if self.replies.is_empty() {
            return Ok(());
        }
        let mut replies = self.replies.drain(..);
        let counts = &self.counts;
        self.office.commit(|record, settled| {
            counts.count(record, settled);
            let verdict = record.verdict;
            let receipt = Receipt {
                booked: verdict.booked,
                settled,
                flags: verdict.flags,
                counts: verdict.counts(),
            };
            // A caller that no longer waits needs no answer.
            let _ = replies.next().map(|reply| reply.send(Ok(receipt)));
        })?;
        self.counts.batches.fetch_add(1, Ordering::Relaxed);
        let (bids, _) = self.office.books().remembered();
        self.counts.remembered_bids.store(bids as u64, Ordering::Relaxed);
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<bool, BooksError> {
        let written = self.office.checkpoint()?;
        self.counts
            .checkpoints
            .fetch_add(u64::from(written), Ordering::Relaxed);
        Ok(written)
    }
}
