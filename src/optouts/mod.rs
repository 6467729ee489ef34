//! People who said no: the ids that nothing is to be known, counted, kept or learnt of any more.
//!
//! Invariant: what [`OptOuts::change`] has returned for is on the disk, and every look-up from then on sees it, on every
//! thread; neither a reload nor a new profile store touches it.
//!
//! A look-up takes no lock: the keys stand in an open-addressed table of atomic words, at most half full, that is
//! replaced whole when it grows. A million ids take 16 MiB there, and 50 bytes each in the journal.
//!
//! ```text
//! data/books/optouts-00000001.seg    a journal (see `journal`), in the folder whose lock says who may write
//! record    version u8 = 2 | 1 out, 2 in again u8 | 1 the person, 2 an operator u8 | ms since 1970 i64
//!           | place in the row that nodes share: ms u64, sequence u64, or zeros where it was taken here
//!           | number u32 × user key u64
//! ```
//! In version 1 there is no place.
//!
//! Where several nodes share a server, each change is told to all of them, in one order for all: what [`OptOuts::own_after`] gives
//! is posted, and what others posted comes in as a [`Change`] with its place. The last one in that order holds everywhere.
//!
//! Whoever builds the next profile store reads the same files: [`OptOuts::read`].

mod list;
mod table;

pub use list::{Change, Direction, OptOutError, OptOuts, Source};
