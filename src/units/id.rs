//! Ids. Strings are the ids of people and files; on the path they are fixed-size and stable across restarts and nodes.

use std::fmt;
use std::hash::Hasher;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A stable 64-bit name of a configured object: the same on every node and after every restart.
/// Collisions between configured ids are refused when the configuration loads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(pub u64);

impl ObjectId {
    pub fn of(id: &str) -> ObjectId {
        ObjectId(xxh3_64_with_seed(id.as_bytes(), 0))
    }
}

/// The name of a budget account. Campaigns and line items have accounts of different names even where their ids are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub u64);

impl AccountId {
    pub fn campaign(id: &str) -> AccountId {
        AccountId(xxh3_64_with_seed(id.as_bytes(), 1))
    }

    pub fn line_item(id: &str) -> AccountId {
        AccountId(xxh3_64_with_seed(id.as_bytes(), 2))
    }
}

/// A bid, unique over all nodes and all time: node (16 bits), boot epoch (32 bits), counter (48 bits), 32 spare bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BidId(pub u128);

impl BidId {
    /// `counter` is below 2⁴⁸: 281 billion bids a boot at 1,000 a second for 8,900 years.
    pub fn new(node: u16, boot_epoch: u32, counter: u64) -> BidId {
        debug_assert!(counter < 1 << 48);
        BidId(u128::from(node) << 112 | u128::from(boot_epoch) << 80 | u128::from(counter) << 32)
    }

    pub fn node(self) -> u16 {
        (self.0 >> 112) as u16
    }
}

impl fmt::Display for BidId {
    /// 24 hexadecimal digits (the spare bits are left out).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:024x}", self.0 >> 32)
    }
}

/// Where an entry stands in a row that nodes share: the id of an entry of a Redis stream. The default stands before all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId {
    /// By the server's clock, since 1970.
    pub ms: u64,
    pub sequence: u64,
}

impl EntryId {
    /// `1772000000000-0`.
    pub fn parse(text: &str) -> Option<EntryId> {
        let (ms, sequence) = text.split_once('-')?;
        Some(EntryId {
            ms: ms.parse().ok()?,
            sequence: sequence.parse().ok()?,
        })
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.sequence)
    }
}

/// The secret under which user ids are hashed. Without it a key cannot be linked back to an id by trial.
#[derive(Clone)]
pub struct UserKeySecret(pub [u8; 16]);

/// A user: SipHash-1-3 of (namespace, id) under the secret of the installation.
///
/// The same key stands in store, caps, log and token; the raw id stands nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserKey(pub u64);

impl UserKey {
    /// Namespaces: `buyeruid`, `ifa`, the `source` of an eid, `exchange:NAME` for an exchange's own id.
    /// `ifa` values are compared in lower case, all others as they are.
    pub fn of(secret: &UserKeySecret, namespace: &str, id: &str) -> UserKey {
        let mut hasher = siphasher::sip::SipHasher13::new_with_key(&secret.0);
        hasher.write(namespace.as_bytes());
        hasher.write(&[0x1f]);
        if namespace == "ifa" {
            for byte in id.bytes() {
                hasher.write(&[byte.to_ascii_lowercase()]);
            }
        } else {
            hasher.write(id.as_bytes());
        }
        UserKey(hasher.finish())
    }
}

/// Namespace and id of `NAMESPACE:ID`; without a namespace it is `buyeruid`. `exchange:NAME:ID` has two colons in front of the
/// id, all other namespaces one. `None` where either is empty.
pub fn split_user_id(text: &str) -> Option<(&str, &str)> {
    let from = if text.starts_with("exchange:") {
        "exchange:".len()
    } else {
        0
    };
    let (namespace, id) = match text[from..].find(':') {
        Some(colon) => (&text[..from + colon], &text[from + colon + 1..]),
        None if from > 0 => return None,
        None => ("buyeruid", text),
    };
    (!namespace.is_empty() && !namespace.ends_with(':') && !id.is_empty()).then_some((namespace, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bid_ids_differ_by_node_boot_and_counter() {
        let ids = [
            BidId::new(1, 2, 3),
            BidId::new(2, 2, 3),
            BidId::new(1, 3, 3),
            BidId::new(1, 2, 4),
        ];
        for (i, a) in ids.iter().enumerate() {
            for b in &ids[i + 1..] {
                assert_ne!(a, b);
            }
        }
        assert_eq!(BidId::new(7, 2, 3).node(), 7);
        assert_eq!(BidId::new(1, 2, 3).to_string(), "000100000002000000000003");
    }

    #[test]
    fn a_user_key_depends_on_secret_namespace_and_id() {
        let (a, b) = (UserKeySecret([1; 16]), UserKeySecret([2; 16]));
        let key = UserKey::of(&a, "buyeruid", "u1");
        assert_eq!(key, UserKey::of(&a, "buyeruid", "u1"));
        assert_ne!(key, UserKey::of(&b, "buyeruid", "u1"));
        assert_ne!(key, UserKey::of(&a, "ifa", "u1"));
        assert_eq!(UserKey::of(&a, "ifa", "AB-1"), UserKey::of(&a, "ifa", "ab-1"));
        assert_ne!(
            UserKey::of(&a, "buyeruid", "AB"),
            UserKey::of(&a, "buyeruid", "ab")
        );
    }

    #[test]
    fn the_place_of_an_entry_is_read_and_written() {
        let id = EntryId {
            ms: 1_772_000_000_000,
            sequence: 7,
        };
        assert_eq!(EntryId::parse(&id.to_string()), Some(id));
        assert!(
            ["", "7", "7-", "-7", "a-7", "7-7-7"]
                .iter()
                .all(|bad| EntryId::parse(bad).is_none())
        );
    }

    #[test]
    fn an_id_is_split_from_its_namespace() {
        for (text, expected) in [
            ("u-1", Some(("buyeruid", "u-1"))),
            ("ifa:AB:1", Some(("ifa", "AB:1"))),
            ("exchange:demo:7", Some(("exchange:demo", "7"))),
            ("exchange:demo", None),
            ("exchange::7", None),
            (":7", None),
            ("ifa:", None),
            ("", None),
        ] {
            assert_eq!(split_user_id(text), expected, "{text}");
        }
    }
}
