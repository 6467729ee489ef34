//! Markup from a value: banner HTML, VAST and native JSON, compiled once and then only appended.
//!
//! Nothing here does I/O, reads a clock or, once the output buffer has grown, allocates on the way of a bid.
//! Every URL that is put into markup is safe there: quotes, angle brackets, backslashes, blanks and all that is
//! not printable ASCII are percent-encoded, so that it can end neither an attribute nor a CDATA section nor a string.

mod banner;
mod companion;
mod linear;
mod misfit;
mod native;
mod pieces;
mod url;
mod vast;

pub use banner::{BannerFit, BannerSpec, BannerTemplate};
pub use companion::{CompanionContent, CompanionSpec, Companions};
pub use linear::{LinearFit, LinearSpec, LinearTemplate, MediaFile};
pub use misfit::Misfit;
pub use native::{NativeFit, NativeImage, NativeSpec, NativeTemplate};
pub use vast::{VastVersion, vast_version};

use crate::openrtb::notice::Queries;
use crate::openrtb::request::{Imp, NativeAsset, Request, Spot};
use crate::openrtb::response::MarkupType;
use crate::units::BidId;
use pieces::Out;

/// A creative's markup, ready to be rendered.
#[derive(Clone, Debug)]
pub enum Template {
    Banner(BannerTemplate),
    Video(LinearTemplate),
    Audio(LinearTemplate),
    Native(NativeTemplate),
}

/// What a rendering needs to know beyond the creative.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The public URL, without a slash at its end.
    pub base: &'a str,
    /// How the exchange spells macros; `None` = as the specification does.
    pub queries: Option<&'a Queries>,
    /// The notice token, URL-safe base64.
    pub token: &'a str,
    pub bid_id: BidId,
    /// Stands in front of our click URL, so that the exchange counts clicks too.
    pub click_macro: Option<ClickMacro<'a>>,
    /// What the imp asks for: `request.native_assets(&native)`. Empty for all but native.
    pub native_assets: &'a [NativeAsset],
}

/// The click macro of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClickMacro<'a> {
    pub text: &'a str,
    /// Our URL behind the macro is one parameter of the exchange's URL: percent-encoded.
    pub escaped: bool,
}

/// How a creative answers an imp: what the response says of it and how it is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    Banner(BannerFit),
    Video(LinearFit),
    Audio(LinearFit),
    Native(NativeFit),
}

impl Fit {
    /// `bid.mtype` of OpenRTB 2.6, section 4.2.3.
    pub fn mtype(&self) -> u8 {
        match self {
            Fit::Banner(_) => 1,
            Fit::Video(_) => 2,
            Fit::Audio(_) => 3,
            Fit::Native(_) => 4,
        }
    }
}

impl Template {
    pub fn banner(spec: BannerSpec) -> Template {
        Template::Banner(BannerTemplate::compile(spec))
    }

    /// Of a video where the spec has a picture, else of an audio ad.
    pub fn linear(spec: LinearSpec) -> Template {
        let template = if spec.size.is_some() {
            Template::Video
        } else {
            Template::Audio
        };
        template(LinearTemplate::compile(spec))
    }

    pub fn native(spec: NativeSpec) -> Template {
        Template::Native(NativeTemplate::compile(spec))
    }

    /// What is wrong with the creative, for the check of a configuration; each entry says what would be right.
    pub fn problems(&self) -> Vec<String> {
        match self {
            Template::Banner(banner) => banner.problems(),
            Template::Video(ad) | Template::Audio(ad) => ad.problems(),
            Template::Native(native) => native.problems(),
        }
    }

    /// No `http:` URL in markup, media or landing page.
    /// Whether our own URLs are https depends on [`Values::base`].
    pub fn secure(&self) -> bool {
        match self {
            Template::Banner(banner) => banner.secure(),
            Template::Video(ad) | Template::Audio(ad) => ad.secure(),
            Template::Native(native) => native.secure(),
        }
    }

    pub fn markup_type(&self) -> MarkupType {
        match self {
            Template::Banner(_) => MarkupType::Banner,
            Template::Video(_) => MarkupType::Video,
            Template::Audio(_) => MarkupType::Audio,
            Template::Native(_) => MarkupType::Native,
        }
    }

    /// Whether both show the same media file.
    pub fn shares_media_with(&self, other: &Template) -> bool {
        match (self, other) {
            (Template::Video(ad), Template::Video(other)) | (Template::Audio(ad), Template::Audio(other)) => {
                ad.shares_media_with(other)
            }
            _ => false,
        }
    }

    /// Whether the creative can be shown in this imp. Blocked attributes, categories and the like are not asked here:
    /// they do not depend on the markup. Of the formats that an imp offers, an ad answers its own (section 3.2.4).
    pub fn fits(&self, imp: &Imp, request: &Request) -> Result<Fit, Misfit> {
        let secure = imp.secure == Some(true);
        if secure && !self.secure() {
            return Err(Misfit::NotSecure);
        }
        // Only a banner has a place where it can say who is behind it.
        if request.regs.dsa.ad_must_show && !matches!(self, Template::Banner(_)) {
            return Err(Misfit::DsaRendering);
        }
        match self {
            Template::Banner(ad) => {
                let banner = imp.banner.as_ref().ok_or(Misfit::Format)?;
                ad.fits(banner, request).map(Fit::Banner)
            }
            Template::Video(ad) => {
                let video = imp.video.as_ref().ok_or(Misfit::Format)?;
                ad.fits_video(video, secure, request).map(Fit::Video)
            }
            Template::Audio(ad) => {
                let audio = imp.audio.as_ref().ok_or(Misfit::Format)?;
                ad.fits_audio(audio, secure, request).map(Fit::Audio)
            }
            Template::Native(ad) => {
                let native = imp.native.as_ref().ok_or(Misfit::Format)?;
                ad.fits(native, request).map(Fit::Native)
            }
        }
    }

    /// Appends the markup. `fit` is what [`Template::fits`] of this template said of the imp.
    pub fn render(&self, fit: &Fit, values: &Values, out: &mut Vec<u8>) {
        self.write(fit, values, &mut Out::raw(out));
    }

    /// Appends the markup as the content of a JSON string, without its quotes: what `adm` holds.
    pub fn render_json(&self, fit: &Fit, values: &Values, out: &mut Vec<u8>) {
        self.write(fit, values, &mut Out::json(out));
    }

    fn write(&self, fit: &Fit, values: &Values, out: &mut Out) {
        match (self, fit) {
            (Template::Banner(ad), Fit::Banner(fit)) => ad.write(fit, values, out),
            (Template::Video(ad), Fit::Video(fit)) | (Template::Audio(ad), Fit::Audio(fit)) => {
                ad.write(fit, values, out);
            }
            (Template::Native(ad), Fit::Native(fit)) => ad.write(fit, values, out),
            _ => debug_assert!(false, "a fit of another format"),
        }
    }
}

impl Fit {
    /// What the imp says of the format that a linear ad answers.
    pub fn spot<'q, 'r>(&self, imp: &'q Imp<'r>) -> Option<&'q Spot<'r>> {
        match self {
            Fit::Video(_) => imp.video.as_ref().map(|video| &video.spot),
            Fit::Audio(_) => imp.audio.as_ref().map(|audio| &audio.spot),
            Fit::Banner(_) | Fit::Native(_) => None,
        }
    }

    /// `bid.w` and `bid.h`; native and audio ads have none.
    pub fn size(&self) -> Option<(u32, u32)> {
        match self {
            Fit::Banner(banner) => Some(banner.size),
            _ => self.linear()?.size,
        }
    }

    /// `bid.wratio` and `bid.hratio`, for flex banners.
    pub fn ratio(&self) -> Option<(u32, u32)> {
        match self {
            Fit::Banner(banner) => banner.ratio,
            _ => None,
        }
    }

    /// The markup has a link to who is behind the ad and why it is shown: `bid.ext.dsa.adrender`.
    pub fn explains(&self) -> bool {
        matches!(self, Fit::Banner(banner) if banner.explains)
    }

    /// `bid.protocol`.
    pub fn protocol(&self) -> Option<u32> {
        Some(self.linear()?.version.protocol())
    }

    /// `bid.dur`.
    pub fn duration_s(&self) -> Option<u32> {
        Some(self.linear()?.duration_s)
    }

    /// The creative attribute that the rendering adds to the configured ones: 16, the markup asks for a skip button.
    pub fn extra_attribute(&self) -> Option<u32> {
        self.linear()?.skippable.then_some(linear::SKIP_BUTTON)
    }

    fn linear(&self) -> Option<&LinearFit> {
        match self {
            Fit::Video(fit) | Fit::Audio(fit) => Some(fit),
            Fit::Banner(_) | Fit::Native(_) => None,
        }
    }
}

/// Every API that the markup needs is listed; an unlisted one is not supported (section 3.2.6).
fn check_apis(needed: &[u32], offered: &[u32]) -> Result<(), Misfit> {
    if needed.iter().all(|api| offered.contains(api)) {
        Ok(())
    } else {
        Err(Misfit::Api)
    }
}
