//! The load test against small real servers on loopback. Invariant: nothing here sleeps or looks at the time of day.

mod auction;
mod sending;
mod server;
