//! Consent strings against what their specifications say of them, read by nobody but a naive reader here.

#[path = "privacy/encode.rs"]
mod encode;
#[path = "privacy/laws.rs"]
mod laws;
#[path = "privacy/others.rs"]
mod others;
#[path = "privacy/requests.rs"]
mod requests;
#[path = "privacy/us.rs"]
mod us;

use encode::{JUNE_2025, TcString, Vendors, disclosed_vendors};
use outbid::openrtb::privacy::tcf::{self, Disclosure};
use outbid::units::Timestamp;

const VENDOR: u16 = 755;
/// 2023-10-01 and 2026-02-28 in tenths of a second.
const POLICY_4: u64 = 16_961_184_000;
const DISCLOSURE: u64 = 17_722_368_000;

/// What a TC string gives to [`VENDOR`], or why it cannot be read.
#[track_caller]
fn check(text: &str, expected: &str) {
    let found = match tcf::read(text, VENDOR) {
        Ok(found) => {
            let list = |name: &str, has: &dyn Fn(u8) -> bool| {
                let numbers: Vec<String> = (0..=30)
                    .filter(|number| has(*number))
                    .map(|n| format!(" {n}"))
                    .collect();
                format!("{name}{}", numbers.concat())
            };
            format!(
                "{}, {}, {}",
                list("consent", &|purpose| found.consent(purpose)),
                list("interest", &|purpose| found.legitimate_interest(purpose)),
                list("features", &|feature| found.special_feature(feature))
            )
        }
        Err(unreadable) => format!("{unreadable:?}"),
    };
    assert_eq!(found, expected, "{text}");
}

/// What a case changes in a string that allows everything.
type Change = fn(&mut TcString);

const ALL: &str = "consent 1 2 3 4 5 6 7 8 9 10 11, interest 2 7 8 9 10 11, features 1 2";
const NOTHING: &str = "consent, interest, features";

#[test]
fn a_vendor_may_do_what_user_and_publisher_allow() {
    let cases: &[(Change, &str)] = &[
        (|_| {}, ALL),
        (
            |string| (string.consent, string.interest, string.features) = (vec![1, 2, 24], vec![7], vec![1]),
            "consent 1 2 24, interest 7, features 1",
        ),
        (
            |string| string.consented = Vendors::Bits(vec![754, 756]),
            "consent, interest 2 7 8 9 10 11, features 1 2",
        ),
        (
            |string| string.consented = Vendors::Bits(vec![1]),
            "consent, interest 2 7 8 9 10 11, features 1 2",
        ),
        (
            |string| string.interested = Vendors::Ranges(vec![(1, 754), (756, 900)]),
            "consent 1 2 3 4 5 6 7 8 9 10 11, interest, features 1 2",
        ),
        (
            |string| {
                string.consented = Vendors::Ranges(Vec::new());
                string.interested = Vendors::Bits(Vec::new());
            },
            NOTHING,
        ),
        (
            |string| string.consented = Vendors::Ranges(vec![(800, 900), (2, 3), (755, 755)]),
            ALL,
        ),
        (
            |string| string.interested = Vendors::Ranges(vec![(1, 65535)]),
            ALL,
        ),
        (
            |string| string.purpose_one_not_asked = true,
            "consent 2 3 4 5 6 7 8 9 10 11, interest 2 7 8 9 10 11, features 1 2",
        ),
        (
            |string| string.restrictions = vec![(2, 0, vec![(755, 755)]), (7, 0, vec![(1, 754)])],
            "consent 1 3 4 5 6 7 8 9 10 11, interest 7 8 9 10 11, features 1 2",
        ),
        (
            |string| string.restrictions = vec![(7, 1, vec![(9, 12), (700, 800)]), (1, 1, vec![(755, 755)])],
            "consent 1 2 3 4 5 6 7 8 9 10 11, interest 2 8 9 10 11, features 1 2",
        ),
        (
            |string| string.restrictions = vec![(9, 2, vec![(755, 755)]), (3, 2, vec![(755, 755)])],
            "consent 1 2 4 5 6 7 8 10 11, interest 2 7 8 9 10 11, features 1 2",
        ),
        (
            |string| string.restrictions = vec![(10, 3, vec![(755, 755)]), (60, 0, vec![(755, 755)])],
            "consent 1 2 3 4 5 6 7 8 9 11, interest 2 7 8 9 11, features 1 2",
        ),
        (
            |string| string.restrictions = (1..=11).map(|purpose| (purpose, 0, vec![(755, 755)])).collect(),
            NOTHING,
        ),
    ];
    for (change, expected) in cases {
        let mut string = TcString::all(VENDOR);
        change(&mut string);
        check(&string.text(), expected);
    }
}

#[test]
fn a_string_counts_only_under_the_rules_of_its_day() {
    let us = Some(Vendors::Bits(vec![3, VENDOR]));
    let others = Some(Vendors::Ranges(vec![(1, 754), (756, 2000)]));
    let old = "consent 1 2 3 4 5 6 7 8 9 10 11, interest 2 3 4 5 6 7 8 9 10 11, features 1 2";
    for (made, policy, disclosed, expected) in [
        (POLICY_4 - 1, 2, None, old),
        (POLICY_4 - 1, 3, None, old),
        (POLICY_4 - 1, 4, None, ALL),
        (POLICY_4, 3, None, "Policy(3)"),
        (POLICY_4, 4, None, ALL),
        (DISCLOSURE - 1, 5, None, ALL),
        (DISCLOSURE - 1, 5, us.clone(), ALL),
        (DISCLOSURE - 1, 5, others.clone(), NOTHING),
        (DISCLOSURE, 5, None, NOTHING),
        (DISCLOSURE, 5, us.clone(), ALL),
        (DISCLOSURE, 4, us.clone(), ALL),
        (DISCLOSURE, 5, others, NOTHING),
        (DISCLOSURE, 5, Some(Vendors::Ranges(vec![(700, 800)])), ALL),
    ] {
        for (created, updated) in [(made, made), (made, JUNE_2025 / 2), (JUNE_2025 / 2, made)] {
            let string = TcString {
                created,
                updated,
                policy,
                disclosed: disclosed.clone(),
                ..TcString::all(VENDOR)
            };
            check(&string.text(), expected);
        }
    }
}

#[test]
fn segments_come_in_any_order_and_others_are_passed_over() {
    let core = TcString {
        created: DISCLOSURE,
        ..TcString::all(VENDOR)
    }
    .core();
    let us = disclosed_vendors(&Vendors::Ranges(vec![(755, 755)]));
    let others = disclosed_vendors(&Vendors::Bits(vec![1]));
    for (segments, expected) in [
        (vec!["YAAAAAAAAAA", us.as_str()], ALL),
        (vec![&us, "YAAAAAAAAAA"], ALL),
        // allowedVendors, and a type that nobody has defined
        (vec!["QAAA", &us, "wAAA"], ALL),
        (vec!["YAAAAAAAAAA"], NOTHING),
        (vec![&us, &others], NOTHING),
        (vec![&others, &us], NOTHING),
        (vec![&us, ""], "Truncated"),
        (vec!["IAB"], "Truncated"),
        (vec![&us, "Y AA"], "Alphabet"),
    ] {
        check(&format!("{core}.{}", segments.join(".")), expected);
    }
}

#[test]
fn what_cannot_be_read_says_so() {
    let backwards = Vendors::Ranges(vec![(9, 8)]);
    let changed = |change: &dyn Fn(&mut TcString)| {
        let mut string = TcString::all(VENDOR);
        change(&mut string);
        string.text()
    };
    for (text, expected) in [
        ("", "Truncated"),
        ("C", "Truncated"),
        ("not a TC string", "Alphabet"),
        ("gdpr-consent-string", "Version(32)"),
        // Version 1 of the framework
        ("BOPVK28OPVK28ABABAENA8-AAAADkCNQCGoQAAQ", "Version(1)"),
        // For all services, which is no longer valid
        (
            "COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA",
            "NotServiceSpecific",
        ),
        (&changed(&|string| string.version = 3), "Version(3)"),
        (
            &changed(&|string| string.service_specific = false),
            "NotServiceSpecific",
        ),
        (&changed(&|string| string.consented = backwards.clone()), "Range"),
        (
            &changed(&|string| string.restrictions = vec![(1, 0, vec![(9, 8)])]),
            "Range",
        ),
        (&"C".repeat(40_000), "TooLong"),
        (
            &format!("{}.", TcString::all(VENDOR).core()).repeat(2000),
            "TooLong",
        ),
    ] {
        check(text, expected);
    }
}

/// The examples of the specifications of GPP 1.0 and TCF 2.3, and what the reference decoder finds in the first.
#[test]
fn strings_of_others_are_read_as_others_read_them() {
    let found = tcf::read("CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA", VENDOR).unwrap();
    assert_eq!(found.made, Timestamp::from_secs(1_650_492_000));
    assert_eq!(
        (
            found.cmp_id,
            found.vendor_list_version,
            found.policy_version,
            found.disclosure
        ),
        (31, 126, 2, Disclosure::Unknown)
    );
    // Of June 2025, but under policy version 2: the format is shown, the string would not be valid.
    check(
        "CQSbk4AQSbk4ANwAAAENAwCgAAAAAAAAAAYgACPAAAAA.IDKQA4AAgAKAGQAygAAA.YAAAAAAAAAAA",
        "Policy(2)",
    );
}
