//! Counts as bytes, so that caps survive a restart. The caller guards the bytes with a checksum of its own.
//!
//! ```text
//! magic u64 | version u32 | heard ms u64, sequence u64 | provisional u32 × (user u64, object u64, bids 8 × u32, until i64)
//!           | users u32 × (user u64, objects u32 × (object u64, moments u32 × u32))
//! ```
//! What was heard of other nodes is absent before version 3. In version 1 one bid stood in the place of eight: its id, u128.

use super::past::{OBJECTS_MAX, Open, Past};
use super::table::{BIDS_PER_CHANCE_MAX, Caps, NO_BID, Provisional, short};
use super::{CapObject, IMPRESSIONS_MAX};
use crate::journal::{BadFields, FieldReader, FieldWriter};
use crate::units::{BidId, EntryId, Timestamp, UserKey};

const MAGIC: u64 = u64::from_le_bytes(*b"OUTBIDCA");
const VERSION: u32 = 3;
const VERSION_2: u32 = 2;
/// With one bid each.
const VERSION_1: u32 = 1;
/// In either version at least.
const PROVISIONAL_BYTES: usize = 40;
const USER_BYTES_MIN: usize = 12;
const OBJECT_BYTES_MIN: usize = 12;

/// The bytes are not a checkpoint of caps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the checkpoint of the caps is unreadable ({0}): use the one before, or start from the journal alone"
)]
pub struct RestoreError(#[from] BadFields);

impl Caps {
    pub fn checkpoint(&self) -> Vec<u8> {
        let mut out = FieldWriter::default();
        out.u64(MAGIC);
        out.u32(VERSION);
        let heard = self.heard();
        out.u64(heard.ms);
        out.u64(heard.sequence);
        // Collected first: the number must stand before the entries while other threads add some.
        let mut provisional = Vec::new();
        self.provisional
            .for_each(|&key, &outstanding| provisional.push((key, outstanding)));
        out.count(provisional.len());
        for ((user, object), outstanding) in provisional {
            out.u64(user.0);
            out.u64(object.0);
            outstanding.bids.iter().for_each(|&bid| out.u32(bid));
            out.i64(outstanding.until.0);
        }
        let mut users = Vec::new();
        self.users.for_each(|user, _| users.push(user));
        out.count(users.len());
        for key in users {
            out.u64(key.0);
            let known = self.users.get(key);
            write_past(&mut out, known.as_ref().map_or(&Past::NONE, |known| known.past()));
        }
        out.finish()
    }

    /// Takes over the counts of a checkpoint; returns how many users. Call it once, before the first bid.
    pub fn restore(&self, bytes: &[u8]) -> Result<usize, RestoreError> {
        // Read twice, so that a damaged checkpoint changes nothing.
        Caps::new(0).read_checkpoint(bytes)?;
        Ok(self.read_checkpoint(bytes)?)
    }

    fn read_checkpoint(&self, bytes: &[u8]) -> Result<usize, BadFields> {
        let mut fields = FieldReader::new(bytes);
        if fields.u64()? != MAGIC {
            return Err(fields.bad("is not a checkpoint of caps"));
        }
        let version = fields.u32()?;
        if ![VERSION, VERSION_2, VERSION_1].contains(&version) {
            return Err(fields.bad("has a version that is not known to this program"));
        }
        if version == VERSION {
            let (ms, sequence) = (fields.u64()?, fields.u64()?);
            self.hear(&[], EntryId { ms, sequence });
        }
        for _ in 0..fields.count(PROVISIONAL_BYTES)? {
            let key = (UserKey(fields.u64()?), CapObject(fields.u64()?));
            let outstanding = Provisional {
                bids: read_bids(version, &mut fields)?,
                until: Timestamp(fields.i64()?),
            };
            self.restore_provisional(key, outstanding);
        }
        let mut restored = 0;
        for _ in 0..fields.count(USER_BYTES_MIN)? {
            let key = UserKey(fields.u64()?);
            let past = read_past(&mut fields)?;
            restored += usize::from(!past.is_empty() && self.restore_user(key, past));
        }
        fields.finish()?;
        Ok(restored)
    }
}

fn write_past(out: &mut FieldWriter, past: &Past) {
    let past = past.read();
    out.count(past.objects().len());
    for (place, object) in past.objects().enumerate() {
        out.u64(object.0);
        out.count(past.moments_of(place).count());
        past.moments_of(place).for_each(|moment| out.u32(moment));
    }
}

fn read_bids(version: u32, fields: &mut FieldReader<'_>) -> Result<[u32; BIDS_PER_CHANCE_MAX], BadFields> {
    let mut bids = [NO_BID; BIDS_PER_CHANCE_MAX];
    if version == VERSION_1 {
        bids[0] = short(BidId(fields.u128()?));
        return Ok(bids);
    }
    for bid in &mut bids {
        *bid = fields.u32()?;
    }
    Ok(bids)
}

fn read_past(fields: &mut FieldReader<'_>) -> Result<Past, BadFields> {
    let objects = fields.count(OBJECT_BYTES_MIN)?;
    if objects > OBJECTS_MAX {
        return Err(fields.bad("is more objects than are kept of a user"));
    }
    let mut open = Open::default();
    for _ in 0..objects {
        let object = CapObject(fields.u64()?);
        let moments = fields.count(4)?;
        if moments > IMPRESSIONS_MAX.into() {
            return Err(fields.bad("is more moments than are kept of an object"));
        }
        for _ in 0..moments {
            open.count(object, fields.u32()?, moments);
        }
    }
    Ok(open.pack())
}
