//! Sections 3.2.25 and 3.2.26, supplychainobject.md: who sells, and through whom.
//!
//! Invariant: what a bidder makes of a bad chain is its own policy; that it answers, and with a fitting reason, is not.

use super::{Change, apply, harmless};
use crate::certify::case::{Case, Section, Verdict, fails, not_tested};
use crate::certify::stage::{Format, Stage};

pub(super) const HARMLESS: &[Change] = &[
    Change {
        id: "supply.source.absent",
        spec: "3.2.2",
        title: "a request need not say where it comes from",
        edits: &[("source", "null")],
    },
    Change {
        id: "supply.source.final",
        spec: "3.2.2",
        title: "who decides upstream is no reason not to bid",
        edits: &[("source.fd", "1"), ("source.pchain", r#""certify!1""#)],
    },
    Change {
        id: "supply.tid",
        spec: "3.2.2",
        title: "transaction ids are no reason not to bid",
        edits: &[
            ("source.tid", r#""certify-tid-2""#),
            ("imp.0.ext.tid", r#""certify-tid-3""#),
        ],
    },
    Change {
        id: "supply.publisher.absent",
        spec: "3.2.15",
        title: "a site need not name its publisher",
        edits: &[("site.publisher", "null")],
    },
    Change {
        id: "supply.partner-domain",
        spec: "3.2.13",
        title: "a partner of the inventory may be named",
        edits: &[("site.inventorypartnerdomain", r#""partner.example""#)],
    },
];

const COMPLETE: &str =
    r#"{"complete":1,"ver":"1.0","nodes":[{"asi":"exchange.example","sid":"certify-pub","hp":1}]}"#;

/// Chains that make sense: answered as a request without one, wherever they stand.
const COMPLETE_AT: &[(&str, &str, &str, &str)] = &[
    (
        "supply.chain.now",
        "3.2.25",
        "a complete chain in source.schain is no reason not to bid",
        "source.schain",
    ),
    (
        "supply.chain.2-5",
        "2.5 position",
        "a complete chain in source.ext.schain is no reason not to bid",
        "source.ext.schain",
    ),
    (
        "supply.chain.2-4",
        "2.4 position",
        "a complete chain in ext.schain is no reason not to bid",
        "ext.schain",
    ),
];

/// Chains that make less sense.
const DOUBTFUL: &[(&str, &str, &str, &str)] = &[
    (
        "supply.chain.incomplete",
        "3.2.25, nbr 16",
        "an incomplete chain is bid on, or refused for that",
        r#"{"complete":0,"ver":"1.0","nodes":[{"asi":"exchange.example","sid":"1","hp":1}]}"#,
    ),
    (
        "supply.chain.empty",
        "3.2.25, nbr 16",
        "a chain without nodes is bid on, or refused for that",
        r#"{"complete":1,"ver":"1.0","nodes":[]}"#,
    ),
    (
        "supply.chain.no-hp",
        "3.2.26",
        "a node without hp is bid on, or refused for that",
        r#"{"complete":1,"ver":"1.0","nodes":[{"asi":"exchange.example","sid":"1"}]}"#,
    ),
    (
        "supply.chain.no-sid",
        "3.2.26",
        "a node without a seller is bid on, or refused for that",
        r#"{"complete":1,"ver":"1.0","nodes":[{"asi":"exchange.example","hp":1}]}"#,
    ),
    (
        "supply.chain.long-sid",
        "3.2.26",
        "a seller id above 64 characters is bid on, or refused for that",
        r#"{"complete":1,"ver":"1.0","nodes":[{"asi":"exchange.example","sid":"0123456789012345678901234567890123456789012345678901234567890123456789","hp":1}]}"#,
    ),
    (
        "supply.chain.version",
        "3.2.25",
        "a chain of a version to come is bid on, or refused for that",
        r#"{"complete":1,"ver":"2.0","nodes":[{"asi":"exchange.example","sid":"1","hp":1}]}"#,
    ),
    (
        "supply.chain.type",
        "3.2.25",
        "a chain that is no object is bid on, or refused for that",
        r#""1.0,1!exchange.example,1,1""#,
    ),
    (
        "supply.chain.nodes-type",
        "3.2.25",
        "nodes that are no list are bid on, or refused for that",
        r#"{"complete":1,"ver":"1.0","nodes":{"asi":"exchange.example"}}"#,
    ),
];

pub fn cases() -> Vec<Case> {
    let complete = COMPLETE_AT.iter().map(|&(id, spec, title, path)| {
        Case::new(Section::SupplyChain, id, spec, title, move |stage| {
            answered_fittingly(stage, &[(path, COMPLETE)])
        })
    });
    let doubtful = DOUBTFUL.iter().map(|&(id, spec, title, chain)| {
        Case::new(Section::SupplyChain, id, spec, title, move |stage| {
            answered_fittingly(stage, &[("source.schain", chain)])
        })
    });
    harmless(Section::SupplyChain, Format::Banner, HARMLESS)
        .chain(complete)
        .chain(doubtful)
        .chain([many_hops(), hops_of_another()])
        .collect()
}

fn many_hops() -> Case {
    let title = "a chain of two hundred hops is bid on, or refused for that";
    Case::new(
        Section::SupplyChain,
        "supply.chain.hops",
        "3.2.25",
        title,
        |stage| {
            let node = r#"{"asi":"exchange.example","sid":"1","hp":1}"#;
            let chain = format!(
                r#"{{"complete":1,"ver":"1.0","nodes":[{}]}}"#,
                vec![node; 200].join(",")
            );
            answered_fittingly(stage, &[("source.schain", &chain)])
        },
    )
}

fn hops_of_another() -> Case {
    let title = "a chain in two positions does no harm";
    Case::new(
        Section::SupplyChain,
        "supply.chain.twice",
        "3.2.25",
        title,
        |stage| {
            answered_fittingly(
                stage,
                &[("source.schain", COMPLETE), ("source.ext.schain", COMPLETE)],
            )
        },
    )
}

/// A bid, or a no-bid whose reason is about who sells.
fn answered_fittingly(stage: &Stage, edits: &[(&str, &str)]) -> Verdict {
    let base = stage.base(Format::Banner)?;
    stage.fresh_bid(base)?;
    let mut silent = false;
    for _ in 0..4 {
        let mut request = stage.fresh(&base.request);
        apply(&mut request, edits);
        let answer = stage.ask(&request)?;
        match (answer.bids().is_empty(), answer.no_bid_reason()) {
            (false, _) => return Ok(()),
            // 11 to 17 are ads.txt, ads.cert and the supply chain; 500 and above are the exchange's own.
            (true, Some(reason))
                if (11..=14).contains(&reason) || (16..=17).contains(&reason) || reason >= 500 =>
            {
                return Ok(());
            }
            (true, Some(reason)) => {
                return fails(format!(
                    "refused with reason {reason}; fitting are 11-14, 16 and 17"
                ));
            }
            (true, None) => silent = true,
        }
    }
    if silent {
        not_tested("not bid on, and no reason is given: it may be the bidder's policy")
    } else {
        Ok(())
    }
}
