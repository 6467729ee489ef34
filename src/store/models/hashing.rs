//! Category ids: text to one of `buckets` rows, the same in every program that follows the schema.
//!
//! `id = xxh3_64(seed, field ␟ value) mod (buckets − 1) + 1`, where ␟ is the byte 0x1F and the value is trimmed and
//! ASCII-lower-cased; id 0 = missing (also the empty value).

use std::fmt::{self, Write};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bytes of field and value that are hashed; the rest of a longer value does not count. Live domains end at 253 bytes
/// (RFC 1035) and live ids far below; one-shot xxh3 has its fast path up to 240.
const BYTES_MAX: usize = 240;

/// The text of one category while it is put together: on the stack, so that hashing allocates nothing.
pub(super) struct CategoryText {
    bytes: [u8; BYTES_MAX],
    prefix: usize,
    len: usize,
}

impl CategoryText {
    pub(super) fn new(field: &str) -> CategoryText {
        let mut text = CategoryText {
            bytes: [0; BYTES_MAX],
            prefix: 0,
            len: 0,
        };
        text.push(field);
        text.push("\u{1f}");
        text.prefix = text.len;
        text
    }

    /// The id of `value`; the text is ready for the next value of the same field afterwards.
    pub(super) fn id(&mut self, value: impl fmt::Display, seed: u64, buckets: u32) -> u32 {
        self.len = self.prefix;
        // The writer never refuses: what does not fit is cut.
        let _ = write!(self, "{value}");
        self.finish(seed, buckets)
    }

    /// As [`CategoryText::id`], without the cost of formatting.
    pub(super) fn id_of_text(&mut self, value: &str, seed: u64, buckets: u32) -> u32 {
        self.len = self.prefix;
        self.push(value.trim_ascii());
        self.finish(seed, buckets)
    }

    fn push(&mut self, text: &str) {
        let taken = text.len().min(BYTES_MAX - self.len);
        let room = &mut self.bytes[self.len..self.len + taken];
        room.copy_from_slice(&text.as_bytes()[..taken]);
        room.make_ascii_lowercase();
        self.len += taken;
    }

    fn finish(&self, seed: u64, buckets: u32) -> u32 {
        if self.len == self.prefix {
            return 0;
        }
        let hash = xxh3_64_with_seed(&self.bytes[..self.len], seed);
        (hash % u64::from(buckets - 1)) as u32 + 1
    }
}

impl Write for CategoryText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_is_the_stated_hash_of_field_and_value() {
        let expected = xxh3_64_with_seed(b"site_domain\x1fnews.example", 7) % 99 + 1;
        let mut text = CategoryText::new("site_domain");
        for value in ["news.example", "News.EXAMPLE", " news.example "] {
            assert_eq!(u64::from(text.id_of_text(value, 7, 100)), expected, "{value}");
        }
        assert_eq!(u64::from(text.id("news.example", 7, 100)), expected);
        assert_eq!(text.id_of_text("", 7, 100), 0);
        assert_eq!(text.id_of_text("  ", 7, 100), 0);
    }

    proptest! {
        #[test]
        fn any_value_has_an_id_within_its_buckets(value in ".*", seed: u64, buckets in 2u32..5000) {
            let id = CategoryText::new("field").id_of_text(&value, seed, buckets);
            prop_assert!(id < buckets);
            prop_assert_eq!(id == 0, value.trim_ascii().is_empty());
        }
    }
}
