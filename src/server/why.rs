//! `GET /why/{token}`: for the person who saw an ad, who paid for it, why they saw it, and how to stop that.
//!
//! Invariant: the token and the configuration of today are all that is asked; the user's key is never shown.

use super::opt_out;
use super::page::{self, escape};
use super::parameters::{self, Parameter, Purpose};
use super::worker::{Reply, Worker, not_allowed};
use crate::engine::Snapshot;
use crate::events::token::Token;
use crate::openrtb::privacy::Signal;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use std::fmt::Write;

/// `text` is what stands behind `/why/`.
pub fn answer<B>(worker: &Worker, text: &str, request: &Request<B>) -> Reply {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return not_allowed("GET, HEAD");
    }
    let as_json = page::wants_json(request.headers());
    let Ok(token) = worker.common.sealer.open(text) else {
        return opt_out::no_such_link(as_json);
    };
    let snapshot = worker.common.snapshot.load();
    let opted_out = token
        .user
        .is_some_and(|user| worker.common.live.opt_outs.contains(user));
    let why = Why::of(&token, &snapshot, opted_out);
    if as_json {
        return page::json(StatusCode::OK, &why.to_json());
    }
    page::html(StatusCode::OK, "Why you saw this ad", &why.to_html(text))
}

/// What can be told.
struct Why<'s> {
    /// Name and domain; `None` = no longer in the configuration.
    advertiser: Option<(&'s str, &'s str)>,
    exchange: Option<&'s str>,
    /// When we offered it.
    offered: String,
    /// `None` = the line item is no longer in the configuration.
    parameters: Option<Vec<Parameter>>,
    identified: bool,
    profile_used: bool,
    purposes: Vec<Purpose>,
    /// `None` = not known.
    decided_by: Option<Signal>,
    opted_out: bool,
}

impl<'s> Why<'s> {
    fn of(token: &Token, snapshot: &'s Snapshot, opted_out: bool) -> Why<'s> {
        let campaigns = &snapshot.campaigns;
        let item = campaigns.line_item(token.line_item).map(|item| &item.definition);
        let advertiser = campaigns.advertisers().iter().find(|a| a.id == token.advertiser);
        let at = jiff::Timestamp::from_millisecond(token.bid_time.0).unwrap_or_default();
        Why {
            advertiser: advertiser.map(|a| (a.definition.name.as_str(), a.definition.domain.as_str())),
            exchange: snapshot
                .exchange_by_id(token.exchange)
                .map(|exchange| exchange.settings.name.as_str()),
            offered: at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
            parameters: item.map(|item| parameters::parameters(item, token.profile_used)),
            identified: token.user.is_some(),
            profile_used: token.profile_used,
            purposes: token.consent.map_or_else(Vec::new, |consent| {
                parameters::purposes(consent, token.profile_used, item)
            }),
            decided_by: token.consent.map(|consent| consent.decided_by),
            opted_out,
        }
    }

    fn to_json(&self) -> Value {
        let parameters = self.parameters.as_ref().map(|list| {
            let entry = |p: &Parameter| json!({"parameter": p.what, "values": p.values});
            list.iter().map(entry).collect::<Vec<_>>()
        });
        let purposes: Vec<_> = self
            .purposes
            .iter()
            .map(|purpose| match purpose.id {
                0 => json!({"special_feature": 1, "name": purpose.name}),
                id => json!({"purpose": id, "name": purpose.name}),
            })
            .collect();
        let advertiser = self
            .advertiser
            .map(|(name, domain)| json!({"name": name, "domain": domain}));
        json!({
            "advertiser": advertiser,
            "paid_by": self.advertiser.map(|(name, _)| name),
            "exchange": self.exchange,
            "offered": self.offered,
            "main_parameters": parameters,
            "id_used": self.identified,
            "profile_used": self.profile_used,
            "purposes": purposes,
            "decided_by": self.decided_by.map(Signal::as_str),
            "opt_out": {"possible": self.identified, "done": self.opted_out, "post": opt_out::PATH},
        })
    }

    fn to_html(&self, token: &str) -> String {
        let mut out = String::new();
        self.write_who(&mut out);
        self.write_parameters(&mut out);
        self.write_data(&mut out);
        self.write_choice(token, &mut out);
        out
    }

    fn write_who(&self, out: &mut String) {
        let (name, domain) = self.advertiser.unwrap_or(("no longer known here", ""));
        let mut row = |what: &str, value: &str| {
            if !value.is_empty() {
                put(out, &format!("<dt>{what}</dt><dd>{}</dd>", escape(value)));
            }
        };
        row("Advertiser", name);
        row("Website", domain);
        row("Paid for by", name);
        row("Sold through", self.exchange.unwrap_or("no longer known here"));
        row("Chosen on", &self.offered);
        *out = format!("<dl>{out}</dl>");
    }

    fn write_parameters(&self, out: &mut String) {
        put(out, "<h2>What it was chosen by</h2>");
        let Some(list) = &self.parameters else {
            put(
                out,
                "<p>The campaign has ended and its settings are no longer kept here.</p>",
            );
            return;
        };
        put(out, "<ul>");
        for Parameter { what, values } in list {
            let values = values.as_ref().map(|values| format!(": {}", escape(values)));
            put(
                out,
                &format!("<li>{}{}</li>", escape(what), values.unwrap_or_default()),
            );
        }
        put(out, "</ul>");
    }

    fn write_data(&self, out: &mut String) {
        put(out, "<h2>What was used about you</h2><p>");
        put(
            out,
            match (self.identified, self.profile_used) {
                (_, true) => "An id of yours was used, and a profile that is stored under it.",
                (true, false) => {
                    "An id of yours was used, to limit how often you see an ad. No stored profile was used."
                }
                (false, false) => "No id and no profile of yours was used.",
            },
        );
        put(out, "</p><p>");
        put(
            out,
            self.decided_by.map_or(
                "Which signal set the limits is not known.",
                parameters::decided_by,
            ),
        );
        put(out, "</p>");
        if self.purposes.is_empty() {
            return;
        }
        put(out, "<p>Data could be used for:</p><ul>");
        for purpose in &self.purposes {
            let id = match purpose.id {
                0 => "special feature 1".to_owned(),
                id => format!("purpose {id}"),
            };
            put(out, &format!("<li>{} ({id})</li>", escape(purpose.name)));
        }
        put(out, "</ul>");
        if self.decided_by == Some(Signal::Gdpr) {
            put(
                out,
                "<p>Each on your consent or, for purposes 2, 7, 9 and 10, on a legitimate interest that you did not object to.</p>",
            );
        }
    }

    fn write_choice(&self, token: &str, out: &mut String) {
        put(out, "<h2>Your choice</h2>");
        if self.opted_out {
            put(
                out,
                "<p>You have opted out. No id or profile of yours is used any more.</p>",
            );
        } else if self.identified {
            put(out, opt_out::EXPLANATION);
            put(out, &opt_out::form("../v1/opt-out", token));
        } else {
            put(
                out,
                "<p>There is nothing to stop: we cannot tell who saw this ad.</p>",
            );
        }
    }
}

fn put(out: &mut String, text: &str) {
    out.write_str(text).expect("a string takes every write");
}
