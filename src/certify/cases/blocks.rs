//! Section 3.2.1: what a publisher does not want, derived from what was bid: advertisers, categories, apps, seats, languages.
//!
//! Invariant: the request without the block is bid on with just what the block forbids.

use crate::certify::answer::Bid;
use crate::certify::case::{Case, Flaw, Section, Verdict, ensure, not_tested};
use crate::certify::stage::{Base, Format, Stage};
use serde_json::{Value, json};

pub fn cases() -> Vec<Case> {
    [advertisers(), categories(), apps(), seats(), languages()]
        .into_iter()
        .flatten()
        .collect()
}

fn case(
    id: &'static str,
    spec: &'static str,
    title: &'static str,
    run: impl Fn(&Stage) -> Verdict + 'static,
) -> Case {
    Case::new(Section::Blocks, id, spec, title, run)
}

fn advertisers() -> Vec<Case> {
    vec![
        case(
            "blocks.badv.exact",
            "3.2.1",
            "a blocked advertiser does not bid",
            |stage| without_advertiser(stage, Format::Banner, |domain| domain.to_owned()),
        ),
        case(
            "blocks.badv.case",
            "3.2.1",
            "a domain is blocked whatever its case",
            |stage| without_advertiser(stage, Format::Banner, |domain| domain.to_ascii_uppercase()),
        ),
        case(
            "blocks.badv.parent",
            "3.2.1",
            "a blocked domain blocks its subdomains",
            |stage| {
                let base = with_domain(stage, "with a subdomain as adomain", |domain| {
                    parent(domain).is_some()
                })?;
                let domain = first_domain(&base.bid);
                let blocked = parent(&domain).unwrap_or_default();
                let mut blocks = list(&base.request["badv"]);
                blocks.push(json!(blocked));
                let edit = |request: &mut Value| request["badv"] = json!(blocks);
                stage.never(base, edit, "a bid of a subdomain of a blocked domain", |bid| {
                    bid.texts("adomain")
                        .iter()
                        .any(|found| is_within(found, &blocked))
                })
            },
        ),
        case(
            "blocks.badv.subdomain-only",
            "3.2.1",
            "a blocked subdomain does not block the domain above it",
            |stage| {
                let base = with_domain(stage, "with an adomain", |_| true)?;
                let blocked = format!("certify.{}", first_domain(&base.bid));
                still_bids_itself(stage, base, |request| push(request, "badv", json!(blocked)))
            },
        ),
        case(
            "blocks.badv.label",
            "3.2.1",
            "a domain is not blocked by the end of its name alone",
            |stage| {
                let base = with_domain(stage, "with a long adomain", |domain| domain.find('.') > Some(2))?;
                let blocked = first_domain(&base.bid)[1..].to_owned();
                still_bids_itself(stage, base, |request| push(request, "badv", json!(blocked)))
            },
        ),
        case(
            "blocks.badv.many",
            "3.2.1",
            "one blocked advertiser among twenty thousand is blocked",
            |stage| {
                let base = with_domain(stage, "with an adomain", |_| true)?;
                let domain = first_domain(&base.bid);
                let mut many: Vec<Value> = (0..20_000)
                    .map(|n| json!(format!("blocked-{n}.example")))
                    .collect();
                many.insert(13_000, json!(domain));
                let others = many
                    .iter()
                    .filter(|entry| **entry != json!(domain))
                    .cloned()
                    .collect::<Vec<_>>();
                let edit = |request: &mut Value| request["badv"] = json!(many);
                let lift = |request: &mut Value| request["badv"] = json!(others);
                stage.never_unlike(base, lift, edit, "a bid of a blocked advertiser", |bid| {
                    has_domain(bid, &domain)
                })
            },
        ),
        case(
            "blocks.badv.video",
            "3.2.1",
            "a blocked advertiser does not bid on video",
            |stage| without_advertiser(stage, Format::Video, |domain| domain.to_owned()),
        ),
        case(
            "blocks.badv.native",
            "3.2.1",
            "a blocked advertiser does not bid on native",
            |stage| without_advertiser(stage, Format::Native, |domain| domain.to_owned()),
        ),
        case(
            "blocks.badv.app",
            "3.2.1",
            "a blocked advertiser does not bid in apps",
            |stage| without_advertiser(stage, Format::App, |domain| domain.to_owned()),
        ),
    ]
}

fn categories() -> Vec<Case> {
    let child = |bid: &Bid| bid.texts("cat").iter().any(|cat| cat.contains('-')) && bid.taxonomy() == 1;
    vec![
        case(
            "blocks.bcat.exact",
            "3.2.1",
            "an ad of a blocked category does not bid",
            |stage| {
                let base = with_category(stage, "with a category", |bid| !bid.texts("cat").is_empty())?;
                let (category, taxonomy) = (first_category(&base.bid), base.bid.taxonomy());
                stage.never(
                    base,
                    |r| block_category(r, &category, taxonomy),
                    "a bid of a blocked category",
                    |bid| bid.texts("cat").contains(&category.as_str()),
                )
            },
        ),
        case(
            "blocks.bcat.parent",
            "3.2.1",
            "a blocked category blocks those below it",
            move |stage| {
                let base = with_category(stage, "with a category below another", child)?;
                let category = first_child(&base.bid);
                let above = category.split('-').next().unwrap_or_default().to_owned();
                stage.never(
                    base,
                    |r| block_category(r, &above, 1),
                    "a bid of a category below a blocked one",
                    |bid| {
                        bid.texts("cat")
                            .iter()
                            .any(|found| found.split('-').next() == Some(&above))
                    },
                )
            },
        ),
        case(
            "blocks.bcat.child",
            "3.2.1",
            "a blocked category does not block the one above it",
            |stage| {
                let above = |bid: &Bid| {
                    let categories = bid.texts("cat");
                    bid.taxonomy() == 1
                        && !categories.is_empty()
                        && categories.iter().all(|cat| !cat.contains('-'))
                };
                let base = with_category(stage, "with a category of the first level alone", above)?;
                let blocked = format!("{}-99", first_category(&base.bid));
                still_bids_itself(stage, base, |request| block_category(request, &blocked, 1))
            },
        ),
        case(
            "blocks.bcat.prefix",
            "3.2.1",
            "IAB1 and IAB10 are different categories",
            |stage| {
                let base = with_category(stage, "with a category of a number above 9", |bid| {
                    bid.taxonomy() == 1 && short_name(bid).is_some()
                })?;
                let blocked = short_name(&base.bid).unwrap_or_default();
                still_bids_itself(stage, base, |request| block_category(request, &blocked, 1))
            },
        ),
        case(
            "blocks.bcat.taxonomy",
            "3.2.1",
            "the same text in another taxonomy is another category",
            |stage| {
                let base = with_category(stage, "with a category", |bid| !bid.texts("cat").is_empty())?;
                let (category, other) = (
                    first_category(&base.bid),
                    if base.bid.taxonomy() == 2 { 6 } else { 2 },
                );
                still_bids_itself(stage, base, |request| block_category(request, &category, other))
            },
        ),
        case(
            "blocks.bcat.default-taxonomy",
            "3.2.1",
            "blocked categories without a taxonomy are of taxonomy 1",
            |stage| {
                let base = with_category(stage, "with a category of taxonomy 1", |bid| {
                    bid.taxonomy() == 1 && !bid.texts("cat").is_empty()
                })?;
                let category = first_category(&base.bid);
                let edit = |request: &mut Value| push(request, "bcat", json!(category));
                stage.never(base, edit, "a bid of a blocked category", |bid| {
                    bid.taxonomy() == 1 && bid.texts("cat").contains(&category.as_str())
                })
            },
        ),
        case(
            "blocks.acat.ours",
            "3.2.1",
            "an ad of an allowed category bids",
            |stage| {
                let base = with_category(stage, "with a category", |bid| !bid.texts("cat").is_empty())?;
                let (categories, taxonomy) = (json!(base.bid.texts("cat")), base.bid.taxonomy());
                let edit = |request: &mut Value| allow_categories(request, &categories, taxonomy);
                stage.still_bids(base, edit).map(drop)
            },
        ),
        case(
            "blocks.acat.other",
            "3.2.1",
            "an ad of no allowed category does not bid",
            |stage| {
                let base = with_category(stage, "with a category", |bid| !bid.texts("cat").is_empty())?;
                let taxonomy = base.bid.taxonomy();
                let allowed = json!(["IAB25-1"]);
                let edit = |request: &mut Value| allow_categories(request, &allowed, taxonomy);
                stage.never(base, edit, "a bid of a category that is not allowed", |bid| {
                    !bid.texts("cat").iter().any(|found| found.starts_with("IAB25"))
                })
            },
        ),
    ]
}

fn apps() -> Vec<Case> {
    vec![case(
        "blocks.bapp",
        "3.2.1",
        "a blocked app is not advertised",
        |stage| {
            let base = stage.any_sample("for an app (`bundle`)", |bid| !bid.text("bundle").is_empty())?;
            let bundle = base.bid.text("bundle").to_owned();
            stage.never(
                base,
                |request| request["bapp"] = json!([bundle]),
                "a bid for a blocked app",
                |bid| bid.text("bundle") == bundle,
            )
        },
    )]
}

fn seats() -> Vec<Case> {
    vec![
        case("blocks.wseat.ours", "3.2.1", "an allowed seat bids", |stage| {
            let (base, seat) = with_seat(stage)?;
            stage
                .still_bids(base, |request| {
                    request["wseat"] = json!(["certify-no-seat", seat])
                })
                .map(drop)
        }),
        case(
            "blocks.wseat.other",
            "3.2.1",
            "a seat that is not allowed does not bid",
            |stage| {
                let (base, _) = with_seat(stage)?;
                stage.no_bid(base, |request| request["wseat"] = json!(["certify-no-seat"]))
            },
        ),
        case(
            "blocks.wseat.case",
            "3.2.1",
            "a seat id is compared as it is",
            |stage| {
                let (base, seat) = with_seat(stage)?;
                let other = format!("{seat}-certify");
                stage.no_bid(base, |request| request["wseat"] = json!([other]))
            },
        ),
        case(
            "blocks.bseat.ours",
            "3.2.1",
            "a blocked seat does not bid",
            |stage| {
                let (base, seat) = with_seat(stage)?;
                stage.never(
                    base,
                    |r| r["bseat"] = json!([seat]),
                    "a bid of a blocked seat",
                    |bid| bid.seat.as_deref().is_none_or(|found| found == seat),
                )
            },
        ),
        case(
            "blocks.seat.named",
            "3.2.1, 4.2.2",
            "where seats are restricted, bids name their seat",
            |stage| {
                let (base, seat) = with_seat(stage)?;
                let answer = stage.still_bids(base, |request| request["wseat"] = json!([seat]))?;
                let stranger = answer
                    .bids()
                    .into_iter()
                    .find(|bid| bid.seat.as_deref() != Some(seat.as_str()));
                ensure(stranger.is_none(), || {
                    "a bid without the seat that was allowed".into()
                })
            },
        ),
    ]
}

fn languages() -> Vec<Case> {
    vec![
        case(
            "blocks.wlang.ours",
            "3.2.1",
            "an ad in an allowed language bids",
            |stage| {
                let (base, language) = with_language(stage)?;
                stage
                    .still_bids(base, |request| request["wlang"] = json!(["mt", language]))
                    .map(drop)
            },
        ),
        case(
            "blocks.wlang.other",
            "3.2.1",
            "an ad in no allowed language does not bid",
            |stage| {
                let (base, _) = with_language(stage)?;
                stage.never(
                    base,
                    |r| r["wlang"] = json!(["mt"]),
                    "a bid in a language that is not allowed",
                    |bid| !matches!(language_of(bid).as_deref(), None | Some("mt" | "xx")),
                )
            },
        ),
        case(
            "blocks.wlang.case",
            "3.2.1",
            "a language is the same in capitals",
            |stage| {
                let (base, language) = with_language(stage)?;
                let capital = language.to_ascii_uppercase();
                stage
                    .still_bids(base, |request| request["wlang"] = json!([capital]))
                    .map(drop)
            },
        ),
        case(
            "blocks.wlangb.ours",
            "3.2.1",
            "an ad in an allowed language of BCP 47 bids",
            |stage| {
                let (base, language) = with_language(stage)?;
                stage
                    .still_bids(base, |request| request["wlangb"] = json!([language]))
                    .map(drop)
            },
        ),
        case(
            "blocks.wlangb.other",
            "3.2.1",
            "an ad in no allowed language of BCP 47 does not bid",
            |stage| {
                let (base, _) = with_language(stage)?;
                stage.never(
                    base,
                    |r| r["wlangb"] = json!(["mt-MT"]),
                    "a bid in a language that is not allowed",
                    |bid| !matches!(language_of(bid).as_deref(), None | Some("mt" | "xx")),
                )
            },
        ),
    ]
}

fn without_advertiser(stage: &Stage, format: Format, write: impl Fn(&str) -> String) -> Verdict {
    let base = stage.sample(format, "with an adomain", |bid| !bid.texts("adomain").is_empty())?;
    let domain = first_domain(&base.bid);
    let edit = |request: &mut Value| push(request, "badv", json!(write(&domain)));
    stage.never(base, edit, "a bid of a blocked advertiser", |bid| {
        has_domain(bid, &domain)
    })
}

fn with_domain<'s>(stage: &'s Stage, having: &str, has: impl Fn(&str) -> bool) -> Result<&'s Base, Flaw> {
    stage.any_sample(having, |bid| {
        bid.texts("adomain").first().is_some_and(|domain| has(domain))
    })
}

fn with_category<'s>(stage: &'s Stage, having: &str, has: impl Fn(&Bid) -> bool) -> Result<&'s Base, Flaw> {
    stage.any_sample(having, has)
}

fn with_seat<'s>(stage: &'s Stage) -> Result<(&'s Base, String), Flaw> {
    let base = stage.any_sample("with a seat", |bid| bid.seat.is_some())?;
    Ok((base, base.bid.seat.clone().unwrap_or_default()))
}

fn with_language<'s>(stage: &'s Stage) -> Result<(&'s Base, String), Flaw> {
    let base = stage.any_sample("that says its language", |bid| {
        language_of(bid).is_some_and(|l| l != "xx")
    })?;
    match language_of(&base.bid) {
        Some(language) => Ok((base, language)),
        None => not_tested("no bid says its language"),
    }
}

fn language_of(bid: &Bid) -> Option<String> {
    let tag = [bid.text("language"), bid.text("langb")]
        .into_iter()
        .find(|tag| !tag.is_empty())?;
    Some(tag.split('-').next().unwrap_or(tag).to_ascii_lowercase())
}

fn first_domain(bid: &Bid) -> String {
    bid.texts("adomain")
        .first()
        .map(|domain| domain.to_ascii_lowercase())
        .unwrap_or_default()
}

fn first_category(bid: &Bid) -> String {
    bid.texts("cat")
        .first()
        .map(|category| category.to_string())
        .unwrap_or_default()
}

fn first_child(bid: &Bid) -> String {
    bid.texts("cat")
        .into_iter()
        .find(|category| category.contains('-'))
        .unwrap_or_default()
        .to_owned()
}

/// `IAB1` where every category of the bid is one of `IAB10` to `IAB19`, and so on.
fn short_name(bid: &Bid) -> Option<String> {
    let categories = bid.texts("cat");
    let number = categories.first()?.strip_prefix("IAB")?.split('-').next()?;
    let short = format!("IAB{}", number.get(..1)?);
    let other = |category: &&str| category.split('-').next() != Some(short.as_str());
    (number.len() == 2 && categories.iter().all(other)).then_some(short)
}

fn has_domain(bid: &Bid, domain: &str) -> bool {
    bid.texts("adomain").iter().any(|found| is_within(found, domain))
}

fn is_within(found: &str, domain: &str) -> bool {
    let found = found.to_ascii_lowercase();
    found == domain
        || found
            .strip_suffix(domain)
            .is_some_and(|front| front.ends_with('.'))
}

/// The domain one label up, if that is still somebody's and not a public suffix of one label.
fn parent(domain: &str) -> Option<String> {
    let above = domain.split_once('.')?.1;
    above.contains('.').then(|| above.to_ascii_lowercase())
}

fn block_category(request: &mut Value, category: &str, taxonomy: i64) {
    request["cattax"] = json!(taxonomy);
    request["bcat"] = json!([category]);
}

fn allow_categories(request: &mut Value, categories: &Value, taxonomy: i64) {
    request["cattax"] = json!(taxonomy);
    request["acat"] = categories.clone();
}

/// The advertiser of the base bids in spite of the edit, where the others that are known cannot bid in its place.
fn still_bids_itself(stage: &Stage, base: &Base, edit: impl Fn(&mut Value)) -> Verdict {
    let own = first_domain(&base.bid);
    let known = stage.bases().iter().flat_map(|base| base.bid.texts("adomain"));
    let mut others: Vec<&str> = known
        .filter(|domain| !is_within(&own, &domain.to_ascii_lowercase()))
        .collect();
    others.sort_unstable();
    others.dedup();
    let answer = stage.still_bids(base, |request| {
        request["badv"] = json!(others);
        edit(request);
    })?;
    let itself = own.is_empty() || answer.bids().iter().any(|bid| has_domain(bid, &own));
    ensure(itself, || {
        format!("{own} does not bid, although nothing of it is blocked")
    })
}

/// Adds to what the base blocks already, which is why it shows this bid.
fn push(request: &mut Value, key: &str, value: Value) {
    let mut all = list(&request[key]);
    all.push(value);
    request[key] = Value::Array(all);
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}
