//! Strings that an encoder which is not ours has written, one a line, with what they leave.

use super::check;
use outbid::openrtb::privacy::{Uses, gpp};

/// TC string, what it gives to the vendor 755, what it is a case of.
const TCF: &str = include_str!("encoded/tcf.tsv");

/// Section in force, GPP string, what is left, the field that was changed in a string that allows everything.
const GPP: &str = include_str!("encoded/gpp.tsv");

#[test]
fn tc_strings_of_another_encoder_are_read_as_they_were_meant() {
    for line in TCF.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        check(fields[0], fields[1]);
    }
    assert_eq!(TCF.lines().count(), 12);
}

#[test]
fn gpp_strings_of_another_encoder_are_read_as_they_were_meant() {
    for line in GPP.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let expected = match fields[2] {
            "allowed" => Uses::ALL,
            "no_location" => Uses::ALL.without(Uses::PRECISE_LOCATION),
            "opted_out" => Uses::OPTED_OUT,
            other => panic!("{other} in {line}"),
        };
        assert_eq!(
            gpp::read(fields[1], &[fields[0].parse().unwrap()], None),
            Ok(expected),
            "{line}"
        );
    }
    assert_eq!(GPP.lines().count(), 209);
}
