//! Where the files of a journal are: a directory of the disk, or any other place that can forget what was not synced.
//! What a folder says is on stable storage survives the end of the process and of the machine.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What is appended to: a [`File`], or one that fails on purpose.
pub trait Medium: Send {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns when the bytes are on stable storage (`fdatasync`).
    fn sync(&mut self) -> io::Result<()>;
}

impl Medium for File {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Write::write_all(self, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// A flat set of named files.
pub trait Folder: Send + Sync {
    /// How errors name it.
    fn path(&self) -> &Path;

    /// The names of all files, in any order.
    fn names(&self) -> io::Result<Vec<String>>;

    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    fn bytes(&self, name: &str) -> io::Result<u64>;

    /// A new file to append to. It and its first `bytes` are on stable storage; one of that name is refused.
    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<Box<dyn Medium>>;

    /// A file to append to, of which everything from `end` on is cut, on stable storage.
    fn append(&self, name: &str, end: u64) -> io::Result<Box<dyn Medium>>;

    /// The file is `parts`, one after the other, on stable storage; after a crash either that or what it was before.
    fn replace(&self, name: &str, parts: &[&[u8]]) -> io::Result<()>;

    fn remove(&self, name: &str) -> io::Result<()>;
}

/// A directory.
pub struct DiskFolder {
    path: PathBuf,
    wrap: fn(File) -> Box<dyn Medium>,
}

impl DiskFolder {
    /// Makes the directory where it is missing.
    pub fn open(path: &Path) -> io::Result<DiskFolder> {
        DiskFolder::open_on(path, |file| Box::new(file))
    }

    /// [`open`](DiskFolder::open) with files wrapped by `wrap`: the place where a test lets writes fail.
    pub fn open_on(path: &Path, wrap: fn(File) -> Box<dyn Medium>) -> io::Result<DiskFolder> {
        fs::create_dir_all(path)?;
        Ok(DiskFolder::at(path, wrap))
    }

    /// A directory that is there.
    pub(super) fn at(path: &Path, wrap: fn(File) -> Box<dyn Medium>) -> DiskFolder {
        let path = path.to_owned();
        DiskFolder { path, wrap }
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

impl Folder for DiskFolder {
    fn path(&self) -> &Path {
        &self.path
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // No file of ours has a name that is not text.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path.join(name))
    }

    fn bytes(&self, name: &str) -> io::Result<u64> {
        fs::metadata(self.path.join(name)).map(|file| file.len())
    }

    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<Box<dyn Medium>> {
        let path = self.path.join(name);
        let mut file = OpenOptions::new().append(true).create_new(true).open(path)?;
        Write::write_all(&mut file, bytes)?;
        file.sync_data()?;
        self.sync_names()?;
        Ok((self.wrap)(file))
    }

    fn append(&self, name: &str, end: u64) -> io::Result<Box<dyn Medium>> {
        let file = OpenOptions::new().append(true).open(self.path.join(name))?;
        if file.metadata()?.len() > end {
            file.set_len(end)?;
            file.sync_all()?;
        }
        Ok((self.wrap)(file))
    }

    /// By a temporary file and a rename.
    fn replace(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let draft = self.path.join(format!("{name}.tmp"));
        let mut file = File::create(&draft)?;
        for part in parts {
            Write::write_all(&mut file, part)?;
        }
        file.sync_all()?;
        fs::rename(&draft, self.path.join(name))?;
        self.sync_names()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }
}
