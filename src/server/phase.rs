//! Where the process stands between its first and its last request.

use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Warm and listening; bids once the books are open.
    Serving,
    /// Told to stop: not ready, still accepting, every answer closes its connection.
    Draining,
    /// Listeners are closed; what is in flight is finished.
    Closing,
}

/// Seen by every worker and page.
pub type PhaseWatch = watch::Receiver<Phase>;
