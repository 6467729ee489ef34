//! `creatives/NAME.toml` → creatives. Keys beside `[[creative]]` hold for all creatives of the file.
//! Invariant: a creative that could never be served (no size, no markup, no media) is refused.

use super::advertiser::STATUSES;
use super::document::{Document, Node, Table};
use super::exchange::APPROVALS;
use super::files::Folder;
use super::layers::Layers;
use super::names::{Names, resolve};
use super::problem::Report;
use super::{linear, native, quantity};
use crate::store::campaigns::definition::{Ad, Advertiser, Approval, BannerAd, Creative, Status};
use jiff::tz::TimeZone;
use std::collections::HashMap;

#[rustfmt::skip]
pub(super) const KEYS: &[&str] = &[
    "advertiser", "status", "landing_url", "domains", "categories", "cattax", "attributes", "apis", "languages",
    "valid", "bundle", "approvals", "ai_generated", "iurl", "groups", "id", "banner", "video", "audio", "native",
];
pub(super) const FILE_KEYS: &[&str] = &[
    "advertiser",
    "status",
    "landing_url",
    "domains",
    "categories",
    "cattax",
    "attributes",
    "apis",
    "languages",
    "valid",
    "bundle",
    "approvals",
    "ai_generated",
    "iurl",
    "groups",
    "creative",
];
pub(super) const BANNER_KEYS: &[&str] = &["size", "sizes", "html", "html_file", "btype", "expands"];

/// AdCOM markup types of banners.
const BANNER_TYPES: &[(&str, u32)] = &[("text", 1), ("image", 2), ("script", 3), ("iframe", 4)];

/// AdCOM expandable directions.
#[rustfmt::skip]
const DIRECTIONS: &[(&str, u32)] =
    &[("left", 1), ("right", 2), ("up", 3), ("down", 4), ("full-screen", 5), ("resize", 6)];

/// What creatives refer to.
pub(super) struct References<'a> {
    pub advertisers: &'a [Advertiser],
    /// Index into `advertisers` by id.
    pub by_id: &'a HashMap<String, usize>,
    pub exchanges: &'a [&'a str],
    pub folder: &'a Folder,
}

/// All creatives, and the indices that an id stands for: one, or one of each size.
#[derive(Default)]
pub(super) struct Creatives {
    pub all: Vec<Creative>,
    pub by_id: HashMap<String, Vec<usize>>,
}

impl Creatives {
    pub fn read(&mut self, document: &Document, refs: &References<'_>, ids: &mut Names, report: &Report) {
        let tree = document.parse(report);
        let file = Table::root(document, &tree, FILE_KEYS, report);
        for table in file.tables("creative", KEYS) {
            if let Some(sizes) = read_sizes(
                &table,
                &Layers::of(file.clone()).with(Some(table.clone())),
                refs,
                ids,
            ) {
                self.add(sizes);
            }
        }
    }

    fn add(&mut self, (id, creatives): (String, Vec<Creative>)) {
        let first = self.all.len();
        for (i, creative) in creatives.iter().enumerate() {
            self.by_id.insert(creative.id.clone(), vec![first + i]);
        }
        self.by_id.insert(id, (first..first + creatives.len()).collect());
        self.all.extend(creatives);
    }
}

/// One creative, or `ID-300x250` and so on where a banner has several sizes. What has an id can be referred to even
/// where it is unusable: one mistake is one problem.
fn read_sizes(
    table: &Table<'_>,
    levels: &Layers<'_>,
    refs: &References<'_>,
    ids: &mut Names,
) -> Option<(String, Vec<Creative>)> {
    let id = ids.read(table);
    let ads = read_ads(table, refs.folder);
    let shared = read_shared(table, levels, refs);
    let id = id?;
    let mut creatives = Vec::new();
    check_expansion(table, &shared, ads.first().map(|(_, ad)| ad));
    for (suffix, ad) in ads {
        let one = format!("{id}{suffix}");
        if !suffix.is_empty() && !table.get("id").is_some_and(|node| ids.claim(&one, &node)) {
            continue;
        }
        creatives.push(Creative {
            id: one,
            ad,
            ..shared.clone()
        });
    }
    Some((id, creatives))
}

/// A banner that expands says so in its attributes, which publishers block it by, and into which directions.
fn check_expansion(table: &Table<'_>, creative: &Creative, ad: Option<&Ad>) {
    let Some(Ad::Banner(banner)) = ad else { return };
    match (creative.is_expandable(), banner.expands.is_empty()) {
        (false, false) => table.problem(
            "`expands` belongs to a banner that expands, and no attribute says that this one does",
            "add attribute 3 (by itself), 4 (on a click) or 5 (on a rollover)",
        ),
        (true, true) => table.note(
            "this banner expands, and nothing says into which directions: it is shown only where all are permitted",
            "write for example `banner.expands = [\"down\"]`",
        ),
        _ => {}
    }
}

/// Everything but the ad itself.
fn read_shared(table: &Table<'_>, levels: &Layers<'_>, refs: &References<'_>) -> Creative {
    if levels.get("advertiser").is_none() {
        table.need("advertiser", "advertiser = \"acme\"");
    }
    let landing = levels
        .get("landing_url")
        .or_else(|| table.need("landing_url", "landing_url = \"https://shop.example/\""));
    let landing_url = landing.as_ref().and_then(quantity::url);
    if let (Some(node), Some(url)) = (&landing, &landing_url) {
        note_insecure(node, url);
    }
    let advertiser = levels.maybe("advertiser", |n| resolve(n, "advertiser", refs.by_id).copied());
    let owner = advertiser.map(|index| &refs.advertisers[index]);
    let cattax = levels
        .maybe("cattax", |n| n.integer(1..=1000))
        .or(owner.map(|owner| owner.cattax))
        .unwrap_or(1);
    let list = |key: &str, inherited: Option<&Vec<String>>, read: &dyn Fn(&Node<'_>) -> Option<String>| {
        let own = levels.get(key).map(|node| node.list(read));
        own.unwrap_or_else(|| inherited.cloned().unwrap_or_default())
    };
    let numbers = |key: &str, max: i64| {
        levels
            .get(key)
            .map_or_else(Vec::new, |n| n.list(|n| n.integer(1..=max)))
    };
    let domain = owner.map(|owner| vec![owner.domain.clone()]);
    Creative {
        id: String::new(),
        advertiser: advertiser.unwrap_or(0),
        status: levels
            .maybe("status", |n| n.choice(STATUSES))
            .unwrap_or(Status::Active),
        groups: list("groups", None, &quantity::id),
        domains: list("domains", domain.as_ref(), &quantity::domain),
        categories: list("categories", owner.map(|owner| &owner.categories), &|n| {
            quantity::category(n, cattax)
        }),
        cattax,
        attributes: numbers("attributes", 1000),
        apis: numbers("apis", 100),
        landing_url: landing_url.unwrap_or_default(),
        languages: list("languages", None, &quantity::language),
        valid: levels
            .maybe("valid", |n| quantity::flight(n, &zone_of(owner)))
            .unwrap_or_default(),
        bundle: levels.maybe("bundle", |n| n.name()),
        approvals: approvals(levels, refs.exchanges),
        ai_generated: levels.maybe("ai_generated", Node::boolean).unwrap_or(false),
        image_url: levels.maybe("iurl", review_image),
        ad: Ad::Banner(BannerAd {
            w: 0,
            h: 0,
            html: String::new(),
            btype: 0,
            expands: Vec::new(),
        }),
    }
}

fn zone_of(owner: Option<&Advertiser>) -> TimeZone {
    owner
        .and_then(|owner| TimeZone::get(&owner.time_zone).ok())
        .unwrap_or(TimeZone::UTC)
}

fn approvals(levels: &Layers<'_>, exchanges: &[&str]) -> Vec<(String, Approval)> {
    let tables = levels.table("approvals", exchanges);
    let state = |name: &&str| {
        let approval = tables.maybe(name, |n| n.choice(APPROVALS))?;
        Some(((*name).to_owned(), approval))
    };
    exchanges.iter().filter_map(state).collect()
}

/// The ads of one `[[creative]]` with the suffix of their ids; empty where it is unusable.
fn read_ads(table: &Table<'_>, folder: &Folder) -> Vec<(String, Ad)> {
    let formats = ["banner", "video", "audio", "native"];
    let given: Vec<&str> = formats
        .into_iter()
        .filter(|key| table.get(key).is_some())
        .collect();
    match given[..] {
        ["banner"] => {
            let ads = table
                .table("banner", BANNER_KEYS)
                .map_or_else(Vec::new, |t| banners(&t, folder));
            ads.into_iter()
                .map(|(suffix, ad)| (suffix, Ad::Banner(ad)))
                .collect()
        }
        ["video"] => alone(
            table
                .table("video", linear::VIDEO_KEYS)
                .and_then(|t| linear::video(&t, folder))
                .map(Ad::Video),
        ),
        ["audio"] => alone(
            table
                .table("audio", linear::AUDIO_KEYS)
                .and_then(|t| linear::audio(&t, folder))
                .map(Ad::Audio),
        ),
        ["native"] => alone(
            table
                .table("native", native::KEYS)
                .and_then(|t| native::read(&t))
                .map(Ad::Native),
        ),
        _ => {
            let what = format!(
                "this creative has {} of `banner`, `video`, `audio` and `native`",
                given.len()
            );
            table.problem(&what, "give it exactly one");
            Vec::new()
        }
    }
}

fn alone(ad: Option<Ad>) -> Vec<(String, Ad)> {
    ad.map(|ad| (String::new(), ad)).into_iter().collect()
}

/// Markup in each of its sizes, with the suffix that tells them apart.
pub(super) fn banners(table: &Table<'_>, folder: &Folder) -> Vec<(String, BannerAd)> {
    let html = markup(table, folder);
    let btype = table.read("btype", 2, |n| n.choice(BANNER_TYPES));
    let expands = table
        .get("expands")
        .map_or_else(Vec::new, |n| n.list(|n| n.choice(DIRECTIONS)));
    let sizes = sizes(table);
    let Some(html) = html else { return Vec::new() };
    let banner = |(suffix, (w, h)): (String, (u32, u32))| {
        let html = html
            .replace("${WIDTH}", &w.to_string())
            .replace("${HEIGHT}", &h.to_string());
        let expands = expands.clone();
        #[rustfmt::skip]
        let ad = BannerAd { w, h, html, btype, expands };
        (suffix, ad)
    };
    sizes.into_iter().map(banner).collect()
}

/// `size` is the creative itself, `sizes` are creatives of their own with the size behind their id.
fn sizes(table: &Table<'_>) -> Vec<(String, (u32, u32))> {
    match (table.get("size"), table.get("sizes")) {
        (Some(node), None) => quantity::size(&node)
            .map(|size| (String::new(), size))
            .into_iter()
            .collect(),
        (None, Some(node)) => {
            let sizes = node.list(quantity::size);
            if sizes.is_empty() {
                node.problem(
                    "there is no size",
                    "write for example `[\"300x250\", \"728x90\"]`",
                );
            }
            sizes
                .into_iter()
                .map(|(w, h)| (format!("-{w}x{h}"), (w, h)))
                .collect()
        }
        _ => {
            table.problem(
                "this banner needs one of `size` and `sizes`",
                "write for example `size = \"300x250\"`",
            );
            Vec::new()
        }
    }
}

fn markup(table: &Table<'_>, folder: &Folder) -> Option<String> {
    let (html, node) = match (table.get("html"), table.get("html_file")) {
        (Some(node), None) => (node.text()?.to_owned(), node),
        (None, Some(node)) => {
            let text = folder.text_beside("creatives", node.text()?);
            let text = text.map_err(|what| node.problem(what, "name a file beside this one"));
            (text.ok()?, node)
        }
        _ => {
            table.problem(
                "this banner needs one of `html` and `html_file`",
                "write the markup, or the file that holds it",
            );
            return None;
        }
    };
    if html.trim().is_empty() {
        node.problem("the markup is empty", "write what the browser shall show");
        return None;
    }
    if !html.contains("${CLICK_URL}") {
        node.note(
            "the markup has no `${CLICK_URL}`: its clicks are not counted",
            "link to `${CLICK_URL}`",
        );
    }
    note_insecure(&node, &html);
    Some(html)
}

pub(super) fn mime_type(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    let part = |s: &str| {
        !s.is_empty()
            && s.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-+.".contains(&b))
    };
    if !text
        .split_once('/')
        .is_some_and(|(kind, form)| part(kind) && part(form))
    {
        node.problem(
            format!("`{text}` is no MIME type"),
            "write for example `video/mp4`",
        );
        return None;
    }
    Some(text.to_ascii_lowercase())
}

/// A URL that the user's browser will load; `http` works, but not everywhere.
pub(super) fn secure_url(node: &Node<'_>) -> Option<String> {
    let url = quantity::url(node)?;
    note_insecure(node, &url);
    Some(url)
}

/// `iurl`: the exchange keeps what it finds there, so the URL is the same in every bid (section 4.2.3).
fn review_image(node: &Node<'_>) -> Option<String> {
    let url = secure_url(node)?;
    if url.contains("${") || url.contains("%%") {
        node.problem(
            format!("`{url}` holds a macro"),
            "write the URL of one image, the same for every bid",
        );
        return None;
    }
    Some(url)
}

fn note_insecure(node: &Node<'_>, text: &str) {
    if text.contains("http://") {
        node.note(
            "this holds an http URL: imps with secure = 1 do not get this creative",
            "use https",
        );
    }
}
