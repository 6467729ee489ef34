//! Fixed-width little-endian fields: how the parts of a checkpoint are laid out.
//! Reading past the end, or a text that is not UTF-8, is a value; never a panic.

/// A checkpoint that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {what}")]
pub struct BadFields {
    pub offset: usize,
    pub what: &'static str,
}

/// Writes fields one behind the other.
#[derive(Debug, Default)]
pub struct FieldWriter {
    bytes: Vec<u8>,
}

impl FieldWriter {
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub fn u128(&mut self, value: u128) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub fn f64(&mut self, value: f64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A number of things to come, or the length of a text: at most 2³² − 1.
    pub fn count(&mut self, value: usize) {
        self.u32(u32::try_from(value).expect("a checkpoint counts below 2^32"));
    }

    pub fn text(&mut self, value: &str) {
        self.count(value.len());
        self.bytes.extend_from_slice(value.as_bytes());
    }

    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads fields in the order in which they were written.
#[derive(Debug)]
pub struct FieldReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> FieldReader<'a> {
    pub fn new(bytes: &'a [u8]) -> FieldReader<'a> {
        FieldReader { bytes, at: 0 }
    }

    pub fn u8(&mut self) -> Result<u8, BadFields> {
        Ok(self.take::<1>()?[0])
    }

    pub fn u32(&mut self) -> Result<u32, BadFields> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    pub fn u64(&mut self) -> Result<u64, BadFields> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    pub fn i64(&mut self) -> Result<i64, BadFields> {
        Ok(i64::from_le_bytes(self.take()?))
    }

    pub fn u128(&mut self) -> Result<u128, BadFields> {
        Ok(u128::from_le_bytes(self.take()?))
    }

    /// A finite number: infinities and NaN are refused.
    pub fn f64(&mut self) -> Result<f64, BadFields> {
        let number = f64::from_le_bytes(self.take()?);
        if number.is_finite() {
            Ok(number)
        } else {
            Err(self.bad("is not a finite number"))
        }
    }

    /// A number of things of at least `bytes_each`: refused where the rest cannot hold that many.
    pub fn count(&mut self, bytes_each: usize) -> Result<usize, BadFields> {
        let offset = self.at;
        let count = self.u32()? as usize;
        if count.saturating_mul(bytes_each) > self.bytes.len() - self.at {
            return Err(BadFields {
                offset,
                what: "counts more than there is",
            });
        }
        Ok(count)
    }

    pub fn text(&mut self) -> Result<&'a str, BadFields> {
        let length = self.count(1)?;
        let offset = self.at;
        let bytes = &self.bytes[offset..offset + length];
        self.at += length;
        std::str::from_utf8(bytes).map_err(|_| BadFields {
            offset,
            what: "is not UTF-8",
        })
    }

    /// Nothing is left.
    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// An error of the caller's, at the field just read.
    pub fn bad(&self, what: &'static str) -> BadFields {
        BadFields {
            offset: self.at,
            what,
        }
    }

    /// Nothing may be left over.
    pub fn finish(self) -> Result<(), BadFields> {
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(self.bad("has bytes left over"))
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], BadFields> {
        let rest = &self.bytes[self.at..];
        let (field, _) = rest.split_first_chunk::<N>().ok_or(BadFields {
            offset: self.at,
            what: "ends too early",
        })?;
        self.at += N;
        Ok(*field)
    }
}
