//! Values of one dimension and the line items that want or refuse them, found by hash and then compared.

use super::posting::Posting;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A value as configured: text in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Key {
    Text(String),
    Number(u64),
}

/// A value as offered: text in up to three parts, which are compared as one text in any case.
#[derive(Clone, Copy, Debug)]
pub(super) enum Offered<'a> {
    Text([&'a str; 3]),
    Number(u64),
}

/// Positions of posting lists.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lists {
    pub wanted: Option<u32>,
    pub refused: Option<u32>,
}

/// Values by hash. Texts that share a hash share a chain of entries.
#[derive(Debug, Default)]
pub(super) struct Values {
    by_hash: HashMap<u64, Vec<(Key, Lists)>, BuildHasherDefault<AsIs>>,
}

impl Values {
    pub fn insert(&mut self, key: Key, wanted: bool, list: u32) {
        let chain = self.by_hash.entry(key.offered().hash()).or_default();
        let known = chain.iter().position(|(existing, _)| *existing == key);
        let at = known.unwrap_or_else(|| {
            chain.push((key, Lists::default()));
            chain.len() - 1
        });
        let lists = &mut chain[at].1;
        *if wanted {
            &mut lists.wanted
        } else {
            &mut lists.refused
        } = Some(list);
    }

    pub fn find(&self, offered: &Offered) -> Option<Lists> {
        let chain = self.by_hash.get(&offered.hash())?;
        chain
            .iter()
            .find(|(key, _)| offered.is(key))
            .map(|(_, lists)| *lists)
    }
}

/// Collects the members of each list before the lists are made.
#[derive(Default)]
pub(super) struct Members {
    wanted: HashMap<Key, Vec<u32>>,
    refused: HashMap<Key, Vec<u32>>,
}

impl Members {
    /// Items are added in ascending order.
    pub fn add(&mut self, item: u32, key: Key, wanted: bool) {
        let lists = if wanted {
            &mut self.wanted
        } else {
            &mut self.refused
        };
        let members = lists.entry(key).or_default();
        if members.last() != Some(&item) {
            members.push(item);
        }
    }

    /// Moves the lists to `postings`, in the order of their values so that equal definitions give equal indexes.
    pub fn into_values(self, total: usize, postings: &mut Vec<Posting>) -> Values {
        let mut values = Values::default();
        for (lists, wanted) in [(self.wanted, true), (self.refused, false)] {
            let mut lists: Vec<_> = lists.into_iter().collect();
            lists.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            for (key, members) in lists {
                values.insert(key, wanted, postings.len() as u32);
                postings.push(Posting::new(members, total));
            }
        }
        values
    }
}

impl Key {
    pub fn text(text: &str) -> Key {
        Key::Text(text.to_ascii_lowercase())
    }

    fn offered(&self) -> Offered<'_> {
        match self {
            Key::Text(text) => Offered::text(text),
            Key::Number(number) => Offered::Number(*number),
        }
    }
}

impl<'a> Offered<'a> {
    pub fn text(text: &'a str) -> Offered<'a> {
        Offered::Text([text, "", ""])
    }

    fn hash(&self) -> u64 {
        match self {
            Offered::Text(parts) => hash_text(parts),
            Offered::Number(number) => xxh3_64_with_seed(&number.to_le_bytes(), 1),
        }
    }

    fn is(&self, key: &Key) -> bool {
        match (self, key) {
            (Offered::Number(number), Key::Number(key)) => number == key,
            (Offered::Text(parts), Key::Text(key)) => {
                let bytes = parts.iter().flat_map(|part| part.bytes());
                parts.iter().map(|part| part.len()).sum::<usize>() == key.len()
                    && bytes.zip(key.bytes()).all(|(a, b)| a.eq_ignore_ascii_case(&b))
            }
            _ => false,
        }
    }
}

/// Folds the case in pieces of a fixed buffer; the hash so far seeds the next piece.
fn hash_text(parts: &[&str; 3]) -> u64 {
    let (mut piece, mut len, mut hash) = ([0_u8; 64], 0, 0);
    for byte in parts.iter().flat_map(|part| part.as_bytes()) {
        if len == piece.len() {
            hash = xxh3_64_with_seed(&piece, hash);
            len = 0;
        }
        piece[len] = byte.to_ascii_lowercase();
        len += 1;
    }
    xxh3_64_with_seed(&piece[..len], hash)
}

/// Keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_in_any_case_and_in_parts() {
        let long = "x".repeat(200);
        let half = long[100..].to_uppercase();
        let mut values = Values::default();
        for (list, text) in (0..).zip(["usa-ca", "", "é", &long]) {
            values.insert(Key::text(text), true, list);
        }
        let wanted = |parts| values.find(&Offered::Text(parts)).and_then(|lists| lists.wanted);
        assert_eq!(wanted(["USA", "-", "Ca"]), Some(0));
        assert_eq!(wanted(["", "", ""]), Some(1));
        assert_eq!(wanted(["É", "", ""]), None);
        assert_eq!(wanted([&long[..100], &half, ""]), Some(3));
        assert_eq!(wanted(["USA", "", "CA"]), None);
    }
}
