//! The stage that cases play on: the bidder at the other end, the requests it bids on, and the ways to try a rule.
//!
//! Invariant: every way to try a rule also tries its positive twin, the same request with the rule lifted. A twin
//! without a bid fails the case, and a twin whose bid would not have broken the rule leaves it not tested.

use super::Settings;
use super::answer::{Answer, Bid};
use super::case::{Flaw, Verdict, fails, not_tested};
use super::client::{Call, Client};
use super::edit::set;
use super::probe;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};

/// Bidders pace and explore: one silence is not yet a refusal.
const TWIN_TRIES: usize = 6;
/// Bidders choose among their ads, at random too: it may take a while until the one comes that a case is about.
const CHOICE_TRIES: usize = 24;
/// A rule that is broken only now and then is broken.
const RULED_TRIES: usize = 6;
/// A bidder that leaves so many requests unanswered, one after the other, is not there any more: no case asks it again,
/// so that a run against a dead address ends.
const UNANSWERED_MAX: u32 = 5;
/// Of a request or an answer in a report.
const SHOWN_BYTES_MAX: usize = 16 << 10;

/// What a request asks an ad for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Banner,
    /// A banner in an app.
    App,
    Video,
    Audio,
    Native,
    /// A request with a deal that the bidder knows.
    Deal,
}

/// A request that was bid on, and the bid.
#[derive(Clone, Debug)]
pub struct Base {
    pub format: Format,
    pub request: Value,
    pub bid: Bid,
    pub answer: Answer,
}

/// A request and its answer, as a report shows them.
#[derive(Clone, Debug, Default)]
pub struct Exchanged {
    pub request: String,
    pub answer: String,
}

pub struct Stage<'s> {
    pub settings: &'s Settings,
    pub client: Client,
    bases: Vec<Base>,
    serial: Cell<u64>,
    /// Bid requests without an answer, one after the other.
    unanswered: Cell<u32>,
    /// Why the last of them had none.
    silence: RefCell<String>,
    last: RefCell<Exchanged>,
}

impl Format {
    pub const ALL: [Format; 6] = [
        Format::Banner,
        Format::App,
        Format::Video,
        Format::Audio,
        Format::Native,
        Format::Deal,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Format::Banner => "banner",
            Format::App => "in-app banner",
            Format::Video => "video",
            Format::Audio => "audio",
            Format::Native => "native",
            Format::Deal => "deal",
        }
    }
}

impl<'s> Stage<'s> {
    /// Looks for requests that are bid on, which takes up to a few hundred requests.
    pub fn open(settings: &'s Settings) -> Stage<'s> {
        let mut stage = Stage {
            settings,
            client: Client::new(settings.timeout),
            bases: Vec::new(),
            serial: Cell::new(0),
            unanswered: Cell::new(0),
            silence: RefCell::default(),
            last: RefCell::default(),
        };
        stage.bases = probe::find(&stage);
        stage
    }

    pub fn bases(&self) -> &[Base] {
        &self.bases
    }

    /// The first request of a format that was bid on.
    pub fn base(&self, format: Format) -> Result<&Base, Flaw> {
        self.sample(format, "", |_| true)
    }

    /// A request of any format that was bid on.
    pub fn any(&self) -> Result<&Base, Flaw> {
        self.bases
            .first()
            .map_or_else(|| not_tested("no bid was found for any format"), Ok)
    }

    /// The first request of a format whose bid has a property; `having` names it.
    pub fn sample(&self, format: Format, having: &str, has: impl Fn(&Bid) -> bool) -> Result<&Base, Flaw> {
        let found = self
            .bases
            .iter()
            .find(|base| base.format == format && has(&base.bid));
        found.map_or_else(
            || not_tested(format!("no {} bid was found {having}", format.name()).trim_end()),
            Ok,
        )
    }

    /// The first request of any format whose bid has a property; `having` names it.
    pub fn any_sample(&self, having: &str, has: impl Fn(&Bid) -> bool) -> Result<&Base, Flaw> {
        let found = self.bases.iter().find(|base| has(&base.bid));
        found.map_or_else(|| not_tested(format!("no bid was found {having}")), Ok)
    }

    /// The same request from another user under another id: no cap and no duplicate stands in its way.
    pub fn fresh(&self, request: &Value) -> Value {
        let serial = self.serial.get() + 1;
        self.serial.set(serial);
        let run = self.settings.run;
        let mut request = request.clone();
        set(&mut request, "id", json!(format!("certify-{run}-{serial}")));
        set(
            &mut request,
            "user.id",
            json!(format!("certify-user-{run}-{serial}")),
        );
        set(
            &mut request,
            "user.buyeruid",
            json!(format!("certify-buyer-{run}-{serial}")),
        );
        if request["device"]["ifa"].is_string() {
            let ifa = format!("{:08x}-0000-4000-8000-{serial:012x}", run & 0xffff_ffff);
            set(&mut request, "device.ifa", json!(ifa));
        }
        if self.settings.test {
            set(&mut request, "test", json!(1));
        }
        request
    }

    pub fn call(&self, body: Vec<u8>) -> Call {
        self.bare_call(body)
            .with("Content-Type", "application/json")
            .with("x-openrtb-version", "2.6")
    }

    /// A POST with no headers but those of the settings.
    pub fn bare_call(&self, body: Vec<u8>) -> Call {
        let call = Call::post(&self.settings.url.target, body);
        self.settings
            .headers
            .iter()
            .fold(call, |call, (name, value)| call.with(name, value))
    }

    /// Sends and reads; what went over the wire is remembered for the report.
    pub fn try_send(&self, call: &Call) -> io::Result<Answer> {
        if let Some(why) = self.fell_silent() {
            return Err(io::Error::new(ErrorKind::NotConnected, why));
        }
        let answer = self.try_send_to(&self.settings.url.authority, call);
        self.unanswered.set(match &answer {
            Ok(_) => 0,
            Err(error) => {
                *self.silence.borrow_mut() = error.to_string();
                self.unanswered.get() + 1
            }
        });
        answer
    }

    /// Why the bidder is not asked any more.
    pub fn fell_silent(&self) -> Option<String> {
        let silent = self.unanswered.get() >= UNANSWERED_MAX;
        silent.then(|| format!("{UNANSWERED_MAX} requests in a row: {}", self.silence.borrow()))
    }

    pub fn try_send_to(&self, authority: &str, call: &Call) -> io::Result<Answer> {
        let answer = self.client.ask(authority, call).map(Answer::read);
        self.remember(call, &answer);
        answer
    }

    /// As [`try_send`](Stage::try_send); silence and 5xx are failures whatever was sent.
    pub fn send(&self, call: &Call) -> Result<Answer, Flaw> {
        if self.fell_silent().is_some() {
            return not_tested("the bidder had fallen silent");
        }
        match self.try_send(call) {
            Err(error) => fails(format!("the bidder did not answer: {error}")),
            Ok(answer) if answer.status() >= 500 => {
                fails(format!("{}: no input may lead to a 5xx", answer.status()))
            }
            Ok(answer) => Ok(answer),
        }
    }

    /// A valid request: the answer is a 200 with a response, or a 204.
    pub fn ask(&self, request: &Value) -> Result<Answer, Flaw> {
        self.ask_by(&self.call(request.to_string().into_bytes()))
    }

    /// A valid request in any wrapping.
    pub fn ask_by(&self, call: &Call) -> Result<Answer, Flaw> {
        let answer = self.send(call)?;
        match (answer.status(), &answer.json) {
            (204, _) => Ok(answer),
            (200, Some(json)) if json.is_object() => Ok(answer),
            (200, _) => fails("200 without a JSON object: a bid response is one, no bid is 204"),
            (status, _) => fails(format!(
                "{status} to a valid request: a bid is 200, no bid is 204"
            )),
        }
    }

    /// A bid made now, on the request of a base.
    pub fn fresh_bid(&self, base: &Base) -> Result<(Value, Bid), Flaw> {
        for _ in 0..TWIN_TRIES {
            let request = self.fresh(&base.request);
            if let Some(bid) = self.ask(&request)?.bids().into_iter().next() {
                return Ok((request, bid));
            }
        }
        fails(format!(
            "the request without the rule ({}) gets no bid any more",
            base.format.name()
        ))
    }

    /// The rule does not keep an eligible bid away: the edited request is still bid on.
    pub fn still_bids(&self, base: &Base, edit: impl Fn(&mut Value)) -> Result<Answer, Flaw> {
        self.still_bids_by(base, edit, |request| self.call(request.to_string().into_bytes()))
    }

    /// As [`still_bids`](Stage::still_bids), wrapped for the wire by `wrap`.
    pub fn still_bids_by(
        &self,
        base: &Base,
        edit: impl Fn(&mut Value),
        wrap: impl Fn(&Value) -> Call,
    ) -> Result<Answer, Flaw> {
        for _ in 0..TWIN_TRIES {
            let mut request = self.fresh(&base.request);
            edit(&mut request);
            let answer = self.ask_by(&wrap(&request))?;
            if !answer.bids().is_empty() {
                return Ok(answer);
            }
        }
        let silent = self.last();
        self.fresh_bid(base)?;
        *self.last.borrow_mut() = silent;
        fails("no bid, although the same request without this is bid on: it is no reason not to bid")
    }

    /// A bid with a property on the edited request; `having` names it. Bidders choose, so it may take some requests.
    pub fn choice(
        &self,
        base: &Base,
        edit: impl Fn(&mut Value),
        having: &str,
        has: impl Fn(&Bid) -> bool,
    ) -> Result<Bid, Flaw> {
        for _ in 0..CHOICE_TRIES {
            let bids = self.still_bids(base, &edit)?.bids();
            if let Some(bid) = bids.into_iter().find(&has) {
                return Ok(bid);
            }
        }
        not_tested(format!("no bid came {having}"))
    }

    /// The rule forbids some bids: none of them comes back, though one does when the rule is lifted.
    pub fn never(
        &self,
        base: &Base,
        edit: impl Fn(&mut Value),
        wrong: &str,
        offends: impl Fn(&Bid) -> bool,
    ) -> Verdict {
        self.never_unlike(base, |_| (), edit, wrong, offends)
    }

    /// As [`never`](Stage::never), with a twin that is not the base itself.
    pub fn never_unlike(
        &self,
        base: &Base,
        lift: impl Fn(&mut Value),
        edit: impl Fn(&mut Value),
        wrong: &str,
        offends: impl Fn(&Bid) -> bool,
    ) -> Verdict {
        self.provoke(base, lift, &offends)?;
        for _ in 0..RULED_TRIES {
            let mut request = self.fresh(&base.request);
            edit(&mut request);
            if let Some(bid) = self.ask(&request)?.bids().into_iter().find(&offends) {
                let creative = bid.text("crid");
                return fails(format!("{wrong} (creative `{creative}` at {})", bid.price()));
            }
        }
        Ok(())
    }

    /// The rule forbids every bid.
    pub fn no_bid(&self, base: &Base, edit: impl Fn(&mut Value)) -> Verdict {
        self.never(base, edit, "a bid where there may be none", |_| true)
    }

    /// Not a valid request: refused with one of `expected`, while the same request in good order is bid on.
    pub fn answers(&self, base: &Base, expected: &[u16], make: impl Fn(&Value) -> Call) -> Verdict {
        self.fresh_bid(base)?;
        let answer = self.send(&make(&self.fresh(&base.request)))?;
        let status = answer.status();
        let refused = expected.contains(&400) && answer.refuses();
        if !expected.contains(&status) && !refused {
            return fails(format!("answered {status}; right would be one of {expected:?}"));
        }
        Ok(())
    }

    /// Judges every bid that was found while looking for requests; `why` it is not tested if none is judged.
    pub fn every_bid(&self, why: &str, judge: impl Fn(&Base) -> Option<Verdict>) -> Verdict {
        let mut judged = false;
        for base in &self.bases {
            if let Some(verdict) = judge(base) {
                judged = true;
                if verdict.is_err() {
                    self.remember_base(base);
                    return verdict;
                }
            }
        }
        if judged { Ok(()) } else { not_tested(why) }
    }

    /// What was sent and answered last.
    pub fn last(&self) -> Exchanged {
        self.last.borrow().clone()
    }

    /// Some bid of the lifted request must be one that the rule forbids; else its absence proves nothing.
    fn provoke(&self, base: &Base, lift: impl Fn(&mut Value), offends: &impl Fn(&Bid) -> bool) -> Verdict {
        let mut bids = 0;
        for tried in 0..CHOICE_TRIES {
            let mut request = self.fresh(&base.request);
            lift(&mut request);
            let found = self.ask(&request)?.bids();
            if found.iter().any(offends) {
                return Ok(());
            }
            bids += found.len();
            if bids == 0 && tried + 1 >= TWIN_TRIES {
                return fails("the positive twin, the same request without the rule, gets no bid");
            }
        }
        not_tested("with the rule lifted the bids were none that it forbids")
    }

    fn remember(&self, call: &Call, answer: &io::Result<Answer>) {
        *self.last.borrow_mut() = Exchanged {
            request: show_call(call),
            answer: match answer {
                Ok(answer) => show_answer(answer),
                Err(error) => error.to_string(),
            },
        };
    }

    fn remember_base(&self, base: &Base) {
        *self.last.borrow_mut() = Exchanged {
            request: show_call(&self.call(base.request.to_string().into_bytes())),
            answer: show_answer(&base.answer),
        };
    }
}

fn show_call(call: &Call) -> String {
    let headers: Vec<String> = call
        .headers
        .iter()
        // Reports are passed on; who the exchange is is nobody's business.
        .filter(|(name, _)| !name.eq_ignore_ascii_case("authorization"))
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    format!(
        "{} {}\n{}\n{}",
        call.method,
        call.target,
        headers.concat(),
        show(&call.body)
    )
}

fn show_answer(answer: &Answer) -> String {
    format!("{} {}", answer.status(), show(&answer.body))
}

fn show(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES_MAX)]).into_owned();
    if bytes.len() > SHOWN_BYTES_MAX {
        format!("{text}… ({} bytes)", bytes.len())
    } else {
        text
    }
}
