//! Conversions: the pixel on a page and the signed postback of a partner's server.
//!
//! Invariant: a reversal or a `signed` conversion had a valid signature over every parameter.
//!
//! ```text
//! GET  /n/conv?t=TOKEN&n=purchase&v=12.5&c=USD&o=ORDER
//! POST /n/postback?t=TOKEN&n=purchase&v=12.5&c=USD&o=ORDER&r=1&sig=HEX
//! ```
//!
//! `t` the token of the click (or impression), `n` the name, `v` the value in units of `c`, `o` the order id,
//! `r=1` a reversal (postback only), whose `v` is the value that goes. `sig` is the HMAC-SHA256 (RFC 2104) under the postback key, in hexadecimal, of the
//! canonical query: every other parameter decoded, sorted by name, encoded again with all but `A-Z a-z 0-9 - . _ ~`
//! as `%XX` in upper case, and joined as `name=value` with `&`.

use super::keys::PostbackKey;
use super::notice::Conversion;
use crate::units::{Currency, Nanos};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::Write;

pub const PIXEL_PATH: &str = "/n/conv";
pub const POSTBACK_PATH: &str = "/n/postback";

/// A token is some 210 characters; names, order ids and a signature fit many times beside it.
const QUERY_BYTES_MAX: usize = 4096;
const PARAMETERS_MAX: usize = 32;
const NAME_BYTES_MAX: usize = 64;
const ORDER_BYTES_MAX: usize = 128;

/// The parameters of a conversion. The token is still sealed.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversionQuery {
    pub token: String,
    pub conversion: Conversion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    #[error("the query is longer than {QUERY_BYTES_MAX} bytes or has more than {PARAMETERS_MAX} parameters")]
    TooLong,
    #[error("the query is not UTF-8 once its %XX are decoded")]
    Encoding,
    #[error("a parameter stands twice")]
    Repeated,
    #[error("t, the token of the click, is missing")]
    Token,
    #[error("n, the name of the conversion, is missing or longer than {NAME_BYTES_MAX} bytes")]
    Name,
    #[error("v is not a value from 0 to a billion units")]
    Value,
    #[error("c is not a currency of three letters, or v stands without one")]
    Currency,
    #[error("o, the order id, is longer than {ORDER_BYTES_MAX} bytes")]
    Order,
    #[error("sig is not the signature of this query under the postback key")]
    Signature,
    #[error("r=1 takes an order back, which needs its id in o and a signed postback")]
    Reversal,
}

/// Reads the query of a conversion pixel. Anybody can send one, so it cannot take an order back.
pub fn parse_pixel(query: &[u8]) -> Result<ConversionQuery, ConversionError> {
    let query = parse(&Parameters::parse(query)?, false)?;
    if query.conversion.reversal {
        return Err(ConversionError::Reversal);
    }
    Ok(query)
}

/// Checks the signature of a postback, then reads its query.
pub fn parse_postback(query: &[u8], key: &PostbackKey) -> Result<ConversionQuery, ConversionError> {
    let parameters = Parameters::parse(query)?;
    let signature = parameters
        .get("sig")
        .and_then(parse_hex)
        .ok_or(ConversionError::Signature)?;
    // Compares in constant time.
    mac(&parameters, key)
        .verify_slice(&signature)
        .map_err(|_| ConversionError::Signature)?;
    parse(&parameters, true)
}

/// The `sig` of a query, as a partner computes it.
pub fn sign(query: &[u8], key: &PostbackKey) -> Result<String, ConversionError> {
    let tag = mac(&Parameters::parse(query)?, key).finalize().into_bytes();
    Ok(tag.iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing into a string cannot fail");
        hex
    }))
}

fn parse(parameters: &Parameters, signed: bool) -> Result<ConversionQuery, ConversionError> {
    let text = |name: &str| parameters.get(name).filter(|value| !value.is_empty());
    let token = text("t").ok_or(ConversionError::Token)?.to_owned();
    let name = text("n")
        .filter(|name| name.len() <= NAME_BYTES_MAX)
        .ok_or(ConversionError::Name)?
        .to_owned();
    let value = text("v")
        .map_or(Some(Nanos::ZERO), parse_value)
        .ok_or(ConversionError::Value)?;
    let currency = text("c")
        .map(|code| Currency::parse(code).ok_or(ConversionError::Currency))
        .transpose()?;
    if value != Nanos::ZERO && currency.is_none() {
        return Err(ConversionError::Currency);
    }
    let order = text("o").map(str::to_owned);
    if order.as_ref().is_some_and(|order| order.len() > ORDER_BYTES_MAX) {
        return Err(ConversionError::Order);
    }
    let reversal = text("r") == Some("1");
    if reversal && order.is_none() {
        return Err(ConversionError::Reversal);
    }
    let conversion = Conversion {
        name,
        value,
        worth: None,
        currency,
        order,
        reversal,
        signed,
    };
    Ok(ConversionQuery { token, conversion })
}

fn parse_value(text: &str) -> Option<Nanos> {
    let units: f64 = text.parse().ok()?;
    (0.0..=1e9).contains(&units).then(|| Nanos::from_units(units))?
}

fn mac(parameters: &Parameters, key: &PostbackKey) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("HMAC takes keys of any length");
    mac.update(parameters.canonical().as_bytes());
    mac
}

/// Decoded and sorted by name; no name stands twice.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn parse(query: &[u8]) -> Result<Parameters, ConversionError> {
        let pairs = || query.split(|&b| b == b'&').filter(|pair| !pair.is_empty());
        if query.len() > QUERY_BYTES_MAX || pairs().count() > PARAMETERS_MAX {
            return Err(ConversionError::TooLong);
        }
        let mut parameters = pairs().map(parse_pair).collect::<Result<Vec<_>, _>>()?;
        parameters.sort_unstable();
        if parameters.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(ConversionError::Repeated);
        }
        Ok(Parameters(parameters))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    fn canonical(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.0.iter().filter(|(name, _)| name != "sig") {
            if !text.is_empty() {
                text.push('&');
            }
            encode(name, &mut text);
            text.push('=');
            encode(value, &mut text);
        }
        text
    }
}

fn parse_pair(pair: &[u8]) -> Result<(String, String), ConversionError> {
    let equals = pair.iter().position(|&b| b == b'=').unwrap_or(pair.len());
    Ok((
        decode(&pair[..equals])?,
        decode(pair.get(equals + 1..).unwrap_or_default())?,
    ))
}

fn decode(mut text: &[u8]) -> Result<String, ConversionError> {
    let mut bytes = Vec::with_capacity(text.len());
    while let [first, rest @ ..] = text {
        text = rest;
        match (first, rest) {
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    text = after;
                }
                _ => bytes.push(b'%'),
            },
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| ConversionError::Encoding)
}

fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02X}").expect("writing into a string cannot fail"),
        }
    }
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let text: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(letter: u8) -> Option<u8> {
    char::from(letter).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: PostbackKey = PostbackKey([3; 32]);

    fn check(query: &str, expected: Result<(&str, i64, Option<&str>), ConversionError>) {
        let read = parse_pixel(query.as_bytes());
        let read = read.as_ref().map(|q| {
            let c = &q.conversion;
            (c.name.as_str(), c.value.0, c.order.as_deref())
        });
        assert_eq!(read.map_err(|error| *error), expected, "{query}");
    }

    #[test]
    fn a_pixel_names_its_conversion() {
        check(
            "t=T&n=purchase&v=12.5&c=usd&o=A%2F7",
            Ok(("purchase", 12_500_000_000, Some("A/7"))),
        );
        check("t=T&n=sign+up", Ok(("sign up", 0, None)));
        check("t=T&n=signup&v=0&o=", Ok(("signup", 0, None)));
        check("n=signup", Err(ConversionError::Token));
        check("t=T", Err(ConversionError::Name));
        check("t=T&n=buy&v=1", Err(ConversionError::Currency));
        check("t=T&n=buy&v=1&c=dollars", Err(ConversionError::Currency));
        for bad in ["-1", "NaN", "1e300", "ten"] {
            check(&format!("t=T&n=buy&v={bad}&c=USD"), Err(ConversionError::Value));
        }
        check("t=T&n=buy&n=bye", Err(ConversionError::Repeated));
        check("t=T&n=%ff", Err(ConversionError::Encoding));
        check("t=T&n=buy&o=1&r=1", Err(ConversionError::Reversal));
        check(
            &format!("t=T&n=buy&o={}", "o".repeat(129)),
            Err(ConversionError::Order),
        );
        check(&"a&".repeat(33), Err(ConversionError::TooLong));
    }

    #[test]
    fn a_signature_covers_every_parameter_in_any_order() {
        let sig = sign(b"t=T&n=buy&v=1&c=USD&o=A%20b", &KEY).unwrap();
        for good in ["t=T&n=buy&v=1&c=USD&o=A+b", "o=A%20b&c=USD&v=1&n=buy&t=T"] {
            let read = parse_postback(format!("{good}&sig={sig}").as_bytes(), &KEY).unwrap();
            assert!(read.conversion.signed);
        }
        for forged in [
            "t=T&n=buy&v=2&c=USD&o=A+b",
            "t=T&n=buy&v=1&c=USD&o=A+b&r=1",
            "t=T&n=buy&v=1&c=USD",
        ] {
            let read = parse_postback(format!("{forged}&sig={sig}").as_bytes(), &KEY);
            assert_eq!(read, Err(ConversionError::Signature), "{forged}");
        }
        let read = parse_postback(
            format!("t=T&n=buy&v=1&c=USD&o=A+b&sig={sig}").as_bytes(),
            &PostbackKey([4; 32]),
        );
        assert_eq!(read, Err(ConversionError::Signature));
    }

    #[test]
    fn the_signature_is_hmac_sha256_of_the_canonical_query() {
        // From: printf 'n=buy&o=A%%20b&t=T' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0303…03
        let expected = "7b48893f3f04610bfddd1ba5c5670fdadaea46f82fee8ce49916382d9f9c7155";
        assert_eq!(sign(b"t=T&o=A+b&n=buy", &KEY).unwrap(), expected);
    }

    #[test]
    fn a_signed_postback_takes_an_order_back() {
        let query = "t=T&n=buy&o=7&r=1";
        let sig = sign(query.as_bytes(), &KEY).unwrap();
        let read = parse_postback(format!("{query}&sig={sig}").as_bytes(), &KEY).unwrap();
        assert!(read.conversion.reversal);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(query in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_pixel(&query);
            let _ = parse_postback(&query, &KEY);
        }
    }
}
