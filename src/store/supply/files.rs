//! The folder `supply`: which files there are, and what they come to.
//!
//! Invariant: a file that cannot be used costs that file only, and is named.

use super::{Inventory, NothingRead, Supply};
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

/// The longest files of publishers have some ten thousand lines, which is below one mebibyte.
const OWNER_BYTES_MAX: u64 = 8 << 20;
/// The largest system lists more than a million sellers in about 200 MB.
const SELLERS_BYTES_MAX: u64 = 1 << 30;

const SITES: &str = "ads.txt";
const APPS: &str = "app-ads.txt";
const SELLERS: &str = "sellers";
const DEVELOPERS: &str = "developers.txt";

/// A file that was left out.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct Unusable {
    pub path: PathBuf,
    pub why: Why,
}

#[derive(Debug, thiserror::Error)]
pub enum Why {
    #[error(transparent)]
    Nothing(#[from] NothingRead),
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is larger than {0} bytes")]
    TooLarge(u64),
}

/// A folder that is there but cannot be listed.
#[derive(Debug, thiserror::Error)]
#[error("supply folder {}: {source}", path.display())]
pub struct SupplyError {
    pub path: PathBuf,
    pub source: io::Error,
}

impl Supply {
    /// Reads the folder; one that is missing holds nothing.
    ///
    /// # Errors
    /// A folder that cannot be listed. A file that cannot be used is in the list instead.
    pub fn open(root: &Path) -> Result<(Supply, Vec<Unusable>), SupplyError> {
        let mut supply = Supply::default();
        let mut unusable = Vec::new();
        for (path, kind) in files(root)? {
            if let Err(why) = supply.add_file(&path, kind) {
                unusable.push(Unusable { path, why });
            }
        }
        Ok((supply, unusable))
    }

    /// Changes whenever a file is added, removed, written or replaced; reads none of them.
    ///
    /// # Errors
    /// A folder that cannot be listed.
    pub fn stamp(root: &Path) -> Result<u64, SupplyError> {
        let mut hash = Xxh3::new();
        for (path, _) in files(root)? {
            hash.update(path.as_os_str().as_encoded_bytes());
            // One that has just gone is told from one that is there by the names alone.
            if let Ok(meta) = fs::metadata(&path) {
                let numbers = [
                    meta.ino(),
                    meta.len(),
                    meta.mtime() as u64,
                    meta.mtime_nsec() as u64,
                ];
                numbers
                    .iter()
                    .for_each(|number| hash.update(&number.to_le_bytes()));
            }
        }
        Ok(hash.digest())
    }

    fn add_file(&mut self, path: &Path, kind: Kind) -> Result<(), Why> {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        match kind {
            Kind::Owner(kind) => self.add_owner(kind, &stem, &read(path, OWNER_BYTES_MAX)?)?,
            Kind::Sellers => self.add_sellers(&stem, &read(path, SELLERS_BYTES_MAX)?)?,
            Kind::Developers => self.add_developers(&read(path, SELLERS_BYTES_MAX)?)?,
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Owner(Inventory),
    Sellers,
    Developers,
}

/// Every file that is read, in the order of the names, so that every node numbers alike. Hidden files and other
/// extensions are left alone.
fn files(root: &Path) -> Result<Vec<(PathBuf, Kind)>, SupplyError> {
    let folders = [
        (SITES, "txt", Kind::Owner(Inventory::Site)),
        (APPS, "txt", Kind::Owner(Inventory::App)),
        (SELLERS, "json", Kind::Sellers),
    ];
    let mut all = Vec::new();
    for (folder, extension, kind) in folders {
        let mut paths = list(&root.join(folder))?;
        paths.retain(|path| {
            let hidden = path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            !hidden && path.extension().is_some_and(|found| found == extension)
        });
        paths.sort();
        all.extend(paths.into_iter().map(|path| (path, kind)));
    }
    let developers = root.join(DEVELOPERS);
    if developers.exists() {
        all.push((developers, Kind::Developers));
    }
    Ok(all)
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, SupplyError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries,
    };
    let paths = entries.and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    paths.map_err(|source| SupplyError {
        path: folder.to_owned(),
        source,
    })
}

fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Why> {
    // Opening a pipe would wait for its other end.
    if !fs::metadata(path)?.is_file() {
        return Err(Why::Io(io::Error::other("is no regular file")));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?
        .take(bytes_max + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(Why::TooLarge(bytes_max));
    }
    Ok(bytes)
}
