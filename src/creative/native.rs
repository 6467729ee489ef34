//! Native ads: the answer of Native 1.2 section 5 to the assets that a request asks for.
//!
//! A text that is too long is not filled rather than cut, and an image that is too small is not filled rather than stretched.

use super::pieces::{Links, Out, Text, json_escaped};
use super::{Misfit, Values, check_apis, url};
use crate::openrtb::notice::Notice;
use crate::openrtb::request::{Native, NativeAsset, NativeAssetKind, Request};

/// Bit of `Native::impression_methods`: the page can load an image on the impression.
const BY_IMAGE: u8 = 1;

/// Likewise: the page can run a script.
const BY_SCRIPT: u8 = 2;

/// What a native template is made from.
#[derive(Clone, Debug, Default)]
pub struct NativeSpec {
    pub title: String,
    /// In order of preference.
    pub images: Vec<NativeImage>,
    /// (native data type, value), in order of preference: a long and a short text of one type may stand side by side.
    pub data: Vec<(u32, String)>,
    /// `None` = our own page, which says why the ad is shown and takes opt-outs.
    pub privacy_url: Option<String>,
    /// A script that measures the impression, for pages that run those of their ads (Native 1.2, sections 4.7 and 5.8).
    pub impression_script: Option<String>,
    /// AdCOM API frameworks that the markup needs.
    pub apis: Vec<u32>,
    pub landing_url: String,
}

#[derive(Clone, Debug, Default)]
pub struct NativeImage {
    /// 1 icon, 3 main.
    pub kind: u32,
    pub url: String,
    pub w: u32,
    pub h: u32,
}

#[derive(Clone, Debug)]
pub struct NativeTemplate {
    spec: NativeSpec,
    title: Value,
    /// Beside `spec.images`.
    image_urls: Box<[Value]>,
    /// Beside `spec.data`.
    data: Box<[Value]>,
    privacy_url: Option<Value>,
    impression_script: Option<Value>,
    secure: bool,
}

/// How a native ad answers an imp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NativeFit {
    wrapped: bool,
    /// `eventtrackers` by image; else `imptrackers`.
    event_trackers: bool,
    /// With the ad's own script among the `eventtrackers`.
    script: bool,
    privacy: bool,
}

/// The content of a JSON string, compiled.
#[derive(Clone, Debug)]
struct Value {
    text: Text,
    /// Characters (Unicode scalar values) before escaping.
    len: usize,
}

/// What fills an asset.
enum Filling<'t> {
    Title(&'t Value),
    Image(&'t NativeImage, &'t Value),
    Data(&'t Value),
}

impl NativeTemplate {
    pub fn compile(spec: NativeSpec) -> NativeTemplate {
        let urls = || {
            spec.images
                .iter()
                .map(|image| &image.url)
                .chain(&spec.privacy_url)
                .chain(&spec.impression_script)
        };
        let url_value = |url: &Option<String>| url.as_deref().map(|url| Value::of(&url::safe(url)));
        NativeTemplate {
            title: Value::of(&spec.title),
            image_urls: spec
                .images
                .iter()
                .map(|image| Value::of(&url::safe(&image.url)))
                .collect(),
            data: spec.data.iter().map(|(_, value)| Value::of(value)).collect(),
            privacy_url: url_value(&spec.privacy_url),
            impression_script: url_value(&spec.impression_script),
            secure: url::is_secure(&spec.landing_url) && urls().all(|url| url::is_secure(url)),
            spec,
        }
    }

    pub fn secure(&self) -> bool {
        self.secure
    }

    pub fn problems(&self) -> Vec<String> {
        let spec = &self.spec;
        let mut problems = Vec::new();
        if spec.title.trim().is_empty() {
            problems.push("the title is empty: nearly every request requires one".to_owned());
        }
        for (i, image) in spec.images.iter().enumerate() {
            if image.w == 0 || image.h == 0 {
                problems.push(format!(
                    "image {}: size {}x{}: both must be above 0",
                    i + 1,
                    image.w,
                    image.h
                ));
            }
            if !url::is_absolute(&image.url) {
                problems.push(format!(
                    "image {}: url {:?}: an https:// or http:// URL",
                    i + 1,
                    image.url
                ));
            }
        }
        for (name, url) in [
            ("landing_url", Some(&spec.landing_url)),
            ("privacy_url", spec.privacy_url.as_ref()),
            ("impression_script", spec.impression_script.as_ref()),
        ] {
            if let Some(url) = url.filter(|url| !url::is_absolute(url)) {
                problems.push(format!("{name} {url:?}: an https:// or http:// URL"));
            }
        }
        problems
    }

    /// Every required asset can be filled, and at least one asset is.
    pub fn fits(&self, native: &Native, request: &Request) -> Result<NativeFit, Misfit> {
        check_apis(&self.spec.apis, request.ints(native.api))?;
        let assets = request.native_assets(native);
        let mut filled = 0;
        for asset in assets {
            match self.fill(asset) {
                Some(_) => filled += 1,
                None if asset.required => return Err(Misfit::NativeAsset),
                None => {}
            }
        }
        if filled == 0 {
            return Err(Misfit::NativeAsset);
        }
        let takes = |method| native.event_trackers && native.impression_methods & method != 0;
        Ok(NativeFit {
            wrapped: native.wrapped,
            event_trackers: takes(BY_IMAGE),
            script: takes(BY_SCRIPT) && self.impression_script.is_some(),
            privacy: native.privacy,
        })
    }

    pub(super) fn write(&self, fit: &NativeFit, values: &Values, out: &mut Out) {
        let links = Links::new(values);
        out.str(if fit.wrapped {
            r#"{"native":{"ver":"1.2","#
        } else {
            r#"{"ver":"1.2","#
        });
        out.str(r#""link":{"url":""#);
        links.write_click(out);
        out.str(r#""},"#);
        self.write_assets(values.native_assets, out);
        self.write_trackers(fit, &links, out);
        if fit.privacy {
            out.str(r#","privacy":""#);
            match &self.privacy_url {
                Some(privacy) => out.text(&privacy.text),
                None => links.write_why(out),
            }
            out.str("\"");
        }
        out.str(if fit.wrapped { "}}" } else { "}" });
    }

    /// The image counts for us, wherever it can be put; the script is the advertiser's own.
    fn write_trackers(&self, fit: &NativeFit, links: &Links, out: &mut Out) {
        let script = self.impression_script.as_ref().filter(|_| fit.script);
        if !fit.event_trackers {
            out.str(r#","imptrackers":[""#);
            links.write_notice(Notice::Impression, out);
            out.str(r#""]"#);
        }
        if !fit.event_trackers && script.is_none() {
            return;
        }
        out.str(r#","eventtrackers":["#);
        if fit.event_trackers {
            out.str(r#"{"event":1,"method":1,"url":""#);
            links.write_notice(Notice::Impression, out);
            out.str(if script.is_some() { r#""},"# } else { r#""}"# });
        }
        if let Some(script) = script {
            out.str(r#"{"event":1,"method":2,"url":""#);
            out.text(&script.text);
            out.str(r#""}"#);
        }
        out.str("]");
    }

    fn write_assets(&self, assets: &[NativeAsset], out: &mut Out) {
        out.str(r#""assets":["#);
        let fillings = assets
            .iter()
            .filter_map(|asset| Some((asset.id, self.fill(asset)?)));
        for (i, (id, filling)) in fillings.enumerate() {
            out.str(if i == 0 { r#"{"id":"# } else { r#",{"id":"# });
            out.number(id);
            filling.write(out);
            out.str("}");
        }
        out.str("]");
    }

    fn fill(&self, asset: &NativeAsset) -> Option<Filling<'_>> {
        match asset.kind {
            NativeAssetKind::Title { len } => {
                let fits = !self.spec.title.is_empty() && self.title.is_within(len);
                fits.then_some(Filling::Title(&self.title))
            }
            NativeAssetKind::Image {
                kind,
                w,
                h,
                wmin,
                hmin,
            } => {
                let fits = |image: &NativeImage| {
                    (kind == 0 || kind == image.kind)
                        && is_wide_enough(image.w, w, wmin)
                        && is_wide_enough(image.h, h, hmin)
                };
                let i = self.spec.images.iter().position(fits)?;
                Some(Filling::Image(&self.spec.images[i], &self.image_urls[i]))
            }
            NativeAssetKind::Data { kind, len } => {
                let mut kinds = self.spec.data.iter().map(|(kind, _)| *kind).zip(&self.data);
                let found = kinds.find(|(k, value)| *k == kind && value.is_within(len.unwrap_or(0)));
                found.map(|(_, value)| Filling::Data(value))
            }
            NativeAssetKind::Video | NativeAssetKind::Unknown => None,
        }
    }
}

impl Value {
    fn of(value: &str) -> Value {
        Value {
            text: Text::new(&json_escaped(value)),
            len: value.chars().count(),
        }
    }

    /// 0 = no limit.
    fn is_within(&self, len: u32) -> bool {
        len == 0 || self.len <= len as usize
    }
}

impl Filling<'_> {
    fn write(&self, out: &mut Out) {
        match self {
            Filling::Title(title) => {
                out.str(r#","title":{"text":""#);
                out.text(&title.text);
                out.str(r#""}"#);
            }
            Filling::Image(image, url) => {
                out.str(r#","img":{"type":"#);
                out.number(image.kind);
                out.str(r#","url":""#);
                out.text(&url.text);
                out.str(r#"","w":"#);
                out.number(image.w);
                out.str(r#","h":"#);
                out.number(image.h);
                out.str("}");
            }
            Filling::Data(value) => {
                out.str(r#","data":{"value":""#);
                out.text(&value.text);
                out.str(r#""}"#);
            }
        }
    }
}

/// Native 1.2 section 4.4: a minimum allows any larger image; a length without a minimum is exact; 0 = not given.
fn is_wide_enough(length: u32, exact: u32, min: u32) -> bool {
    if min > 0 {
        length >= min
    } else {
        exact == 0 || length == exact
    }
}
