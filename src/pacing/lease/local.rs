//! The authority of a node that has its budgets to itself: a checksummed journal under `data/leases/`.
//!
//! ```text
//! data/leases/leases-*.seg   journal (see `journal`); the last word on each limit counts
//! record    kind u8 = 1 lease begins | lease u32 | longest first hold u32, s | at i64
//!           kind u8 = 2 bounds       | count u32 × (account u64, scope u8, from i64, until i64, bound i64)
//!           kind u8 = 3 longest first hold u32, s
//! ```
//!
//! Each start and each full segment begins a segment with all that is known, and removes those before it.

use super::super::account::Scope;
use super::super::calendar::Span;
use super::super::kernel::UNLIMITED;
use super::{Authority, Begun, Claim, Grant, Key, LeaseError};
use crate::journal::{
    self, BadFields, DiskFolder, FieldReader, FieldWriter, Folder, Journal, JournalError, Medium,
};
use crate::units::{AccountId, Timestamp};
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

const PREFIX: &str = "leases";
const BEGINS: u8 = 1;
const BOUNDS: u8 = 2;
const HOLD_MAX: u8 = 3;
const BOUND_BYTES: usize = 8 + 1 + 8 + 8 + 8;
/// 33 bytes each: two thirds of a frame.
const BOUNDS_PER_RECORD: usize = 20_000;
/// A million bounds a segment, some hours of a busy node: read in a second.
const SEGMENT_BYTES_MAX: u64 = 32 << 20;

/// The authority of a node on its own: a journal in its data folder.
pub struct LocalAuthority {
    journal: Journal,
    known: Known,
    bytes_cut: u64,
}

/// What the journal says.
#[derive(Debug, Default)]
struct Known {
    lease: u32,
    hold_max_s: u32,
    bounds: HashMap<Key, i64>,
}

impl LocalAuthority {
    /// Reads the journal in `dir`, which is made where it is missing. A torn tail is cut: nobody was told of it.
    ///
    /// # Errors
    /// [`LeaseError::Journal`] with offset and remedy where anything but the tail is damaged.
    pub fn open(dir: &Path) -> Result<LocalAuthority, LeaseError> {
        LocalAuthority::open_on(dir, |file| Box::new(file))
    }

    /// [`open`](LocalAuthority::open) on files wrapped by `wrap`: the place where a test lets writes fail.
    pub fn open_on(dir: &Path, wrap: fn(File) -> Box<dyn Medium>) -> Result<LocalAuthority, LeaseError> {
        let folder = DiskFolder::open_on(dir, wrap).map_err(|source| JournalError::Io {
            path: dir.to_owned(),
            source,
        })?;
        LocalAuthority::open_in(Arc::new(folder))
    }

    /// [`open`](LocalAuthority::open) in any folder.
    pub fn open_in(folder: Arc<dyn Folder>) -> Result<LocalAuthority, LeaseError> {
        let (journal, recovered) = Journal::open_in(folder.clone(), PREFIX, u64::MAX)?;
        let mut known = Known::default();
        for entry in journal::read_in(folder.clone(), PREFIX, 1)? {
            let entry = entry?;
            known.read(&entry.payload).map_err(|source| LeaseError::Record {
                dir: folder.path().to_owned(),
                segment: entry.position.segment,
                offset: entry.position.offset,
                source,
            })?;
        }
        Ok(LocalAuthority {
            journal,
            known,
            bytes_cut: recovered.bytes_cut,
        })
    }

    /// Bytes of a torn tail that the opening cut off.
    pub fn bytes_cut(&self) -> u64 {
        self.bytes_cut
    }

    /// All that is known, without what is over, in a new segment; then the older ones go.
    fn compact(&mut self, now: Timestamp) -> Result<(), LeaseError> {
        self.known.forget(now);
        let segment = self.journal.rotate()?;
        let mut begins = FieldWriter::default();
        begins.u8(BEGINS);
        begins.u32(self.known.lease);
        begins.u32(self.known.hold_max_s);
        begins.i64(now.0);
        self.journal.append(&begins.finish())?;
        let bounds: Vec<_> = self
            .known
            .bounds
            .iter()
            .map(|(key, bound)| (*key, *bound))
            .collect();
        self.append(&bounds)?;
        self.journal.sync()?;
        self.journal.remove_before(segment)?;
        Ok(())
    }

    fn append(&mut self, bounds: &[(Key, i64)]) -> Result<(), LeaseError> {
        for part in bounds.chunks(BOUNDS_PER_RECORD) {
            let mut out = FieldWriter::default();
            out.u8(BOUNDS);
            out.count(part.len());
            for (key, bound) in part {
                out.u64(key.account.0);
                out.u8(key.scope as u8);
                for number in [key.span.from.0, key.span.until.0, *bound] {
                    out.i64(number);
                }
            }
            self.journal.append(&out.finish())?;
        }
        Ok(())
    }
}

impl Authority for LocalAuthority {
    fn begin(&mut self, now: Timestamp) -> Result<Begun, LeaseError> {
        self.known.lease += 1;
        self.compact(now)?;
        Ok(Begun {
            lease: self.known.lease,
            bounds: self
                .known
                .bounds
                .iter()
                .map(|(key, bound)| (*key, *bound))
                .collect(),
            open: Vec::new(),
            hold_max_s: self.known.hold_max_s,
        })
    }

    fn claim(&mut self, claims: &[Claim], now: Timestamp) -> Result<Vec<Grant>, LeaseError> {
        let changed: Vec<_> = claims
            .iter()
            .filter(|claim| self.known.bounds.get(&claim.key) != Some(&claim.bound))
            .map(|claim| (claim.key, claim.bound))
            .collect();
        if !changed.is_empty() {
            self.append(&changed)?;
            self.journal.sync()?;
            self.known.bounds.extend(changed);
            if self.journal.position().offset >= SEGMENT_BYTES_MAX {
                self.compact(now)?;
            }
        }
        let grant = |claim: &Claim| Grant {
            bound: claim.bound,
            share: claim.limit.unwrap_or(UNLIMITED),
            used_by_others: 0,
            waits_for: None,
        };
        Ok(claims.iter().map(grant).collect())
    }

    fn keep_hold_max(&mut self, hold_max_s: u32, _now: Timestamp) -> Result<(), LeaseError> {
        let mut out = FieldWriter::default();
        out.u8(HOLD_MAX);
        out.u32(hold_max_s);
        self.journal.append(&out.finish())?;
        self.journal.sync()?;
        self.known.hold_max_s = hold_max_s;
        Ok(())
    }
}

impl Known {
    fn read(&mut self, record: &[u8]) -> Result<(), BadFields> {
        let mut fields = FieldReader::new(record);
        match fields.u8()? {
            BEGINS => {
                self.lease = fields.u32()?;
                self.hold_max_s = fields.u32()?;
                fields.i64()?;
            }
            BOUNDS => {
                for _ in 0..fields.count(BOUND_BYTES)? {
                    let (key, bound) = read_bound(&mut fields)?;
                    self.bounds.insert(key, bound);
                }
            }
            HOLD_MAX => self.hold_max_s = fields.u32()?,
            _ => return Err(fields.bad("is not a kind of record")),
        }
        fields.finish()
    }

    /// Drops periods that no bid can belong to any more: a frame keeps the previous, the current and the next.
    fn forget(&mut self, now: Timestamp) {
        self.bounds.retain(|key, _| {
            let Span { from, until } = key.span;
            let length = until.0.saturating_sub(from.0);
            until.0.saturating_add(length.saturating_mul(2)) > now.0
        });
    }
}

fn read_bound(fields: &mut FieldReader<'_>) -> Result<(Key, i64), BadFields> {
    let account = AccountId(fields.u64()?);
    let scope = fields.u8()?;
    let scope = Scope::ALL
        .into_iter()
        .find(|known| *known as u8 == scope)
        .ok_or(fields.bad("is not a scope"))?;
    let span = Span {
        from: Timestamp(fields.i64()?),
        until: Timestamp(fields.i64()?),
    };
    let key = Key { account, scope, span };
    Ok((key, fields.i64()?))
}
