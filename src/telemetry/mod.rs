//! What is counted and timed: names as enums, counters with one writer each, histograms merged when somebody looks.
//!
//! Invariant: counting never blocks a bid. A worker writes only its own [`Recorder`].

mod finding;
mod reason;
mod recorder;
mod signal;
mod stage;

pub use finding::Finding;
pub use reason::Reason;
pub use recorder::{Counter, Recorder, Shared, size_histogram, stage_histogram};
pub use signal::Signal;
pub use stage::{Size, Stage};
