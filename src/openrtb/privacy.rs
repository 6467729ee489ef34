//! Consent: one value, decided from the request before any user is looked up.
//!
//! The most restrictive of all signals wins, and a signal that is there but cannot be read restricts. This bidder has
//! no decoder for TC strings or GPP sections, so no string can prove consent: where the GDPR applies or a GPP section
//! is in force, personal data is off.

use super::request::{Regs, Request};

/// What may be done with the user's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consent {
    /// User ids, the profile, user-level caps and the like may be used, logged and learnt from.
    pub personal_data: bool,
    /// COPPA: on top of that, only creatives that suit children, and a truncated IP address.
    pub child_directed: bool,
    /// The first signal, in the order of [`Signal`], that switched personal data off.
    pub decided_by: Signal,
}

/// What decided, the furthest-reaching first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// `regs.coppa`.
    Coppa,
    /// `regs.gdpr`, or a TC string beside an unknown `regs.gdpr`: nobody sends one where it does not apply.
    Gdpr,
    /// `regs.us_privacy` says opted out of sale, or is no such string.
    UsPrivacy,
    /// `regs.gpp_sid` has sections in force, or there is a GPP string without saying which are.
    Gpp,
    /// `device.lmt`.
    Lmt,
    /// `device.dnt`.
    Dnt,
    /// Nothing restricts.
    Nothing,
}

impl Signal {
    /// For logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Coppa => "coppa",
            Signal::Gdpr => "gdpr",
            Signal::UsPrivacy => "us_privacy",
            Signal::Gpp => "gpp",
            Signal::Lmt => "lmt",
            Signal::Dnt => "dnt",
            Signal::Nothing => "nothing",
        }
    }
}

impl Consent {
    pub fn decide(request: &Request<'_>) -> Consent {
        let decided_by = restriction(request);
        Consent {
            personal_data: decided_by == Signal::Nothing,
            child_directed: request.regs.coppa,
            decided_by,
        }
    }
}

/// Where a user id comes from. Its namespace in the user key is `buyeruid`, the eid's source, `ifa`, or
/// `exchange:NAME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserIdSource<'a> {
    BuyerUid,
    Eid(&'a str),
    Ifa,
    Exchange,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserId<'a> {
    pub source: UserIdSource<'a>,
    pub id: &'a str,
}

/// The user's ids, the one to prefer first: `buyeruid`, `eids` in the order of `eid_sources` (those not listed are
/// not used; an empty list takes all, in the request's order), `ifa`, the exchange's own id. None without consent.
pub fn user_ids<'r, 'a>(
    request: &'r Request<'a>,
    consent: Consent,
    eid_sources: &'r [String],
) -> impl Iterator<Item = UserId<'a>> + 'r {
    let own = |source, id: Option<&'a str>| id.map(|id| UserId { source, id });
    let listed = eid_sources.iter().flat_map(|source| {
        request
            .eids()
            .iter()
            .filter(|eid| eid.source.eq_ignore_ascii_case(source))
    });
    let all = request.eids().iter().filter(|_| eid_sources.is_empty());
    let eids = listed.chain(all).map(|eid| UserId {
        source: UserIdSource::Eid(eid.source),
        id: eid.id,
    });
    own(UserIdSource::BuyerUid, request.user.buyer_uid)
        .into_iter()
        .chain(eids)
        .chain(own(UserIdSource::Ifa, request.device.ifa))
        .chain(own(UserIdSource::Exchange, request.user.id))
        .take(if consent.personal_data { usize::MAX } else { 0 })
}

/// A US privacy string (USP API 1.0: version 1, notice, opt-out of sale, LSPA; each `Y`, `N` or `-`) that opts out.
/// A string of another form counts as opted out, as nobody can say what it means.
pub fn opts_out_of_sale(us_privacy: &str) -> bool {
    match us_privacy.as_bytes() {
        [b'1', choices @ ..] if choices.len() == 3 && choices.iter().all(|c| b"YN-yn".contains(c)) => {
            choices[1].eq_ignore_ascii_case(&b'Y')
        }
        _ => true,
    }
}

fn restriction(request: &Request<'_>) -> Signal {
    let (regs, device) = (&request.regs, &request.device);
    if regs.coppa {
        Signal::Coppa
    } else if regs.gdpr.unwrap_or(request.user.consent.is_some()) {
        Signal::Gdpr
    } else if regs.us_privacy.is_some_and(opts_out_of_sale) {
        Signal::UsPrivacy
    } else if gpp_in_force(regs) {
        Signal::Gpp
    } else if device.lmt {
        Signal::Lmt
    } else if device.dnt {
        Signal::Dnt
    } else {
        Signal::Nothing
    }
}

/// Only the sections in `gpp_sid` act; without it nobody says that none of them does.
fn gpp_in_force(regs: &Regs<'_>) -> bool {
    !regs.gpp_sid.0.is_empty() || (regs.gpp.is_some() && !regs.gpp_not_applicable)
}
