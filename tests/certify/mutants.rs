//! The mutants of our own bidder: each is the real process with one rule off, and names the cases that must find it.
//!
//! Invariant: a mutant's cases pass on the bidder without it, so that what fails them is the mutant.

#[path = "mutants/answered.rs"]
mod answered;
#[path = "mutants/asked.rs"]
mod asked;
#[path = "mutants/carried.rs"]
mod carried;
#[path = "mutants/told.rs"]
mod told;

use super::proxy::Twist;

pub struct Mutant {
    /// What the bidder does not do any more.
    pub off: &'static str,
    pub twist: Twist,
    /// The cases that fail, each of them.
    pub cases: &'static [&'static str],
}

pub fn all() -> Vec<Mutant> {
    [
        asked::mutants(),
        answered::mutants(),
        carried::mutants(),
        told::mutants(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn mutant(off: &'static str, twist: Twist, cases: &'static [&'static str]) -> Mutant {
    Mutant { off, twist, cases }
}
