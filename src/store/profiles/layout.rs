//! The bytes of the file as typed views. Invariant: every type here is free of padding and has the same bytes on disk and
//! in memory; the layout is drawn in the module above.

use super::error::Error;
use super::profile::{Dimension, Gender, Profile, Tag, TagId};
use super::record::{NAME_BYTES_MAX, Record};
use crate::units::{Nanos, UserKey};
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const _: () = assert!(
    cfg!(target_endian = "little"),
    "profile stores are mapped as they are: little-endian only"
);

pub(super) const MAGIC: [u8; 8] = *b"OUTBPROF";
pub(super) const VERSION: u32 = 1;
/// Reads differently on a machine of the other byte order.
pub(super) const BYTE_ORDER: u32 = 0x0102_0304;
/// Sections start at multiples of this: the size of a page.
pub(super) const PAGE: u64 = 4096;
/// Keys in one cache line.
pub(super) const SLOTS: usize = 5;

/// Names of the sections, in the order of the file.
pub(super) const SECTIONS: [&str; 4] = ["index", "rows", "tags", "names"];

/// A word on what the bytes mean. Changing it makes older files unreadable, on purpose.
const SCHEMA: &str = "siphash-1-3 keys; buckets 5 x (u64, u32) + used + spilled; rows 64; \
    tags xxh3-64 folded to u32 + dimension (attribute behaviour spending social lifecycle) + weight/255 + day since 2020; \
    money in nanos; country alpha-3; language alpha-2";

pub(super) fn schema() -> u64 {
    xxh3_64(SCHEMA.as_bytes())
}

#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Section {
    pub offset: u64,
    pub bytes: u64,
    pub checksum: u64,
}

impl Section {
    /// `None` where it does not lie within `file`.
    pub fn of<'a>(&self, file: &'a [u8]) -> Option<&'a [u8]> {
        let end = self.offset.checked_add(self.bytes)?;
        file.get(usize::try_from(self.offset).ok()?..usize::try_from(end).ok()?)
    }
}

#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Header {
    pub magic: [u8; 8],
    pub version: u32,
    pub byte_order: u32,
    pub schema: u64,
    pub source: u64,
    pub users: u64,
    pub keys: u64,
    pub tags: u64,
    pub names: u64,
    pub sections: [Section; 4],
    pub checksum: u64,
}

impl Header {
    pub fn seal(mut self) -> Header {
        self.checksum = self.sum();
        self
    }

    /// Reads and checks the header itself: kind, version, checksum, and that the sections fill a file of this length.
    pub fn parse(path: &Path, file: &[u8]) -> Result<Header, Error> {
        let not_a_store = || Error::NotAStore {
            path: path.to_path_buf(),
        };
        if !file.starts_with(&MAGIC) {
            return Err(not_a_store());
        }
        let (header, _) = Header::read_from_prefix(file).map_err(|_| Error::Length {
            path: path.to_path_buf(),
            found: file.len() as u64,
            expected: PAGE,
        })?;
        let unreadable = |part, found: String, expected: String| {
            Err(Error::Unreadable {
                path: path.to_path_buf(),
                part,
                found,
                expected,
            })
        };
        if header.byte_order != BYTE_ORDER {
            let found = format!("{:#010x}", header.byte_order);
            return unreadable("byte order", found, format!("{BYTE_ORDER:#010x}"));
        }
        if header.version != VERSION {
            return unreadable("version", header.version.to_string(), VERSION.to_string());
        }
        if header.checksum != header.sum() {
            return Err(Error::Damaged {
                path: path.to_path_buf(),
                section: "header",
            });
        }
        if header.schema != schema() {
            return unreadable(
                "schema",
                format!("{:016x}", header.schema),
                format!("{:016x}", schema()),
            );
        }
        header.check_sections(path, file.len() as u64)?;
        Ok(header)
    }

    fn sum(&self) -> u64 {
        let bytes = self.as_bytes();
        xxh3_64(&bytes[..bytes.len() - size_of::<u64>()])
    }

    /// Sections follow one another at page boundaries, hold whole entries, and the last ends the file.
    fn check_sections(&self, path: &Path, length: u64) -> Result<(), Error> {
        let mut offset = PAGE;
        let entries = [
            (size_of::<Bucket>(), None),
            (size_of::<Row>(), Some(self.users)),
            (size_of::<Tag>(), Some(self.tags)),
        ];
        for (i, section) in self.sections.iter().enumerate() {
            let layout = |what| {
                Err(Error::Layout {
                    path: path.to_path_buf(),
                    section: SECTIONS[i],
                    what,
                })
            };
            if section.offset != offset {
                return layout(format!("it starts at {}, not {offset}", section.offset));
            }
            if let Some((size, count)) = entries.get(i) {
                let size = *size as u64;
                let wanted = count
                    .and_then(|count| count.checked_mul(size))
                    .unwrap_or(section.bytes);
                if section.bytes != wanted || !section.bytes.is_multiple_of(size) {
                    return layout(format!("{} bytes are no whole number of entries", section.bytes));
                }
            }
            let end = section
                .offset
                .checked_add(section.bytes)
                .filter(|end| *end <= u64::MAX - PAGE);
            let Some(end) = end else {
                return layout(format!("{} bytes", section.bytes));
            };
            offset = end.next_multiple_of(PAGE);
            if i + 1 == self.sections.len() && end != length {
                return Err(Error::Length {
                    path: path.to_path_buf(),
                    found: length,
                    expected: end,
                });
            }
        }
        Ok(())
    }
}

/// One cache line of the index.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Bucket {
    pub keys: [u64; SLOTS],
    pub rows: [u32; SLOTS],
    pub used: u8,
    /// 1 when keys that belong here or before stand in the next bucket.
    pub spilled: u8,
    pub zeros: [u8; 2],
}

/// How many buckets keys are scaled to: 2.75 keys each, a load of 55 %.
pub(super) fn homes_of(keys: u64) -> u64 {
    (keys * 4).div_ceil(11).max(1)
}

/// The bucket where a key belongs; the order of keys is kept.
pub(super) fn home(key: u64, homes: u64) -> u64 {
    ((u128::from(key) * u128::from(homes)) >> 64) as u64
}

/// The row of a key. Ends at the end of the table at the latest.
pub(super) fn find(buckets: &[Bucket], homes: u64, key: u64) -> Option<u32> {
    let mut rest = buckets.get(home(key, homes) as usize..)?.iter();
    loop {
        let bucket = rest.next()?;
        let slot = (0..SLOTS).find(|slot| bucket.keys[*slot] == key && *slot < usize::from(bucket.used));
        if let Some(slot) = slot {
            return Some(bucket.rows[slot]);
        }
        if bucket.spilled == 0 {
            return None;
        }
    }
}

/// The fixed part of a user: one cache line.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Row {
    pub first_tag: u64,
    key: u64,
    ltv: i64,
    monetary: i64,
    last_active_day: i32,
    pub tags: u32,
    frequency: u16,
    birth_year: u16,
    utc_offset_min: i16,
    country: [u8; 3],
    language: [u8; 2],
    gender: u8,
    zeros: [u8; 12],
}

const NO_DAY: i32 = i32::MIN;
const NO_OFFSET: i16 = i16::MIN;

impl Row {
    /// `key` is the record's first; the tags stand at `first_tag`.
    pub fn of(record: &Record, key: UserKey, first_tag: u64, tags: u32) -> Row {
        Row {
            first_tag,
            key: key.0,
            ltv: record.ltv.0,
            monetary: record.monetary.0,
            last_active_day: record.last_active_day.unwrap_or(NO_DAY),
            tags,
            frequency: record.frequency,
            birth_year: record.birth_year.unwrap_or(0),
            utc_offset_min: record.utc_offset_min.unwrap_or(NO_OFFSET),
            country: record.country.unwrap_or_default(),
            language: record.language.unwrap_or_default(),
            gender: record.gender.code(),
            zeros: [0; 12],
        }
    }

    /// `None` when the tags are not there, which a verified file rules out.
    pub fn profile<'a>(&self, tags: &'a [Tag]) -> Option<Profile<'a>> {
        let first = usize::try_from(self.first_tag).ok()?;
        Some(Profile {
            key: UserKey(self.key),
            gender: Gender::from_code(self.gender),
            birth_year: (self.birth_year != 0).then_some(self.birth_year),
            country: (self.country != [0; 3]).then_some(self.country),
            language: (self.language != [0; 2]).then_some(self.language),
            utc_offset_min: (self.utc_offset_min != NO_OFFSET).then_some(self.utc_offset_min),
            ltv: Nanos(self.ltv),
            monetary: Nanos(self.monetary),
            frequency: self.frequency,
            last_active_day: (self.last_active_day != NO_DAY).then_some(self.last_active_day),
            tags: tags.get(first..first.checked_add(self.tags as usize)?)?,
        })
    }
}

/// The dictionary: ids, dimensions and names, sorted by id.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(Vec<(u32, Dimension, String)>);

impl Names {
    pub fn new(mut names: Vec<(u32, Dimension, String)>) -> Names {
        names.sort_by_key(|(id, _, _)| *id);
        Names(names)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn name(&self, id: TagId) -> Option<&str> {
        let at = self.0.binary_search_by_key(&id.0, |(id, _, _)| *id).ok()?;
        Some(&self.0[at].2)
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        for (id, dimension, name) in &self.0 {
            out.extend(id.to_le_bytes());
            out.push(dimension.code());
            out.push(u8::try_from(name.len()).expect("names are checked when records are taken"));
            out.extend(name.as_bytes());
        }
    }

    /// `None` when the bytes are no dictionary of `count` names.
    pub fn parse(mut bytes: &[u8], count: u64) -> Option<Names> {
        let mut names = Vec::new();
        while let Some((head, rest)) = bytes.split_at_checked(6) {
            let id = u32::from_le_bytes(head[..4].try_into().ok()?);
            let (name, rest) = rest.split_at_checked(usize::from(head[5]))?;
            let name = std::str::from_utf8(name).ok()?;
            names.push((id, Dimension::from_code(head[4])?, name.to_string()));
            bytes = rest;
        }
        (bytes.is_empty() && names.len() as u64 == count && names.is_sorted_by_key(|name| name.0))
            .then_some(Names(names))
    }
}

const _: () =
    assert!(NAME_BYTES_MAX <= u8::MAX as usize && size_of::<Bucket>() == 64 && size_of::<Row>() == 64);
const _: () = assert!(size_of::<Tag>() == 8 && size_of::<Header>() <= PAGE as usize);
