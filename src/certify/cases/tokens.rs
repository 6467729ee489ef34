//! Notices and clicks that a stranger made up, and where clicks lead (sections 4.2.3 and 4.3).
//!
//! Invariant: what is made up differs from a true one, which is taken, in its token alone.

use super::macros::substitute;
use super::notices::{bid_with, case, deliver, filled, shares_host, taken};
use crate::certify::Flaw;
use crate::certify::answer::{Answer, Bid};
use crate::certify::case::{Case, ensure, not_tested};
use crate::certify::client::Call;
use crate::certify::markup;
use crate::certify::stage::Stage;
use crate::certify::url;

pub fn cases() -> Vec<Case> {
    forged().into_iter().chain(clicks()).collect()
}

fn forged() -> Vec<Case> {
    let refused = |stage: &Stage, key: &'static str, forge: fn(&str) -> Option<String>| {
        let bid = bid_with(stage, key)?;
        taken(&deliver(stage, &Call::get(""), &filled(&bid, key))?)?;
        let Some(url) = forge(&filled(&bid, key)) else {
            return not_tested(format!("the {key} holds nothing like a token"));
        };
        let answer = deliver(stage, &Call::get(""), &url)?;
        ensure((400..500).contains(&answer.status()), || {
            format!(
                "a forged notice was answered {}; right would be a 4xx",
                answer.status()
            )
        })
    };
    vec![
        case(
            "notices.forged.win",
            "4.2.3",
            "a forged win notice is refused",
            move |s| refused(s, "nurl", change_token),
        ),
        case(
            "notices.forged.bill",
            "4.2.3",
            "a forged billing notice is refused",
            move |s| refused(s, "burl", change_token),
        ),
        case(
            "notices.forged.loss",
            "4.2.3",
            "a forged loss notice is refused",
            move |s| refused(s, "lurl", change_token),
        ),
        case(
            "notices.forged.truncated",
            "4.2.3",
            "a notice with half a token is refused",
            move |s| {
                refused(s, "burl", |url| {
                    let (start, end) = token(url)?;
                    Some(format!("{}{}", &url[..start + (end - start) / 2], &url[end..]))
                })
            },
        ),
        case(
            "notices.forged.missing",
            "4.2.3",
            "a notice without a token is refused",
            move |s| {
                refused(s, "burl", |url| {
                    let (start, end) = token(url)?;
                    Some(format!("{}{}", &url[..start], &url[end..]))
                })
            },
        ),
        case(
            "notices.forged.garbage",
            "4.2.3",
            "a notice of which the token is garbage is refused",
            move |s| {
                refused(s, "burl", |url| {
                    let (start, end) = token(url)?;
                    Some(format!("{}%00%FF%27%22%3C{}", &url[..start], &url[end..]))
                })
            },
        ),
    ]
}

fn clicks() -> Vec<Case> {
    vec![
        case(
            "notices.click",
            "4.3",
            "a click leads on to an absolute address",
            |stage| {
                let (url, _) = click(stage)?;
                let answer = deliver(stage, &Call::get(""), &url)?;
                let location = answer.reply.header("location").unwrap_or_default();
                ensure(is_redirect(&answer) && location.contains("://"), || {
                    format!(
                        "{} to `{location}`; right would be 302 to the landing page",
                        answer.status()
                    )
                })
            },
        ),
        case(
            "notices.click.twice",
            "4.3",
            "a second click leads on as well",
            |stage| {
                let (url, _) = click(stage)?;
                deliver(stage, &Call::get(""), &url)?;
                let answer = deliver(stage, &Call::get(""), &url)?;
                ensure(is_redirect(&answer), || {
                    format!("{}; right would be 302", answer.status())
                })
            },
        ),
        case(
            "notices.click.open",
            "safety",
            "a click does not lead to an address from the query",
            |stage| {
                let (url, _) = click(stage)?;
                let joint = if url.contains('?') { '&' } else { '?' };
                let evil = "https%3A%2F%2Fcertify-evil.example%2F";
                let lure = ["url", "r", "u", "redirect", "dest", "landing", "to", "l"]
                    .map(|key| format!("{key}={evil}"))
                    .join("&");
                let answer = deliver(stage, &Call::get(""), &format!("{url}{joint}{lure}"))?;
                let location = answer
                    .reply
                    .header("location")
                    .unwrap_or_default()
                    .to_ascii_lowercase();
                let host = url::split(&location)
                    .map(|(_, host, _)| host.to_owned())
                    .unwrap_or_default();
                ensure(!host.contains("certify-evil"), || {
                    format!("the click leads to {location}")
                })
            },
        ),
        case(
            "notices.click.forged",
            "safety",
            "a forged click leads nowhere",
            |stage| {
                let (url, _) = click(stage)?;
                let Some(forged) = change_token(&url) else {
                    return not_tested("the click URL holds nothing like a token");
                };
                let answer = deliver(stage, &Call::get(""), &forged)?;
                ensure((400..500).contains(&answer.status()), || {
                    format!("{}; right would be a 4xx", answer.status())
                })
            },
        ),
    ]
}

/// The token of a URL of the bidder's.
pub(super) fn token_text(url: &str) -> Option<&str> {
    token(url).map(|(start, end)| &url[start..end])
}

/// Changes one character in the middle of the token.
pub(super) fn change_token(url: &str) -> Option<String> {
    let (start, end) = token(url)?;
    let middle = start + (end - start) / 2;
    let other = if url.as_bytes()[middle] == b'A' { "B" } else { "A" };
    Some(format!("{}{other}{}", &url[..middle], &url[middle + 1..]))
}

/// A click on an ad that is counted by the bidder.
fn click(stage: &Stage) -> Result<(String, Bid), Flaw> {
    let counted = |bid: &Bid| markup::click_url(bid.markup()).is_some_and(|url| shares_host(bid, &url));
    let base = stage.any_sample("whose clicks the bidder counts", counted)?;
    let (_, bid) = stage.fresh_bid(base)?;
    match markup::click_url(bid.markup()) {
        Some(url) => Ok((substitute(&url, &[]), bid)),
        None => not_tested("no bid has a click URL any more"),
    }
}

fn is_redirect(answer: &Answer) -> bool {
    matches!(answer.status(), 301 | 302 | 303 | 307 | 308)
}

/// Where the longest run of token characters of path and query stands; none where it is too short to be one.
fn token(url: &str) -> Option<(usize, usize)> {
    let (_, _, target) = url::split(url)?;
    let offset = url.len() - target.len();
    let of_token = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let mut best = (0, 0);
    let mut start = 0;
    for (at, byte) in target.bytes().chain([b'/']).enumerate() {
        if !of_token(byte) {
            if at - start > best.1 - best.0 {
                best = (start, at);
            }
            start = at + 1;
        }
    }
    (best.1 - best.0 >= 16).then_some((offset + best.0, offset + best.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_changed_in_its_middle_alone() {
        let url = "http://b.example/n/win?t=0123456789abcdefXYZ&p=1";
        let forged = change_token(url).unwrap();
        assert_eq!(forged.len(), url.len());
        assert_eq!(forged.bytes().zip(url.bytes()).filter(|(a, b)| a != b).count(), 1);
        assert_eq!(change_token("http://b.example/win?p=1"), None);
    }
}
