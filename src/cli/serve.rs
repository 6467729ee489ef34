//! `outbid serve`: makes what is missing, puts the parts together, serves.

use super::world::{self, Opened};
use super::{ServeArguments, demo};
use anyhow::Context;
use outbid::caps::Caps;
use outbid::config::Loaded;
use outbid::engine::Live;
use outbid::events::boot::BootEpoch;
use outbid::events::token::Sealer;
use outbid::pacing::Budgets;
use outbid::server::{self, Parts, Settings};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use tracing_subscriber::EnvFilter;

pub fn run(arguments: ServeArguments) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let mut loaded = arguments.folder.load()?;
    let configured = loaded.settings.clone();
    override_addresses(&mut loaded.settings, &arguments)?;
    start_logging(&loaded);
    let data = loaded.settings.data.clone();
    std::fs::create_dir_all(&data).with_context(|| format!("data folder {}", data.display()))?;
    let keys = world::keys(&loaded)?;
    let boot_file = data.join(format!("boot-{}", loaded.settings.node));
    let boot = BootEpoch::next(&boot_file, server::now()).with_context(|| boot_file.display().to_string())?;
    demo::ensure_population(&loaded.profiles, &keys.user)?;

    let live = Arc::new(Live::new(
        Arc::new(Budgets::leased(loaded.settings.limits.open_bids)),
        Arc::new(Caps::new(loaded.settings.limits.capped_users)),
    ));
    let settings = loaded.settings.clone();
    let opened = Opened::new(settings.public_url.clone());
    let snapshot = opened.snapshot(loaded, &keys.user, &live, server::now())?;
    let example = demo::example(&snapshot);

    let folder = arguments.folder.clone();
    let (reload_live, secret) = (live.clone(), keys.user.clone());
    let build = Box::new(move |current: u64, now| {
        let reload = || {
            let loaded = folder.load()?;
            if world::hash(&loaded)? == current {
                return Ok(None);
            }
            if loaded.settings != configured {
                tracing::warn!(
                    "outbid.toml has changed: addresses, limits and the like are taken up by a restart"
                );
            }
            opened.snapshot(loaded, &secret, &reload_live, now).map(Some)
        };
        reload().map_err(|error: anyhow::Error| format!("{error:#}"))
    });
    let parts = Parts {
        settings,
        config_dir: arguments.folder.config.clone(),
        snapshot,
        live,
        boot,
        sealer: Sealer::new(&keys.token),
        postback_key: keys.postback,
        build,
    };
    let greet = |bids: SocketAddr, admin: SocketAddr| {
        println!("outbid is ready after {:.1} s", started.elapsed().as_secs_f64());
        println!("  bids     http://{bids}/openrtb2/{{exchange}}");
        println!("  notices  http://{bids}/n/…");
        println!(
            "  admin    http://{admin}  (/healthz /readyz /metrics /api/v1/budgets, POST /api/v1/reload /api/v1/explain)"
        );
        println!("  data     {}", data.display());
        if let Some(example) = example {
            println!("A first bid:\n  {}", example.curl(bids));
        }
    };
    server::serve(parts, greet)?;
    Ok(ExitCode::SUCCESS)
}

/// What the configuration demands of addresses that are reachable from outside holds for those of the command line too.
fn override_addresses(settings: &mut Settings, arguments: &ServeArguments) -> anyhow::Result<()> {
    if let Some(listen) = arguments.listen {
        // A public URL that follows the address in the file follows the one on the command line.
        if settings.public_url == format!("http://{}", settings.listen) {
            if !listen.ip().is_loopback() {
                anyhow::bail!("--listen {listen} is reachable from outside: set `public_url` in outbid.toml");
            }
            settings.public_url = format!("http://{listen}");
        }
        settings.listen = listen;
    }
    if let Some(admin) = arguments.admin {
        if !admin.ip().is_loopback() && settings.admin_token.is_none() {
            anyhow::bail!(
                "--admin {admin} is reachable from outside: set `admin_token_file` in outbid.toml or OUTBID_ADMIN_TOKEN"
            );
        }
        settings.admin = admin;
    }
    Ok(())
}

/// To standard error, so that standard output stays readable; `RUST_LOG` sets the level.
fn start_logging(loaded: &Loaded) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if loaded.settings.log_json {
        logs.json().init()
    } else {
        logs.init()
    }
}
