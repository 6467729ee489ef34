//! Definitions for tests: one advertiser, its campaigns and creatives, nothing constrained unless a test says so.

use outbid::store::campaigns::definition::*;
use outbid::units::{Cpm, Limits, Spread};

pub fn one_line_item() -> Definitions {
    Definitions {
        advertisers: vec![advertiser("a")],
        campaigns: vec![campaign("c", 0, vec![line_item("li", vec!["banner".into()])])],
        creatives: vec![creative("banner", 0, banner_ad(300, 250))],
        ..Definitions::default()
    }
}

pub fn advertiser(id: &str) -> Advertiser {
    Advertiser {
        id: id.into(),
        name: id.into(),
        domain: format!("{id}.example"),
        categories: Vec::new(),
        cattax: 1,
        time_zone: "UTC".into(),
        do_not_disturb: None,
        status: Status::Active,
    }
}

pub fn campaign(id: &str, advertiser: usize, line_items: Vec<LineItem>) -> Campaign {
    Campaign {
        id: id.into(),
        name: id.into(),
        advertiser,
        status: Status::Active,
        budget: Limits::default(),
        pacing: Spread::AsFastAsPossible,
        exploration: 0.0,
        reallocation: None,
        flight: Flight::default(),
        line_items,
    }
}

pub fn line_item(id: &str, creatives: Vec<String>) -> LineItem {
    LineItem {
        id: id.into(),
        status: Status::Active,
        budget: Limits::default(),
        pacing: Spread::AsFastAsPossible,
        flight: Flight::default(),
        in_stock: true,
        targeting: Targeting::default(),
        bid: BidStrategy::Cpm(Cpm(1_000_000)),
        ltv: LifetimeValue::default(),
        kpi: None,
        relevance: Relevance::default(),
        max_bid: None,
        multipliers: Vec::new(),
        caps: Vec::new(),
        suppressions: Vec::new(),
        back_off: None,
        without_id: WithoutId::Bid,
        creatives,
        part_of: None,
        deliver_deals: false,
        open_beside_deals: false,
        roadblock: false,
        slot_in_pod: None,
    }
}

pub fn creative(id: &str, advertiser: usize, ad: Ad) -> Creative {
    Creative {
        id: id.into(),
        advertiser,
        status: Status::Active,
        groups: Vec::new(),
        domains: Vec::new(),
        categories: Vec::new(),
        cattax: 1,
        attributes: Vec::new(),
        apis: Vec::new(),
        landing_url: "https://a.example/".into(),
        languages: Vec::new(),
        valid: Flight::default(),
        bundle: None,
        approvals: Vec::new(),
        ai_generated: false,
        image_url: None,
        ad,
    }
}

pub fn banner_ad(w: u32, h: u32) -> Ad {
    Ad::Banner(BannerAd {
        w,
        h,
        html: String::new(),
        btype: 4,
        expands: Vec::new(),
    })
}

/// The first line item of the first campaign.
pub fn item(definitions: &mut Definitions) -> &mut LineItem {
    &mut definitions.campaigns[0].line_items[0]
}
