//! What the server is told at start. Changing it needs a restart; everything else reloads.

use crate::pacing::lease::SharedSettings;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub listen: SocketAddr,
    pub admin: SocketAddr,
    /// Needed where `admin` is not loopback; read from a file or an environment variable, never from the configuration itself.
    pub admin_token: Option<String>,
    /// Base of every notice, click and tracker URL, without a trailing slash.
    pub public_url: String,
    /// Threads that answer bids; 0 = one per core.
    pub workers: usize,
    /// 16-bit name of this node in bid ids.
    pub node: u16,
    pub data: PathBuf,
    /// The server that several nodes share their budgets on; `None` = this node has its budgets to itself.
    pub shared: Option<SharedSettings>,
    pub apart: Apart,
    pub limits: Limits,
    pub drain_notice: Duration,
    pub drain_max: Duration,
    /// `text` or `json`.
    pub log_json: bool,
}

/// When nodes that share a server have not heard of each other for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Apart {
    pub after: Duration,
    /// Line items with caps do not bid for people with an id then; otherwise they go on by what this node counts.
    pub stops: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The most that one decision may take, whatever `tmax` says.
    pub decision_budget: Duration,
    pub body_bytes: usize,
    pub decompressed_bytes: usize,
    pub connections_per_worker: usize,
    pub requests_in_flight_per_worker: usize,
    /// From the first byte of the head to the last of the body.
    pub read_timeout: Duration,
    pub idle_timeout: Duration,
    /// Line items scored by the model per request (K).
    pub candidates: usize,
    /// Bid records waiting for the log thread, per worker; a full queue drops and counts.
    pub bid_queue: usize,
    /// Notices waiting for the bookkeeper; a full queue answers 503.
    pub notice_queue: usize,
    /// Open bids with money held: bids a second times seconds until a win is known. Room for them is taken as they come.
    pub open_bids: usize,
    /// Users of whom frequency is counted; see [`crate::caps`] for what one takes.
    pub capped_users: usize,
    /// Share of no-bids that are logged, 0..=1.
    pub no_bid_sample: f64,
}
