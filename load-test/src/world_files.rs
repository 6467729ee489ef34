//! Writes the world to files: its people, and labelled impressions. Invariant: the same options give the same bytes.

use crate::options::{PopulationOptions, RowsOptions};
use crate::run::{Error, Verdict};
use crate::traffic::read_lines;
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use world::{AdChoice, Format, Mix, Random, Row, Stream, World};

/// One line of the ads file.
#[derive(Deserialize)]
struct AdLine {
    line_item: String,
    creative: String,
    domain: String,
    cat: Vec<String>,
    #[serde(default)]
    w: u32,
    #[serde(default)]
    h: u32,
    format: String,
}

/// # Errors
/// When the file cannot be written.
pub fn write_population(options: &PopulationOptions) -> Result<Verdict, Error> {
    let world = World::with(options.seed, options.users, Mix::default());
    let bar = progress(options.users, "users");
    let mut line = String::new();
    write_file(&options.output, |file| {
        for index in 0..world.population() {
            line.clear();
            world.profile_json(index, options.day, &mut line);
            line.push('\n');
            file.write_all(line.as_bytes())?;
            bar.inc(1);
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    Ok(Verdict::Clean)
}

/// # Errors
/// When the ads cannot be read, when none of them fits the world's traffic, or when the file cannot be written.
pub fn write_rows(options: &RowsOptions) -> Result<Verdict, Error> {
    let (lines, choices) = read_ads(&options.ads)?;
    let world = World::with(options.seed, options.users, Mix::default());
    let share = options.keep_no_clicks;
    let mut thinning = Random::new(options.seed, Stream::Row, u64::MAX);
    let rows = world.rows(&choices, options.start_ms, options.days);
    let kept = rows
        .filter(|row| row.click || thinning.chance(share))
        .take(options.rows);
    let bar = progress(options.rows as u64, "rows");
    let mut written = 0;
    write_file(&options.output, |file| {
        for row in kept {
            let weight = if row.click { 1.0 } else { 1.0 / share };
            write_row(file, &row, &lines[row.ad], weight)?;
            written += 1;
            bar.inc(1);
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    if written < options.rows {
        let place = options.ads.display();
        return Err(Error::Usage(format!(
            "{place}: no ad fits the sizes and formats of the world; give banners such as 300x250, video or native"
        )));
    }
    Ok(Verdict::Clean)
}

fn write_row(file: &mut impl Write, row: &Row, ad: &AdLine, weight: f64) -> std::io::Result<()> {
    let (line_item, creative) = (
        serde_json::to_string(&ad.line_item)?,
        serde_json::to_string(&ad.creative)?,
    );
    writeln!(
        file,
        "{{\"time_ms\":{},\"exchange\":\"demo\",\"imp\":{},\"line_item\":{line_item},\"creative\":{creative},\"click\":{},\"conversion\":{},\"weight\":{weight},\"law_click\":{:.6},\"law_conversion\":{:.6},\"request\":{}}}",
        row.truth.time_ms,
        row.imp,
        u8::from(row.click),
        u8::from(row.conversion),
        row.click_probability,
        row.conversion_given_click,
        row.request
    )
}

/// Audio ads are left out: the world has no audio traffic.
fn read_ads(path: &Path) -> Result<(Vec<AdLine>, Vec<AdChoice>), Error> {
    let mut lines = Vec::new();
    let mut choices = Vec::new();
    for (at, text) in read_lines(path).map_err(Error::Usage)?.iter().enumerate() {
        let place = |error: String| Error::Usage(format!("{}:{}: {error}", path.display(), at + 1));
        let line: AdLine = serde_json::from_str(text).map_err(|error| place(error.to_string()))?;
        if line.format == "audio" {
            continue;
        }
        let format = Format::parse(&line.format).ok_or_else(|| {
            place(format!(
                "format {:?}: banner, video, audio or native",
                line.format
            ))
        })?;
        let (domain, categories) = (line.domain.clone(), line.cat.clone());
        choices.push(AdChoice {
            domain,
            categories,
            w: line.w,
            h: line.h,
            format,
        });
        lines.push(line);
    }
    if lines.is_empty() {
        return Err(Error::Usage(format!(
            "{}: no ad in it; one JSON object a line is wanted",
            path.display()
        )));
    }
    Ok((lines, choices))
}

fn write_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let place = || format!("{}: cannot be written", path.display());
    let mut file = BufWriter::with_capacity(1 << 18, File::create(path).with_context(place)?);
    write(&mut file).and_then(|()| file.flush()).with_context(place)
}

/// On standard error, where that is a terminal.
fn progress(count: u64, unit: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} {msg} {eta}");
    ProgressBar::new(count)
        .with_style(style.expect("the template is valid"))
        .with_message(unit.to_string())
}
