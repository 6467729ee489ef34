//! What the exchange counts. Invariant: money is integer nanos of a currency: an impression at a CPM of X micros costs X.

use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, Serialize)]
pub struct AuctionTally {
    /// Answers with a bid that were auctioned.
    pub auctions: u64,
    /// Answers with a bid that came faster than they could be auctioned.
    pub unplayed: u64,
    pub bids: u64,
    /// Bids, or whole answers, that an exchange refuses.
    pub invalid: u64,
    pub invalid_by_reason: BTreeMap<&'static str, u64>,
    pub wins: u64,
    pub losses: u64,
    /// Sum of clearing prices of what was won, per currency, in nanos.
    pub spend_nanos: BTreeMap<String, i64>,
    /// URLs in markup that were fetched for impressions.
    pub impressions: u64,
    pub clicks: u64,
    /// What the law led to expect for the impressions that were won.
    pub clicks_expected: f64,
    pub conversions: u64,
    pub conversions_expected: f64,
    /// In US dollars.
    pub conversion_value: f64,
    /// URLs that lead elsewhere than to the bidder, such as images of creatives: not fetched.
    pub foreign_urls: u64,
    /// Notices by what they report.
    pub notices: BTreeMap<&'static str, NoticeCounts>,
    /// The most journeys of notices that were under way or waited at once.
    pub notices_backlog_max: u64,
    /// Still waiting when time was up.
    pub notices_undelivered: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NoticeCounts {
    pub sent: u64,
    /// Answered with 2xx, or with a redirect where one was asked for.
    pub accepted: u64,
    /// Sent again after a 503.
    pub retried_503: u64,
    /// Given up, or answered otherwise.
    pub failed: u64,
}

impl AuctionTally {
    pub fn refuse(&mut self, reason: &'static str) {
        self.invalid += 1;
        *self.invalid_by_reason.entry(reason).or_default() += 1;
    }

    pub fn notices_failed(&self) -> u64 {
        self.notices.values().map(|counts| counts.failed).sum::<u64>() + self.notices_undelivered
    }
}

/// What one impression costs at a CPM.
pub fn nanos_of_cpm(price: f64) -> i64 {
    (price * 1e6).round() as i64
}
