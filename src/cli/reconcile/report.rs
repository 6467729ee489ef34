//! The report of `outbid reconcile`, for people and for scripts.

use outbid::reconcile::{Comparison, Count, Group, Invoice, Key, Kind, Ours, Part, Side, Statement, Totals};
use outbid::units::{Currency, Nanos};
use serde_json::{Value, json};
use std::fmt::{self, Display, Formatter};

/// Groups shown to people; scripts get them all.
const GROUPS_SHOWN: usize = 40;

pub struct Report {
    pub exchange: String,
    pub accounting: Currency,
    pub tolerance: f64,
    pub ours: Ours,
    pub statement: Statement,
    pub parts: Vec<(Key, Vec<Part>)>,
    pub invoice: Option<Invoice>,
    pub comparison: Option<Comparison>,
}

impl Report {
    /// Money as decimal strings, as JSON numbers would round it.
    pub fn to_json(&self) -> Value {
        let day = &self.ours.question.day;
        let statement = &self.statement;
        let torn = self.ours.torn.iter().map(|torn| {
            json!({"file": torn.path.display().to_string(), "offset": torn.offset, "bytes": torn.bytes})
        });
        let parts = self.parts.iter().map(|(key, parts)| {
            let parts = parts.iter().map(|part| {
                let mut value = totals(&part.totals);
                value["key"] = json!(part.label);
                value
            });
            (key.name().replace(' ', "_"), Value::Array(parts.collect()))
        });
        json!({
            "exchange": self.exchange,
            "day": day.date.to_string(),
            "zone": day.zone_name(),
            "accounting_currency": self.accounting.as_str(),
            "records_read": self.ours.records,
            "torn": torn.collect::<Vec<_>>(),
            "ours": totals(&statement.totals),
            "late": count(statement.late),
            "at_reserved_price": count(statement.at_reserved),
            "above_bid": count(statement.above_bid),
            "multiplied": count(statement.multiplied),
            "other_currency": count(statement.other_currency),
            "unmatched": count(statement.unmatched),
            "won_without_bill": count(statement.won_without_bill),
            "duplicates_ignored": statement.duplicates,
            "tests": statement.tests,
            "audits": statement.audits,
            "too_late": statement.too_late,
            "of_dead_nodes": statement.of_dead,
            "by": parts.collect::<serde_json::Map<_, _>>(),
            "invoice": self.comparison.as_ref().zip(self.invoice.as_ref()).map(|(comparison, invoice)| {
                self.compared(comparison, invoice)
            }),
        })
    }

    fn compared(&self, comparison: &Comparison, invoice: &Invoice) -> Value {
        let kinds = comparison.kinds.iter().map(|(kind, ours, theirs)| {
            (
                kind.id().to_owned(),
                json!({"ours": side(ours), "theirs": side(theirs)}),
            )
        });
        let worst = comparison.worst.iter().map(|difference| {
            json!({
                "kind": difference.kind.id(), "bid": difference.bid, "line": difference.line,
                "ours": difference.ours.to_string(), "theirs": difference.theirs.to_string(),
                "difference": (difference.theirs - difference.ours).to_string(),
            })
        });
        let groups = comparison.groups.iter().map(|(keys, groups)| {
            let groups = groups.iter().map(|group| {
                json!({
                    "key": group.label, "kind": group.kind.id(), "ours": side(&group.ours), "theirs": side(&group.theirs),
                    "difference": (group.theirs.money - group.ours.money).to_string(),
                })
            });
            json!({
                "keys": keys.iter().map(|key| key.name()).collect::<Vec<_>>(),
                "rows": groups.collect::<Vec<_>>(),
            })
        });
        json!({
            "file": invoice.path().display().to_string(),
            "currency": comparison.currency.as_str(),
            "by_bid": comparison.by_bid,
            "rows": invoice.rows,
            "rows_of_other_days": invoice.of_other_days,
            "rows_of_sums": invoice.sums,
            "columns_not_used": invoice.columns().unused().collect::<Vec<_>>(),
            "ours": side(&comparison.ours),
            "theirs": side(&comparison.theirs),
            "difference": (comparison.theirs.money - comparison.ours.money).to_string(),
            "apart_percent": comparison.apart * 100.0,
            "tolerance_percent": self.tolerance * 100.0,
            "agrees": comparison.agrees,
            "kinds": kinds.collect::<serde_json::Map<_, _>>(),
            "worst": worst.collect::<Vec<_>>(),
            "groups": groups.collect::<Vec<_>>(),
        })
    }

    fn write_statement(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (day, statement) = (&self.ours.question.day, &self.statement);
        writeln!(f, "{}, {} ({})", self.exchange, day.date, day.zone_name())?;
        let totals = &statement.totals;
        writeln!(
            f,
            "  bids won {}, billed {}, impressions {}",
            totals.won,
            totals.billed,
            impressions(totals.impressions_micros)
        )?;
        writeln!(f, "  spend {}", self.spend(totals))?;
        let remarkable = [
            (
                "late or above the hold (debt where no limit covered it)",
                statement.late,
            ),
            (
                "at the reserved price, as none was readable",
                statement.at_reserved,
            ),
            ("above our bid, by", statement.above_bid),
            ("for more or less than one impression", statement.multiplied),
            (
                "priced in another currency than the bid",
                statement.other_currency,
            ),
            (
                "of bids that this node did not know (unmatched)",
                statement.unmatched,
            ),
            ("won without a bill, reserved", statement.won_without_bill),
        ];
        for (what, Count { bids, money }) in remarkable.into_iter().filter(|(_, count)| count.bids > 0) {
            writeln!(f, "  {what}: {bids} bids, {money} {}", self.accounting)?;
        }
        let counted = [
            ("duplicates ignored", statement.duplicates),
            ("tests", statement.tests),
            ("audits", statement.audits),
            ("too late to be booked", statement.too_late),
            ("of nodes declared dead", statement.of_dead),
        ];
        for (what, count) in counted.into_iter().filter(|(_, count)| *count > 0) {
            writeln!(f, "  {what}: {count}")?;
        }
        for torn in &self.ours.torn {
            writeln!(
                f,
                "  left out: {} bytes at byte {} of {}, no whole record: being written, or cut off in a crash",
                torn.bytes,
                torn.offset,
                torn.path.display()
            )?;
        }
        Ok(())
    }

    fn spend(&self, totals: &Totals) -> String {
        let sent = totals
            .sent
            .iter()
            .filter(|(currency, _)| **currency != self.accounting);
        let sent: Vec<_> = sent
            .map(|(currency, money)| format!("{money} {currency}"))
            .collect();
        let booked = format!("{} {}", totals.booked, self.accounting);
        if sent.is_empty() {
            booked
        } else {
            format!("{booked}, priced {}", sent.join(" and "))
        }
    }

    fn write_parts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (key, parts) in self.parts.iter().filter(|(_, parts)| !parts.is_empty()) {
            let spend = format!("spend {}", self.accounting);
            let mut rows = vec![[
                key.name().to_owned(),
                "won".into(),
                "billed".into(),
                "impressions".into(),
                spend,
            ]];
            rows.extend(parts.iter().take(GROUPS_SHOWN).map(|part| {
                let totals = &part.totals;
                [
                    part.label.clone(),
                    totals.won.to_string(),
                    totals.billed.to_string(),
                    impressions(totals.impressions_micros),
                    totals.booked.to_string(),
                ]
            }));
            writeln!(f)?;
            write_table(f, &rows)?;
            write_more(f, parts.len())?;
        }
        Ok(())
    }

    fn write_comparison(
        &self,
        f: &mut Formatter<'_>,
        comparison: &Comparison,
        invoice: &Invoice,
    ) -> fmt::Result {
        let rows = if comparison.by_bid {
            "rows by bid"
        } else {
            "rows of a summary"
        };
        writeln!(
            f,
            "\n{}: {} {rows}, in {}",
            invoice.path().display(),
            invoice.rows,
            comparison.currency
        )?;
        let unused: Vec<_> = invoice.columns().unused().collect();
        if !unused.is_empty() {
            writeln!(f, "  columns not used: {}", unused.join(", "))?;
        }
        for (count, what) in [
            (invoice.of_other_days, "of other days"),
            (invoice.sums, "that add up others"),
        ] {
            if count > 0 {
                writeln!(f, "  left out: {count} rows {what}")?;
            }
        }
        if comparison.by_bid {
            write_kinds(f, comparison)?;
        }
        for (keys, groups) in &comparison.groups {
            write_groups(f, keys, groups, comparison)?;
        }
        self.write_worst(f, comparison)?;
        let verdict = if comparison.agrees { "agree" } else { "DIFFER" };
        write!(
            f,
            "\nThe two {verdict}: {:.2} % apart, {} % are tolerated.",
            comparison.apart * 100.0,
            self.tolerance * 100.0
        )
    }

    fn write_worst(&self, f: &mut Formatter<'_>, comparison: &Comparison) -> fmt::Result {
        if comparison.worst.is_empty() {
            return Ok(());
        }
        let mut rows = vec![["bid", "line", "ours", "theirs", "difference", "what"].map(str::to_owned)];
        rows.extend(comparison.worst.iter().map(|difference| {
            [
                difference.bid.clone(),
                difference.line.map_or("-".into(), |line| line.to_string()),
                difference.ours.to_string(),
                difference.theirs.to_string(),
                signed(difference.theirs - difference.ours),
                difference.kind.name().to_owned(),
            ]
        }));
        writeln!(f)?;
        write_table(f, &rows)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_statement(f)?;
        match self.comparison.as_ref().zip(self.invoice.as_ref()) {
            Some((comparison, invoice)) => self.write_comparison(f, comparison, invoice),
            None => self.write_parts(f),
        }
    }
}

fn write_kinds(f: &mut Formatter<'_>, comparison: &Comparison) -> fmt::Result {
    let all = ("all", comparison.ours, comparison.theirs);
    let mut kinds: Vec<_> = comparison
        .kinds
        .iter()
        .filter(|(_, ours, theirs)| ours.count + theirs.count > 0)
        .collect();
    kinds.sort_by_key(|(kind, ours, theirs)| {
        let apart = theirs.money.saturating_sub(ours.money).0.saturating_abs();
        (*kind == Kind::Agrees, std::cmp::Reverse(apart))
    });
    let kinds = kinds
        .into_iter()
        .map(|(kind, ours, theirs)| (kind.name(), *ours, *theirs));
    let mut rows =
        vec![["", "our bids", "their rows", "ours", "theirs", "difference", "%"].map(str::to_owned)];
    rows.extend(kinds.chain([all]).map(|(name, ours, theirs)| {
        [
            name.to_owned(),
            ours.count.to_string(),
            theirs.count.to_string(),
            ours.money.to_string(),
            theirs.money.to_string(),
            signed(theirs.money - ours.money),
            of_ours(theirs.money, ours.money),
        ]
    }));
    writeln!(f)?;
    write_table(f, &rows)
}

fn write_groups(
    f: &mut Formatter<'_>,
    keys: &[Key],
    groups: &[Group],
    comparison: &Comparison,
) -> fmt::Result {
    let title = keys.iter().map(|key| key.name()).collect::<Vec<_>>().join(" · ");
    let mut rows =
        vec![["", "our imps", "their imps", "ours", "theirs", "difference", "%"].map(str::to_owned)];
    rows[0][0] = title;
    rows.extend(
        groups
            .iter()
            .take(GROUPS_SHOWN)
            .map(|group| group_row(group, comparison)),
    );
    if groups.len() > 1 {
        let all = Group {
            label: "all".into(),
            kind: Kind::Agrees,
            ours: comparison.ours,
            theirs: comparison.theirs,
        };
        rows.push(group_row(&all, comparison));
    }
    writeln!(f)?;
    write_table(f, &rows)?;
    write_more(f, groups.len())
}

fn group_row(group: &Group, comparison: &Comparison) -> [String; 7] {
    let Group { ours, theirs, .. } = group;
    let money = |money: String| if comparison.has_money { money } else { "-".into() };
    let (theirs_of, ours_of) = if comparison.has_money {
        (theirs.money, ours.money)
    } else {
        let all = |side: &Side| Nanos(i64::try_from(side.impressions_micros).unwrap_or(i64::MAX));
        (all(theirs), all(ours))
    };
    [
        group.label.clone(),
        impressions(ours.impressions_micros),
        impressions(theirs.impressions_micros),
        money(ours.money.to_string()),
        money(theirs.money.to_string()),
        money(signed(theirs.money - ours.money)),
        of_ours(theirs_of, ours_of),
    ]
}

fn write_more(f: &mut Formatter<'_>, groups: usize) -> fmt::Result {
    match groups.checked_sub(GROUPS_SHOWN) {
        Some(more) if more > 0 => writeln!(f, "  … and {more} more; --json shows all"),
        _ => Ok(()),
    }
}

/// The first and the last column of words to the left, numbers to the right; columns as wide as they must be.
fn write_table<const N: usize>(f: &mut Formatter<'_>, rows: &[[String; N]]) -> fmt::Result {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let is_words = column == 0 || rows[0][column] == "what";
            line += &if is_words {
                format!("  {cell:<width$}")
            } else {
                format!("  {cell:>width$}")
            };
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

fn signed(money: Nanos) -> String {
    let sign = if money > Nanos::ZERO { "+" } else { "" };
    format!("{sign}{money}")
}

fn of_ours(theirs: Nanos, ours: Nanos) -> String {
    match (theirs.0, ours.0) {
        (theirs, ours) if theirs == ours => "0.00".into(),
        (_, 0) => "-".into(),
        (theirs, ours) => format!("{:+.2}", (theirs as f64 - ours as f64) / ours as f64 * 100.0),
    }
}

fn impressions(micros: u64) -> String {
    let text = format!("{:.6}", micros as f64 / 1e6);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn totals(totals: &Totals) -> Value {
    let sent = totals
        .sent
        .iter()
        .map(|(currency, money)| (currency.to_string(), json!(money.to_string())));
    json!({
        "won": totals.won,
        "billed": totals.billed,
        "impressions": totals.impressions_micros as f64 / 1e6,
        "sent": sent.collect::<serde_json::Map<_, _>>(),
        "booked": totals.booked.to_string(),
    })
}

fn count(count: Count) -> Value {
    json!({"bids": count.bids, "money": count.money.to_string()})
}

fn side(side: &Side) -> Value {
    json!({
        "count": side.count,
        "impressions": side.impressions_micros as f64 / 1e6,
        "money": side.money.to_string(),
    })
}
