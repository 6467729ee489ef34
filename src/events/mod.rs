//! What happened: the notice token, the meaning of notices, the books and the log of bids.
//!
//! Two ways in, of different worth. Records of bids ([`log`]) may be dropped and are counted; notices, beacons and
//! conversions ([`bookkeeper`]) are durable before they are acknowledged, or refused so that the sender repeats them.
//!
//! ```text
//! bid ──► token (sealed into its URLs)
//!     └─► record ──► log ──► data/log/bids-*.seg
//! notice, beacon ──► notice ─┐
//! pixel, postback ─► postback ┴─► bookkeeper: books.decide ──► data/books/books-*.seg ──► budgets, caps ──► answer
//! ```

pub mod booking;
pub mod bookkeeper;
pub mod books;
pub mod boot;
mod checkpoint;
pub mod counts;
pub mod facts;
pub mod keys;
pub mod lock;
pub mod log;
mod losses;
pub mod memory;
pub mod notice;
pub mod office;
pub mod parcel;
pub mod postback;
pub mod proto;
pub mod record;
mod replay;
pub mod silence;
pub mod token;
