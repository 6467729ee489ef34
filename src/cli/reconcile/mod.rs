//! `outbid reconcile`: one day of one exchange by our books, beside what the exchange says.

mod report;

use super::{ConfigFolder, demo, say};
use anyhow::Context;
use clap::{Args, ValueEnum};
use outbid::config::Loaded;
use outbid::reconcile::{
    By, Comparison, Day, Decimal, Invoice, InvoiceOptions, Key, Names, Options, Ours, Question, Statement,
    compare,
};
use outbid::store::rates::Rate;
use outbid::units::{Currency, ObjectId};
use report::Report;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a comparison that cannot be made ends with, as clap's own refusals do.
const CANNOT_COMPARE: u8 = 2;
/// Single differences that are told at most: the largest ones.
const WORST_MAX: u64 = 100_000;

#[derive(Args)]
pub struct ReconcileArguments {
    #[command(flatten)]
    folder: ConfigFolder,
    /// The exchange, as its file in config/exchanges/ is called.
    #[arg(long, value_name = "NAME")]
    exchange: String,
    /// YYYY-MM-DD, in the zone of --zone.
    #[arg(long, value_name = "DATE")]
    day: String,
    /// What the exchange charges: CSV with a header.
    #[arg(long, value_name = "CSV")]
    invoice: Option<PathBuf>,
    /// The time zone of the day: an IANA name. Take the one that the exchange counts its days in.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: String,
    /// What makes a bid belong to the day: when it was bid, or when its bill came.
    #[arg(long, value_enum, default_value = "bid")]
    by: ByWhen,
    /// Columns of the invoice by role, where their names do not say it: bid=Impression ID,price=Paid. Roles: bid, price (per
    /// thousand), amount, impressions, deal, seat, campaign, creative, hour, day, currency.
    #[arg(long, value_name = "ROLE=NAME,…", requires = "invoice")]
    columns: Option<String>,
    /// How the invoice writes fractions.
    #[arg(long, value_enum, default_value = "point")]
    decimal: Mark,
    /// The currency of the invoice, where it does not say so and our bids do not either.
    #[arg(long, value_name = "CODE", value_parser = currency, requires = "invoice")]
    currency: Option<Currency>,
    /// Units of the accounting currency for one unit of the invoice's: for an invoice in a third currency.
    #[arg(long, value_name = "UNITS", value_parser = rate, requires = "invoice")]
    rate: Option<Rate>,
    /// How far the two may be apart, in percent of the larger total.
    #[arg(long, value_name = "PERCENT", default_value = "0.5", value_parser = percent)]
    tolerance: f64,
    /// By what the day is split; may be repeated. By default campaign; a summary is always split as it is itself.
    #[arg(long = "split", value_name = "KEY", value_enum)]
    splits: Vec<Split>,
    /// How many bids that differ are told one by one, the largest difference first.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=WORST_MAX))]
    worst: u64,
    /// Folders of books, instead of books/ in the data folder: of several nodes, name each one's.
    #[arg(long = "books", value_name = "DIR")]
    books: Vec<PathBuf>,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum ByWhen {
    Bid,
    Bill,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mark {
    Point,
    Comma,
}

#[derive(Clone, Copy, ValueEnum)]
enum Split {
    LineItem,
    Campaign,
    Deal,
    Seat,
    Creative,
    Hour,
}

fn currency(text: &str) -> Result<Currency, String> {
    Currency::parse(text).ok_or_else(|| "write a code of three letters, such as EUR".into())
}

fn rate(text: &str) -> Result<Rate, String> {
    let rate = text.parse().ok().and_then(Rate::from_units);
    rate.ok_or_else(|| "write a number from 0.000001 to 1000000".into())
}

fn percent(text: &str) -> Result<f64, String> {
    let value = text.trim_end_matches('%').parse().ok();
    let value = value.filter(|percent| (0.0..=100.0).contains(percent));
    value
        .map(|percent: f64| percent / 100.0)
        .ok_or_else(|| "write a number from 0 to 100".into())
}

/// Exit codes: 0 the two agree, or there is no invoice; 1 they differ by more than the tolerance; 2 they cannot be compared.
pub fn run(arguments: &ReconcileArguments) -> anyhow::Result<ExitCode> {
    match arguments.report() {
        Ok(report) => {
            let text = if arguments.json {
                format!("{:#}", report.to_json())
            } else {
                report.to_string()
            };
            say(&text)?;
            let agrees = report
                .comparison
                .as_ref()
                .is_none_or(|comparison| comparison.agrees);
            Ok(if agrees {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Err(error) => {
            eprintln!("outbid: {error:#}");
            Ok(ExitCode::from(CANNOT_COMPARE))
        }
    }
}

impl ReconcileArguments {
    fn report(&self) -> anyhow::Result<Report> {
        let day = Day::parse(&self.day, &self.zone)?;
        let config = self.folder.load()?;
        let known = config
            .exchanges
            .iter()
            .find(|exchange| exchange.name == self.exchange);
        // Before hours of reading: whether the invoice can be read at all.
        let mut invoice = match &self.invoice {
            Some(path) => Some(self.open(path, &day)?),
            None => None,
        };
        let ours = self.read_books(&config, day)?;
        if known.is_none() && ours.bids().next().is_none() {
            let names: Vec<_> = config
                .exchanges
                .iter()
                .map(|exchange| exchange.name.as_str())
                .collect();
            anyhow::bail!(
                "there is no exchange `{}`, neither in the configuration nor in the books of that day; there are {}",
                self.exchange,
                names.join(", ")
            );
        }
        let names = names(&config, &self.exchange);
        let options = Options {
            accounting: config.rates.accounting,
            currency: self.currency,
            exchange_currency: known.map_or(config.rates.accounting, |exchange| exchange.currency),
            rate: self.rate,
            tolerance: self.tolerance,
            worst: self.worst as usize,
            split: self.keys(),
        };
        let comparison = match &mut invoice {
            Some(invoice) => Some(self.compare(&ours, invoice, &names, &options)?),
            None => None,
        };
        Ok(Report {
            exchange: self.exchange.clone(),
            accounting: options.accounting,
            tolerance: self.tolerance,
            statement: Statement::of(&ours),
            parts: options
                .split
                .iter()
                .map(|&key| (key, Statement::split(&ours, key, &names)))
                .collect(),
            comparison,
            invoice,
            ours,
        })
    }

    fn open(&self, path: &Path, day: &Day) -> anyhow::Result<Invoice> {
        let options = InvoiceOptions {
            columns: self.columns.clone(),
            decimal: match self.decimal {
                Mark::Point => Decimal::Point,
                Mark::Comma => Decimal::Comma,
            },
        };
        Ok(Invoice::open(path, day, options)?)
    }

    fn read_books(&self, config: &Loaded, day: Day) -> anyhow::Result<Ours> {
        let mut folders = self.books.clone();
        if folders.is_empty() {
            folders.push(config.settings.data.join("books"));
        }
        let mut ours = Ours::new(Question {
            exchange: ObjectId::of(&self.exchange),
            day,
            by: match self.by {
                ByWhen::Bid => By::Bid,
                ByWhen::Bill => By::Bill,
            },
        });
        for folder in &folders {
            let bar = demo::bar(0, "books");
            ours.read(folder, &mut |done, of| {
                bar.set_length(of);
                bar.set_position(done);
            })
            .context("our books")?;
            bar.finish_and_clear();
        }
        Ok(ours)
    }

    fn compare(
        &self,
        ours: &Ours,
        invoice: &mut Invoice,
        names: &Names,
        options: &Options,
    ) -> anyhow::Result<Comparison> {
        let bar = demo::bar(0, "invoice");
        let compared = compare(ours, invoice, names, options, &mut |done, of| {
            bar.set_length(of);
            bar.set_position(done);
        })?;
        bar.finish_and_clear();
        Ok(compared)
    }

    fn keys(&self) -> Vec<Key> {
        let mut keys = Vec::new();
        for split in &self.splits {
            let key = match split {
                Split::LineItem => Key::LineItem,
                Split::Campaign => Key::Campaign,
                Split::Deal => Key::Deal,
                Split::Seat => Key::Seat,
                Split::Creative => Key::Creative,
                Split::Hour => Key::Hour,
            };
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        if keys.is_empty() {
            keys.push(Key::Campaign);
        }
        keys
    }
}

/// What the configuration calls the things of the books, and our seats at the exchange.
fn names(config: &Loaded, exchange: &str) -> Names {
    let definitions = &config.definitions;
    let items = || {
        definitions
            .campaigns
            .iter()
            .flat_map(|campaign| &campaign.line_items)
    };
    let campaigns = definitions.campaigns.iter().map(|campaign| &campaign.id);
    let creatives = definitions.creatives.iter().map(|creative| &creative.id);
    let deals = items().flat_map(|item| &item.targeting.deal.include);
    let ids = campaigns
        .chain(creatives)
        .chain(deals)
        .chain(items().map(|item| &item.id));
    let known = config.exchanges.iter().find(|known| known.name == exchange);
    let seats = known.map_or(&[][..], |exchange| &exchange.seats);
    Names {
        objects: ids.map(|id| (ObjectId::of(id), id.clone())).collect(),
        seat: known.map(|exchange| exchange.seat.clone()).unwrap_or_default(),
        seats: seats
            .iter()
            .map(|(advertiser, seat)| (ObjectId::of(advertiser), seat.clone()))
            .collect(),
    }
}
