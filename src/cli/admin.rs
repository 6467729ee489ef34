//! A question to the admin address of a running bidder.

use anyhow::{Context, bail};
use outbid::config::Loaded;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A bidder on the other end of a working network answers in milliseconds.
const TIMEOUT: Duration = Duration::from_secs(5);

pub struct Answer {
    from: SocketAddr,
    status: String,
    pub body: String,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        self.status.contains(" 200 ")
    }

    /// What is wrong with the body that was sent, where that is what the bidder says.
    pub fn refusal(&self) -> Option<String> {
        let answer: serde_json::Value = serde_json::from_str(&self.body).ok()?;
        let refused = self.status.contains(" 400 ");
        Some(answer["error"].as_str()?.to_owned()).filter(|_| refused)
    }

    pub fn succeeded(self) -> anyhow::Result<String> {
        if !self.is_success() {
            bail!("{} answered `{}` {}", self.from, self.status, self.body.trim());
        }
        Ok(self.body)
    }
}

/// Sends `what`, a method and a path, with a JSON body where there is one.
pub fn ask(admin: SocketAddr, loaded: &Loaded, what: &str, body: &[u8]) -> anyhow::Result<Answer> {
    ask_in("application/json", admin, loaded, what, body)
}

/// As [`ask`], with a body of another type.
pub fn ask_in(
    kind: &str,
    admin: SocketAddr,
    loaded: &Loaded,
    what: &str,
    body: &[u8],
) -> anyhow::Result<Answer> {
    let token = loaded.settings.admin_token.as_ref();
    let authorization = token
        .map(|token| format!("Authorization: Bearer {token}\r\n"))
        .unwrap_or_default();
    let mut stream = TcpStream::connect_timeout(&admin, TIMEOUT).with_context(|| {
        format!("nobody answers at {admin}; is outbid running, and is this its admin address?")
    })?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(
        stream,
        "{what} HTTP/1.1\r\nHost: {admin}\r\n{authorization}Content-Type: {kind}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is not HTTP")?;
    let status = head.lines().next().unwrap_or_default().to_owned();
    Ok(Answer {
        from: admin,
        status,
        body: body.to_owned(),
    })
}
