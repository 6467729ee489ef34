//! One user on the way into a store. Invariant: raw ids are gone already, only their keys are here.

use super::profile::{Dimension, Gender, Tag, TagId};
use crate::units::{Nanos, UserKey};
use std::borrow::Cow;
use std::collections::HashMap;

/// Tags of one user. Above it, targeting reads more than 40 kB a request, and the input is surely wrong.
pub const TAGS_MAX: usize = 5_000;
/// Ids of one person.
pub const KEYS_MAX: usize = 64;
/// Bytes of a tag's name, so that its length fits a byte.
pub const NAME_BYTES_MAX: usize = 200;
/// Different tags in one store: they are kept in memory when it is built and when it is open.
pub const NAMES_MAX: usize = 1_000_000;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// The person's keys; the first is the one that the profile carries.
    pub keys: Vec<UserKey>,
    pub gender: Gender,
    pub birth_year: Option<u16>,
    /// ISO-3166-1 alpha-3, upper case.
    pub country: Option<[u8; 3]>,
    /// ISO-639-1, lower case.
    pub language: Option<[u8; 2]>,
    pub utc_offset_min: Option<i16>,
    pub ltv: Nanos,
    pub monetary: Nanos,
    pub frequency: u16,
    /// Days since 1970-01-01.
    pub last_active_day: Option<i32>,
    /// In any order; of two with one name, the later one counts.
    pub tags: Vec<RecordTag>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RecordTag {
    /// Compared without regard to ASCII case, kept in lower case.
    pub name: Cow<'static, str>,
    pub dimension: Dimension,
    /// 0..=255 stands for 0..=1.
    pub weight: u8,
    /// Days since 1970-01-01; `None` = not known.
    pub day: Option<i32>,
}

/// The dictionary as it grows. Invariant: one id never stands for two names.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    names: HashMap<u32, (Dimension, String)>,
}

impl Dictionary {
    pub fn into_names(self) -> super::layout::Names {
        let names = self
            .names
            .into_iter()
            .map(|(id, (dimension, name))| (id, dimension, name));
        super::layout::Names::new(names.collect())
    }

    /// Puts a record's tags, sorted by id and each once, into `out`. Errors say what would be right.
    pub fn pack(&mut self, record: &Record, out: &mut Vec<Tag>) -> Result<(), String> {
        let count = record.tags.len();
        if count > TAGS_MAX {
            return Err(format!("{count} tags; at most {TAGS_MAX}"));
        }
        out.clear();
        for tag in &record.tags {
            let id = self.id_of(tag)?;
            let day = tag.day.map_or(0, Tag::day_of);
            out.push(Tag {
                id,
                dimension: tag.dimension.code(),
                weight: tag.weight,
                day,
            });
        }
        // Stable, so that of equal ids the last of the input comes last; that one is kept.
        out.sort_by_key(|tag| tag.id);
        out.dedup_by(|later, kept| {
            let same = later.id == kept.id;
            if same {
                *kept = *later;
            }
            same
        });
        Ok(())
    }

    fn id_of(&mut self, tag: &RecordTag) -> Result<u32, String> {
        let name = tag.name.as_ref();
        let id = TagId::of(name).0;
        if let Some((_, known)) = self.names.get(&id) {
            if known.eq_ignore_ascii_case(name) {
                return Ok(id);
            }
            return Err(format!(
                "the tags `{known}` and `{name}` have the same 32-bit id; rename one of them"
            ));
        }
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(format!(
                "a tag name of {} bytes; 1 to {NAME_BYTES_MAX}",
                name.len()
            ));
        }
        if self.names.len() == NAMES_MAX {
            return Err(format!(
                "more than {NAMES_MAX} different tags; put values that vary by user elsewhere"
            ));
        }
        self.names.insert(id, (tag.dimension, name.to_ascii_lowercase()));
        Ok(id)
    }
}

/// What a store asks of the keys of a record.
pub(super) fn check_keys(record: &Record) -> Result<UserKey, String> {
    match record.keys.as_slice() {
        [] => Err("no id; at least one is needed".to_string()),
        keys if keys.len() > KEYS_MAX => Err(format!("{} ids; at most {KEYS_MAX}", keys.len())),
        keys => Ok(keys[0]),
    }
}
