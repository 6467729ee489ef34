//! `outbid certify`: is a bidder one that an exchange can hold to every rule of OpenRTB 2.6? Asked over HTTP alone.
//!
//! First it looks for requests that the bidder bids on, then it derives from what was bid what the bidder must not
//! bid, and tries each rule with its *positive twin*: the same request with the rule lifted, which must bid. It knows
//! nothing of the bidder but its address; the money cases alone use our own admin API, and are not tested without it.
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
mod stage;
mod template;
mod url;

pub use case::{Case, Flaw, Section};
pub use cases::all as cases;
pub use report::{Report, Result};
pub use url::{Address, BadAddress};

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
    /// The admin API of an Outbid, for the money and opt-out cases.
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
    let stage = Stage::open(settings);
    let found = stage.bases().iter().map(report::Found::of).collect();
    let results = cases()
        .into_iter()
        .filter(chosen)
        .map(|case| {
            let verdict = case.run(&stage);
            let exchanged = matches!(verdict, Err(Flaw::Fails(_))).then(|| stage.last());
            Result::new(&case, verdict, exchanged)
        })
        .collect();
    Report {
        url: settings.url.to_string(),
        found,
        results,
    }
}
