//! The sections of the Global Privacy Platform for the United States: 7 (usnat) and 8 to 23 (states). Invariant: where
//! the specification leaves room, the restrictive reading is taken.
//!
//! After six bits of version, the core segment is a list of two-bit fields; `Gpc` is the only other segment.
//!
//! | field | value | read as |
//! |---|---|---|
//! | `SaleOptOut`, `SharingOptOut`, `TargetedAdvertisingOptOut` | 1 opted out | opted out |
//! | `SharingNotice`, `ProcessingNotice`, `SaleOptOutNotice`, `SharingOptOutNotice`, `TargetedAdvertisingOptOutNotice` | 2 not provided | opted out: who was not told has not chosen |
//! | `KnownChildSensitiveDataConsents`, any entry | 1 no consent | opted out |
//! | `PersonalDataConsents`, `AdditionalDataProcessingConsent` | 1 no consent | opted out |
//! | `MspaServiceProviderMode` | 1 yes | opted out: we would act for the publisher alone, without data from elsewhere |
//! | `Gpc` | true | opted out |
//! | `SensitiveDataProcessing`, precise geolocation, where it needs consent | other than 2 consent | no precise location |
//! | the same, where it is a choice to opt out (California, Iowa, Utah) | 1 opted out | no precise location |
//! | `SensitiveDataProcessingOptOutNotice`, `SensitiveDataOptOutNotice`, `SensitiveDataLimitUseNotice` | 2 not provided | no precise location |
//! | other entries of `SensitiveDataProcessing`, `MspaCoveredTransaction`, `MspaOptOutOptionMode` | 0 to 2 | nothing: no such data is used here |
//! | any of them | 3, undefined | unreadable |
//!
//! Another version, a segment of another type or too short a text is unreadable. Bits after the last field are filling.
//! Sections 24 to 27 have another form, of which there is only a draft: unreadable.

use super::Uses;
use super::bits::{Bits, Unreadable};

/// What the text of `section`, a GPP section id, leaves of the uses.
///
/// # Errors
/// The section cannot be read; it then counts as opted out.
pub fn read(section: u32, text: &str) -> Result<Uses, Unreadable> {
    let mut segments = text.split('.');
    let mut left = core(section, Bits::new(segments.next().unwrap_or(""))?)?;
    for segment in segments {
        let mut bits = Bits::new(segment)?;
        if bits.int(2)? != GPC {
            return Err(Unreadable::Value);
        }
        if bits.bool()? {
            left = left & Uses::OPTED_OUT;
        }
    }
    Ok(left)
}

/// The type of the segment of the Global Privacy Control.
const GPC: u64 = 1;

/// Section, version, and a letter for each field, grouped as the specification groups them:
///
/// - `n` a notice of processing, sharing, sale or targeted advertising; `s` one about sensitive data
/// - `o` an opt-out
/// - `-` a field that is about nothing we do; `l` precise geolocation by consent; `g` precise geolocation by opt-out
/// - `c` consent for a child, or for purposes beyond those disclosed
/// - `m` the mode of a service provider
const LAYOUTS: &[(u32, u64, &str)] = &[
    (7, 1, "nnnn ss ooo -------l---- cc c --m"),
    (7, 2, "nnnn ss ooo -------l-------- ccc c --m"),
    (8, 1, "nn s oo --g------ cc c --m"),     // California
    (9, 1, "nnn oo -------l c --m"),          // Virginia
    (10, 1, "nnn oo ------- c --m"),          // Colorado
    (11, 1, "nnn s oo -------g c --m"),       // Utah
    (12, 1, "nnn oo -------l ccc --m"),       // Connecticut
    (13, 1, "nnn oo -------l ccc c --m"),     // Florida
    (14, 1, "nnn oo -------l ccc c --m"),     // Montana
    (15, 1, "nnn oo ----------l ccc c --m"),  // Oregon
    (16, 1, "nnn oo -------l c c --m"),       // Texas
    (17, 1, "nnn oo -------l- ccccc c --m"),  // Delaware
    (18, 1, "nnn s oo -------g c --m"),       // Iowa
    (19, 1, "nnn oo -------l c c --m"),       // Nebraska
    (20, 1, "nnn oo -------l ccc c --m"),     // New Hampshire
    (21, 1, "nnn oo -------l-- ccccc c --m"), // New Jersey
    (22, 1, "nnn oo -------l c c --m"),       // Tennessee
    (23, 1, "nnn oo -------l c c --m"),       // Minnesota
];

fn core(section: u32, mut bits: Bits<'_>) -> Result<Uses, Unreadable> {
    if !LAYOUTS.iter().any(|(known, ..)| *known == section) {
        return Err(Unreadable::Section(section));
    }
    let version = bits.int(6)?;
    let layout = LAYOUTS
        .iter()
        .find(|(known, of, _)| (*known, *of) == (section, version));
    let (_, _, fields) = layout.ok_or(Unreadable::Version(version as u8))?;
    let mut left = Uses::ALL;
    for field in fields.bytes().filter(|field| *field != b' ') {
        left = left & allowed(field, bits.int(2)?)?;
    }
    Ok(left)
}

/// What one field leaves of the uses.
fn allowed(field: u8, value: u64) -> Result<Uses, Unreadable> {
    Ok(match (field, value) {
        (_, 3..) => return Err(Unreadable::Value),
        (b'o' | b'c' | b'm', 1) | (b'n', 2) => Uses::OPTED_OUT,
        (b'l', 0 | 1) | (b'g', 1) | (b's', 2) => Uses::ALL.without(Uses::PRECISE_LOCATION),
        _ => Uses::ALL,
    })
}
