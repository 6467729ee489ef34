//! Section 4.4: the macros that a bidder leaves to the exchange, in its notices and its markup.

use crate::certify::answer::Bid;
use crate::certify::case::{Case, Section, Verdict, ensure, fails, not_tested};
use crate::certify::markup;
use crate::certify::stage::Stage;
use crate::certify::url;

/// All that section 4.4 defines.
pub(super) const MACROS: [&str; 14] = [
    "AUCTION_ID",
    "AUCTION_BID_ID",
    "AUCTION_IMP_ID",
    "AUCTION_SEAT_ID",
    "AUCTION_AD_ID",
    "AUCTION_PRICE",
    "AUCTION_CURRENCY",
    "AUCTION_MBR",
    "AUCTION_LOSS",
    "AUCTION_MIN_TO_WIN",
    "AUCTION_MULTIPLIER",
    "AUCTION_IMP_TS",
    "AUCTION_DISCOUNT_PCT",
    "AUCTION_DISCOUNT_CPM",
];

pub fn cases() -> Vec<Case> {
    vec![
        asks_for(
            "macros.nurl.price",
            "nurl",
            &["AUCTION_PRICE"],
            "a win notice asks for the price",
        ),
        asks_for(
            "macros.burl.price",
            "burl",
            &["AUCTION_PRICE"],
            "a billing notice asks for the price",
        ),
        asks_for(
            "macros.lurl.reason",
            "lurl",
            &["AUCTION_LOSS"],
            "a loss notice asks for the reason",
        ),
        asks_for(
            "macros.lurl.price",
            "lurl",
            &["AUCTION_PRICE", "AUCTION_MIN_TO_WIN"],
            "a loss notice asks what would have won",
        ),
        known_only(
            "macros.known.notices",
            "notices have macros of section 4.4 only",
            |bid| {
                ["nurl", "burl", "lurl"]
                    .iter()
                    .map(|key| bid.text(key).to_owned())
                    .collect()
            },
        ),
        of_bid(
            "macros.known.markup",
            "markup has AUCTION macros of section 4.4 only",
            |bid| {
                let strange = names(bid.markup())
                    .into_iter()
                    .find(|name| is_auction(name) && !is_known(name));
                ensure(strange.is_none(), || {
                    format!("`${{{}}}` in adm", strange.unwrap_or_default())
                })
            },
        ),
        of_bid("macros.closed", "a macro that begins ends", |bid| {
            let texts = [bid.text("nurl"), bid.text("burl"), bid.text("lurl"), bid.markup()];
            let open = texts
                .into_iter()
                .any(|text| text.split("${AUCTION_").skip(1).any(|rest| !rest.contains('}')));
            ensure(!open, || "`${AUCTION_` without its brace".into())
        }),
        of_bid("macros.own", "a bidder's own placeholders are filled in", |bid| {
            let own = ["{{", "%%", "[%", "<%", "${WIDTH}", "${HEIGHT}", "${LANDING"];
            let left = own.into_iter().find(|mark| bid.markup().contains(mark));
            ensure(left.is_none(), || {
                format!("`{}` is left in adm", left.unwrap_or_default())
            })
        }),
        of_bid(
            "macros.substituted",
            "a notice is a URL once its macros are filled in",
            |bid| {
                for key in ["nurl", "burl", "lurl"] {
                    let filled = substitute(bid.text(key), &[("AUCTION_PRICE", "1.5")]);
                    let sound = url::split(&filled).is_some() && !filled.contains(['{', '}', ' ']);
                    if !filled.is_empty() && !sound {
                        return fails(format!("{key} becomes `{filled}`"));
                    }
                }
                Ok(())
            },
        ),
        of_bid(
            "macros.loss.win",
            "a win notice does not ask why it lost",
            |bid| {
                ensure(!names(bid.text("nurl")).contains(&"AUCTION_LOSS"), || {
                    "${AUCTION_LOSS} in nurl".into()
                })
            },
        ),
        of_bid(
            "macros.host",
            "the notices of a bid go to one host, and it is a name",
            |bid| {
                let urls = ["nurl", "burl", "lurl"].map(|key| bid.text(key).to_owned());
                let hosts: Vec<String> = urls
                    .iter()
                    .filter_map(|url| url::split(url))
                    .map(|(_, host, _)| host.to_owned())
                    .collect();
                ensure(hosts.iter().all(|host| !host.contains(['$', '{', '@'])), || {
                    format!("hosts are {hosts:?}")
                })
            },
        ),
        Case::new(
            Section::Macros,
            "macros.own-notices",
            "4.4",
            "each bid has notices of its own",
            |stage| {
                let base = stage.any_sample("with a notice", |bid| {
                    !bid.text("nurl").is_empty() || !bid.text("burl").is_empty()
                })?;
                let (_, first) = stage.fresh_bid(base)?;
                let (_, second) = stage.fresh_bid(base)?;
                let key = if first.text("nurl").is_empty() {
                    "burl"
                } else {
                    "nurl"
                };
                // By what the bidder writes, or by an id that the exchange fills in.
                let told_apart = first.text(key) != second.text(key)
                    || names(first.text(key))
                        .iter()
                        .any(|name| matches!(*name, "AUCTION_ID" | "AUCTION_BID_ID"));
                ensure(told_apart, || {
                    "two bids have the same notice: which of them won cannot be told".into()
                })
            },
        ),
        Case::new(
            Section::Macros,
            "macros.markup.price",
            "4.4",
            "markup that reports an impression may ask for the price",
            |stage: &Stage| {
                let asking = stage.any_sample("whose markup asks for the price", |bid| {
                    names(bid.markup()).contains(&"AUCTION_PRICE")
                })?;
                let filled = substitute(asking.bid.markup(), &[("AUCTION_PRICE", "1.5")]);
                let kind = markup::kind(&filled);
                ensure(kind == markup::kind(asking.bid.markup()), || {
                    "with its macros filled in, adm is broken".into()
                })
            },
        ),
    ]
}

/// Fills in macros as an exchange does, with or without an encoding (`${NAME:X}`); those without a value become empty.
/// What is no macro of section 4.4 is left.
pub fn substitute(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${") {
        filled.push_str(before);
        let end = behind.find('}').unwrap_or(behind.len());
        let name = behind[..end].split(':').next().unwrap_or_default();
        if is_known(name) && end < behind.len() {
            let value = values.iter().find(|(key, _)| *key == name);
            filled.push_str(value.map_or("", |(_, value)| value));
            rest = &behind[end + 1..];
        } else {
            filled.push_str("${");
            rest = behind;
        }
    }
    filled.push_str(rest);
    filled
}

fn asks_for(
    id: &'static str,
    key: &'static str,
    names_of: &'static [&'static str],
    title: &'static str,
) -> Case {
    Case::new(Section::Macros, id, "4.4", title, move |stage| {
        let why = format!("no bid has a {key}");
        stage.every_bid(&why, |base| {
            let found = names(base.bid.text(key))
                .iter()
                .any(|name| names_of.contains(name));
            (!base.bid.text(key).is_empty())
                .then(|| ensure(found, || format!("none of {names_of:?} is in {key}")))
        })
    })
}

fn known_only(id: &'static str, title: &'static str, texts: impl Fn(&Bid) -> Vec<String> + 'static) -> Case {
    of_bid(id, title, move |bid| {
        for text in texts(bid) {
            if let Some(name) = names(&text).into_iter().find(|name| !is_known(name)) {
                return fails(format!("`${{{name}}}` in {text}; no exchange fills that in"));
            }
        }
        Ok(())
    })
}

fn of_bid(id: &'static str, title: &'static str, judge: impl Fn(&Bid) -> Verdict + 'static) -> Case {
    Case::new(Section::Macros, id, "4.4", title, move |stage| {
        if stage.bases().is_empty() {
            return not_tested("no bid was found");
        }
        stage.every_bid("no bid was found", |base| Some(judge(&base.bid)))
    })
}

/// The names of all `${…}`, without their encodings.
fn names(text: &str) -> Vec<&str> {
    let pieces = text.split("${").skip(1);
    pieces
        .filter_map(|piece| piece.split_once('}'))
        .map(|(name, _)| name.split(':').next().unwrap_or(name))
        .collect()
}

fn is_known(name: &str) -> bool {
    MACROS.contains(&name)
}

fn is_auction(name: &str) -> bool {
    name.starts_with("AUCTION_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macros_are_filled_in_with_and_without_encodings() {
        let values = [("AUCTION_PRICE", "1.5"), ("AUCTION_CURRENCY", "USD")];
        for (text, expected) in [
            ("p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}", "p=1.5&c=USD"),
            ("p=${AUCTION_PRICE:B64}", "p=1.5"),
            ("l=${AUCTION_LOSS}", "l="),
            ("u=${OTHER}&p=${AUCTION_PRICE}", "u=${OTHER}&p=1.5"),
            ("p=${AUCTION_PRICE", "p=${AUCTION_PRICE"),
        ] {
            assert_eq!(substitute(text, &values), expected);
        }
    }
}
