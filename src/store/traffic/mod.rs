//! Traffic that is not bought: data centres, non-human addresses, crawlers, blocked places; from local lists.
//!
//! Invariant: a [`Traffic`] is made whole and never changes; a check allocates nothing. Addresses are looked up in
//! O(log n), domains in as many steps as they have labels, tokens of user agents in one pass over the text.
//!
//! Somebody outside keeps the files; a reload takes new ones up. Every `.txt` file of a folder counts; `#` begins a
//! comment; a line that cannot be used is named and left out.
//!
//! | folder | a line | no-bid code |
//! |---|---|---|
//! | `traffic/crawlers/` | a part of a `User-Agent`, in any case, beside those that are recognised anyway | 3 |
//! | `traffic/non_human/` | an address or a CIDR range, IPv4 or IPv6 | 4 |
//! | `traffic/datacenters/` | an address or a CIDR range, IPv4 or IPv6 | 5 |
//! | `traffic/blocked/` | `news.example` (with its subdomains), `app:BUNDLE` or `publisher:ID` | 7 |

mod files;
mod places;
mod policy;
mod ranges;

pub use files::{TrafficError, Unusable};
pub use places::{NotAPlace, Places};
pub use policy::TrafficPolicy;
pub use ranges::{NotARange, Ranges};

use crate::openrtb::request::Request;
use crate::store::supply::{Action, Verdict};
use crate::telemetry::Finding;
use aho_corasick::{AhoCorasick, BuildError};

/// Everything that the lists hold.
#[derive(Debug, Default)]
pub struct Traffic {
    crawlers: Option<AhoCorasick>,
    non_human: Ranges,
    datacenters: Ranges,
    blocked: Places,
}

impl Traffic {
    /// # Errors
    /// More tokens than an automaton takes: some hundred thousand.
    pub fn new(
        crawlers: &[String],
        non_human: Ranges,
        datacenters: Ranges,
        blocked: Places,
    ) -> Result<Traffic, BuildError> {
        let crawlers = (!crawlers.is_empty()).then(|| {
            AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .build(crawlers)
        });
        Ok(Traffic {
            crawlers: crawlers.transpose()?,
            non_human,
            datacenters,
            blocked,
        })
    }

    /// Judges a request by the policy of the exchange that sent it. Addresses serve this purpose alone: nothing of them
    /// is kept.
    pub fn check(&self, request: &Request, policy: &TrafficPolicy) -> Verdict {
        let mut verdict = Verdict::default();
        for finding in Finding::TRAFFIC {
            let action = policy.action(finding);
            if action != Action::Off && self.finds(finding, request, policy) {
                verdict.add(finding, action);
            }
        }
        verdict
    }

    /// Ranges of data centres and of non-human traffic, and blocked places.
    pub fn counts(&self) -> [usize; 3] {
        [self.datacenters.len(), self.non_human.len(), self.blocked.len()]
    }

    fn finds(&self, finding: Finding, request: &Request, policy: &TrafficPolicy) -> bool {
        let device = &request.device;
        let within = |ranges: &Ranges| device.ip.is_some_and(|ip| ranges.contains(ip));
        match finding {
            Finding::Crawler => {
                let listed = || Some(self.crawlers.as_ref()?.is_match(device.ua?));
                device.crawler || listed() == Some(true)
            }
            Finding::NonHuman => within(&self.non_human),
            Finding::DataCenter => within(&self.datacenters),
            _ => self.blocked.cover(&request.channel) || policy.blocked.cover(&request.channel),
        }
    }
}
