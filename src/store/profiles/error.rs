//! What can be wrong with a profile store or its input. Invariant: each says where, and what would be right.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: cannot {doing}: {source}", path.display())]
    Io {
        path: PathBuf,
        doing: &'static str,
        source: io::Error,
    },

    #[error("{}: not a profile store (it does not start with `OUTBPROF`); make one with `outbid store build`", path.display())]
    NotAStore { path: PathBuf },

    #[error("{}: the {part} of this profile store is {found}, this program reads {expected}; build it again with `outbid store build`", path.display())]
    Unreadable {
        path: PathBuf,
        part: &'static str,
        found: String,
        expected: String,
    },

    #[error("{}: {found} bytes long, its header says {expected}; it was cut or is still being copied: copy or build it again", path.display())]
    Length {
        path: PathBuf,
        found: u64,
        expected: u64,
    },

    #[error("{}: the {section} is damaged (its checksum does not match); restore the file or build it again", path.display())]
    Damaged { path: PathBuf, section: &'static str },

    #[error("{}: the {section} is not laid out as its header says ({what}); build the file again", path.display())]
    Layout {
        path: PathBuf,
        section: &'static str,
        what: String,
    },

    #[error("user {number} of the input: {what}")]
    Record { number: u64, what: String },

    #[error("{}: {what}", path.display())]
    Input { path: PathBuf, what: String },

    #[error(
        "{bad} of {lines} lines cannot be used, the first at {first}; mend them, or leave out --strict to skip them"
    )]
    BadLines { bad: u64, lines: u64, first: String },
}

impl Error {
    /// For `map_err`: an input or output error while `doing` something with `path`.
    pub(super) fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io {
            path: path.to_path_buf(),
            doing,
            source,
        }
    }
}
