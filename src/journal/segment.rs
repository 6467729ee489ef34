//! One segment file: its name, its header, its frames.
//! Every byte that is not accounted for by a checksum is reported with its offset.

use super::JournalError;
use super::folder::Folder;
use std::path::PathBuf;

/// magic 8 + version 4 + sequence 8 + bytes of the segment before 8 + crc 4.
pub const HEADER_BYTES: u64 = 32;
/// length 4 + crc 4.
pub const FRAME_HEAD_BYTES: u64 = 8;
/// A notice with its token is under 1 KiB and a bid record under 16 KiB; 1 MiB keeps a damaged length from asking for memory.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

const MAGIC: [u8; 8] = *b"OUTBIDJL";
const VERSION: u32 = 1;
/// The most bytes checksummed in search of a whole frame behind a damaged one: a second or less of work.
const SEARCH_BYTES_MAX: usize = 1 << 29;

/// A segment in memory, with the reading position.
pub struct Segment {
    pub path: PathBuf,
    pub sequence: u64,
    bytes: Vec<u8>,
    at: usize,
}

/// What stands behind the last whole record: a write that is under way, or one that a crash cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    pub path: PathBuf,
    pub offset: u64,
    pub bytes: u64,
}

/// What stands at the reading position.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    Frame { offset: u64, payload: &'a [u8] },
    End,
    Damaged { offset: u64, what: &'static str },
}

impl Segment {
    pub fn load(folder: &dyn Folder, prefix: &str, sequence: u64) -> Result<Segment, JournalError> {
        let path = path(folder, prefix, sequence);
        let read = folder.read(&name(prefix, sequence));
        let bytes = read.map_err(JournalError::io(&path))?;
        Ok(Segment {
            path,
            sequence,
            bytes,
            at: HEADER_BYTES as usize,
        })
    }

    pub fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// `Err` says what is wrong with the header.
    pub fn check_header(&self) -> Result<(), &'static str> {
        let Some(found) = self.bytes.get(..HEADER_BYTES as usize) else {
            return Err("the header is not whole");
        };
        if found[..8] != MAGIC {
            return Err("this is not a journal segment");
        }
        if u32_at(found, 28) != crc32fast::hash(&found[..28]) {
            return Err("the header does not match its checksum");
        }
        if u32_at(found, 8) != VERSION {
            return Err("the version of the layout is not known to this program");
        }
        if u64_at(found, 12) != self.sequence {
            return Err("the sequence number in the header is not the one in the file name");
        }
        Ok(())
    }

    /// How long the segment before was when this one was begun; 0 for the first. The header has been checked.
    pub fn bytes_before(&self) -> u64 {
        u64_at(&self.bytes, 20)
    }

    /// The next frame. After `End` or `Damaged` the position stays where it is.
    pub fn step(&mut self) -> Step<'_> {
        let offset = self.at as u64;
        if self.at == self.bytes.len() {
            return Step::End;
        }
        match frame_at(&self.bytes, self.at) {
            Ok(payload) => {
                self.at += FRAME_HEAD_BYTES as usize + payload.len();
                Step::Frame { offset, payload }
            }
            Err(what) => Step::Damaged { offset, what },
        }
    }

    /// All from `offset` on.
    pub fn tail(&self, offset: u64) -> TornTail {
        TornTail {
            path: self.path.clone(),
            offset,
            bytes: self.len() - offset,
        }
    }

    /// True where a whole frame (or more doubt than can be searched) stands behind the reading position:
    /// then the damage there is not the torn end of the last write.
    pub fn continues_behind_damage(&self) -> bool {
        let mut searched = 0;
        for at in self.at + 1..self.bytes.len() {
            match frame_at(&self.bytes, at) {
                Ok(payload) if !payload.is_empty() => return true,
                Ok(_) | Err(TOO_LONG | TORN) => {}
                Err(_) => searched += u32_at(&self.bytes, at) as usize,
            }
            if searched > SEARCH_BYTES_MAX {
                return true;
            }
        }
        false
    }
}

pub fn header(sequence: u64, bytes_before: u64) -> [u8; HEADER_BYTES as usize] {
    let mut out = [0; HEADER_BYTES as usize];
    out[..8].copy_from_slice(&MAGIC);
    out[8..12].copy_from_slice(&VERSION.to_le_bytes());
    out[12..20].copy_from_slice(&sequence.to_le_bytes());
    out[20..28].copy_from_slice(&bytes_before.to_le_bytes());
    let crc = crc32fast::hash(&out[..28]);
    out[28..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// Appends one frame to `out`. The caller has checked the length.
pub fn put_frame(out: &mut Vec<u8>, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("at most FRAME_BYTES_MAX");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&frame_crc(length, payload).to_le_bytes());
    out.extend_from_slice(payload);
}

pub fn name(prefix: &str, sequence: u64) -> String {
    format!("{prefix}-{sequence:08}.seg")
}

pub fn path(folder: &dyn Folder, prefix: &str, sequence: u64) -> PathBuf {
    folder.path().join(name(prefix, sequence))
}

/// The sequence numbers present, in order and without a gap; a gap is an error.
pub fn list(folder: &dyn Folder, prefix: &str) -> Result<Vec<u64>, JournalError> {
    let names = folder.names().map_err(JournalError::io(folder.path()))?;
    let sequences = names.iter().filter_map(|name| sequence_of(name, prefix));
    let mut found: Vec<u64> = sequences.collect();
    found.sort_unstable();
    for pair in found.windows(2) {
        if pair[1] != pair[0] + 1 {
            return Err(JournalError::Missing {
                path: path(folder, prefix, pair[0] + 1),
            });
        }
    }
    Ok(found)
}

fn sequence_of(name: &str, prefix: &str) -> Option<u64> {
    let digits = name
        .strip_prefix(prefix)?
        .strip_prefix('-')?
        .strip_suffix(".seg")?;
    (digits.len() >= 8 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// What is said where a closed segment is not as long as its successor says.
pub const CUT: &str = "the closed segment is not as long as the next one says it was";
const TORN: &str = "the frame is not whole";
const TOO_LONG: &str = "the length of the frame is above the limit";
const MISMATCH: &str = "the frame does not match its checksum";

fn frame_at(bytes: &[u8], at: usize) -> Result<&[u8], &'static str> {
    let rest = &bytes[at..];
    let Some((head, body)) = rest.split_at_checked(FRAME_HEAD_BYTES as usize) else {
        return Err(TORN);
    };
    let length = u32_at(head, 0);
    if length as usize > FRAME_BYTES_MAX {
        return Err(TOO_LONG);
    }
    let payload = body.get(..length as usize).ok_or(TORN)?;
    if frame_crc(length, payload) != u32_at(head, 4) {
        return Err(MISMATCH);
    }
    Ok(payload)
}

fn frame_crc(length: u32, payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&length.to_le_bytes());
    crc.update(payload);
    crc.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
