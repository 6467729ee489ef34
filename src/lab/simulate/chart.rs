//! A simulated day as one page that needs nothing else: spend against plan, win rate and multiplier of each campaign.

use super::outcome::{AccountOutcome, Outcome, SLOT_MS, Slot};
use super::scenario::Scenario;
use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 34.0;
const Y_TICKS: usize = 4;
const X_TICKS: usize = 8;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: light-dark(#1a1a1a, #e8e8e8); --soft: light-dark(#6b6b6b, #a0a0a0); --grid: light-dark(#e3e3e3, #333); --page: light-dark(#fff, #161616); --c0: light-dark(#1668c7, #6db3ff); --c1: light-dark(#c2571a, #ff9e5e); --c2: light-dark(#2b8a3e, #69d58a); }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 800px; margin: 0 auto; padding: 24px 16px; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 40px; }
.sub { color: var(--soft); } figure { margin: 20px 0; } figcaption { font-weight: 600; }
.key { margin-left: 16px; font-weight: 400; } .key::before { content: ''; display: inline-block; width: 14px; height: 3px; margin-right: 6px; vertical-align: middle; background: currentColor; }
svg { width: 100%; height: auto; } text { fill: var(--soft); font-size: 12px; } text.y { text-anchor: end; } text.x { text-anchor: middle; }
.grid { stroke: var(--grid); } .line { fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linejoin: round; } .plan { stroke-dasharray: 5 4; }
.c0 { color: var(--c0); } .c1 { color: var(--c1); } .c2 { color: var(--c2); }
table { border-collapse: collapse; } td, th { padding: 3px 14px 3px 0; text-align: right; } th { color: var(--soft); font-weight: 400; } td:first-child, th:first-child { text-align: left; }
";

struct Line {
    name: &'static str,
    color: usize,
    is_plan: bool,
    /// One value for each slot; nothing where there is none.
    values: Vec<Option<f64>>,
}

/// The page. Written for a day; more days lie side by side.
pub fn page(scenario: &Scenario, outcome: &Outcome) -> String {
    let mut out = String::with_capacity(1 << 16);
    try_page(scenario, outcome, &mut out).expect("writing to a String cannot fail");
    out
}

fn try_page(scenario: &Scenario, outcome: &Outcome, out: &mut String) -> std::fmt::Result {
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>Simulated day, seed {seed}</title><style>{STYLE}</style></head><body><main><h1>Spend against plan</h1>\
         <p class=\"sub\">Seed {seed} · {} · {} auctions, {} bids, {} wins · {} node{} · faults: {} · digest {}</p>",
        outcome.zone,
        outcome.auctions,
        outcome.bids,
        outcome.wins,
        outcome.nodes,
        if outcome.nodes == 1 { "" } else { "s" },
        scenario.faults,
        outcome.digest,
        seed = outcome.seed,
    )?;
    write_table(outcome, out)?;
    for (account, slots) in outcome.campaigns().iter().zip(&outcome.slots) {
        write_campaign(account, slots, out)?;
    }
    writeln!(out, "</main></body></html>")
}

fn write_table(outcome: &Outcome, out: &mut String) -> std::fmt::Result {
    out.push_str("<table><thead><tr><th>account</th><th>limit</th><th>used</th><th>on time</th><th>late</th><th>never told</th><th>overspend</th></tr></thead><tbody>");
    for account in &outcome.accounts {
        write!(
            out,
            "<tr><td>{}</td><td>{:.2}</td><td>{:.2} %</td><td>{:.2}</td><td>{:.2}</td><td>{:.2}</td><td>{}</td></tr>",
            account.name,
            account.limit,
            100.0 * account.used,
            account.on_time,
            account.late,
            account.unknown,
            account.overspend
        )?;
    }
    out.push_str("</tbody></table>");
    Ok(())
}

fn write_campaign(account: &AccountOutcome, slots: &[Slot], out: &mut String) -> std::fmt::Result {
    let error = account.slot_error.map_or(String::new(), |error| {
        format!(", slot error {:.1} %", 100.0 * error)
    });
    let alive = account.alive.map_or(String::new(), |alive| {
        format!(", alive in {:.1} % of minutes", 100.0 * alive)
    });
    write!(out, "<h2>{}{error}{alive}</h2>", account.name)?;
    let spent = |slot: &Slot| Some(slot.spent);
    let planned = |slot: &Slot| slot.planned;
    let line = |name, color, is_plan, values| Line {
        name,
        color,
        is_plan,
        values,
    };
    draw(
        "Spent since midnight",
        &[
            line("spent", 0, false, summed(slots, spent)),
            line("plan", 1, true, summed(slots, planned)),
        ],
        out,
    )?;
    let each = |of: &dyn Fn(&Slot) -> Option<f64>| slots.iter().map(of).collect::<Vec<_>>();
    draw(
        "Spent in a quarter of an hour",
        &[
            line("spent", 0, false, each(&spent)),
            line("plan", 1, true, each(&planned)),
        ],
        out,
    )?;
    let share = |part: u32, whole: u32| (whole > 0).then(|| f64::from(part) / f64::from(whole));
    draw(
        "Of the auctions",
        &[
            line("bid", 0, false, each(&|slot| share(slot.bids, slot.auctions))),
            line("won", 1, false, each(&|slot| share(slot.wins, slot.auctions))),
            line("multiplier", 2, true, each(&|slot| Some(slot.multiplier))),
        ],
        out,
    )
}

/// Running sums; nothing from the first slot on where all are nothing.
fn summed(slots: &[Slot], of: impl Fn(&Slot) -> Option<f64>) -> Vec<Option<f64>> {
    let mut sum = 0.0;
    slots
        .iter()
        .map(|slot| {
            of(slot).map(|value| {
                sum += value;
                sum
            })
        })
        .collect()
}

fn draw(title: &str, lines: &[Line], out: &mut String) -> std::fmt::Result {
    let shown: Vec<&Line> = lines
        .iter()
        .filter(|line| line.values.iter().any(Option::is_some))
        .collect();
    let values = || shown.iter().flat_map(|line| line.values.iter().flatten());
    let top = round_up(values().copied().fold(0.0, f64::max));
    let count = shown
        .iter()
        .map(|line| line.values.len())
        .max()
        .unwrap_or(1)
        .max(2);
    let x = |slot: usize| LEFT + (WIDTH - LEFT - RIGHT) * slot as f64 / (count - 1) as f64;
    let y = |value: f64| HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top;
    write!(out, "<figure><figcaption>{title}")?;
    for line in &shown {
        write!(out, "<span class=\"key c{}\">{}</span>", line.color, line.name)?;
    }
    write!(
        out,
        "</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">"
    )?;
    for tick in 0..=Y_TICKS {
        let value = top * tick as f64 / Y_TICKS as f64;
        let at = y(value);
        write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text class=\"y\" x=\"{}\" y=\"{:.1}\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0,
            short(value)
        )?;
    }
    for tick in 0..X_TICKS {
        let slot = tick * count / X_TICKS;
        let minutes = slot as i64 * SLOT_MS / 60_000;
        write!(
            out,
            "<text class=\"x\" x=\"{:.1}\" y=\"{}\">{}:{:02}</text>",
            x(slot),
            HEIGHT - BOTTOM + 20.0,
            minutes / 60,
            minutes % 60
        )?;
    }
    for line in &shown {
        let class = if line.is_plan { "line plan" } else { "line" };
        write!(out, "<polyline class=\"{class} c{}\" points=\"", line.color)?;
        for (slot, value) in line.values.iter().enumerate() {
            if let Some(value) = value {
                write!(out, "{:.1},{:.1} ", x(slot), y(*value))?;
            }
        }
        out.push_str("\"/>");
    }
    out.push_str("</svg></figure>");
    Ok(())
}

/// The next of 1, 2, 4, 5 or 8 times a power of ten, so that quarters of it are short.
fn round_up(value: f64) -> f64 {
    let decade = 10f64.powf(value.max(1e-9).log10().floor());
    let fits = |step: &f64| *step * decade >= value * (1.0 - 1e-9);
    [1.0, 2.0, 4.0, 5.0, 8.0, 10.0]
        .into_iter()
        .find(fits)
        .unwrap_or(10.0)
        * decade
}

fn short(value: f64) -> String {
    let digits = match value {
        _ if value == 0.0 || value >= 100.0 => 0,
        _ if value >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number_above_what_is_shown() {
        for (value, top) in [(0.93, 1.0), (1.01, 2.0), (37.0, 40.0), (512.0, 800.0), (4.1, 5.0)] {
            assert!(
                (round_up(value) - top).abs() < 1e-9,
                "{value}: {}",
                round_up(value)
            );
        }
    }
}
