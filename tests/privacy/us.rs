//! The US sections, field by field as their specifications name them.

use super::encode::{Bits, gpp, us_core};
use outbid::openrtb::privacy::{Uses, gpp as reader, us_sections};

/// Section, version, and each field with its number of entries.
type Section = (u32, u64, &'static [(&'static str, usize)]);

const MSPA: [(&str, usize); 3] = [
    ("MspaCoveredTransaction", 1),
    ("MspaOptOutOptionMode", 1),
    ("MspaServiceProviderMode", 1),
];

/// Where precise geolocation stands in `SensitiveDataProcessing`, from 1.
fn location_entry(section: u32) -> usize {
    match section {
        8 => 3,
        10 => 0,
        15 => 11,
        _ => 8,
    }
}

const NATIONAL: &[(&str, usize)] = &[
    ("SharingNotice", 1),
    ("SaleOptOutNotice", 1),
    ("SharingOptOutNotice", 1),
    ("TargetedAdvertisingOptOutNotice", 1),
    ("SensitiveDataProcessingOptOutNotice", 1),
    ("SensitiveDataLimitUseNotice", 1),
    ("SaleOptOut", 1),
    ("SharingOptOut", 1),
    ("TargetedAdvertisingOptOut", 1),
];

const CALIFORNIA: &[(&str, usize)] = &[
    ("SaleOptOutNotice", 1),
    ("SharingOptOutNotice", 1),
    ("SensitiveDataLimitUseNotice", 1),
    ("SaleOptOut", 1),
    ("SharingOptOut", 1),
];

const STATE: &[(&str, usize)] = &[
    ("ProcessingNotice", 1),
    ("SaleOptOutNotice", 1),
    ("TargetedAdvertisingOptOutNotice", 1),
    ("SaleOptOut", 1),
    ("TargetedAdvertisingOptOut", 1),
];

const STATE_WITH_SENSITIVE_NOTICE: &[(&str, usize)] = &[
    ("ProcessingNotice", 1),
    ("SaleOptOutNotice", 1),
    ("TargetedAdvertisingOptOutNotice", 1),
    ("SensitiveDataOptOutNotice", 1),
    ("SaleOptOut", 1),
    ("TargetedAdvertisingOptOut", 1),
];

/// Then come entries for sensitive data, for children, and for further consent.
const SECTIONS: [(Section, [usize; 3]); 18] = [
    ((7, 1, NATIONAL), [12, 2, 1]),
    ((7, 2, NATIONAL), [16, 3, 1]),
    ((8, 1, CALIFORNIA), [9, 2, 1]),
    ((9, 1, STATE), [8, 1, 0]),
    ((10, 1, STATE), [7, 1, 0]),
    ((11, 1, STATE_WITH_SENSITIVE_NOTICE), [8, 1, 0]),
    ((12, 1, STATE), [8, 3, 0]),
    ((13, 1, STATE), [8, 3, 1]),
    ((14, 1, STATE), [8, 3, 1]),
    ((15, 1, STATE), [11, 3, 1]),
    ((16, 1, STATE), [8, 1, 1]),
    ((17, 1, STATE), [9, 5, 1]),
    ((18, 1, STATE_WITH_SENSITIVE_NOTICE), [8, 1, 0]),
    ((19, 1, STATE), [8, 1, 1]),
    ((20, 1, STATE), [8, 3, 1]),
    ((21, 1, STATE), [10, 5, 1]),
    ((22, 1, STATE), [8, 1, 1]),
    ((23, 1, STATE), [8, 1, 1]),
];

/// The names of all entries of a section in order, the entry's number behind those of a list.
fn entries(
    &((_, _, head), [sensitive, children, further]): &(Section, [usize; 3]),
) -> Vec<(&'static str, usize)> {
    let tail = [
        ("SensitiveDataProcessing", sensitive),
        ("KnownChildSensitiveDataConsents", children),
        ("PersonalDataConsents", further),
    ];
    let fields = head.iter().chain(&tail).chain(&MSPA);
    fields
        .flat_map(|(name, count)| (1..=*count).map(|entry| (*name, entry)))
        .collect()
}

fn opts_out(name: &str, value: u8) -> bool {
    match name {
        "SaleOptOut" | "SharingOptOut" | "TargetedAdvertisingOptOut" | "PersonalDataConsents" => value == 1,
        "KnownChildSensitiveDataConsents" | "MspaServiceProviderMode" => value == 1,
        "SharingNotice" | "ProcessingNotice" | "SaleOptOutNotice" => value == 2,
        "SharingOptOutNotice" | "TargetedAdvertisingOptOutNotice" => value == 2,
        _ => false,
    }
}

fn hides_location(section: u32, (name, entry): (&str, usize), value: u8) -> bool {
    match name {
        "SensitiveDataProcessing" if entry != location_entry(section) => false,
        "SensitiveDataProcessing" if [8, 11, 18].contains(&section) => value == 1,
        "SensitiveDataProcessing" => value != 2,
        "SensitiveDataProcessingOptOutNotice" | "SensitiveDataLimitUseNotice" => value == 2,
        "SensitiveDataOptOutNotice" => value == 2,
        _ => false,
    }
}

/// Every field at every value, all others saying that everything was told and allowed.
#[test]
fn every_field_of_every_section_is_read_restrictively() {
    for section in &SECTIONS {
        let (id, version, _) = section.0;
        let names = entries(section);
        let harmless: Vec<u8> = names
            .iter()
            .map(|(name, _)| if name.ends_with("Notice") { 1 } else { 2 })
            .collect();
        for (at, entry) in names.iter().enumerate() {
            for value in 0..=3 {
                let mut values = harmless.clone();
                values[at] = value;
                let expected = if value == 3 || opts_out(entry.0, value) {
                    Uses::OPTED_OUT
                } else if hides_location(id, *entry, value) {
                    Uses::ALL.without(Uses::PRECISE_LOCATION)
                } else {
                    Uses::ALL
                };
                let text = gpp(&[(id, us_core(version, &values))]);
                assert_eq!(
                    reader::allowed(&text, &[id], None),
                    expected,
                    "{id} {entry:?} = {value}: {text}"
                );
                assert_eq!(value == 3, reader::read(&text, &[id], None).is_err(), "{text}");
            }
        }
    }
}

#[test]
fn the_global_privacy_control_opts_out_whatever_the_core_says() {
    let segment = |kind, on| Bits::default().int(kind, 2).int(on, 1).text();
    for section in &SECTIONS {
        let (id, version, _) = section.0;
        let core = us_core(version, &vec![0; entries(section).len()]);
        let quiet = us_sections::read(id, &core).unwrap();
        assert!(quiet.holds(Uses::PERSONAL_DATA), "{id}");
        for (segments, expected) in [
            (vec![segment(1, 0)], Some(quiet)),
            (vec![segment(1, 1)], Some(Uses::OPTED_OUT)),
            (vec![segment(1, 1), segment(1, 0)], Some(Uses::OPTED_OUT)),
            (vec![segment(0, 0)], None),
            (vec![segment(2, 0)], None),
            (vec![String::new()], None),
        ] {
            let text = format!("{core}.{}", segments.join("."));
            assert_eq!(us_sections::read(id, &text).ok(), expected, "{id} {text}");
        }
    }
}

#[test]
fn other_versions_and_short_texts_are_unreadable() {
    for section in &SECTIONS {
        let (id, version, _) = section.0;
        let values = vec![2; entries(section).len()];
        let known = if id == 7 { 3 } else { 2 };
        assert!(us_sections::read(id, &us_core(known, &values)).is_err(), "{id}");
        assert!(us_sections::read(id, &us_core(0, &values)).is_err(), "{id}");
        let whole = us_core(version, &values);
        for length in 0..whole.len() {
            assert!(
                us_sections::read(id, &whole[..length]).is_err(),
                "{id} {}",
                &whole[..length]
            );
        }
        assert!(us_sections::read(id, &format!("{whole}AA")).is_ok(), "{id}");
    }
}

/// Strings as consent platforms and the reference implementations write them.
#[test]
fn strings_of_others_are_read_as_others_read_them() {
    let but_location = Uses::ALL.without(Uses::PRECISE_LOCATION);
    for (text, section, expected) in [
        ("DBABLA~BVQqAAAAAgA.QA", 7, but_location),
        ("DBABL~BVQqAAAAAg", 7, but_location),
        ("DBABL~BVQVAAAAAg", 7, Uses::OPTED_OUT),
        ("DBABLA~BAAAAAAAAQA", 7, but_location),
        ("DBABLA~CAAAAAAAAAWA.Q", 7, Uses::OPTED_OUT),
        ("DBABLA~BVVVVVVVVWA.YA", 7, Uses::OPTED_OUT),
        ("DBABBg~BAAAAACA", 8, Uses::ALL),
        ("DBABBg~BVVVVVVY", 8, Uses::OPTED_OUT),
        ("DBABRg~BAAAABA", 9, but_location),
        ("DBABRg~BVVVVWY", 9, Uses::OPTED_OUT),
        ("DBABJg~BAAAAEA", 10, Uses::ALL),
        ("DBABJg~BVVVVVg.YA", 10, Uses::OPTED_OUT),
        ("DBABFg~BAAAAAQA", 11, Uses::ALL),
        ("DBABVg~BAAAAAEA", 12, but_location),
        ("DBABVg~BVVVVVVg", 12, Uses::OPTED_OUT),
    ] {
        assert_eq!(reader::allowed(text, &[section], None), expected, "{text}");
    }
}
