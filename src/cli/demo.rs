//! What a first start makes for itself: the demo population, and a request that gets a bid.

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use outbid::config::ProfilesSettings;
use outbid::engine::Snapshot;
use outbid::store::campaigns::Format;
use outbid::store::exchange::Auth;
use outbid::store::profiles::{BuildOptions, Builder, Dimension, Gender, Profiles, Record, RecordTag};
use outbid::units::{Nanos, UserKey, UserKeySecret};
use std::borrow::Cow;
use std::net::SocketAddr;
use world::{World, WorldProfile};
use xxhash_rust::xxh3::xxh3_64;

/// The world's seed and the day that profiles are told of (2026-10-01): the population is the same on every machine.
const SEED: u64 = 1;
const POPULATION_DAY: i32 = 20_727;
/// Changes when the same seed and size make other profiles.
const VERSION: u32 = 1;

/// What `outbid store build` writes: such a file is somebody's own and never replaced.
const OWN_STORE: u64 = 0;

/// Builds the demo population where the settings ask for one and there is no file, or one of another demo.
pub fn ensure_population(settings: &ProfilesSettings, secret: &UserKeySecret) -> anyhow::Result<()> {
    let Some(users) = settings.demo_users else {
        return Ok(());
    };
    let source = source(users, secret);
    if settings.path.exists() {
        let found = Profiles::open(&settings.path)
            .with_context(|| format!("remove {} to have it made anew", settings.path.display()))?
            .source();
        if found == source || found == OWN_STORE {
            return Ok(());
        }
        tracing::info!("the demo population is made anew: its settings or the keys have changed");
    }
    let folder = settings.path.parent().unwrap_or(std::path::Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| format!("folder {}", folder.display()))?;
    let progress = bar(users, "demo population");
    let world = World::with(SEED, users, world::Mix::default());
    let mut builder = Builder::new(&settings.path, source, BuildOptions::SORTED_IN_MEMORY)?;
    for user in 0..users {
        builder.push(&record(&world.profile(user, POPULATION_DAY), secret))?;
        if user % 1024 == 0 {
            progress.set_position(user);
        }
    }
    let report = builder.finish()?;
    progress.finish_and_clear();
    tracing::info!(
        users = report.users,
        bytes = report.bytes,
        "demo population written"
    );
    Ok(())
}

pub fn bar(total: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {percent}% {eta}");
    ProgressBar::new(total)
        .with_style(style.expect("a constant template is valid"))
        .with_message(what)
}

/// What the file is made from; the secret is part of it, as the keys in the file are made with it.
fn source(users: u64, secret: &UserKeySecret) -> u64 {
    let probe = UserKey::of(secret, "demo", "population");
    xxh3_64(format!("demo {VERSION} {SEED} {POPULATION_DAY} {users} {}", probe.0).as_bytes())
}

fn record(profile: &WorldProfile, secret: &UserKeySecret) -> Record {
    Record {
        keys: profile
            .ids
            .iter()
            .map(|(namespace, id)| UserKey::of(secret, namespace, id))
            .collect(),
        gender: profile.gender.and_then(Gender::parse).unwrap_or_default(),
        birth_year: profile.birth_year,
        country: profile.country.as_bytes().try_into().ok(),
        language: profile.language.as_bytes().try_into().ok(),
        utc_offset_min: Some(profile.utc_offset_min),
        ltv: Nanos::from_units(profile.ltv).unwrap_or_default(),
        monetary: Nanos::from_units(profile.monetary).unwrap_or_default(),
        frequency: profile.frequency,
        last_active_day: Some(profile.last_active_day),
        tags: profile
            .tags
            .iter()
            .map(|tag| RecordTag {
                name: Cow::Borrowed(tag.name()),
                dimension: Dimension::parse(tag.dimension()).expect("the world uses the five dimensions"),
                weight: (tag.weight.clamp(0.0, 1.0) * 255.0).round() as u8,
                day: Some(tag.day),
            })
            .collect(),
    }
}

/// A request that a line item of this configuration wants.
pub struct Example {
    exchange: String,
    w: u32,
    h: u32,
}

/// The best plain banner line item, at an exchange that asks for no credentials.
pub fn example(snapshot: &Snapshot) -> Option<Example> {
    let exchange = snapshot
        .exchanges()
        .find(|exchange| exchange.settings.auth == Auth::None)?;
    let banners = snapshot
        .campaigns
        .line_items()
        .iter()
        .filter(|item| item.serving)
        .flat_map(|item| &item.formats);
    let (w, h) = banners
        .filter_map(|format| match format {
            Format::Banner { w, h } => Some((*w, *h)),
            Format::Video | Format::Audio | Format::Native => None,
        })
        .next()?;
    Some(Example {
        exchange: exchange.settings.name.clone(),
        w,
        h,
    })
}

impl Example {
    pub fn curl(&self, address: SocketAddr) -> String {
        let Example { exchange, w, h } = self;
        format!(
            "curl -s http://{address}/openrtb2/{exchange} -H 'Content-Type: application/json' -d \
             '{{\"id\":\"first\",\"at\":1,\"imp\":[{{\"id\":\"1\",\"banner\":{{\"w\":{w},\"h\":{h}}}}}],\
             \"site\":{{\"domain\":\"carnews1.example\"}},\"device\":{{\"geo\":{{\"country\":\"USA\"}}}},\
             \"user\":{{\"buyeruid\":\"u-000001\"}}}}'"
        )
    }
}
