//! The `native` table of a creative → assets that a native request can ask for.

use super::creative::secure_url;
use super::document::{Node, Table};
use super::quantity;
use crate::store::campaigns::definition::{NativeAd, NativeImage};

#[rustfmt::skip]
pub(super) const KEYS: &[&str] = &[
    "title", "icon", "main", "privacy_url", "sponsored", "desc", "rating", "likes", "downloads", "price",
    "sale_price", "phone", "address", "desc2", "display_url", "cta", "impression_script",
];

/// Data asset types (OpenRTB Native 1.2, section 7.4).
const DATA: &[(&str, u32)] = &[
    ("sponsored", 1),
    ("desc", 2),
    ("rating", 3),
    ("likes", 4),
    ("downloads", 5),
    ("price", 6),
    ("sale_price", 7),
    ("phone", 8),
    ("address", 9),
    ("desc2", 10),
    ("display_url", 11),
    ("cta", 12),
];
/// Image asset types (section 7.3).
const IMAGES: &[(&str, u32)] = &[("icon", 1), ("main", 3)];

pub(super) fn read(table: &Table<'_>) -> Option<NativeAd> {
    let title = table
        .need("title", "title = \"A chair for life\"")
        .and_then(|n| n.name());
    let data = DATA
        .iter()
        .filter_map(|(key, kind)| Some((*kind, table.maybe(key, Node::name)?)));
    Some(NativeAd {
        data: data.collect(),
        images: IMAGES
            .iter()
            .filter_map(|(key, kind)| image(table, key, *kind))
            .collect(),
        privacy_url: table.maybe("privacy_url", quantity::url),
        impression_script: table.get("impression_script").and_then(|n| secure_url(&n)),
        title: title?,
    })
}

fn image(table: &Table<'_>, key: &str, kind: u32) -> Option<NativeImage> {
    let image = table.table(key, &["url", "size"])?;
    let (url, size) = (
        image.need("url", "url = \"https://cdn.example/a.png\""),
        image.need("size", "size = \"300x300\""),
    );
    let (w, h) = quantity::size(&size?)?;
    Some(NativeImage {
        kind,
        url: secure_url(&url?)?,
        w,
        h,
    })
}
