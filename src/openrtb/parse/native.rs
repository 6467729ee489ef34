//! `imp.native`, and the native request inside it: a document of its own, as a string or as an object.
//!
//! A native request that cannot be read leaves the imp without the native format; an imp whose `request` is missing
//! is malformed, as it never was an offer.

use super::lists::span;
use super::tape::Value;
use super::{Malformed, Parser};
use crate::openrtb::request::{Native, NativeAsset, NativeAssetKind};
use simd_json::{INPUT_PADDING, Tape};

/// Reused memory for native requests that come as a string.
pub(super) struct NativeBuffers {
    json: simd_json::Buffers,
    tape: Tape<'static>,
    text: Vec<u8>,
}

impl Default for NativeBuffers {
    fn default() -> Self {
        NativeBuffers {
            json: simd_json::Buffers::default(),
            tape: Tape(Vec::new()),
            text: Vec::new(),
        }
    }
}

impl<'a> Parser<'_, 'a> {
    /// `Native`, section 3.2.9.
    pub fn native(&mut self, value: Value<'_, 'a>) -> Result<Option<Native>, Malformed> {
        if !value.is_object() {
            return Ok(None);
        }
        let mut native = Native::default();
        let mut request = None;
        for (key, value) in value.fields() {
            match key {
                "request" => request = Some(value).filter(|request| !request.is_absent()),
                "battr" => native.battr = self.ints(value, "imp.native.battr")?,
                "api" => native.api = self.ints(value, "imp.native.api")?,
                _ => {}
            }
        }
        let request = request.ok_or(Malformed::Missing(
            "imp.native.request",
            "a native request, as a string or an object",
        ))?;
        let assets = &mut self.request.native_assets;
        let readable = match request.as_str() {
            Some(text) => self.native.read_text(text, &mut native, assets),
            None => read(request, &mut native, assets),
        };
        Ok(readable.map(|()| native))
    }
}

impl NativeBuffers {
    fn read_text(&mut self, text: &str, native: &mut Native, assets: &mut Vec<NativeAsset>) -> Option<()> {
        self.text.clear();
        self.text.extend_from_slice(text.as_bytes());
        self.text.resize(text.len() + INPUT_PADDING, 0);
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let readable = simd_json::fill_tape_padded(&mut self.text, text.len(), &mut self.json, &mut tape)
            .ok()
            .and_then(|()| read(Value::root(&tape), native, assets));
        self.tape = tape.reset();
        readable
    }
}

/// Native 1.2, section 4.1. `None` without a list of assets: there is nothing to fill.
fn read(document: Value<'_, '_>, native: &mut Native, assets: &mut Vec<NativeAsset>) -> Option<()> {
    let wrapper = document.field("native").filter(|inner| inner.is_object());
    native.wrapped = wrapper.is_some();
    let start = assets.len();
    for (key, value) in wrapper.unwrap_or(document).fields() {
        match key {
            "assets" => {
                assets.truncate(start);
                assets.extend(value.items().map(asset));
            }
            "eventtrackers" => native.impression_methods = impression_methods(value),
            "privacy" => native.privacy = value.is_one(),
            _ => {}
        }
    }
    native.event_trackers = native.impression_methods != 0;
    native.assets = span(start, assets.len());
    (!native.assets.is_empty()).then_some(())
}

/// An asset without an id cannot be answered: its kind is unknown, so that a required one makes the imp unfillable.
fn asset(value: Value<'_, '_>) -> NativeAsset {
    let mut asset = NativeAsset::default();
    let mut id = None;
    for (key, value) in value.fields() {
        match key {
            "id" => id = value.uint(),
            "required" => asset.required = value.restriction().unwrap_or(false),
            "title" if value.is_object() => asset.kind = title(value),
            "img" if value.is_object() => asset.kind = image(value),
            "data" if value.is_object() => asset.kind = data(value),
            "video" if value.is_object() => asset.kind = NativeAssetKind::Video,
            _ => {}
        }
    }
    match id {
        Some(id) => asset.id = id,
        None => asset.kind = NativeAssetKind::Unknown,
    }
    asset
}

/// Native 1.2, section 4.3; `len` is required there, and 25 is the shortest that it recommends.
fn title(value: Value<'_, '_>) -> NativeAssetKind {
    NativeAssetKind::Title {
        len: value.field("len").and_then(Value::uint).unwrap_or(25),
    }
}

/// Native 1.2, section 4.4; 0 = not given.
fn image(value: Value<'_, '_>) -> NativeAssetKind {
    let [mut kind, mut w, mut h, mut wmin, mut hmin] = [0; 5];
    for (key, value) in value.fields() {
        let number = match key {
            "type" => &mut kind,
            "w" => &mut w,
            "h" => &mut h,
            "wmin" => &mut wmin,
            "hmin" => &mut hmin,
            _ => continue,
        };
        *number = value.uint().unwrap_or(0);
    }
    NativeAssetKind::Image {
        kind,
        w,
        h,
        wmin,
        hmin,
    }
}

/// Native 1.2, section 4.6.
fn data(value: Value<'_, '_>) -> NativeAssetKind {
    match value.field("type").and_then(Value::uint) {
        Some(kind) => NativeAssetKind::Data {
            kind,
            len: value.field("len").and_then(Value::uint),
        },
        None => NativeAssetKind::Unknown,
    }
}

/// Native 1.2, section 4.7: the methods (1 image, 2 script) of event 1, the impression.
fn impression_methods(list: Value<'_, '_>) -> u8 {
    let impressions = list
        .items()
        .filter(|tracker| tracker.field("event").is_some_and(Value::is_one));
    let methods = impressions
        .filter_map(|tracker| tracker.field("methods"))
        .flat_map(Value::items);
    methods.fold(0, |bits, method| match method.uint() {
        Some(1) => bits | 1,
        Some(2) => bits | 2,
        _ => bits,
    })
}
