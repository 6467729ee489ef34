//! Sections 3.2.11, 3.2.12 and 7.3: private auctions, and deals that the bidder knows (`--deal`).

use crate::certify::answer::Bid;
use crate::certify::case::{Case, Flaw, Section, Verdict, ensure, fails, not_tested};
use crate::certify::edit::set;
use crate::certify::stage::{Base, Format, Stage};
use serde_json::{Value, json};

const TOLERANCE: f64 = 1e-6;

pub fn cases() -> Vec<Case> {
    [private(), unknown(), known(), terms(), buyers()]
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
    Case::new(Section::Deals, id, spec, title, run)
}

fn private() -> Vec<Case> {
    vec![
        case(
            "deals.private.unknown",
            "3.2.11",
            "a private auction of deals that are not ours is not bid in",
            |stage| {
                stage.no_bid(open(stage)?, |request| {
                    offer(request, 1, json!([{"id": "certify-no-deal", "bidfloor": 0.01}]))
                })
            },
        ),
        case(
            "deals.private.empty",
            "3.2.11",
            "a private auction without deals is not bid in",
            |stage| stage.no_bid(open(stage)?, |request| offer(request, 1, json!([]))),
        ),
        case(
            "deals.private.video",
            "3.2.11",
            "a private auction for a video is private too",
            |stage| {
                let base = stage.base(Format::Video)?;
                stage.no_bid(base, |request| {
                    offer(request, 1, json!([{"id": "certify-no-deal", "bidfloor": 0.01}]))
                })
            },
        ),
        case(
            "deals.private.native",
            "3.2.11",
            "a private auction for a native ad is private too",
            |stage| {
                let base = stage.base(Format::Native)?;
                stage.no_bid(base, |request| {
                    offer(request, 1, json!([{"id": "certify-no-deal", "bidfloor": 0.01}]))
                })
            },
        ),
        case(
            "deals.private.zero",
            "3.2.11",
            "deals beside an open auction are no reason not to bid",
            |stage| {
                stage
                    .still_bids(open(stage)?, |request| {
                        offer(request, 0, json!([{"id": "certify-no-deal", "bidfloor": 0.01}]))
                    })
                    .map(drop)
            },
        ),
        case(
            "deals.private.absent",
            "3.2.11",
            "an auction is open unless it says otherwise",
            |stage| {
                stage
                    .still_bids(open(stage)?, |request| {
                        set(
                            request,
                            "imp.0.pmp",
                            json!({"deals": [{"id": "certify-no-deal", "bidfloor": 0.01}]}),
                        );
                    })
                    .map(drop)
            },
        ),
    ]
}

fn unknown() -> Vec<Case> {
    vec![
        case(
            "deals.unknown.named",
            "3.2.12",
            "a deal that is not ours is not bid with",
            |stage| {
                let answer = stage.still_bids(open(stage)?, |request| {
                    offer(request, 0, json!([{"id": "certify-no-deal", "bidfloor": 0.01}]));
                })?;
                let claimed = answer
                    .bids()
                    .into_iter()
                    .find(|bid| !bid.text("dealid").is_empty());
                ensure(claimed.is_none(), || "a dealid that nobody agreed on".into())
            },
        ),
        case(
            "deals.unknown.floor",
            "7.11",
            "the floor of a deal is none for the open auction",
            |stage| {
                stage
                    .still_bids(open(stage)?, |request| {
                        offer(
                            request,
                            0,
                            json!([{"id": "certify-no-deal", "bidfloor": 900_000}]),
                        );
                    })
                    .map(drop)
            },
        ),
        case(
            "deals.none.named",
            "4.2.3",
            "a bid names no deal where none was offered",
            |stage| {
                stage.every_bid("no bid was found", |base| {
                    (base.format != Format::Deal).then(|| {
                        ensure(base.bid.text("dealid").is_empty(), || {
                            "a dealid out of nowhere".into()
                        })
                    })
                })
            },
        ),
        case(
            "deals.malformed",
            "3.2.12",
            "deals without an id are none",
            |stage| {
                stage
                    .still_bids(open(stage)?, |request| {
                        offer(request, 0, json!([{"bidfloor": 1.0}, {"id": ""}]));
                    })
                    .map(drop)
            },
        ),
    ]
}

fn known() -> Vec<Case> {
    vec![
        case(
            "deals.known.echo",
            "3.2.12",
            "a bid on a deal names it",
            |stage| {
                if !stage.settings.deals.is_empty() && stage.base(Format::Deal).is_err() {
                    return fails("none of the deals that were named with --deal is bid on");
                }
                let (base, deal) = known_deal(stage)?;
                let answer = stage.still_bids(base, |request| {
                    offer(request, 1, json!([{"id": deal, "bidfloor": 0.01}]))
                })?;
                let strange = answer.bids().into_iter().find(|bid| bid.text("dealid") != deal);
                ensure(strange.is_none(), || {
                    "a bid in a private auction that does not name its deal".into()
                })
            },
        ),
        case(
            "deals.known.second",
            "3.2.12",
            "a deal is found in a list of them",
            |stage| {
                let (base, deal) = known_deal(stage)?;
                let deals = json!([{"id": "certify-a", "bidfloor": 0.01}, {"id": deal, "bidfloor": 0.01}, {"id": "certify-b"}]);
                let answer = stage.still_bids(base, |request| offer(request, 1, deals.clone()))?;
                let strange = answer.bids().into_iter().find(|bid| bid.text("dealid") != deal);
                ensure(strange.is_none(), || {
                    "a bid with another deal than the one that is ours".into()
                })
            },
        ),
        case(
            "deals.known.case",
            "3.2.12",
            "the id of a deal is compared as it is",
            |stage| {
                let (base, deal) = known_deal(stage)?;
                let other = format!("{deal}-certify");
                stage.no_bid(base, |request| {
                    offer(request, 1, json!([{"id": other, "bidfloor": 0.01}]))
                })
            },
        ),
        case(
            "deals.known.open",
            "7.3",
            "deals and the open auction are answered together or apart, each bid known",
            |stage| {
                let (base, deal) = known_deal(stage)?;
                let answer = stage.still_bids(base, |request| {
                    offer(request, 0, json!([{"id": deal, "bidfloor": 0.01}]))
                })?;
                let strange = answer
                    .bids()
                    .into_iter()
                    .find(|bid| !["", deal.as_str()].contains(&bid.text("dealid")));
                ensure(strange.is_none(), || "a dealid that was not offered".into())
            },
        ),
    ]
}

fn terms() -> Vec<Case> {
    vec![
        case(
            "deals.floor.above",
            "3.2.12, 7.11",
            "no bid on a deal is below its floor",
            |stage| {
                let (base, deal) = known_deal(stage)?;
                let floor = base.bid.price() * 1.5;
                let lift = |request: &mut Value| offer(request, 1, json!([{"id": deal, "bidfloor": 0.01}]));
                let edit = |request: &mut Value| offer(request, 1, json!([{"id": deal, "bidfloor": floor}]));
                stage.never_unlike(base, lift, edit, "a bid below the floor of its deal", |bid| {
                    below(bid, floor)
                })
            },
        ),
        case(
            "deals.floor.instead",
            "7.11",
            "the floor of a deal takes the place of the floor of the imp",
            |stage| {
                let (base, deal) = known_deal(stage)?;
                stage
                    .still_bids(base, |request| {
                        offer(request, 1, json!([{"id": deal, "bidfloor": 0.01}]));
                        set(request, "imp.0.bidfloor", json!(900_000));
                    })
                    .map(drop)
            },
        ),
        case(
            "deals.floor.imp",
            "7.11",
            "a deal without a floor has that of the imp",
            |stage| {
                let (base, deal) = known_deal(stage)?;
                let floor = base.bid.price() * 1.5;
                let lift = |request: &mut Value| offer(request, 1, json!([{"id": deal}]));
                let edit = |request: &mut Value| {
                    offer(request, 1, json!([{"id": deal}]));
                    set(request, "imp.0.bidfloor", json!(floor));
                };
                stage.never_unlike(base, lift, edit, "a bid below the floor of the imp", |bid| {
                    below(bid, floor)
                })
            },
        ),
        case(
            "deals.floor.currency",
            "3.2.12",
            "the floor of a deal is in dollars, whatever the currency of the imp's",
            |stage| {
                let (base, deal) = known_deal(stage)?;
                // As dollars far above any bid; as yen it would be nothing.
                let floor = base.bid.price() * 3.0;
                let lift = |request: &mut Value| offer(request, 1, json!([{"id": deal, "bidfloor": 0.01}]));
                let edit = |request: &mut Value| {
                    offer(request, 1, json!([{"id": deal, "bidfloor": floor}]));
                    set(request, "imp.0.bidfloorcur", json!("JPY"));
                };
                stage.never_unlike(
                    base,
                    lift,
                    edit,
                    "a bid below the deal's floor in dollars",
                    |bid| below(bid, floor),
                )
            },
        ),
        case(
            "deals.at.fixed",
            "3.2.12",
            "a fixed price (at = 3) is bid exactly",
            |stage| {
                let (base, deal) = known_deal(stage)?;
                let price = (base.bid.price() * 50.0).round() / 100.0;
                let answer = stage.still_bids(base, |request| {
                    offer(request, 1, json!([{"id": deal, "bidfloor": price, "at": 3}]));
                })?;
                let other = answer
                    .bids()
                    .into_iter()
                    .find(|bid| (bid.price() - price).abs() > TOLERANCE);
                ensure(other.is_none(), || {
                    format!(
                        "{} was bid; agreed is {price}",
                        other.map_or(0.0, |bid| bid.price())
                    )
                })
            },
        ),
        case(
            "deals.at.second",
            "3.2.12",
            "a deal may have an auction type of its own",
            |stage| {
                let (base, deal) = known_deal(stage)?;
                stage
                    .still_bids(base, |r| {
                        offer(r, 1, json!([{"id": deal, "bidfloor": 0.01, "at": 2}]))
                    })
                    .map(drop)
            },
        ),
        case(
            "deals.guaranteed",
            "3.2.12",
            "a guaranteed deal is bid on",
            |stage| {
                let (base, deal) = known_deal(stage)?;
                stage
                    .still_bids(base, |r| {
                        offer(r, 1, json!([{"id": deal, "bidfloor": 0.01, "guar": 1}]))
                    })
                    .map(drop)
            },
        ),
        case(
            "deals.blocks",
            "3.2.1",
            "a deal does not lift what a publisher blocks",
            |stage| {
                let (base, deal) = known_deal(stage)?;
                let domains = json!(base.bid.texts("adomain"));
                let edit = |request: &mut Value| {
                    offer(request, 1, json!([{"id": deal, "bidfloor": 0.01}]));
                    request["badv"] = domains.clone();
                };
                let ours: Vec<String> = base
                    .bid
                    .texts("adomain")
                    .iter()
                    .map(|domain| domain.to_string())
                    .collect();
                stage.never(base, edit, "a bid of a blocked advertiser", |bid| {
                    bid.texts("adomain")
                        .iter()
                        .any(|domain| ours.iter().any(|own| own == domain))
                })
            },
        ),
    ]
}

fn buyers() -> Vec<Case> {
    vec![
        case(
            "deals.wseat.other",
            "3.2.12",
            "a deal for other seats is not bid on",
            |stage| {
                let (base, deal) = known_deal(stage)?;
                stage.no_bid(base, |r| {
                    offer(
                        r,
                        1,
                        json!([{"id": deal, "bidfloor": 0.01, "wseat": ["certify-no-seat"]}]),
                    )
                })
            },
        ),
        case(
            "deals.wseat.ours",
            "3.2.12",
            "a deal for our seat is bid on",
            |stage| {
                let (base, deal) = known_deal(stage)?;
                let Some(seat) = base.bid.seat.clone() else {
                    return not_tested("bids name no seat");
                };
                stage
                    .still_bids(base, |r| {
                        offer(r, 1, json!([{"id": deal, "bidfloor": 0.01, "wseat": [seat]}]))
                    })
                    .map(drop)
            },
        ),
        case(
            "deals.wadomain.other",
            "3.2.12",
            "a deal for other advertisers is not bid on",
            |stage| {
                let (base, deal) = known_deal(stage)?;
                stage.no_bid(base, |r| {
                offer(r, 1, json!([{"id": deal, "bidfloor": 0.01, "wadomain": ["certify-no-advertiser.example"]}]));
            })
            },
        ),
        case(
            "deals.wadomain.ours",
            "3.2.12",
            "a deal for our advertiser is bid on",
            |stage| {
                let (base, deal) = known_deal(stage)?;
                let domains = json!(base.bid.texts("adomain"));
                stage
                    .still_bids(base, |r| {
                        offer(r, 1, json!([{"id": deal, "bidfloor": 0.01, "wadomain": domains}]))
                    })
                    .map(drop)
            },
        ),
    ]
}

fn open<'s>(stage: &'s Stage) -> Result<&'s Base, Flaw> {
    stage.any()
}

fn known_deal<'s>(stage: &'s Stage) -> Result<(&'s Base, String), Flaw> {
    if stage.settings.deals.is_empty() {
        return not_tested("no deal was named; name one that the bidder knows with --deal");
    }
    let base = stage.base(Format::Deal)?;
    Ok((base, base.bid.text("dealid").to_owned()))
}

fn offer(request: &mut Value, private: i64, deals: Value) {
    set(
        request,
        "imp.0.pmp",
        json!({"private_auction": private, "deals": deals}),
    );
}

fn below(bid: &Bid, floor: f64) -> bool {
    bid.price() < floor - TOLERANCE
}
