//! A minimal HTTP/1.1 client for load: keep-alive, one request at a time on a connection, no thread and no hand-off.
//!
//! Invariant: nothing here waits; whatever is not ready is asked again when the poller says so.

mod answer;
mod connection;
mod poller;

pub use answer::{Answer, AnswerParser, Parsed};
pub use connection::{Connection, Loss, LossKind, Received, Step};
pub use poller::{Poller, Ready};
