//! What the seeds came to, as text and as JSON.

use outbid::lab::simulate::{AccountOutcome, Outcome, Scenario};
use serde_json::{Value, json};
use std::fmt;

pub struct Report {
    /// Of the first seed.
    pub scenario: Scenario,
    /// At least one.
    pub outcomes: Vec<Outcome>,
}

/// The least, the mean and the most.
struct Range {
    least: f64,
    mean: f64,
    most: f64,
}

impl Report {
    pub fn is_sound(&self) -> bool {
        self.outcomes.iter().all(Outcome::is_sound)
    }

    pub fn to_json(&self) -> Value {
        let range = |range: Range| json!({ "least": range.least, "mean": range.mean, "most": range.most });
        json!({
            "auctions_per_day": self.scenario.auctions_per_day,
            "days": self.scenario.days,
            "win_rate": self.scenario.win_rate,
            "hold_s": self.scenario.hold_s,
            "losses": self.scenario.losses,
            "faults": self.scenario.faults.to_string(),
            "seeds": self.outcomes.len(),
            "sound": self.is_sound(),
            "overspend": range(self.range(|outcome| Some(outcome.overspend()))),
            "used": range(self.range(|outcome| Some(outcome.used()))),
            "debt": range(self.range(|outcome| Some(outcome.debt()))),
            "slot_error": range(self.range(|outcome| worst(outcome, |account| account.slot_error))),
            "alive": range(self.range(|outcome| worst(outcome, |account| account.alive.map(|alive| -alive)).map(|alive| -alive))),
            "outcomes": self.outcomes,
        })
    }

    fn range(&self, of: impl Fn(&Outcome) -> Option<f64>) -> Range {
        let values: Vec<f64> = self.outcomes.iter().filter_map(of).collect();
        Range {
            least: values.iter().copied().reduce(f64::min).unwrap_or(f64::NAN),
            mean: values.iter().sum::<f64>() / values.len() as f64,
            most: values.iter().copied().reduce(f64::max).unwrap_or(f64::NAN),
        }
    }
}

/// The largest over the campaigns.
fn worst(outcome: &Outcome, of: impl Fn(&AccountOutcome) -> Option<f64>) -> Option<f64> {
    outcome.campaigns().iter().filter_map(of).reduce(f64::max)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scenario {
            auctions_per_day,
            days,
            win_rate,
            hold_s,
            losses,
            faults,
            ..
        } = &self.scenario;
        writeln!(
            f,
            "{auctions_per_day} auctions a day, {days} day{}, win rate {win_rate}, hold {hold_s} s, {} loss notices, faults: {faults}\n",
            if *days == 1 { "" } else { "s" },
            if *losses { "with" } else { "without" },
        )?;
        match &self.outcomes[..] {
            [one] => write_one(f, one)?,
            many => self.write_many(f, many)?,
        }
        for outcome in self.outcomes.iter().filter(|outcome| !outcome.is_sound()) {
            writeln!(
                f,
                "seed {} is not sound: overspend {}, books {}, stuck {}",
                outcome.seed,
                outcome.overspend(),
                if outcome.books_agree {
                    "agree"
                } else {
                    "do not agree with the exchange"
                },
                outcome.stuck
            )?;
        }
        Ok(())
    }
}

fn write_one(f: &mut fmt::Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    let Outcome { notices, mishaps, .. } = outcome;
    writeln!(
        f,
        "seed {}, {} node{}, {}: {} auctions, {} bids, {} wins, {} clicks, {} conversions",
        outcome.seed,
        outcome.nodes,
        if outcome.nodes == 1 { "" } else { "s" },
        outcome.zone,
        outcome.auctions,
        outcome.bids,
        outcome.wins,
        outcome.clicks,
        outcome.conversions
    )?;
    writeln!(
        f,
        "notices: {} sent, {} taken, {} sent again, {} for another node, {} given up",
        notices.sent, notices.taken, notices.repeated, notices.for_another_node, notices.lost
    )?;
    writeln!(
        f,
        "mishaps: {} crashes, {} restarts, {} reloads, {} faults of the server, {} auctions without a bidder\n",
        mishaps.crashes, mishaps.restarts, mishaps.reloads, mishaps.server_faults, mishaps.missed
    )?;
    writeln!(
        f,
        "{:12} {:>10} {:>8} {:>10} {:>8} {:>8} {:>9} {:>8} {:>8} {:>8}",
        "account", "limit", "used", "on time", "late", "untold", "overspend", "debt", "slot err", "alive"
    )?;
    let percent = |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.2}%", 100.0 * share));
    for account in &outcome.accounts {
        writeln!(
            f,
            "{:12} {:>10.2} {:>8} {:>10.2} {:>8.2} {:>8.2} {:>9} {:>8.3} {:>8} {:>8}",
            account.name,
            account.limit,
            percent(Some(account.used)),
            account.on_time,
            account.late,
            account.unknown,
            account.overspend,
            account.debt,
            percent(account.slot_error),
            percent(account.alive)
        )?;
    }
    writeln!(
        f,
        "\n{:12} {:>8} {:>10} {:>10} {:>10} {:>10}",
        "line item", "wins", "spent", "surplus", "goal", "cost"
    )?;
    let money = |amount: Option<f64>| amount.map_or("-".to_owned(), |amount| format!("{amount:.3}"));
    for item in &outcome.items {
        writeln!(
            f,
            "{:12} {:>8} {:>10.2} {:>10.2} {:>10} {:>10}",
            item.name,
            item.wins,
            item.spent,
            item.surplus,
            money(item.goal),
            money(item.cost)
        )?;
    }
    writeln!(
        f,
        "\nthe books {} the exchange; digest {}",
        if outcome.books_agree {
            "agree with"
        } else {
            "differ from"
        },
        outcome.digest
    )
}

impl Report {
    fn write_many(&self, f: &mut fmt::Formatter<'_>, outcomes: &[Outcome]) -> fmt::Result {
        let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
        writeln!(
            f,
            "{} seeds: {} auctions, {} wins, {} crashes, {} restarts, {} reloads, {} faults of the server",
            outcomes.len(),
            sum(|outcome| outcome.auctions),
            sum(|outcome| outcome.wins),
            sum(|outcome| outcome.mishaps.crashes),
            sum(|outcome| outcome.mishaps.restarts),
            sum(|outcome| outcome.mishaps.reloads),
            sum(|outcome| outcome.mishaps.server_faults)
        )?;
        writeln!(f, "\n{:22} {:>10} {:>10} {:>10}", "", "least", "mean", "most")?;
        writeln!(
            f,
            "{:22} {:>10.4} {:>10.4} {:>10.4}",
            "overspend",
            self.range(|o| Some(o.overspend())).least,
            self.range(|o| Some(o.overspend())).mean,
            self.range(|o| Some(o.overspend())).most
        )?;
        let mut row = |name: &str, range: Range| {
            writeln!(
                f,
                "{name:22} {:>9.3}% {:>9.3}% {:>9.3}%",
                100.0 * range.least,
                100.0 * range.mean,
                100.0 * range.most
            )
        };
        row("used", self.range(|outcome| Some(outcome.used())))?;
        row("debt", self.range(|outcome| Some(outcome.debt())))?;
        row(
            "late",
            self.range(|outcome| {
                let (late, limit) = outcome.campaigns().iter().fold((0.0, 0.0), |sum, account| {
                    (sum.0 + account.late, sum.1 + account.limit)
                });
                Some(late / limit)
            }),
        )?;
        row(
            "slot error, worst",
            self.range(|outcome| worst(outcome, |account| account.slot_error)),
        )?;
        row(
            "not alive, worst",
            self.range(|outcome| worst(outcome, |account| account.alive.map(|alive| 1.0 - alive))),
        )?;
        let sound = outcomes.iter().filter(|outcome| outcome.is_sound()).count();
        writeln!(
            f,
            "\n{sound} of {} seeds are sound: no limit overspent, books that agree with the exchange, nothing stuck",
            outcomes.len()
        )
    }
}
