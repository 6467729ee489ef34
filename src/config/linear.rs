//! The `video` and `audio` tables of a creative → linear ads with their media files and companions.
//! Invariant: a video has a size and so has each of its files; an audio ad and its files have none.

use super::creative::{banners, mime_type, secure_url};
use super::document::Table;
use super::files::Folder;
use super::quantity;
use crate::store::campaigns::definition::{CompanionAd, CompanionContent, LinearAd, MediaFile};
use std::time::Duration;

pub(super) const VIDEO_KEYS: &[&str] = &["title", "duration", "size", "skip_after", "media", "companion"];
pub(super) const VIDEO_MEDIA_KEYS: &[&str] = &["url", "mime", "bitrate_kbps", "size"];
pub(super) const AUDIO_KEYS: &[&str] = &["title", "duration", "media", "companion"];
pub(super) const AUDIO_MEDIA_KEYS: &[&str] = &["url", "mime", "bitrate_kbps"];
#[rustfmt::skip]
pub(super) const COMPANION_KEYS: &[&str] = &[
    "size", "sizes", "html", "html_file", "btype", "image", "mime", "attributes",
];

/// The longest linear ad.
const DURATION_MAX: Duration = Duration::from_secs(600);

pub(super) fn video(table: &Table<'_>, folder: &Folder) -> Option<LinearAd> {
    let size = table
        .need("size", "size = \"1280x720\"")
        .and_then(|n| quantity::size(&n));
    let skip = table.maybe("skip_after", |n| {
        quantity::duration(n, Duration::ZERO..=DURATION_MAX)
    });
    let files = table.tables("media", VIDEO_MEDIA_KEYS);
    let media = files
        .iter()
        .filter_map(|file| {
            let size = file.maybe("size", quantity::size).or(size);
            media_file(
                file,
                "url = \"https://cdn.example/a.mp4\"",
                "mime = \"video/mp4\"",
                size,
            )
        })
        .collect();
    let ad = linear(table, "video", media, folder);
    Some(LinearAd {
        size: Some(size?),
        skip_after_s: skip.map(|d| d.as_secs() as u32),
        ..ad?
    })
}

pub(super) fn audio(table: &Table<'_>, folder: &Folder) -> Option<LinearAd> {
    let files = table.tables("media", AUDIO_MEDIA_KEYS);
    let media = files
        .iter()
        .filter_map(|file| {
            let size = Some((0, 0));
            media_file(
                file,
                "url = \"https://cdn.example/a.mp3\"",
                "mime = \"audio/mpeg\"",
                size,
            )
        })
        .collect();
    linear(table, "audio", media, folder)
}

/// What both have.
fn linear(table: &Table<'_>, what: &str, media: Vec<MediaFile>, folder: &Folder) -> Option<LinearAd> {
    let duration = table.need("duration", "duration = \"15s\"");
    let duration = duration.and_then(|n| quantity::duration(&n, Duration::from_secs(1)..=DURATION_MAX));
    let title = table.need("title", "title = \"Spring\"").and_then(|n| n.name());
    if table
        .get("media")
        .is_none_or(|node| node.value().as_array().is_some_and(|list| list.is_empty()))
    {
        table.problem(
            &format!("this {what} has no media file"),
            format!("add `[[creative.{what}.media]]` with `url` and `mime`"),
        );
    }
    let companions = table.tables("companion", COMPANION_KEYS);
    let companions = companions.iter().flat_map(|one| companion(one, folder)).collect();
    Some(LinearAd {
        title: title?,
        duration_s: duration?.as_secs() as u32,
        media,
        companions,
        ..LinearAd::default()
    })
}

fn media_file(
    table: &Table<'_>,
    url_example: &str,
    mime_example: &str,
    size: Option<(u32, u32)>,
) -> Option<MediaFile> {
    let url = table.need("url", url_example);
    let mime = table.need("mime", mime_example);
    let bitrate_kbps = table.read("bitrate_kbps", 1000, |n| n.integer(1..=1_000_000));
    let (w, h) = size?;
    let url = secure_url(&url?)?;
    Some(MediaFile {
        url,
        mime: mime_type(&mime?)?,
        bitrate_kbps,
        w,
        h,
    })
}

/// An image, or markup in one size or several as a banner has it: a companion each.
fn companion(table: &Table<'_>, folder: &Folder) -> Vec<CompanionAd> {
    let attributes: Vec<u32> = table
        .get("attributes")
        .map_or_else(Vec::new, |n| n.list(|n| n.integer(1..=1000)));
    if table.get("image").is_some() {
        return image(table, attributes).into_iter().collect();
    }
    let companion = |(_, ad): (String, crate::store::campaigns::definition::BannerAd)| CompanionAd {
        w: ad.w,
        h: ad.h,
        attributes: attributes.clone(),
        content: CompanionContent::Html {
            html: ad.html,
            btype: ad.btype,
        },
    };
    banners(table, folder).into_iter().map(companion).collect()
}

fn image(table: &Table<'_>, attributes: Vec<u32>) -> Option<CompanionAd> {
    for key in ["html", "html_file", "btype", "sizes"] {
        if let Some(node) = table.get(key) {
            node.problem(
                format!("a companion with an `image` has no `{key}`"),
                "leave one of the two out",
            );
        }
    }
    let size = table
        .need("size", "size = \"300x250\"")
        .and_then(|n| quantity::size(&n));
    let mime = table
        .need("mime", "mime = \"image/png\"")
        .and_then(|n| mime_type(&n));
    let url = table.get("image").and_then(|n| secure_url(&n));
    let (w, h) = size?;
    Some(CompanionAd {
        w,
        h,
        attributes,
        content: CompanionContent::Image {
            url: url?,
            mime: mime?,
        },
    })
}
