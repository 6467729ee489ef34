//! What a campaign's training log says: totals, and how often each market price was seen.

use super::{Auction, BID_MAX, Fraction, LogError, read_log, text};
use serde::Deserialize;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A price that occurs `n` times stands at its place; 301 places, 0 to [`BID_MAX`].
pub const PRICES: usize = BID_MAX as usize + 1;
/// A histogram in JSON has about 4 KB.
const JSON_BYTES_MAX: u64 = 1 << 20;

/// A campaign as its training log shows it. Other keys in the file, such as those of the test log, are not looked at.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Campaign {
    #[serde(rename = "imp_train")]
    impressions: u64,
    #[serde(rename = "clk_train")]
    clicks: u64,
    #[serde(rename = "cost_train")]
    cost: u64,
    #[serde(rename = "price_counter_train")]
    prices: Vec<u64>,
}

#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "{}: {what}; a histogram is JSON with imp_train, clk_train, cost_train and price_counter_train (how often each \
         price from 0 to {BID_MAX} was seen), or a training log in the form of the log",
        path.display()
    )]
    Unusable { path: PathBuf, what: String },
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Campaign {
    /// Reads a histogram in JSON, or counts a training log.
    ///
    /// # Errors
    /// A file that cannot be read, or from which no mean cost and click rate follow.
    pub fn read(path: &Path) -> Result<Campaign, CampaignError> {
        let failed = |source| CampaignError::Io {
            path: path.to_owned(),
            source,
        };
        let mut reader = text::open(path).map_err(failed)?;
        let first = reader
            .fill_buf()
            .map_err(failed)?
            .trim_ascii_start()
            .first()
            .copied();
        let campaign = if first == Some(b'{') {
            let mut json = Vec::new();
            reader
                .take(JSON_BYTES_MAX)
                .read_to_end(&mut json)
                .map_err(failed)?;
            serde_json::from_slice(&json).map_err(|error| error.to_string())
        } else {
            Ok(Campaign::count(&read_log(path)?))
        };
        campaign
            .and_then(Campaign::checked)
            .map_err(|what| CampaignError::Unusable {
                path: path.to_owned(),
                what,
            })
    }

    /// What a training log comes to. A price above [`BID_MAX`] counts as that, as iPinYou's own logs have it.
    pub fn count(training: &[Auction]) -> Campaign {
        let mut prices = vec![0; PRICES];
        for auction in training {
            prices[auction.price.min(BID_MAX) as usize] += 1;
        }
        Campaign {
            impressions: training.len() as u64,
            clicks: training.iter().filter(|auction| auction.click).count() as u64,
            cost: training.iter().map(|auction| u64::from(auction.price)).sum(),
            prices,
        }
    }

    fn checked(self) -> Result<Campaign, String> {
        if self.prices.len() != PRICES {
            return Err(format!(
                "price_counter_train has {} numbers, not {PRICES}",
                self.prices.len()
            ));
        }
        let counts = [self.impressions, self.clicks, self.cost];
        let all = self.prices.iter().try_fold(0u64, |sum, n| sum.checked_add(*n));
        // Above 2^53 a 64-bit float no longer holds each whole number, and budgets would be off by one.
        let exact = |n: u64| n < 1 << 53;
        if !counts.iter().all(|n| (1..1 << 53).contains(n)) {
            return Err("imp_train, clk_train and cost_train must be 1 or more".into());
        }
        if !all.is_some_and(|sum| sum > 0 && exact(sum)) {
            return Err("price_counter_train counts nothing".into());
        }
        if self.clicks > self.impressions {
            return Err("clk_train is above imp_train".into());
        }
        Ok(self)
    }

    /// Mean price of an impression, in the log's unit.
    pub fn mean_price(&self) -> f64 {
        self.cost as f64 / self.impressions as f64
    }

    pub fn mean_ctr(&self) -> f64 {
        self.clicks as f64 / self.impressions as f64
    }

    /// Mean price of a click, in the log's unit.
    pub fn price_per_click(&self) -> f64 {
        self.cost as f64 / self.clicks as f64
    }

    /// An episode's budget: `int(CPM_train · c0 · N)`, in the log's unit.
    pub fn budget(&self, fraction: Fraction, episode: usize) -> u32 {
        (self.mean_price() * fraction.get() * episode as f64) as u32
    }

    /// The density of market prices, add-one smoothed (Laplace) over the 301 prices.
    pub fn price_density(&self) -> Vec<f64> {
        let sum = self.prices.iter().sum::<u64>() as f64 + PRICES as f64;
        self.prices.iter().map(|n| (*n as f64 + 1.0) / sum).collect()
    }
}
