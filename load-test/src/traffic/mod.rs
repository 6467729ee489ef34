//! What is sent: request bytes that are made before the clock starts.
//!
//! Invariant: sending a request copies its bytes and writes its id; nothing is parsed or made up on the way.

mod enrich;
mod file;
mod json;
mod template;

pub use enrich::{Enrichment, Shares, Users};
pub use file::read_lines;
pub use template::Template;

use crate::auction::Offer;
use crate::target::Target;
use serde_json::Value;
use world::{Mix, World};

/// Requests that are repeated in a loop, under ids of their own.
pub struct Traffic {
    templates: Vec<Template>,
    /// Beside the templates where the exchange is played.
    offers: Vec<Offer>,
    arrivals_us: Vec<u64>,
    run: u32,
}

/// How requests are wrapped.
pub struct Wrapping<'a> {
    pub target: &'a Target,
    /// `Name: value`, beside the headers that every request has.
    pub headers: &'a [String],
    /// Where a request has no `tmax`.
    pub default_tmax_ms: u64,
    /// Stands in front of all ids of a run.
    pub run: u32,
    /// Whether answers will be auctioned, for which offers must be kept.
    pub auction: bool,
}

impl Traffic {
    /// Requests that were recorded, one JSON object a line; `place` names the file in errors.
    ///
    /// # Errors
    /// At the first line that is no JSON object.
    pub fn replay(
        lines: &[String],
        place: &str,
        enrichment: Option<&Enrichment>,
        world: &World,
        wrapping: &Wrapping,
    ) -> Result<Traffic, String> {
        let mut traffic = Traffic::empty(wrapping);
        for (at, line) in lines.iter().enumerate() {
            let mut request: Value = serde_json::from_str(line)
                .map_err(|error| format!("{place}:{}: not a JSON request: {error}", at + 1))?;
            if !request.is_object() {
                return Err(format!("{place}:{}: a request is a JSON object", at + 1));
            }
            match enrichment {
                Some(enrichment) => {
                    enrichment.apply(&mut request, at as u64);
                    traffic.push(&request.to_string(), &request, wrapping);
                }
                None => traffic.push(line, &request, wrapping),
            }
            if wrapping.auction {
                traffic.offers.push(Offer::read(&request, world));
            }
        }
        if traffic.templates.is_empty() {
            return Err(format!(
                "{place}: no request in it; one JSON object a line is wanted"
            ));
        }
        Ok(traffic)
    }

    /// Requests `0..count` of the world.
    pub fn of_world(
        world: &World,
        count: u64,
        time_ms: i64,
        enrichment: Option<&Enrichment>,
        wrapping: &Wrapping,
    ) -> Traffic {
        let mut traffic = Traffic::empty(wrapping);
        let mut text = String::new();
        for number in 0..count.max(1) {
            text.clear();
            let truth = world.request(number, time_ms, &mut text);
            let mut request: Value = serde_json::from_str(&text).expect("the world writes JSON");
            if let Some(enrichment) = enrichment {
                enrichment.apply(&mut request, number);
                text = request.to_string();
            }
            traffic.push(&text, &request, wrapping);
            if wrapping.auction {
                traffic
                    .offers
                    .push(Offer::read(&request, world).with_truth(&truth));
            }
        }
        traffic
    }

    /// Different requests, before they are repeated.
    pub fn len(&self) -> usize {
        self.templates.len()
    }

    /// Never: a traffic without requests is not made.
    pub fn is_empty(&self) -> bool {
        self.templates.is_empty()
    }

    /// `ext.arrival_us` of the requests that have it.
    pub fn arrivals_us(&self) -> &[u64] {
        &self.arrivals_us
    }

    /// Appends request `number`, ready for the wire.
    pub fn write(&self, number: u64, out: &mut Vec<u8>) {
        self.template(number).write(self.run, number, out);
    }

    /// The id under which request `number` went out, where it has one.
    pub fn id(&self, number: u64) -> Option<String> {
        self.template(number).id(self.run, number)
    }

    pub fn tmax_ns(&self, number: u64) -> u64 {
        self.template(number).tmax_ns
    }

    /// What request `number` offers; only where an auction is played.
    pub fn offer(&self, number: u64) -> &Offer {
        &self.offers[(number % self.offers.len() as u64) as usize]
    }

    fn empty(wrapping: &Wrapping) -> Traffic {
        Traffic {
            templates: Vec::new(),
            offers: Vec::new(),
            arrivals_us: Vec::new(),
            run: wrapping.run,
        }
    }

    fn push(&mut self, text: &str, request: &Value, wrapping: &Wrapping) {
        let tmax_ms = request["tmax"].as_f64().filter(|tmax| *tmax > 0.0);
        let tmax_ns = tmax_ms.map_or(wrapping.default_tmax_ms * 1_000_000, |tmax| (tmax * 1e6) as u64);
        self.templates
            .push(Template::new(text, wrapping.target, wrapping.headers, tmax_ns));
        self.arrivals_us.extend(request["ext"]["arrival_us"].as_u64());
    }

    fn template(&self, number: u64) -> &Template {
        &self.templates[(number % self.templates.len() as u64) as usize]
    }
}

/// The mix of the world's traffic under the shares that were asked for.
pub fn mix(shares: &Shares) -> Mix {
    let usual = Mix::default();
    Mix {
        known: shares.known.unwrap_or(usual.known),
        floor: shares.floor.unwrap_or(usual.floor),
        secure: shares.secure.unwrap_or(Shares::SECURE),
        deal: shares.deal.unwrap_or(usual.deal),
        ..usual
    }
}
