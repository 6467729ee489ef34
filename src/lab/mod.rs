//! Replay of recorded auctions on a fake clock: what a bidding strategy would have bought, and for how much.
//!
//! Invariant: nothing here opens a socket, reads a wall clock or draws a random number without a seed, so the same
//! arguments give the same answer.

pub mod replay;
