//! The wall clock; read here and nowhere below.

use crate::units::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// A clock before 1970 reads as 1970.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_millis() as i64)
}
