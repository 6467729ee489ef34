//! Prices that come back encoded or encrypted: plain base64, and the scheme of Google's Authorized Buyers ("AdX").
//!
//! Invariant: an encrypted price counts only if its signature is right; whatever the bytes, reading them is a value.
//!
//! # The AdX scheme
//!
//! From "Decrypt Price Confirmations" of the Authorized Buyers documentation. The macro is replaced by 38 letters of
//! web-safe base64 without padding, 28 bytes:
//!
//! | bytes | hold |
//! |---|---|
//! | 0..16 | `iv`, made of the time and the server |
//! | 16..24 | price XOR the first 8 bytes of HMAC-SHA1(encryption key, `iv`) |
//! | 24..28 | the first 4 bytes of HMAC-SHA1(integrity key, price ‖ `iv`) |
//!
//! The price is a big-endian integer, micros per thousand impressions. A signature of 32 bits keeps people at their
//! browsers from making up prices; one that was seen elsewhere can still be put into another URL, which is why a price
//! above the bid is an alarm and each bid is booked once.

use super::notice::{PriceField, PriceUnit, classify_price};
use crate::units::Cpm;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use std::fmt;

const IV_LEN: usize = 16;
const PRICE_LEN: usize = 8;
const SIGNATURE_LEN: usize = 4;
const CIPHERTEXT_LEN: usize = IV_LEN + PRICE_LEN + SIGNATURE_LEN;
const KEY_LEN: usize = 32;
/// More letters than any encoded number has, and than a key has.
const LETTERS_MAX: usize = 64;

/// Of both alphabets, once `-` and `_` are mapped; padding may be there, and the last letter may carry spare bits.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// How an exchange writes the prices that it puts into notices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PriceCodec {
    /// A number.
    #[default]
    Plain,
    /// Base64 of a number, as with `${AUCTION_PRICE:B64}`, or a number: the first digit of a number decodes to a byte
    /// of 0xD3 or more, which is none of a number's, so that no text means something both ways.
    Base64,
    /// Encrypted; always micros per thousand, whatever unit is agreed.
    Adx(AdxKeys),
}

/// The two keys that Authorized Buyers shows for an account.
#[derive(Clone, PartialEq, Eq)]
pub struct AdxKeys {
    pub encryption: [u8; KEY_LEN],
    pub integrity: [u8; KEY_LEN],
}

impl fmt::Debug for AdxKeys {
    /// The keys are not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdxKeys")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no key: write {KEY_LEN} bytes as 64 hexadecimal digits or 43 letters of base64")]
pub struct KeyError;

impl AdxKeys {
    /// One key as people keep it in a file: base64 of either alphabet, with or without padding, or hexadecimal.
    ///
    /// # Errors
    /// Not 32 bytes.
    pub fn parse_key(text: &str) -> Result<[u8; KEY_LEN], KeyError> {
        let text = text.trim();
        let bytes = match parse_hex(text) {
            Some(bytes) => bytes,
            None => Bytes::of_base64(text.as_bytes())
                .ok_or(KeyError)?
                .get()
                .try_into()
                .map_err(|_| KeyError)?,
        };
        Ok(bytes)
    }

    /// `None` unless the text was made with both keys.
    fn open(&self, text: &[u8]) -> Option<u64> {
        let bytes = Bytes::of_base64(text)?;
        let bytes: &[u8; CIPHERTEXT_LEN] = bytes.get().try_into().ok()?;
        let (iv, rest) = bytes.split_at(IV_LEN);
        let (hidden, signature) = rest.split_at(PRICE_LEN);
        let pad = hmac(&self.encryption, &[iv]).finalize().into_bytes();
        let mut price = [0; PRICE_LEN];
        for (byte, (hidden, pad)) in price.iter_mut().zip(hidden.iter().zip(pad)) {
            *byte = hidden ^ pad;
        }
        // In constant time.
        hmac(&self.integrity, &[&price, iv])
            .verify_truncated_left(signature)
            .ok()?;
        Some(u64::from_be_bytes(price))
    }
}

impl PriceCodec {
    /// Reads what a price parameter holds once percent-encoding is undone: the literal `AUDIT`, an unreplaced macro and
    /// nothing at all mean the same under every codec.
    pub fn decode(&self, text: &str, unit: PriceUnit) -> PriceField {
        let plain = classify_price(text, unit);
        match (self, plain) {
            (_, PriceField::Absent | PriceField::Audit | PriceField::Unreplaced) => plain,
            (PriceCodec::Plain, _) | (PriceCodec::Base64, PriceField::Value(_)) => plain,
            (PriceCodec::Base64, PriceField::Unreadable) => decode_base64(text, unit),
            (PriceCodec::Adx(keys), _) => keys
                .open(text.as_bytes())
                .and_then(|micros| i64::try_from(micros).ok())
                .map(Cpm)
                .filter(|price| *price <= Cpm::MAX)
                .map_or(PriceField::Unreadable, PriceField::Value),
        }
    }
}

fn decode_base64(text: &str, unit: PriceUnit) -> PriceField {
    let bytes = Bytes::of_base64(text.as_bytes());
    let inner = bytes
        .as_ref()
        .and_then(|bytes| std::str::from_utf8(bytes.get()).ok());
    inner.map_or(PriceField::Unreadable, |inner| classify_price(inner.trim(), unit))
}

/// Decoded bytes of bounded length.
struct Bytes {
    bytes: [u8; LETTERS_MAX],
    len: usize,
}

impl Bytes {
    /// Letters of both alphabets; `.` is padding too, as some write it into URLs.
    fn of_base64(text: &[u8]) -> Option<Bytes> {
        let end = text
            .iter()
            .rposition(|b| !matches!(b, b'=' | b'.'))
            .map_or(0, |last| last + 1);
        let text = &text[..end];
        let mut letters = [0; LETTERS_MAX];
        let letters = letters.get_mut(..text.len())?;
        for (letter, byte) in letters.iter_mut().zip(text) {
            *letter = match byte {
                b'-' => b'+',
                b'_' => b'/',
                other => *other,
            };
        }
        let mut bytes = [0; LETTERS_MAX];
        let len = LENIENT.decode_slice(letters, &mut bytes).ok()?;
        Some(Bytes { bytes, len })
    }

    fn get(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

fn parse_hex(text: &str) -> Option<[u8; KEY_LEN]> {
    let mut key = [0; KEY_LEN];
    if text.len() != 2 * KEY_LEN || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in key.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(key)
}

fn hmac(key: &[u8; KEY_LEN], parts: &[&[u8]]) -> Hmac<Sha1> {
    let mut hmac = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| hmac.update(part));
    hmac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openrtb::notice::NoticeQuery;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    /// The keys of Google's reference implementation's examples.
    const ENCRYPTION: &str = "skU7Ax_NL5pPAFyKdkfZjZz2-VhIN8bjj1rVFOaJ_5o=";
    const INTEGRITY: &str = "arO23ykdNqUQ5LEoQ0FVmPkBd7xB5CO89PDZlSjpFxo=";

    fn keys() -> AdxKeys {
        AdxKeys {
            encryption: AdxKeys::parse_key(ENCRYPTION).expect("a key"),
            integrity: AdxKeys::parse_key(INTEGRITY).expect("a key"),
        }
    }

    fn check(codec: &PriceCodec, sent: &str, expected: PriceField) {
        let query = format!("p={sent}");
        let price = NoticeQuery::parse(query.as_bytes()).price;
        assert_eq!(price.read(PriceUnit::Cpm, codec), expected, "{codec:?} {sent:?}");
    }

    fn seal(keys: &AdxKeys, iv: [u8; IV_LEN], price: u64) -> String {
        let price = price.to_be_bytes();
        let pad = hmac(&keys.encryption, &[&iv]).finalize().into_bytes();
        let signature = hmac(&keys.integrity, &[&price, &iv]).finalize().into_bytes();
        let hidden = price.iter().zip(&pad).map(|(a, b)| a ^ b);
        let bytes: Vec<u8> = iv
            .into_iter()
            .chain(hidden)
            .chain(signature.into_iter().take(4))
            .collect();
        URL_SAFE_NO_PAD.encode(bytes)
    }

    #[test]
    fn published_examples_are_decrypted() {
        use PriceField::*;
        let adx = PriceCodec::Adx(keys());
        for (sent, expected) in [
            ("YWJjMTIzZGVmNDU2Z2hpN7fhCuPemCce_6msaw", Value(Cpm(100))),
            ("YWJjMTIzZGVmNDU2Z2hpN7fhCuPemCAWJRxOgA", Value(Cpm(1900))),
            ("YWJjMTIzZGVmNDU2Z2hpN7fhCuPemC32prpWWw", Value(Cpm(2700))),
            ("YWJjMTIzZGVmNDU2Z2hpN7fhCuPemCce%5F6msaw%3D%3D", Value(Cpm(100))),
            ("YWJjMTIzZGVmNDU2Z2hpN7fhCuPemCce%2F6msaw..", Value(Cpm(100))),
            (
                "YWJjMTIzZGVmNDU2Z2hpN7fhCuPemCce_6msaw%253D%253D",
                Value(Cpm(100)),
            ),
            ("YWJjMTIzZGVmNDU2Z2hpN7fhCuPemCce_6msbw", Unreadable),
            ("ZWJjMTIzZGVmNDU2Z2hpN7fhCuPemCce_6msaw", Unreadable),
            ("YWJjMTIzZGVmNDU2Z2hpN7fhCuPemCce_6msa", Unreadable),
            ("WEp8KHGyAGRA9zHM5Zs7_7dKFGcrnHRmZBFTdA", Unreadable),
            ("1.5", Unreadable),
            ("100", Unreadable),
            ("", Absent),
            ("AUDIT", Audit),
            ("${AUCTION_PRICE}", Unreplaced),
            ("%24%7BAUCTION_PRICE%7D", Unreplaced),
        ] {
            check(&adx, sent, expected);
        }
    }

    #[test]
    fn a_price_in_base64_is_read_in_either_alphabet_and_a_plain_one_as_it_is() {
        use PriceField::*;
        for (sent, expected) in [
            ("MS41", Value(Cpm(1_500_000))),
            ("MS41MA==", Value(Cpm(1_500_000))),
            ("MS41MA%3D%3D", Value(Cpm(1_500_000))),
            ("MS41MA", Value(Cpm(1_500_000))),
            ("MS41ZTA", Value(Cpm(1_500_000))),
            ("QVVESVQ=", Audit),
            ("JHtBVUNUSU9OX1BSSUNFfQ", Unreplaced),
            ("AUDIT", Audit),
            ("${AUCTION_PRICE:B64}", Unreplaced),
            ("1.5", Value(Cpm(1_500_000))),
            ("1500", Value(Cpm(1_500_000_000))),
            ("", Absent),
            ("LTE", Unreadable),
            ("abc", Unreadable),
            ("!", Unreadable),
        ] {
            check(&PriceCodec::Base64, sent, expected);
        }
        check(&PriceCodec::Plain, "MS41", Unreadable);
    }

    #[test]
    fn keys_are_read_as_base64_or_hexadecimal() {
        let expected = AdxKeys::parse_key(ENCRYPTION).expect("a key");
        let hex: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
        for text in [
            ENCRYPTION,
            "skU7Ax/NL5pPAFyKdkfZjZz2+VhIN8bjj1rVFOaJ/5o=",
            "skU7Ax_NL5pPAFyKdkfZjZz2-VhIN8bjj1rVFOaJ_5o",
            &format!(" {}\n", hex.to_uppercase()),
            &hex,
        ] {
            assert_eq!(AdxKeys::parse_key(text), Ok(expected), "{text}");
        }
        for text in ["", "abc", &hex[1..], &ENCRYPTION[2..], &"ü".repeat(32)] {
            assert_eq!(AdxKeys::parse_key(text), Err(KeyError), "{text}");
        }
        assert!(!format!("{:?}", PriceCodec::Adx(keys())).contains("178"));
    }

    #[test]
    fn a_price_above_the_largest_is_not_read() {
        let adx = PriceCodec::Adx(keys());
        let most = Cpm::MAX.0 as u64;
        for (price, expected) in [
            (most, PriceField::Value(Cpm::MAX)),
            (most + 1, PriceField::Unreadable),
            (u64::MAX, PriceField::Unreadable),
        ] {
            check(&adx, &seal(&keys(), [7; IV_LEN], price), expected);
        }
    }

    proptest! {
        #[test]
        fn sealed_prices_are_opened_and_changed_ones_are_not(
            iv: [u8; IV_LEN], price in 0..=Cpm::MAX.0, at in 0..CIPHERTEXT_LEN, bit in 0..8u8,
        ) {
            let text = seal(&keys(), iv, price as u64);
            let adx = PriceCodec::Adx(keys());
            prop_assert_eq!(adx.decode(&text, PriceUnit::Impression), PriceField::Value(Cpm(price)));
            let mut bytes = URL_SAFE_NO_PAD.decode(&text).expect("base64");
            bytes[at] ^= 1u8 << bit;
            let changed = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(adx.decode(&changed, PriceUnit::Impression), PriceField::Unreadable);
        }

        #[test]
        fn any_text_can_be_decoded(text in "\\PC{0,80}|[A-Za-z0-9_=.-]{0,80}") {
            for codec in [PriceCodec::Plain, PriceCodec::Base64, PriceCodec::Adx(keys())] {
                codec.decode(&text, PriceUnit::Cpm);
            }
        }

        #[test]
        fn no_plain_number_means_another_one_in_base64(number in "[0-9]{1,16}") {
            let plain = PriceCodec::Plain.decode(&number, PriceUnit::Cpm);
            let inner = decode_base64(&number, PriceUnit::Cpm);
            prop_assert!(matches!(inner, PriceField::Unreadable | PriceField::Absent));
            prop_assert_eq!(PriceCodec::Base64.decode(&number, PriceUnit::Cpm), plain);
        }
    }
}
