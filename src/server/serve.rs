//! From a ready snapshot to the last answered request: threads, listeners, signals, drain.

use super::bid::Desk;
use super::books::{BooksDesk, Ledger, LedgerError};
use super::record::Recording;
use super::relay::Relay;
use super::reload::{Build, Reloader, Trigger};
use super::sharing::SharingSettings;
use super::{Phase, Settings, admin, control, worker};
use crate::engine::{Live, Scratch, Snapshot};
use crate::events::bookkeeper::BooksSettings;
use crate::events::boot::{BidIds, BootEpoch};
use crate::events::facts::FactQueue;
use crate::events::keys::PostbackKey;
use crate::events::log::{self, LogQueue, LogSettings};
use crate::events::token::Sealer;
use crate::openrtb::RequestBuffers;
use crate::pacing::lease::AuthoritySettings;
use crate::telemetry::{Recorder, Shared};
use crate::units::BidId;
use arc_swap::ArcSwap;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Connections that wait to be accepted, per worker: a burst of new connections within one tick of the scheduler.
const BACKLOG: i32 = 1024;

/// What a server is made from.
pub struct Parts {
    pub settings: Settings,
    /// Watched for changes.
    pub config_dir: PathBuf,
    pub snapshot: Snapshot,
    pub live: Arc<Live>,
    pub boot: BootEpoch,
    pub sealer: Sealer,
    pub postback_key: PostbackKey,
    pub build: Build,
}

/// What all threads share.
pub struct Common {
    pub settings: Settings,
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub live: Arc<Live>,
    pub sealer: Sealer,
    pub postback_key: PostbackKey,
    pub books: Arc<BooksDesk>,
    /// Where several nodes share budgets.
    pub relay: Option<Relay>,
    pub sharing: Option<SharingSettings>,
    pub workers: Vec<Arc<Shared>>,
    pub reloader: Reloader,
}

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {address} ({what}): {source}")]
    Listen {
        what: &'static str,
        address: SocketAddr,
        source: io::Error,
    },
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("the configuration cannot be watched: {0}")]
    Watch(#[from] notify::Error),
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
}

/// Serves until TERM or INT, then drains. `listening` is called with the bound addresses once requests are answered.
pub fn serve(parts: Parts, listening: impl FnOnce(SocketAddr, SocketAddr)) -> Result<(), ServeError> {
    let Parts {
        settings,
        config_dir,
        snapshot,
        live,
        boot,
        sealer,
        postback_key,
        build,
    } = parts;
    // Before anybody is told that we listen.
    let signals = Signals::take_over()?;
    let workers = worker_count(&settings);
    let listeners = listen_all(settings.listen, workers)?;
    let bound = listeners[0].local_addr()?;
    let admin_listener = listen(settings.admin, false).map_err(|source| ServeError::Listen {
        what: "admin",
        address: settings.admin,
        source,
    })?;
    let admin_bound = admin_listener.local_addr()?;

    let log_settings = LogSettings {
        records_max: settings.limits.bid_queue,
        ..LogSettings::new(settings.data.join("log"))
    };
    let (queues, intake) = log::queues(workers, &log_settings);
    let recorders: Vec<_> = (0..workers).map(|_| Recorder::default()).collect();
    let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
    let (reloader, _reload_thread) = Reloader::spawn(snapshot.clone(), build)?;
    let watcher = reloader.watch(&config_dir)?;
    let books = Arc::new(BooksDesk::new(intake, log_settings));
    let relay = settings
        .shared
        .as_ref()
        .map(|shared| Relay::spawn(shared, settings.node, books.clone(), settings.limits.notice_queue));
    let (relay, relay_thread) = relay.transpose().map_err(LedgerError::from)?.unzip();
    let sharing = settings.shared.as_ref().map(|_| {
        let (facts, told) = FactQueue::new(settings.limits.notice_queue);
        SharingSettings {
            apart: settings.apart,
            opt_outs: live.opt_outs.clone(),
            facts,
            told,
            counts: Arc::default(),
        }
    });
    let common = Arc::new(Common {
        snapshot,
        live: live.clone(),
        sealer,
        postback_key,
        books: books.clone(),
        relay,
        sharing,
        workers: recorders.iter().map(Recorder::shared).collect(),
        reloader,
        settings,
    });

    let (phase, phase_watch) = watch::channel(Phase::Serving);
    let (stop_control, stop) = channel();
    let control = control::spawn(live.clone(), common.snapshot.clone(), phase_watch.clone(), stop)?;
    let (stop_standby, stop) = channel();
    let sharing = common.sharing.clone();
    let ledger = Ledger {
        books: BooksSettings {
            facts: sharing.as_ref().map(|sharing| sharing.facts.clone()),
            queue_max: common.settings.limits.notice_queue,
            opt_outs: live.opt_outs.clone(),
            approvals: live.approvals.clone(),
            allocation: live.allocation.clone(),
            markets: live.markets.clone(),
            ..BooksSettings::new(common.settings.data.join("books"))
        },
        authority: authority(&common.settings),
        node: common.settings.node,
        budgets: live.budgets.clone(),
        caps: live.caps.clone(),
        sharing,
    };
    let standby = books.open(ledger, stop)?;

    let ends = listeners.into_iter().zip(queues).zip(recorders);
    let mut threads = Vec::new();
    for (index, ((listener, queue), recorder)) in ends.enumerate() {
        let ids = BidIds::of_worker(common.settings.node, boot, index, workers);
        let desk = desk(&common.settings, recorder, ids, queue);
        let (common, phase) = (common.clone(), phase_watch.clone());
        threads.push(spawn(format!("worker-{index}"), move || {
            worker::run(common, desk, listener, phase)
        })?);
    }
    let admin = {
        let (common, phase) = (common.clone(), phase_watch.clone());
        spawn("admin".into(), move || admin::run(common, admin_listener, phase))?
    };
    listening(bound, admin_bound);

    signals.wait_for_the_end(&common, &phase);
    let draining = Instant::now();
    for thread in threads {
        join(thread);
    }
    drop((stop_standby, watcher));
    if let Some(standby) = standby {
        join_plain(standby);
    }
    let books_closed = books.close();
    drop(stop_control);
    join_plain(control);
    join(admin);
    if let (Some(relay), Some(thread)) = (&common.relay, relay_thread) {
        relay.stop();
        join_plain(thread);
    }
    tracing::info!(took_ms = draining.elapsed().as_millis() as u64, "stopped");
    Ok(books_closed?)
}

/// The tools of one worker.
fn desk(settings: &Settings, recorder: Recorder, mut ids: BidIds, queue: LogQueue) -> Desk {
    // An id is never drawn twice, so no two workers and no two starts roll the same dice.
    let BidId(first) = ids.draw();
    Desk {
        recorder,
        ids,
        recording: Recording {
            queue,
            no_bid_sample: settings.limits.no_bid_sample as f32,
        },
        scratch: Scratch::default(),
        buffers: RequestBuffers::default(),
        body: Vec::with_capacity(settings.limits.body_bytes.min(64 << 10)),
        out: Vec::with_capacity(16 << 10),
        seed: (first >> 64) as u64 ^ first as u64,
    }
}

/// The signals that the server handles. A signal that is not taken over ends the process at once.
struct Signals {
    runtime: Runtime,
    hang_up: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn take_over() -> io::Result<Signals> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let entered = runtime.enter();
        let hang_up = signal(SignalKind::hangup())?;
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        drop(entered);
        Ok(Signals {
            runtime,
            hang_up,
            terminate,
            interrupt,
        })
    }

    /// HUP reloads; the first TERM or INT drains, and returns once listeners are to be closed; a second one ends at once.
    fn wait_for_the_end(self, common: &Common, phase: &watch::Sender<Phase>) {
        let Signals {
            runtime,
            mut hang_up,
            mut terminate,
            mut interrupt,
        } = self;
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = hang_up.recv() => common.reloader.trigger(Trigger::Signal),
                    _ = terminate.recv() => break,
                    _ = interrupt.recv() => break,
                }
            }
            tracing::info!(
                notice_ms = common.settings.drain_notice.as_millis() as u64,
                "draining"
            );
            phase.send_replace(Phase::Draining);
            let again = async {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            };
            // A second signal is somebody in a hurry.
            let _in_a_hurry = tokio::time::timeout(common.settings.drain_notice, again)
                .await
                .is_ok();
            phase.send_replace(Phase::Closing);
        })
    }
}

fn authority(settings: &Settings) -> AuthoritySettings {
    match &settings.shared {
        None => AuthoritySettings::Local {
            dir: settings.data.join("leases"),
        },
        Some(server) => AuthoritySettings::Shared {
            server: server.clone(),
            node: settings.node,
            identity: settings.data.join("identity"),
        },
    }
}

fn worker_count(settings: &Settings) -> usize {
    match settings.workers {
        0 => std::thread::available_parallelism().map_or(1, |cores| cores.get()),
        workers => workers,
    }
}

/// One listener a worker on the same address: the kernel spreads connections over them.
fn listen_all(address: SocketAddr, workers: usize) -> Result<Vec<TcpListener>, ServeError> {
    let failed = |source| ServeError::Listen {
        what: "bids",
        address,
        source,
    };
    let first = listen(address, true).map_err(failed)?;
    let bound = first.local_addr().map_err(failed)?;
    let rest = (1..workers).map(|_| listen(bound, true).map_err(failed));
    std::iter::once(Ok(first)).chain(rest).collect()
}

fn listen(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn spawn(
    name: String,
    run: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<JoinHandle<io::Result<()>>> {
    std::thread::Builder::new().name(name).spawn(run)
}

fn join(thread: JoinHandle<io::Result<()>>) {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    match thread.join() {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, name, "a thread ended with an error"),
        Err(_) => tracing::error!(name, "a thread panicked"),
    }
}

fn join_plain(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread panicked");
    }
}
