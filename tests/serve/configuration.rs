//! A small configuration in a temporary folder: four exchanges, two advertisers, one campaign a test.

use std::path::{Path, PathBuf};
use std::{fs, io};
use tempfile::TempDir;

/// The base of the URLs in bids. Nobody listens there: the tests take paths from it. It is https, so that secure imps get bids.
pub const PUBLIC_URL: &str = "https://bid.example";
pub const BEARER: &str = "a-secret-of-the-closed-exchange";
pub const LANDING: &str = "https://north.example/landing?from=ad";

/// `config/` and `data/` of one bidder, gone with the value.
pub struct Folder {
    root: TempDir,
}

impl Folder {
    pub fn new() -> Folder {
        let folder = Folder {
            root: TempDir::new().unwrap(),
        };
        folder.write("outbid.toml", &folder.server("100ms"));
        let registry = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/registry");
        let models = format!(
            "registry = {:?}\n\n[bid]\nmodel = \"ctr/1\"\n",
            registry.display().to_string()
        );
        folder.write("models.toml", &models);
        folder.write("closed.token", BEARER);
        for (name, text) in FILES {
            folder.write(name, text);
        }
        folder
    }

    /// After TERM the bidder goes on accepting for `notice`.
    pub fn with_drain_notice(self, notice: &str) -> Folder {
        self.write("outbid.toml", &self.server(notice));
        self
    }

    pub fn with_campaign(self, campaign: Campaign) -> Folder {
        self.write_campaign(&campaign);
        self
    }

    /// Replaces the file of the campaign in one step, as a careful editor does.
    pub fn write_campaign(&self, campaign: &Campaign) {
        self.write(&format!("campaigns/{}.toml", campaign.id), &campaign.toml());
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.config().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let new = self.root().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, &path).unwrap();
    }

    pub fn read(&self, name: &str) -> io::Result<String> {
        fs::read_to_string(self.config().join(name))
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    pub fn config(&self) -> PathBuf {
        self.root().join("config")
    }

    pub fn data(&self) -> PathBuf {
        self.root().join("data")
    }

    /// Times are long, so that no answer depends on how busy the machine is.
    fn server(&self, drain_notice: &str) -> String {
        format!(
            r#"
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
public_url = "{PUBLIC_URL}"
workers = 2
data = {data:?}
time_zone = "UTC"
pacing = "asap"
exploration = 0.0
drain_notice = "{drain_notice}"
drain_max = "5s"

[limits]
decision_budget = "1s"
read_timeout = "1s"
capped_users = 10000
no_bid_sample = 1.0

[profiles]
path = {profiles:?}
demo_users = 2000
"#,
            data = self.data().display().to_string(),
            profiles = self.data().join("profiles.store").display().to_string(),
        )
    }
}

/// A campaign with one line item, `ID-1`, that bids on the site `ID.example` and nowhere else.
#[derive(Clone)]
pub struct Campaign {
    pub id: &'static str,
    pub cpm: &'static str,
    pub lifetime: &'static str,
    pub creative: &'static str,
    /// Further lines of the line item.
    pub more: &'static str,
}

impl Campaign {
    /// 5.00 for a thousand banners, and money enough.
    pub fn new(id: &'static str) -> Campaign {
        Campaign {
            id,
            cpm: "5.00",
            lifetime: "100.00",
            creative: "north-banner",
            more: "",
        }
    }

    pub fn toml(&self) -> String {
        let Campaign {
            id,
            cpm,
            lifetime,
            creative,
            more,
        } = self;
        format!(
            "id = \"{id}\"\nadvertiser = \"north\"\nbudget = {{ lifetime = {lifetime} }}\n\n[[line_item]]\nid = \"{id}-1\"\n\
             bid = {{ cpm = {cpm} }}\ncreatives = [\"{creative}\"]\ntargeting = {{ site = [\"{id}.example\"] }}\n{more}\n"
        )
    }
}

const FILES: [(&str, &str); 10] = [
    ("exchanges/open.toml", "seat = \"seat-open\"\n"),
    (
        "exchanges/closed.toml",
        "seat = \"seat-closed\"\nno_bid = \"reason\"\nbillable = \"win\"\nnotices = [\"win\", \"loss\"]\n\n\
         [auth]\nbearer_file = \"closed.token\"\n",
    ),
    ("exchanges/bare.toml", "no_bid = \"empty\"\n"),
    ("exchanges/slow.toml", "qps_max = 2\n"),
    ("exchanges/textual.toml", "format = \"json\"\n"),
    ("exchanges/binary.toml", "format = \"protobuf\"\n"),
    (
        "advertisers/north.toml",
        "id = \"north\"\ndomain = \"north.example\"\ncategories = [\"IAB3\"]\n",
    ),
    (
        "advertisers/south.toml",
        "id = \"south\"\ndomain = \"south.example\"\ncategories = [\"IAB20\"]\n",
    ),
    (
        "creatives/north.toml",
        r#"
advertiser = "north"
landing_url = "https://north.example/landing?from=ad"
languages = ["en"]

[[creative]]
id = "north-banner"
attributes = [2]
[creative.banner]
size = "300x250"
html = '<a href="${CLICK_URL}"><img src="https://cdn.north.example/a.png" alt="North"></a>'

[[creative]]
id = "north-film"
[creative.video]
title = "North"
duration = "15s"
size = "1280x720"
[[creative.video.media]]
url = "https://cdn.north.example/film.mp4"
mime = "video/mp4"
bitrate_kbps = 1200
"#,
    ),
    (
        "creatives/south.toml",
        r#"
advertiser = "south"
landing_url = "https://south.example/"

[[creative]]
id = "south-banner"
[creative.banner]
size = "728x90"
html = '<a href="${CLICK_URL}">South</a>'
"#,
    ),
];
