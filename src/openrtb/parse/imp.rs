//! `imp[]`: what is for sale, with its floor, and the banner format.

use super::lists::span;
use super::tape::Value;
use super::{Malformed, Parser, required_id};
use crate::openrtb::request::{Banner, FloorCurrency, Imp, Size};
use crate::units::Timestamp;

/// Where a banner stands, for error messages.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Imp,
    Companion,
}

impl Place {
    fn name(self, in_imp: &'static str, as_companion: &'static str) -> &'static str {
        match self {
            Place::Imp => in_imp,
            Place::Companion => as_companion,
        }
    }
}

impl<'a> Parser<'_, 'a> {
    /// `Imp`, section 3.2.4.
    pub fn imp(&mut self, value: Value<'_, 'a>) -> Result<Imp<'a>, Malformed> {
        let mut imp = Imp::default();
        let (mut id, mut rwdd, mut ext) = (None, None, None);
        for (key, value) in value.fields() {
            match key {
                "id" => id = Some(value),
                "banner" => imp.banner = self.banner(value, Place::Imp)?,
                "video" => imp.video = self.video(value)?,
                "audio" => imp.audio = self.audio(value)?,
                "native" => imp.native = self.native(value)?,
                "bidfloor" => imp.floor = value.cpm("imp.bidfloor")?.unwrap_or_default(),
                "bidfloorcur" => imp.floor_cur = floor_currency(value),
                "tagid" => imp.tagid = self.text(value),
                "secure" => imp.secure = value.restriction(),
                "instl" => imp.instl = value.is_one(),
                "rwdd" => rwdd = Some(value),
                "ssai" => imp.ssai = value.uint().unwrap_or(0),
                "exp" => imp.exp_s = value.uint(),
                "qty" => imp.qty_micros = multiplier(value)?,
                "dt" => imp.dt = instant(value),
                "pmp" => self.pmp(value, &mut imp)?,
                "ext" => ext = Some(value),
                _ => {}
            }
        }
        imp.id = required_id(id, "imp.id")?;
        let rewarded = rwdd
            .filter(|value| !value.is_absent())
            .or_else(|| ext?.field("rwdd"));
        imp.rewarded = rewarded.is_some_and(Value::is_one);
        Ok(imp)
    }

    /// `Banner`, section 3.2.6.
    pub fn banner(&mut self, value: Value<'_, 'a>, place: Place) -> Result<Option<Banner>, Malformed> {
        if !value.is_object() {
            return Ok(None);
        }
        let mut banner = Banner::default();
        let (mut w, mut h, mut format) = (None, None, None);
        for (key, value) in value.fields() {
            match key {
                "w" => w = Some(value),
                "h" => h = Some(value),
                "format" => format = Some(value),
                "btype" => {
                    banner.btype = self.ints(value, place.name("imp.banner.btype", "companionad.btype"))?
                }
                "battr" => {
                    banner.battr = self.ints(value, place.name("imp.banner.battr", "companionad.battr"))?
                }
                "pos" => banner.pos = value.uint(),
                "mimes" => {
                    banner.mimes = self.strs(value, place.name("imp.banner.mimes", "companionad.mimes"))?
                }
                "api" => banner.api = self.ints(value, place.name("imp.banner.api", "companionad.api"))?,
                "expdir" => {
                    banner.expdir = self.ints(value, place.name("imp.banner.expdir", "companionad.expdir"))?
                }
                _ => {}
            }
        }
        let start = self.request.sizes.len();
        self.push_sizes(format, w, h);
        banner.sizes = span(start, self.request.sizes.len());
        Ok(Some(banner))
    }

    /// `format[]`, else `w` and `h`. No size at all means any size; so where one was given and none can be read,
    /// a size that fits nothing keeps the two apart.
    fn push_sizes(
        &mut self,
        format: Option<Value<'_, 'a>>,
        w: Option<Value<'_, 'a>>,
        h: Option<Value<'_, 'a>>,
    ) {
        let start = self.request.sizes.len();
        let formats = format.into_iter().flat_map(Value::items);
        self.request.sizes.extend(formats.filter_map(size));
        if self.request.sizes.len() > start {
            return;
        }
        match (w.and_then(Value::uint), h.and_then(Value::uint)) {
            (Some(w), Some(h)) => self.request.sizes.push(Size {
                w,
                h,
                ..Size::default()
            }),
            _ if [w, h].iter().flatten().any(|side| !side.is_absent()) || has_items(format) => {
                self.request.sizes.push(Size::default());
            }
            _ => {}
        }
    }
}

/// An unreadable code is kept apart from an absent one: the floor counts, but in no known money.
pub(super) fn floor_currency(value: Value<'_, '_>) -> FloorCurrency {
    match value.currency() {
        Some(currency) => FloorCurrency::Known(currency),
        None if value.is_absent() => FloorCurrency::default(),
        None => FloorCurrency::Unreadable,
    }
}

/// `Format`, section 3.2.10: fixed, or flexible with a ratio.
fn size(value: Value<'_, '_>) -> Option<Size> {
    let mut size = Size::default();
    for (key, value) in value.fields() {
        let side = match key {
            "w" => &mut size.w,
            "h" => &mut size.h,
            "wratio" => &mut size.wratio,
            "hratio" => &mut size.hratio,
            "wmin" => &mut size.wmin,
            _ => continue,
        };
        *side = value.uint().unwrap_or(0);
    }
    let fixed = size.w > 0 && size.h > 0;
    let flexible = size.wratio > 0 && size.hratio > 0;
    (fixed || flexible).then_some(size)
}

fn has_items(list: Option<Value<'_, '_>>) -> bool {
    list.is_some_and(|list| list.items().next().is_some())
}

/// `qty.multiplier`, section 3.2.31, in millionths. It multiplies money, so it is read as strictly.
fn multiplier(qty: Value<'_, '_>) -> Result<Option<u64>, Malformed> {
    let Some(value) = qty.field("multiplier").filter(|value| !value.is_absent()) else {
        return Ok(None);
    };
    // A million impressions for one play is above any screen's audience.
    let micros = value
        .number()
        .filter(|times| (0.0..=1e6).contains(times))
        .map_or(0, |times| (times * 1e6).round() as u64);
    match micros {
        0 => Err(Malformed::Invalid(
            "imp.qty.multiplier",
            "a number above 0, at most 1,000,000",
        )),
        micros => Ok(Some(micros)),
    }
}

/// Milliseconds since 1970, as far as a float counts them one by one.
fn instant(value: Value<'_, '_>) -> Option<Timestamp> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let ms = value.number().filter(|ms| *ms > 0.0 && *ms <= EXACT_MAX)?;
    Some(Timestamp(ms as i64))
}
