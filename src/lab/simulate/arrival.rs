//! The visits of a day and what follows from the world alone, drawn ahead on a thread of its own.
//!
//! Invariant: what is drawn depends on nothing that a bidder does, and comes in one order, so the outcome is that of one thread.

use super::market::{Chance, ITEM_COUNT, Market};
use super::timeline::Timeline;
use crate::units::Timestamp;
use std::sync::mpsc::sync_channel;
use world::{Random, Rivals, Visit};

/// Handed over together: thread and channel are then hardly seen.
const CHUNK: u64 = 256;
/// The play hardly ever waits, and memory is bounded.
const CHUNKS_AHEAD: usize = 4;

pub struct Arrival {
    pub number: u64,
    pub at: Timestamp,
    pub visit: Visit,
    /// By item: see [`Market::chance`].
    pub chances: [Option<Chance>; ITEM_COUNT],
    pub rivals: Rivals,
}

/// Calls `play` with each of the `count` auctions of a day in the order of their times; the first has the number `first`.
pub fn each(
    market: &Market,
    day: &Timeline,
    (first, count): (u64, u64),
    mut dice: Random,
    play: impl FnMut(Arrival),
) {
    let mut draw = |n: u64| {
        let at = day.at((n as f64 + dice.unit()) / count as f64);
        let (number, world) = (first + n, &market.world);
        let visit = world.visit(number, at.0, &market.people);
        let chances = std::array::from_fn(|item| market.chance(&market.items[item], &visit));
        let rivals = world.rivals_on(number, 0, &market.people[visit.person], &visit.imp);
        Arrival {
            number,
            at,
            visit,
            chances,
            rivals,
        }
    };
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<Vec<Arrival>>(CHUNKS_AHEAD);
        scope.spawn(move || {
            for start in (0..count).step_by(CHUNK as usize) {
                let chunk = (start..count.min(start + CHUNK)).map(&mut draw).collect();
                // Nobody listens any more where the other side has panicked.
                if sender.send(chunk).is_err() {
                    return;
                }
            }
        });
        receiver.into_iter().flatten().for_each(play);
    });
}
