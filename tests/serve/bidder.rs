//! One bidder process, and what exchanges, browsers and operators say to it.

use super::configuration::{Campaign, Folder, PUBLIC_URL};
use super::http::{self, Connection, Response};
use outbid::openrtb::macros::{Macro, expand};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Whatever is waited for comes within this time, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at another process.
const GLANCE: Duration = Duration::from_millis(10);

pub struct Bidder {
    process: Child,
    stderr: PathBuf,
    pub bids: SocketAddr,
    pub admin: SocketAddr,
}

/// One bid of a response.
pub struct Offer(pub Value);

#[derive(Debug, PartialEq)]
pub struct Money {
    pub spent: String,
    pub reserved: String,
    pub late: String,
}

pub fn outbid() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outbid"));
    command.env_remove("OUTBID_ADMIN_TOKEN").env_remove("RUST_LOG");
    command
}

/// Asks again and again until there is an answer.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(GLANCE);
    }
}

impl Bidder {
    pub fn start(folder: &Folder) -> Bidder {
        Bidder::start_with(folder, |_| ())
    }

    /// `change` adds arguments and variables.
    pub fn start_with(folder: &Folder, change: impl FnOnce(&mut Command)) -> Bidder {
        let mut command = outbid();
        command
            .arg("serve")
            .arg("--config")
            .arg(folder.config())
            .current_dir(folder.root());
        change(&mut command);
        let stderr = tempfile::Builder::new()
            .prefix("stderr-")
            .tempfile_in(folder.root())
            .unwrap();
        let stderr = stderr.into_temp_path().keep().unwrap();
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        let greeting = lines(process.stdout.take().unwrap());
        let [bids, admin] = read_addresses(&greeting).unwrap_or_else(|| {
            // It may be alive and silent.
            let _ = process.kill();
            panic!("no greeting:\n{}", fs::read_to_string(&stderr).unwrap());
        });
        Bidder {
            process,
            stderr,
            bids,
            admin,
        }
    }

    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// TERM, and the end that follows.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    pub fn wait(&mut self) -> ExitStatus {
        until("the process ends", || self.process.try_wait().unwrap())
    }

    /// KILL: no time to write anything down.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub fn ask(&self, request: &[u8]) -> Response {
        Connection::open(self.bids).ask(request)
    }

    pub fn request(&self, exchange: &str, request: &Value) -> Response {
        self.ask(&bid_request(exchange, &[], request))
    }

    /// The bid of the open exchange, if there is one.
    pub fn offer(&self, request: &Value) -> Option<Offer> {
        let answer = self.request("open", request);
        match answer.status {
            200 => Some(Offer::of(&answer)),
            204 => None,
            _ => panic!("{answer:?}"),
        }
    }

    /// Calls a URL of ours as the exchange does: with its macros replaced.
    pub fn fire(&self, url: &str, price: &str) -> Response {
        self.ask(&http::get(&played(url, price), &[]))
    }

    /// [`fire`](Bidder::fire), and acknowledged.
    pub fn tell(&self, url: &str, price: &str) {
        let answer = self.fire(url, price);
        assert_eq!(answer.status, 200, "{url}");
    }

    pub fn look(&self, target: &str) -> Response {
        Connection::open(self.admin).ask(&http::get(target, &[]))
    }

    pub fn reload(&self) -> Response {
        Connection::open(self.admin).ask(&http::post("/api/v1/reload", &[], b""))
    }

    /// The line item's part of the budgets page.
    pub fn line_item(&self, id: &str) -> Value {
        let report = self.look("/api/v1/budgets").json();
        let campaigns = report["campaigns"].as_array().unwrap();
        let mut items = campaigns.iter().flat_map(|c| c["line_items"].as_array().unwrap());
        items
            .find(|item| item["id"] == id)
            .unwrap_or_else(|| panic!("no line item {id} in {report:#}"))
            .clone()
    }

    pub fn money(&self, line_item: &str) -> Money {
        let lifetime = &self.line_item(line_item)["money"]["lifetime"];
        let text = |key: &str| lifetime[key].as_str().unwrap().to_owned();
        Money {
            spent: text("spent"),
            reserved: text("reserved"),
            late: text("late"),
        }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        read_text(&self.stderr)
    }

    /// The value behind a name with its labels, as it stands on the metrics page.
    pub fn metric(&self, name: &str) -> f64 {
        let page = self.look("/metrics");
        let found = page
            .text()
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = found.unwrap_or_else(|| panic!("no {name} in:\n{}", page.text()));
        value.parse().unwrap()
    }
}

impl Drop for Bidder {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("the bidder's log:\n{}", read_text(&self.stderr));
        }
    }
}

impl Offer {
    pub fn of(answer: &Response) -> Offer {
        Offer(answer.json()["seatbid"][0]["bid"][0].clone())
    }

    pub fn text(&self, key: &str) -> &str {
        self.0[key]
            .as_str()
            .unwrap_or_else(|| panic!("no {key} in {:#}", self.0))
    }

    pub fn price(&self) -> f64 {
        self.0["price"].as_f64().unwrap()
    }

    /// The first URL of ours in the markup with this path.
    pub fn beacon(&self, path: &str) -> &str {
        let (adm, start) = (self.text("adm"), format!("{PUBLIC_URL}{path}?"));
        let from = adm.find(&start).unwrap_or_else(|| panic!("no {path} in {adm}"));
        let length = adm[from..].find(['"', '\'', '<', ']', ' ']);
        length.map_or(&adm[from..], |length| &adm[from..from + length])
    }

    pub fn token(&self) -> &str {
        let (_, query) = self.beacon("/n/click").split_once("?t=").unwrap();
        query.split('&').next().unwrap()
    }
}

impl Money {
    pub fn is(spent: &str, reserved: &str) -> Money {
        Money {
            spent: spent.into(),
            reserved: reserved.into(),
            late: "0.00".into(),
        }
    }
}

/// A banner on the site of one campaign, seen by one user.
pub fn banner(campaign: &str, user: &str) -> Value {
    json!({
        "id": format!("{campaign} for {user}"),
        "at": 1,
        "tmax": 5000,
        "imp": [{"id": "1", "secure": 1, "banner": {"w": 300, "h": 250}}],
        "site": {"domain": format!("{campaign}.example")},
        "device": {"geo": {"country": "USA"}},
        "user": {"buyeruid": user},
    })
}

pub fn bid_request(exchange: &str, headers: &[(&str, &str)], request: &Value) -> Vec<u8> {
    let mut all = vec![("Content-Type", "application/json")];
    all.extend_from_slice(headers);
    http::post(
        &format!("/openrtb2/{exchange}"),
        &all,
        request.to_string().as_bytes(),
    )
}

/// Path and query of a URL of ours, with the macros replaced that an exchange replaces.
pub fn played(url: &str, price: &str) -> String {
    let played = expand(url, |name| match name {
        Macro::Price => Some(price),
        Macro::Currency => Some("USD"),
        Macro::Multiplier => Some("1"),
        Macro::Loss => Some("102"),
        Macro::MinToWin => Some("9.5"),
        _ => None,
    });
    played
        .strip_prefix(PUBLIC_URL)
        .unwrap_or_else(|| panic!("{url} is none of ours"))
        .to_owned()
}

/// A bidder that tests share while any of them runs; each has a campaign of its own in it.
pub struct Shared {
    bidder: Bidder,
    pub folder: Folder,
}

impl std::ops::Deref for Shared {
    type Target = Bidder;

    fn deref(&self) -> &Bidder {
        &self.bidder
    }
}

pub fn shared() -> Arc<Shared> {
    static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());
    // A test that failed has left nothing half done: the bidder is there or it is not.
    let mut known = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = known.upgrade() {
        return running;
    }
    let campaigns = super::wire::campaigns()
        .into_iter()
        .chain(super::money::campaigns())
        .chain(super::caps::campaigns())
        .chain(super::protobuf::campaigns())
        .chain(super::admin::campaigns())
        .chain(super::explain::campaigns());
    let folder = campaigns.fold(Folder::new(), Folder::with_campaign);
    let started = Arc::new(Shared {
        bidder: Bidder::start(&folder),
        folder,
    });
    *known = Arc::downgrade(&started);
    started
}

/// A bidder of one's own with one campaign.
pub fn alone(campaign: Campaign) -> (Folder, Bidder) {
    let folder = Folder::new().with_campaign(campaign);
    let bidder = Bidder::start(&folder);
    (folder, bidder)
}

/// Lines come over a channel, so that waiting for one can end.
fn lines(stdout: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Read on when nobody listens: a full pipe would block the process.
            let _ = sender.send(line);
        }
    });
    receiver
}

/// Where the greeting says that bids and the admin pages are.
fn read_addresses(greeting: &Receiver<String>) -> Option<[SocketAddr; 2]> {
    let mut found = [None; 2];
    while found.contains(&None) {
        let line = greeting.recv_timeout(PATIENCE).ok()?;
        for (place, word) in ["bids", "admin"].into_iter().enumerate() {
            if line.trim_start().starts_with(word) {
                found[place] = address(&line);
            }
        }
    }
    Some(found.map(|address| address.expect("the loop went on until both were found")))
}

/// Of `… http://ADDRESS/…`; an address that stands for all of this machine is reached by loopback.
fn address(line: &str) -> Option<SocketAddr> {
    let (_, behind) = line.split_once("http://")?;
    let mut address: SocketAddr = behind.split(['/', ' ']).next()?.parse().ok()?;
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    Some(address)
}

fn read_text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
