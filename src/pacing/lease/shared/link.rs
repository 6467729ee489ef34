//! One connection to the shared server, with a time limit on every call and a breaker: after a failure nobody waits for it
//! again for a second.

use super::super::LeaseError;
use super::resp::{Connection, Reply};
use crate::units::Timestamp;
use std::fmt;
use std::io;
use std::time::Duration;

/// After a failure, until the next attempt.
const BREAK: Duration = Duration::from_secs(1);
/// Of all keys.
pub const PREFIX: &str = "outbid:";

/// Where the shared server is, and what it must be.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedSettings {
    /// `redis://host:port/db`.
    pub url: String,
    pub password: Option<String>,
    /// A call that takes longer has failed.
    pub timeout: Duration,
    /// Replicas that must have a grant before it is used.
    pub replicas: u32,
    /// A server that may forget what it has answered is taken all the same.
    pub may_lose: bool,
}

impl fmt::Debug for SharedSettings {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSettings")
            .field("url", &self.url)
            .field("timeout", &self.timeout)
            .field("replicas", &self.replicas)
            .field("may_lose", &self.may_lose)
            .finish_non_exhaustive()
    }
}

/// See the [module](self).
pub struct Link {
    settings: SharedSettings,
    /// With the run id of the server at its other end.
    connection: Option<(Connection, String)>,
    broken_until: Timestamp,
}

impl SharedSettings {
    /// `host:port` and the number of the database; `None` where the URL is no such one.
    pub fn address(&self) -> Option<(&str, u16)> {
        let rest = self.url.strip_prefix("redis://")?;
        let (address, database) = rest.split_once('/').unwrap_or((rest, ""));
        let database = match database {
            "" => 0,
            number => number.parse().ok()?,
        };
        let (host, port) = address.rsplit_once(':')?;
        let is_plain = !host.is_empty() && !host.contains('@') && port.parse::<u16>().is_ok();
        is_plain.then_some((address, database))
    }
}

impl Link {
    /// Connects with the first call.
    pub fn new(settings: &SharedSettings) -> Link {
        Link {
            settings: settings.clone(),
            connection: None,
            broken_until: Timestamp(i64::MIN),
        }
    }

    /// The run id of the server at the other end; connects where there is no connection.
    ///
    /// # Errors
    /// [`LeaseError::NotDurable`] where the server may forget grants, [`LeaseError::Broken`] within a second of a failure.
    pub fn run_id(&mut self, now: Timestamp) -> Result<String, LeaseError> {
        if let Some((_, run_id)) = &self.connection {
            return Ok(run_id.clone());
        }
        if now < self.broken_until {
            return Err(LeaseError::Broken);
        }
        match self.connect() {
            Ok((connection, run_id)) => {
                self.connection = Some((connection, run_id.clone()));
                Ok(run_id)
            }
            Err(error) => {
                self.broken_until = now + BREAK;
                Err(error)
            }
        }
    }

    /// Runs one of the scripts; what it wrote is on the replicas, if so many are demanded.
    pub fn call(
        &mut self,
        script: &str,
        node: u16,
        arguments: &[Vec<u8>],
        now: Timestamp,
    ) -> Result<Reply, LeaseError> {
        let run_id = self.run_id(now)?;
        let script = [include_str!("prelude.lua"), script].concat();
        let mut words = words(["EVAL", &script, "0", PREFIX, &node.to_string(), &run_id]);
        words.extend_from_slice(arguments);
        let answer = self.ask(&words, now)?;
        self.replicate(now)?;
        Ok(answer)
    }

    /// Runs a command.
    pub fn run<const N: usize>(&mut self, command: [&str; N], now: Timestamp) -> Result<Reply, LeaseError> {
        self.ask(&words(command), now)
    }

    fn ask(&mut self, words: &[Vec<u8>], now: Timestamp) -> Result<Reply, LeaseError> {
        self.run_id(now)?;
        let (connection, _) = self.connection.as_mut().expect("connected just now");
        let error = match connection.ask(words) {
            Ok(Reply::Refused(text)) => match refusal(&text) {
                Some(refusal) => return Err(refusal),
                None => LeaseError::Shared(text),
            },
            Ok(reply) => return Ok(reply),
            Err(error) => LeaseError::Shared(error.to_string()),
        };
        // An answer that comes too late must not be taken for that of the next call.
        self.connection = None;
        self.broken_until = now + BREAK;
        Err(error)
    }

    fn replicate(&mut self, now: Timestamp) -> Result<(), LeaseError> {
        let wanted = self.settings.replicas;
        if wanted == 0 {
            return Ok(());
        }
        let patience_ms = (self.settings.timeout.as_millis() / 2).max(1);
        match self.run(["WAIT", &wanted.to_string(), &patience_ms.to_string()], now)? {
            Reply::Integer(reached) if reached >= i64::from(wanted) => Ok(()),
            reached => Err(LeaseError::Shared(format!(
                "{} of {wanted} replicas have it",
                reached.text().unwrap_or_default()
            ))),
        }
    }

    fn connect(&self) -> Result<(Connection, String), LeaseError> {
        let SharedSettings {
            password, timeout, ..
        } = &self.settings;
        let (address, database) = self
            .settings
            .address()
            .ok_or_else(|| LeaseError::Shared(format!("`{}` is no address", self.settings.url)))?;
        let mut connection = Connection::open(address, *timeout).map_err(shared)?;
        if let Some(password) = password {
            ask(&mut connection, ["AUTH", password])?;
        }
        if database > 0 {
            ask(&mut connection, ["SELECT", &database.to_string()])?;
        }
        let info = ask(&mut connection, ["INFO", "server"])?
            .text()
            .unwrap_or_default();
        let run_id = info
            .lines()
            .find_map(|line| line.strip_prefix("run_id:"))
            .unwrap_or_default()
            .trim();
        if run_id.is_empty() {
            return Err(LeaseError::Shared("the server has no run id".to_owned()));
        }
        if !self.settings.may_lose {
            check_durable(&mut connection)?;
        }
        Ok((connection, run_id.to_owned()))
    }
}

/// A grant that a crash takes back would be granted twice.
fn check_durable(connection: &mut Connection) -> Result<(), LeaseError> {
    const NEEDED: [(&str, &str); 3] = [
        ("appendonly", "yes"),
        ("appendfsync", "always"),
        ("maxmemory-policy", "noeviction"),
    ];
    for (key, needed) in NEEDED {
        let answer = ask(connection, ["CONFIG", "GET", key])?
            .texts()
            .unwrap_or_default();
        let found = answer.get(1).cloned().unwrap_or_default();
        if found != needed {
            return Err(LeaseError::NotDurable { key, needed, found });
        }
    }
    Ok(())
}

fn ask<const N: usize>(connection: &mut Connection, command: [&str; N]) -> Result<Reply, LeaseError> {
    match connection.ask(&words(command)).map_err(shared)? {
        Reply::Refused(text) => Err(LeaseError::Shared(text)),
        reply => Ok(reply),
    }
}

fn words<const N: usize>(command: [&str; N]) -> Vec<Vec<u8>> {
    command.map(|word| word.as_bytes().to_vec()).into()
}

fn shared(error: io::Error) -> LeaseError {
    LeaseError::Shared(error.to_string())
}

/// What a script said no to: the connection is as good as before.
fn refusal(text: &str) -> Option<LeaseError> {
    let (code, why) = text.split_once(' ').unwrap_or((text, text));
    match code {
        "UNDECLARED" | "STALE" => Some(LeaseError::Undeclared),
        "DEAD" | "TAKEN" | "SUPERSEDED" | "UNKNOWN" | "FULL" => Some(LeaseError::Refused {
            dead: code == "DEAD",
            why: why.to_owned(),
        }),
        // Reading its files, or a replica: another attempt may find it ready.
        _ => None,
    }
}
