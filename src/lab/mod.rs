//! Bidding on a fake clock: replay of recorded auctions, and days simulated with everything that goes wrong.
//!
//! Invariant: nothing here opens a socket, reads a wall clock or draws a random number without a seed, so the same
//! arguments give the same answer.

pub mod replay;
pub mod simulate;
