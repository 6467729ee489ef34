//! From a decision to the bytes of a response: tokens are sealed, markup is rendered, nothing is decided any more.

use crate::creative::{ClickMacro, Template, Values};
use crate::engine::{Bid, ExchangeTerms, Scratch, Snapshot, Terms};
use crate::events::token::{Format, ImpRef, Sealer, TOKEN_LEN, Token};
use crate::openrtb::WireFormat;
use crate::openrtb::request::Request;
use crate::openrtb::response::{BidFields, Dsa, DsaParameters, NoticeUrls, ResponseHead, ResponseWriter};
use crate::store::campaigns::{Creative, LineItem};
use crate::store::exchange::BillingEvent;
use crate::units::{ObjectId, Timestamp};
use std::time::Duration;

/// A decision with what it was made on.
pub struct Answer<'a> {
    pub request: &'a Request<'a>,
    pub exchange: &'a ExchangeTerms,
    pub snapshot: &'a Snapshot,
    pub scratch: &'a Scratch,
    pub now: Timestamp,
}

/// Appends the whole response.
pub fn write_answer(answer: &Answer, terms: Terms, sealer: &Sealer, format: WireFormat, out: &mut Vec<u8>) {
    let head = ResponseHead {
        id: answer.request.id,
        // Our name for the response: that of its first bid, which is unique for ever.
        bid_id: answer.scratch.bids.first().map(|bid| bid.id),
        currency: terms.currency,
    };
    let mut writer = ResponseWriter::begin(format, out, &head);
    let mut text = [0; TOKEN_LEN];
    // A group holds for the whole seat object, so each has one of its own (section 4.2.2).
    for group in answer.scratch.bids.chunk_by(|a, b| a.group == b.group) {
        for (position, seat) in answer.exchange.seats.iter().enumerate() {
            let of_seat = |bid: &&Bid| answer.exchange.seat_of(answer.line_item(bid).advertiser) == position;
            let mut bids = group.iter().filter(of_seat).peekable();
            if let Some(first) = bids.peek() {
                writer.seat(Some(seat), first.group.is_some());
            }
            for bid in bids {
                let token = sealer.seal(&answer.token(bid, terms), &mut text);
                answer.write_bid(bid, token, &mut writer);
            }
        }
    }
    writer.finish();
}

impl<'a> Answer<'a> {
    pub fn line_item(&self, bid: &Bid) -> &'a LineItem {
        &self.snapshot.campaigns.line_items()[bid.candidate.line_item as usize]
    }

    pub fn creative(&self, bid: &Bid) -> &'a Creative {
        &self.snapshot.campaigns.creatives()[self.creative_position(bid)]
    }

    fn creative_position(&self, bid: &Bid) -> usize {
        self.line_item(bid).creatives[usize::from(bid.candidate.creative)] as usize
    }

    fn template(&self, bid: &Bid) -> &'a Template {
        &self.snapshot.templates[self.creative_position(bid)]
    }

    pub fn deal_id(&self, bid: &Bid) -> Option<&'a str> {
        let imp = &self.request.imps[usize::from(bid.candidate.imp)];
        bid.candidate
            .deal
            .map(|deal| self.request.deals(imp)[usize::from(deal)].id)
    }

    /// What the notices of a bid will need, whichever node they reach.
    pub fn token(&self, bid: &Bid, terms: Terms) -> Token {
        let item = self.line_item(bid);
        let campaigns = &self.snapshot.campaigns;
        let campaign = &campaigns.campaigns()[item.campaign];
        let settings = &self.exchange.settings;
        let imp = &self.request.imps[usize::from(bid.candidate.imp)];
        let format = self.format(bid);
        Token {
            bid: bid.id,
            lease: bid.lease,
            budget_day: self.snapshot.local_day(item.advertiser, self.now),
            bid_time: self.now,
            win_hold_end: bid.hold_until,
            hold_end: self.now + Duration::from_secs(bid.exp_s.into()),
            exchange: settings.id,
            imp: ImpRef::of(bid.candidate.imp.min(u8::MAX.into()) as u8, imp.id),
            format,
            line_item_account: item.account,
            campaign_account: campaign.account,
            line_item: item.counted_as,
            campaign: campaign.id,
            advertiser: campaigns.advertisers()[item.advertiser].id,
            creative: self.creative(bid).id,
            deal: self.deal_id(bid).map(ObjectId::of),
            reserved: bid.reserved,
            rate: terms.rate,
            currency: terms.currency,
            price: bid.price,
            billing: self.billing(format),
            price_unit: settings.price_in,
            test: self.request.test,
            user: self.scratch.audience.key,
            consent: self.scratch.audience.consent,
            profile_used: self.scratch.audience.has_profile,
            arms: bid.candidate.standing.arms(),
        }
    }

    pub fn format(&self, bid: &Bid) -> Format {
        match self.template(bid) {
            Template::Banner(_) => Format::Banner,
            Template::Video(_) => Format::Video,
            Template::Audio(_) => Format::Audio,
            Template::Native(_) => Format::Native,
        }
    }

    /// In a structured pod the imp is the slot, so nothing is said there (section 7.6).
    fn slot_in_pod(&self, bid: &Bid) -> Option<i32> {
        let imp = &self.request.imps[usize::from(bid.candidate.imp)];
        let spot = bid.candidate.fit.spot(imp)?;
        let place = self.line_item(bid).definition.slot_in_pod?;
        spot.pod_duration_s.is_some().then(|| place.code())
    }

    fn dsa(&self, bid: &Bid, advertiser: &'a str) -> Dsa<'a> {
        let audience = &self.scratch.audience;
        let precise = audience.consent.is_some_and(|consent| consent.precise_location);
        let parameters = DsaParameters {
            profile: audience.has_profile,
            precise_location: precise && !self.line_item(bid).definition.targeting.radius.is_any(),
        };
        let ours = host(&self.snapshot.public_url);
        Dsa {
            behalf: advertiser,
            paid: advertiser,
            ad_shows: bid.candidate.fit.explains(),
            transparency: self.request.regs.dsa.parameters.then_some((ours, parameters)),
        }
    }

    /// Video and audio are billed alike: the VAST impression is the official event of both (section 4.2.3).
    fn billing(&self, format: Format) -> BillingEvent {
        match format {
            Format::Video | Format::Audio => self.exchange.settings.billable_video,
            Format::Banner | Format::Native => self.exchange.settings.billable,
        }
    }

    fn write_bid(&self, bid: &Bid, token: &str, writer: &mut ResponseWriter) {
        let settings = &self.exchange.settings;
        let snapshot = self.snapshot;
        let (item, creative) = (self.line_item(bid), self.creative(bid));
        let template = self.template(bid);
        let imp = &self.request.imps[usize::from(bid.candidate.imp)];
        let fit = &bid.candidate.fit;
        let advertiser = &snapshot.campaigns.advertisers()[item.advertiser].definition.name;
        let fields = BidFields {
            id: bid.id,
            imp_id: imp.id,
            price: bid.price,
            notices: NoticeUrls {
                base: &self.exchange.public_url,
                queries: settings.queries.as_ref(),
                token,
                win: settings.notices.win,
                bill: settings.notices.bill,
                loss: settings.notices.loss,
            },
            ad_id: Some(&creative.definition.id),
            adomain: &creative.domains,
            bundle: creative.definition.bundle.as_deref(),
            campaign_id: Some(&snapshot.campaigns.campaigns()[item.campaign].definition.id),
            creative_id: &creative.definition.id,
            image_url: creative.definition.image_url.as_deref(),
            categories: &creative.definition.categories,
            cattax: creative.definition.cattax,
            attributes: &creative.definition.attributes,
            extra_attribute: fit.extra_attribute(),
            apis: &creative.definition.apis,
            protocol: fit.protocol(),
            language: creative.definition.languages.first().map(String::as_str),
            deal_id: self.deal_id(bid),
            size: fit.size(),
            ratio: fit.ratio(),
            duration_s: fit.duration_s(),
            slot_in_pod: self.slot_in_pod(bid),
            exp_s: Some(bid.exp_s),
            markup: template.markup_type(),
            ai_generated: creative.definition.ai_generated,
            dsa: self.request.regs.dsa.asked.then(|| self.dsa(bid, advertiser)),
        };
        let values = Values {
            base: &self.exchange.public_url,
            queries: settings.queries.as_ref(),
            token,
            bid_id: bid.id,
            click_macro: settings.click_macro.as_ref().map(|click| ClickMacro {
                text: &click.text,
                escaped: click.escaped,
            }),
            native_assets: imp
                .native
                .as_ref()
                .map(|n| self.request.native_assets(n))
                .unwrap_or_default(),
        };
        match writer.format() {
            WireFormat::Json => writer.bid(&fields, |out| template.render_json(fit, &values, out)),
            WireFormat::Protobuf => writer.bid(&fields, |out| template.render(fit, &values, out)),
        }
    }
}

/// The host name of a URL, without user, port and path.
fn host(url: &str) -> &str {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    }
}
