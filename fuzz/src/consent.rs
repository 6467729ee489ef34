//! Consent strings: what they leave never depends on memory, and never exceeds what their bits say.

use super::allocations::at_most;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use outbid::openrtb::privacy::{TEXT_MAX, Uses, gpp, opts_out_of_sale, tcf};

/// A vendor id (two bytes, big endian), then a TC string.
pub fn tc_string(data: &[u8]) {
    let Some(([high, low], text)) = data.split_first_chunk().map(|(id, text)| (*id, text)) else {
        return;
    };
    let (vendor, Ok(text)) = (u16::from_be_bytes([high, low]), std::str::from_utf8(text)) else {
        return;
    };
    let found = at_most(0, || tcf::read(text, vendor));
    assert_eq!(found, tcf::read(text, vendor));
    let Ok(found) = found else {
        return;
    };
    assert!(text.len() <= TEXT_MAX);
    let core = core_bytes(text);
    assert_eq!(int(&core, 0, 6), 2, "version");
    for purpose in 1..=24 {
        // PurposesConsent from bit 152, PurposesLITransparency from bit 176.
        assert!(!found.consent(purpose) || bit(&core, 151 + usize::from(purpose)));
        assert!(!found.legitimate_interest(purpose) || bit(&core, 175 + usize::from(purpose)));
    }
    for feature in 1..=12 {
        assert!(!found.special_feature(feature) || bit(&core, 139 + usize::from(feature)));
    }
    if vendor == 0 {
        assert_eq!(Uses::of(&found), Uses::NONE);
    }
}

/// A number of sections, their ids, then a GPP string.
pub fn gpp_string(data: &[u8]) {
    let Some((count, rest)) = data.split_first() else {
        return;
    };
    let (ids, text) = rest.split_at(usize::from(count % 8).min(rest.len()));
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let ids: Vec<u32> = ids.iter().map(|id| u32::from(*id)).collect();
    let all = at_most(0, || gpp::allowed(text, &ids, Some(755)));
    assert_eq!(all, gpp::allowed(text, &ids, Some(755)));
    for id in &ids {
        let one = gpp::allowed(text, &[*id], Some(755));
        assert!(
            one.holds(all),
            "a section more loosens: {ids:?} leave {all:?}, {id} alone {one:?}"
        );
    }
    let nobody = gpp::allowed(text, &ids, None);
    assert!(all.holds(nobody), "without a vendor id more is left");
    at_most(0, || opts_out_of_sale(text));
}

/// The core segment, as an ordinary decoder of base64 reads it; bits beyond its end are zeros. Strings in the standard alphabet
/// of base64 are read like those in the URL-safe one.
fn core_bytes(text: &str) -> Vec<u8> {
    let text = text.replace('+', "-").replace('/', "_");
    let core = text.split('.').next().unwrap_or_default().trim_end_matches('=');
    // Whole bytes are three of four letters; the rest is padded with zero bits, which is `A`.
    let padded = format!("{core}{}", &"AAAA"[core.len() % 4..]);
    URL_SAFE_NO_PAD.decode(padded).expect("what was read is base64")
}

fn bit(bytes: &[u8], at: usize) -> bool {
    bytes
        .get(at / 8)
        .is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1)
}

fn int(bytes: &[u8], from: usize, width: usize) -> u32 {
    (from..from + width).fold(0, |value, at| value << 1 | u32::from(bit(bytes, at)))
}
