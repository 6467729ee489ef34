//! Bodies as they are, sent one after the other: for recorded requests and for bodies that are none.
//!
//! Invariant: what is sent is what was given, to the byte, under the headers of an exchange.

use super::Settings;
use super::answer::Answer;
use super::client::{Call, Client};
use std::io;
use std::time::Duration;

pub struct Sender<'s> {
    settings: &'s Settings,
    client: Client,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Sent {
    pub status: u16,
    pub bids: usize,
    /// `nbr`, where a no-bid says why.
    pub no_bid_reason: Option<i64>,
    pub elapsed: Duration,
    answer: Answer,
}

impl<'s> Sender<'s> {
    pub fn new(settings: &'s Settings) -> Sender<'s> {
        Sender {
            settings,
            client: Client::new(settings.timeout),
        }
    }

    /// Sends as JSON unless `headers` say otherwise; those of the settings are added.
    ///
    /// # Errors
    /// There was no answer within the time, or none that is HTTP.
    pub fn send(&self, body: Vec<u8>, headers: &[(String, String)]) -> io::Result<Sent> {
        let mut call = Call::post(&self.settings.url.target, body);
        let named = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        for (name, value) in [("Content-Type", "application/json"), ("x-openrtb-version", "2.6")] {
            if !named(name) {
                call = call.with(name, value);
            }
        }
        for (name, value) in self.settings.headers.iter().chain(headers) {
            call = call.with(name, value);
        }
        let reply = self.client.ask(&self.settings.url.authority, &call)?;
        let elapsed = reply.elapsed;
        let answer = Answer::read(reply);
        Ok(Sent {
            status: answer.status(),
            bids: answer.bids().len(),
            no_bid_reason: answer.no_bid_reason(),
            elapsed,
            answer,
        })
    }
}

impl Sent {
    /// Whether the request was called invalid: 400, or 200 with reason 2.
    pub fn refuses(&self) -> bool {
        self.answer.refuses()
    }

    /// 204, or 200 with a JSON object.
    pub fn is_bid_response(&self) -> bool {
        let object = self
            .answer
            .json
            .as_ref()
            .is_some_and(serde_json::Value::is_object);
        self.status == 204 || (self.status == 200 && object)
    }
}
