//! `imp.video`.

use super::tape::Value;
use super::{Malformed, Parser};
use crate::openrtb::request::Video;

impl<'a> Parser<'_, 'a> {
    /// `Video`, section 3.2.7.
    pub fn video(&mut self, value: Value<'_, 'a>) -> Result<Option<Video>, Malformed> {
        if !value.is_object() {
            return Ok(None);
        }
        let mut video = Video::default();
        let mut protocol = None;
        for (key, value) in value.fields() {
            match key {
                "mimes" => video.mimes = self.strs(value, "imp.video.mimes")?,
                "minduration" => video.min_duration_s = value.uint().unwrap_or(0),
                "maxduration" => video.max_duration_s = value.uint(),
                "rqddurs" => video.rqddurs = self.ints(value, "imp.video.rqddurs")?,
                "startdelay" => video.start_delay = small_int(value),
                "protocols" => video.protocols = self.ints(value, "imp.video.protocols")?,
                "protocol" => protocol = Some(value),
                "w" => video.w = value.uint(),
                "h" => video.h = value.uint(),
                "plcmt" => video.plcmt = value.uint(),
                "placement" => video.placement = value.uint(),
                "linearity" => video.linearity = value.uint(),
                "skip" => video.skip = value.integer().map(|skip| skip != 0),
                "battr" => video.battr = self.ints(value, "imp.video.battr")?,
                "minbitrate" => video.min_bitrate_kbps = value.uint(),
                "maxbitrate" => video.max_bitrate_kbps = value.uint(),
                "playbackmethod" => video.playback_method = first(value),
                "delivery" => video.delivery = self.ints(value, "imp.video.delivery")?,
                "pos" => video.pos = value.uint(),
                "api" => video.api = self.ints(value, "imp.video.api")?,
                "poddur" => video.pod_duration_s = value.uint(),
                "maxseq" => video.max_seq = value.uint(),
                "mincpmpersec" => video.min_cpm_per_sec = value.cpm("imp.video.mincpmpersec")?,
                "durfloors" => video.dur_floors = self.dur_floors(value, "imp.video.durfloors.bidfloor")?,
                _ => {}
            }
        }
        self.settle_video(&mut video, protocol)?;
        Ok(Some(video))
    }

    /// Rules between fields: `mimes` is required, exact durations win over a range, and the deprecated `protocol`
    /// counts where `protocols` is not there.
    fn settle_video(&mut self, video: &mut Video, protocol: Option<Value<'_, 'a>>) -> Result<(), Malformed> {
        if video.mimes.0.is_empty() {
            return Err(Malformed::Missing(
                "imp.video.mimes",
                "an array of at least one content type",
            ));
        }
        if !video.rqddurs.0.is_empty() {
            (video.min_duration_s, video.max_duration_s) = (0, None);
        }
        if let Some(protocol) = protocol.filter(|_| video.protocols.0.is_empty()) {
            video.protocols = self.ints(protocol, "imp.video.protocol")?;
        }
        Ok(())
    }
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
