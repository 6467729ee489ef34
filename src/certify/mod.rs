//! `outbid certify`: is a bidder one that an exchange can hold to every rule of OpenRTB 2.6? Asked over HTTP alone.
//!
//! First it looks for requests that the bidder bids on, then it derives from what was bid what the bidder must not
//! bid, and tries each rule with its *positive twin*: the same request with the rule lifted, which must bid. It knows
//! nothing of the bidder but its address; what does not show in bids (money, opt-outs) is asked of our own admin API,
//! and not tested without it.
//!
//! Invariant: a rule that could not be provoked is `not tested`, never `pass`; a bidder without bids fails as a whole.

mod answer;
mod case;
mod cases;
mod client;
mod edit;
mod markup;
mod probe;
pub mod protobuf;
mod report;
mod sender;
mod stage;
mod template;
mod url;
mod wire;

pub use case::{Case, Flaw, Section};
pub use cases::all as cases;
pub use report::{Report, Result};
pub use sender::{Sender, Sent};
pub use url::{Address, BadAddress};
pub use wire::{BadWireFile, WireCase, WireReport};

use stage::Stage;
use std::time::Duration;

/// Whom to ask, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where bid requests are posted to.
    pub url: Address,
    /// Sent with every bid request, as an exchange's credentials.
    pub headers: Vec<(String, String)>,
    /// Where notices are sent to instead of the host that they name: for bidders whose public address is https or
    /// is not reached from here. Its path is not used.
    pub notices: Option<Address>,
    /// The admin API of an Outbid, for what does not show in bids: money and opt-outs.
    pub admin: Option<Address>,
    /// `Authorization: Bearer …` at the admin API.
    pub admin_token: Option<String>,
    /// Deals that the bidder is known to bid on.
    pub deals: Vec<String>,
    /// Marks every request as `test = 1`: nothing is billed.
    pub test: bool,
    /// For each answer.
    pub timeout: Duration,
    /// Part of every id that is made up, so that no user or request of an earlier run comes again.
    pub run: u64,
}

/// Runs the cases that `chosen` picks, one after the other.
pub fn certify(settings: &Settings, chosen: impl Fn(&Case) -> bool) -> Report {
    certify_watched(settings, chosen, |_| ())
}

/// As [`certify`]; `before` hears of each case before it is run, and how many were run.
pub fn certify_watched(
    settings: &Settings,
    chosen: impl Fn(&Case) -> bool,
    mut before: impl FnMut(Progress),
) -> Report {
    let chosen: Vec<Case> = cases().into_iter().filter(chosen).collect();
    let of = chosen.len();
    before(Progress {
        done: 0,
        of,
        doing: "looking for requests that are bid on",
    });
    let stage = Stage::open(settings);
    let found = stage.bases().iter().map(report::Found::of).collect();
    let results = chosen.iter().enumerate().map(|(done, case)| {
        before(Progress {
            done,
            of,
            doing: case.id,
        });
        let verdict = case.run(&stage);
        let exchanged = matches!(verdict, Err(Flaw::Fails(_))).then(|| stage.last());
        Result::new(case, verdict, exchanged)
    });
    let results = results.collect();
    Report {
        url: settings.url.to_string(),
        silent: stage.fell_silent(),
        found,
        results,
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'p> {
    /// Cases that were run.
    pub done: usize,
    pub of: usize,
    pub doing: &'p str,
}
