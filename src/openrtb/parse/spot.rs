//! `imp.video` and `imp.audio`: the fields that are each one's own, and the spot that both describe in the same words.

use super::imp::Place;
use super::lists::span;
use super::tape::Value;
use super::{Malformed, Parser};
use crate::openrtb::request::{Audio, Companion, Span, Spot, Video};

/// Which of the two objects is read, for error messages.
#[derive(Clone, Copy)]
enum Object {
    Video,
    Audio,
}

/// The full name of a field in its object.
macro_rules! name {
    ($object:expr, $field:literal) => {
        match $object {
            Object::Video => concat!("imp.video.", $field),
            Object::Audio => concat!("imp.audio.", $field),
        }
    };
}

impl<'a> Parser<'_, 'a> {
    /// `Video`, section 3.2.7. The deprecated `protocol` counts where `protocols` is not there, and what the deprecated
    /// `placement` says for certain where `plcmt` is not.
    pub fn video(&mut self, value: Value<'_, 'a>) -> Result<Option<Video<'a>>, Malformed> {
        if !value.is_object() {
            return Ok(None);
        }
        let mut video = Video::default();
        let (mut protocol, mut placement) = (None, None);
        for (key, value) in value.fields() {
            match key {
                "protocol" => protocol = Some(value),
                "w" => video.w = value.uint(),
                "h" => video.h = value.uint(),
                "plcmt" => video.plcmt = value.uint(),
                "placement" => placement = value.uint(),
                "linearity" => video.linearity = value.uint(),
                "skip" => video.skip = value.integer().map(|skip| skip != 0),
                "playbackmethod" => video.playback_method = first(value),
                "pos" => video.pos = value.uint(),
                "boxingallowed" => video.boxing_allowed = value.integer().map(|allowed| allowed != 0),
                _ => self.spot(key, value, &mut video.spot, Object::Video)?,
            }
        }
        if let Some(protocol) = protocol.filter(|_| video.spot.protocols.0.is_empty()) {
            video.spot.protocols = self.ints(protocol, "imp.video.protocol")?;
        }
        video.plcmt = video.plcmt.or_else(|| plcmt_of(placement?));
        settle(&mut video.spot, "imp.video.mimes")?;
        Ok(Some(video))
    }

    /// `Audio`, section 3.2.8.
    pub fn audio(&mut self, value: Value<'_, 'a>) -> Result<Option<Audio<'a>>, Malformed> {
        if !value.is_object() {
            return Ok(None);
        }
        let mut audio = Audio::default();
        for (key, value) in value.fields() {
            match key {
                "feed" => audio.feed = value.uint(),
                "stitched" => audio.stitched = value.integer().map(|stitched| stitched != 0),
                "nvol" => audio.nvol = value.uint(),
                _ => self.spot(key, value, &mut audio.spot, Object::Audio)?,
            }
        }
        settle(&mut audio.spot, "imp.audio.mimes")?;
        Ok(Some(audio))
    }

    /// One field that both objects have.
    fn spot(
        &mut self,
        key: &str,
        value: Value<'_, 'a>,
        spot: &mut Spot<'a>,
        object: Object,
    ) -> Result<(), Malformed> {
        match key {
            "mimes" => spot.mimes = self.strs(value, name!(object, "mimes"))?,
            "minduration" => spot.min_duration_s = value.uint().unwrap_or(0),
            "maxduration" => spot.max_duration_s = value.uint(),
            "rqddurs" => spot.rqddurs = self.ints(value, name!(object, "rqddurs"))?,
            "startdelay" => spot.start_delay = small_int(value),
            "protocols" => spot.protocols = self.ints(value, name!(object, "protocols"))?,
            "battr" => spot.battr = self.ints(value, name!(object, "battr"))?,
            "minbitrate" => spot.min_bitrate_kbps = value.uint(),
            "maxbitrate" => spot.max_bitrate_kbps = value.uint(),
            "delivery" => spot.delivery = self.ints(value, name!(object, "delivery"))?,
            "api" => spot.api = self.ints(value, name!(object, "api"))?,
            "companionad" => spot.companions = self.companions(value)?,
            "companiontype" => spot.companion_types = self.ints(value, name!(object, "companiontype"))?,
            "podid" => spot.pod_id = self.text(value),
            "podseq" => spot.pod_seq = small_int(value).unwrap_or(0),
            "slotinpod" => spot.slot_in_pod = small_int(value).unwrap_or(0),
            "poddur" => spot.pod_duration_s = value.uint().filter(|seconds| *seconds > 0),
            "maxseq" => spot.max_seq = value.uint().filter(|ads| *ads > 0),
            "poddedupe" => spot.pod_dedupe = self.ints(value, name!(object, "poddedupe"))?,
            "mincpmpersec" => spot.min_cpm_per_sec = value.cpm(name!(object, "mincpmpersec"))?,
            "durfloors" => spot.dur_floors = self.dur_floors(value, name!(object, "durfloors.bidfloor"))?,
            _ => {}
        }
        Ok(())
    }

    /// `companionad`: banners, as a list or, as before 2.3, as the `banner` of an object.
    fn companions(&mut self, value: Value<'_, 'a>) -> Result<Span, Malformed> {
        let start = self.request.companions.len();
        let list = value.field("banner").unwrap_or(value);
        for item in list.items() {
            if let Some(banner) = self.banner(item, Place::Companion)? {
                let mode = item.field("vcm").and_then(Value::uint);
                let end_card = mode.filter(|mode| *mode <= 1).map(|mode| mode == 1);
                self.request.companions.push(Companion { banner, end_card });
            }
        }
        Ok(span(start, self.request.companions.len()))
    }
}

/// Rules between fields: `mimes` is required, and exact durations win over a range.
fn settle(spot: &mut Spot, mimes: &'static str) -> Result<(), Malformed> {
    if spot.mimes.0.is_empty() {
        return Err(Malformed::Missing(mimes, "an array of at least one content type"));
    }
    if !spot.rqddurs.0.is_empty() {
        (spot.min_duration_s, spot.max_duration_s) = (0, None);
    }
    Ok(())
}

/// The AdCOM lists do not correspond: in-stream (1) is now instream or accompanying content, by the sound and by what the page is
/// about; interstitial, slider or floating (5) is interstitial or standalone. In-banner, in-article and in-feed play without
/// content of their own: standalone.
fn plcmt_of(placement: u32) -> Option<u32> {
    const STANDALONE: u32 = 4;
    (2..=4).contains(&placement).then_some(STANDALONE)
}

fn small_int(value: Value<'_, '_>) -> Option<i32> {
    i32::try_from(value.integer()?).ok()
}

/// Only the first playback method counts (section 3.2.7).
fn first(value: Value<'_, '_>) -> Option<u32> {
    if value.is_array() {
        value.items().next()?.uint()
    } else {
        value.uint()
    }
}
