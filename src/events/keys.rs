//! Secrets of the installation: files under `data/keys/`, made at the first start and never overwritten.
//!
//! Invariant: every secret has its exact length, and nobody but the owner of the process may read it.
//!
//! ```text
//! data/keys/            directory, mode 0700
//!   token-1.key         32 random bytes, mode 0600: seals and opens notice tokens
//!   token-2.key         a rotation: the highest id seals, all of them open
//!   user.key            16 random bytes: under which user ids are hashed
//!   postback.key        32 random bytes: the HMAC key of server postbacks
//! ```
//!
//! To rotate the token key, add a file of the next id and restart; remove the old one when its last token
//! has expired: `(umask 077; head -c 32 /dev/urandom > data/keys/token-2.key)`.

use crate::units::UserKeySecret;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// All secrets, read once at start.
pub struct Keys {
    /// At least one, ids ascending.
    pub token: Vec<TokenKey>,
    pub user: UserKeySecret,
    pub postback: PostbackKey,
}

/// A key of ChaCha20-Poly1305, named in every token that it seals.
#[derive(Clone)]
pub struct TokenKey {
    pub id: u8,
    pub secret: [u8; 32],
}

/// The key under which partners sign postbacks.
#[derive(Clone)]
pub struct PostbackKey(pub [u8; 32]);

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "{path}: mode is {mode:04o}, others could read it; it must be {right:04o}: chmod {right:o} '{path}'"
    )]
    Mode { path: PathBuf, mode: u32, right: u32 },
    #[error("{path}: holds {found} bytes, a key of its kind is {right} random bytes")]
    Length {
        path: PathBuf,
        found: usize,
        right: usize,
    },
    #[error("{path}: a token key is named token-N.key with N from 1 to 255")]
    Name { path: PathBuf },
    #[error("no random bytes from the operating system: {0}")]
    Random(getrandom::Error),
}

impl Keys {
    /// Reads the keys in `dir`, making the directory and those that are missing.
    pub fn open(dir: &Path) -> Result<Keys, KeyError> {
        make_directory(dir)?;
        let mut ids = token_ids(dir)?;
        if ids.is_empty() {
            ids.push(1);
        }
        let token = ids
            .into_iter()
            .map(|id| {
                Ok(TokenKey {
                    id,
                    secret: read_or_make(&dir.join(format!("token-{id}.key")))?,
                })
            })
            .collect::<Result<_, KeyError>>()?;
        Ok(Keys {
            token,
            user: UserKeySecret(read_or_make(&dir.join("user.key"))?),
            postback: PostbackKey(read_or_make(&dir.join("postback.key"))?),
        })
    }
}

fn make_directory(dir: &Path) -> Result<(), KeyError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(at(dir))?;
    check_mode(dir, 0o700)
}

/// The ids of the files `token-N.key`, ascending.
fn token_ids(dir: &Path) -> Result<Vec<u8>, KeyError> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        let path = entry.map_err(at(dir))?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let Some(number) = name
            .strip_prefix("token-")
            .and_then(|rest| rest.strip_suffix(".key"))
        else {
            continue;
        };
        let id = number
            .parse::<u8>()
            .ok()
            .filter(|id| *id > 0 && id.to_string() == number);
        ids.push(id.ok_or(KeyError::Name { path })?);
    }
    ids.sort_unstable();
    Ok(ids)
}

fn read_or_make<const N: usize>(path: &Path) -> Result<[u8; N], KeyError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make::<N>(path)?;
            read_or_make(path)
        }
        Err(source) => Err(KeyError::Io {
            path: path.into(),
            source,
        }),
        Ok(bytes) => {
            check_mode(path, 0o600)?;
            let found = bytes.len();
            bytes.try_into().map_err(|_| KeyError::Length {
                path: path.into(),
                found,
                right: N,
            })
        }
    }
}

/// Links a complete file into place, so that a crash leaves no half key and of two processes one wins.
fn make<const N: usize>(path: &Path) -> Result<(), KeyError> {
    let mut secret = [0; N];
    getrandom::fill(&mut secret).map_err(KeyError::Random)?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.tmp", std::process::id()));
    let draft = PathBuf::from(draft);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)?;
        // The mode above is only for a file that is new; a draft left by a crash may have another.
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(&secret)?;
        file.sync_all()?;
        match fs::hard_link(&draft, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => fs::remove_file(&draft)?,
        }
        path.parent()
            .map_or(Ok(()), |dir| fs::File::open(dir)?.sync_all())
    };
    write().map_err(at(path))
}

fn check_mode(path: &Path, right: u32) -> Result<(), KeyError> {
    let mode = fs::metadata(path).map_err(at(path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Mode {
            path: path.into(),
            mode,
            right,
        });
    }
    Ok(())
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    let path = path.to_owned();
    |source| KeyError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prepare: impl FnOnce(&Path), expected: &str) {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("keys");
        Keys::open(&dir).unwrap();
        prepare(&dir);
        let error = Keys::open(&dir).err().expect("refused").to_string();
        assert!(error.contains(expected), "{error}");
    }

    fn write(path: PathBuf, bytes: &[u8]) {
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn the_first_start_makes_keys_that_later_starts_find() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("data/keys");
        let (first, second) = (Keys::open(&dir).unwrap(), Keys::open(&dir).unwrap());
        assert_eq!(first.token[0].secret, second.token[0].secret);
        assert_eq!(first.user.0, second.user.0);
        assert_eq!(first.postback.0, second.postback.0);
        assert_ne!(first.token[0].secret, first.postback.0);
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        for entry in fs::read_dir(&dir).unwrap() {
            assert_eq!(
                entry.unwrap().metadata().unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }

    #[test]
    fn keys_that_others_can_read_or_that_are_cut_short_are_refused() {
        let open_to_all = |name: &'static str, mode| {
            move |dir: &Path| fs::set_permissions(dir.join(name), Permissions::from_mode(mode)).unwrap()
        };
        check(
            open_to_all("user.key", 0o644),
            "mode is 0644, others could read it; it must be 0600",
        );
        check(
            open_to_all(".", 0o755),
            "mode is 0755, others could read it; it must be 0700",
        );
        check(
            |dir| write(dir.join("user.key"), b"short"),
            "user.key: holds 5 bytes",
        );
        check(
            |dir| write(dir.join("token-2.key"), &[1; 31]),
            "a key of its kind is 32 random bytes",
        );
        check(
            |dir| write(dir.join("token-256.key"), &[1; 32]),
            "token-N.key with N from 1 to 255",
        );
    }

    #[test]
    fn a_rotated_key_comes_last() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("keys");
        Keys::open(&dir).unwrap();
        write(dir.join("token-10.key"), &[7; 32]);
        write(dir.join("token-2.key"), &[2; 32]);
        let ids: Vec<u8> = Keys::open(&dir).unwrap().token.iter().map(|key| key.id).collect();
        assert_eq!(ids, [1, 2, 10]);
    }
}
