//! One process at a time per directory.
//!
//! Invariant: the lock is the kernel's (`flock`), so it ends with the process however that ends. The process id in
//! the file is a hint for people.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Held until dropped.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Stand by and try again.
    #[error("{dir} is in use by process {}", pid.map_or("of unknown id".into(), |pid| pid.to_string()))]
    Held { dir: String, pid: Option<u32> },
    #[error("{path}: {source}")]
    Io { path: String, source: io::Error },
}

impl DirLock {
    /// Makes `dir` where it is missing and locks `dir/lock`, without waiting.
    pub fn try_acquire(dir: &Path) -> Result<DirLock, LockError> {
        let path = dir.join("lock");
        let io = |source| LockError::Io {
            path: path.display().to_string(),
            source,
        };
        fs::create_dir_all(dir).map_err(io)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Whatever cannot be read here leaves the holder without a number, not without its lock.
                let _ = file.take(16).read_to_string(&mut text);
                return Err(LockError::Held {
                    dir: dir.display().to_string(),
                    pid: text.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        file.set_len(0).map_err(io)?;
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(DirLock { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_held_by_one_and_free_again_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirLock::try_acquire(dir.path()).unwrap();
        match DirLock::try_acquire(dir.path()) {
            Err(LockError::Held { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(first);
        DirLock::try_acquire(dir.path()).unwrap();
    }
}
