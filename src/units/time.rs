//! Time as an argument: nothing below `server` reads a clock.

use std::ops::{Add, Sub};
use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    pub const MS_PER_HOUR: i64 = 3_600_000;
    pub const MS_PER_DAY: i64 = 86_400_000;

    pub fn from_secs(secs: i64) -> Timestamp {
        Timestamp(secs * 1000)
    }

    /// Days since 1970-01-01, in UTC.
    pub fn day(self) -> i32 {
        self.0.div_euclid(Self::MS_PER_DAY) as i32
    }

    /// Milliseconds from `earlier` to `self`; negative when `self` is the earlier one.
    pub fn since(self, earlier: Timestamp) -> i64 {
        self.0 - earlier.0
    }

    /// The hour of the week where the clock is `offset_minutes` ahead of UTC.
    pub fn hour_of_week(self, offset_minutes: i32) -> HourOfWeek {
        let local_hours = (self.0 + i64::from(offset_minutes) * 60_000).div_euclid(Self::MS_PER_HOUR);
        // 1970-01-01 was a Thursday, 72 hours after Monday 00:00.
        HourOfWeek((local_hours + 72).rem_euclid(168) as u8)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, d: Duration) -> Timestamp {
        Timestamp(self.0 + d.as_millis() as i64)
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;
    fn sub(self, d: Duration) -> Timestamp {
        Timestamp(self.0 - d.as_millis() as i64)
    }
}

/// An hour of the week, 0 = Monday 00:00-00:59, 167 = Sunday 23:00-23:59.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HourOfWeek(u8);

impl HourOfWeek {
    /// `weekday` 0 = Monday .. 6 = Sunday, `hour` 0..=23.
    pub fn new(weekday: u8, hour: u8) -> Option<HourOfWeek> {
        (weekday < 7 && hour < 24).then_some(HourOfWeek(weekday * 24 + hour))
    }

    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// 0 = Monday .. 6 = Sunday.
    pub fn weekday(self) -> u8 {
        self.0 / 24
    }

    pub fn hour(self) -> u8 {
        self.0 % 24
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hour_of_week_follows_the_offset() {
        // 2026-03-01T23:30:00Z is a Sunday.
        let t = Timestamp(1_772_407_800_000);
        assert_eq!(t.hour_of_week(0), HourOfWeek::new(6, 23).unwrap());
        assert_eq!(t.hour_of_week(60), HourOfWeek::new(0, 0).unwrap());
        assert_eq!(t.hour_of_week(-12 * 60), HourOfWeek::new(6, 11).unwrap());
        assert_eq!(Timestamp(0).hour_of_week(0), HourOfWeek::new(3, 0).unwrap());
        assert_eq!(Timestamp(-1).hour_of_week(0), HourOfWeek::new(2, 23).unwrap());
    }
}
