//! Advertisers, campaigns, line items and creatives, compiled so that a request finds its line items by an index.
//!
//! Line items stand in descending order of their prior value, so the first matches are the best candidates. The index
//! answers exactly what the plain loop of [`naive`] answers; a property test holds them together.
//!
//! # From configuration to candidates
//!
//! [`Definitions`](definition::Definitions) are plain values. [`Campaigns::compile`] turns them into records with
//! stable ids and an [`Index`]: per dimension of targeting one posting list (sorted ids or a bitset) for "not
//! constrained" and one for every value that is wanted or refused. A request becomes one [`Opportunity`] per imp;
//! matching intersects `unconstrained ∪ wanted[offered values] − refused[offered values]` over the dimensions, many
//! line items at a time, and looks closer at the survivors only where bits cannot say it all: dates, circles, audiences.

mod compile;
mod compiled;
pub mod definition;
mod dimension;
pub mod expression;
mod geo;
pub mod goal;
mod index;
pub mod naive;
mod opportunity;
mod policy;
mod signal;
mod version;

pub use compiled::{Advertiser, Campaign, Campaigns, Creative, Format, LineItem};
pub use dimension::Dimension;
pub use index::{Index, MatchScratch};
pub use naive::multiplier_milli;
pub use opportunity::{Opportunity, Place, place_of, user_hour};
pub use policy::Policy;
pub use signal::Signals;
