//! A new snapshot in place of the old one: on a change on disk, SIGHUP, or a call of the admin address.
//!
//! Invariant: a reload builds, checks and warms a whole new snapshot off the path; if anything is wrong with it the
//! old one goes on serving.

use super::clock;
use crate::engine::Snapshot;
use crate::units::Timestamp;
use arc_swap::ArcSwap;
use notify::{RecursiveMode, Watcher};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// An editor writes a file in several steps: a change is taken once this long nothing more has changed.
const QUIET: Duration = Duration::from_millis(150);

/// Makes a snapshot from the files as they are now; an error tells all problems. `None` = nothing has changed since
/// the snapshot with the given hash.
pub type Build = Box<dyn Fn(u64, Timestamp) -> Result<Option<Snapshot>, String> + Send>;

/// What became of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Swapped {
        hash: u64,
    },
    Unchanged,
    /// The old snapshot goes on serving.
    Refused {
        problems: String,
    },
}

/// Why to reload.
pub enum Trigger {
    FileChanged,
    Signal,
    /// The outcome is sent back.
    Asked(tokio::sync::oneshot::Sender<Outcome>),
}

/// The last outcome and how to cause another.
pub struct Reloader {
    triggers: Sender<Trigger>,
    last: Arc<Mutex<Last>>,
}

#[derive(Clone, Debug, Default)]
pub struct Last {
    pub swaps: u64,
    pub refusals: u64,
    /// Of the last reload, where it was refused.
    pub problems: Option<String>,
}

impl Reloader {
    /// The thread ends when every [`Sender`] of triggers is gone.
    pub fn spawn(
        snapshot: Arc<ArcSwap<Snapshot>>,
        build: Build,
    ) -> std::io::Result<(Reloader, JoinHandle<()>)> {
        let (triggers, inbox) = channel();
        let last = Arc::new(Mutex::new(Last::default()));
        let shared = last.clone();
        let thread = std::thread::Builder::new().name("reload".into()).spawn(move || {
            while let Some(waiting) = next_batch(&inbox) {
                let outcome = reload(&snapshot, &build);
                note(&outcome, &shared);
                for asked in waiting {
                    // Whoever asked may have hung up; the reload took place all the same.
                    drop(asked.send(outcome.clone()));
                }
            }
        })?;
        Ok((Reloader { triggers, last }, thread))
    }

    pub fn trigger(&self, trigger: Trigger) {
        // Without the thread there is nothing to reload: the process is about to end.
        drop(self.triggers.send(trigger));
    }

    pub fn last(&self) -> Last {
        self.last.lock().expect("no panic while noting").clone()
    }

    /// Watches a folder and all below it; keep the watcher, dropping it ends the watch.
    pub fn watch(&self, folder: &Path) -> notify::Result<impl Watcher + use<>> {
        let triggers = self.triggers.clone();
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
                Ok(event) if event.kind.is_access() => {}
                Ok(_) => drop(triggers.send(Trigger::FileChanged)),
                Err(error) => {
                    tracing::error!(%error, "the configuration can no longer be watched; use SIGHUP")
                }
            })?;
        watcher.watch(folder, RecursiveMode::Recursive)?;
        Ok(watcher)
    }
}

/// Waits for a trigger and for the quiet behind it. Those who asked want an answer; `None` = nobody can trigger any more.
fn next_batch(inbox: &Receiver<Trigger>) -> Option<Vec<tokio::sync::oneshot::Sender<Outcome>>> {
    let mut waiting = Vec::new();
    let mut next = inbox.recv().ok()?;
    loop {
        match next {
            // A person waits for the answer, and the files were complete before they asked.
            Trigger::Asked(sender) => {
                waiting.push(sender);
                return Some(waiting);
            }
            Trigger::Signal => return Some(waiting),
            Trigger::FileChanged => match inbox.recv_timeout(QUIET) {
                Ok(more) => next = more,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Some(waiting),
            },
        }
    }
}

fn reload(snapshot: &ArcSwap<Snapshot>, build: &Build) -> Outcome {
    match build(snapshot.load().hash, clock::now()) {
        Ok(None) => Outcome::Unchanged,
        Ok(Some(new)) => {
            let hash = new.hash;
            retire(snapshot.swap(Arc::new(new)));
            Outcome::Swapped { hash }
        }
        Err(problems) => Outcome::Refused { problems },
    }
}

/// Frees the old world here: on a worker that held it last, that would be a bid's time. A request lasts milliseconds; one
/// that holds it for a second frees it itself.
fn retire(mut old: Arc<Snapshot>) {
    for _ in 0..100 {
        match Arc::try_unwrap(old) {
            Ok(snapshot) => return drop(snapshot),
            Err(in_use) => old = in_use,
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn note(outcome: &Outcome, last: &Mutex<Last>) {
    let mut last = last.lock().expect("no panic while noting");
    match outcome {
        Outcome::Swapped { hash } => {
            tracing::info!(hash = format!("{hash:016x}"), "configuration reloaded");
            last.swaps += 1;
            last.problems = None;
        }
        Outcome::Unchanged => tracing::debug!("configuration unchanged"),
        Outcome::Refused { problems } => {
            tracing::error!("configuration refused, the old one goes on serving:\n{problems}");
            last.refusals += 1;
            last.problems = Some(problems.clone());
        }
    }
}
