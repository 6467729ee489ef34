//! What one exchange may ask of us: seat, currency, and how to call its users.

use super::{QpsWindow, Snapshot, Terms};
use crate::openrtb::request::Request;
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
}

impl ExchangeTerms {
    pub fn new(settings: Exchange, qps: Arc<QpsWindow>) -> ExchangeTerms {
        let user_namespace = format!("exchange:{}", settings.name);
        ExchangeTerms {
            settings,
            user_namespace,
            qps,
        }
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
