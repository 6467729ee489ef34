//! A blocking HTTP/1.1 client that says exactly the bytes it is told to say.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// No answer takes this long; without it a test would hang.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Connection {
    stream: TcpStream,
    /// Read and not yet used.
    waiting: Vec<u8>,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Connection {
    pub fn open(to: SocketAddr) -> Connection {
        Connection::try_open(to).unwrap()
    }

    pub fn try_open(to: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection {
            stream,
            waiting: Vec::new(),
        })
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next final answer; interim ones (1xx) are passed over.
    pub fn receive(&mut self) -> io::Result<Response> {
        loop {
            let answer = self.receive_any()?;
            if answer.status >= 200 {
                return Ok(answer);
            }
        }
    }

    pub fn try_ask(&mut self, request: &[u8]) -> io::Result<Response> {
        self.send(request)?;
        self.receive()
    }

    pub fn ask(&mut self, request: &[u8]) -> Response {
        self.try_ask(request).unwrap()
    }

    /// Waits until the peer has closed the connection, having said nothing more.
    pub fn is_closed(&mut self) -> bool {
        self.waiting.is_empty() && matches!(self.stream.read(&mut [0; 1]), Ok(0))
    }

    fn receive_any(&mut self) -> io::Result<Response> {
        let head_end = loop {
            if let Some(end) = find(&self.waiting, b"\r\n\r\n") {
                break end + 4;
            }
            self.read_more()?;
        };
        let head = String::from_utf8(self.waiting.drain(..head_end).collect()).expect("a head is ASCII");
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let headers = lines.map(|line| line.split_once(':').expect("a header has a colon"));
        let mut answer = Response {
            status: status.unwrap_or_else(|| panic!("no status in {status_line:?}")),
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect(),
            body: Vec::new(),
        };
        let length: usize = answer.header("content-length").map_or(0, |v| v.parse().unwrap());
        while self.waiting.len() < length {
            self.read_more()?;
        }
        answer.body = self.waiting.drain(..length).collect();
        Ok(answer)
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 << 10];
        let read = self.stream.read(&mut piece)?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.waiting.extend_from_slice(&piece[..read]);
        Ok(())
    }
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

pub fn get(target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    write("GET", target, headers, None)
}

/// With `Content-Length`, and nothing else that is not in `headers`.
pub fn post(target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    write("POST", target, headers, Some(body))
}

pub fn write(method: &str, target: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: bid.example\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if let Some(body) = body {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body.unwrap_or_default());
    bytes
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
