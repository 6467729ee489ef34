//! `ads.txt` and `app-ads.txt` (IAB Tech Lab, version 1.1): who may sell the inventory of a domain.
//!
//! Invariant: any bytes can be read; a line that means nothing authorises nobody.
//!
//! | in a file | is read as |
//! |---|---|
//! | `SYSTEM, SELLER, DIRECT or RESELLER[, certification][; extension][# comment]` | a [`Line::Record`] |
//! | `SUBDOMAIN=NAME` | a subdomain that has a file of its own |
//! | `INVENTORYPARTNERDOMAIN=NAME` | a domain whose file authorises sellers too |
//! | `CONTACT=`, `OWNERDOMAIN=`, `MANAGERDOMAIN=` and other variables | nothing: they authorise nobody |
//! | `placeholder.example.com, placeholder, DIRECT, placeholder` | a record like any other: the file is there and authorises nobody else |
//! | a byte order mark, blanks of any kind, CR line ends, letters of any case | nothing |
//! | a scheme or a path around the system's name, text behind the relation | nothing |
//! | anything else, such as the HTML of an error page | nothing |

use super::name::{Name, trimmed};

/// What one line says.
pub(super) enum Line<'t> {
    Record {
        system: Name,
        /// The publisher's account there, compared letter by letter.
        seller: &'t str,
        relation: Relation,
    },
    Subdomain(Name),
    InventoryPartner(Name),
}

/// How the publisher deals with the seller; a seller can be listed as both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// The publisher controls the account.
    Direct = 0b01,
    /// Another sells on the publisher's behalf.
    Reseller = 0b10,
}

/// The lines of a file that say something.
pub(super) fn lines(file: &[u8]) -> impl Iterator<Item = Line<'_>> {
    file.split(|b| matches!(b, b'\n' | b'\r')).filter_map(parse_line)
}

fn parse_line(line: &[u8]) -> Option<Line<'_>> {
    // Comments are cut first: they are often in another encoding than the rest.
    let line = line.split(|b| *b == b'#').next()?;
    let line = trimmed(std::str::from_utf8(line).ok()?);
    let line = line.split(';').next()?;
    match line.split_once('=') {
        Some((name, value)) if !name.contains(',') => parse_variable(trimmed(name), value),
        _ => parse_record(line),
    }
}

fn parse_variable<'t>(name: &str, value: &str) -> Option<Line<'t>> {
    let domain = || Name::of(value.split(',').next()?).filter(Name::is_domain);
    if name.eq_ignore_ascii_case("SUBDOMAIN") {
        domain().map(Line::Subdomain)
    } else if name.eq_ignore_ascii_case("INVENTORYPARTNERDOMAIN") {
        domain().map(Line::InventoryPartner)
    } else {
        None
    }
}

fn parse_record(line: &str) -> Option<Line<'_>> {
    let mut fields = line.split(',').map(trimmed);
    let system = Name::of(fields.next()?).filter(Name::is_domain)?;
    let seller = fields.next().filter(|seller| !seller.is_empty())?;
    let relation = parse_relation(fields.next()?)?;
    Some(Line::Record {
        system,
        seller,
        relation,
    })
}

/// The first word counts: commas behind it are often forgotten.
fn parse_relation(field: &str) -> Option<Relation> {
    let word = field.split(|c: char| !c.is_ascii_alphabetic()).next()?;
    let relations = [("DIRECT", Relation::Direct), ("RESELLER", Relation::Reseller)];
    let found = relations.iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
    found.map(|(_, relation)| *relation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(line: &[u8], expected: &str) {
        let shown = match parse_line(line) {
            Some(Line::Record {
                system,
                seller,
                relation,
            }) => format!("{} {seller} {relation:?}", system.as_str()),
            Some(Line::Subdomain(name)) => format!("subdomain {}", name.as_str()),
            Some(Line::InventoryPartner(name)) => format!("partner {}", name.as_str()),
            None => String::new(),
        };
        assert_eq!(shown, expected, "{}", String::from_utf8_lossy(line));
    }

    #[test]
    fn lines_are_read_in_every_form_that_publishers_write() {
        for (line, expected) in [
            (&b"ssp.example, 12345, DIRECT"[..], "ssp.example 12345 Direct"),
            (b"SSP.Example,pub-1,reseller,f08c47", "ssp.example pub-1 Reseller"),
            (
                b"\xef\xbb\xbfssp.example\t,\t1 , Direct # ours",
                "ssp.example 1 Direct",
            ),
            (b"ssp.example, 1, DIRECT # caf\xe9", "ssp.example 1 Direct"),
            (
                b"ssp.example,\xc2\xa0a==,\xc2\xa0DIRECT; ext=1",
                "ssp.example a== Direct",
            ),
            (
                b"https://www.ssp.example/, 1, RESELLER abc",
                "ssp.example 1 Reseller",
            ),
            (
                b"placeholder.example.com, placeholder, DIRECT, placeholder",
                "placeholder.example.com placeholder Direct",
            ),
            (b"SubDomain = a.news.example", "subdomain a.news.example"),
            (
                b"inventorypartnerdomain=Partner.example # tv",
                "partner partner.example",
            ),
            (b"CONTACT=ads@news.example", ""),
            (b"OWNERDOMAIN=news.example", ""),
            (b"MANAGERDOMAIN=ssp.example, US", ""),
            (b"SUBDOMAIN=", ""),
            (b"# ssp.example, 1, DIRECT", ""),
            (b"ssp.example, 1", ""),
            (b"ssp.example, , DIRECT", ""),
            (b"ssp.example, 1, DIRECTLY", ""),
            (b"ssp, 1, DIRECT", ""),
            (b"<p>Dear reader, we are, DIRECT", ""),
            (b"\xff\xfes\0s\0p\0", ""),
            (b"", ""),
        ] {
            check(line, expected);
        }
    }

    #[test]
    fn a_file_may_end_its_lines_in_any_way() {
        assert_eq!(
            lines(b"a.example,1,DIRECT\r\n\r\nb.example,2,DIRECT\rc.example,3,DIRECT\n").count(),
            3
        );
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(file in prop::collection::vec(any::<u8>(), 0..400)) {
            lines(&file).for_each(drop);
        }

        #[test]
        fn any_text_of_its_letters_can_be_read(file in "[a-z.,;=# \n\u{feff}DIRECT]{0,200}") {
            lines(file.as_bytes()).for_each(drop);
        }
    }
}
