//! URLs made safe for the markup around them.

/// Appends `url` with every byte percent-encoded that could end an attribute, a CDATA section or a string, or that
/// is not printable ASCII. Macros of any exchange (`${…}`, `%%…%%`, `[…]`, `{{…}}`) stay as they are.
pub(super) fn write_safe(out: &mut Vec<u8>, url: &str) {
    write_encoded(out, url, is_safe);
}

/// Appends `text` as one component of a URL: all but the unreserved characters of RFC 3986 is percent-encoded.
pub(super) fn write_component(out: &mut Vec<u8>, text: &str) {
    write_encoded(out, text, |b| {
        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')
    });
}

/// [`write_safe`] would append it as it is.
pub(super) fn is_all_safe(url: &str) -> bool {
    url.bytes().all(is_safe)
}

/// [`write_safe`] at compile time.
pub(super) fn safe(url: &str) -> String {
    let mut out = Vec::with_capacity(url.len());
    write_safe(&mut out, url);
    String::from_utf8(out).expect("all of it is ASCII")
}

/// `http:` stands nowhere in `text`, in any case. The names of XML namespaces under `www.w3.org` are no addresses
/// that are fetched.
pub(super) fn is_secure(text: &str) -> bool {
    const SCHEME: &[u8] = b"http:";
    const NAMESPACE: &[u8] = b"http://www.w3.org/";
    let bytes = text.as_bytes();
    bytes
        .windows(SCHEME.len())
        .enumerate()
        .all(|(i, window)| !window.eq_ignore_ascii_case(SCHEME) || bytes[i..].starts_with(NAMESPACE))
}

/// `http://` or `https://` and a host.
pub(super) fn is_absolute(url: &str) -> bool {
    let host = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && !host.starts_with('/'))
}

fn is_safe(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'\\' | b'`')
}

fn write_encoded(out: &mut Vec<u8>, text: &str, keep: impl Fn(u8) -> bool) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if keep(byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_cannot_leave_the_place_they_stand_in() {
        for (url, expected) in [
            (
                "https://a.example/p?q=1&r=${AUCTION_PRICE}#f",
                "https://a.example/p?q=1&r=${AUCTION_PRICE}#f",
            ),
            ("a\"b'c<d>e", "a%22b%27c%3Cd%3Ee"),
            ("]]> \\`\n", "]]%3E%20%5C%60%0A"),
            ("%%CLICK%%é", "%%CLICK%%%C3%A9"),
        ] {
            assert_eq!(safe(url), expected);
            assert_eq!(is_all_safe(url), url == expected);
        }
    }

    #[test]
    fn a_component_holds_unreserved_characters_only() {
        let mut out = Vec::new();
        write_component(&mut out, "https://a.example/n?t=A-b_~.");
        assert_eq!(out, b"https%3A%2F%2Fa.example%2Fn%3Ft%3DA-b_~.");
    }

    #[test]
    fn http_is_found_in_any_case_but_namespaces_are_names() {
        for (text, expected) in [
            ("<img src=https://a.example>", true),
            ("<img src='HTTP://a.example'>", false),
            ("http:\\/\\/a.example", false),
            ("<svg xmlns=\"http://www.w3.org/2000/svg\">", true),
            ("http", true),
            ("", true),
        ] {
            assert_eq!(is_secure(text), expected, "{text}");
        }
    }
}
