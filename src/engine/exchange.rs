//! What one exchange may ask of us: seat, currency, and how to call its users.

use super::audience::showing_time;
use super::{QpsWindow, Snapshot, Terms};
use crate::creative::Fit;
use crate::openrtb::request::{ChannelKind, Imp, Request};
use crate::pacing::{ExchangeHolds, ExchangeTraffic};
use crate::store::campaigns::Advertiser;
use crate::store::exchange::Exchange;
use crate::telemetry::Reason;
use crate::units::{Currency, Timestamp};
use std::sync::Arc;

/// An exchange with what is worked out once per snapshot.
#[derive(Debug)]
pub struct ExchangeTerms {
    pub settings: Exchange,
    /// The namespace of its own user ids: `exchange:NAME`.
    pub user_namespace: String,
    pub qps: Arc<QpsWindow>,
    pub holds: Arc<ExchangeHolds>,
    pub requests: Arc<ExchangeTraffic>,
    /// Base of the URLs that go out with bids, without a slash at its end.
    pub public_url: String,
    /// Our own URLs are https.
    pub secure_urls: bool,
    /// Without repetition, the exchange's general one first.
    pub seats: Vec<String>,
    /// Into `seats`, by advertiser.
    seat_of: Vec<usize>,
}

impl ExchangeTerms {
    /// `public_url` is the server's, for exchanges without one of their own.
    pub fn new(
        settings: Exchange,
        qps: Arc<QpsWindow>,
        holds: Arc<ExchangeHolds>,
        requests: Arc<ExchangeTraffic>,
        public_url: &str,
        advertisers: &[Advertiser],
    ) -> ExchangeTerms {
        let user_namespace = format!("exchange:{}", settings.name);
        let public_url = settings
            .public_url
            .clone()
            .unwrap_or_else(|| public_url.to_owned());
        let mut seats = vec![settings.seat.clone()];
        let seat_of = |advertiser: &Advertiser| {
            let id = &advertiser.definition.id;
            let own = settings.seats.iter().find(|(owner, _)| owner == id);
            let seat = own.map_or(&settings.seat, |(_, seat)| seat);
            let known = seats.iter().position(|known| known == seat);
            known.unwrap_or_else(|| {
                seats.push(seat.clone());
                seats.len() - 1
            })
        };
        ExchangeTerms {
            seat_of: advertisers.iter().map(seat_of).collect(),
            seats,
            secure_urls: public_url.starts_with("https://"),
            public_url,
            user_namespace,
            qps,
            holds,
            requests,
            settings,
        }
    }

    /// Seconds to hold money for a bid of this `bid.mtype` while no win is known.
    pub(super) fn win_hold_s(&self, format: u8) -> u32 {
        let learnt = self
            .settings
            .learn_win_hold
            .then(|| self.holds.hold_s(format))
            .flatten();
        learnt.unwrap_or(self.settings.win_hold_s)
    }

    /// The seat that bids for an advertiser, as a position in `seats`.
    pub fn seat_of(&self, advertiser: usize) -> usize {
        self.seat_of[advertiser]
    }

    /// Whether we may answer this request at all, and in which currency.
    pub(super) fn accept(
        &self,
        request: &Request,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Terms, Reason> {
        if !self.seats.iter().any(|seat| is_allowed(request, seat)) {
            return Err(Reason::Seat);
        }
        self.currency(request, snapshot, now).ok_or(Reason::Currency)
    }

    /// Seconds that a bid is good for (`exp`, section 7.2): what the imp says, at most what is agreed for such an ad, but
    /// never less than until a screen is estimated to show it (section 7.9.2.3).
    pub(super) fn expiry_s(&self, request: &Request, imp: &Imp, fit: &Fit, now: Timestamp) -> u32 {
        let agreed_s = self.agreed_expiry_s(request, imp, fit);
        let asked_s = imp.exp_s.filter(|&exp| exp > 0).unwrap_or(agreed_s);
        let until_shown_ms = showing_time(imp, now).map_or(0, |at| at.since(now) as u64);
        let until_shown_s = until_shown_ms.div_ceil(1000) as u32;
        asked_s.max(until_shown_s).min(agreed_s)
    }

    fn agreed_expiry_s(&self, request: &Request, imp: &Imp, fit: &Fit) -> u32 {
        let settings = &self.settings;
        if request.channel.kind == ChannelKind::Dooh {
            return settings.exp_dooh_s;
        }
        let of_format = match fit {
            Fit::Banner(_) => settings.exp_banner_s,
            Fit::Video(_) => settings.exp_video_s,
            Fit::Audio(_) => settings.exp_audio_s,
            Fit::Native(_) => settings.exp_native_s,
        };
        if imp.instl {
            of_format.max(settings.exp_interstitial_s)
        } else {
            of_format
        }
    }

    /// Whether the seat of an advertiser may answer; asked only where there are several.
    pub(super) fn allows_seat_of(&self, advertiser: usize, request: &Request) -> bool {
        self.seats.len() == 1 || is_allowed(request, &self.seats[self.seat_of[advertiser]])
    }

    /// Our own currency where the request takes it, else the first one that it takes and that has a fresh rate.
    fn currency(&self, request: &Request, snapshot: &Snapshot, now: Timestamp) -> Option<Terms> {
        let accepted = request.strs(request.cur);
        let own = self.settings.currency;
        let takes_own = accepted.is_empty() || accepted.iter().any(|code| Currency::parse(code) == Some(own));
        let others = accepted.iter().filter_map(|code| Currency::parse(code));
        takes_own
            .then_some(own)
            .into_iter()
            .chain(others)
            .find_map(|currency| {
                Some(Terms {
                    currency,
                    rate: snapshot.rates.get(currency, now)?,
                })
            })
    }
}

/// `wseat` and `bseat` (section 3.2.1).
fn is_allowed(request: &Request, seat: &str) -> bool {
    let (allowed, blocked) = (request.strs(request.wseat), request.strs(request.bseat));
    let ours = |known: &&str| *known == seat;
    (allowed.is_empty() || allowed.iter().any(ours)) && !blocked.iter().any(ours)
}
