//! A small real HTTP server for tests. Invariant: it answers what the test says, on real sockets, and never waits for time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// From 0, over all connections.
    pub number: usize,
    pub path: String,
    pub body: String,
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Status, further headers, body.
    Answer(u16, &'static str, String),
    /// The same, and the connection ends.
    AnswerAndClose(u16, String),
    /// Bytes as they are; the connection stays.
    Raw(&'static str),
    /// Bytes as they are, then the end.
    RawAndClose(&'static str),
    /// Nothing, for ever.
    Silence,
}

pub struct Server {
    pub address: SocketAddr,
    pub requests: Arc<Mutex<Vec<Request>>>,
}

/// Listens on a free port until the process ends.
pub fn serve(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("a listener has an address");
    let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
    let (handler, seen) = (Arc::new(handler), requests.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (handler, seen) = (handler.clone(), seen.clone());
            std::thread::spawn(move || converse(stream, &*handler, &seen));
        }
    });
    Server { address, requests }
}

impl Server {
    pub fn url(&self) -> String {
        format!("http://{}/bid", self.address)
    }

    pub fn paths(&self) -> Vec<String> {
        self.requests
            .lock()
            .expect("no handler panics")
            .iter()
            .map(|request| request.path.clone())
            .collect()
    }
}

fn converse(
    stream: TcpStream,
    handler: &dyn Fn(&Request) -> Reply,
    seen: &Mutex<Vec<Request>>,
) -> Option<()> {
    let mut out = stream.try_clone().ok()?;
    let mut input = BufReader::new(stream);
    loop {
        let (path, body) = read_request(&mut input)?;
        let request = {
            let mut seen = seen.lock().expect("no handler panics");
            let request = Request {
                number: seen.len(),
                path,
                body,
            };
            seen.push(request.clone());
            request
        };
        match handler(&request) {
            Reply::Answer(status, headers, body) => answer(&mut out, status, headers, &body).ok()?,
            Reply::AnswerAndClose(status, body) => {
                answer(&mut out, status, "Connection: close\r\n", &body).ok()?;
                return None;
            }
            Reply::Raw(bytes) => out.write_all(bytes.as_bytes()).ok()?,
            Reply::RawAndClose(bytes) => {
                out.write_all(bytes.as_bytes()).ok()?;
                return None;
            }
            Reply::Silence => {}
        }
    }
}

fn answer(out: &mut TcpStream, status: u16, headers: &str, body: &str) -> std::io::Result<()> {
    let length = if status == 204 {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    out.write_all(format!("HTTP/1.1 {status} X\r\n{headers}{length}\r\n{body}").as_bytes())
}

/// Path and body; `None` at the end of the connection.
fn read_request(input: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut line = String::new();
    input.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_string();
    let mut length = 0;
    loop {
        line.clear();
        input.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    Some((path, String::from_utf8(body).ok()?))
}
