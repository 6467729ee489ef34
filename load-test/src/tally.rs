//! What is counted while requests are sent. Invariant: every offered request ends in exactly one of bid, no-bid, an error
//! or unsent, and latency runs from the time at which the request was *meant* to be sent.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Latencies above ten milliseconds are counted apart: the promise that bidders are measured by.
pub const SLOW_NS: u64 = 10_000_000;

/// The longest latency that is told apart: beyond any patience of an exchange.
const LATENCY_NS_MAX: u64 = 120_000_000_000;

/// How one request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Bid,
    NoBid,
    Failed(Failure),
}

/// Errors by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection could be made.
    Connect,
    /// The connection ended before the answer was whole, also on the second attempt where there was one.
    Reset,
    /// No answer within the patience of the exchange.
    Timeout,
    /// Status 4xx.
    ClientError,
    /// Status 5xx.
    ServerError,
    /// Not HTTP, another status, or a 200 that is no JSON object.
    Malformed,
}

impl Failure {
    pub const ALL: [Failure; 6] = [
        Failure::Connect,
        Failure::Reset,
        Failure::Timeout,
        Failure::ClientError,
        Failure::ServerError,
        Failure::Malformed,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Failure::Connect => "connect",
            Failure::Reset => "reset",
            Failure::Timeout => "timeout",
            Failure::ClientError => "status 4xx",
            Failure::ServerError => "status 5xx",
            Failure::Malformed => "malformed",
        }
    }
}

/// Totals of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests that were due: `bids + no_bids + errors + unsent`.
    pub offered: u64,
    /// Requests that were written to a connection, each once.
    pub sent: u64,
    /// Bids and no-bids.
    pub answered: u64,
    pub bids: u64,
    pub no_bids: u64,
    /// Answered, or given up, later than the request's `tmax`.
    pub late: u64,
    /// Answered, or given up, later than 10 ms.
    pub over_10ms: u64,
    /// Sent a second time on a fresh connection, because the first one ended without a byte of answer.
    pub retried: u64,
    /// Connections opened again after the server closed them.
    pub reopened: u64,
    /// Still waiting for a connection when time was up.
    pub unsent: u64,
    /// The most requests that waited for a connection at once.
    pub backlog_max: u64,
    /// Put in line more than 1 ms after they were due, because the load test itself did not get its processor.
    pub slipped: u64,
    /// The worst of it, microseconds.
    pub slip_max_us: u64,
    #[serde(flatten)]
    pub errors: Errors,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Errors {
    pub errors_connect: u64,
    pub errors_reset: u64,
    pub errors_timeout: u64,
    pub errors_4xx: u64,
    pub errors_5xx: u64,
    pub errors_malformed: u64,
}

impl Errors {
    pub fn of(&self, failure: Failure) -> u64 {
        let mut copy = *self;
        *copy.slot(failure)
    }

    pub fn total(&self) -> u64 {
        Failure::ALL.iter().map(|failure| self.of(*failure)).sum()
    }

    fn slot(&mut self, failure: Failure) -> &mut u64 {
        match failure {
            Failure::Connect => &mut self.errors_connect,
            Failure::Reset => &mut self.errors_reset,
            Failure::Timeout => &mut self.errors_timeout,
            Failure::ClientError => &mut self.errors_4xx,
            Failure::ServerError => &mut self.errors_5xx,
            Failure::Malformed => &mut self.errors_malformed,
        }
    }
}

/// One second of a run. Offered by intended time, all else by the time of the answer.
#[derive(Clone, Debug)]
pub struct Second {
    pub offered: u64,
    pub answered: u64,
    pub bids: u64,
    pub late: u64,
    pub errors: u64,
    /// Corrected latency, nanoseconds, to 1 %.
    pub latency: Histogram<u32>,
}

impl Default for Second {
    fn default() -> Self {
        let latency =
            Histogram::new_with_bounds(1_000, LATENCY_NS_MAX, 2).expect("bounds and digits are valid");
        Second {
            offered: 0,
            answered: 0,
            bids: 0,
            late: 0,
            errors: 0,
            latency,
        }
    }
}

/// All that one thread counts; threads are added up.
#[derive(Clone, Debug)]
pub struct Tally {
    pub counts: Counts,
    /// From the intended send time to the last byte, nanoseconds. What got no answer is in it with the time until it
    /// was given up, so that it cannot hide; what was refused at once is not.
    pub corrected: Histogram<u64>,
    /// From the actual send to the last byte, nanoseconds: what a closed loop would have seen.
    pub service: Histogram<u64>,
    pub seconds: Vec<Second>,
}

/// One request that has ended, in nanoseconds since the start.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub due_ns: u64,
    pub sent_ns: u64,
    pub now_ns: u64,
    pub tmax_ns: u64,
    pub ending: Ending,
}

impl Default for Tally {
    fn default() -> Self {
        let histogram =
            || Histogram::new_with_bounds(1_000, LATENCY_NS_MAX, 3).expect("bounds and digits are valid");
        Tally {
            counts: Counts::default(),
            corrected: histogram(),
            service: histogram(),
            seconds: Vec::new(),
        }
    }
}

impl Tally {
    /// `now_ns`: when the request was put in line.
    pub fn offer(&mut self, due_ns: u64, now_ns: u64) {
        self.counts.offered += 1;
        let slip_us = now_ns.saturating_sub(due_ns) / 1000;
        self.counts.slipped += u64::from(slip_us > 1000);
        self.counts.slip_max_us = self.counts.slip_max_us.max(slip_us);
        self.second(due_ns).offered += 1;
    }

    pub fn end(&mut self, ended: &Ended) {
        let corrected_ns = ended.now_ns.saturating_sub(ended.due_ns);
        let answered = matches!(ended.ending, Ending::Bid | Ending::NoBid);
        if answered || ended.ending == Ending::Failed(Failure::Timeout) {
            self.corrected.saturating_record(corrected_ns);
            self.service
                .saturating_record(ended.now_ns.saturating_sub(ended.sent_ns));
            self.counts.over_10ms += u64::from(corrected_ns > SLOW_NS);
            let late = corrected_ns > ended.tmax_ns;
            self.counts.late += u64::from(late);
            let second = self.second(ended.now_ns);
            second.late += u64::from(late);
            second.latency.saturating_record(corrected_ns);
        }
        self.count(ended.now_ns, ended.ending);
    }

    /// A request that never got a connection.
    pub fn leave_unsent(&mut self, due_ns: u64, now_ns: u64, tmax_ns: u64) {
        let waited_ns = now_ns.saturating_sub(due_ns);
        self.counts.unsent += 1;
        self.counts.over_10ms += u64::from(waited_ns > SLOW_NS);
        self.counts.late += u64::from(waited_ns > tmax_ns);
        self.corrected.saturating_record(waited_ns);
    }

    /// Adds another thread's tally. Backlogs add up too: they are of one moment at worst.
    pub fn add(&mut self, other: &Tally) {
        let (a, b) = (&mut self.counts, &other.counts);
        for (mine, theirs) in [
            (&mut a.offered, b.offered),
            (&mut a.sent, b.sent),
            (&mut a.answered, b.answered),
            (&mut a.bids, b.bids),
            (&mut a.no_bids, b.no_bids),
            (&mut a.late, b.late),
            (&mut a.over_10ms, b.over_10ms),
            (&mut a.retried, b.retried),
            (&mut a.reopened, b.reopened),
            (&mut a.unsent, b.unsent),
            (&mut a.backlog_max, b.backlog_max),
            (&mut a.slipped, b.slipped),
        ] {
            *mine += theirs;
        }
        a.slip_max_us = a.slip_max_us.max(b.slip_max_us);
        for failure in Failure::ALL {
            *a.errors.slot(failure) += b.errors.of(failure);
        }
        self.corrected
            .add(&other.corrected)
            .expect("all tallies have the same bounds");
        self.service
            .add(&other.service)
            .expect("all tallies have the same bounds");
        for (at, theirs) in other.seconds.iter().enumerate() {
            let mine = self.second(at as u64 * NS_PER_SECOND);
            mine.offered += theirs.offered;
            mine.answered += theirs.answered;
            mine.bids += theirs.bids;
            mine.late += theirs.late;
            mine.errors += theirs.errors;
            mine.latency
                .add(&theirs.latency)
                .expect("all seconds have the same bounds");
        }
    }

    fn count(&mut self, now_ns: u64, ending: Ending) {
        let second = self.second(now_ns);
        match ending {
            Ending::Bid => {
                second.bids += 1;
                second.answered += 1;
            }
            Ending::NoBid => second.answered += 1,
            Ending::Failed(_) => second.errors += 1,
        }
        match ending {
            Ending::Bid => self.counts.bids += 1,
            Ending::NoBid => self.counts.no_bids += 1,
            Ending::Failed(failure) => *self.counts.errors.slot(failure) += 1,
        }
        self.counts.answered = self.counts.bids + self.counts.no_bids;
    }

    fn second(&mut self, at_ns: u64) -> &mut Second {
        let index = (at_ns / NS_PER_SECOND) as usize;
        while self.seconds.len() <= index {
            self.seconds.push(Second::default());
        }
        &mut self.seconds[index]
    }
}

const NS_PER_SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(due_ms: u64, sent_ms: u64, now_ms: u64, ending: Ending) -> Ended {
        let ns = |ms: u64| ms * 1_000_000;
        Ended {
            due_ns: ns(due_ms),
            sent_ns: ns(sent_ms),
            now_ns: ns(now_ms),
            tmax_ns: ns(100),
            ending,
        }
    }

    #[test]
    fn every_request_is_counted_where_it_ended_and_latency_runs_from_the_intended_time() {
        let mut tally = Tally::default();
        for due_ms in [0, 0, 0, 1_000, 1_000] {
            tally.offer(due_ms * 1_000_000, due_ms * 1_000_000 + 2_000_000);
        }
        tally.end(&ended(0, 0, 5, Ending::Bid));
        tally.end(&ended(0, 40, 50, Ending::NoBid));
        tally.end(&ended(0, 0, 1_200, Ending::Failed(Failure::Timeout)));
        tally.end(&ended(1_000, 1_000, 1_001, Ending::Failed(Failure::ServerError)));
        tally.leave_unsent(1_000_000_000, 1_050_000_000, 100_000_000);
        let mut twice = tally.clone();
        twice.add(&tally);
        for (tally, times) in [(&tally, 1), (&twice, 2)] {
            let counts = tally.counts;
            let found = [
                counts.offered,
                counts.answered,
                counts.bids,
                counts.no_bids,
                counts.late,
                counts.over_10ms,
            ];
            assert_eq!(found, [5, 2, 1, 1, 1, 3].map(|n| n * times));
            assert_eq!((counts.errors.total(), counts.unsent), (2 * times, times));
            assert_eq!((counts.slipped, counts.slip_max_us), (5 * times, 2000));
            assert_eq!(
                counts.offered,
                counts.answered + counts.errors.total() + counts.unsent
            );
            assert_eq!(
                tally.seconds.iter().map(|s| s.offered).collect::<Vec<_>>(),
                [3, 2].map(|n| n * times)
            );
            assert_eq!(
                tally.seconds.iter().map(|s| s.errors).collect::<Vec<_>>(),
                [0, 2].map(|n| n * times)
            );
            assert_eq!(tally.service.len(), 3 * times);
            assert_eq!(tally.corrected.len(), 4 * times);
            assert!(tally.corrected.max() >= 1_200_000_000);
        }
    }
}
