//! The parts of a bidder that the configuration and the data folder determine: keys, profiles, model, snapshot.

use anyhow::Context;
use outbid::config::Loaded;
use outbid::engine::{Live, Parts, People, Snapshot};
use outbid::events::keys::Keys;
use outbid::optouts::OptOuts;
use outbid::store::models::Model;
use outbid::store::profiles::Profiles;
use outbid::store::supply::Supply;
use outbid::store::traffic::Traffic;
use outbid::units::{Timestamp, UserKeySecret};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use xxhash_rust::xxh3::xxh3_64;

/// Secrets under `data/keys`, made where they are missing.
pub fn keys(loaded: &Loaded) -> anyhow::Result<Keys> {
    Ok(Keys::open(&loaded.settings.data.join("keys"))?)
}

/// Who has opted out by now, for commands that run beside the bidder.
pub fn opt_outs(loaded: &Loaded) -> anyhow::Result<OptOuts> {
    Ok(OptOuts::read(&loaded.settings.data.join("books"))?)
}

/// What is slow to open, kept from one snapshot to the next while its files stay the same.
pub struct Opened {
    /// As the process was started; a change needs a restart, like the address it belongs to.
    public_url: String,
    profiles: Mutex<Option<(u64, Arc<Profiles>)>>,
    model: Mutex<Option<(String, Arc<Model>)>>,
    supply: Mutex<Option<(u64, Arc<Supply>)>>,
    traffic: Mutex<Option<(u64, Arc<Traffic>)>>,
}

impl Opened {
    pub fn new(public_url: String) -> Opened {
        Opened {
            public_url,
            profiles: Mutex::new(None),
            model: Mutex::new(None),
            supply: Mutex::new(None),
            traffic: Mutex::new(None),
        }
    }

    /// The whole world as the files have it now.
    pub fn snapshot(
        &self,
        loaded: Loaded,
        secret: &UserKeySecret,
        live: &Live,
        now: Timestamp,
    ) -> anyhow::Result<Snapshot> {
        let hash = hash(&loaded)?;
        let model_name = loaded.models.bid.to_string();
        let parts = Parts {
            people: self.people(&loaded, secret)?,
            model: self.model(&loaded)?,
            supply: self.supply(&loaded.supply)?,
            traffic: self.traffic(&loaded.traffic)?,
            model_name,
            definitions: loaded.definitions,
            exchanges: loaded.exchanges,
            rates: loaded.rates,
            public_url: self.public_url.clone(),
            hash,
        };
        Snapshot::build(parts, live, now).map_err(|problems| anyhow::anyhow!(problems.join("\n")))
    }

    fn people(&self, loaded: &Loaded, secret: &UserKeySecret) -> anyhow::Result<People> {
        Ok(people(loaded, self.profiles(&loaded.profiles.path)?, secret))
    }

    /// A new file is mapped, verified and warmed before anybody sees it.
    fn profiles(&self, path: &Path) -> anyhow::Result<Arc<Profiles>> {
        let stamp = stamp(path)?;
        let mut opened = self.profiles.lock().expect("no panic while opening");
        if let Some((known, profiles)) = &*opened
            && *known == stamp
        {
            return Ok(profiles.clone());
        }
        let profiles = Arc::new(Profiles::open(path)?);
        *opened = Some((stamp, profiles.clone()));
        Ok(profiles)
    }

    /// A file that cannot be used is named and left out: it comes from somebody else.
    fn supply(&self, folder: &Path) -> anyhow::Result<Arc<Supply>> {
        let stamp = Supply::stamp(folder)?;
        let mut opened = self.supply.lock().expect("no panic while opening");
        if let Some((known, supply)) = &*opened
            && *known == stamp
        {
            return Ok(supply.clone());
        }
        let (supply, unusable) = Supply::open(folder)?;
        for file in &unusable {
            tracing::warn!("left out: {file}");
        }
        let [sites, apps, systems] = supply.counts();
        tracing::info!(
            sites,
            apps,
            systems,
            unusable = unusable.len(),
            "supply files read"
        );
        let supply = Arc::new(supply);
        *opened = Some((stamp, supply.clone()));
        Ok(supply)
    }

    /// A line that cannot be used is named and left out: most lists come from somebody else.
    fn traffic(&self, folder: &Path) -> anyhow::Result<Arc<Traffic>> {
        let stamp = Traffic::stamp(folder)?;
        let mut opened = self.traffic.lock().expect("no panic while opening");
        if let Some((known, traffic)) = &*opened
            && *known == stamp
        {
            return Ok(traffic.clone());
        }
        let (traffic, unusable) = Traffic::open(folder)?;
        for line in &unusable {
            tracing::warn!("left out: {line}");
        }
        let [datacenters, non_human, blocked] = traffic.counts();
        tracing::info!(datacenters, non_human, blocked, "traffic lists read");
        let traffic = Arc::new(traffic);
        *opened = Some((stamp, traffic.clone()));
        Ok(traffic)
    }

    fn model(&self, loaded: &Loaded) -> anyhow::Result<Arc<Model>> {
        let name = loaded.models.bid.to_string();
        let mut opened = self.model.lock().expect("no panic while opening");
        if let Some((known, model)) = &*opened
            && *known == name
        {
            return Ok(model.clone());
        }
        let folder = loaded.models.bid.folder(&loaded.models.registry);
        let model = Model::load(&folder).with_context(|| format!("model {name}"))?;
        *opened = Some((name, model.clone()));
        Ok(model)
    }
}

pub fn people(loaded: &Loaded, profiles: Arc<Profiles>, secret: &UserKeySecret) -> People {
    People {
        profiles,
        secret: secret.clone(),
        privacy: loaded.privacy,
        eid_sources: loaded.eid_sources.clone(),
        time_zone: loaded.default_time_zone.clone(),
    }
}

/// Of the configuration, the profile store, the supply files and the traffic lists: equal hashes need no reload.
pub fn hash(loaded: &Loaded) -> anyhow::Result<u64> {
    Ok(loaded.hash
        ^ stamp(&loaded.profiles.path)?
        ^ Supply::stamp(&loaded.supply)?
        ^ Traffic::stamp(&loaded.traffic)?)
}

/// Changes whenever another file is renamed into place.
fn stamp(path: &Path) -> anyhow::Result<u64> {
    let of = |meta: Metadata| {
        format!(
            "{} {} {} {}",
            meta.ino(),
            meta.len(),
            meta.mtime(),
            meta.mtime_nsec()
        )
    };
    let metadata = std::fs::metadata(path).with_context(|| format!("profile store {}", path.display()))?;
    Ok(xxh3_64(of(metadata).as_bytes()))
}
