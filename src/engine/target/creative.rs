//! Which creative of a line item answers an imp: what it is, what the request blocks, what the exchange approved, and
//! whether it can meet the floor.

use super::{Gate, Ways};
use crate::approvals::Place;
use crate::creative::{Fit, Misfit};
use crate::engine::pod;
use crate::engine::price::{self, Reach};
use crate::engine::snapshot::Ready;
use crate::openrtb::request::{Deal, Imp};
use crate::openrtb::{category, domain};
use crate::store::campaigns::definition::Approval;
use crate::store::campaigns::{Creative, LineItem};
use crate::telemetry::Reason;
use crate::units::Cpm;

/// How far a creative is from bidding in every way that its line item has; the least is the best.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Shortfall {
    /// Ways in which it cannot bid.
    missed: usize,
    /// The floors of the others together, where the value is not known yet.
    asked: Cpm,
}

impl<'r> Gate<'_, 'r> {
    /// The first creative that fits, from a place that the seed chooses, so that all that fit are shown equally often.
    ///
    /// Where the floor depends on the ad (section 7.11: by duration, by second, by format), one that is below it gives way to
    /// one that is not. What a click or a conversion is worth here is known only after the model has scored the ad: there
    /// the lowest floor goes first, so that none of the others could have bid where that one cannot.
    pub(super) fn choose_creative(
        &self,
        imp: &Imp<'r>,
        item: &LineItem,
        ready: &Ready,
        ways: &Ways,
    ) -> Result<(u16, Fit), Reason> {
        let count = item.creatives.len();
        let start = (self.seed ^ item.id.0) as usize % count.max(1);
        let uneven = count > 1 && self.floors().depend_on_the_ad(imp);
        let reach = uneven.then(|| self.reach(imp, item, ready)).flatten();
        let mut best: Option<(Shortfall, u16, Fit)> = None;
        let (mut why, mut capped, mut barred) = (Reason::Format, None, false);
        for turn in 0..count {
            let position = (start + turn) % count;
            match self.check_for(imp, item, position, ways) {
                Ok(fit) => {
                    if let Err(reason) = self.check_creative_caps(ready, position) {
                        capped = Some(reason);
                        continue;
                    }
                    let shortfall = if uneven {
                        self.shortfall(imp, item, item.creatives[position], &fit, ways, reach)
                    } else {
                        Shortfall::default()
                    };
                    if shortfall == Shortfall::default() {
                        return Ok((position as u16, fit));
                    }
                    if best.is_none_or(|(least, ..)| shortfall < least) {
                        best = Some((shortfall, position as u16, fit));
                    }
                }
                Err(Reason::Deal) => barred = true,
                Err(reason) if reason as usize > why as usize => why = reason,
                Err(_) => {}
            }
        }
        if let Some((_, position, fit)) = best {
            return Ok((position, fit));
        }
        // Caps are asked last, deals before them: a creative that only they keep back has come furthest.
        Err(match (capped, barred) {
            (Some(reason), _) => reason,
            (None, true) => Reason::Deal,
            (None, false) => why,
        })
    }

    /// What can be bid, where no prediction takes part in that.
    fn reach(&self, imp: &Imp<'r>, item: &LineItem, ready: &Ready) -> Option<Reach> {
        let opportunity = self
            .audience
            .opportunity(self.request, imp, self.exchange, self.snapshot);
        let profile = self.audience.profile.as_ref();
        Reach::of(item, ready, &opportunity, profile, self.now)
    }

    fn shortfall(
        &self,
        imp: &Imp<'r>,
        item: &LineItem,
        creative: u32,
        fit: &Fit,
        ways: &Ways,
        reach: Option<Reach>,
    ) -> Shortfall {
        let domains = &self.snapshot.campaigns.creatives()[creative as usize].domains;
        let mut shortfall = Shortfall::default();
        for way in ways.iter() {
            let deal = way.map(|deal| &self.request.deals(imp)[usize::from(deal)]);
            let is_admitted = deal.is_none_or(|deal| self.admits_domains(deal, domains));
            let floor = self.floors().of(imp, deal, fit);
            match floor.map(|floor| floor.accounting) {
                Ok(_) if is_admitted && deal.is_some_and(|deal| self.is_delivered(deal, item)) => {}
                Ok(floor) if is_admitted => match reach {
                    Some(reach) => shortfall.missed += usize::from(!reach.meets(floor, self.auction(deal))),
                    None => shortfall.asked = Cpm(shortfall.asked.0.saturating_add(floor.0)),
                },
                _ => shortfall.missed += 1,
            }
        }
        shortfall
    }

    /// Whether a deal is bid whatever the value.
    fn is_delivered(&self, deal: &Deal, item: &LineItem) -> bool {
        price::is_delivered(self.auction(Some(deal)), deal.guaranteed, item)
    }

    /// Everything that is asked of a creative but its caps.
    fn check_for(&self, imp: &Imp<'r>, item: &LineItem, position: usize, ways: &Ways) -> Result<Fit, Reason> {
        let creative = item.creatives[position];
        let fit = self.check_creative(imp, creative)?;
        let insists = item.definition.slot_in_pod;
        if fit
            .spot(imp)
            .zip(insists)
            .is_some_and(|(spot, place)| !pod::offers(spot, place))
        {
            return Err(Reason::PodSlot);
        }
        self.check_ways(imp, creative, ways).map(|()| fit)
    }

    /// One of the ways has to be open to the advertiser of the creative.
    fn check_ways(&self, imp: &Imp<'r>, position: u32, ways: &Ways) -> Result<(), Reason> {
        let domains = &self.snapshot.campaigns.creatives()[position as usize].domains;
        let deals = self.request.deals(imp);
        let admits = |deal: &u16| self.admits_domains(&deals[usize::from(*deal)], domains);
        if ways.open || ways.deals().iter().any(admits) {
            Ok(())
        } else {
            Err(Reason::Deal)
        }
    }

    fn check_creative(&self, imp: &Imp<'r>, position: u32) -> Result<Fit, Reason> {
        let creative = &self.snapshot.campaigns.creatives()[position as usize];
        let fit = self.snapshot.templates[position as usize]
            .fits(imp, self.request)
            .map_err(reason_of)?;
        if imp.secure == Some(true) && !self.exchange.secure_urls {
            return Err(Reason::NotSecure);
        }
        self.check_blocks(imp, creative, &fit)?;
        self.check_language(creative)?;
        let required = &self.exchange.settings.require;
        if !required.iter().all(|field| field.is_in(&creative.definition)) {
            return Err(Reason::CreativeIncomplete);
        }
        if self.approval(creative) != Approval::Approved || !self.is_let_in(creative) {
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
            Fit::Video(_) | Fit::Audio(_) => fit.spot(imp).map(|spot| spot.battr),
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

    /// What the exchange itself said of the creative in loss notices: 201 waits, 202 stops.
    fn is_let_in(&self, creative: &Creative) -> bool {
        let place = Place {
            exchange: self.exchange.settings.id,
            creative: creative.id,
        };
        self.live.approvals.allows(place, creative.version, self.now)
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
        Misfit::DsaRendering => Reason::DsaRendering,
        Misfit::Expansion => Reason::Expansion,
    }
}
