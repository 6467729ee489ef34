//! Strings of the IAB Global Privacy Platform, version 1: a header that names the sections, then the sections, joined
//! by `~`. Invariant: only sections in force act, and each of those that cannot be read counts as refused.
//!
//! | section | read by |
//! |---|---|
//! | 2 tcfeuv2 | [`tcf`], for our vendor; the text is a TC string |
//! | 6 uspv1 | `usp`; the text is a US privacy string |
//! | 7 usnat, 8 to 23 US states | [`us_sections`] |
//! | 1, 3 to 5, 24 and above | nobody |

use super::bits::{Bits, TEXT_MAX, Unreadable};
use super::{Uses, tcf, us_sections, usp};

/// What a request's `regs.gpp` and `regs.gpp_sid` leave of the uses. What is missing or unreadable counts as opted
/// out, and as without consent where a section asks for consent. `vendor` is our id in the Global Vendor List.
pub fn allowed(text: &str, in_force: &[u32], vendor: Option<u16>) -> Uses {
    read(text, in_force, vendor).unwrap_or_else(|_| {
        if in_force.iter().any(|section| BY_CONSENT.contains(section)) {
            Uses::NONE
        } else {
            Uses::OPTED_OUT
        }
    })
}

/// As [`allowed`], with the reason where the string cannot be read.
///
/// # Errors
/// The header or a section in force cannot be read.
pub fn read(text: &str, in_force: &[u32], vendor: Option<u16>) -> Result<Uses, Unreadable> {
    if text.len() > TEXT_MAX {
        return Err(Unreadable::TooLong);
    }
    let mut missing = Sections::of(in_force)?;
    let mut pieces = text.split('~');
    let mut header = Header::open(pieces.next().unwrap_or(""))?;
    let mut left = Uses::ALL;
    while let Some(section) = header.section()? {
        let piece = pieces.next().ok_or(Unreadable::Missing)?;
        if missing.take(section) {
            left = left & self::section(section, piece, vendor)?;
        }
    }
    if missing.0 != 0 {
        return Err(Unreadable::Missing);
    }
    match pieces.next() {
        None => Ok(left),
        Some(_) => Err(Unreadable::Unnamed),
    }
}

/// The sections of the frameworks that ask for consent: the two versions for the EU and the Canadian one.
const BY_CONSENT: [u32; 3] = [1, 2, 5];

fn section(id: u32, text: &str, vendor: Option<u16>) -> Result<Uses, Unreadable> {
    match id {
        2 => vendor.map_or(Ok(Uses::NONE), |vendor| Ok(Uses::of(&tcf::read(text, vendor)?))),
        6 if usp::opts_out_of_sale(text) => Ok(Uses::OPTED_OUT),
        6 => Ok(Uses::ALL),
        _ => us_sections::read(id, text),
    }
}

/// A set of section ids below 64, of which 27 are given out.
struct Sections(u64);

impl Sections {
    /// 0 in a request means no section.
    fn of(ids: &[u32]) -> Result<Sections, Unreadable> {
        let mut set = 0;
        for id in ids.iter().filter(|id| **id != 0) {
            set |= 1_u64.checked_shl(*id).ok_or(Unreadable::Section(*id))?;
        }
        Ok(Sections(set))
    }

    /// Removes `id` and says whether it was there.
    fn take(&mut self, id: u32) -> bool {
        let bit = 1_u64.checked_shl(id).unwrap_or(0);
        let was = self.0 & bit != 0;
        self.0 &= !bit;
        was
    }
}

/// The section ids of a header in their order, which is that of the sections: a "Range (Fibonacci)", each entry given
/// by its distance from the one before it.
struct Header<'a> {
    bits: Bits<'a>,
    entries_left: u64,
    /// The last id given.
    last: u32,
    /// Ids that follow `last` in the same entry.
    run_left: u32,
}

impl<'a> Header<'a> {
    fn open(text: &'a str) -> Result<Header<'a>, Unreadable> {
        let mut bits = Bits::new(text)?;
        if bits.int(6)? != HEADER_TYPE {
            return Err(Unreadable::Value);
        }
        let version = bits.int(6)?;
        if version != 1 {
            return Err(Unreadable::Version(version as u8));
        }
        Ok(Header {
            entries_left: bits.int(12)?,
            bits,
            last: 0,
            run_left: 0,
        })
    }

    fn section(&mut self) -> Result<Option<u32>, Unreadable> {
        if self.run_left > 0 {
            self.run_left -= 1;
            self.last += 1;
        } else if self.entries_left > 0 {
            self.entries_left -= 1;
            let is_run = self.bits.bool()?;
            self.last += self.bits.fibonacci()?;
            self.run_left = if is_run { self.bits.fibonacci()? } else { 0 };
        } else {
            return Ok(None);
        }
        Ok(Some(self.last))
    }
}

/// `Type` of a header.
const HEADER_TYPE: u64 = 3;
