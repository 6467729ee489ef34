//! Which line items, with which creative and deal, may answer which imp.
//!
//! Matches come best prior first, so the first ones that pass are the ones worth scoring, and the search stops there.

use super::price::FIXED_PRICE;
use super::scratch::{Candidate, Floor};
use super::snapshot::Ready;
use super::{Audience, ExchangeTerms, Live, Scratch, Snapshot, Turn};
use crate::caps::CapRule;
use crate::creative::{Fit, Misfit};
use crate::openrtb::request::{Deal, DurFloor, FloorCurrency, Imp, Request, Span, Spot};
use crate::openrtb::{category, domain};
use crate::store::campaigns::definition::{Approval, WithoutId};
use crate::store::campaigns::{Creative, LineItem};
use crate::telemetry::Reason;
use crate::units::{Cpm, Timestamp};

/// Matches looked at per imp. They come best first: whoever stands behind a thousand better ones is not bid for.
const MATCHES_MAX: usize = 1024;

/// What is asked of every line item, gathered.
struct Gate<'g, 'r> {
    request: &'g Request<'r>,
    exchange: &'g ExchangeTerms,
    snapshot: &'g Snapshot,
    live: &'g Live,
    audience: &'g Audience<'g>,
    now: Timestamp,
    seed: u64,
}

/// Fills `scratch.candidates`, in the order of imps.
pub(super) fn gather(
    request: &Request,
    exchange: &ExchangeTerms,
    snapshot: &Snapshot,
    live: &Live,
    audience: &Audience,
    scratch: &mut Scratch,
    turn: &Turn,
) {
    let gate = Gate {
        request,
        exchange,
        snapshot,
        live,
        audience,
        now: turn.now,
        seed: turn.seed,
    };
    let imps = request.imps.len().min(exchange.settings.imps_max);
    scratch.matched_by_imp.resize(imps, 0);
    for (index, imp) in request.imps.iter().take(imps).enumerate() {
        // What earlier imps left over is shared by the rest.
        let share = (turn.candidates_max - scratch.candidates.len()).div_ceil(imps - index);
        gate.gather_imp(index as u16, imp, share, scratch);
    }
}

impl<'g, 'r> Gate<'g, 'r> {
    fn gather_imp(&self, index: u16, imp: &'g Imp<'r>, share: usize, scratch: &mut Scratch) {
        let opportunity = self
            .audience
            .opportunity(self.request, imp, self.exchange, self.snapshot);
        let profile = self.audience.profile.as_ref();
        let matched = self.snapshot.campaigns.match_into(
            &opportunity,
            profile,
            self.now,
            MATCHES_MAX,
            &mut scratch.matcher,
        );
        scratch.matched += matched.len();
        scratch.matched_by_imp[usize::from(index)] = matched.len() as u32;
        let full = scratch.candidates.len() + share;
        for &line_item in matched {
            if scratch.candidates.len() == full {
                scratch
                    .funnel
                    .out(self.snapshot, index, line_item, Reason::NotScored);
                continue;
            }
            match self.admit(index, imp, line_item) {
                Ok(candidate) => scratch.candidates.push(candidate),
                Err(reason) => scratch.funnel.out(self.snapshot, index, line_item, reason),
            }
        }
    }

    fn admit(&self, index: u16, imp: &Imp<'r>, position: u32) -> Result<Candidate, Reason> {
        let item = &self.snapshot.campaigns.line_items()[position as usize];
        let ready = &self.snapshot.ready[position as usize];
        self.check_user(item, ready)?;
        if !ready.has_free(item.prior, self.now) {
            return Err(Reason::BudgetSpent);
        }
        let deal = self.find_deal(imp, item)?;
        let (creative, fit) = self.choose_creative(imp, item, ready)?;
        let floor = self.floor(imp, deal, &fit)?;
        Ok(Candidate {
            imp: index,
            line_item: position,
            creative,
            fit,
            deal,
            floor,
            score: None,
            value: Cpm::ZERO,
            price: None,
            fell_out: None,
        })
    }

    fn check_user(&self, item: &LineItem, ready: &Ready) -> Result<(), Reason> {
        match item.definition.without_id {
            WithoutId::NoBid if self.audience.key.is_none() => Err(Reason::NoUserId),
            _ => self.check_caps(&ready.caps),
        }
    }

    fn check_caps(&self, rules: &[CapRule]) -> Result<(), Reason> {
        let Some(user) = self.audience.key else {
            return Ok(());
        };
        self.live
            .caps
            .allows(user, rules, self.now)
            .map_err(|_| Reason::FrequencyCap)
    }

    /// The deal that a line item bids through, if it targets deals. A private auction takes nothing else.
    fn find_deal(&self, imp: &Imp<'r>, item: &LineItem) -> Result<Option<u16>, Reason> {
        let wanted = &item.definition.targeting.deal.include;
        if wanted.is_empty() {
            return if imp.private_auction {
                Err(Reason::PrivateAuction)
            } else {
                Ok(None)
            };
        }
        // A fixed price that is not told cannot be bid exactly.
        let priced = |deal: &Deal| deal.at != Some(FIXED_PRICE) || deal.floor > Cpm::ZERO;
        let usable = |deal: &Deal| {
            let named = wanted.iter().any(|id| id.eq_ignore_ascii_case(deal.id));
            named && priced(deal) && self.deal_is_ours(deal, item)
        };
        let found = self
            .request
            .deals(imp)
            .iter()
            .position(usable)
            .ok_or(Reason::Deal)?;
        Ok(Some(found as u16))
    }

    fn deal_is_ours(&self, deal: &Deal, item: &LineItem) -> bool {
        let seats = self.request.strs(deal.wseat);
        let domains = self.request.strs(deal.wadomain);
        let advertiser = &self.snapshot.campaigns.advertisers()[item.advertiser]
            .definition
            .domain;
        (seats.is_empty() || seats.iter().any(|seat| *seat == self.exchange.settings.seat))
            && (domains.is_empty() || domains.iter().any(|allowed| domain::covers(allowed, advertiser)))
    }

    /// The floor in the order of section 7.11, with rates: the deal's by duration, by second or plain
    /// (the highest that applies); where it has none, or without a deal, the spot's by duration or by second; else the imp's.
    fn floor(&self, imp: &Imp<'r>, deal: Option<u16>, fit: &Fit) -> Result<Floor, Reason> {
        let deal = deal.map(|deal| &self.request.deals(imp)[usize::from(deal)]);
        let of_deal = deal.and_then(|deal| {
            let by_time = self.floor_by_time(deal.min_cpm_per_sec, deal.dur_floors, fit);
            Some((by_time.unwrap_or_default().max(deal.floor), deal.floor_cur))
                .filter(|(floor, _)| *floor > Cpm::ZERO)
        });
        let of_spot = || {
            let spot = spot_of(imp, fit)?;
            Some((
                self.floor_by_time(spot.min_cpm_per_sec, spot.dur_floors, fit)?,
                imp.floor_cur,
            ))
        };
        let (floor, currency) = of_deal.or_else(of_spot).unwrap_or((imp.floor, imp.floor_cur));
        if floor == Cpm::ZERO {
            return Ok(Floor::NONE);
        }
        let FloorCurrency::Known(currency) = currency else {
            return Err(Reason::Currency);
        };
        let rate = self
            .snapshot
            .rates
            .get(currency, self.now)
            .ok_or(Reason::Currency)?;
        Ok(Floor {
            accounting: rate.to_accounting_up(floor),
            asked: floor,
            currency,
        })
    }

    /// `durfloors` (section 3.2.35) and `mincpmpersec`, for the duration of the ad; `None` where neither speaks of it.
    fn floor_by_time(&self, per_second: Option<Cpm>, ranges: Span, fit: &Fit) -> Option<Cpm> {
        let duration_s = fit.duration_s()?;
        let covers =
            |range: &&DurFloor| range.min_s <= duration_s && range.max_s.is_none_or(|max| duration_s <= max);
        let by_range = self
            .request
            .dur_floors(ranges)
            .iter()
            .find(covers)
            .map(|range| range.floor);
        let by_second =
            per_second.map(|price| Cpm(price.0.saturating_mul(duration_s.into()).min(Cpm::MAX.0)));
        by_range.max(by_second)
    }

    /// The first creative that fits, from a place that the seed chooses, so that all that fit are shown equally often.
    fn choose_creative(&self, imp: &Imp<'r>, item: &LineItem, ready: &Ready) -> Result<(u16, Fit), Reason> {
        let count = item.creatives.len();
        let start = (self.seed ^ item.id.0) as usize % count.max(1);
        let (mut why, mut capped) = (Reason::Format, false);
        for turn in 0..count {
            let position = (start + turn) % count;
            match self.check_creative(imp, item.creatives[position]) {
                Ok(fit) if self.check_caps(&ready.creative_caps[position]).is_ok() => {
                    return Ok((position as u16, fit));
                }
                Ok(_) => capped = true,
                Err(reason) if reason as usize > why as usize => why = reason,
                Err(_) => {}
            }
        }
        // The caps of a creative are asked last: one that only they keep back has come furthest.
        Err(if capped { Reason::FrequencyCap } else { why })
    }

    fn check_creative(&self, imp: &Imp<'r>, position: u32) -> Result<Fit, Reason> {
        let creative = &self.snapshot.campaigns.creatives()[position as usize];
        let fit = self.snapshot.templates[position as usize]
            .fits(imp, self.request)
            .map_err(reason_of)?;
        if imp.secure == Some(true) && !self.snapshot.secure_urls {
            return Err(Reason::NotSecure);
        }
        self.check_blocks(imp, creative, &fit)?;
        self.check_language(creative)?;
        if self.approval(creative) != Approval::Approved {
            return Err(Reason::NotApproved);
        }
        if !creative.definition.valid.contains(self.now) {
            return Err(Reason::CreativeDates);
        }
        Ok(fit)
    }

    fn check_blocks(&self, imp: &Imp<'r>, creative: &Creative, fit: &Fit) -> Result<(), Reason> {
        let request = self.request;
        let attributes = match fit {
            Fit::Banner(_) => imp.banner.map(|banner| banner.battr),
            Fit::Video(_) | Fit::Audio(_) => spot_of(imp, fit).map(|spot| spot.battr),
            Fit::Native(_) => imp.native.map(|native| native.battr),
        };
        let blocked = attributes.map(|list| request.ints(list)).unwrap_or_default();
        let own = creative
            .definition
            .attributes
            .iter()
            .copied()
            .chain(fit.extra_attribute());
        if own.into_iter().any(|attribute| blocked.contains(&attribute)) {
            return Err(Reason::BlockedAttribute);
        }
        let advertisers = request.strs(request.badv);
        if creative
            .domains
            .iter()
            .any(|own| advertisers.iter().any(|bad| domain::covers(bad, own)))
        {
            return Err(Reason::BlockedAdvertiser);
        }
        let apps = request.strs(request.bapp);
        if creative
            .definition
            .bundle
            .as_ref()
            .is_some_and(|own| apps.iter().any(|bad| bad.eq_ignore_ascii_case(own)))
        {
            return Err(Reason::BlockedApp);
        }
        self.check_categories(creative)
    }

    /// `acat` and `bcat` speak of one taxonomy. A creative in another one cannot be shown to be allowed,
    /// and is not known to be blocked.
    fn check_categories(&self, creative: &Creative) -> Result<(), Reason> {
        let request = self.request;
        let (allowed, blocked) = (request.strs(request.acat), request.strs(request.bcat));
        let comparable = creative.definition.cattax == request.cattax;
        let own = &creative.definition.categories;
        let within = |list: &[&str], one: &String| list.iter().any(|parent| category::covers(parent, one));
        let refused = !allowed.is_empty() && (!comparable || !own.iter().all(|one| within(allowed, one)));
        if refused || (comparable && own.iter().any(|one| within(blocked, one))) {
            return Err(Reason::BlockedCategory);
        }
        Ok(())
    }

    /// `wlang` and `wlangb` hold the languages that a creative may be in; one without words fits them all.
    fn check_language(&self, creative: &Creative) -> Result<(), Reason> {
        let request = self.request;
        let mut wanted = request
            .strs(request.wlang)
            .iter()
            .chain(request.strs(request.wlangb))
            .peekable();
        let own = &creative.definition.languages;
        if wanted.peek().is_none() || own.is_empty() || own.iter().any(|language| language == "xx") {
            return Ok(());
        }
        let fits = wanted.any(|tag| {
            let primary = tag.split(['-', '_']).next().unwrap_or_default();
            own.iter().any(|language| language.eq_ignore_ascii_case(primary))
        });
        if fits { Ok(()) } else { Err(Reason::Language) }
    }

    fn approval(&self, creative: &Creative) -> Approval {
        let settings = &self.exchange.settings;
        let own = creative
            .definition
            .approvals
            .iter()
            .find(|(exchange, _)| *exchange == settings.name);
        own.map_or(settings.default_approval, |(_, approval)| *approval)
    }
}

/// What the imp says of the format that a linear ad answers.
fn spot_of<'r>(imp: &Imp<'r>, fit: &Fit) -> Option<Spot<'r>> {
    match fit {
        Fit::Video(_) => imp.video.map(|video| video.spot),
        Fit::Audio(_) => imp.audio.map(|audio| audio.spot),
        Fit::Banner(_) | Fit::Native(_) => None,
    }
}

fn reason_of(misfit: Misfit) -> Reason {
    match misfit {
        Misfit::Format => Reason::Format,
        Misfit::NotSecure => Reason::NotSecure,
        Misfit::Size => Reason::Size,
        Misfit::BannerType => Reason::BlockedType,
        Misfit::Mime => Reason::Mime,
        Misfit::Api => Reason::Api,
        Misfit::Duration => Reason::Duration,
        Misfit::Protocol => Reason::Protocol,
        Misfit::Linearity | Misfit::Bitrate | Misfit::Delivery => Reason::Playback,
        Misfit::NativeAsset => Reason::NativeAsset,
    }
}
