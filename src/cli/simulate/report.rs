//! What the seeds came to, as text and as JSON.

use outbid::lab::simulate::{AccountOutcome, Earned, Outcome, Scenario, Shaded};
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
            "budget": self.scenario.budget,
            "hold_s": self.scenario.hold_s,
            "losses": self.scenario.losses,
            "min_to_win": self.scenario.min_to_win.name(),
            "shading": self.scenario.shading.to_string(),
            "faults": self.scenario.faults.to_string(),
            "seeds": self.outcomes.len(),
            "sound": self.is_sound(),
            "overspend": range(self.range(|outcome| Some(outcome.overspend()))),
            "used": range(self.range(|outcome| Some(outcome.used()))),
            "debt": range(self.range(|outcome| Some(outcome.debt()))),
            "slot_error": range(self.range(|outcome| worst(outcome, |account| account.slot_error))),
            "alive": range(self.range(|outcome| worst(outcome, |account| account.alive.map(|alive| -alive)).map(|alive| -alive))),
            "surplus": range(self.range(|outcome| Some(outcome.surplus()))),
            "price_factor": range(self.range_of_shaded(|shaded| Some(shaded.factor))),
            "first_price_win_rate": range(self.range_of_shaded(|shaded| Some(win_rate(shaded)))),
            "surplus_of_best_fixed": range(self.range_of_shaded(surplus_of_best_fixed)),
            "spent_of_fixed_at_equal_value": range(self.range_of_shaded(|shaded| spent_of(shaded, shaded.fixed_spent_at_equal_value))),
            "spent_of_fixed_at_equal_clicks": range(self.range_of_shaded(|shaded| spent_of(shaded, shaded.fixed_spent_at_equal_clicks))),
            "outcomes": self.outcomes,
        })
    }

    fn range_of_shaded(&self, of: impl Fn(&Shaded) -> Option<f64>) -> Range {
        self.range(|outcome| outcome.shaded.as_ref().and_then(&of))
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

fn win_rate(shaded: &Shaded) -> f64 {
    shaded.earned.wins as f64 / shaded.bids as f64
}

/// What was earned at the pace's value, of what the best fixed factor would have.
fn surplus_of_best_fixed(shaded: &Shaded) -> Option<f64> {
    let best = shaded.best_fixed.earned.paced_surplus();
    (best > 0.0).then(|| shaded.earned.paced_surplus() / best)
}

/// What was spent, of what a fixed factor would have.
fn spent_of(shaded: &Shaded, fixed: Option<f64>) -> Option<f64> {
    fixed.map(|fixed| shaded.earned.spent / fixed)
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
            shading,
            faults,
            ..
        } = &self.scenario;
        writeln!(
            f,
            "{auctions_per_day} auctions a day, {days} day{}, win rate {win_rate}, hold {hold_s} s, {} loss notices, shading {shading}, faults: {faults}\n",
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
        "\nspent {:.2}, surplus {:.2}",
        outcome.spent(),
        outcome.surplus()
    )?;
    if let Some(shaded) = &outcome.shaded {
        write_shaded(f, shaded)?;
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

/// Surplus at the pace's value: what is left where money is weighed by how scarce the budgets make it.
fn write_shaded(f: &mut fmt::Formatter<'_>, shaded: &Shaded) -> fmt::Result {
    let Shaded {
        earned, best_fixed, ..
    } = shaded;
    writeln!(
        f,
        "\n{:18} {:>8} {:>8} {:>8} {:>10} {:>10} {:>10} {:>9}",
        "open first price", "factor", "bids", "won", "spent", "surplus", "at pace", "clicks"
    )?;
    let mut row = |name: &str, factor: f64, earned: &Earned| {
        writeln!(
            f,
            "{name:18} {factor:>8.3} {:>8} {:>7.2}% {:>10.2} {:>10.2} {:>10.2} {:>9.1}",
            shaded.bids,
            100.0 * earned.wins as f64 / shaded.bids as f64,
            earned.spent,
            earned.surplus(),
            earned.paced_surplus(),
            earned.clicks
        )
    };
    row("as bid", shaded.factor, earned)?;
    row("best fixed, 0.5-1", best_fixed.factor, &best_fixed.earned)?;
    for (what, fixed) in [
        ("as much value", shaded.fixed_spent_at_equal_value),
        ("as many clicks", shaded.fixed_spent_at_equal_clicks),
    ] {
        match fixed {
            Some(fixed) => writeln!(
                f,
                "{what} by a fixed factor costs {fixed:.2}: {:+.1} %",
                100.0 * (fixed / earned.spent - 1.0)
            )?,
            None => writeln!(f, "no fixed factor from 0.1 to 1 wins {what}")?,
        }
    }
    Ok(())
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
        row("price factor", self.range_of_shaded(|shaded| Some(shaded.factor)))?;
        row(
            "won at first price",
            self.range_of_shaded(|shaded| Some(win_rate(shaded))),
        )?;
        row(
            "surplus ÷ best fixed",
            self.range_of_shaded(surplus_of_best_fixed),
        )?;
        row(
            "spent ÷ equal value",
            self.range_of_shaded(|shaded| spent_of(shaded, shaded.fixed_spent_at_equal_value)),
        )?;
        row(
            "spent ÷ equal clicks",
            self.range_of_shaded(|shaded| spent_of(shaded, shaded.fixed_spent_at_equal_clicks)),
        )?;
        let surplus = self.range(|outcome| Some(outcome.surplus()));
        writeln!(
            f,
            "{:22} {:>10.2} {:>10.2} {:>10.2}",
            "surplus", surplus.least, surplus.mean, surplus.most
        )?;
        let sound = outcomes.iter().filter(|outcome| outcome.is_sound()).count();
        writeln!(
            f,
            "\n{sound} of {} seeds are sound: no limit overspent, books that agree with the exchange, nothing stuck",
            outcomes.len()
        )
    }
}
