//! Banner markup: the HTML of people, with our slots filled and the macros of the exchange left for it.

use super::pieces::{Builder, Out, Pieces};
use super::{Misfit, Values, check_apis, url};
use crate::openrtb::notice::Notice;
use crate::openrtb::request::{Banner, Request, Size};

const CLICK_SLOT: &str = "${CLICK_URL}";
const LANDING_SLOT: &str = "${LANDING_URL}";
const IMPRESSION_SLOT: &str = BannerSpec::IMPRESSION_SLOT;

/// What a banner template is made from.
#[derive(Clone, Debug, Default)]
pub struct BannerSpec {
    /// Slots: `${CLICK_URL}` our redirect to the landing page behind the click macro of the exchange,
    /// `${LANDING_URL}` the landing page itself, `${IMPRESSION_URL}` the address that counts the impression.
    /// Where the last one is missing, a 1×1 image of it is appended, so that impressions are always counted.
    /// Everything else, OpenRTB macros included, stays as it is.
    pub html: String,
    pub w: u32,
    pub h: u32,
    /// AdCOM banner type: 1 XHTML text, 2 XHTML banner, 3 JavaScript, 4 iframe.
    pub btype: u32,
    /// AdCOM API frameworks that the markup needs.
    pub apis: Vec<u32>,
    /// AdCOM expandable directions into which the ad expands: 1 left, 2 right, 3 up, 4 down, 5 full screen, 6 resize.
    pub expands: Vec<u32>,
    pub landing_url: String,
}

impl BannerSpec {
    pub(super) const IMPRESSION_SLOT: &'static str = "${IMPRESSION_URL}";
}

#[derive(Clone, Debug)]
pub struct BannerTemplate {
    spec: BannerSpec,
    pieces: Pieces,
    explanation: Pieces,
    secure: bool,
}

/// How a banner answers an imp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BannerFit {
    /// The banner's width and height.
    pub size: (u32, u32),
    /// The ratio that was asked for, where the imp has a flex size and no exact one.
    pub ratio: Option<(u32, u32)>,
    /// With a link to the page that says who is behind the ad and why it is shown, where nobody else would say so (DSA
    /// transparency extension).
    pub explains: bool,
}

impl BannerTemplate {
    pub fn compile(spec: BannerSpec) -> BannerTemplate {
        let pieces = compile_html(&spec);
        let secure = url::is_secure(&spec.html) && url::is_secure(&spec.landing_url);
        BannerTemplate {
            spec,
            pieces,
            explanation: compile_explanation(),
            secure,
        }
    }

    pub fn secure(&self) -> bool {
        self.secure
    }

    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.spec.html.trim().is_empty() {
            problems.push("the markup is empty".to_owned());
        } else if !self.spec.html.contains(CLICK_SLOT) {
            problems.push(format!(
                "the markup has no {CLICK_SLOT}: clicks would not be counted; link to it"
            ));
        }
        if self.spec.w == 0 || self.spec.h == 0 {
            problems.push(format!(
                "size {}x{}: both must be above 0",
                self.spec.w, self.spec.h
            ));
        }
        if !(1..=4).contains(&self.spec.btype) {
            problems.push(format!(
                "btype {}: 1 XHTML text, 2 XHTML banner, 3 JavaScript or 4 iframe",
                self.spec.btype
            ));
        }
        if !url::is_absolute(&self.spec.landing_url) {
            problems.push(format!(
                "landing_url {:?}: an https:// or http:// URL",
                self.spec.landing_url
            ));
        }
        problems
    }

    pub fn fits(&self, banner: &Banner, request: &Request) -> Result<BannerFit, Misfit> {
        if request.ints(banner.btype).contains(&self.spec.btype) {
            return Err(Misfit::BannerType);
        }
        if !permits(request.ints(banner.expdir), &self.spec.expands) {
            return Err(Misfit::Expansion);
        }
        if !accepts_markup(request.strs(banner.mimes), self.spec.btype) {
            return Err(Misfit::Mime);
        }
        check_apis(&self.spec.apis, request.ints(banner.api))?;
        let ratio = self.match_size(request.sizes(banner)).ok_or(Misfit::Size)?;
        Ok(BannerFit {
            size: (self.spec.w, self.spec.h),
            ratio,
            explains: request.regs.dsa.ad_must_show,
        })
    }

    pub(super) fn write(&self, fit: &BannerFit, values: &Values, out: &mut Out) {
        self.pieces.write(values, |_| false, out);
        if fit.explains {
            self.explanation.write(values, |_| false, out);
        }
    }

    /// The flex ratio that matches, `Some(None)` for an exact size (which goes first), `None` for no match.
    fn match_size(&self, sizes: &[Size]) -> Option<Option<(u32, u32)>> {
        let (w, h) = (self.spec.w, self.spec.h);
        let is_fixed = |size: &&Size| !size.is_flexible();
        if sizes.is_empty() || sizes.iter().filter(is_fixed).any(|size| size.takes(w, h)) {
            return Some(None);
        }
        let flex = sizes.iter().find(|size| size.takes(w, h))?;
        Some(Some((flex.wratio, flex.hratio)))
    }
}

fn compile_html(spec: &BannerSpec) -> Pieces {
    let mut markup = Builder::default();
    write_html(&mut markup, &spec.html, &spec.landing_url);
    if !spec.html.contains(IMPRESSION_SLOT) {
        markup.text(r#"<img src=""#).notice(Notice::Impression);
        markup.text(r#"" width="1" height="1" alt="" style="display:none">"#);
    }
    markup.build()
}

/// People's HTML with its slots filled.
pub(super) fn write_html(markup: &mut Builder, html: &str, landing_url: &str) {
    let mut rest = html;
    while let Some(start) = rest.find("${") {
        let (before, at) = rest.split_at(start);
        markup.text(before);
        rest = if let Some(after) = at.strip_prefix(CLICK_SLOT) {
            markup.click();
            after
        } else if let Some(after) = at.strip_prefix(LANDING_SLOT) {
            markup.url(landing_url);
            after
        } else if let Some(after) = at.strip_prefix(IMPRESSION_SLOT) {
            markup.notice(Notice::Impression);
            after
        } else {
            markup.text("${");
            &at[2..]
        };
    }
    markup.text(rest);
}

/// In the upper right corner, above whatever the banner shows.
fn compile_explanation() -> Pieces {
    let mut markup = Builder::default();
    markup.text(r#"<a href=""#).why();
    markup.text(
        r#"" target="_blank" rel="noopener noreferrer" style="position:absolute;z-index:2147483647;top:0;right:0;"#,
    );
    markup.text(
        r#"padding:1px 4px;background:#fff;color:#333;font:10px/1.4 sans-serif;text-decoration:none">Why this ad?</a>"#,
    );
    markup.build()
}

/// `expdir` names the directions in which a banner may expand; without it they are unknown, and `battr` alone refuses ads that
/// expand (sections 2.3 and 3.2.6).
fn permits(expdir: &[u32], expands: &[u32]) -> bool {
    expdir.is_empty() || expands.iter().all(|direction| expdir.contains(direction))
}

/// A list that names only images (or Flash) speaks of what the markup may show: live traffic sends
/// `["image/gif", "image/jpeg"]` and takes HTML. A list that names a kind of markup must name ours.
pub(super) fn accepts_markup(mimes: &[&str], btype: u32) -> bool {
    const JAVASCRIPT: u32 = 3;
    let is = |mime: &str, any: &[&str]| any.iter().any(|known| mime.eq_ignore_ascii_case(known));
    let is_html = |mime: &str| is(mime, &["text/html", "application/xhtml+xml"]);
    let is_script = |mime: &str| {
        is(
            mime,
            &[
                "application/javascript",
                "text/javascript",
                "application/x-javascript",
            ],
        )
    };
    let mut names_markup = false;
    for mime in mimes {
        if is_html(mime) || (btype == JAVASCRIPT && is_script(mime)) {
            return true;
        }
        names_markup |= is_script(mime);
    }
    !names_markup
}
