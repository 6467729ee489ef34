//! Whole days of bidding in seconds: the world's people, traffic and rivals on one side, the real budgets, leases, caps and
//! books on the other, a fake clock in between, and trouble.
//!
//! ```text
//! timeline ─► visit ─► node (best item: value ─► pace ─► shading ─► reserve ─► hold) ─► exchange (rivals, price)
//!                       ▲ caps, budgets, markets, leases, books on disks in memory │
//!                       └──── notices: delayed, lost, doubled, out of order ◄────┴─► oracle: what is really billed
//! mishaps ─► crashes in the middle of a write, restarts, reloads; a server that is away, slow or cut off
//! ```
//!
//! A slot of a plan that the market cannot fill (few requests at night, a budget that was lowered meanwhile) counts in the slot
//! error as if it could: read it on days without faults, and where the budget buys a small share of the auctions.
//!
//! What is real: the prices of `engine` and what `shading` knows of markets, `pacing` (budgets, holds, learnt hold times, leases,
//! the local authority), `caps`, `events` (token, books, silence, journal, checkpoints), `journal`. What is not: requests are no
//! OpenRTB, tokens are not sealed, predictions are the world's law, and the server that several nodes share is a twin of the
//! scripts on Redis.
//!
//! Invariant: a scenario and a seed give the same outcome to the bit. There is no clock in here, nothing depends on the
//! order of a hash map, and the one thread beside the play draws what depends on nothing in it.

mod arrival;
mod authority;
mod chart;
mod disk;
mod exchange;
mod market;
mod mishaps;
mod node;
mod oracle;
mod outcome;
mod play;
mod scenario;
mod shaded;
mod timeline;

pub use chart::page as chart;
pub use outcome::{AccountOutcome, ItemOutcome, Mishaps, Notices, Outcome, SLOT_MS, Slot};
pub use play::simulate;
pub use scenario::{
    AUCTIONS_MAX, DAYS_MAX, Fault, Faults, HOLD_MAX_S, MinToWin, NODES_MAX, NoFault, NoShading, Scenario,
    Shading,
};
pub use shaded::{Earned, FixedFactor, Shaded};
