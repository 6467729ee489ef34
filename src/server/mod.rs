//! The edge: sockets, the wall clock, HTTP. Bids, notices, the admin address, reload and drain.
//!
//! One worker a core, each with its own runtime, listener and scratch: no request changes threads.
//! The files follow a request: `worker` (socket) → `bid` (admission, body, decision) → `respond` → `record`;
//! beside it `notice`, the pages for people (`why`, `opt_out`), `admin`, `metrics`, and the threads `control` and `reload`.

mod admin;
mod allocation;
mod approvals;
mod bid;
mod body;
mod books;
mod budgets;
mod clock;
mod control;
mod explain;
mod leases;
mod markets;
mod metrics;
mod notice;
mod opt_out;
mod page;
mod parameters;
mod phase;
mod record;
mod relay;
mod reload;
mod respond;
mod serve;
mod settings;
mod sharing;
mod why;
mod worker;

pub use books::BooksDesk;
pub use clock::now;
pub use phase::{Phase, PhaseWatch};
pub use reload::{Build, Outcome as ReloadOutcome, Reloader, Trigger};
pub use respond::{Answer, write_answer};
pub use serve::{Parts, ServeError, serve};
pub use settings::{Apart, Limits, Settings};
