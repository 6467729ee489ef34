//! The latest moments at which something was shown, in whole seconds since 1970 (good until 2106).
//! In ascending order, the oldest dropped first.

use crate::units::Timestamp;

/// Five moments in place: most caps are at most 5; more go to the heap.
const FEW: usize = 5;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Times {
    Few { at: [u32; FEW], len: u8 },
    Many(Vec<u32>),
}

impl Times {
    pub const NONE: Times = Times::Few { at: [0; FEW], len: 0 };

    pub fn as_slice(&self) -> &[u32] {
        match self {
            Times::Few { at, len } => &at[..usize::from(*len)],
            Times::Many(at) => at,
        }
    }

    /// The `n`-th latest moment, 1 = the latest.
    pub fn latest(&self, n: usize) -> Option<u32> {
        let all = self.as_slice();
        all.len().checked_sub(n).and_then(|index| all.get(index)).copied()
    }

    /// Adds a moment (not always the latest: notices overtake each other) and keeps the `keep` latest.
    pub fn add(&mut self, moment: u32, keep: usize) {
        let place = self.as_slice().partition_point(|&at| at <= moment);
        let surplus = (self.as_slice().len() + 1).saturating_sub(keep.max(1));
        if surplus > 0 && place < surplus {
            return self.remove_first(surplus - 1);
        }
        self.remove_first(surplus);
        self.insert(place - surplus, moment);
    }

    pub fn remove_before(&mut self, moment: u32) {
        self.remove_first(self.as_slice().partition_point(|&at| at < moment));
    }

    /// One of those at `moment`, where there is one.
    pub fn remove(&mut self, moment: u32) {
        let Ok(place) = self.as_slice().binary_search(&moment) else {
            return;
        };
        match self {
            Times::Few { at, len } => {
                at.copy_within(place + 1..usize::from(*len), place);
                *len -= 1;
            }
            Times::Many(at) => drop(at.remove(place)),
        }
    }

    fn remove_first(&mut self, count: usize) {
        match self {
            Times::Few { at, len } => {
                at.copy_within(count..usize::from(*len), 0);
                *len -= count as u8;
            }
            Times::Many(at) => drop(at.drain(..count)),
        }
    }

    fn insert(&mut self, place: usize, moment: u32) {
        match self {
            Times::Few { at, len } if usize::from(*len) < FEW => {
                at.copy_within(place..usize::from(*len), place + 1);
                at[place] = moment;
                *len += 1;
            }
            Times::Few { at, .. } => {
                let mut more = Vec::with_capacity(2 * FEW);
                more.extend_from_slice(at);
                more.insert(place, moment);
                *self = Times::Many(more);
            }
            Times::Many(at) => at.insert(place, moment),
        }
    }
}

pub fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.0.div_euclid(1000)).unwrap_or(if at.0 < 0 { 0 } else { u32::MAX })
}
