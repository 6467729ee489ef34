//! Profiles from a mapped file. Invariant: nothing is handed out before every byte has been verified and is in memory.

use super::description::Summary;
use super::error::Error;
use super::layout::{Bucket, Header, Names, Row, SECTIONS, find, homes_of};
use super::profile::{Profile, Tag};
use crate::units::UserKey;
use memmap2::{Mmap, MmapOptions};
use std::fs::File;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;
use zerocopy::FromBytes;

#[derive(Debug)]
pub struct MappedProfiles {
    map: Mmap,
    header: Header,
    homes: u64,
    names: Names,
}

impl MappedProfiles {
    /// Reads the whole file once, in order: that verifies it and brings its pages in, so that the first lookups are as
    /// fast as the later ones.
    pub fn open(path: &Path) -> Result<MappedProfiles, Error> {
        let file = File::open(path).map_err(Error::io(path, "open"))?;
        let map = map(&file).map_err(Error::io(path, "map"))?;
        let header = Header::parse(path, &map)?;
        let names = verify(path, &map, &header)?;
        Ok(MappedProfiles {
            homes: homes_of(header.keys),
            map,
            header,
            names,
        })
    }

    pub fn get(&self, key: UserKey) -> Option<Profile<'_>> {
        let row = find(self.section(0)?, self.homes, key.0)?;
        self.section::<Row>(1)?
            .get(row as usize)?
            .profile(self.section(2)?)
    }

    pub fn keys_beside(&self, key: UserKey) -> Vec<UserKey> {
        let buckets: &[Bucket] = self.section(0).unwrap_or_default();
        let Some(row) = find(buckets, self.homes, key.0) else {
            return Vec::new();
        };
        let entries = buckets.iter().flat_map(|bucket| {
            bucket
                .keys
                .iter()
                .zip(&bucket.rows)
                .take(usize::from(bucket.used))
        });
        entries
            .filter(|(_, of)| **of == row)
            .map(|(key, _)| UserKey(*key))
            .collect()
    }

    pub fn summary(&self) -> Summary {
        Summary {
            users: self.header.users,
            keys: self.header.keys,
            tags: self.header.tags,
            names: self.header.names,
            bytes: self.map.len() as u64,
            source: self.header.source,
        }
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// A section as a list of entries; always there once the header has been checked.
    fn section<T: FromBytes + zerocopy::Immutable + zerocopy::KnownLayout>(
        &self,
        index: usize,
    ) -> Option<&[T]> {
        <[T]>::ref_from_bytes(self.header.sections[index].of(&self.map)?).ok()
    }
}

/// The only unsafe code of the project.
#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: `Mmap` hands out `&[u8]`, so the bytes must not change and the file must not shrink while it lives.
    // - The mapping is private and read-only: this process cannot write through it.
    // - Store files are written under another name, synced, and renamed; no part of this program opens a finished one
    //   for writing, and a rename leaves the mapped inode as it is.
    // - Another program that truncates or overwrites the file in place breaks this promise (a fault, or bytes that
    //   change after they were verified). The data folder belongs to this program alone, and the documentation says
    //   to replace stores by rename only.
    // Alignment, sizes and validity of the typed views are checked by zerocopy on safe slices.
    unsafe { MmapOptions::new().populate().map(file) }
}

fn verify(path: &Path, map: &[u8], header: &Header) -> Result<Names, Error> {
    for (section, name) in header.sections.iter().zip(SECTIONS) {
        if section.of(map).map(xxh3_64) != Some(section.checksum) {
            return Err(Error::Damaged {
                path: path.to_path_buf(),
                section: name,
            });
        }
    }
    let layout = |section, what: &str| Error::Layout {
        path: path.to_path_buf(),
        section,
        what: what.to_string(),
    };
    let [index, _, tags, names] = header.sections.map(|section| section.of(map).unwrap_or_default());
    let buckets = <[Bucket]>::ref_from_bytes(index).map_err(|_| layout("index", "not aligned"))?;
    let used: u64 = buckets.iter().map(|bucket| u64::from(bucket.used)).sum();
    if used != header.keys || (buckets.len() as u64) < homes_of(header.keys) {
        return Err(layout("index", "another number of keys"));
    }
    <[Tag]>::ref_from_bytes(tags).map_err(|_| layout("tags", "not aligned"))?;
    Names::parse(names, header.names).ok_or_else(|| layout("names", "not a list of names sorted by id"))
}
