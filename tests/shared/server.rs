//! A Redis server of a test's own, and a wire to it that can be cut or led elsewhere.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Whatever is waited for comes within this time, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Killed when dropped; its files stay until then, so that it can be started again.
pub struct Redis {
    process: Option<Child>,
    pub port: u16,
    dir: tempfile::TempDir,
    options: Vec<&'static str>,
}

pub const DURABLE: [&str; 6] = [
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
    "--maxmemory-policy",
    "noeviction",
];

impl Redis {
    pub fn durable() -> Redis {
        Redis::start(&DURABLE)
    }

    pub fn start(options: &[&'static str]) -> Redis {
        // Another process may take a port between our look and its use: then the next one.
        (0..20)
            .find_map(|_| {
                let mut redis = Redis {
                    process: None,
                    port: free_port(),
                    dir: tempfile::tempdir().unwrap(),
                    options: options.to_vec(),
                };
                redis.run().then_some(redis)
            })
            .expect("a port that stays free")
    }

    /// KILL: what it has answered is on the disk, or lost.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub fn restart(&mut self) {
        assert!(self.run(), "the port is still ours");
    }

    /// KILL, and a start with empty hands: a server that may lose what it has.
    pub fn forget(&mut self) {
        self.kill();
        for entry in std::fs::read_dir(self.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                std::fs::remove_dir_all(path).unwrap();
            }
        }
        self.restart();
    }

    /// Stops it in its tracks, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { "-STOP" } else { "-CONT" };
        let id = self.process.as_ref().unwrap().id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// One command; its answer as text.
    pub fn ask(&self, words: &[&str]) -> String {
        ask(self.port, words).unwrap()
    }

    fn run(&mut self) -> bool {
        let log = PathBuf::from(self.dir.path()).join("log");
        let process = Command::new("redis-server")
            .args([
                "--port",
                &self.port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
            ])
            .arg(self.dir.path())
            .arg("--logfile")
            .arg(log)
            .args(&self.options)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed (tests/run does it)");
        self.process = Some(process);
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if ask(self.port, &["PING"]).is_ok_and(|answer| answer.starts_with("+PONG")) {
                return true;
            }
            if self.process.as_mut().unwrap().try_wait().unwrap().is_some() {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn ask(port: u16, words: &[&str]) -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{}\r\n", words.join(" "))?;
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Passes bytes on to a port that can be changed, until it is cut.
pub struct Wire {
    pub address: SocketAddr,
    target: Arc<AtomicU16>,
    cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Wire {
    pub fn to(port: u16) -> Wire {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let wire = Wire {
            address: listener.local_addr().unwrap(),
            target: Arc::new(AtomicU16::new(port)),
            cut: Arc::default(),
            open: Arc::default(),
        };
        let (target, cut, open) = (wire.target.clone(), wire.cut.clone(), wire.open.clone());
        // Ends with the test's process: nobody waits for it.
        thread::spawn(move || {
            for incoming in listener.incoming().map_while(Result::ok) {
                if cut.load(Ordering::SeqCst) {
                    // Accepted and never answered, as behind a broken switch.
                    open.lock().unwrap().push(incoming);
                    continue;
                }
                let port = target.load(Ordering::SeqCst);
                let Ok(outgoing) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
                    continue;
                };
                let both = [incoming.try_clone().unwrap(), outgoing.try_clone().unwrap()];
                open.lock().unwrap().extend(both);
                pass(incoming.try_clone().unwrap(), outgoing.try_clone().unwrap());
                pass(outgoing, incoming);
            }
        });
        wire
    }

    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    /// From now on nothing arrives, and connections that are open end.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        self.end_all();
    }

    pub fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
        self.end_all();
    }

    /// New connections go to another port, and open ones end.
    pub fn lead_to(&self, port: u16) {
        self.target.store(port, Ordering::SeqCst);
        self.end_all();
    }

    fn end_all(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            // Fails only where it has ended already.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        // An end of either side is the end of both.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Both);
        let _ = from.shutdown(std::net::Shutdown::Both);
    });
}
