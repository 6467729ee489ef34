//! Bodies as they arrive on the wire, from a file of cases: what is sent, and which statuses are right.
//!
//! ```json
//! [{"name": "truncated", "file": "bodies/truncated.bin", "headers": {}, "expect_http": "400|413", "why": "no last brace"}]
//! ```
//!
//! `file` is relative to the file of cases; `body` is a text in its place. `expect_http` is a status, or several with `|`
//! between them. Invariant: an answer that is not one of the statuses named is wrong, whatever it says; where 400 is one of
//! them, 200 with `nbr` 2 is as good.

use super::sender::{Sender, Sent};
use super::{Progress, Settings};
use serde_json::{Value, json};
use std::fmt;
use std::path::{Path, PathBuf};

/// Bodies are sent in one piece.
const BODY_BYTES_MAX: u64 = 64 << 20;

pub struct WireCase {
    pub name: String,
    pub why: String,
    pub body: Vec<u8>,
    pub headers: Vec<(String, String)>,
    pub expected: Vec<u16>,
}

#[derive(Debug, thiserror::Error)]
pub enum BadWireFile {
    #[error("{path}: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{path}: {what}")]
    Wrong { path: PathBuf, what: String },
}

pub struct WireReport {
    pub url: String,
    results: Vec<(WireCase, Result<Sent, String>)>,
}

impl WireCase {
    /// Reads a file of cases, and the bodies that it names.
    ///
    /// # Errors
    /// The file, or the first case that makes no sense.
    pub fn read_all(path: &Path) -> Result<Vec<WireCase>, BadWireFile> {
        let wrong = |what: String| BadWireFile::Wrong {
            path: path.to_owned(),
            what,
        };
        let text = read(path)?;
        let list: Value = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        let list = list
            .as_array()
            .filter(|list| !list.is_empty())
            .ok_or_else(|| wrong("a list of cases is wanted, such as [{\"name\": …}]".into()))?;
        list.iter()
            .enumerate()
            .map(|(position, case)| {
                WireCase::of(case, path)?.map_err(|what| wrong(format!("case {}: {what}", position + 1)))
            })
            .collect()
    }

    fn of(case: &Value, path: &Path) -> Result<Result<WireCase, String>, BadWireFile> {
        let text = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
        let body = match (case["body"].as_str(), case["file"].as_str()) {
            (Some(body), _) => body.as_bytes().to_vec(),
            (None, Some(file)) => read(&path.parent().unwrap_or(Path::new("")).join(file))?,
            (None, None) => return Ok(Err("neither `file` nor `body`".into())),
        };
        let Some(expected) = statuses(&case["expect_http"]) else {
            return Ok(Err("`expect_http` must be a status, or like \"400|413\"".into()));
        };
        if case["bytes"]
            .as_u64()
            .is_some_and(|bytes| bytes != body.len() as u64)
        {
            return Ok(Err(format!(
                "the body has {} bytes, `bytes` says {}",
                body.len(),
                case["bytes"]
            )));
        }
        let headers = case["headers"].as_object().into_iter().flatten();
        let headers =
            headers.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
        Ok(Ok(WireCase {
            name: text("name"),
            why: text("why"),
            body,
            headers: headers.collect(),
            expected,
        }))
    }

    fn is_met_by(&self, sent: &Sent) -> bool {
        let refused = self.expected.contains(&400) && sent.refuses();
        let sound = sent.status != 200 || sent.is_bid_response();
        sound && (refused || self.expected.contains(&sent.status))
    }

    fn expected_text(&self) -> String {
        let all: Vec<String> = self.expected.iter().map(u16::to_string).collect();
        all.join("|")
    }
}

impl WireReport {
    /// Sends every body and keeps what came.
    pub fn run(settings: &Settings, cases: Vec<WireCase>, mut before: impl FnMut(Progress)) -> WireReport {
        let sender = Sender::new(settings);
        let of = cases.len();
        let results = cases.into_iter().enumerate().map(|(done, case)| {
            let doing = case.name.as_str();
            before(Progress { done, of, doing });
            let sent = sender.send(case.body.clone(), &case.headers);
            (case, sent.map_err(|error| error.to_string()))
        });
        WireReport {
            url: settings.url.to_string(),
            results: results.collect(),
        }
    }

    pub fn passed(&self) -> bool {
        self.wrong() == 0
    }

    fn wrong(&self) -> usize {
        self.results
            .iter()
            .filter(|(case, sent)| !is_right(case, sent))
            .count()
    }

    pub fn to_json(&self) -> Value {
        let cases = self.results.iter().map(|(case, sent)| {
            let mut result = json!({
                "name": case.name, "why": case.why, "expected": case.expected, "right": is_right(case, sent),
            });
            match sent {
                Ok(sent) => {
                    result["status"] = json!(sent.status);
                    result["bids"] = json!(sent.bids);
                    result["elapsed_ms"] = json!(sent.elapsed.as_secs_f64() * 1e3);
                }
                Err(error) => result["error"] = json!(error),
            }
            result
        });
        json!({
            "url": self.url, "passed": self.passed(), "right": self.results.len() - self.wrong(), "wrong": self.wrong(),
            "cases": cases.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for WireReport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{}", self.url)?;
        writeln!(f, "       answered  expected         ms  body")?;
        for (case, sent) in &self.results {
            let verdict = if is_right(case, sent) { "right" } else { "WRONG" };
            let (status, ms) = match sent {
                Ok(sent) => (
                    sent.status.to_string(),
                    format!("{:.1}", sent.elapsed.as_secs_f64() * 1e3),
                ),
                Err(_) => ("none".into(), "-".into()),
            };
            let (expected, name, why) = (case.expected_text(), &case.name, &case.why);
            writeln!(f, "{verdict}  {status:>8}  {expected:<12} {ms:>7}  {name}: {why}")?;
            if let Err(error) = sent {
                writeln!(f, "       {error}")?;
            }
        }
        let (wrong, all) = (self.wrong(), self.results.len());
        write!(
            f,
            "{} of {all} answered as expected\n{}",
            all - wrong,
            if wrong == 0 { "PASSED" } else { "FAILED" }
        )
    }
}

fn is_right(case: &WireCase, sent: &Result<Sent, String>) -> bool {
    sent.as_ref().is_ok_and(|sent| case.is_met_by(sent))
}

fn statuses(value: &Value) -> Option<Vec<u16>> {
    match value {
        Value::Number(number) => Some(vec![u16::try_from(number.as_u64()?).ok()?]),
        Value::String(text) => text.split('|').map(|status| status.trim().parse().ok()).collect(),
        _ => None,
    }
}

fn read(path: &Path) -> Result<Vec<u8>, BadWireFile> {
    let unreadable = |source| BadWireFile::Unreadable {
        path: path.to_owned(),
        source,
    };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > BODY_BYTES_MAX {
        return Err(BadWireFile::Wrong {
            path: path.to_owned(),
            what: format!("{length} bytes; at most {BODY_BYTES_MAX} are sent"),
        });
    }
    std::fs::read(path).map_err(unreadable)
}
