//! The configuration folder → settings and definitions, or everything that is wrong with it at once.
//!
//! Invariant: what this module returns is complete and consistent: no unknown key, no dangling reference, no value out
//! of range, every inherited value filled in. It reads files and nothing else; the time is an argument.
//!
//! | file | holds |
//! |---|---|
//! | `outbid.toml` | addresses, limits, accounting currency, default time zone |
//! | `models.toml` | which models are active |
//! | `rates.toml` | exchange rates with their date |
//! | `policy.toml` | never this ad to these people |
//! | `signals.toml`, `signals/NAME.toml` | named signals of places, such as the weather; one file for each place that a job writes |
//! | `stock.toml` | items that cannot be had |
//! | `exchanges/NAME.toml` | one exchange |
//! | `advertisers/NAME.toml` | one advertiser and the defaults of its campaigns |
//! | `creatives/NAME.toml` | creatives |
//! | `supply/` | who may sell what; see [`crate::store::supply`], which reads it |
//! | `traffic/` | which traffic is not bought; see [`crate::store::traffic`], which reads it |
//! | `campaigns/NAME.toml` | one campaign and its line items |
//!
//! Inheritance: a key of the line item replaces the same key of its campaign, which replaces the one in the
//! advertiser's `defaults`. In `targeting` each dimension is a key of its own. Caps of different levels and windows
//! all hold; the same level and window is replaced. Flights are narrowed, never widened.

mod advertiser;
mod bid;
mod campaign;
mod caps;
mod creative;
mod document;
mod effective;
mod exchange;
mod exchange_auth;
mod fatigue;
mod files;
mod hours;
mod kpi;
mod layers;
mod line_item;
mod linear;
mod macros;
mod models;
mod money;
mod names;
mod native;
mod policy;
mod problem;
mod quantity;
mod rates;
mod reallocation;
mod settings;
mod signals;
mod stock;
mod supply;
mod targeting;
mod traffic;

pub use effective::{Effective, effective};
pub use files::WatchedFile;
pub use models::ModelsPointer;
pub use problem::{Problem, Problems};
pub use settings::ProfilesSettings;

use crate::openrtb::privacy::PrivacyPolicy;
use crate::server::Settings;
use crate::store::campaigns::definition::Definitions;
use crate::store::exchange::Exchange;
use crate::store::rates::Rates;
use crate::units::{AccountId, Timestamp};
use advertiser::{Owner, Site};
use creative::Creatives;
use document::Table;
use files::Folder;
use jiff::tz::TimeZone;
use money::Purse;
use names::Names;
use problem::Report;
use settings::Server;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Used at start only; everything else is used at each reload.
    pub settings: Settings,
    pub profiles: ProfilesSettings,
    pub privacy: PrivacyPolicy,
    pub definitions: Definitions,
    pub exchanges: Vec<Exchange>,
    pub rates: Rates,
    pub models: ModelsPointer,
    /// For users whose own time zone is not known.
    pub default_time_zone: TimeZone,
    /// Sources of `eids` that name our users, the best first.
    pub eid_sources: Vec<String>,
    /// The folder of `ads.txt`, `app-ads.txt` and `sellers.json`; it may be missing.
    pub supply: PathBuf,
    /// The folder of lists of traffic that is not bought; it may be missing.
    pub traffic: PathBuf,
    /// Everything that was read, to be watched for changes.
    pub files: Vec<WatchedFile>,
    /// Over the names and contents of all files; secrets from the environment are not in it.
    pub hash: u64,
    /// What is allowed but may not be meant.
    pub notes: Problems,
}

/// Reads the folder `dir`. `env` looks up environment variables, which may hold secrets only.
///
/// # Errors
///
/// All problems at once, each with file, line, column and key.
pub fn load(dir: &Path, env: &dyn Fn(&str) -> Option<String>, now: Timestamp) -> Result<Loaded, Problems> {
    let report = Report::default();
    let loaded = read(dir, env, now, &report);
    let notes = report.finish()?;
    Ok(Loaded {
        notes,
        ..loaded.expect("what is missing is reported as a problem")
    })
}

/// `None` only where a file that the rest depends on is missing.
fn read(dir: &Path, env: &dyn Fn(&str) -> Option<String>, now: Timestamp, report: &Report) -> Option<Loaded> {
    let folder = Folder::read(dir, report);
    let models = folder
        .required("models.toml", report)
        .and_then(|document| models::read(document, report));
    let server = settings::read(folder.required("outbid.toml", report)?, &folder, env, report);
    let rates = rates::read(folder.single("rates.toml"), server.currency, now, report);
    let definitions = read_definitions(&folder, &server, &rates, now, report);
    let exchanges = read_exchanges(dir, &folder, &server, &definitions, env, report);
    check_accounts(&definitions, report);
    let files = folder.watched();
    Some(Loaded {
        settings: server.settings,
        profiles: server.profiles,
        privacy: server.privacy,
        definitions,
        exchanges,
        rates,
        models: models?,
        default_time_zone: server.time_zone,
        eid_sources: server.eid_sources,
        supply: dir.join(files::SUPPLY),
        traffic: dir.join(files::TRAFFIC),
        hash: files::hash_all(&files),
        files,
        notes: Problems::default(),
    })
}

fn read_exchanges(
    dir: &Path,
    folder: &Folder,
    server: &Server,
    definitions: &Definitions,
    env: &dyn Fn(&str) -> Option<String>,
    report: &Report,
) -> Vec<Exchange> {
    let documents = folder.all("exchanges");
    if documents.is_empty() {
        let place = dir.join("exchanges").display().to_string();
        report.whole(
            place,
            "there is no exchange",
            "add a file such as exchanges/demo.toml",
        );
    }
    documents
        .iter()
        .map(|d| exchange::read(d, server.currency, folder, env, definitions, report))
        .collect()
}

fn read_definitions(
    folder: &Folder,
    server: &Server,
    rates: &Rates,
    now: Timestamp,
    report: &Report,
) -> Definitions {
    let exchanges: Vec<&str> = folder.all("exchanges").iter().map(|d| d.stem.as_str()).collect();
    // Advertisers' trees live as long as their campaigns are read: these inherit from them.
    let trees: Vec<_> = folder
        .all("advertisers")
        .iter()
        .map(|d| (d, d.parse(report)))
        .collect();
    let site = Site {
        zone: server.time_zone.clone(),
        accounting: Purse {
            rates,
            currency: server.currency,
        },
    };
    let mut ids = Names::new("advertiser");
    let tables = trees
        .iter()
        .map(|(d, tree)| Table::root(d, tree, advertiser::KEYS, report));
    let owners: Vec<Owner<'_>> = tables
        .filter_map(|table| advertiser::read(&table, &site, &mut ids))
        .collect();
    let by_id = owners
        .iter()
        .enumerate()
        .map(|(i, owner)| (owner.advertiser.id.clone(), i))
        .collect();
    let advertisers: Vec<_> = owners.iter().map(|owner| owner.advertiser.clone()).collect();

    let mut creatives = Creatives::default();
    let mut ids = Names::new("creative");
    let refs = creative::References {
        advertisers: &advertisers,
        by_id: &by_id,
        exchanges: &exchanges,
        folder,
    };
    folder
        .all("creatives")
        .iter()
        .for_each(|d| creatives.read(d, &refs, &mut ids, report));
    for (advertiser, owner) in owners.iter().enumerate() {
        caps::check_groups(owner.caps_node.as_ref(), advertiser, &creatives);
    }

    let out_of_stock = folder
        .single("stock.toml")
        .map(|d| stock::read(d, now, report))
        .unwrap_or_default();
    let refs = campaign::References {
        out_of_stock: &out_of_stock,
        owners: &owners,
        by_id: &by_id,
        creatives: &creatives,
        exchanges: &exchanges,
        pacing: server.pacing,
        exploration: server.exploration,
        now,
    };
    let mut ids = campaign::Ids {
        campaigns: Names::new("campaign"),
        line_items: Names::new("line item"),
    };
    let campaigns = folder
        .all("campaigns")
        .iter()
        .filter_map(|d| campaign::read(d, &refs, &mut ids, report));
    let policy = folder
        .single("policy.toml")
        .map(|d| policy::read(d, &exchanges, report))
        .unwrap_or_default();
    let written = folder.single("signals.toml").into_iter();
    let written = written.flat_map(|d| signals::read(d, now, report));
    let fed = folder.all("signals").iter();
    let fed = fed.flat_map(|d| signals::read_feed(d, now, report));
    Definitions {
        campaigns: campaigns.collect(),
        advertisers,
        creatives: creatives.all,
        policy: policy.rules,
        do_not_disturb: policy.do_not_disturb,
        signals: written.chain(fed).collect(),
    }
}

/// Two budgets with one account would share their money.
fn check_accounts(definitions: &Definitions, report: &Report) {
    let mut taken = HashMap::new();
    let campaigns = definitions
        .campaigns
        .iter()
        .map(|c| (AccountId::campaign(&c.id), &c.id));
    let line_items = definitions.campaigns.iter().flat_map(|c| &c.line_items);
    for (account, id) in campaigns.chain(line_items.map(|item| (AccountId::line_item(&item.id), &item.id))) {
        if let Some(other) = taken.insert(account, id) {
            let what = format!("the budgets of `{id}` and `{other}` have the same 64-bit name");
            report.whole("campaigns", what, "change one of the ids a little");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_stands_in_the_default_configuration() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        let (report, sample) = (Report::default(), "exchanges/example.toml.sample");
        let read = Folder::read(&folder, &report);
        let mut text = std::fs::read_to_string(folder.join(sample)).expect("the sample is there");
        let singles = [
            "outbid.toml",
            "models.toml",
            "rates.toml",
            "policy.toml",
            "signals.toml",
            "stock.toml",
        ];
        let single = singles.iter().filter_map(|name| read.single(name));
        let kinds = ["exchanges", "advertisers", "campaigns", "creatives", "signals"];
        single
            .chain(kinds.iter().flat_map(|kind| read.all(kind)))
            .for_each(|d| text.push_str(&d.text));
        let stands = |key: &str| {
            [format!("{key} = "), format!("[{key}]"), format!(".{key}]")]
                .iter()
                .any(|s| text.contains(s))
        };
        let tables = [
            settings::KEYS,
            settings::LIMIT_KEYS,
            settings::PROFILE_KEYS,
            settings::PRIVACY_KEYS,
            settings::BUDGET_KEYS,
            models::KEYS,
            rates::KEYS,
            policy::RULE_KEYS,
            signals::KEYS,
            signals::FEED_KEYS,
            stock::KEYS,
            exchange::KEYS,
            exchange::EXPIRY_KEYS,
            exchange::PRICE_KEYS,
            supply::KEYS,
            advertiser::KEYS,
            caps::KEYS,
            fatigue::SUPPRESS_KEYS,
            fatigue::SUPPRESS_OF_KEYS,
            fatigue::BACK_OFF_KEYS,
            policy::KEYS,
            creative::KEYS,
            creative::BANNER_KEYS,
            linear::VIDEO_KEYS,
            linear::VIDEO_MEDIA_KEYS,
            linear::AUDIO_KEYS,
            linear::AUDIO_MEDIA_KEYS,
            linear::COMPANION_KEYS,
            native::KEYS,
            campaign::KEYS,
            campaign::BUDGET_KEYS,
            reallocation::KEYS,
            reallocation::LTV_KEYS,
            reallocation::ROI_KEYS,
            reallocation::RETENTION_KEYS,
            line_item::KEYS,
            line_item::REGION_KEYS,
            bid::KEYS,
            bid::WEIGHT_KEYS,
            bid::DISCOUNT_KEYS,
            bid::RELEVANCE_KEYS,
            kpi::KEYS,
            targeting::KEYS,
        ];
        let missing: Vec<&&str> = tables
            .iter()
            .copied()
            .flatten()
            .filter(|key| !stands(key))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
