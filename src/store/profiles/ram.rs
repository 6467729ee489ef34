//! Profiles in memory: the safe twin of the mapped file, for tests and small sets. Invariant: the same contract.

use super::description::Summary;
use super::error::Error;
use super::layout::{Names, Row};
use super::profile::{Profile, Tag};
use super::record::{Dictionary, Record, check_keys};
use crate::units::UserKey;
use std::collections::{HashMap, HashSet};

#[derive(Debug, Default)]
pub struct RamProfiles {
    index: HashMap<u64, usize>,
    rows: Vec<Row>,
    tags: Vec<Tag>,
    names: Names,
}

impl RamProfiles {
    /// The last record of a key wins, as in a file.
    pub fn from_records(records: impl IntoIterator<Item = Record>) -> Result<RamProfiles, Error> {
        let mut profiles = RamProfiles::default();
        let mut dictionary = Dictionary::default();
        let mut packed = Vec::new();
        for (number, record) in records.into_iter().enumerate() {
            let wrong = |what| Error::Record {
                number: number as u64 + 1,
                what,
            };
            let key = check_keys(&record).map_err(wrong)?;
            dictionary.pack(&record, &mut packed).map_err(wrong)?;
            profiles
                .index
                .extend(record.keys.iter().map(|key| (key.0, profiles.rows.len())));
            profiles.rows.push(Row::of(
                &record,
                key,
                profiles.tags.len() as u64,
                packed.len() as u32,
            ));
            profiles.tags.append(&mut packed);
        }
        profiles.names = dictionary.into_names();
        Ok(profiles)
    }

    pub fn get(&self, key: UserKey) -> Option<Profile<'_>> {
        self.rows[*self.index.get(&key.0)?].profile(&self.tags)
    }

    pub fn keys_beside(&self, key: UserKey) -> Vec<UserKey> {
        let Some(row) = self.index.get(&key.0) else {
            return Vec::new();
        };
        let entries = self.index.iter().filter(|(_, of)| *of == row);
        entries.map(|(key, _)| UserKey(*key)).collect()
    }

    pub fn summary(&self) -> Summary {
        let live: HashSet<usize> = self.index.values().copied().collect();
        Summary {
            users: live.len() as u64,
            keys: self.index.len() as u64,
            tags: live.iter().map(|row| u64::from(self.rows[*row].tags)).sum(),
            names: self.names.len() as u64,
            bytes: 0,
            source: 0,
        }
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }
}
