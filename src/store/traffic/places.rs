//! Sites, apps and publishers that are not bought.

use crate::openrtb::request::{Channel, ChannelKind};
use std::collections::HashSet;

/// The longest name that DNS can carry, in text.
const DOMAIN_BYTES_MAX: usize = 253;

/// Names in lower case; look-ups do not care about case.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// With their subdomains.
    domains: HashSet<Box<str>>,
    apps: HashSet<Box<str>>,
    publishers: HashSet<Box<str>>,
}

/// Text that names no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no place: write `news.example`, `app:com.example.game` or `publisher:1234`")]
pub struct NotAPlace(pub String);

impl Places {
    /// Adds `news.example`, `app:BUNDLE` or `publisher:ID`.
    ///
    /// # Errors
    /// The text is none of these.
    pub fn add(&mut self, text: &str) -> Result<(), NotAPlace> {
        let name = text.trim().to_ascii_lowercase();
        let (into, name) = match name.split_once(':') {
            Some(("app", bundle)) => (&mut self.apps, bundle.trim().to_owned()),
            Some(("publisher", id)) => (&mut self.publishers, id.trim().to_owned()),
            Some(_) => return Err(NotAPlace(text.to_owned())),
            None => (
                &mut self.domains,
                domain(&name).ok_or_else(|| NotAPlace(text.to_owned()))?,
            ),
        };
        if name.is_empty() {
            return Err(NotAPlace(text.to_owned()));
        }
        into.insert(name.into());
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.domains.len() + self.apps.len() + self.publishers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the ad would be shown in one of the places. Allocates nothing.
    pub fn cover(&self, channel: &Channel) -> bool {
        if self.is_empty() {
            return false;
        }
        let page = channel.page.and_then(host);
        let domains = [channel.domain, channel.publisher_domain, page];
        let bundle = channel.bundle.filter(|_| channel.kind == ChannelKind::App);
        domains.into_iter().flatten().any(|name| self.covers_domain(name))
            || bundle.is_some_and(|bundle| has(&self.apps, bundle))
            || channel.publisher_id.is_some_and(|id| has(&self.publishers, id))
    }

    fn covers_domain(&self, name: &str) -> bool {
        let name = name.trim_ascii().trim_end_matches('.');
        let mut lower = [0; DOMAIN_BYTES_MAX];
        let Some(name) = lowered(name, &mut lower) else {
            return false;
        };
        let starts = name.match_indices('.').map(|(at, _)| at + 1);
        std::iter::once(0)
            .chain(starts)
            .any(|start| self.domains.contains(&name[start..]))
    }
}

/// Ids of stores and publishers are short; a longer one is none that a list names.
fn has(names: &HashSet<Box<str>>, name: &str) -> bool {
    let mut lower = [0; DOMAIN_BYTES_MAX];
    lowered(name.trim_ascii(), &mut lower).is_some_and(|name| names.contains(name))
}

fn lowered<'b>(name: &str, into: &'b mut [u8; DOMAIN_BYTES_MAX]) -> Option<&'b str> {
    let place = into.get_mut(..name.len())?;
    place.copy_from_slice(name.as_bytes());
    place.make_ascii_lowercase();
    // ASCII letters alone were changed, in place: the bytes are as much UTF-8 as before.
    std::str::from_utf8(place).ok()
}

/// The host of a page's URL.
fn host(page: &str) -> Option<&str> {
    let rest = page.split_once("://").map_or(page, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.split(':').next()
}

fn domain(name: &str) -> Option<String> {
    let name = name.strip_prefix("www.").unwrap_or(name).trim_end_matches('.');
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_') || !b.is_ascii())
    };
    let fits = name.contains('.') && name.len() <= DOMAIN_BYTES_MAX && name.split('.').all(label);
    fits.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(lines: &[&str], channel: &Channel) -> bool {
        let mut places = Places::default();
        lines.iter().for_each(|line| places.add(line).expect("a place"));
        places.cover(channel)
    }

    #[test]
    fn sites_with_their_subdomains_apps_and_publishers_are_found() {
        let site = Channel {
            kind: ChannelKind::Site,
            domain: Some("Sport.News.example"),
            publisher_id: Some("P1"),
            ..Channel::default()
        };
        for (lines, expected) in [
            (&["news.example"][..], true),
            (&["WWW.news.example"], true),
            (&["sport.news.example"], true),
            (&["other.example", "publisher:p1"], true),
            (&["ws.example"], false),
            (&["more.sport.news.example"], false),
            (&["app:sport.news.example"], false),
            (&[], false),
        ] {
            assert_eq!(blocked(lines, &site), expected, "{lines:?}");
        }
        let page = Channel {
            kind: ChannelKind::Site,
            page: Some("https://a:b@m.news.example:8443/x?y=other.example"),
            ..Channel::default()
        };
        assert!(blocked(&["news.example"], &page));
        assert!(!blocked(&["other.example"], &page));
        let app = Channel {
            kind: ChannelKind::App,
            bundle: Some("com.Bad.App"),
            ..Channel::default()
        };
        assert!(blocked(&["app:com.bad.app"], &app));
        assert!(!blocked(&["bad.app"], &app));
    }

    #[test]
    fn what_names_no_place_is_refused() {
        for text in [
            "",
            "news",
            "app:",
            "site:news.example",
            "a b.example",
            "https://news.example",
        ] {
            assert!(Places::default().add(text).is_err(), "{text}");
        }
    }
}
