//! Video ads: which imps they fit, and with which media files.

use super::pieces::{Condition, Out, Pieces};
use super::vast::{self, VastVersion, vast_version};
use super::{Misfit, Values, check_apis, url};
use crate::openrtb::request::{Request, Video};

/// AdCOM creative attribute: the markup itself asks for a skip button (section 7.4).
pub(super) const SKIP_BUTTON: u32 = 16;

/// What a video template is made from.
#[derive(Clone, Debug, Default)]
pub struct VideoSpec {
    pub creative_id: String,
    pub title: String,
    pub duration_s: u32,
    pub w: u32,
    pub h: u32,
    /// The ad can be skipped after so many seconds.
    pub skip_after_s: Option<u32>,
    /// At most [`VideoSpec::MEDIA_MAX`] count.
    pub media: Vec<MediaFile>,
    /// AdCOM API frameworks that the markup needs.
    pub apis: Vec<u32>,
    pub landing_url: String,
}

impl VideoSpec {
    /// One bit each in [`VideoFit::media`].
    pub const MEDIA_MAX: usize = 32;
}

#[derive(Clone, Debug, Default)]
pub struct MediaFile {
    pub url: String,
    pub mime: String,
    /// 0 = unknown.
    pub bitrate_kbps: u32,
    pub w: u32,
    pub h: u32,
}

impl MediaFile {
    /// A playlist of HLS, DASH or Smooth Streaming rather than a file.
    pub(super) fn is_streamed(&self) -> bool {
        const PLAYLISTS: [&str; 4] = [
            "application/x-mpegurl",
            "application/vnd.apple.mpegurl",
            "application/dash+xml",
            "application/vnd.ms-sstr+xml",
        ];
        PLAYLISTS
            .iter()
            .any(|playlist| self.mime.eq_ignore_ascii_case(playlist))
    }
}

#[derive(Clone, Debug)]
pub struct VideoTemplate {
    spec: VideoSpec,
    /// In the order of [`VastVersion::ALL`].
    documents: [Pieces; 5],
    secure: bool,
}

/// How a video answers an imp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoFit {
    pub version: VastVersion,
    pub duration_s: u32,
    pub size: (u32, u32),
    /// The markup asks for a skip button.
    pub skippable: bool,
    /// Bit i: the i-th media file is offered. Not 0.
    pub media: u32,
}

impl VideoTemplate {
    pub fn compile(spec: VideoSpec) -> VideoTemplate {
        let documents = VastVersion::ALL.map(|version| vast::compile(&spec, version));
        let secure =
            url::is_secure(&spec.landing_url) && spec.media.iter().all(|file| url::is_secure(&file.url));
        VideoTemplate {
            spec,
            documents,
            secure,
        }
    }

    pub fn secure(&self) -> bool {
        self.secure
    }

    pub fn problems(&self) -> Vec<String> {
        let spec = &self.spec;
        let mut problems = Vec::new();
        if spec.duration_s == 0 {
            problems.push("duration of 0 seconds: the length of the video is needed".to_owned());
        }
        if let Some(after_s) = spec.skip_after_s.filter(|&after_s| after_s >= spec.duration_s) {
            problems.push(format!(
                "skip after {after_s} s: must be below the {} s of the video",
                spec.duration_s
            ));
        }
        if spec.w == 0 || spec.h == 0 {
            problems.push(format!("size {}x{}: both must be above 0", spec.w, spec.h));
        }
        if spec.media.is_empty() || spec.media.len() > VideoSpec::MEDIA_MAX {
            problems.push(format!(
                "{} media files: from 1 to {}",
                spec.media.len(),
                VideoSpec::MEDIA_MAX
            ));
        }
        if !url::is_absolute(&spec.landing_url) {
            problems.push(format!(
                "landing_url {:?}: an https:// or http:// URL",
                spec.landing_url
            ));
        }
        problems.extend(
            spec.media
                .iter()
                .enumerate()
                .flat_map(|(i, file)| media_problems(i, file)),
        );
        problems
    }

    /// Players scale and letter-box by default (`boxingallowed`), so no player size is refused.
    pub fn fits(&self, video: &Video, request: &Request) -> Result<VideoFit, Misfit> {
        const NON_LINEAR: u32 = 2;
        if video.linearity == Some(NON_LINEAR) {
            return Err(Misfit::Linearity);
        }
        let version = vast_version(request.ints(video.protocols)).ok_or(Misfit::Protocol)?;
        check_duration(self.spec.duration_s, video, request)?;
        check_apis(&self.spec.apis, request.ints(video.api))?;
        let media = choose_media(&self.spec.media, video, request)?;
        // Under `skip = 1` the publisher brings the button (section 7.4); where 16 is blocked the ad goes without one.
        let skippable = self.spec.skip_after_s.is_some()
            && version.can_skip()
            && video.skip != Some(true)
            && !request.ints(video.battr).contains(&SKIP_BUTTON);
        let size = (self.spec.w, self.spec.h);
        Ok(VideoFit {
            version,
            duration_s: self.spec.duration_s,
            size,
            skippable,
            media,
        })
    }

    pub(super) fn write(&self, fit: &VideoFit, values: &Values, out: &mut Out) {
        let holds = |condition| match condition {
            Condition::Skippable => fit.skippable,
            Condition::Media(i) => i < VideoSpec::MEDIA_MAX && fit.media >> i & 1 == 1,
        };
        self.documents[fit.version as usize].write(values, holds, out);
    }
}

fn media_problems(i: usize, file: &MediaFile) -> Vec<String> {
    let mut problems = Vec::new();
    if !url::is_absolute(&file.url) {
        problems.push(format!(
            "media file {}: url {:?}: an https:// or http:// URL",
            i + 1,
            file.url
        ));
    }
    if !file.mime.contains('/') {
        problems.push(format!(
            "media file {}: mime {:?}: a type such as video/mp4",
            i + 1,
            file.mime
        ));
    }
    if file.w == 0 || file.h == 0 {
        problems.push(format!(
            "media file {}: size {}x{}: both must be above 0",
            i + 1,
            file.w,
            file.h
        ));
    }
    problems
}

/// `rqddurs` replaces the two bounds (section 3.2.7); a dynamic pod holds no more than its own length.
fn check_duration(duration_s: u32, video: &Video, request: &Request) -> Result<(), Misfit> {
    let required = request.ints(video.rqddurs);
    let fits = if required.is_empty() {
        duration_s >= video.min_duration_s && video.max_duration_s.is_none_or(|max| duration_s <= max)
    } else {
        required.contains(&duration_s)
    };
    let fits_pod = video.pod_duration_s.is_none_or(|pod| duration_s <= pod);
    if fits && fits_pod {
        Ok(())
    } else {
        Err(Misfit::Duration)
    }
}

/// The files that the player takes, as bits. The reason is that of the file that came furthest.
fn choose_media(media: &[MediaFile], video: &Video, request: &Request) -> Result<u32, Misfit> {
    let mimes = request.strs(video.mimes);
    let (mut chosen, mut plays, mut arrives) = (0, false, false);
    for (i, file) in media.iter().take(VideoSpec::MEDIA_MAX).enumerate() {
        if !mimes.is_empty() && !mimes.iter().any(|mime| mime.eq_ignore_ascii_case(&file.mime)) {
            continue;
        }
        plays = true;
        if !is_delivered(file, request.ints(video.delivery)) {
            continue;
        }
        arrives = true;
        if is_within_bitrate(file, video) {
            chosen |= 1 << i;
        }
    }
    match (chosen, plays, arrives) {
        (0, false, _) => Err(Misfit::Mime),
        (0, true, false) => Err(Misfit::Delivery),
        (0, true, true) => Err(Misfit::Bitrate),
        (chosen, ..) => Ok(chosen),
    }
}

/// AdCOM delivery methods; a file can be played while it loads and be loaded ahead.
fn is_delivered(file: &MediaFile, offered: &[u32]) -> bool {
    const STREAMING: u32 = 1;
    const PROGRESSIVE: u32 = 2;
    const DOWNLOAD: u32 = 3;
    let wanted: &[u32] = if file.is_streamed() {
        &[STREAMING]
    } else {
        &[PROGRESSIVE, DOWNLOAD]
    };
    offered.is_empty() || wanted.iter().any(|method| offered.contains(method))
}

/// An unknown bitrate is within any bounds.
fn is_within_bitrate(file: &MediaFile, video: &Video) -> bool {
    let kbps = file.bitrate_kbps;
    kbps == 0
        || (video.min_bitrate_kbps.is_none_or(|min| kbps >= min)
            && video.max_bitrate_kbps.is_none_or(|max| kbps <= max))
}
