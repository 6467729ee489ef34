//! Sets of line items: a bitset where many are in it, a sorted list where few are. Invariant: members ascend.

use super::{BLOCK_WORDS, Block};

/// Line items in one block of the search.
pub(super) const BLOCK_ITEMS: usize = BLOCK_WORDS * 64;

#[derive(Debug)]
pub(super) struct Posting {
    len: usize,
    members: Members,
}

#[derive(Debug)]
enum Members {
    Sparse(Box<[u32]>),
    Dense(Box<[Block]>),
}

impl Posting {
    /// `members` ascend; `total` is the number of line items.
    pub fn new(members: Vec<u32>, total: usize) -> Posting {
        // A list costs four bytes a member, a bitset total/8 bytes.
        let len = members.len();
        if len * 32 <= total {
            return Posting {
                len,
                members: Members::Sparse(members.into()),
            };
        }
        let mut blocks = vec![[0; BLOCK_WORDS]; total.div_ceil(BLOCK_ITEMS)];
        for member in members {
            set(
                &mut blocks[member as usize / BLOCK_ITEMS],
                member as usize % BLOCK_ITEMS,
            );
        }
        Posting {
            len,
            members: Members::Dense(blocks.into()),
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds this set's members of block number `block` to `into`. Blocks are asked for in ascending order; `cursor`
    /// starts at 0 and remembers how far a list has been read.
    pub fn add_block(&self, block: usize, cursor: &mut u32, into: &mut Block) {
        match &self.members {
            Members::Dense(blocks) => {
                for (word, more) in into.iter_mut().zip(&blocks[block]) {
                    *word |= more;
                }
            }
            Members::Sparse(members) => {
                let start = block * BLOCK_ITEMS;
                let rest = &members[*cursor as usize..];
                let skipped = rest.partition_point(|&member| (member as usize) < start);
                let here = rest[skipped..].iter().map(|&member| member as usize - start);
                let mut read = skipped;
                for item in here.take_while(|&item| item < BLOCK_ITEMS) {
                    set(into, item);
                    read += 1;
                }
                *cursor += read as u32;
            }
        }
    }

    /// Heap bytes, for the report of what an index costs.
    pub fn bytes(&self) -> usize {
        match &self.members {
            Members::Sparse(members) => size_of_val(&**members),
            Members::Dense(blocks) => size_of_val(&**blocks),
        }
    }
}

fn set(block: &mut Block, item: usize) {
    block[item / 64] |= 1 << (item % 64);
}
