//! What a build says of itself. Invariant: every record that was taken is counted as a user or as replaced.

use super::input::InputReport;
use serde::Serialize;

/// What was built, and from what.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BuildReport {
    pub users: u64,
    pub keys: u64,
    pub tags: u64,
    pub names: u64,
    pub bytes: u64,
    /// Keys that a later record had as well; the later one won.
    pub duplicate_keys: u64,
    /// Records of which every key went to a later record; they are not in the store.
    pub replaced_users: u64,
    /// Records of people who opted out; they are not in the store.
    pub left_out: u64,
    pub inputs: Vec<InputReport>,
}
