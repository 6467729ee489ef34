//! Reads files of one JSON object or id a line, packed or not. Invariant: what is returned is not blank.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// The lines of a file that are not blank; `.xz` is unpacked on the way.
///
/// # Errors
/// With the file's name, when it cannot be read or unpacked.
pub fn read_lines(path: &Path) -> Result<Vec<String>, String> {
    let place = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(place)?;
    let packed = path.extension().is_some_and(|extension| extension == "xz");
    let reader: Box<dyn Read> = if packed {
        Box::new(lzma_rust2::XzReader::new(
            BufReader::with_capacity(1 << 16, file),
            true,
        ))
    } else {
        Box::new(file)
    };
    let mut lines = Vec::new();
    for line in BufReader::with_capacity(1 << 18, reader).lines() {
        let line = line.map_err(place)?;
        if !line.trim().is_empty() {
            lines.push(line);
        }
    }
    Ok(lines)
}
