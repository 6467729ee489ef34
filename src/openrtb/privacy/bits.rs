//! Bit fields in base64url text, as TC strings and GPP sections hold them. Invariant: what the text does not hold is
//! an error, never a zero, because in these formats a zero says something.

use thiserror::Error;

/// Longer strings are nobody's: a cookie holds 4 KiB, and a vendor list of 1,500 with every purpose restricted for
/// every other vendor takes 11 × 750 × 17 bits = 23 KiB of text, so this leaves room for all that is real and keeps
/// the dearest string below 0.1 ms.
pub const TEXT_MAX: usize = 32 * 1024;

/// Why a consent string says nothing. Callers take it as the strictest thing that the string could have said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    #[error("a character outside base64url; only A-Z, a-z, 0-9, `-` and `_` hold bits")]
    Alphabet,
    #[error("the text ends inside a field")]
    Truncated,
    #[error("longer than {TEXT_MAX} characters")]
    TooLong,
    #[error("version {0} of the format, which this bidder does not read")]
    Version(u8),
    #[error("a vendor range that ends before it starts")]
    Range,
    #[error("a number that no section or vendor has")]
    Number,
    #[error("IsServiceSpecific is 0; strings for all services are no longer valid")]
    NotServiceSpecific,
    #[error("made under policy version {0} when policy version 4 or later was already required")]
    Policy(u8),
    #[error("a value that the section's specification does not define")]
    Value,
    #[error("section {0} is in force, and this bidder does not read it")]
    Section(u32),
    #[error("a section in force is not in the string")]
    Missing,
    #[error("the string has more sections than its header names")]
    Unnamed,
}

/// Reads fields one after another, the most significant bit first.
#[derive(Clone, Copy, Debug)]
pub struct Bits<'a> {
    text: &'a [u8],
    /// The next character.
    next: usize,
    /// Its last `held` bits come before those of `next`; what stands above them has been read.
    buffer: u64,
    held: usize,
}

impl<'a> Bits<'a> {
    /// Also takes the two characters of plain base64 and its padding: they mean nothing else.
    ///
    /// # Errors
    /// [`Unreadable::TooLong`], [`Unreadable::Alphabet`].
    pub fn new(text: &'a str) -> Result<Bits<'a>, Unreadable> {
        let text = text.trim_end_matches('=').as_bytes();
        if text.len() > TEXT_MAX {
            return Err(Unreadable::TooLong);
        }
        // All characters at once, not up to the first bad one: this is what the compiler turns into vectors.
        let sound = text.iter().fold(true, |sound, &c| {
            let code = c.is_ascii_alphanumeric() | (c == b'-') | (c == b'_') | (c == b'+') | (c == b'/');
            sound & code
        });
        if sound {
            Ok(Bits {
                text,
                next: 0,
                buffer: 0,
                held: 0,
            })
        } else {
            Err(Unreadable::Alphabet)
        }
    }

    /// An unsigned number of `width` bits, at most 36.
    ///
    /// # Errors
    /// [`Unreadable::Truncated`].
    pub fn int(&mut self, width: usize) -> Result<u64, Unreadable> {
        debug_assert!(
            (1..=36).contains(&width),
            "the buffer has room for 36 bits and a character"
        );
        while self.held < width {
            let c = *self.text.get(self.next).ok_or(Unreadable::Truncated)?;
            self.next += 1;
            self.buffer = self.buffer << 6 | u64::from(CODES[usize::from(c)]);
            self.held += 6;
        }
        self.held -= width;
        Ok(self.buffer >> self.held & ((1 << width) - 1))
    }

    /// # Errors
    /// [`Unreadable::Truncated`].
    pub fn bool(&mut self) -> Result<bool, Unreadable> {
        Ok(self.int(1)? == 1)
    }

    /// # Errors
    /// [`Unreadable::Truncated`].
    pub fn skip(&mut self, bits: usize) -> Result<(), Unreadable> {
        let end = self.next * 6 - self.held + bits;
        if end > self.text.len() * 6 {
            return Err(Unreadable::Truncated);
        }
        (self.next, self.held) = (end / 6, 0);
        match end % 6 {
            0 => Ok(()),
            inside => self.int(inside).map(|_| ()),
        }
    }

    /// A number of 1 or more in Fibonacci coding (GPP, "About Fibonacci Encoding"): the bits are the numbers 1, 2, 3,
    /// 5, 8 … that add up to it, and a second 1 in a row ends it.
    ///
    /// # Errors
    /// [`Unreadable::Truncated`]; [`Unreadable::Number`] above 46,367, the most that the first 22 of them make.
    pub fn fibonacci(&mut self) -> Result<u32, Unreadable> {
        let (mut sum, mut this, mut next) = (0, 1, 2);
        let mut previous = false;
        for _ in 0..=22 {
            let bit = self.bool()?;
            if bit && previous {
                return Ok(sum);
            }
            sum += if bit { this } else { 0 };
            (this, next) = (next, this + next);
            previous = bit;
        }
        Err(Unreadable::Number)
    }
}

/// The six bits of each character of base64; [`Bits::new`] has refused all others.
const CODES: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut codes = [0; 256];
    let mut code = 0;
    while code < alphabet.len() {
        codes[alphabet[code] as usize] = code as u8;
        code += 1;
    }
    codes[b'+' as usize] = 62;
    codes[b'/' as usize] = 63;
    codes
};
