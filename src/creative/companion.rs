//! Companion ads of a linear ad: which of them an imp has room for, and how they stand in a VAST document.
//!
//! A companion carries no impression of its own: what is counted and billed is the linear ad. Its clicks are ours.

use super::banner::{accepts_markup, write_html};
use super::pieces::{Builder, Condition};
use super::vast::{VastVersion, escape};
use super::{BannerSpec, url};
use crate::openrtb::request::{Companion, Request, Spot};

/// What a companion is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompanionSpec {
    pub w: u32,
    pub h: u32,
    /// AdCOM creative attributes.
    pub attributes: Vec<u32>,
    pub content: CompanionContent,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompanionContent {
    /// A VAST `StaticResource`.
    Image { url: String, mime: String },
    /// A VAST `HTMLResource`: markup with the slots of a [`BannerSpec`], without `${IMPRESSION_URL}`.
    Html {
        html: String,
        /// AdCOM banner type, as in [`BannerSpec::btype`].
        btype: u32,
    },
}

/// The companions that are shown, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Companions {
    pub shown: u16,
    /// Of those shown: after the ad (`vcm = 1`).
    pub end_cards: u16,
    /// Of those shown: beside the ad (`vcm = 0`).
    pub concurrent: u16,
}

impl CompanionSpec {
    /// One bit each in [`Companions`].
    pub const MAX: usize = 16;

    /// AdCOM companion type.
    const fn kind(&self) -> u32 {
        match self.content {
            CompanionContent::Image { .. } => 1,
            CompanionContent::Html { .. } => 2,
        }
    }

    fn is_secure(&self) -> bool {
        match &self.content {
            CompanionContent::Image { url, .. } => url::is_secure(url),
            CompanionContent::Html { html, .. } => url::is_secure(html),
        }
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.w == 0 || self.h == 0 {
            problems.push(format!("size {}x{}: both must be above 0", self.w, self.h));
        }
        match &self.content {
            CompanionContent::Image { url, mime } => {
                if !url::is_absolute(url) {
                    problems.push(format!("image {url:?}: an https:// or http:// URL"));
                }
                if !mime.starts_with("image/") {
                    problems.push(format!("mime {mime:?}: a type such as image/png"));
                }
            }
            CompanionContent::Html { html, btype } => {
                if html.trim().is_empty() {
                    problems.push("the markup is empty".to_owned());
                }
                if html.contains(BannerSpec::IMPRESSION_SLOT) {
                    let slot = BannerSpec::IMPRESSION_SLOT;
                    problems.push(format!(
                        "the markup has {slot}: the linear ad counts the impression"
                    ));
                }
                if !(1..=4).contains(btype) {
                    problems.push(format!(
                        "btype {btype}: 1 XHTML text, 2 XHTML banner, 3 JavaScript or 4 iframe"
                    ));
                }
            }
        }
        problems
    }

    /// By size and by the slot's own `mimes`, `btype` and `battr` (sections 3.2.6 and 3.2.7).
    fn fits(&self, slot: &Companion, request: &Request) -> bool {
        let banner = &slot.banner;
        let battr = request.ints(banner.battr);
        let mimes = request.strs(banner.mimes);
        let (btype, takes_mime) = match &self.content {
            CompanionContent::Image { mime, .. } => (
                IMAGE_BTYPE,
                mimes.is_empty() || mimes.iter().any(|one| one.eq_ignore_ascii_case(mime)),
            ),
            CompanionContent::Html { btype, .. } => (*btype, accepts_markup(mimes, *btype)),
        };
        request
            .sizes(banner)
            .iter()
            .any(|size| size.takes(self.w, self.h))
            && takes_mime
            && !request.ints(banner.btype).contains(&btype)
            && !self.attributes.iter().any(|attribute| battr.contains(attribute))
    }
}

/// Usually an image, says section 3.2.6 of XHTML banners.
const IMAGE_BTYPE: u32 = 2;

/// The companions for which a slot is on offer; the first such slot says how they are shown. `companiontype` names the
/// kinds that the player takes; where it is not there, it takes any (section 2.3: unknown).
pub(super) fn choose(
    companions: &[CompanionSpec],
    spot: &Spot,
    secure: bool,
    request: &Request,
) -> Companions {
    let slots = request.companions(spot);
    let kinds = request.ints(spot.companion_types);
    let mut chosen = Companions::default();
    for (i, companion) in companions.iter().take(CompanionSpec::MAX).enumerate() {
        let playable = kinds.is_empty() || kinds.contains(&companion.kind());
        if !playable || (secure && !companion.is_secure()) {
            continue;
        }
        if let Some(slot) = slots.iter().find(|slot| companion.fits(slot, request)) {
            let bit = 1 << i;
            chosen.shown |= bit;
            match slot.end_card {
                Some(true) => chosen.end_cards |= bit,
                Some(false) => chosen.concurrent |= bit,
                None => {}
            }
        }
    }
    chosen
}

/// `CompanionAds` with each companion under its condition. `renderingMode` came with VAST 4.1.
pub(super) fn write(
    xml: &mut Builder,
    companions: &[CompanionSpec],
    landing_url: &str,
    version: VastVersion,
) {
    xml.text("<CompanionAds>");
    for (i, companion) in companions.iter().enumerate() {
        xml.when(Condition::Companion(i), |xml| {
            xml.text(&format!(
                r#"<Companion width="{}" height="{}""#,
                companion.w, companion.h
            ));
            if version >= VastVersion::V4_1 {
                xml.when(Condition::EndCard(i), |xml| {
                    xml.text(r#" renderingMode="end-card""#);
                });
                xml.when(Condition::Concurrent(i), |xml| {
                    xml.text(r#" renderingMode="concurrent""#);
                });
            }
            xml.text(">");
            write_content(xml, &companion.content, landing_url);
            xml.text("</Companion>");
        });
    }
    xml.text("</CompanionAds>");
}

fn write_content(xml: &mut Builder, content: &CompanionContent, landing_url: &str) {
    match content {
        CompanionContent::Image { url, mime } => {
            xml.text(&format!(
                r#"<StaticResource creativeType="{}"><![CDATA["#,
                escape(mime)
            ));
            xml.url(url)
                .text("]]></StaticResource><CompanionClickThrough><![CDATA[");
            xml.click().text("]]></CompanionClickThrough>");
        }
        CompanionContent::Html { html, .. } => {
            xml.text("<HTMLResource><![CDATA[");
            // The end mark of a CDATA section may stand in one only in two halves (XML 1.0, section 2.7).
            write_html(xml, &html.replace("]]>", "]]]]><![CDATA[>"), landing_url);
            xml.text("]]></HTMLResource>");
        }
    }
}
