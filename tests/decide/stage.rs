//! A bidder without sockets: a configuration folder, the shipped model and a few people make a snapshot, and requests
//! are decided on it at a given time. Invariant: nothing is shared between two stages but the model and the people.

use outbid::caps::{CapObject, Caps, Noted, Shown, UserFact};
use outbid::config;
use outbid::engine::{self, Bid, Live, Outcome, Parts, People, Scratch, Snapshot, Turn};
use outbid::openrtb::request::Request;
use outbid::openrtb::{RequestBuffers, WireFormat};
use outbid::pacing::{Booking, Budgets};
use outbid::store::models::Model;
use outbid::store::profiles::{Profiles, RamProfiles, read_input};
use outbid::store::traffic::Traffic;
use outbid::units::{BidId, ObjectId, Timestamp, UserKeySecret};
use std::path::Path;
use std::sync::{Arc, LazyLock};

pub const EXCHANGE: &str = "demo";
/// Line items scored where a case does not say.
pub const CANDIDATES: usize = 32;
const SECRET: UserKeySecret = UserKeySecret([7; 16]);

pub static MODEL: LazyLock<Arc<Model>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/registry/ctr/1");
    Model::load(&folder).unwrap_or_else(|error| panic!("{error}"))
});

static PEOPLE: LazyLock<Arc<Profiles>> = LazyLock::new(|| {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/people.jsonl");
    let mut records = Vec::new();
    let mut keep = |record| {
        records.push(record);
        Ok(())
    };
    let report = read_input(&file, &SECRET, &mut |_| {}, &mut keep).expect("a readable file");
    assert_eq!(report.first_bad(), None);
    Arc::new(Profiles::Ram(
        RamProfiles::from_records(records).expect("sound records"),
    ))
});

pub struct Stage {
    pub snapshot: Snapshot,
    pub live: Live,
    pub scratch: Scratch,
    ids: u64,
}

/// What a decision depends on beside the stage.
#[derive(Clone, Copy)]
pub struct At {
    pub now: Timestamp,
    pub seed: u64,
    pub candidates: usize,
}

impl Stage {
    /// Of a configuration folder as it is at `now`.
    pub fn open(folder: &Path, now: Timestamp) -> Stage {
        let loaded = config::load(folder, &|_| None, now).unwrap_or_else(|problems| panic!("{problems}"));
        let (traffic, unusable) = Traffic::open(&loaded.traffic).expect("a readable folder");
        assert!(unusable.is_empty(), "{unusable:?}");
        let parts = Parts {
            definitions: loaded.definitions,
            exchanges: loaded.exchanges,
            rates: loaded.rates,
            supply: Arc::default(),
            traffic: Arc::new(traffic),
            people: People {
                profiles: PEOPLE.clone(),
                secret: SECRET,
                privacy: loaded.privacy,
                eid_sources: loaded.eid_sources,
                time_zone: loaded.default_time_zone,
            },
            model: MODEL.clone(),
            model_name: loaded.models.bid.to_string(),
            public_url: loaded.settings.public_url,
            hash: loaded.hash,
        };
        let live = Live::new(Arc::new(Budgets::new(1000)), Arc::new(Caps::new(1000)));
        let snapshot = Snapshot::build(parts, &live, now).unwrap_or_else(|problems| panic!("{problems:?}"));
        Stage::of(snapshot, live)
    }

    pub fn of(snapshot: Snapshot, live: Live) -> Stage {
        Stage {
            snapshot,
            live,
            scratch: Scratch::default(),
            ids: 0,
        }
    }

    pub fn decide(&mut self, request: &Request, at: At) -> Outcome {
        let Stage {
            snapshot,
            live,
            scratch,
            ids,
        } = self;
        let exchange = snapshot.exchange(EXCHANGE).expect("configured");
        let mut turn = Turn {
            now: at.now,
            seed: at.seed,
            candidates_max: at.candidates,
            next_id: &mut || {
                *ids += 1;
                BidId::new(1, 1, *ids)
            },
            lap: &mut |_| {},
        };
        engine::bid(request, exchange, snapshot, live, scratch, &mut turn)
    }

    fn lose(&self, bid: &Bid) {
        self.live.budgets.release(bid.id);
        if let Some(user) = self.scratch.audience.key {
            let item = &self.snapshot.campaigns.line_items()[bid.candidate.line_item as usize];
            self.live.caps.clear(user, item.counted_as, bid.id);
        }
    }

    /// The person of the last decision clicked what its bids show.
    pub fn click_all(&self, at: Timestamp) {
        for bid in &self.scratch.bids {
            let item = &self.snapshot.campaigns.line_items()[bid.candidate.line_item as usize];
            self.note(at, UserFact::Clicked(item.counted_as));
        }
    }

    /// The person of the last decision bought from an advertiser.
    pub fn buy(&self, advertiser: &str, event: &str, at: Timestamp) {
        let sold = CapObject::bought(ObjectId::of(advertiser), event);
        self.note(at, UserFact::Bought(sold));
    }

    fn note(&self, at: Timestamp, fact: UserFact) {
        if let Some(user) = self.scratch.audience.key {
            self.live.caps.learn(&Noted { user, at, fact });
        }
    }

    /// Every bid of the last decision is won and billed at its price, at once.
    pub fn show_all(&self, bid_at: Timestamp) {
        self.show_all_or_lose(bid_at, &mut |_| false);
    }

    /// The same, but for those that are lost.
    pub fn show_all_or_lose(&self, bid_at: Timestamp, loses: &mut dyn FnMut(&Bid) -> bool) {
        for bid in &self.scratch.bids {
            if loses(bid) {
                self.lose(bid);
                continue;
            }
            let item = &self.snapshot.campaigns.line_items()[bid.candidate.line_item as usize];
            let campaign = &self.snapshot.campaigns.campaigns()[item.campaign];
            let creative = item.creatives[usize::from(bid.candidate.creative)];
            let booking = Booking {
                accounts: &[item.account, campaign.account],
                bid_at,
                reserved: bid.reserved,
                price: bid.reserved,
            };
            self.live.budgets.settle(bid.id, &booking);
            let Some(user) = self.scratch.audience.key else {
                continue;
            };
            let shown = Shown {
                creative: self.snapshot.campaigns.creatives()[creative as usize].id,
                line_item: item.counted_as,
                campaign: campaign.id,
                advertiser: self.snapshot.campaigns.advertisers()[item.advertiser].id,
                answered: false,
            };
            self.live.caps.clear(user, item.counted_as, bid.id);
            self.note(bid_at, UserFact::Shown(shown));
        }
    }
}

/// Parses a JSON body and hands the request on; `None` where the body is refused.
pub fn with_request<T>(body: &str, work: impl FnOnce(&Request) -> T) -> Option<T> {
    with_request_as(WireFormat::Json, body.as_bytes().to_vec(), work)
}

/// Parses a body of any format and hands the request on; `None` where the body is refused.
pub fn with_request_as<T>(
    format: WireFormat,
    mut body: Vec<u8>,
    work: impl FnOnce(&Request) -> T,
) -> Option<T> {
    let mut buffers = RequestBuffers::default();
    let request = buffers.parse_as(format, &mut body).ok()?;
    Some(work(&request))
}
