//! What holds of every consent string, sound or broken.

use super::encode::{self, Restriction, TcString, Vendors};
use outbid::openrtb::privacy::{Uses, gpp, opts_out_of_sale, tcf, us_sections};
use proptest::collection::vec;
use proptest::prelude::*;

fn vendors() -> impl Strategy<Value = Vendors> {
    prop_oneof![
        vec(1_u16..60, 0..30).prop_map(Vendors::Bits),
        ranges().prop_map(Vendors::Ranges),
    ]
}

fn ranges() -> impl Strategy<Value = Vec<(u16, u16)>> {
    vec(
        (1_u16..60, 0_u16..9).prop_map(|(first, more)| (first, first + more)),
        0..6,
    )
}

fn restrictions() -> impl Strategy<Value = Vec<Restriction>> {
    vec((1_u8..14, 0_u8..4, ranges()), 0..6)
}

fn tc_string() -> impl Strategy<Value = TcString> {
    let times = (
        16_900_000_000_u64..17_800_000_000,
        16_900_000_000_u64..17_800_000_000,
    );
    let flags = (2_u64..7, prop::bool::weighted(0.9), prop::bool::weighted(0.2));
    let choices = (vec(1_u8..=12, 0..6), vec(1_u8..=24, 0..24), vec(1_u8..=24, 0..24));
    let sets = (
        vendors(),
        vendors(),
        restrictions(),
        prop::option::weighted(0.7, vendors()),
    );
    (times, flags, choices, sets).prop_map(|(times, flags, choices, sets)| TcString {
        version: 2,
        created: times.0,
        updated: times.1,
        policy: flags.0,
        service_specific: flags.1,
        purpose_one_not_asked: flags.2,
        features: choices.0,
        consent: choices.1,
        interest: choices.2,
        consented: sets.0,
        interested: sets.1,
        restrictions: sets.2,
        disclosed: sets.3,
    })
}

/// The rules once more, as a person would look them up: may `vendor` do `purpose` by consent, by interest?
fn bases(string: &TcString, vendor: u16, purpose: u8) -> (bool, bool) {
    let made = string.created.max(string.updated);
    let disclosed = match &string.disclosed {
        Some(vendors) => vendors.has(vendor),
        None => made < super::DISCLOSURE,
    };
    let restricted = |kinds: &[u8]| {
        string.restrictions.iter().any(|(of, kind, list)| {
            *of == purpose && kinds.contains(kind) && Vendors::Ranges(list.clone()).has(vendor)
        })
    };
    let consent = string.consent.contains(&purpose)
        && string.consented.has(vendor)
        && !(purpose == 1 && string.purpose_one_not_asked)
        && !restricted(&[0, 2, 3]);
    let possible = purpose != 1 && !(string.policy >= 4 && (3..=6).contains(&purpose));
    let interest = possible
        && string.interest.contains(&purpose)
        && string.interested.has(vendor)
        && !restricted(&[0, 1, 3]);
    (disclosed && consent, disclosed && interest)
}

fn valid(string: &TcString) -> bool {
    let made = string.created.max(string.updated);
    string.service_specific && (string.policy >= 4 || made < super::POLICY_4)
}

proptest! {
    #[test]
    fn a_written_string_is_read_as_it_was_meant(string in tc_string(), vendor in 0_u16..70) {
        let found = tcf::read(&string.text(), vendor);
        prop_assert_eq!(found.is_ok(), valid(&string));
        if let Ok(found) = found {
            for purpose in 0..=25 {
                let expected = bases(&string, vendor, purpose);
                prop_assert_eq!((found.consent(purpose), found.legitimate_interest(purpose)), expected, "purpose {}", purpose);
            }
            let any = (1..=24).any(|purpose| found.either(purpose));
            for feature in 0..=13 {
                prop_assert!(!found.special_feature(feature) || string.features.contains(&feature));
                prop_assert!(any || !found.special_feature(feature));
            }
        }
    }

    #[test]
    fn a_restriction_never_gives_anything(string in tc_string(), more in (1_u8..14, 0_u8..4, ranges()), vendor in 1_u16..70) {
        let restricted = TcString { restrictions: [string.restrictions.clone(), vec![more]].concat(), ..string.clone() };
        if let (Ok(before), Ok(after)) = (tcf::read(&string.text(), vendor), tcf::read(&restricted.text(), vendor)) {
            prop_assert!(Uses::of(&before).holds(Uses::of(&after)));
        }
    }

    #[test]
    fn a_cut_core_is_unreadable(string in tc_string().prop_filter("valid", valid), cut in any::<prop::sample::Index>()) {
        let core = string.core();
        // The last character may hold nothing but filling.
        let cut = cut.index(core.len() - 1);
        prop_assert!(tcf::read(&core[..cut], 7).is_err());
    }

    #[test]
    fn any_text_is_answered_without_a_panic(text in "\\PC{0,80}|[A-Za-z0-9_.~=-]{0,300}", section in 0_u32..70, vendor in any::<u16>()) {
        let _ = tcf::read(&text, vendor);
        let _ = us_sections::read(section, &text);
        let _ = opts_out_of_sale(&text);
        let _ = gpp::allowed(&text, &[section, section / 2], Some(vendor));
    }

    #[test]
    fn any_text_behind_a_sound_beginning_is_answered_without_a_panic(text in "[A-Za-z0-9_.~-]{0,300}", section in 1_u32..64, vendor in any::<u16>()) {
        let core = TcString::all(7).core();
        let _ = tcf::read(&format!("{}{text}", &core[..40]), vendor);
        let _ = tcf::read(&format!("{core}.I{text}"), vendor);
        let _ = us_sections::read(section, &format!("B{text}"));
        let _ = gpp::allowed(&format!("DB{text}"), &[section], Some(vendor));
        let whole = encode::gpp(&[(section, text.replace('~', ""))]);
        prop_assert!(Uses::ALL.holds(gpp::allowed(&whole, &[section], Some(vendor))));
    }

    #[test]
    fn a_flipped_bit_is_answered_without_a_panic(string in tc_string(), at in any::<prop::sample::Index>(), bit in 0..8_u32, vendor in 0_u16..70) {
        let mut bytes = string.text().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let text = String::from_utf8_lossy(&bytes);
        let _ = tcf::read(&text, vendor);
        let _ = gpp::allowed(&encode::gpp(&[(2, text.into_owned())]), &[2], Some(vendor));
    }

    #[test]
    fn a_header_names_its_sections(ids in prop::collection::btree_set(1_u32..64, 0..40), wanted in 1_u32..64) {
        let sections: Vec<(u32, String)> = ids.iter().map(|id| (*id, if *id == 6 { "1YNN" } else { "junk" }.to_owned())).collect();
        let left = gpp::read(&encode::gpp(&sections), &[wanted], None);
        // Section 2 is not even read without a vendor id.
        prop_assert_eq!(left.is_ok(), ids.contains(&wanted) && [2, 6].contains(&wanted));
    }

    #[test]
    fn numbers_survive_fibonacci_coding(first in 1_u32..46_000, more in 1_u32..30) {
        let sections: Vec<(u32, String)> = (first..=first + more).chain([first + more + 5]).map(|id| (id, String::new())).collect();
        let whole = encode::gpp(&sections);
        // All pieces are named, and only those.
        let found = |text: &str| gpp::read(text, &[], None);
        prop_assert_eq!(found(&whole), Ok(Uses::ALL));
        let longer = format!("{whole}~");
        prop_assert!(found(&longer).is_err());
        prop_assert!(found(whole.rsplit_once('~').unwrap().0).is_err());
    }
}
