//! One thread's share of a run: its connections, the line of requests that wait for them, and what became of each.
//!
//! Invariant: a request is in exactly one place: in line, under way on one slot, or counted.

use super::{Pace, Plan, Progress, Shown, refused};
use crate::arrivals::Times;
use crate::auction::Played;
use crate::client::{Connection, Loss, LossKind, Poller, Ready, Step};
use crate::tally::{Ended, Ending, Failure, Tally};
use memchr::memmem;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

/// One request in line or under way.
#[derive(Clone, Copy, Debug)]
struct Job {
    number: u64,
    due_ns: u64,
    sent_ns: u64,
    retried: bool,
}

struct Slot {
    connection: Connection,
    job: Option<Job>,
    /// Counts what was waited for, so that its deadline is told from an earlier one.
    waits: u64,
}

/// Sleeping ends some microseconds late; so near to the next request the loop spins instead.
const SPIN: Duration = Duration::from_micros(60);
/// The longest wait, so that progress is shown and ends are noticed.
const WAIT_MAX: Duration = Duration::from_millis(20);

pub struct Driver<'a> {
    plan: &'a Plan<'a>,
    auction: Option<&'a SyncSender<Played>>,
    unplayed: &'a AtomicU64,
    poller: Poller,
    slots: Vec<Slot>,
    /// First in, first out, so that all connections, and the workers behind them, get their share.
    idle: VecDeque<usize>,
    closed: Vec<usize>,
    line: VecDeque<Job>,
    /// (deadline, slot, wait); patience is the same for all, so they stand in order.
    deadlines: VecDeque<(u64, usize, u64)>,
    times: Option<std::iter::Peekable<Times>>,
    /// Number of the next request of a closed loop.
    next_number: u64,
    step: u64,
    under_way: usize,
    start: Instant,
    request: Vec<u8>,
    has_impid: memmem::Finder<'static>,
    tally: Tally,
}

impl<'a> Driver<'a> {
    pub fn new(
        plan: &'a Plan,
        thread: usize,
        auction: Option<&'a SyncSender<Played>>,
        unplayed: &'a AtomicU64,
    ) -> anyhow::Result<Driver<'a>> {
        let threads = plan.threads.max(1);
        let count = (plan.connections / threads + usize::from(thread < plan.connections % threads)).max(1);
        let slot = || Slot {
            connection: Connection::new(),
            job: None,
            waits: 0,
        };
        let times = match &plan.pace {
            Pace::Open(arrivals) => Some(arrivals.times(thread as u64, threads as u64).peekable()),
            Pace::Closed => None,
        };
        Ok(Driver {
            plan,
            auction,
            unplayed,
            poller: Poller::new()?,
            slots: std::iter::repeat_with(slot).take(count).collect(),
            idle: VecDeque::with_capacity(count),
            closed: Vec::with_capacity(count),
            line: VecDeque::new(),
            deadlines: VecDeque::new(),
            times,
            next_number: thread as u64,
            step: threads as u64,
            under_way: 0,
            start: Instant::now(),
            request: Vec::new(),
            has_impid: memmem::Finder::new(b"\"impid\""),
            tally: Tally::default(),
        })
    }

    /// Opens every connection before the clock starts.
    pub fn connect_all(&mut self) -> anyhow::Result<()> {
        for at in 0..self.slots.len() {
            self.slots[at]
                .connection
                .open(self.plan.address, at as u32, &self.poller)?;
        }
        let give_up = Instant::now() + self.plan.patience.max(Duration::from_secs(2));
        let mut ready = Vec::new();
        while self.idle.len() < self.slots.len() {
            let left = give_up.saturating_duration_since(Instant::now());
            anyhow::ensure!(
                !left.is_zero(),
                "{}: only {} of {} connections were accepted; give fewer --connections",
                self.plan.address,
                self.idle.len(),
                self.slots.len()
            );
            ready.clear();
            self.poller.wait(left.min(WAIT_MAX), &mut ready)?;
            for ready in &ready {
                let at = Connection::slot(ready);
                match self.slots[at].connection.on_ready(ready) {
                    Step::Connected => self.idle.push_back(at),
                    Step::Lost(_) => anyhow::bail!("{}", refused(self.plan.address)),
                    Step::Nothing | Step::Answered(_) => {}
                }
            }
        }
        Ok(())
    }

    pub fn run(mut self, start: Instant, progress: &Progress) -> anyhow::Result<Tally> {
        // Finer than the 50 microseconds by which the kernel may let a sleeper oversleep.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        self.start = start;
        let end_ns = self.plan.duration.as_nanos() as u64;
        let give_up_ns = end_ns + self.plan.drain.as_nanos() as u64;
        let mut ready = Vec::new();
        let mut shown = Shown::default();
        loop {
            let now_ns = self.now_ns();
            self.release(now_ns, end_ns);
            if now_ns < give_up_ns {
                self.assign();
            }
            self.expire(now_ns);
            shown.update(&self.tally, progress);
            let line_is_done = self.line.is_empty() || now_ns >= give_up_ns;
            if now_ns >= end_ns && line_is_done && self.under_way == 0 {
                break;
            }
            ready.clear();
            let wait = self.wait(now_ns, end_ns);
            self.poller.wait(wait, &mut ready)?;
            for ready in &ready {
                self.look(ready);
            }
        }
        Ok(self.finish(progress, shown))
    }

    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// Puts what is due in line.
    fn release(&mut self, now_ns: u64, end_ns: u64) {
        let Some(times) = &mut self.times else {
            return self.release_closed(now_ns, end_ns);
        };
        while let Some((number, due_ns)) = times.next_if(|(_, due_ns)| *due_ns <= now_ns && *due_ns < end_ns)
        {
            self.tally.offer(due_ns, now_ns);
            self.line.push_back(Job {
                number,
                due_ns,
                sent_ns: due_ns,
                retried: false,
            });
        }
        let waiting = (self.line.len() as u64).saturating_sub(self.idle.len() as u64);
        self.tally.counts.backlog_max = self.tally.counts.backlog_max.max(waiting);
    }

    fn release_closed(&mut self, now_ns: u64, end_ns: u64) {
        let free = self.idle.len() + self.closed.len();
        while now_ns < end_ns && self.line.len() < free {
            self.tally.offer(now_ns, now_ns);
            self.line.push_back(Job {
                number: self.next_number,
                due_ns: now_ns,
                sent_ns: now_ns,
                retried: false,
            });
            self.next_number += self.step;
        }
    }

    /// Gives what is in line to free connections: open ones first.
    fn assign(&mut self) {
        while let Some(job) = self.line.front().copied() {
            if let Some(at) = self.idle.pop_front() {
                self.line.pop_front();
                self.under_way += 1;
                self.send(at, job);
            } else if let Some(at) = self.closed.pop() {
                self.line.pop_front();
                self.under_way += 1;
                self.open_with(at, job);
            } else {
                return;
            }
        }
    }

    fn send(&mut self, at: usize, mut job: Job) {
        self.request.clear();
        self.plan.traffic.write(job.number, &mut self.request);
        let now_ns = self.now_ns();
        if !job.retried {
            self.tally.counts.sent += 1;
            job.sent_ns = now_ns;
        }
        self.slots[at].job = Some(job);
        self.limit_wait(at, now_ns);
        let sent = self.slots[at].connection.send(&self.request);
        if let Err(loss) = sent {
            self.lose(at, loss);
        }
    }

    fn open_with(&mut self, at: usize, job: Job) {
        self.slots[at].job = Some(job);
        self.open(at);
    }

    fn open(&mut self, at: usize) {
        self.limit_wait(at, self.now_ns());
        let slot = &mut self.slots[at];
        if slot
            .connection
            .open(self.plan.address, at as u32, &self.poller)
            .is_err()
        {
            slot.connection.close();
            self.fail(at, Failure::Connect);
            self.closed.push(at);
        }
    }

    /// Sets the end of patience for what is waited for on a slot now.
    fn limit_wait(&mut self, at: usize, now_ns: u64) {
        let slot = &mut self.slots[at];
        slot.waits += 1;
        let deadline = now_ns + self.plan.patience.as_nanos() as u64;
        self.deadlines.push_back((deadline, at, slot.waits));
    }

    /// Opens a connection that the server has closed, ahead of its next request.
    fn reopen(&mut self, at: usize) {
        self.tally.counts.reopened += 1;
        self.open(at);
    }

    fn expire(&mut self, now_ns: u64) {
        while let Some((deadline, at, wait)) = self.deadlines.front().copied() {
            let slot = &mut self.slots[at];
            let pending = slot.job.is_some() || slot.connection.is_connecting();
            let current = pending && slot.waits == wait;
            if current && deadline > now_ns {
                return;
            }
            self.deadlines.pop_front();
            if current {
                slot.connection.close();
                self.fail(at, Failure::Timeout);
                self.closed.push(at);
            }
        }
    }

    fn look(&mut self, ready: &Ready) {
        let at = Connection::slot(ready);
        let slot = &mut self.slots[at];
        match slot.connection.on_ready(ready) {
            Step::Nothing => {}
            Step::Connected => match slot.job {
                Some(job) => self.send(at, job),
                None => self.idle.push_back(at),
            },
            Step::Lost(loss) => self.lose(at, loss),
            Step::Answered(received) => {
                let now_ns = self.start.elapsed().as_nanos() as u64;
                let open = received.open;
                let job = slot.job.take();
                let ending = classify(received.status, received.body, &self.has_impid);
                if let (Some(job), Some(auction), Ending::Bid) = (job, self.auction, ending) {
                    let played = Played {
                        number: job.number,
                        body: received.body.to_vec(),
                    };
                    if auction.try_send(played).is_err() {
                        self.unplayed.fetch_add(1, Ordering::Relaxed);
                    }
                }
                if let Some(job) = job {
                    self.end(job, now_ns, ending);
                }
                if open {
                    self.idle.push_back(at)
                } else {
                    self.reopen(at)
                }
            }
        }
    }

    /// The connection is gone. What was under way is tried once more, unless an answer had begun.
    fn lose(&mut self, at: usize, loss: Loss) {
        let Some(job) = self.slots[at].job else {
            // Idle connections leave the queue before they are opened again.
            self.idle.retain(|idle| *idle != at);
            return if loss.kind == LossKind::Connect {
                self.closed.push(at)
            } else {
                self.reopen(at)
            };
        };
        let may_retry = loss.kind == LossKind::Reset && !loss.answer_begun && !job.retried;
        if may_retry {
            self.tally.counts.retried += 1;
            return self.open_with(at, Job { retried: true, ..job });
        }
        self.fail(
            at,
            match loss.kind {
                LossKind::Connect => Failure::Connect,
                LossKind::Reset => Failure::Reset,
                LossKind::Malformed => Failure::Malformed,
            },
        );
        self.closed.push(at);
    }

    fn fail(&mut self, at: usize, failure: Failure) {
        if let Some(job) = self.slots[at].job.take() {
            self.end(job, self.now_ns(), Ending::Failed(failure));
        }
    }

    fn end(&mut self, job: Job, now_ns: u64, ending: Ending) {
        self.under_way -= 1;
        let tmax_ns = self.plan.traffic.tmax_ns(job.number);
        self.tally.end(&Ended {
            due_ns: job.due_ns,
            sent_ns: job.sent_ns,
            now_ns,
            tmax_ns,
            ending,
        });
    }

    /// Until the next request is due, or not at all when that is near or requests wait for nothing but a turn.
    fn wait(&mut self, now_ns: u64, end_ns: u64) -> Duration {
        let due_ns = self
            .times
            .as_mut()
            .and_then(|times| times.peek().map(|(_, due_ns)| *due_ns));
        let next_ns = due_ns
            .filter(|due_ns| *due_ns < end_ns)
            .unwrap_or(now_ns + WAIT_MAX.as_nanos() as u64);
        let wait = Duration::from_nanos(next_ns.saturating_sub(now_ns)).min(WAIT_MAX);
        wait.saturating_sub(SPIN)
    }

    /// What still stands in line when time is up was never sent.
    fn finish(mut self, progress: &Progress, mut shown: Shown) -> Tally {
        let now_ns = self.now_ns();
        for job in std::mem::take(&mut self.line) {
            self.tally
                .leave_unsent(job.due_ns, now_ns, self.plan.traffic.tmax_ns(job.number));
        }
        shown.update(&self.tally, progress);
        self.tally
    }
}

/// A bid has an `impid` (OpenRTB 2.6 section 4.2.3, required), a no-bid is a 204 or an object without one.
fn classify(status: u16, body: &[u8], has_impid: &memmem::Finder) -> Ending {
    let body = body.trim_ascii();
    match status {
        204 => Ending::NoBid,
        200 if !body.starts_with(b"{") || !body.ends_with(b"}") => Ending::Failed(Failure::Malformed),
        200 if has_impid.find(body).is_some() => Ending::Bid,
        200 => Ending::NoBid,
        400..=499 => Ending::Failed(Failure::ClientError),
        500..=599 => Ending::Failed(Failure::ServerError),
        _ => Ending::Failed(Failure::Malformed),
    }
}
