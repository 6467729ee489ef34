//! The files of a configuration folder: which there are, what they hold, and one hash over all of it.
//! Invariant: every byte that the configuration depends on is in the hash, so equal hashes need no reload.

use super::document::Document;
use super::problem::{Report, suggest};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// 100,000 line items at 1 KiB fit in 13 files of this size.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// 16 times the files that a large advertiser keeps.
const FILES_MAX: usize = 16_384;
/// A token, not a document.
const SECRET_BYTES_MAX: u64 = 4096;

const SINGLE: [&str; 6] = [
    "outbid.toml",
    "models.toml",
    "rates.toml",
    "policy.toml",
    "signals.toml",
    "stock.toml",
];
const FOLDERS: [&str; 5] = ["exchanges", "advertisers", "campaigns", "creatives", "signals"];

/// Files of others, as a crawler fetched them: read apart, since they are many and none of ours.
pub(super) const SUPPLY: &str = "supply";
pub(super) const TRAFFIC: &str = "traffic";

/// A file that the configuration depends on, for watching it and for saying what was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedFile {
    pub path: PathBuf,
    /// XXH3 of the content.
    pub hash: u64,
}

/// The `.toml` files of a configuration folder. Hidden files and other extensions are left alone.
pub(super) struct Folder {
    root: PathBuf,
    documents: BTreeMap<&'static str, Vec<Document>>,
    watched: RefCell<BTreeMap<PathBuf, u64>>,
}

impl Folder {
    pub fn read(root: &Path, report: &Report) -> Folder {
        let mut folder = Folder {
            root: root.to_owned(),
            documents: BTreeMap::new(),
            watched: RefCell::default(),
        };
        for entry in entries(root, report) {
            folder.add(&entry, report);
        }
        let count: usize = folder.documents.values().map(Vec::len).sum();
        if count > FILES_MAX {
            report.whole(
                shown(root),
                format!("{count} files"),
                format!("at most {FILES_MAX} are read; join some"),
            );
        }
        folder
    }

    /// A file of the folder itself, such as `rates.toml`.
    pub fn single(&self, name: &str) -> Option<&Document> {
        self.documents.get(name)?.first()
    }

    pub fn required(&self, name: &str, report: &Report) -> Option<&Document> {
        let found = self.single(name);
        if found.is_none() {
            report.whole(
                shown(&self.root.join(name)),
                "this file is missing",
                "copy it from the default configuration",
            );
        }
        found
    }

    /// The files of one kind, such as `campaigns`, by name.
    pub fn all(&self, kind: &str) -> &[Document] {
        self.documents.get(kind).map_or(&[], Vec::as_slice)
    }

    /// A file that a value names, relative to `base` within the folder; the error says what is wrong with it.
    pub fn text_beside(&self, base: &str, relative: &str) -> Result<String, String> {
        self.attached(&self.root.join(base).join(relative), FILE_BYTES_MAX)
    }

    /// A secret: one line of at least 16 characters, in a file of its own, relative to the folder.
    pub fn secret(&self, path: &str) -> Result<String, String> {
        let text = self.attached(&self.root.join(path), SECRET_BYTES_MAX)?;
        check_secret(text.trim())
    }

    /// All files read, by path; valid once everything is read.
    pub fn watched(&self) -> Vec<WatchedFile> {
        let watched = self.watched.borrow();
        watched
            .iter()
            .map(|(path, hash)| WatchedFile {
                path: path.clone(),
                hash: *hash,
            })
            .collect()
    }

    fn add(&mut self, path: &Path, report: &Report) {
        let name = file_name(path);
        if path.is_dir() {
            match FOLDERS.iter().find(|folder| **folder == name) {
                Some(kind) => entries(path, report)
                    .iter()
                    .for_each(|file| self.add_document(kind, file, report)),
                None if name == SUPPLY || name == TRAFFIC => {}
                None => report.whole(shown(path), "this folder is not read", suggest(&name, FOLDERS)),
            }
        } else if is_toml(path) {
            match SINGLE.iter().find(|single| **single == name) {
                Some(kind) => self.add_document(kind, path, report),
                None => report.whole(shown(path), "this file is not read", suggest(&name, SINGLE)),
            }
        }
    }

    fn add_document(&mut self, kind: &'static str, path: &Path, report: &Report) {
        if !is_toml(path)
            || self
                .documents
                .get(kind)
                .is_some_and(|files| files.len() > FILES_MAX)
        {
            return;
        }
        match self.attached(path, FILE_BYTES_MAX) {
            Ok(text) => {
                let stem = path
                    .file_stem()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                self.documents
                    .entry(kind)
                    .or_default()
                    .push(Document::new(shown(path), stem, text));
            }
            Err(what) => report.whole(shown(path), what, "make it a readable text file"),
        }
    }

    fn attached(&self, path: &Path, bytes_max: u64) -> Result<String, String> {
        let bytes = read_bounded(path, bytes_max)?;
        self.watched.borrow_mut().insert(path.to_owned(), xxh3_64(&bytes));
        String::from_utf8(bytes)
            .map_err(|error| format!("byte {} is no UTF-8", error.utf8_error().valid_up_to()))
    }
}

/// One hash over the names and contents of all files, in the order of their names.
pub(super) fn hash_all(files: &[WatchedFile]) -> u64 {
    let mut bytes = Vec::new();
    for file in files {
        bytes.extend_from_slice(file.path.as_os_str().as_encoded_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&file.hash.to_le_bytes());
    }
    xxh3_64(&bytes)
}

/// A secret worth its name: 16 characters of 64 kinds are 96 bits.
pub(super) fn check_secret(text: &str) -> Result<String, String> {
    const CHARS_MIN: usize = 16;
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("the secret holds spaces or more than one line".to_owned());
    }
    if text.chars().count() < CHARS_MIN {
        return Err(format!("the secret has fewer than {CHARS_MIN} characters"));
    }
    Ok(text.to_owned())
}

/// Everything in a folder that is not hidden, by name, so that every node reads in the same order.
fn entries(folder: &Path, report: &Report) -> Vec<PathBuf> {
    let read = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths: Vec<PathBuf> = read.unwrap_or_else(|error| {
        report.whole(
            shown(folder),
            format!("cannot be read: {error}"),
            "name a folder with the file outbid.toml",
        );
        Vec::new()
    });
    paths.retain(|path| !file_name(path).starts_with('.'));
    paths.sort();
    paths
}

fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    // Opening a pipe would wait for its other end.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err("is no regular file".to_owned());
    }
    let file = fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("larger than {bytes_max} bytes"));
    }
    Ok(bytes)
}

fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
