//! `outbid.toml` → the server's settings. Invariant: what is reachable from outside has a public URL and a secret.

use super::document::{Document, Node, Table};
use super::files::{Folder, check_secret};
use super::problem::Report;
use super::quantity;
use crate::openrtb::privacy::PrivacyPolicy;
use crate::pacing::lease::SharedSettings;
use crate::server::{Apart, Limits, Settings};
use crate::units::{Currency, Spread};
use jiff::tz::TimeZone;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) const KEYS: &[&str] = &[
    "listen",
    "admin",
    "admin_token_file",
    "public_url",
    "workers",
    "node",
    "data",
    "log",
    "currency",
    "time_zone",
    "eid_sources",
    "pacing",
    "exploration",
    "drain_notice",
    "drain_max",
    "limits",
    "profiles",
    "privacy",
    "budgets",
];

pub(super) const LIMIT_KEYS: &[&str] = &[
    "decision_budget",
    "body",
    "decompressed",
    "connections_per_worker",
    "requests_in_flight_per_worker",
    "read_timeout",
    "idle_timeout",
    "candidates",
    "bid_queue",
    "notice_queue",
    "open_bids",
    "capped_users",
    "no_bid_sample",
];

pub(super) const PROFILE_KEYS: &[&str] = &["path", "demo_users"];

pub(super) const BUDGET_KEYS: &[&str] = &[
    "authority",
    "redis",
    "password_file",
    "timeout",
    "replicas",
    "durability",
    "caps_when_apart",
    "apart_after",
];

pub(super) const PRIVACY_KEYS: &[&str] = &["gvl_id", "honour_dnt"];

/// Where the admin token may stand instead of in a file.
pub(super) const ADMIN_TOKEN_VARIABLE: &str = "OUTBID_ADMIN_TOKEN";

/// Where the profiles are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfilesSettings {
    /// The mapped store; another file renamed into its place is taken up by the next reload.
    pub path: PathBuf,
    /// Users of the demo population that is made where the store is missing; `None` = the store must be there.
    pub demo_users: Option<u64>,
}

/// Everything that `outbid.toml` says.
pub(super) struct Server {
    pub settings: Settings,
    pub profiles: ProfilesSettings,
    pub privacy: PrivacyPolicy,
    pub currency: Currency,
    pub time_zone: TimeZone,
    pub eid_sources: Vec<String>,
    /// Of campaigns that say nothing.
    pub pacing: Spread,
    /// Likewise.
    pub exploration: f64,
}

pub(super) fn read(
    document: &Document,
    folder: &Folder,
    env: &dyn Fn(&str) -> Option<String>,
    report: &Report,
) -> Server {
    let tree = document.parse(report);
    let table = Table::root(document, &tree, KEYS, report);
    let listen = table.read("listen", SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)), address);
    let admin = table.read("admin", SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)), address);
    if listen == admin && listen.port() != 0 {
        table.problem(
            "`listen` and `admin` are the same address",
            "give them different ports",
        );
    }
    let settings = Settings {
        listen,
        admin,
        admin_token: admin_token(&table, admin, folder, env),
        public_url: public_url(&table, listen),
        workers: table.read("workers", 0, |n| n.integer(0..=1024)),
        node: table.read("node", 1, |n| n.integer(0..=i64::from(u16::MAX))),
        data: table.read("data", PathBuf::from("data"), |n| n.name().map(PathBuf::from)),
        shared: shared(&table, folder),
        apart: apart(&table),
        limits: limits(&table),
        drain_notice: table.read("drain_notice", Duration::from_secs(2), |n| {
            quantity::duration(n, Duration::ZERO..=Duration::from_secs(60))
        }),
        drain_max: table.read("drain_max", Duration::from_secs(7), |n| {
            quantity::duration(n, Duration::from_millis(100)..=Duration::from_secs(600))
        }),
        log_json: table.read("log", false, |n| n.choice(&[("text", false), ("json", true)])),
    };
    Server {
        profiles: profiles(&table, &settings.data),
        privacy: privacy(&table),
        settings,
        currency: table.read("currency", Currency::USD, quantity::currency),
        time_zone: table.read("time_zone", TimeZone::UTC, quantity::time_zone),
        eid_sources: table.list("eid_sources", quantity::domain),
        pacing: table.read("pacing", Spread::default(), quantity::spread),
        exploration: table.read("exploration", quantity::EXPLORATION, quantity::exploration),
    }
}

fn address(node: &Node<'_>) -> Option<SocketAddr> {
    let text = node.text()?;
    let address = text.parse().ok();
    if address.is_none() {
        node.problem(
            format!("`{text}` is no address"),
            "write address:port such as `127.0.0.1:8080`",
        );
    }
    address
}

fn admin_token(
    table: &Table<'_>,
    admin: SocketAddr,
    folder: &Folder,
    env: &dyn Fn(&str) -> Option<String>,
) -> Option<String> {
    let file = table.get("admin_token_file");
    let token = match (env(ADMIN_TOKEN_VARIABLE), &file) {
        (Some(text), _) => {
            check_secret(text.trim()).map_err(|what| format!("{ADMIN_TOKEN_VARIABLE}: {what}"))
        }
        (None, Some(node)) => folder
            .secret(node.text()?)
            .map_err(|what| format!("admin_token_file: {what}")),
        (None, None) => {
            if !admin.ip().is_loopback() {
                let fix =
                    format!("set `admin_token_file`, or {ADMIN_TOKEN_VARIABLE}, or listen on 127.0.0.1");
                table.problem("`admin` is reachable from outside and has no token", fix);
            }
            return None;
        }
    };
    token
        .map_err(|what| table.problem(&what, "write one line of random text, 16 characters or more"))
        .ok()
}

fn public_url(table: &Table<'_>, listen: SocketAddr) -> String {
    let Some(node) = table.get("public_url") else {
        if !listen.ip().is_loopback() {
            let fix = "write the base under which exchanges and browsers reach `listen`, such as `https://bid.example`";
            table.problem("`public_url` is missing and `listen` is not loopback", fix);
        }
        return format!("http://{listen}");
    };
    let url = quantity::url(&node).unwrap_or_default();
    if url.contains(['?', '#']) {
        node.problem(
            "this holds a query or a fragment",
            "write scheme, host and path only",
        );
    }
    if url.starts_with("http://") {
        node.note(
            "imps that ask for secure = 1 get no bid",
            "use an https URL outside of a demo",
        );
    }
    url.trim_end_matches('/').to_owned()
}

fn profiles(server: &Table<'_>, data: &Path) -> ProfilesSettings {
    let table = server
        .table("profiles", PROFILE_KEYS)
        .unwrap_or(Table::empty(server));
    let demo_users = table.read("demo_users", 0, |n| n.integer(0..=10_000_000));
    ProfilesSettings {
        path: table.read("path", data.join("profiles.store"), |n| {
            n.name().map(PathBuf::from)
        }),
        demo_users: (demo_users > 0).then_some(demo_users),
    }
}

fn privacy(server: &Table<'_>) -> PrivacyPolicy {
    let table = server
        .table("privacy", PRIVACY_KEYS)
        .unwrap_or(Table::empty(server));
    PrivacyPolicy {
        gvl_id: table.maybe("gvl_id", |n| n.integer(1..=i64::from(u16::MAX))),
        honour_dnt: table.read("honour_dnt", true, Node::boolean),
    }
}

/// `None` where the node has its budgets to itself.
fn shared(server: &Table<'_>, folder: &Folder) -> Option<SharedSettings> {
    let table = server.table("budgets", BUDGET_KEYS)?;
    let is_shared = table.read("authority", false, |n| {
        n.choice(&[("local", false), ("redis", true)])
    });
    if !is_shared {
        for key in &BUDGET_KEYS[1..] {
            if let Some(node) = table.get(key) {
                node.problem(
                    format!("`{key}` is for budgets that several nodes share"),
                    "write `authority = \"redis\"`, or take it out",
                );
            }
        }
        return None;
    }
    let url = table.need("redis", "redis = \"redis://10.0.0.5:6379/0\"")?;
    let text = url.text()?;
    let password = table.get("password_file").and_then(|node| {
        let secret = folder.secret(node.text()?);
        secret
            .map_err(|what| node.problem(what, "keep one line of random text there, 16 characters or more"))
            .ok()
    });
    let shared = SharedSettings {
        url: text.to_owned(),
        password,
        timeout: table.read("timeout", Duration::from_millis(50), |n| {
            quantity::duration(n, Duration::from_millis(1)..=Duration::from_secs(10))
        }),
        replicas: table.read("replicas", 0, |n| n.integer(0..=100)),
        may_lose: table.read("durability", false, |n| {
            n.choice(&[("strict", false), ("may-lose", true)])
        }),
    };
    if shared.address().is_none() {
        url.problem(
            format!("`{text}` is no address of a Redis server"),
            "write `redis://host:port/number`; a password stands in `password_file`",
        );
    }
    Some(shared)
}

fn apart(server: &Table<'_>) -> Apart {
    let table = server
        .table("budgets", BUDGET_KEYS)
        .unwrap_or(Table::empty(server));
    Apart {
        after: table.read("apart_after", Duration::from_secs(10), |n| {
            quantity::duration(n, Duration::from_secs(1)..=Duration::from_secs(3600))
        }),
        stops: table.read("caps_when_apart", false, |n| {
            n.choice(&[("open", false), ("closed", true)])
        }),
    }
}

fn limits(server: &Table<'_>) -> Limits {
    let none = Table::empty(server);
    let table = server.table("limits", LIMIT_KEYS).unwrap_or(none);
    let time = |key, default_ms, max_s| {
        let range = Duration::from_millis(1)..=Duration::from_secs(max_s);
        table.read(key, Duration::from_millis(default_ms), |n| {
            quantity::duration(n, range)
        })
    };
    let size = |key, default| table.read(key, default, |n| quantity::bytes(n, 1024..=64 << 20));
    let count = |key, default, max| table.read(key, default, |n| n.integer(1..=max));
    let limits = Limits {
        decision_budget: time("decision_budget", 10, 1),
        body_bytes: size("body", 1 << 20),
        decompressed_bytes: size("decompressed", 2 << 20),
        connections_per_worker: count("connections_per_worker", 4096, 1 << 20),
        requests_in_flight_per_worker: count("requests_in_flight_per_worker", 256, 1 << 20),
        read_timeout: time("read_timeout", 1000, 60),
        idle_timeout: time("idle_timeout", 60_000, 3600),
        candidates: count("candidates", 32, 256),
        bid_queue: count("bid_queue", 4096, 1 << 20),
        notice_queue: count("notice_queue", 65_536, 1 << 24),
        open_bids: count("open_bids", 600_000, 1 << 28),
        capped_users: count("capped_users", 1_000_000, 1 << 30),
        no_bid_sample: table.read("no_bid_sample", 0.01, |n| n.number(0.0..=1.0)),
    };
    if limits.decompressed_bytes < limits.body_bytes {
        table.problem(
            "`decompressed` is below `body`",
            "a body that is not compressed has to fit too: raise it",
        );
    }
    limits
}
