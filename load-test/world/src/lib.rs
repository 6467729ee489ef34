//! The world that tests and demos share: people, sites, traffic, rivals, and the law of clicks and conversions.
//!
//! Invariant: everything follows from one seed and a number, and nothing here knows a bidder. A bidder sees what
//! [`World::write_request`] writes and what [`World::profile_json`] sells; the law itself it never sees.
//!
//! ```
//! let world = world::World::new(7);
//! let mut json = String::new();
//! let truth = world.request(0, 1_790_000_000_000, &mut json);
//! let ad = world::Ad { domain: "cars.example", categories: &["IAB2"], w: 300, h: 250, format: world::Format::Banner };
//! let p = world.law().click_probability(&truth.user, &truth.imps[0].context, &ad, 0);
//! assert!(p > 0.0 && p < 1.0);
//! ```

pub mod auction;
mod law;
mod places;
mod profile;
mod random;
mod rows;
mod sites;
mod topics;
mod traffic;
mod user;
mod wire;
mod world;

pub use auction::{Outcome, Rivals, settle};
pub use law::{Ad, Context, Format, KnownAd, Law};
pub use places::{DEVICES, DeviceModel, PLACES, Place};
pub use profile::{TAGS_MAX, TAGS_MIN, WorldProfile, WorldTag};
pub use random::{Random, Stream};
pub use rows::{AdChoice, Row, Rows};
pub use sites::{PROPERTIES, Properties, Property};
pub use topics::{GENERAL_TAGS, TOPIC_TAGS, TOPICS, TagName, Topic, vocabulary};
pub use traffic::{DealTruth, ImpTruth, Mix, SentIds, Truth, Visit, daily_curve};
pub use user::{EID_SOURCE, Gender, Lifecycle, User};
pub use world::{POPULATION, World};
