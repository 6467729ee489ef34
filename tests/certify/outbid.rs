//! The real bidder as a process, with the demo configuration of the repository.
//!
//! Invariant: it listens on free ports, keeps its data in a folder of its own, and ends with the value.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// The demo's, but for what a test machine needs: free ports, few users, and no haste on a busy machine.
const SETTINGS: &str = r#"
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
public_url = "http://bid.example"
time_zone = "America/New_York"
eid_sources = ["id.example"]
pacing = "asap"
exploration = 0.0

[limits]
decision_budget = "1s"
capped_users = 100000

[profiles]
path = "data/profiles.store"
demo_users = 2000
"#;

pub struct Outbid {
    process: Child,
    /// `host:port` of bids and notices.
    pub bids: String,
    /// `host:port` of the admin API.
    pub admin: String,
    _folder: TempDir,
}

impl Outbid {
    pub fn start() -> Outbid {
        let folder = TempDir::new().unwrap();
        let config = folder.path().join("config");
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        copy(&repository.join("config"), &config);
        fs::write(config.join("outbid.toml"), SETTINGS).unwrap();
        let models = fs::read_to_string(config.join("models.toml")).unwrap();
        let registry = repository.join("models/registry").display().to_string();
        fs::write(
            config.join("models.toml"),
            models.replace("\"models/registry\"", &format!("{registry:?}")),
        )
        .unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_outbid"))
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .current_dir(folder.path())
            .env_remove("OUTBID_ADMIN_TOKEN")
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut greeting = BufReader::new(process.stdout.take().unwrap());
        let bids = address(&mut greeting, "bids");
        let admin = address(&mut greeting, "admin");
        // Read on when nobody listens: a full pipe would block the process.
        std::thread::spawn(move || greeting.lines().map_while(Result::ok).for_each(drop));
        Outbid {
            process,
            bids,
            admin,
            _folder: folder,
        }
    }
}

impl Drop for Outbid {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where the greeting says that something is: `  bids     http://ADDRESS/…`.
fn address(greeting: &mut BufReader<ChildStdout>, what: &str) -> String {
    let lines = greeting.lines().map_while(Result::ok);
    let mut lines = lines.filter(|line| line.trim_start().starts_with(what));
    let line = lines.next().expect("the bidder starts");
    let (_, behind) = line.split_once("http://").expect("the line has an address");
    let end = behind.find(['/', ' ']).unwrap_or(behind.len());
    behind[..end].to_owned()
}

/// The same with every condition on the hour of the day and the week true, so that it does not matter when a test runs.
fn at_all_hours(text: &str) -> String {
    let mut always = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match line.split_once("hours = [") {
            Some((before, _)) if before.ends_with("not_") => {}
            Some((before, after)) if !before.starts_with('#') => {
                let (_, rest) = after.split_once(']').expect("a list of hours is one line");
                always += &format!("{before}hours = [\"00-24\"]{rest}");
            }
            _ => always += line,
        }
    }
    always
}

/// Copies a configuration as it is [`at_all_hours`].
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            let text = fs::read_to_string(entry.path()).unwrap();
            fs::write(target, at_all_hours(&text)).unwrap();
        }
    }
}
