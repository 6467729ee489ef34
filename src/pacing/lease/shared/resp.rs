//! The wire of Redis, RESP version 2, as far as a blocking client needs it.
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>
//!
//! Invariant: whatever comes in is bounded, and a connection on which an answer was late or not understood is not used again.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Of one text: an inbox of 256 bookings is below 1 MiB.
const TEXT_BYTES_MAX: usize = 64 << 20;
const ITEMS_MAX: usize = 1 << 20;
/// Scripts answer with arrays of texts.
const DEPTH_MAX: usize = 4;
const LINE_BYTES_MAX: usize = 64 << 10;

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Nothing,
    Integer(i64),
    Text(Vec<u8>),
    Items(Vec<Reply>),
    /// The first word says what is wrong.
    Refused(String),
}

/// A connection with a time limit on every read and write.
pub struct Connection {
    stream: TcpStream,
    /// Read and not yet understood.
    waiting: Vec<u8>,
    at: usize,
}

impl Connection {
    /// `address` is `host:port`.
    pub fn open(address: &str, timeout: Duration) -> io::Result<Connection> {
        let address = address
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| io::Error::new(ErrorKind::NotFound, "no address has this name"))?;
        let stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(Connection {
            stream,
            waiting: Vec::new(),
            at: 0,
        })
    }

    /// Sends a command and waits for its answer. After an error the connection is of no use.
    pub fn ask(&mut self, words: &[Vec<u8>]) -> io::Result<Reply> {
        let mut out = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            out.extend(format!("${}\r\n", word.len()).bytes());
            out.extend(word);
            out.extend(b"\r\n");
        }
        self.stream.write_all(&out)?;
        self.waiting.clear();
        self.at = 0;
        self.reply(0)
    }

    fn reply(&mut self, depth: usize) -> io::Result<Reply> {
        let line = self.line()?;
        let (kind, rest) = line.split_at_checked(1).ok_or_else(|| bad("an empty line"))?;
        let number = || rest.parse::<i64>().map_err(|_| bad("a number that is none"));
        match kind {
            "+" => Ok(Reply::Text(rest.as_bytes().to_vec())),
            "-" => Ok(Reply::Refused(rest.to_owned())),
            ":" => Ok(Reply::Integer(number()?)),
            "$" => match number()? {
                ..=-1 => Ok(Reply::Nothing),
                length => self.text(length as usize),
            },
            "*" => match number()? {
                ..=-1 => Ok(Reply::Nothing),
                count if count as usize <= ITEMS_MAX && depth < DEPTH_MAX => {
                    let items = (0..count).map(|_| self.reply(depth + 1));
                    Ok(Reply::Items(items.collect::<io::Result<_>>()?))
                }
                _ => Err(bad("too many items")),
            },
            _ => Err(bad("an answer of no known kind")),
        }
    }

    fn text(&mut self, length: usize) -> io::Result<Reply> {
        if length > TEXT_BYTES_MAX {
            return Err(bad("a text that is too long"));
        }
        while self.waiting.len() < self.at + length + 2 {
            self.read_more()?;
        }
        let text = self.waiting[self.at..self.at + length].to_vec();
        self.at += length + 2;
        Ok(Reply::Text(text))
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            let rest = &self.waiting[self.at..];
            if let Some(end) = memchr::memmem::find(rest, b"\r\n") {
                let line = String::from_utf8_lossy(&rest[..end]).into_owned();
                self.at += end + 2;
                return Ok(line);
            }
            if rest.len() > LINE_BYTES_MAX {
                return Err(bad("a line that is too long"));
            }
            self.read_more()?;
        }
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 << 10];
        match self.stream.read(&mut piece)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            read => {
                self.waiting.extend_from_slice(&piece[..read]);
                Ok(())
            }
        }
    }
}

impl Reply {
    /// Texts and numbers as text, nothing as an empty one; `None` for anything else.
    pub fn text(&self) -> Option<String> {
        match self {
            Reply::Text(text) => String::from_utf8(text.clone()).ok(),
            Reply::Integer(number) => Some(number.to_string()),
            Reply::Nothing => Some(String::new()),
            Reply::Items(_) | Reply::Refused(_) => None,
        }
    }

    /// All items as text.
    pub fn texts(&self) -> Option<Vec<String>> {
        match self {
            Reply::Items(items) => items.iter().map(Reply::text).collect(),
            _ => None,
        }
    }

    /// All items as bytes.
    pub fn byte_texts(self) -> Option<Vec<Vec<u8>>> {
        let Reply::Items(items) = self else {
            return None;
        };
        items
            .into_iter()
            .map(|item| match item {
                Reply::Text(bytes) => Some(bytes),
                _ => None,
            })
            .collect()
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(
        ErrorKind::InvalidData,
        format!("not the language of Redis: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// What a client makes of a server that answers with `bytes` and hangs up.
    fn understood(bytes: &[u8]) -> io::Result<Reply> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut client = Connection::open(&address, Duration::from_secs(20)).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(bytes).unwrap();
        server.shutdown(std::net::Shutdown::Write).unwrap();
        client.ask(&[b"PING".to_vec()])
    }

    #[test]
    fn every_kind_of_answer_is_understood() {
        let text = |text: &str| Reply::Text(text.as_bytes().to_vec());
        let cases = [
            ("+PONG\r\n", text("PONG")),
            ("-DEAD node 3\r\n", Reply::Refused("DEAD node 3".into())),
            (":-7\r\n", Reply::Integer(-7)),
            ("$-1\r\n", Reply::Nothing),
            ("$0\r\n\r\n", text("")),
            ("$4\r\na\r\nb\r\n", text("a\r\nb")),
            (
                "*3\r\n:1\r\n$1\r\nx\r\n*0\r\n",
                Reply::Items(vec![Reply::Integer(1), text("x"), Reply::Items(vec![])]),
            ),
        ];
        for (bytes, expected) in cases {
            assert_eq!(understood(bytes.as_bytes()).unwrap(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_cut_malformed_or_too_large_is_an_error() {
        let deep = "*1\r\n".repeat(20);
        for bytes in [
            "",
            "+PONG",
            "$5\r\nab\r\n",
            "*2\r\n:1\r\n",
            "?\r\n",
            "\r\n",
            ":x\r\n",
            "$99999999999\r\n",
            "*99999999\r\n",
            &deep,
        ] {
            assert!(understood(bytes.as_bytes()).is_err(), "{bytes:?}");
        }
    }
}
