//! What is known of one user, as a view into a store. Invariant: tags are sorted by id, one tag per id.

use crate::units::{Nanos, Timestamp, UserKey};
use xxhash_rust::xxh3::xxh3_64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The name of a tag on the path; the names themselves stand in the store's dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagId(pub u32);

impl TagId {
    /// XXH3-64 of the ASCII-lowercased tag, both halves folded by exclusive or.
    pub fn of(tag: &str) -> TagId {
        let hash = if tag.bytes().any(|byte| byte.is_ascii_uppercase()) {
            xxh3_64(tag.to_ascii_lowercase().as_bytes())
        } else {
            xxh3_64(tag.as_bytes())
        };
        TagId((hash >> 32) as u32 ^ hash as u32)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Gender {
    #[default]
    Unknown,
    Male,
    Female,
    Other,
}

impl Gender {
    /// `m`, `f`, `o` as in OpenRTB `user.gender`; the words in any case as well. Empty = unknown.
    pub fn parse(text: &str) -> Option<Gender> {
        match text.to_ascii_lowercase().as_str() {
            "" | "u" | "unknown" => Some(Gender::Unknown),
            "m" | "male" => Some(Gender::Male),
            "f" | "female" => Some(Gender::Female),
            "o" | "other" => Some(Gender::Other),
            _ => None,
        }
    }

    /// The letter of OpenRTB `user.gender`; `None` when unknown.
    pub fn letter(self) -> Option<&'static str> {
        match self {
            Gender::Unknown => None,
            Gender::Male => Some("m"),
            Gender::Female => Some("f"),
            Gender::Other => Some("o"),
        }
    }

    pub(super) fn code(self) -> u8 {
        match self {
            Gender::Unknown => 0,
            Gender::Male => 1,
            Gender::Female => 2,
            Gender::Other => 3,
        }
    }

    pub(super) fn from_code(code: u8) -> Gender {
        match code {
            1 => Gender::Male,
            2 => Gender::Female,
            3 => Gender::Other,
            _ => Gender::Unknown,
        }
    }
}

/// What kind of fact a tag is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dimension {
    Attribute,
    Behaviour,
    Spending,
    Social,
    Lifecycle,
}

impl Dimension {
    pub const ALL: [Dimension; 5] = [
        Dimension::Attribute,
        Dimension::Behaviour,
        Dimension::Spending,
        Dimension::Social,
        Dimension::Lifecycle,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Dimension::Attribute => "attribute",
            Dimension::Behaviour => "behaviour",
            Dimension::Spending => "spending",
            Dimension::Social => "social",
            Dimension::Lifecycle => "lifecycle",
        }
    }

    pub fn parse(text: &str) -> Option<Dimension> {
        Dimension::ALL
            .into_iter()
            .find(|dimension| dimension.as_str() == text)
    }

    /// The number in [`Tag::dimension`].
    pub fn code(self) -> u8 {
        self as u8
    }

    pub fn from_code(code: u8) -> Option<Dimension> {
        Dimension::ALL.get(usize::from(code)).copied()
    }
}

/// One tag of one user: 8 bytes, the same in memory and in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Tag {
    /// [`TagId`].
    pub id: u32,
    /// [`Dimension::code`].
    pub dimension: u8,
    /// 0..=255 stands for 0..=1.
    pub weight: u8,
    /// Days from 2020-01-01 to the last time that this was seen; 0 = not known.
    pub day: u16,
}

impl Tag {
    /// 2020-01-01 in days since 1970-01-01.
    pub const EPOCH_DAY: i32 = 18_262;

    /// Days since 1970-01-01 as [`Tag::day`], kept within its range (until 2199).
    pub fn day_of(days_since_1970: i32) -> u16 {
        (days_since_1970 - Self::EPOCH_DAY).clamp(0, i32::from(u16::MAX)) as u16
    }

    /// 0..=1.
    pub fn weight(&self) -> f32 {
        f32::from(self.weight) / 255.0
    }
}

/// What is known of one user.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile<'a> {
    /// The first of the person's keys, the same whichever id led here.
    pub key: UserKey,
    pub gender: Gender,
    pub birth_year: Option<u16>,
    /// ISO-3166-1 alpha-3, upper case.
    pub country: Option<[u8; 3]>,
    /// ISO-639-1, lower case.
    pub language: Option<[u8; 2]>,
    pub utc_offset_min: Option<i16>,
    /// Expected value of the customer over their lifetime.
    pub ltv: Nanos,
    /// Spent so far.
    pub monetary: Nanos,
    /// Purchases so far.
    pub frequency: u16,
    /// Days since 1970-01-01.
    pub last_active_day: Option<i32>,
    /// Sorted by id.
    pub tags: &'a [Tag],
}

impl<'a> Profile<'a> {
    pub fn tag(&self, id: TagId) -> Option<&'a Tag> {
        let at = self.tags.binary_search_by_key(&id.0, |tag| tag.id).ok()?;
        Some(&self.tags[at])
    }

    /// Years since the year of birth, as the birthday is not known: at most one above the true age. The lower of the
    /// two possible ages is returned, so that nobody is taken for an adult too early.
    pub fn age(&self, now: Timestamp) -> Option<u8> {
        let born = i32::from(self.birth_year?);
        u8::try_from(year_of(now) - born - 1)
            .ok()
            .or((year_of(now) == born).then_some(0))
    }
}

/// The Gregorian year in UTC, from days in the 400-year cycles that start on 1 March (the leap day is last).
fn year_of(now: Timestamp) -> i32 {
    let day = now.day() + 719_468;
    let (era, day_of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Day 306 of such a year is 1 January.
    era * 400 + year_of_era + i32::from(day_of_year >= 306)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_ids_ignore_ascii_case() {
        assert_eq!(TagId::of("Visited:Car-Forum"), TagId::of("visited:car-forum"));
        assert_ne!(TagId::of("visited:car-forum"), TagId::of("visited:car-shop"));
    }

    #[test]
    fn age_is_the_lower_of_the_two_possible_ages() {
        let profile = |birth_year| Profile {
            key: UserKey(1),
            gender: Gender::Unknown,
            birth_year,
            country: None,
            language: None,
            utc_offset_min: None,
            ltv: Nanos::ZERO,
            monetary: Nanos::ZERO,
            frequency: 0,
            last_active_day: None,
            tags: &[],
        };
        let now = Timestamp(1_772_407_800_000); // 2026-03-01
        for (born, age) in [
            (None, None),
            (Some(2008), Some(17)),
            (Some(2026), Some(0)),
            (Some(2030), None),
            (Some(1700), None),
        ] {
            assert_eq!(profile(born).age(now), age, "{born:?}");
        }
    }

    #[test]
    fn years_turn_at_new_year() {
        for (ms, year) in [
            (0, 1970),
            (-1, 1969),
            (951_782_400_000, 2000),   // 29 February
            (1_767_225_599_999, 2025), // the last millisecond of the year
            (1_767_225_600_000, 2026),
        ] {
            assert_eq!(year_of(Timestamp(ms)), year, "{ms}");
        }
    }

    #[test]
    fn tag_days_start_in_2020_and_stay_in_range() {
        assert_eq!(Tag::day_of(Tag::EPOCH_DAY), 0);
        assert_eq!(Tag::day_of(0), 0);
        assert_eq!(Tag::day_of(20_000), 1_738);
        assert_eq!(Tag::day_of(1_000_000), u16::MAX);
    }
}
