//! What goes wrong when, drawn before the day begins.

use super::authority::Way;
use super::scenario::{Fault, Scenario};
use crate::units::Timestamp;
use world::{Random, Stream};

const CRASHES_A_DAY: u64 = 5;
const SERVER_FAULTS_A_DAY: u64 = 5;
/// Within the next so many writes.
const FUSE_MAX: u64 = 12;
const MINUTE_MS: f64 = 60_000.0;

/// Nodes count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mishap {
    Crash {
        node: u16,
    },
    /// As soon as it has made a bid, which nobody gets.
    CrashAtBid {
        node: u16,
    },
    CrashInWrite {
        node: u16,
        operations: u32,
        books: bool,
    },
    /// In order.
    Restart {
        node: u16,
    },
    /// Between one node, or all, and the server.
    Way {
        node: Option<u16>,
        way: Way,
    },
    /// All budgets become so many thousandths of what they were; those of hours and of line items may be lifted.
    Reload {
        parts: u32,
        lifted: bool,
    },
}

/// In no order.
pub fn plan(scenario: &Scenario, seed: u64, from: Timestamp, until: Timestamp) -> Vec<(Timestamp, Mishap)> {
    let mut plan = Vec::new();
    let random = &mut Random::new(seed, Stream::Mishap, 1 << 48);
    let length_ms = until.since(from) as f64;
    let at = |random: &mut Random| Timestamp(from.0 + (random.unit() * length_ms) as i64);
    let days = u64::from(scenario.days);
    if scenario.faults.has(Fault::Crash) {
        for node in 0..scenario.nodes {
            for _ in 0..CRASHES_A_DAY * days {
                plan.push((at(random), crash(node, random)));
            }
            plan.push((at(random), Mishap::Restart { node }));
        }
    }
    if scenario.faults.has(Fault::Authority) && scenario.nodes > 1 {
        for _ in 0..SERVER_FAULTS_A_DAY * days {
            let begin = at(random);
            let way = if random.chance(0.5) { Way::Cut } else { Way::Slow };
            let node = random
                .chance(0.6)
                .then(|| random.below(scenario.nodes.into()) as u16);
            let end = Timestamp(begin.0 + (5.0 * MINUTE_MS * random.exponential()) as i64);
            plan.push((begin, Mishap::Way { node, way }));
            plan.push((end.min(until), Mishap::Way { node, way: Way::Open }));
        }
    }
    if scenario.faults.has(Fault::Reload) {
        // Lowered once or twice, and back in good time to spend what is left.
        let (first, second) = (0.1 + 0.3 * random.unit(), 0.42 + 0.1 * random.unit());
        let moments = [first, second, second + 0.08];
        let lowered = |random: &mut Random| 100 + random.below(800) as u32;
        let parts = [
            lowered(random),
            if random.chance(0.5) {
                1_200
            } else {
                lowered(random)
            },
            1_000,
        ];
        // The last one sets every limit.
        let lifted = [random.chance(0.5), random.chance(0.5), false];
        for ((moment, parts), lifted) in moments.into_iter().zip(parts).zip(lifted) {
            plan.push((
                Timestamp(from.0 + (moment * length_ms) as i64),
                Mishap::Reload { parts, lifted },
            ));
        }
    }
    plan
}

fn crash(node: u16, random: &mut Random) -> Mishap {
    match random.below(5) {
        0 => Mishap::Crash { node },
        1 => Mishap::CrashAtBid { node },
        which => Mishap::CrashInWrite {
            node,
            operations: random.below(FUSE_MAX) as u32,
            books: which < 4,
        },
    }
}

/// How long a node that crashed is gone: seconds, and one in ten times many minutes.
pub fn down_ms(random: &mut Random) -> i64 {
    let minutes = if random.chance(0.1) {
        10.0 + 20.0 * random.unit()
    } else {
        0.2 * random.normal().exp()
    };
    (minutes * MINUTE_MS) as i64
}

/// How long a restart in order takes.
pub fn restart_ms(random: &mut Random) -> i64 {
    (2_000.0 + 3_000.0 * random.unit()) as i64
}
