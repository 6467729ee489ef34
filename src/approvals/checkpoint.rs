//! What is known of creatives, as a part of the books' checkpoint. Invariant: what was written reads back the same.

use super::state::{CODES, Entry, State};
use super::{Approvals, Place};
use crate::journal::{BadFields, FieldReader, FieldWriter};
use crate::units::{ObjectId, Timestamp};
use std::sync::atomic::Ordering;

/// Place, version, state, until, since, wait and the counts.
const ENTRY_BYTES: usize = 3 * 8 + 1 + 3 * 8 + CODES * 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what exchanges say of creatives: {0}")]
pub struct RestoreError(#[from] BadFields);

impl Approvals {
    pub fn checkpoint(&self, out: &mut FieldWriter) {
        let entries: Vec<_> = self
            .entries
            .iter()
            .map(|entry| (*entry.key(), *entry.value()))
            .collect();
        out.count(entries.len());
        for (place, entry) in entries {
            write(out, place, &entry);
        }
    }

    /// Takes a checkpoint in, in place of what is known.
    ///
    /// # Errors
    /// The fields are not those of a checkpoint.
    pub fn restore(&self, fields: &mut FieldReader<'_>) -> Result<(), RestoreError> {
        self.entries.clear();
        self.held.store(0, Ordering::Relaxed);
        for _ in 0..fields.count(ENTRY_BYTES)? {
            let (place, entry) = read(fields)?;
            self.held
                .fetch_add(usize::from(entry.is_held()), Ordering::Relaxed);
            self.entries.insert(place, entry);
        }
        Ok(())
    }
}

fn write(out: &mut FieldWriter, place: Place, entry: &Entry) {
    out.u64(place.exchange.0);
    out.u64(place.creative.0);
    out.u64(entry.version);
    let (state, until) = match entry.state {
        State::Open => (0, 0),
        State::Waiting { until } => (1, until.0),
        State::Stopped => (2, 0),
    };
    out.u8(state);
    out.i64(until);
    out.i64(entry.since.0);
    out.i64(entry.wait_ms);
    entry.losses.iter().for_each(|count| out.u32(*count));
}

fn read(fields: &mut FieldReader<'_>) -> Result<(Place, Entry), BadFields> {
    let place = Place {
        exchange: ObjectId(fields.u64()?),
        creative: ObjectId(fields.u64()?),
    };
    let version = fields.u64()?;
    let (state, until) = (fields.u8()?, Timestamp(fields.i64()?));
    let state = match state {
        0 => State::Open,
        1 => State::Waiting { until },
        2 => State::Stopped,
        _ => return Err(fields.bad("is no state of a creative")),
    };
    let mut entry = Entry {
        state,
        since: Timestamp(fields.i64()?),
        wait_ms: fields.i64()?,
        ..Entry::new(version)
    };
    for count in &mut entry.losses {
        *count = fields.u32()?;
    }
    Ok((place, entry))
}

#[cfg(test)]
mod tests {
    use super::super::CreativeLoss;
    use super::*;

    #[test]
    fn a_checkpoint_reads_back_the_same_and_damage_is_told() {
        let known = Approvals::default();
        for (creative, code) in [(1, 201), (2, 202), (3, 210)] {
            known.lost(&CreativeLoss {
                place: Place {
                    exchange: ObjectId(5),
                    creative: ObjectId(creative),
                },
                version: 6,
                code,
                bid_at: Timestamp(1_000),
                at: Timestamp(2_000),
            });
        }
        let mut out = FieldWriter::default();
        known.checkpoint(&mut out);
        let bytes = out.finish();
        let restored = Approvals::default();
        restored.restore(&mut FieldReader::new(&bytes)).expect("whole");
        assert_eq!(restored.views(), known.views());
        assert_eq!(restored.held.load(Ordering::Relaxed), 2);
        for end in 0..bytes.len() {
            assert!(restored.restore(&mut FieldReader::new(&bytes[..end])).is_err());
        }
    }
}
