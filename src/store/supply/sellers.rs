//! `sellers.json` (IAB Tech Lab, version 1.0 and 1.1): the accounts of an advertising system.
//!
//! Invariant: any bytes can be read; a file is taken whole or not at all, a seller without an id is left out.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// One account, as far as it is used. Confidential ones are listed like the others.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seller {
    /// The same id as in `ads.txt` and in a node's `sid`.
    pub id: String,
    pub kind: SellerKind,
}

/// `seller_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SellerKind {
    /// Sells what it owns, is paid directly.
    Publisher,
    /// Sells for others.
    Intermediary,
    Both,
    /// Another word, or none.
    Unknown,
}

/// The accounts in a file.
///
/// # Errors
/// Not one JSON object with an array `sellers`; says where.
pub(super) fn parse(file: &[u8]) -> Result<Vec<Seller>, String> {
    // A name in another encoding does not matter here.
    let text = String::from_utf8_lossy(file);
    let text = text.trim_start_matches('\u{feff}');
    let file: SellersFile = serde_json::from_str(text).map_err(|error| error.to_string())?;
    file.sellers.ok_or_else(|| "has no array `sellers`".to_owned())
}

#[derive(Default)]
struct SellersFile {
    sellers: Option<Vec<Seller>>,
}

impl<'de> Deserialize<'de> for SellersFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FileVisitor)
    }
}

struct FileVisitor;

impl<'de> Visitor<'de> for FileVisitor {
    type Value = SellersFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with an array `sellers`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SellersFile, A::Error> {
        let mut file = SellersFile::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "sellers" => file.sellers = Some(map.next_value::<Sellers>()?.0),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(file)
    }
}

struct Sellers(Vec<Seller>);

impl<'de> Deserialize<'de> for Sellers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(SellersVisitor).map(Sellers)
    }
}

struct SellersVisitor;

impl<'de> Visitor<'de> for SellersVisitor {
    type Value = Vec<Seller>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of sellers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Seller>, A::Error> {
        let mut sellers = Vec::new();
        while let Some(entry) = seq.next_element::<Entry>()? {
            sellers.extend(entry.seller());
        }
        Ok(sellers)
    }
}

/// Each field may be of any type: only text and numbers mean something.
#[derive(Default)]
struct Entry {
    seller_id: Scalar,
    seller_type: Scalar,
}

impl Entry {
    fn seller(self) -> Option<Seller> {
        let id = self.seller_id.0.trim();
        (!id.is_empty()).then(|| Seller {
            id: id.to_owned(),
            kind: SellerKind::of(self.seller_type.0.trim()),
        })
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a seller, which is an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let mut entry = Entry::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "seller_id" => entry.seller_id = map.next_value()?,
                "seller_type" => entry.seller_type = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(entry)
    }
}

impl SellerKind {
    fn of(word: &str) -> SellerKind {
        let kinds = [
            ("PUBLISHER", SellerKind::Publisher),
            ("INTERMEDIARY", SellerKind::Intermediary),
            ("BOTH", SellerKind::Both),
        ];
        let found = kinds.iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
        found.map_or(SellerKind::Unknown, |(_, kind)| *kind)
    }
}

/// Text, or a whole number as its digits; empty for anything else.
#[derive(Default)]
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Scalar(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => text,
            serde_json::Value::Number(number) if !number.is_f64() => number.to_string(),
            _ => String::new(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(file: &[u8], expected: Option<&[(&str, SellerKind)]>) {
        let read = parse(file).ok();
        let read: Option<Vec<_>> = read
            .as_ref()
            .map(|sellers| sellers.iter().map(|s| (s.id.as_str(), s.kind)).collect());
        assert_eq!(read.as_deref(), expected, "{}", String::from_utf8_lossy(file));
    }

    #[test]
    fn files_are_read_in_every_form_that_systems_publish() {
        use SellerKind::*;
        check(
            br#"{"version":"1.0","contact_email":"a@b","identifiers":[{"name":"TAG-ID","value":"x"}],"sellers":[
                {"seller_id":"1","seller_type":"PUBLISHER","name":"N","domain":"n.example"},
                {"seller_id":2,"seller_type":"intermediary","is_passthrough":1},
                {"seller_id":" 3 ","seller_type":"Both","is_confidential":1},
                {"seller_id":"4","seller_type":null,"ext":{"a":[1]}},
                {"seller_id":"0","seller_id":"5"},
                {"seller_type":"PUBLISHER"},{"seller_id":[]},{"seller_id":1.5}]}"#,
            Some(&[("1", Publisher), ("2", Intermediary), ("3", Both), ("4", Unknown), ("5", Unknown)]),
        );
        check(b"\xef\xbb\xbf{\"sellers\":[]}", Some(&[]));
        check(
            b"{\"sellers\":[{\"seller_id\":\"1\",\"name\":\"caf\xe9\"}]}",
            Some(&[("1", Unknown)]),
        );
        for file in [
            &b""[..],
            b"{}",
            b"[]",
            b"null",
            b"{\"sellers\":{}}",
            b"{\"sellers\":[1]}",
            b"{\"sellers\":[{\"seller_id\":\"1\"}",
            b"<html></html>",
        ] {
            check(file, None);
        }
        let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
        let deep = |key: &str| format!("{{\"sellers\":[{{\"{key}\":{open}{close}}}]}}");
        assert_eq!(parse(deep("ext").as_bytes()), Ok(Vec::new()));
        assert!(parse(deep("seller_id").as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(file in prop::collection::vec(any::<u8>(), 0..300)) {
            drop(parse(&file));
        }

        #[test]
        fn any_json_like_text_can_be_read(middle in "[\\[\\]{}:,\"a-z0-9 ]{0,120}") {
            let file = format!("{{\"sellers\":[{{\"seller_id\":{middle}}}]}}");
            drop(parse(file.as_bytes()));
        }
    }
}
