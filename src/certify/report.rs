//! The outcome of all cases, as a table for people and as JSON for scripts.
//!
//! Invariant: the bidder passes only if some request was bid on, it answered to the end, and no case failed.

use super::case::{Case, Flaw, Section, Verdict};
use super::stage::{Base, Exchanged};
use serde_json::{Value, json};
use std::fmt;

/// Of a request or an answer, in the table; the JSON has all of it.
const SHOWN_CHARS_MAX: usize = 600;

pub struct Report {
    pub url: String,
    /// Why nobody was asked any more, where the bidder had fallen silent.
    pub silent: Option<String>,
    pub found: Vec<Found>,
    pub results: Vec<Result>,
}

/// A bid that the cases started from.
pub struct Found {
    pub format: &'static str,
    pub creative: String,
    pub price: f64,
    pub currency: String,
}

pub struct Result {
    pub id: &'static str,
    pub section: Section,
    pub spec: &'static str,
    pub title: &'static str,
    pub verdict: Verdict,
    exchanged: Option<Exchanged>,
}

impl Report {
    pub fn passed(&self) -> bool {
        !self.found.is_empty() && self.silent.is_none() && self.failures().next().is_none()
    }

    pub fn failures(&self) -> impl Iterator<Item = &Result> {
        self.results
            .iter()
            .filter(|result| matches!(result.verdict, Err(Flaw::Fails(_))))
    }

    pub fn to_json(&self) -> Value {
        let found: Vec<Value> = self.found.iter().map(Found::to_json).collect();
        let results: Vec<Value> = self.results.iter().map(Result::to_json).collect();
        let total = Tally::of(self.results.iter());
        json!({
            "url": self.url, "passed": self.passed(), "fell_silent": self.silent, "bids_found": found,
            "pass": total.pass, "fail": total.fail, "not_tested": total.not_tested, "cases": results,
        })
    }

    fn write_table(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(
            f,
            "{:<14} {:<18} {:>5} {:>5} {:>5} {:>10}",
            "section", "spec", "cases", "pass", "fail", "not tested"
        )?;
        for section in Section::ALL {
            let tally = Tally::of(self.results.iter().filter(|result| result.section == section));
            if tally.all() > 0 {
                writeln!(f, "{section:<14} {:<18} {tally}", section.spec())?;
            }
        }
        writeln!(f, "{:<14} {:<18} {}", "all", "", Tally::of(self.results.iter()))
    }

    fn write_failures(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for result in self.failures() {
            writeln!(f, "\nFAIL {} ({}): {}", result.id, result.spec, result.title)?;
            writeln!(f, "  {}", result.reason())?;
            if let Some(exchanged) = &result.exchanged {
                writeln!(f, "  request: {}", shorten(&exchanged.request))?;
                writeln!(f, "  answer:  {}", shorten(&exchanged.answer))?;
            }
        }
        Ok(())
    }

    fn write_not_tested(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let not_tested = self
            .results
            .iter()
            .filter(|result| matches!(result.verdict, Err(Flaw::NotTested(_))));
        for (position, result) in not_tested.enumerate() {
            if position == 0 {
                writeln!(f, "\nnot tested:")?;
            }
            writeln!(f, "  {:<40} {}", result.id, result.reason())?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{}", self.url)?;
        if let Some(why) = &self.silent {
            writeln!(f, "the bidder does not answer, and was not asked further: {why}")?;
        }
        match self.found.as_slice() {
            [] => writeln!(
                f,
                "no request was bid on: a bidder that never bids is not certified\n"
            )?,
            found => {
                writeln!(f, "{} different bids found:", found.len())?;
                for bid in found {
                    writeln!(
                        f,
                        "  {:<17} {:>8.3} {}  {}",
                        bid.format, bid.price, bid.currency, bid.creative
                    )?;
                }
                writeln!(f)?;
            }
        }
        self.write_table(f)?;
        self.write_failures(f)?;
        self.write_not_tested(f)?;
        write!(f, "\n{}", if self.passed() { "PASSED" } else { "FAILED" })
    }
}

impl Found {
    pub(super) fn of(base: &Base) -> Found {
        Found {
            format: base.format.name(),
            creative: base.bid.text("crid").to_owned(),
            price: base.bid.price(),
            currency: base.bid.currency.clone(),
        }
    }

    fn to_json(&self) -> Value {
        json!({"format": self.format, "creative": self.creative, "price": self.price, "currency": self.currency})
    }
}

impl Result {
    pub(super) fn new(case: &Case, verdict: Verdict, exchanged: Option<Exchanged>) -> Result {
        Result {
            id: case.id,
            section: case.section,
            spec: case.spec,
            title: case.title,
            verdict,
            exchanged,
        }
    }

    /// `pass`, `fail` or `not tested`.
    pub fn outcome(&self) -> &'static str {
        match self.verdict {
            Ok(()) => "pass",
            Err(Flaw::Fails(_)) => "fail",
            Err(Flaw::NotTested(_)) => "not tested",
        }
    }

    /// Why it did not pass; empty if it did.
    pub fn reason(&self) -> &str {
        match &self.verdict {
            Ok(()) => "",
            Err(Flaw::Fails(why) | Flaw::NotTested(why)) => why,
        }
    }

    fn to_json(&self) -> Value {
        let mut result = json!({
            "id": self.id, "section": self.section.name(), "spec": self.spec, "title": self.title,
            "outcome": self.outcome(),
        });
        if self.verdict.is_err() {
            result["reason"] = json!(self.reason());
        }
        if let Some(exchanged) = &self.exchanged {
            result["request"] = json!(exchanged.request);
            result["answer"] = json!(exchanged.answer);
        }
        result
    }
}

#[derive(Default)]
struct Tally {
    pass: usize,
    fail: usize,
    not_tested: usize,
}

impl Tally {
    fn of<'r>(results: impl Iterator<Item = &'r Result>) -> Tally {
        results.fold(Tally::default(), |mut tally, result| {
            match result.verdict {
                Ok(()) => tally.pass += 1,
                Err(Flaw::Fails(_)) => tally.fail += 1,
                Err(Flaw::NotTested(_)) => tally.not_tested += 1,
            }
            tally
        })
    }

    fn all(&self) -> usize {
        self.pass + self.fail + self.not_tested
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "{:>5} {:>5} {:>5} {:>10}",
            self.all(),
            self.pass,
            self.fail,
            self.not_tested
        )
    }
}

fn shorten(text: &str) -> String {
    let line = text
        .trim_end()
        .replace("\r\n", "\n")
        .replace('\n', "\n           ");
    match line.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}… (all of it with --json)", &line[..end]),
        None => line,
    }
}
