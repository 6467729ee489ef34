//! Opens a file as text, packed with xz or plain.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// How an xz file begins (section 2.1.1.1 of the .xz file format).
const XZ: [u8; 6] = [0xfd, b'7', b'z', b'X', b'Z', 0];
const READ_BYTES: usize = 1 << 18;

/// What the file holds, unpacked where its first bytes say that it is packed.
pub fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut file = BufReader::with_capacity(READ_BYTES, File::open(path)?);
    if file.fill_buf()?.starts_with(&XZ) {
        let unpacked = lzma_rust2::XzReader::new(file, true);
        return Ok(Box::new(BufReader::with_capacity(READ_BYTES, unpacked)));
    }
    Ok(Box::new(file))
}
