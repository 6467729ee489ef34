//! What a replay came to: as a table and as JSON.

use outbid::lab::replay::{Episode, Fraction, Interval, Plan, Sum, bootstrap};
use serde_json::{Value, json};
use std::fmt;

/// One strategy at one budget.
pub struct Row {
    pub fraction: Fraction,
    pub plan: Plan,
    pub strategy: &'static str,
    pub b0: Option<f64>,
    pub episodes: Vec<Episode>,
    pub sum: Sum,
}

/// One campaign.
pub struct Played {
    pub log: String,
    pub auctions: usize,
    pub clicks: usize,
    pub rows: Vec<Row>,
}

pub struct Report {
    pub episode: u64,
    pub bootstrap: usize,
    pub seed: u64,
    pub played: Vec<Played>,
}

/// The strategies whose difference is said with an interval.
const OURS: &str = "outbid";
const RIVAL: &str = "rlb";

impl Row {
    pub fn new(
        fraction: Fraction,
        plan: Plan,
        strategy: &'static str,
        b0: Option<f64>,
        episodes: Vec<Episode>,
    ) -> Row {
        Row {
            fraction,
            plan,
            strategy,
            b0,
            sum: episodes.iter().sum(),
            episodes,
        }
    }

    /// Price of a click, in the log's unit.
    fn ecpc(&self) -> Option<f64> {
        (self.sum.clicks > 0).then(|| self.sum.cost as f64 / self.sum.clicks as f64)
    }

    fn win_rate(&self) -> f64 {
        self.sum.impressions as f64 / self.sum.auctions.max(1) as f64
    }

    /// Share of all episodes' budgets that was spent.
    fn budget_use(&self) -> f64 {
        let budget = self.sum.episodes * u64::from(self.plan.budget);
        self.sum.cost as f64 / budget.max(1) as f64
    }

    fn to_json(&self) -> Value {
        json!({
            "fraction": self.fraction.get(),
            "budget": self.plan.budget,
            "strategy": self.strategy,
            "b0": self.b0,
            "clicks": self.sum.clicks,
            "impressions": self.sum.impressions,
            "cost": self.sum.cost,
            "ecpc": self.ecpc(),
            "win_rate": self.win_rate(),
            "budget_use": self.budget_use(),
        })
    }

    fn line(&self) -> [String; 9] {
        [
            self.fraction.to_string(),
            self.plan.budget.to_string(),
            self.strategy.to_owned(),
            self.b0.map_or("-".into(), |b0| b0.to_string()),
            self.sum.clicks.to_string(),
            self.sum.impressions.to_string(),
            self.sum.cost.to_string(),
            self.ecpc().map_or("-".into(), |ecpc| format!("{ecpc:.0}")),
            format!(
                "{:.2}%  {:.1}%",
                self.win_rate() * 100.0,
                self.budget_use() * 100.0
            ),
        ]
    }
}

impl Played {
    fn find<'a>(&'a self, strategy: &'a str, fraction: Option<Fraction>) -> impl Iterator<Item = &'a Row> {
        let wanted = move |row: &&Row| {
            row.strategy == strategy && fraction.is_none_or(|fraction| fraction == row.fraction)
        };
        self.rows.iter().filter(wanted)
    }

    /// Clicks of a strategy in each episode; over all budgets where no fraction is named.
    fn clicks(&self, strategy: &str, fraction: Option<Fraction>) -> Vec<u64> {
        let mut clicks = Vec::new();
        for row in self.find(strategy, fraction) {
            clicks.resize(row.episodes.len(), 0);
            for (sum, episode) in clicks.iter_mut().zip(&row.episodes) {
                *sum += u64::from(episode.clicks);
            }
        }
        clicks
    }

    fn pairs(&self, fraction: Option<Fraction>) -> Vec<(u64, u64)> {
        let theirs = self.clicks(RIVAL, fraction);
        self.clicks(OURS, fraction).into_iter().zip(theirs).collect()
    }
}

impl Report {
    fn fractions(&self) -> Vec<Fraction> {
        let mut fractions = Vec::new();
        for row in self.played.iter().flat_map(|played| &played.rows) {
            if !fractions.contains(&row.fraction) {
                fractions.push(row.fraction);
            }
        }
        fractions
    }

    fn strategies(&self) -> Vec<&'static str> {
        let mut strategies = Vec::new();
        for row in self.played.iter().flat_map(|played| &played.rows) {
            if !strategies.contains(&row.strategy) {
                strategies.push(row.strategy);
            }
        }
        strategies
    }

    fn clicks(&self, strategy: &str, fraction: Option<Fraction>) -> u64 {
        let rows = self
            .played
            .iter()
            .flat_map(|played| played.find(strategy, fraction));
        rows.map(|row| row.sum.clicks).sum()
    }

    /// What outbid wins over rlb, where both were played.
    fn gain(&self, played: &[Played], fraction: Option<Fraction>) -> Option<Interval> {
        let pairs: Vec<_> = played.iter().map(|played| played.pairs(fraction)).collect();
        bootstrap(&pairs, self.bootstrap, self.seed)
    }

    pub fn to_json(&self) -> Value {
        let gain = |gain: Option<Interval>| {
            gain.map(|gain| json!({ "gain": gain.gain, "low": gain.low, "high": gain.high }))
        };
        let campaigns = self.played.iter().map(|played| {
            json!({
                "log": played.log,
                "auctions": played.auctions,
                "clicks": played.clicks,
                "rows": played.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
                "outbid_over_rlb": gain(self.gain(std::slice::from_ref(played), None)),
            })
        });
        let budgets = self.fractions().into_iter().map(|fraction| {
            let clicks = self
                .strategies()
                .into_iter()
                .map(|name| (name.to_owned(), self.clicks(name, Some(fraction)).into()));
            json!({
                "fraction": fraction.get(),
                "clicks": clicks.collect::<serde_json::Map<_, _>>(),
                "outbid_over_rlb": gain(self.gain(&self.played, Some(fraction))),
            })
        });
        json!({
            "episode": self.episode,
            "campaigns": campaigns.collect::<Vec<_>>(),
            "budgets": budgets.collect::<Vec<_>>(),
            "outbid_over_rlb": gain(self.gain(&self.played, None)),
            "bootstrap": { "draws": self.bootstrap, "seed": self.seed },
        })
    }

    /// Clicks over all campaigns: a line for each budget and one for all.
    fn totals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\nall clicks")?;
        for name in self.strategies() {
            write!(f, " {name:>10}")?;
        }
        writeln!(f)?;
        let fractions = self.fractions().into_iter().map(Some);
        for fraction in fractions.chain([None]) {
            let name = fraction.map_or("sum".into(), |fraction| fraction.to_string());
            write!(f, "{name:<10}")?;
            for strategy in self.strategies() {
                write!(f, " {:>10}", self.clicks(strategy, fraction))?;
            }
            if let Some(gain) = self.gain(&self.played, fraction) {
                write!(f, "   outbid over rlb: {}", percent(gain))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEAD: [&str; 9] = [
            "share",
            "budget",
            "strategy",
            "b0",
            "clicks",
            "imps",
            "cost",
            "eCPC",
            "win rate, budget used",
        ];
        for played in &self.played {
            writeln!(
                f,
                "{}: {} auctions in episodes of {}, {} clicks",
                played.log, played.auctions, self.episode, played.clicks
            )?;
            write_line(f, &HEAD.map(str::to_owned))?;
            for row in &played.rows {
                write_line(f, &row.line())?;
            }
            writeln!(f)?;
        }
        self.totals(f)
    }
}

fn write_line(f: &mut fmt::Formatter<'_>, cells: &[String; 9]) -> fmt::Result {
    let [share, budget, strategy, b0, clicks, imps, cost, ecpc, rest] = cells;
    writeln!(
        f,
        "{share:<6} {budget:>8} {strategy:<9} {b0:>5} {clicks:>7} {imps:>8} {cost:>10} {ecpc:>8}  {rest}"
    )
}

fn percent(gain: Interval) -> String {
    format!(
        "{:+.1}% (95%: {:+.1}% to {:+.1}%)",
        gain.gain * 100.0,
        gain.low * 100.0,
        gain.high * 100.0
    )
}
