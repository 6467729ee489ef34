//! A domain name in its one form, on the stack: the form that files are kept under and nodes are looked up by.
//! Invariant: lower case, no scheme, path, port, `www.` or trailing dot; 1 to 253 bytes.

/// The longest name that DNS can carry (RFC 1035, section 2.3.4), in text.
const BYTES_MAX: usize = 253;
/// Names in use have at most five labels; what stands in front of eight is not looked at, so that a name made of dots costs no more than another.
const LABELS_MAX: usize = 8;

#[derive(Clone, Copy)]
pub(super) struct Name {
    bytes: [u8; BYTES_MAX],
    len: u8,
}

impl Name {
    /// From a domain, or from a URL that holds one, as people write them into files. `None` where there is no name.
    pub fn of(text: &str) -> Option<Name> {
        // Names in requests are nearly always in order: no scheme, path or port to take off.
        let host = if is_plain(text) { text } else { host(text) };
        let host = without_www(host);
        let unnameable =
            |b: u8| b.is_ascii_whitespace() || b.is_ascii_control() || matches!(b, b',' | b';' | b'=');
        if host.is_empty() || host.len() > BYTES_MAX || host.bytes().any(unnameable) {
            return None;
        }
        let mut bytes = [0; BYTES_MAX];
        bytes[..host.len()].copy_from_slice(host.as_bytes());
        bytes[..host.len()].make_ascii_lowercase();
        Some(Name {
            bytes,
            len: host.len() as u8,
        })
    }

    pub fn as_str(&self) -> &str {
        // ASCII letters alone were changed, in place: the bytes are as much UTF-8 as before.
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }

    /// Of at least two labels, none of them empty: what an advertising system or a publisher can be called.
    pub fn is_domain(&self) -> bool {
        let name = self.as_str();
        name.contains('.') && name.split('.').all(|label| !label.is_empty())
    }

    /// The names above this one and itself, the shortest first, from two labels on: `b.c` and `a.b.c` of `a.b.c`.
    pub fn suffixes(&self) -> impl Iterator<Item = &str> {
        let name = self.as_str();
        let mut starts = [0; LABELS_MAX];
        let mut count = 0;
        let dots = name.bytes().enumerate().rev().filter(|(_, b)| *b == b'.').skip(1);
        for (start, (at, _)) in starts.iter_mut().take(LABELS_MAX - 2).zip(dots) {
            *start = at + 1;
            count += 1;
        }
        // The whole name comes last, where it has two labels.
        count += usize::from(name.contains('.'));
        starts.into_iter().take(count).map(|start| &name[start..])
    }
}

/// Of the letters of host names alone, without a trailing dot.
fn is_plain(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    text.bytes().all(plain) && !text.ends_with('.')
}

/// The host of a URL, or a bare domain as it is.
fn host(text: &str) -> &str {
    let text = trimmed(text);
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let text = text.split(['/', '?', '#']).next().unwrap_or_default();
    let text = text.rsplit_once('@').map_or(text, |(_, host)| host);
    let text = text.split(':').next().unwrap_or_default();
    trimmed(text).trim_end_matches('.')
}

/// `www.` is no part of the name of a site; `www.example` is a name of its own.
fn without_www(host: &str) -> &str {
    match host.split_at_checked(4) {
        Some((www, rest)) if www.eq_ignore_ascii_case("www.") && rest.contains('.') => rest,
        _ => host,
    }
}

/// Without the blanks that files from the net carry: byte order marks, zero-width and no-break spaces included.
pub(super) fn trimmed(text: &str) -> &str {
    let blank =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}');
    text.trim_matches(blank)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_domain_has_one_form() {
        for (text, expected) in [
            ("news.example", Some("news.example")),
            (" News.EXAMPLE. ", Some("news.example")),
            ("www.news.example", Some("news.example")),
            ("WWW.example", Some("www.example")),
            ("https://www.news.example:8443/a?b=c#d", Some("news.example")),
            ("https://user:secret@news.example/", Some("news.example")),
            ("\u{feff}news.example\u{200b}", Some("news.example")),
            ("müller.example", Some("müller.example")),
            ("", None),
            (".", None),
            ("https://", None),
            ("two words.example", None),
            ("a,b.example", None),
        ] {
            let name = Name::of(text);
            assert_eq!(name.as_ref().map(Name::as_str), expected, "{text:?}");
        }
        assert!(Name::of(&"a".repeat(253)).is_some());
        assert!(Name::of(&"a".repeat(254)).is_none());
    }

    #[test]
    fn the_names_above_a_name_come_before_it() {
        for (text, expected) in [
            ("a.b.c.example", vec!["c.example", "b.c.example", "a.b.c.example"]),
            ("c.example", vec!["c.example"]),
            ("example", vec![]),
        ] {
            let name = Name::of(text).expect("a name");
            assert_eq!(name.suffixes().collect::<Vec<_>>(), expected, "{text}");
        }
        let deep = Name::of(&"a.".repeat(100)).expect("a name");
        assert_eq!(deep.suffixes().count(), 7);
    }

    proptest! {
        #[test]
        fn any_text_can_be_taken_for_a_name(text in "\\PC{0,300}|[.a:/@w]{0,300}") {
            if let Some(name) = Name::of(&text) {
                let all: Vec<_> = name.suffixes().collect();
                prop_assert!(all.len() < LABELS_MAX);
                prop_assert!(all.iter().all(|above| name.as_str().ends_with(above)));
            }
        }
    }
}
