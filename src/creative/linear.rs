//! Linear ads, with a picture (video) or sound alone (audio): which imps they fit, with which media files and companions.

use super::companion::{self, CompanionSpec, Companions};
use super::pieces::{Condition, Out, Pieces};
use super::vast::{self, VastVersion, vast_version};
use super::{Misfit, Values, check_apis, url};
use crate::openrtb::request::{Audio, Request, Spot, Video, is_in_ratio};

/// AdCOM creative attribute: the markup itself asks for a skip button (section 7.4).
pub(super) const SKIP_BUTTON: u32 = 16;

/// What the template of a video or of an audio ad is made from.
#[derive(Clone, Debug, Default)]
pub struct LinearSpec {
    pub creative_id: String,
    pub title: String,
    pub duration_s: u32,
    /// Of the picture; `None` = an audio ad.
    pub size: Option<(u32, u32)>,
    /// The ad can be skipped after so many seconds.
    pub skip_after_s: Option<u32>,
    /// At most [`LinearSpec::MEDIA_MAX`] count.
    pub media: Vec<MediaFile>,
    /// Shown with the ad where there is room for them; at most [`CompanionSpec::MAX`] count.
    pub companions: Vec<CompanionSpec>,
    /// AdCOM API frameworks that the markup needs.
    pub apis: Vec<u32>,
    pub landing_url: String,
}

impl LinearSpec {
    /// One bit each in [`LinearFit::media`].
    pub const MEDIA_MAX: usize = 32;
}

#[derive(Clone, Debug, Default)]
pub struct MediaFile {
    pub url: String,
    pub mime: String,
    /// 0 = unknown.
    pub bitrate_kbps: u32,
    /// 0 × 0 in an audio ad.
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
pub struct LinearTemplate {
    spec: LinearSpec,
    /// In the order of [`VastVersion::ALL`].
    documents: [Pieces; 5],
    secure: bool,
}

/// How a linear ad answers an imp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearFit {
    pub version: VastVersion,
    pub duration_s: u32,
    pub size: Option<(u32, u32)>,
    /// The markup asks for a skip button.
    pub skippable: bool,
    /// Bit i: the i-th media file is offered. Not 0.
    pub media: u32,
    pub companions: Companions,
}

/// What a player asks beyond the spot.
#[derive(Clone, Copy, Default)]
struct Player {
    /// Every https URL, companions included.
    secure: bool,
    /// Its picture's size, where an ad of another ratio may not be letter-boxed (`boxingallowed = 0`).
    screen: Option<(u32, u32)>,
    /// The publisher brings the skip button (`skip = 1`).
    has_skip_button: bool,
}

impl LinearTemplate {
    pub fn compile(spec: LinearSpec) -> LinearTemplate {
        let documents = VastVersion::ALL.map(|version| vast::compile(&spec, version));
        let secure =
            url::is_secure(&spec.landing_url) && spec.media.iter().all(|file| url::is_secure(&file.url));
        LinearTemplate {
            spec,
            documents,
            secure,
        }
    }

    /// Companions are left out rather than making the whole ad insecure.
    pub fn secure(&self) -> bool {
        self.secure
    }

    pub fn shares_media_with(&self, other: &LinearTemplate) -> bool {
        let has = |url: &str| other.spec.media.iter().any(|file| file.url == url);
        self.spec.media.iter().any(|file| has(&file.url))
    }

    pub fn problems(&self) -> Vec<String> {
        let spec = &self.spec;
        let mut problems = Vec::new();
        if spec.duration_s == 0 {
            problems.push("duration of 0 seconds: the length of the ad is needed".to_owned());
        }
        if let Some(after_s) = spec.skip_after_s.filter(|&after_s| after_s >= spec.duration_s) {
            problems.push(format!(
                "skip after {after_s} s: must be below the {} s of the ad",
                spec.duration_s
            ));
        }
        if let Some((w, h)) = spec.size.filter(|&(w, h)| w == 0 || h == 0) {
            problems.push(format!("size {w}x{h}: both must be above 0"));
        }
        if spec.media.is_empty() || spec.media.len() > LinearSpec::MEDIA_MAX {
            problems.push(format!(
                "{} media files: from 1 to {}",
                spec.media.len(),
                LinearSpec::MEDIA_MAX
            ));
        }
        if spec.companions.len() > CompanionSpec::MAX {
            problems.push(format!(
                "{} companions: at most {}",
                spec.companions.len(),
                CompanionSpec::MAX
            ));
        }
        if !url::is_absolute(&spec.landing_url) {
            problems.push(format!(
                "landing_url {:?}: an https:// or http:// URL",
                spec.landing_url
            ));
        }
        let has_picture = spec.size.is_some();
        let media = spec.media.iter().enumerate();
        problems.extend(media.flat_map(|(i, file)| media_problems(i, file, has_picture)));
        let companions = (1..).zip(&spec.companions);
        problems.extend(companions.flat_map(|(number, companion)| {
            let all = companion.problems().into_iter();
            all.map(move |problem| format!("companion {number}: {problem}"))
        }));
        problems
    }

    /// Players scale, and letter-box unless they say otherwise (`boxingallowed`), so no player size is refused.
    /// Ads that play on beyond `maxduration` are not made: `maxextended` allows nothing more.
    pub fn fits_video(&self, video: &Video, secure: bool, request: &Request) -> Result<LinearFit, Misfit> {
        const NON_LINEAR: u32 = 2;
        if video.linearity == Some(NON_LINEAR) {
            return Err(Misfit::Linearity);
        }
        let screen = video.w.zip(video.h).filter(|&(w, h)| w > 0 && h > 0);
        let player = Player {
            secure,
            screen: screen.filter(|_| video.boxing_allowed == Some(false)),
            has_skip_button: video.skip == Some(true),
        };
        self.fits(&video.spot, player, request)
    }

    /// DAAST (protocols 9 and 10) became part of VAST 4.1 and is not written. `feed`, `stitched` and `nvol` describe
    /// the stream and refuse nothing.
    pub fn fits_audio(&self, audio: &Audio, secure: bool, request: &Request) -> Result<LinearFit, Misfit> {
        let player = Player {
            secure,
            ..Player::default()
        };
        self.fits(&audio.spot, player, request)
    }

    fn fits(&self, spot: &Spot, player: Player, request: &Request) -> Result<LinearFit, Misfit> {
        let version = vast_version(request.ints(spot.protocols)).ok_or(Misfit::Protocol)?;
        check_duration(self.spec.duration_s, spot, request)?;
        check_apis(&self.spec.apis, request.ints(spot.api))?;
        let media = choose_media(&self.spec.media, spot, player.screen, request)?;
        // Under `skip = 1` the publisher brings the button (section 7.4); where 16 is blocked the ad goes without one.
        let skippable = self.spec.skip_after_s.is_some()
            && version.can_skip()
            && !player.has_skip_button
            && !request.ints(spot.battr).contains(&SKIP_BUTTON);
        Ok(LinearFit {
            version,
            duration_s: self.spec.duration_s,
            size: self.spec.size,
            skippable,
            media,
            companions: companion::choose(&self.spec.companions, spot, player.secure, request),
        })
    }

    pub(super) fn write(&self, fit: &LinearFit, values: &Values, out: &mut Out) {
        let bit = |bits: u32, i: usize| bits.checked_shr(i as u32).unwrap_or(0) & 1 == 1;
        let companions = &fit.companions;
        let holds = |condition| match condition {
            Condition::Skippable => fit.skippable,
            Condition::Media(i) => bit(fit.media, i),
            Condition::Companions => companions.shown != 0,
            Condition::Companion(i) => bit(companions.shown.into(), i),
            Condition::EndCard(i) => bit(companions.end_cards.into(), i),
            Condition::Concurrent(i) => bit(companions.concurrent.into(), i),
        };
        self.documents[fit.version as usize].write(values, holds, out);
    }
}

fn media_problems(i: usize, file: &MediaFile, has_picture: bool) -> Vec<String> {
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
    if has_picture && (file.w == 0 || file.h == 0) {
        problems.push(format!(
            "media file {}: size {}x{}: both must be above 0",
            i + 1,
            file.w,
            file.h
        ));
    }
    problems
}

/// `rqddurs` replaces the two bounds (sections 3.2.7 and 3.2.8); a dynamic pod holds no more than its own length.
fn check_duration(duration_s: u32, spot: &Spot, request: &Request) -> Result<(), Misfit> {
    let required = request.ints(spot.rqddurs);
    let fits = if required.is_empty() {
        duration_s >= spot.min_duration_s && spot.max_duration_s.is_none_or(|max| duration_s <= max)
    } else {
        required.contains(&duration_s)
    };
    let fits_pod = spot.pod_duration_s.is_none_or(|pod| duration_s <= pod);
    if fits && fits_pod {
        Ok(())
    } else {
        Err(Misfit::Duration)
    }
}

/// The files that the player takes, as bits. The reason is that of the file that came furthest.
fn choose_media(
    media: &[MediaFile],
    spot: &Spot,
    screen: Option<(u32, u32)>,
    request: &Request,
) -> Result<u32, Misfit> {
    const STEPS: [Misfit; 4] = [Misfit::Mime, Misfit::Delivery, Misfit::Bitrate, Misfit::Size];
    let mimes = request.strs(spot.mimes);
    let delivery = request.ints(spot.delivery);
    let (mut chosen, mut furthest) = (0, 0);
    for (i, file) in media.iter().take(LinearSpec::MEDIA_MAX).enumerate() {
        let passed = [
            mimes.is_empty() || mimes.iter().any(|mime| mime.eq_ignore_ascii_case(&file.mime)),
            is_delivered(file, delivery),
            is_within_bitrate(file, spot),
            screen.is_none_or(|screen| is_in_ratio((file.w, file.h), screen)),
        ];
        match passed.iter().position(|passed| !passed) {
            Some(step) => furthest = furthest.max(step),
            None => chosen |= 1 << i,
        }
    }
    if chosen == 0 {
        return Err(STEPS[furthest]);
    }
    Ok(chosen)
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
fn is_within_bitrate(file: &MediaFile, spot: &Spot) -> bool {
    let kbps = file.bitrate_kbps;
    kbps == 0
        || (spot.min_bitrate_kbps.is_none_or(|min| kbps >= min)
            && spot.max_bitrate_kbps.is_none_or(|max| kbps <= max))
}
