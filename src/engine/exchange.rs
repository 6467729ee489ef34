//! What one exchange may ask of us: seat, currency, and how to call its users.

use super::audience::showing_time;
use super::{QpsWindow, Snapshot, Terms};
use crate::creative::Fit;
use crate::openrtb::request::{ChannelKind, Imp, Request};
use crate::pacing::ExchangeHolds;
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
}

impl ExchangeTerms {
    pub fn new(settings: Exchange, qps: Arc<QpsWindow>, holds: Arc<ExchangeHolds>) -> ExchangeTerms {
        let user_namespace = format!("exchange:{}", settings.name);
        ExchangeTerms {
            settings,
            user_namespace,
            qps,
            holds,
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

    /// Whether we may answer this request at all, and in which currency.
    pub(super) fn accept(
        &self,
        request: &Request,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Terms, Reason> {
        if !self.seat_is_allowed(request) {
            return Err(Reason::Seat);
        }
        if request.device.crawler {
            return Err(Reason::Crawler);
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

    fn seat_is_allowed(&self, request: &Request) -> bool {
        let ours = |seat: &&str| *seat == self.settings.seat;
        let (allowed, blocked) = (request.strs(request.wseat), request.strs(request.bseat));
        (allowed.is_empty() || allowed.iter().any(ours)) && !blocked.iter().any(ours)
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
