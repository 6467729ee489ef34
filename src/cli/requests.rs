//! `outbid requests`: what our reader makes of recorded requests, and what a bidder answers to them.
//!
//! Invariant: the reasons are those of the code that reads requests on the bid path; a refusal is 400 there.

use super::certify::{header, progress};
use super::say;
use anyhow::Context;
use clap::Args;
use outbid::certify::{Address, Progress, Sender, Sent, Settings};
use outbid::openrtb::RequestBuffers;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Args)]
pub struct RequestsArguments {
    /// Bid requests, one JSON object a line.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Also send them to this bidder: http://HOST:PORT/PATH.
    #[arg(long, value_name = "URL", value_parser = Address::parse)]
    url: Option<Address>,
    /// Sent with every bid request, like the exchange's credentials: `Name: value`.
    #[arg(long = "header", value_name = "HEADER", value_parser = header, requires = "url")]
    headers: Vec<(String, String)>,
    /// How long to wait for an answer, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    timeout: u64,
    /// For scripts: a line of JSON for every request, the summary last.
    #[arg(long)]
    json: bool,
}

/// One request of a file.
struct Line {
    number: usize,
    id: String,
    /// Why it is refused.
    refusal: Option<String>,
    /// What the bidder said, or why it said nothing; none where nobody was asked.
    answer: Option<Result<Sent, String>>,
}

/// Exit codes: 0 every request was accepted or refused for a stated reason, and the bidder answered so; 1 it did not.
pub fn run(arguments: &RequestsArguments) -> anyhow::Result<ExitCode> {
    let settings = arguments.url.clone().map(|url| Settings {
        url,
        headers: arguments.headers.clone(),
        notices: None,
        admin: None,
        admin_token: None,
        deals: Vec::new(),
        test: false,
        timeout: Duration::from_millis(arguments.timeout),
        run: 0,
    });
    let sender = settings.as_ref().map(Sender::new);
    let mut files = Vec::new();
    for path in &arguments.files {
        files.push((path.as_path(), read(path, sender.as_ref())?));
    }
    let text = if arguments.json {
        as_json(&files)
    } else {
        as_text(&files)
    };
    say(&text)?;
    let differ = files
        .iter()
        .flat_map(|(_, lines)| lines)
        .any(|line| line.differs().is_some());
    Ok(if differ {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn read(path: &Path, sender: Option<&Sender>) -> anyhow::Result<Vec<Line>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let bodies: Vec<(usize, &[u8])> = bytes
        .split(|byte| *byte == b'\n')
        .enumerate()
        .filter(|(_, body)| !body.trim_ascii().is_empty())
        .collect();
    let bar = progress(bodies.len());
    let mut buffers = RequestBuffers::default();
    let mut lines = Vec::new();
    for (position, body) in &bodies {
        bar(Progress {
            done: lines.len(),
            of: bodies.len(),
            doing: &path.display().to_string(),
        });
        let mut line = Line::parse(position + 1, body, &mut buffers);
        line.answer = sender.map(|sender| sender.send(body.to_vec(), &[]).map_err(|error| error.to_string()));
        lines.push(line);
    }
    Ok(lines)
}

impl Line {
    fn parse(number: usize, body: &[u8], buffers: &mut RequestBuffers) -> Line {
        let mut scratch = body.to_vec();
        let (id, refusal) = match buffers.parse(&mut scratch) {
            Ok(request) => {
                let id = request.id.to_owned();
                buffers.recycle(request);
                (id, None)
            }
            Err(malformed) => {
                let value: Value = serde_json::from_slice(body).unwrap_or_default();
                (
                    value["id"].as_str().unwrap_or_default().to_owned(),
                    Some(malformed.to_string()),
                )
            }
        };
        Line {
            number,
            id,
            refusal,
            answer: None,
        }
    }

    /// How the bidder's answer differs from what is right for a request that is read so.
    fn differs(&self) -> Option<String> {
        match (self.answer.as_ref()?, &self.refusal) {
            (Err(error), _) => Some(format!("no answer: {error}")),
            (Ok(sent), Some(_)) if !sent.refuses() => Some(format!("answered {} and not 400", sent.status)),
            (Ok(sent), None) if !sent.is_bid_response() => Some(format!(
                "answered {} and neither 200 with a response nor 204",
                sent.status
            )),
            _ => None,
        }
    }

    fn to_json(&self, file: &Path) -> Value {
        let mut line = json!({
            "file": file.display().to_string(), "line": self.number, "id": self.id, "accepted": self.refusal.is_none(),
        });
        if let Some(refusal) = &self.refusal {
            line["reason"] = json!(refusal);
        }
        match &self.answer {
            Some(Ok(sent)) => {
                line["status"] = json!(sent.status);
                line["bids"] = json!(sent.bids);
                line["nbr"] = json!(sent.no_bid_reason);
                line["elapsed_ms"] = json!(sent.elapsed.as_secs_f64() * 1e3);
            }
            Some(Err(error)) => line["error"] = json!(error),
            None => {}
        }
        if let Some(differs) = self.differs() {
            line["differs"] = json!(differs);
        }
        line
    }
}

#[derive(Default)]
struct Tally {
    lines: usize,
    refused: usize,
    bid: usize,
    differ: usize,
}

impl Tally {
    fn of<'l>(lines: impl IntoIterator<Item = &'l Line>) -> Tally {
        lines.into_iter().fold(Tally::default(), |mut tally, line| {
            tally.lines += 1;
            tally.refused += usize::from(line.refusal.is_some());
            tally.bid += usize::from(matches!(&line.answer, Some(Ok(sent)) if sent.bids > 0));
            tally.differ += usize::from(line.differs().is_some());
            tally
        })
    }

    fn row(&self, asked: bool) -> String {
        let Tally {
            lines,
            refused,
            bid,
            differ,
        } = self;
        let mut row = format!("{lines:>6} {:>9} {refused:>8}", lines - refused);
        if asked {
            row += &format!(" {bid:>7} {:>7} {differ:>7}", lines - refused - bid);
        }
        row
    }
}

fn as_json(files: &[(&Path, Vec<Line>)]) -> String {
    let mut out = String::new();
    for (path, lines) in files {
        for line in lines {
            writeln!(out, "{}", line.to_json(path)).expect("a string");
        }
    }
    let all = Tally::of(files.iter().flat_map(|(_, lines)| lines));
    let summary = json!({
        "lines": all.lines, "accepted": all.lines - all.refused, "refused": all.refused, "with_bids": all.bid,
        "differ": all.differ,
    });
    out + &summary.to_string()
}

fn as_text(files: &[(&Path, Vec<Line>)]) -> String {
    let asked = files
        .iter()
        .flat_map(|(_, lines)| lines)
        .any(|line| line.answer.is_some());
    let width = files
        .iter()
        .map(|(path, _)| path.display().to_string().len())
        .max()
        .unwrap_or(0)
        .max(4);
    let mut out = format!("{:<width$}  lines  accepted  refused", "file");
    if asked {
        out += "     bid  no bid  differ";
    }
    for (path, lines) in files {
        write!(
            out,
            "\n{:<width$} {}",
            path.display(),
            Tally::of(lines).row(asked)
        )
        .expect("a string");
    }
    let all = Tally::of(files.iter().flat_map(|(_, lines)| lines));
    write!(out, "\n{:<width$} {}", "all", all.row(asked)).expect("a string");
    list(files, &mut out, "refused, and why:", |line| line.refusal.clone());
    list(files, &mut out, "answered otherwise:", Line::differs);
    out
}

fn list(files: &[(&Path, Vec<Line>)], out: &mut String, title: &str, of: impl Fn(&Line) -> Option<String>) {
    let mut titled = false;
    for (path, lines) in files {
        for line in lines {
            let Some(text) = of(line) else { continue };
            if !titled {
                write!(out, "\n\n{title}").expect("a string");
                titled = true;
            }
            write!(out, "\n  {}:{}  {text}", path.display(), line.number).expect("a string");
        }
    }
}
