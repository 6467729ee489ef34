//! Our books beside an exchange's invoice: what one day of one exchange cost by the journal, and where the two differ.
//!
//! Invariant: nothing is written, and nothing is guessed: what cannot be compared is an error that says why.
//!
//! ```text
//! data/books/books-*.seg ──► Ours: every bid of the day that was won or billed ──► Statement: sums, and what is remarkable
//!                                                          │
//! invoice (CSV) ──► Invoice: one row after the other ──────┴──► Comparison: by bid, or by the keys of the invoice
//! ```
//!
//! Memory is bounded by [`BIDS_MAX`] and [`GROUPS_MAX`], whatever the size of journal and invoice.

mod compare;
mod day;
mod invoice;
mod ours;
mod split;
mod statement;

pub use compare::{Comparison, Difference, Group, Kind, Options, Side, Uncomparable, compare};
pub use day::{BadDay, Day};
pub use invoice::{Columns, Decimal, Invoice, InvoiceError, InvoiceOptions, Role, Row};
pub use ours::{BIDS_MAX, By, OurBid, Ours, OursError, Place, Question};
pub use split::{GROUPS_MAX, Key, Names};
pub use statement::{Count, Part, Statement, Totals};
