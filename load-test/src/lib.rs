//! An exchange with rivals and users, and an open-loop load generator. It meets a bidder over HTTP only, so it can be
//! pointed at any bidder.
//!
//! Invariant: sending goes by the clock. Nothing that the bidder does, and nothing that is done with its answers, changes
//! when the next request is due, and latency counts from that time.
//!
//! A run reads from top to bottom: [`options`] say what is wanted, [`run`](mod@run) prepares [`traffic`] and [`arrivals`],
//! [`drive`](mod@drive) sends over [`client`] connections and counts in a [`tally`], [`auction`] plays the exchange beside
//! it, and [`report`] shows what came of it.

pub mod arrivals;
pub mod auction;
pub mod client;
pub mod drive;
pub mod options;
pub mod report;
pub mod run;
pub mod saturate;
pub mod tally;
pub mod target;
pub mod traffic;
pub mod world_files;
