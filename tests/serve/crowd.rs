//! Clients that ask for bids all the time and take nothing but an answer.

use super::http::Connection;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Asks until it is stopped or dropped.
pub struct Crowd {
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<io::Result<Answers>>>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Answers {
    pub bids: u64,
    pub no_bids: u64,
}

impl Crowd {
    /// `clients` at once, each on a new connection whenever the old one is closed as announced.
    pub fn start(to: SocketAddr, request: Vec<u8>, clients: usize) -> Crowd {
        let over = Arc::new(AtomicBool::new(false));
        let client = || {
            let (over, request) = (over.clone(), request.clone());
            std::thread::spawn(move || keep_asking(to, &request, &over))
        };
        Crowd {
            clients: (0..clients).map(|_| client()).collect(),
            over,
        }
    }

    /// What all of them got together; a connection that broke or another status fails the test.
    pub fn stop(mut self) -> Answers {
        self.over.store(true, Ordering::Relaxed);
        let mut all = Answers::default();
        for client in self.clients.drain(..) {
            let one = client.join().unwrap().expect("every request is answered");
            all.bids += one.bids;
            all.no_bids += one.no_bids;
        }
        all
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn keep_asking(to: SocketAddr, request: &[u8], over: &AtomicBool) -> io::Result<Answers> {
    let mut answers = Answers::default();
    let mut connection = Connection::try_open(to)?;
    while !over.load(Ordering::Relaxed) {
        let answer = connection.try_ask(request)?;
        match answer.status {
            200 => answers.bids += 1,
            204 => answers.no_bids += 1,
            status => return Err(io::Error::other(format!("status {status}"))),
        }
        if answer.header("connection") == Some("close") {
            connection = Connection::try_open(to)?;
        }
    }
    Ok(answers)
}
