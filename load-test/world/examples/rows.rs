//! Prints the demo population and labelled impressions as JSON lines: what a model is trained on.
//!
//! ```text
//! cargo run --release -p world --example rows -- --users 100000 --population population.ndjson
//! cargo run --release -p world --example rows -- --ads ads.ndjson --rows 200000 --keep-no-clicks 0.1 --output rows.ndjson
//! ```

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use world::{AdChoice, Format, Mix, POPULATION, Random, Row, Stream, World};

/// One line of the ads file.
#[derive(serde::Deserialize)]
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

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1))?;
    let seed = options.number("seed", 1)?;
    let users = options.number("users", POPULATION)?;
    let world = World::with(seed, users, Mix::default());
    if let Some(path) = options.get("population") {
        // 2026-10-01.
        write_population(&world, options.number("day", 20_727)?, path)?;
    }
    if let (Some(ads), Some(output)) = (options.get("ads"), options.get("output")) {
        write_rows(&world, &options, ads, output)?;
    }
    Ok(())
}

fn write_population(world: &World, day: i32, path: &str) -> Result<(), Box<dyn Error>> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut line = String::new();
    for index in 0..world.population() {
        line.clear();
        world.profile_json(index, day, &mut line);
        line.push('\n');
        file.write_all(line.as_bytes())?;
    }
    Ok(file.flush()?)
}

fn write_rows(world: &World, options: &Options, ads: &str, output: &str) -> Result<(), Box<dyn Error>> {
    let (names, choices) = read_ads(ads)?;
    let rows: usize = options.number("rows", 20_000)?;
    let share: f64 = options.number("keep-no-clicks", 1.0)?;
    // 2026-10-01T00:00:00Z.
    let start_ms = options.number("start-ms", 1_790_812_800_000)?;
    let days = options.number("days", 14)?;
    let mut thinning = Random::new(world.seed(), Stream::Row, u64::MAX);
    let mut file = BufWriter::new(File::create(output)?);
    let kept = world
        .rows(&choices, start_ms, days)
        .filter(|row| row.click || thinning.chance(share));
    for row in kept.take(rows) {
        let ad = &names[row.ad];
        let weight = if row.click { 1.0 } else { 1.0 / share };
        write_row(&mut file, &row, ad, weight)?;
    }
    Ok(file.flush()?)
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

fn read_ads(path: &str) -> Result<(Vec<AdLine>, Vec<AdChoice>), Box<dyn Error>> {
    let mut names = Vec::new();
    let mut choices = Vec::new();
    for (number, line) in BufReader::new(File::open(path)?).lines().enumerate() {
        let place = || format!("{path}:{}", number + 1);
        let ad: AdLine = serde_json::from_str(&line?).map_err(|error| format!("{}: {error}", place()))?;
        let format = Format::parse(&ad.format).ok_or_else(|| {
            format!(
                "{}: format `{}`: one of banner, video, native",
                place(),
                ad.format
            )
        })?;
        let (domain, categories) = (ad.domain.clone(), ad.cat.clone());
        choices.push(AdChoice {
            domain,
            categories,
            w: ad.w,
            h: ad.h,
            format,
        });
        names.push(ad);
    }
    Ok((names, choices))
}

/// `--name value` pairs.
struct Options(HashMap<String, String>);

impl Options {
    const NAMES: [&str; 10] = [
        "seed",
        "users",
        "population",
        "day",
        "ads",
        "rows",
        "output",
        "keep-no-clicks",
        "start-ms",
        "days",
    ];

    fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = HashMap::new();
        while let Some(arg) = args.next() {
            let name = arg.strip_prefix("--").filter(|name| Self::NAMES.contains(name));
            let name = name.ok_or_else(|| format!("`{arg}`: one of --{}", Self::NAMES.join(" --")))?;
            let value = args.next().ok_or_else(|| format!("--{name} needs a value"))?;
            options.insert(name.to_string(), value);
        }
        Ok(Options(options))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn number<T: std::str::FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        text.parse()
            .map_err(|_| format!("--{name}: `{text}` is not a number"))
    }
}
