//! Versions of operating systems, compared number by number: 10.2 < 10.10.

/// Up to four numbers; missing ones are zero, so 10 = 10.0. Later ones are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version([u32; PARTS]);

/// `14.5.1.2` is the longest that operating systems report; a fifth number is a build.
const PARTS: usize = 4;

impl Version {
    /// Reads `17`, `10.0.19045`, `10_15_7`; `None` where the text does not start with a number.
    pub fn parse(text: &str) -> Option<Version> {
        Version::padded(text, 0)
    }

    /// The last version that `text` covers as an upper limit: `16` lets 16.4 pass.
    pub fn parse_upper(text: &str) -> Option<Version> {
        Version::padded(text, u32::MAX)
    }

    fn padded(text: &str, missing: u32) -> Option<Version> {
        let mut parts = [missing; PARTS];
        let mut numbers = text.trim().split(['.', '_']).map_while(leading_number);
        parts[0] = numbers.next()?;
        for (part, number) in parts[1..].iter_mut().zip(numbers) {
            *part = number;
        }
        Some(Version(parts))
    }
}

fn leading_number(text: &str) -> Option<u32> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_number_by_number() {
        for (smaller, larger) in [
            ("10.2", "10.10"),
            ("9", "10"),
            ("10", "10.0.1"),
            ("10_15", "10_15_7"),
            ("0", "1b2"),
        ] {
            assert!(
                Version::parse(smaller) < Version::parse(larger),
                "{smaller} < {larger}"
            );
        }
        assert_eq!(Version::parse("10"), Version::parse("10.0"));
    }

    #[test]
    fn an_upper_limit_covers_what_it_does_not_name() {
        let limit = Version::parse_upper("16");
        assert!(Version::parse("16.4") <= limit);
        assert!(Version::parse("17") > limit);
    }

    #[test]
    fn text_without_a_number_is_no_version() {
        for text in ["", "x", ".1", "99999999999"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
