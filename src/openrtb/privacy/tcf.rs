//! TC strings of the IAB Europe Transparency & Consent Framework, versions 2.0 to 2.3, read for one vendor. Invariant:
//! what holds is never more than the user's choice, the publisher's restrictions and the vendor's disclosure all allow.
//!
//! The layout is that of "Transparency and Consent String with Global Vendor & CMP List Formats" (v2). Read are the
//! core segment and every `disclosedVendors` segment; `publisherTC` is the publisher's own, `allowedVendors` belonged
//! to strings for all services, which are no longer valid: both are passed over.
//!
//! # When a string counts
//!
//! | made (the later of `Created` and `LastUpdated`) | has to have |
//! |---|---|
//! | at any time | version 2, `IsServiceSpecific` = 1, and our vendor in `disclosedVendors` where that segment is there |
//! | from 2023-10-01 | policy version 4 or later (TCF 2.2) |
//! | from 2026-02-28 | a `disclosedVendors` segment (TCF 2.3) |
//!
//! # Legal bases
//!
//! | purposes | consent | legitimate interest |
//! |---|---|---|
//! | 1 | yes, unless `PurposeOneTreatment` says that it was never asked for | never |
//! | 2, 7 to 11 | yes | yes |
//! | 3 to 6 | yes | under policy versions 2 and 3; never since version 4 |
//!
//! | publisher restriction | takes away |
//! |---|---|
//! | 0, not allowed; 3, undefined | both bases |
//! | 1, consent required | legitimate interest |
//! | 2, legitimate interest required | consent |
//!
//! That is right for a vendor that is registered as flexible where both bases are possible; for any other it is right
//! too unless a restriction asks for a basis that the vendor never declared, so such a vendor has to be flexible.

use super::bits::{Bits, TEXT_MAX, Unreadable};
use crate::units::Timestamp;

/// What one vendor may do, and under which string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VendorConsent {
    /// The later of `Created` and `LastUpdated`, which are one day in strings of today.
    pub made: Timestamp,
    /// The consent management platform that asked.
    pub cmp_id: u16,
    pub vendor_list_version: u16,
    pub policy_version: u8,
    pub disclosure: Disclosure,
    consent: Choices,
    legitimate_interest: Choices,
    special_features: Choices,
}

/// Whether the user was shown the vendor, by the `disclosedVendors` segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disclosure {
    /// There is no such segment.
    Unknown,
    Disclosed,
    NotDisclosed,
}

/// Reads `text` for `vendor`, its id in the Global Vendor List; 0 is nobody's id and may do nothing.
///
/// # Errors
/// The string cannot be read or is not valid. It then gives neither consent nor legitimate interest.
pub fn read(text: &str, vendor: u16) -> Result<VendorConsent, Unreadable> {
    if text.len() > TEXT_MAX {
        return Err(Unreadable::TooLong);
    }
    let mut segments = text.split('.');
    let mut found = core(Bits::new(segments.next().unwrap_or(""))?, vendor)?;
    for segment in segments {
        let mut bits = Bits::new(segment)?;
        if bits.int(3)? == DISCLOSED_VENDORS {
            let listed = lists(&mut bits, vendor)?;
            found.disclosure = match found.disclosure {
                Disclosure::NotDisclosed => Disclosure::NotDisclosed,
                _ if listed => Disclosure::Disclosed,
                _ => Disclosure::NotDisclosed,
            };
        }
    }
    let undisclosed = match found.disclosure {
        Disclosure::Disclosed => false,
        Disclosure::NotDisclosed => true,
        Disclosure::Unknown => found.made >= DISCLOSURE_REQUIRED,
    };
    if undisclosed {
        (found.consent, found.legitimate_interest) = (Choices::default(), Choices::default());
        found.special_features = Choices::default();
    }
    Ok(found)
}

impl VendorConsent {
    /// Whether the vendor may do `purpose` (1 to 11) with the user's consent.
    pub fn consent(&self, purpose: u8) -> bool {
        self.consent.has(purpose)
    }

    /// Whether the vendor may do `purpose` (2, 7 to 11; 3 to 6 in old strings) in its legitimate interest.
    pub fn legitimate_interest(&self, purpose: u8) -> bool {
        self.legitimate_interest.has(purpose)
    }

    /// Consent or legitimate interest.
    pub fn either(&self, purpose: u8) -> bool {
        self.consent(purpose) || self.legitimate_interest(purpose)
    }

    /// Whether the user has opted in to a special feature: 1 precise location, 2 scanning the device. Not by itself a
    /// legal basis, so it holds only where the vendor has one for something.
    pub fn special_feature(&self, feature: u8) -> bool {
        self.special_features.has(feature)
    }
}

/// 2023-10-01T00:00Z: version 4 of the policies has been required since the end of September 2023.
const POLICY_4_REQUIRED: Timestamp = Timestamp(1_696_118_400_000);

/// 2026-02-28T00:00Z, when TCF 2.3 became mandatory.
const DISCLOSURE_REQUIRED: Timestamp = Timestamp(1_772_236_800_000);

/// The `SegmentType` of `disclosedVendors`.
const DISCLOSED_VENDORS: u64 = 1;

/// One bit for each number from 1 to 24, number 1 in the highest of the 24, as the strings have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Choices(u32);

impl Choices {
    fn of(number: u8) -> Choices {
        match number {
            1..=24 => Choices(1 << (24 - number)),
            _ => Choices(0),
        }
    }

    fn has(self, number: u8) -> bool {
        self.0 & Choices::of(number).0 != 0
    }

    fn remove(&mut self, number: u8) {
        self.0 &= !Choices::of(number).0;
    }

    fn keep_if(self, kept: bool) -> Choices {
        if kept { self } else { Choices(0) }
    }
}

/// The core segment. Only the disclosure is left open.
fn core(mut bits: Bits<'_>, vendor: u16) -> Result<VendorConsent, Unreadable> {
    let version = bits.int(6)?;
    if version != 2 {
        return Err(Unreadable::Version(version as u8));
    }
    let (created, updated) = (bits.int(36)?, bits.int(36)?);
    let made = Timestamp(created.max(updated) as i64 * 100);
    let cmp_id = bits.int(12)? as u16;
    // The version of the platform, its screen and the language of that screen.
    bits.skip(12 + 6 + 12)?;
    let vendor_list_version = bits.int(12)? as u16;
    let policy_version = bits.int(6)? as u8;
    if !bits.bool()? {
        return Err(Unreadable::NotServiceSpecific);
    }
    if policy_version < 4 && made >= POLICY_4_REQUIRED {
        return Err(Unreadable::Policy(policy_version));
    }
    // Whether the texts on the screen were the standard ones.
    bits.skip(1)?;
    let special_features = Choices((bits.int(12)? << 12) as u32);
    let mut consent = Choices(bits.int(24)? as u32);
    let mut legitimate_interest = Choices(bits.int(24)? as u32);
    let purpose_one_not_asked = bits.bool()?;
    if purpose_one_not_asked {
        consent.remove(1);
    }
    legitimate_interest.remove(1);
    if policy_version >= 4 {
        (3..=6).for_each(|purpose| legitimate_interest.remove(purpose));
    }
    // The country whose law the publisher goes by, which matters only to who would do without consent for purpose 1.
    bits.skip(12)?;
    consent = consent.keep_if(lists(&mut bits, vendor)?);
    legitimate_interest = legitimate_interest.keep_if(lists(&mut bits, vendor)?);
    restrict(&mut bits, vendor, &mut consent, &mut legitimate_interest)?;
    Ok(VendorConsent {
        made,
        cmp_id,
        vendor_list_version,
        policy_version,
        disclosure: Disclosure::Unknown,
        consent,
        legitimate_interest,
        special_features: special_features.keep_if(consent.0 | legitimate_interest.0 != 0),
    })
}

/// The publisher's restrictions: purpose, kind, and the vendors that it is about.
fn restrict(
    bits: &mut Bits<'_>,
    vendor: u16,
    consent: &mut Choices,
    legitimate_interest: &mut Choices,
) -> Result<(), Unreadable> {
    for _ in 0..bits.int(12)? {
        let (purpose, kind) = (bits.int(6)? as u8, bits.int(2)?);
        if !ranges_hold(bits, vendor)? {
            continue;
        }
        if kind != 1 {
            consent.remove(purpose);
        }
        if kind != 2 {
            legitimate_interest.remove(purpose);
        }
    }
    Ok(())
}

/// A set of vendors up to `MaxVendorId`, as one bit for each or as ranges, read to its end.
fn lists(bits: &mut Bits<'_>, vendor: u16) -> Result<bool, Unreadable> {
    let max = bits.int(16)? as u16;
    let as_ranges = bits.bool()?;
    if as_ranges {
        return Ok(ranges_hold(bits, vendor)? && vendor <= max);
    }
    let mut here = *bits;
    bits.skip(usize::from(max))?;
    if !(1..=max).contains(&vendor) {
        return Ok(false);
    }
    here.skip(usize::from(vendor - 1))?;
    here.bool()
}

/// Ranges of vendors, in any order, read to their end.
fn ranges_hold(bits: &mut Bits<'_>, vendor: u16) -> Result<bool, Unreadable> {
    let mut held = false;
    for _ in 0..bits.int(12)? {
        // `IsARange` and the first vendor in one.
        let entry = bits.int(17)?;
        let first = entry as u16;
        let last = if entry >> 16 == 1 {
            bits.int(16)? as u16
        } else {
            first
        };
        if last < first {
            return Err(Unreadable::Range);
        }
        held |= vendor != 0 && (first..=last).contains(&vendor);
    }
    Ok(held)
}
