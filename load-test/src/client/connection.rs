//! One keep-alive connection as a state machine. Invariant: at most one request is under way, and whoever drives the
//! connection learns of its end exactly once.

use super::answer::{AnswerParser, Parsed};
use super::poller::{Poller, Ready};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// Bytes that are read at once: an answer of a few bids fits.
const READ_BYTES: usize = 16 << 10;

pub struct Connection {
    stream: Option<TcpStream>,
    phase: Phase,
    /// `input[..filled]` came since the last whole answer.
    input: Vec<u8>,
    filled: usize,
    parser: AnswerParser,
    /// What the socket has not taken yet.
    output: Vec<u8>,
    /// Counts up with every opening, so that news of an old socket is told from news of this one.
    generation: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Connecting,
    Idle,
    Waiting,
}

/// What came of looking at a connection.
#[derive(Debug)]
pub enum Step<'a> {
    Nothing,
    /// The connection has been established and is idle.
    Connected,
    Answered(Received<'a>),
    /// The connection is closed now.
    Lost(Loss),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    pub status: u16,
    pub body: &'a [u8],
    pub location: Option<&'a str>,
    /// Whether the connection has stayed open.
    pub open: bool,
}

/// How a connection ended that had not been told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    pub kind: LossKind,
    /// At least one byte of the answer had come.
    pub answer_begun: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossKind {
    /// It could not be established.
    Connect,
    /// The other side closed or reset it.
    Reset,
    /// What came was not HTTP.
    Malformed,
}

impl Default for Connection {
    fn default() -> Self {
        Connection::new()
    }
}

impl Connection {
    pub fn new() -> Connection {
        Connection {
            stream: None,
            phase: Phase::Closed,
            input: vec![0; READ_BYTES],
            filled: 0,
            parser: AnswerParser::default(),
            output: Vec::new(),
            generation: 0,
        }
    }

    pub fn is_connecting(&self) -> bool {
        self.phase == Phase::Connecting
    }

    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// Starts to connect; [`Step::Connected`] or [`Step::Lost`] follows. `slot` comes back in [`Connection::slot`].
    pub fn open(&mut self, address: SocketAddr, slot: u32, poller: &Poller) -> std::io::Result<()> {
        self.close();
        self.generation = self.generation.wrapping_add(1);
        let family = if address.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        poller.add(&stream, u64::from(self.generation) << 32 | u64::from(slot))?;
        self.stream = Some(stream);
        self.phase = Phase::Connecting;
        Ok(())
    }

    /// The slot that a readiness is about.
    pub fn slot(ready: &Ready) -> usize {
        (ready.key & u64::from(u32::MAX)) as usize
    }

    /// Sends a request on an idle connection.
    pub fn send(&mut self, request: &[u8]) -> Result<(), Loss> {
        debug_assert_eq!(self.phase, Phase::Idle, "one request at a time");
        self.phase = Phase::Waiting;
        let stream = self.stream.as_mut().expect("an idle connection has a socket");
        match stream.write(request) {
            Ok(written) => {
                self.output.extend_from_slice(&request[written..]);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.output.extend_from_slice(request);
                Ok(())
            }
            Err(_) => Err(self.lose(LossKind::Reset)),
        }
    }

    /// Looks at what the poller has seen.
    pub fn on_ready(&mut self, ready: &Ready) -> Step<'_> {
        if ready.key >> 32 != u64::from(self.generation) {
            return Step::Nothing;
        }
        match self.phase {
            Phase::Closed => Step::Nothing,
            Phase::Connecting => self.finish_connect(ready),
            Phase::Idle => self.look_for_end(),
            Phase::Waiting => {
                if ready.writable && !self.output.is_empty() && self.flush().is_err() {
                    return Step::Lost(self.lose(LossKind::Reset));
                }
                self.receive(ready.hung_up)
            }
        }
    }

    pub fn close(&mut self) {
        self.stream = None;
        self.phase = Phase::Closed;
        self.filled = 0;
        self.output.clear();
        self.parser.reset();
    }

    fn lose(&mut self, kind: LossKind) -> Loss {
        let answer_begun = self.filled > 0;
        self.close();
        Loss { kind, answer_begun }
    }

    fn finish_connect(&mut self, ready: &Ready) -> Step<'_> {
        if !ready.writable && !ready.hung_up {
            return Step::Nothing;
        }
        let stream = self
            .stream
            .as_ref()
            .expect("a connecting connection has a socket");
        if !matches!(stream.take_error(), Ok(None)) || stream.peer_addr().is_err() {
            return Step::Lost(self.lose(LossKind::Connect));
        }
        self.phase = Phase::Idle;
        Step::Connected
    }

    /// An idle connection has nothing to say but its end.
    fn look_for_end(&mut self) -> Step<'_> {
        let stream = self.stream.as_mut().expect("an idle connection has a socket");
        match stream.read(&mut self.input) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Step::Nothing,
            Ok(0) | Err(_) => Step::Lost(self.lose(LossKind::Reset)),
            Ok(_) => Step::Lost(self.lose(LossKind::Malformed)),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let stream = self.stream.as_mut().expect("a waiting connection has a socket");
        match stream.write(&self.output) {
            Ok(written) => {
                self.output.drain(..written);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reads until there is no more, or an answer is whole.
    fn receive(&mut self, hung_up: bool) -> Step<'_> {
        loop {
            if self.filled == self.input.len() {
                self.input.resize(2 * self.input.len(), 0);
            }
            let stream = self.stream.as_mut().expect("a waiting connection has a socket");
            let read = match stream.read(&mut self.input[self.filled..]) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Step::Nothing,
                Err(_) => return Step::Lost(self.lose(LossKind::Reset)),
            };
            let drained = self.filled + read < self.input.len();
            self.filled += read;
            match self.parser.parse(&mut self.input[..self.filled], read == 0) {
                // An end that was announced with the last bytes will not be announced again.
                Parsed::Whole(answer) => return self.deliver(answer, read == 0 || hung_up),
                Parsed::Malformed => return Step::Lost(self.lose(LossKind::Malformed)),
                Parsed::Partial if read == 0 => return Step::Lost(self.lose(LossKind::Reset)),
                // A short read has emptied the socket; only an end can stand behind it, and that is announced.
                Parsed::Partial if drained && !hung_up => return Step::Nothing,
                Parsed::Partial => {}
            }
        }
    }

    fn deliver(&mut self, answer: super::Answer, ended: bool) -> Step<'_> {
        self.filled = 0;
        let open = !answer.close && !ended && self.output.is_empty();
        if open {
            self.phase = Phase::Idle;
        } else {
            self.close();
        }
        let location = answer
            .location
            .and_then(|place| std::str::from_utf8(&self.input[place]).ok());
        Step::Answered(Received {
            status: answer.status,
            body: &self.input[answer.body],
            location,
            open,
        })
    }
}
