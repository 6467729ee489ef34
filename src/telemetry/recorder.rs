//! One worker's counters and histograms.
//!
//! Invariant: a [`Recorder`] has one writer. It counts by load and store, without a locked instruction, and
//! merges its histograms into the [`Shared`] ones about once a second, so that a scrape never stops a worker.

use super::{Finding, Reason, Signal, Size, Stage};
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Counts of requests and what became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Counter {
    Requests,
    /// Requests answered with at least one bid.
    Answered,
    Bids,
    /// Bids below their value, in first-price auctions.
    BidsShaded,
    /// Of those, the ones drawn beside the best bid.
    BidsExplored,
    /// Requests answered without a bid.
    NoBids,
    Malformed,
    Refused,
    Late,
    ProfileLookups,
    ProfileHits,
    CandidatesMatched,
    CandidatesScored,
    Connections,
    ConnectionsClosed,
    ConnectionsRefused,
    BidRecordsDropped,
    Notices,
    NoticesRefused,
    /// Requests in protobuf.
    Protobuf,
    /// Requests that say which version of OpenRTB they are.
    Version25,
    Version26,
    VersionOther,
}

impl Counter {
    pub const ALL: [Counter; 23] = [
        Counter::Requests,
        Counter::Answered,
        Counter::Bids,
        Counter::BidsShaded,
        Counter::BidsExplored,
        Counter::NoBids,
        Counter::Malformed,
        Counter::Refused,
        Counter::Late,
        Counter::ProfileLookups,
        Counter::ProfileHits,
        Counter::CandidatesMatched,
        Counter::CandidatesScored,
        Counter::Connections,
        Counter::ConnectionsClosed,
        Counter::ConnectionsRefused,
        Counter::BidRecordsDropped,
        Counter::Notices,
        Counter::NoticesRefused,
        Counter::Protobuf,
        Counter::Version25,
        Counter::Version26,
        Counter::VersionOther,
    ];

    /// Metric name and help text.
    pub fn describe(self) -> (&'static str, &'static str) {
        match self {
            Counter::Requests => ("requests", "Bid requests received"),
            Counter::Answered => ("requests_answered", "Bid requests answered with at least one bid"),
            Counter::Bids => ("bids", "Bids sent"),
            Counter::BidsShaded => ("bids_shaded", "Bids whose price was looked for below their value"),
            Counter::BidsExplored => (
                "bids_explored",
                "Shaded bids drawn beside the best one, to learn what wins",
            ),
            Counter::NoBids => ("no_bids", "Bid requests answered without a bid"),
            Counter::Malformed => ("requests_malformed", "Bid requests answered 400"),
            Counter::Refused => ("requests_refused", "Bid requests answered 401, 405, 413 or 415"),
            Counter::Late => ("answers_late", "Answers finished after their deadline"),
            Counter::ProfileLookups => ("profile_lookups", "Profile look-ups"),
            Counter::ProfileHits => ("profile_hits", "Profile look-ups that found a profile"),
            Counter::CandidatesMatched => ("candidates_matched", "Line items that matched an imp"),
            Counter::CandidatesScored => ("candidates_scored", "Line items scored by the model"),
            Counter::Connections => ("connections_opened", "Connections accepted"),
            Counter::ConnectionsClosed => ("connections_closed", "Connections that ended"),
            Counter::ConnectionsRefused => ("connections_refused", "Connections closed at the limit"),
            Counter::BidRecordsDropped => ("bid_records_dropped", "Bid records lost to a full queue"),
            Counter::Notices => ("notices", "Notices, beacons and conversions received"),
            Counter::NoticesRefused => (
                "notices_refused",
                "Notices with a missing, forged or expired token, or a bad query",
            ),
            Counter::Protobuf => ("requests_protobuf", "Bid requests in protobuf"),
            Counter::Version25 => ("requests_version_2_5", "Bid requests of x-openrtb-version 2.5"),
            Counter::Version26 => ("requests_version_2_6", "Bid requests of x-openrtb-version 2.6"),
            Counter::VersionOther => (
                "requests_version_other",
                "Bid requests of any other x-openrtb-version",
            ),
        }
    }
}

/// What readers see of one worker.
pub struct Shared {
    counters: [AtomicU64; Counter::ALL.len()],
    /// Requests that got no bid, by the reason that decided.
    no_bids: [AtomicU64; Reason::COUNT],
    /// Line items that fell out, by reason.
    fell_out: [AtomicU64; Reason::COUNT],
    /// Requests with something wrong in their supply path.
    findings: [AtomicU64; Finding::COUNT],
    /// Requests whose user was decided about, by the signal that decided.
    signals: [AtomicU64; Signal::COUNT],
    histograms: Mutex<Histograms>,
}

/// Times by stage in nanoseconds, and sizes.
struct Histograms {
    stages: [Histogram<u64>; Stage::COUNT],
    sizes: [Histogram<u64>; Size::COUNT],
}

impl Default for Histograms {
    fn default() -> Self {
        Histograms {
            stages: std::array::from_fn(|_| stage_histogram()),
            sizes: std::array::from_fn(|_| size_histogram()),
        }
    }
}

impl Histograms {
    /// Takes everything out of `local`.
    fn take(&mut self, local: &mut Histograms) {
        let pairs = self
            .stages
            .iter_mut()
            .zip(&mut local.stages)
            .chain(self.sizes.iter_mut().zip(&mut local.sizes));
        for (shared, local) in pairs {
            shared.add(&*local).expect("both have the same bounds");
            local.reset();
        }
    }
}

impl Shared {
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters[counter as usize].load(Ordering::Relaxed)
    }

    pub fn no_bids(&self, reason: Reason) -> u64 {
        self.no_bids[reason as usize].load(Ordering::Relaxed)
    }

    pub fn fell_out(&self, reason: Reason) -> u64 {
        self.fell_out[reason as usize].load(Ordering::Relaxed)
    }

    pub fn findings(&self, finding: Finding) -> u64 {
        self.findings[finding as usize].load(Ordering::Relaxed)
    }

    pub fn signals(&self, signal: Signal) -> u64 {
        self.signals[signal as usize].load(Ordering::Relaxed)
    }

    /// Adds this worker's times of a stage, in nanoseconds, to `into`.
    pub fn merge_stage(&self, stage: Stage, into: &mut Histogram<u64>) {
        let histograms = self.histograms.lock().expect("no panic while merging");
        into.add(&histograms.stages[stage as usize])
            .expect("both are made by `stage_histogram`");
    }

    pub fn merge_size(&self, size: Size, into: &mut Histogram<u64>) {
        let histograms = self.histograms.lock().expect("no panic while merging");
        into.add(&histograms.sizes[size as usize])
            .expect("both are made by `size_histogram`");
    }
}

/// Counts of line items, exact up to 1,000.
pub fn size_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 1_000_000, 3).expect("constant bounds are valid")
}

/// A histogram for one stage: 3 significant digits from 100 ns to 100 s, so about 0.1 % wide buckets (~200 KB each).
pub fn stage_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(100, 100_000_000_000, 3).expect("constant bounds are valid")
}

/// The writer's side; one per worker, not shared.
pub struct Recorder {
    shared: Arc<Shared>,
    local: Histograms,
}

impl Default for Recorder {
    fn default() -> Self {
        let shared = Shared {
            counters: [const { AtomicU64::new(0) }; Counter::ALL.len()],
            no_bids: [const { AtomicU64::new(0) }; Reason::COUNT],
            fell_out: [const { AtomicU64::new(0) }; Reason::COUNT],
            findings: [const { AtomicU64::new(0) }; Finding::COUNT],
            signals: [const { AtomicU64::new(0) }; Signal::COUNT],
            histograms: Mutex::default(),
        };
        Recorder {
            shared: Arc::new(shared),
            local: Histograms::default(),
        }
    }
}

impl Recorder {
    pub fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    pub fn count(&self, counter: Counter, n: u64) {
        add(&self.shared.counters[counter as usize], n);
    }

    pub fn count_no_bid(&self, reason: Reason) {
        self.count(Counter::NoBids, 1);
        add(&self.shared.no_bids[reason as usize], 1);
    }

    pub fn count_fell_out(&self, reason: Reason, n: u64) {
        add(&self.shared.fell_out[reason as usize], n);
    }

    pub fn count_finding(&self, finding: Finding) {
        add(&self.shared.findings[finding as usize], 1);
    }

    pub fn count_signal(&self, signal: Signal) {
        add(&self.shared.signals[signal as usize], 1);
    }

    pub fn time(&mut self, stage: Stage, nanos: u64) {
        self.local.stages[stage as usize].saturating_record(nanos);
    }

    pub fn measure(&mut self, size: Size, count: u64) {
        self.local.sizes[size as usize].saturating_record(count);
    }

    /// Hands the local times over. Skipped while a reader holds them: the next call brings them.
    pub fn publish(&mut self) {
        if let Ok(mut shared) = self.shared.histograms.try_lock() {
            shared.take(&mut self.local);
        }
    }
}

/// Relaxed: a count guards nothing. Load and store, because there is one writer.
fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_counts_and_publishes_is_what_a_reader_sees() {
        let mut recorder = Recorder::default();
        let shared = recorder.shared();
        recorder.count(Counter::Bids, 2);
        recorder.count_no_bid(Reason::Seat);
        recorder.time(Stage::Parse, 5_000);
        recorder.publish();
        recorder.time(Stage::Parse, 7_000);
        recorder.publish();

        let mut seen = stage_histogram();
        shared.merge_stage(Stage::Parse, &mut seen);
        assert_eq!(
            (shared.counter(Counter::Bids), shared.counter(Counter::NoBids)),
            (2, 1)
        );
        assert_eq!(shared.no_bids(Reason::Seat), 1);
        assert_eq!((seen.len(), seen.max() / 1000), (2, 7));
    }

    #[test]
    fn counters_stand_at_their_own_index() {
        for (index, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter as usize, index);
        }
    }
}
