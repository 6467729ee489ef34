//! The folder for unfinished files of a build. Invariant: it stands beside the output, so that the last step is a rename.

use super::error::Error;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

/// Removed with all that is in it when the builder goes, whatever happened.
#[derive(Debug)]
pub(super) struct Scratch {
    pub folder: PathBuf,
}

impl Scratch {
    pub fn new(output: &Path) -> Result<Scratch, Error> {
        let mut name = output.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".building-{}", std::process::id()));
        let folder = output.with_file_name(name);
        fs::create_dir_all(&folder).map_err(Error::io(&folder, "create"))?;
        Ok(Scratch { folder })
    }

    pub fn create(&self, name: &str) -> Result<BufWriter<File>, Error> {
        let path = self.folder.join(name);
        Ok(BufWriter::with_capacity(
            1 << 20,
            File::create(&path).map_err(Error::io(&path, "create"))?,
        ))
    }

    pub fn open(&self, name: &str) -> Result<BufReader<File>, Error> {
        let path = self.folder.join(name);
        Ok(BufReader::with_capacity(
            1 << 20,
            File::open(&path).map_err(Error::io(&path, "open"))?,
        ))
    }

    pub fn failed(&self, doing: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        Error::io(&self.folder, doing)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing can be done about a folder that cannot be removed; its name says what it is.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
