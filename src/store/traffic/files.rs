//! The folder `traffic`: which files there are, and what they come to.
//!
//! Invariant: a line that cannot be used costs that line only, and is named.

use super::ranges::Range;
use super::{Places, Ranges, Traffic};
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

/// Half a million ranges; all addresses of the large clouds are some ten thousand.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Unusable lines that are told of one file: more would hide them.
const LINES_TOLD: usize = 5;
/// A shorter token is found in half of all browsers.
const TOKEN_BYTES_MIN: usize = 4;

const FOLDERS: [(&str, Kind); 4] = [
    ("crawlers", Kind::Crawlers),
    ("non_human", Kind::NonHuman),
    ("datacenters", Kind::Datacenters),
    ("blocked", Kind::Blocked),
];

/// A file or a line that was left out.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {why}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct Unusable {
    pub path: PathBuf,
    /// From 1; `None` = the file as a whole.
    pub line: Option<usize>,
    pub why: String,
}

/// A folder that is there but cannot be listed, or lists that cannot be used together.
#[derive(Debug, thiserror::Error)]
#[error("traffic folder {}: {why}", path.display())]
pub struct TrafficError {
    pub path: PathBuf,
    pub why: String,
}

#[derive(Clone, Copy)]
enum Kind {
    Crawlers,
    NonHuman,
    Datacenters,
    Blocked,
}

#[derive(Default)]
struct Lists {
    crawlers: Vec<String>,
    non_human: Vec<Range>,
    datacenters: Vec<Range>,
    blocked: Places,
}

impl Traffic {
    /// Reads the folder; one that is missing holds nothing.
    ///
    /// # Errors
    /// A folder that cannot be listed. What else cannot be used is in the list instead.
    pub fn open(root: &Path) -> Result<(Traffic, Vec<Unusable>), TrafficError> {
        let mut lists = Lists::default();
        let mut unusable = Vec::new();
        for (path, kind) in files(root)? {
            match read(&path) {
                Ok(text) => lists.add_file(&path, kind, &text, &mut unusable),
                Err(error) => unusable.push(Unusable {
                    path,
                    line: None,
                    why: error.to_string(),
                }),
            }
        }
        let traffic = Traffic::new(
            &lists.crawlers,
            Ranges::new(lists.non_human),
            Ranges::new(lists.datacenters),
            lists.blocked,
        );
        let traffic = traffic.map_err(|error| TrafficError {
            path: root.to_owned(),
            why: format!("the tokens of crawlers: {error}"),
        })?;
        Ok((traffic, unusable))
    }

    /// Changes whenever a file is added, removed, written or replaced; reads none of them.
    ///
    /// # Errors
    /// A folder that cannot be listed.
    pub fn stamp(root: &Path) -> Result<u64, TrafficError> {
        let mut hash = Xxh3::new();
        for (path, _) in files(root)? {
            hash.update(path.as_os_str().as_encoded_bytes());
            // One that has just gone is told from one that is there by the names alone.
            if let Ok(meta) = fs::metadata(&path) {
                for number in [
                    meta.ino(),
                    meta.len(),
                    meta.mtime() as u64,
                    meta.mtime_nsec() as u64,
                ] {
                    hash.update(&number.to_le_bytes());
                }
            }
        }
        Ok(hash.digest())
    }
}

impl Lists {
    fn add_file(&mut self, path: &Path, kind: Kind, text: &str, unusable: &mut Vec<Unusable>) {
        let mut told = 0;
        for (number, line) in text.lines().enumerate() {
            let entry = line.split('#').next().unwrap_or_default().trim();
            if entry.is_empty() {
                continue;
            }
            if let Err(why) = self.add(kind, entry)
                && told < LINES_TOLD
            {
                told += 1;
                unusable.push(Unusable {
                    path: path.to_owned(),
                    line: Some(number + 1),
                    why,
                });
            }
        }
    }

    fn add(&mut self, kind: Kind, entry: &str) -> Result<(), String> {
        let range = || Range::parse(entry).map_err(|error| error.to_string());
        match kind {
            Kind::NonHuman => self.non_human.push(range()?),
            Kind::Datacenters => self.datacenters.push(range()?),
            Kind::Blocked => self.blocked.add(entry).map_err(|error| error.to_string())?,
            Kind::Crawlers if entry.len() < TOKEN_BYTES_MIN => {
                return Err(format!(
                    "`{entry}` is found in too many browsers: write four letters or more"
                ));
            }
            Kind::Crawlers => self.crawlers.push(entry.to_owned()),
        }
        Ok(())
    }
}

/// Every `.txt` file, by folder and name; hidden ones are left alone.
fn files(root: &Path) -> Result<Vec<(PathBuf, Kind)>, TrafficError> {
    let mut all = Vec::new();
    for (folder, kind) in FOLDERS {
        let mut paths = list(&root.join(folder))?;
        paths.retain(|path| {
            let hidden = path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            !hidden && path.extension().is_some_and(|extension| extension == "txt")
        });
        paths.sort();
        all.extend(paths.into_iter().map(|path| (path, kind)));
    }
    Ok(all)
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, TrafficError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries,
    };
    let paths = entries.and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    paths.map_err(|error| TrafficError {
        path: folder.to_owned(),
        why: error.to_string(),
    })
}

fn read(path: &Path) -> io::Result<String> {
    // Opening a pipe would wait for its other end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("is no regular file"));
    }
    let mut text = String::new();
    let read = fs::File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}
