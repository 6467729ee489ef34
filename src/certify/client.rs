//! A small blocking HTTP/1.1 client that says exactly what it is told to say, well-formed or not.
//!
//! Invariant: every wait has an end, and an answer longer than [`ANSWER_BYTES_MAX`] is an error.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Far above any bid response; a server that never stops talking is not read for ever.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Far above any head or chunk size: the end of one is looked for again with every piece that comes.
const HEAD_BYTES_MAX: usize = 64 << 10;

pub struct Client {
    timeout: Duration,
    /// One idle connection for each `host:port`.
    idle: RefCell<HashMap<String, Connection>>,
}

/// A request before it is bytes.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: &'static str,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Sends the body in chunks of this many bytes instead of with a length.
    pub chunk: Option<usize>,
}

#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// As it came, still encoded.
    pub body: Vec<u8>,
    pub elapsed: Duration,
}

struct Connection {
    stream: TcpStream,
    /// Read and not yet used.
    waiting: Vec<u8>,
    deadline: Instant,
}

impl Client {
    pub fn new(timeout: Duration) -> Client {
        Client {
            timeout,
            idle: RefCell::default(),
        }
    }

    /// Asks on an open connection if there is one, else on a new one.
    pub fn ask(&self, authority: &str, call: &Call) -> io::Result<Reply> {
        let bytes = call.to_bytes(authority);
        let kept = self.idle.borrow_mut().remove(authority);
        if let Some(mut connection) = kept {
            match self.converse(&mut connection, &bytes, 1) {
                Ok(mut replies) => return Ok(self.keep(authority, connection, &mut replies)),
                // The server has closed it in the meantime, as it may.
                Err(error) if is_stale(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let mut connection = self.open(authority)?;
        let mut replies = self.converse(&mut connection, &bytes, 1)?;
        Ok(self.keep(authority, connection, &mut replies))
    }

    /// Sends several requests in one piece on a connection of their own, then reads as many answers.
    pub fn pipeline(&self, authority: &str, calls: &[Call]) -> io::Result<Vec<Reply>> {
        let bytes: Vec<u8> = calls.iter().flat_map(|call| call.to_bytes(authority)).collect();
        self.converse(&mut self.open(authority)?, &bytes, calls.len())
    }

    /// Asks one after the other on one new connection: an error if the server closes it in between.
    pub fn sequence(&self, authority: &str, calls: &[Call]) -> io::Result<Vec<Reply>> {
        let mut connection = self.open(authority)?;
        let mut replies = Vec::new();
        for call in calls {
            replies.extend(self.converse(&mut connection, &call.to_bytes(authority), 1)?);
        }
        Ok(replies)
    }

    fn open(&self, authority: &str) -> io::Result<Connection> {
        let mut last = io::Error::new(ErrorKind::NotFound, format!("{authority} has no address"));
        for address in authority.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, self.timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_write_timeout(Some(self.timeout))?;
                    return Ok(Connection {
                        stream,
                        waiting: Vec::new(),
                        deadline: Instant::now(),
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn converse(&self, connection: &mut Connection, bytes: &[u8], answers: usize) -> io::Result<Vec<Reply>> {
        let started = Instant::now();
        connection.deadline = started + self.timeout;
        // A server may refuse a large body before it has come to its end: what it said is read even so.
        let sent = connection.stream.write_all(bytes);
        let mut replies = Vec::new();
        for _ in 0..answers {
            let mut reply = match (connection.receive(), &sent) {
                (Err(_), Err(error)) => return Err(io::Error::new(error.kind(), error.to_string())),
                (received, _) => received?,
            };
            reply.elapsed = started.elapsed();
            replies.push(reply);
        }
        Ok(replies)
    }

    fn keep(&self, authority: &str, connection: Connection, replies: &mut Vec<Reply>) -> Reply {
        let reply = replies.pop().expect("one request has one answer");
        if !reply.ends_connection() && connection.waiting.is_empty() {
            self.idle.borrow_mut().insert(authority.to_owned(), connection);
        }
        reply
    }
}

impl Call {
    pub fn post(target: &str, body: Vec<u8>) -> Call {
        Call {
            method: "POST",
            target: target.to_owned(),
            headers: Vec::new(),
            body,
            chunk: None,
        }
    }

    pub fn get(target: &str) -> Call {
        Call {
            method: "GET",
            ..Call::post(target, Vec::new())
        }
    }

    pub fn with(mut self, name: &str, value: &str) -> Call {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn to_bytes(&self, authority: &str) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        if !self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            bytes.extend_from_slice(format!("Host: {authority}\r\n").as_bytes());
        }
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        match self.chunk {
            None if self.method == "GET" => bytes.extend_from_slice(b"\r\n"),
            None => {
                bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", self.body.len()).as_bytes());
                bytes.extend_from_slice(&self.body);
            }
            Some(size) => {
                bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                for chunk in self.body.chunks(size.max(1)) {
                    bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    bytes.extend_from_slice(chunk);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
        }
        bytes
    }
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    fn ends_connection(&self) -> bool {
        let connection = self.header("connection").unwrap_or_default();
        connection.eq_ignore_ascii_case("close") || !self.has_known_end()
    }

    fn has_known_end(&self) -> bool {
        self.is_bodiless() || self.is_chunked() || self.header("content-length").is_some()
    }

    fn is_bodiless(&self) -> bool {
        matches!(self.status, 204 | 304)
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding")
            .is_some_and(|coding| coding.to_ascii_lowercase().contains("chunked"))
    }
}

impl Connection {
    /// The next final answer; interim ones (1xx) are passed over.
    fn receive(&mut self) -> io::Result<Reply> {
        loop {
            let mut reply = self.receive_head()?;
            if reply.status < 200 {
                continue;
            }
            reply.body = self.receive_body(&reply)?;
            return Ok(reply);
        }
    }

    fn receive_head(&mut self) -> io::Result<Reply> {
        let end = self.wait_for(b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&self.take(end + 4)).into_owned();
        let mut lines = head.lines();
        let first = lines.next().unwrap_or_default();
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let (true, Some(status)) = (first.starts_with("HTTP/1."), status) else {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                format!("`{}` is no HTTP/1.1 status line", shortened(first)),
            ));
        };
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        Ok(Reply {
            status,
            headers,
            ..Reply::default()
        })
    }

    fn receive_body(&mut self, reply: &Reply) -> io::Result<Vec<u8>> {
        if reply.is_bodiless() {
            return Ok(Vec::new());
        }
        if reply.is_chunked() {
            return self.receive_chunks();
        }
        match reply.header("content-length").map(str::parse) {
            Some(Ok(length)) => {
                self.wait_until(length)?;
                Ok(self.take(length))
            }
            Some(Err(_)) => Err(io::Error::new(
                ErrorKind::InvalidData,
                "Content-Length is no number",
            )),
            None => {
                while self.read_more()? {}
                Ok(std::mem::take(&mut self.waiting))
            }
        }
    }

    fn receive_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = self.wait_for(b"\r\n")?;
            let line = String::from_utf8_lossy(&self.take(end + 2)).into_owned();
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| {
                io::Error::new(
                    ErrorKind::InvalidData,
                    format!("`{}` is no chunk size", shortened(size)),
                )
            })?;
            if size > ANSWER_BYTES_MAX - body.len() {
                return Err(too_long());
            }
            self.wait_until(size + 2)?;
            body.extend_from_slice(&self.take(size));
            self.take(2);
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.waiting.split_off(length);
        std::mem::replace(&mut self.waiting, rest)
    }

    fn wait_for(&mut self, mark: &[u8]) -> io::Result<usize> {
        loop {
            if let Some(at) = self.waiting.windows(mark.len()).position(|window| window == mark) {
                return Ok(at);
            }
            if self.waiting.len() > HEAD_BYTES_MAX {
                return Err(io::Error::new(
                    ErrorKind::InvalidData,
                    "the head of the answer, or of a chunk, does not end within 64 KiB",
                ));
            }
            self.read_on()?;
        }
    }

    fn wait_until(&mut self, length: usize) -> io::Result<()> {
        while self.waiting.len() < length {
            self.read_on()?;
        }
        Ok(())
    }

    fn read_on(&mut self) -> io::Result<()> {
        if self.read_more()? {
            return Ok(());
        }
        let why = if self.waiting.is_empty() {
            "closed without an answer"
        } else {
            "closed within an answer"
        };
        Err(io::Error::new(ErrorKind::UnexpectedEof, why))
    }

    /// `false` at the end of the connection.
    fn read_more(&mut self) -> io::Result<bool> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(ErrorKind::TimedOut, "no answer in time"));
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut buffer = [0; 16 << 10];
        let read = match self.stream.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(io::Error::new(ErrorKind::TimedOut, "no answer in time"));
            }
            Err(error) => return Err(error),
        };
        self.waiting.extend_from_slice(&buffer[..read]);
        if self.waiting.len() > ANSWER_BYTES_MAX {
            return Err(too_long());
        }
        Ok(read > 0)
    }
}

/// Of what a server says in place of HTTP.
fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

fn too_long() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "the answer is longer than 16 MiB")
}

fn is_stale(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::BrokenPipe
            | ErrorKind::ConnectionAborted
    )
}
