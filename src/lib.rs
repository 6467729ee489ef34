//! Outbid: a demand-side engine that answers OpenRTB bid requests from mapped profiles, lock-free budgets and ONNX models.
//!
//! A request passes the modules from the top of this list to the bottom and back; a module knows only those
//! below it, and siblings do not know each other. `ARCHITECTURE.md` tells the life of a request.
//!
//! # Words
//!
//! *exchange*: sends bid requests and notices · *advertiser* > *campaign* (budget, flight) > *line item*
//! (targeting, bid, caps) > *creative* (markup, size, attributes, approval) · *deal*: terms agreed with a seller,
//! named in the request · *seat*: our name at an exchange · *profile*: what is known of one user · *audience*: an
//! expression over profiles · *notice*: the exchange's word of a win, a billable event or a loss · *reservation*:
//! money held for an open bid · *snapshot*: the immutable world that one request sees · *imp*: one opportunity to
//! show an ad · *floor*: the lowest price an imp or deal accepts · *CPM*: price per thousand impressions.

pub mod config;

pub mod certify;
pub mod lab;
pub mod reconcile;
pub mod server;

pub mod engine;
pub mod events;

pub mod allocation;
pub mod approvals;
pub mod caps;
pub mod creative;
pub mod optouts;
pub mod pacing;
pub mod shading;
pub mod store;

pub mod openrtb;

pub mod journal;
pub mod shards;
pub mod telemetry;

pub mod units;
