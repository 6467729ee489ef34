//! What we know of users: a file that is written once, mapped read-only, and answered from without a copy.
//!
//! Invariant: a store that was opened is complete and unchanged since it was built (sizes and checksums are verified
//! first), so a lookup cannot fail; it can only miss. All numbers are little-endian.
//!
//! ```text
//!        0 ┌───────────────────────────────────────────────────────────────────────────┐
//!          │ magic "OUTBPROF" │ version u32 │ byte order u32 │ schema u64 │ source u64  │ header
//!          │ users u64 │ keys u64 │ tags u64 │ names u64                               │ 168 bytes,
//!          │ 4 × (offset u64 │ bytes u64 │ XXH3-64 u64)   index, rows, tags, names      │ zeros up to
//!          │ XXH3-64 of all of the above                                               │ 4,096
//!     4096 ├───────────────────────────────────────────────────────────────────────────┤
//!          │ index: buckets of one cache line                                          │
//!          │   key u64 × 5 │ row u32 × 5 │ used u8 │ spilled u8 │ zeros                 │
//!          ├──────────────── each section starts at a multiple of 4,096 ───────────────┤
//!          │ rows: 64 bytes a user                                                     │
//!          │   first tag u64 │ key u64 │ ltv i64 │ monetary i64 │ last active day i32   │
//!          │   tags u32 │ frequency u16 │ birth year u16 │ offset i16 │ country 3       │
//!          │   language 2 │ gender u8 │ zeros 12                                        │
//!          ├───────────────────────────────────────────────────────────────────────────┤
//!          │ tags: 8 bytes each, a user's together and sorted by id                    │
//!          │   id u32 │ dimension u8 │ weight u8 │ day u16                              │
//!          ├───────────────────────────────────────────────────────────────────────────┤
//!          │ names: id u32 │ dimension u8 │ length u8 │ name, sorted by id              │
//!          └───────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The index is an open-addressed table whose slots are whole cache lines: five keys stand beside their rows, so a hit
//! costs one line for the bucket and one for the row, and a miss one line. A key's bucket is its upper bits scaled to the
//! number of buckets (keys are SipHash values, evenly spread); at 2.75 keys a bucket (load 55 %) one bucket in sixteen
//! is over-full, says so in `spilled`, and its keys go on in the next. Because the scaling keeps the order of the keys,
//! sorted keys give the index in file order, and it is written as a stream. Several keys may lead to one row: the ids of
//! one person.
//!
//! A file is never changed or truncated in place: the next one is built beside it and renamed over it, while readers
//! keep the old one mapped until they let go.

mod build;
mod columns;
mod dedupe;
mod description;
mod error;
mod file;
mod input;
mod layout;
mod line;
mod mapped;
mod profile;
mod ram;
mod record;
mod report;
mod scratch;
mod sort;

pub use build::{BuildOptions, Builder, build};
pub use description::{Description, Summary, TagDescription};
pub use error::Error;
pub use input::{BadLine, InputReport, Progress, read_input};
pub use mapped::MappedProfiles;
pub use profile::{Dimension, Gender, Profile, Tag, TagId};
pub use ram::RamProfiles;
pub use record::{KEYS_MAX, NAME_BYTES_MAX, NAMES_MAX, Record, RecordTag, TAGS_MAX};
pub use report::BuildReport;

use crate::units::UserKey;
use std::path::Path;

/// Profiles of either backing, with one contract.
#[derive(Debug)]
pub enum Profiles {
    Mapped(MappedProfiles),
    Ram(RamProfiles),
}

impl Profiles {
    /// Maps, verifies and warms a file. Reads all of it: a second per gigabyte or so.
    pub fn open(path: &Path) -> Result<Profiles, Error> {
        MappedProfiles::open(path).map(Profiles::Mapped)
    }

    /// No profiles at all.
    pub fn empty() -> Profiles {
        Profiles::Ram(RamProfiles::default())
    }

    pub fn get(&self, key: UserKey) -> Option<Profile<'_>> {
        match self {
            Profiles::Mapped(mapped) => mapped.get(key),
            Profiles::Ram(ram) => ram.get(key),
        }
    }

    /// All keys that lead to the profile of `key`, itself among them; none where there is no profile. Goes through the whole
    /// index, 64 bytes for 2.75 keys.
    pub fn keys_beside(&self, key: UserKey) -> Vec<UserKey> {
        match self {
            Profiles::Mapped(mapped) => mapped.keys_beside(key),
            Profiles::Ram(ram) => ram.keys_beside(key),
        }
    }

    /// What the builder's caller said that the file was made from; 0 in memory.
    pub fn source(&self) -> u64 {
        self.summary().source
    }

    pub fn summary(&self) -> Summary {
        match self {
            Profiles::Mapped(mapped) => mapped.summary(),
            Profiles::Ram(ram) => ram.summary(),
        }
    }

    /// The name of a tag, where the dictionary has it.
    pub fn tag_name(&self, id: TagId) -> Option<&str> {
        match self {
            Profiles::Mapped(mapped) => mapped.names().name(id),
            Profiles::Ram(ram) => ram.names().name(id),
        }
    }

    /// One profile for people to read, or as JSON through serde.
    pub fn describe(&self, key: UserKey) -> Option<Description> {
        self.get(key)
            .map(|profile| Description::of(&profile, |id| self.tag_name(id)))
    }
}
