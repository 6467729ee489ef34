//! Reads a log of auctions: `click price pCTR` a line, separated by blanks or tabs; a time slot may follow.
//!
//! Invariant: every auction that is returned was checked; a bad line refuses the file.

use super::text;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

/// 24 bytes each: 1.2 GB in memory. The largest public log of one campaign has 3 million.
const AUCTIONS_MAX: usize = 50_000_000;
/// Four short numbers; more is no line of a log.
const LINE_BYTES_MAX: usize = 1024;

/// One recorded auction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Auction {
    /// Whether the impression was clicked.
    pub click: bool,
    /// What it took to win, in the log's unit of price (iPinYou: CPM in 1/1000 CNY).
    pub price: u32,
    /// The predicted click probability. 64 bits, as the published results were computed with.
    pub pctr: f64,
}

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}:{line}: {what}; a line is `click price pCTR`, like `0 70 0.0021`", path.display())]
    Line {
        path: PathBuf,
        line: usize,
        what: String,
    },
    #[error("{}: holds no auction", path.display())]
    Empty { path: PathBuf },
    #[error("{}: holds more than {AUCTIONS_MAX} auctions", path.display())]
    TooLong { path: PathBuf },
}

/// The auctions of a log in their order; a file packed with xz is unpacked on the way. Blank lines are passed over.
///
/// # Errors
/// A file that cannot be read or unpacked, that is empty or too long, or whose line cannot be understood.
pub fn read_log(path: &Path) -> Result<Vec<Auction>, LogError> {
    let failed = |source| LogError::Io {
        path: path.to_owned(),
        source,
    };
    let mut reader = text::open(path).map_err(failed)?;
    let mut auctions = Vec::new();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = io::Read::take(&mut reader, LINE_BYTES_MAX as u64).read_until(b'\n', &mut line);
        if read.map_err(failed)? == 0 {
            break;
        }
        let bad = |what: String| LogError::Line {
            path: path.to_owned(),
            line: number,
            what,
        };
        if line.len() == LINE_BYTES_MAX {
            return Err(bad(format!("longer than {LINE_BYTES_MAX} bytes")));
        }
        let text = str::from_utf8(&line).map_err(|_| bad("not UTF-8".into()))?;
        if text.trim().is_empty() {
            continue;
        }
        if auctions.len() == AUCTIONS_MAX {
            return Err(LogError::TooLong {
                path: path.to_owned(),
            });
        }
        auctions.push(parse(text).map_err(bad)?);
    }
    if auctions.is_empty() {
        return Err(LogError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(auctions)
}

fn parse(line: &str) -> Result<Auction, String> {
    let mut words = line.split_ascii_whitespace();
    let mut word = |name| words.next().ok_or(format!("the {name} is missing"));
    let click = match word("click")? {
        "0" => false,
        "1" => true,
        other => return Err(format!("click is `{other}`, not 0 or 1")),
    };
    let price = word("price")?;
    let price = price
        .parse()
        .map_err(|_| format!("price is `{price}`, not a whole number from 0 on"))?;
    let pctr = word("pCTR")?;
    let pctr = pctr.parse().ok().filter(|value| (0.0..=1.0).contains(value));
    let pctr = pctr.ok_or("the pCTR is not a number from 0 to 1")?;
    Ok(Auction { click, price, pctr })
}
