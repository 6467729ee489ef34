//! What is known of sources, trials and weights as bytes, a part of the books' checkpoint.
//!
//! ```text
//! version u8 | at i64
//!   | sources u32 × (line item u64, exchange u64, format u8, placement u16 as u32, impressions, clicks, cost f64,
//!                    4 × (event u64, count f64, value f64))
//!   | campaigns u32 × (campaign u64, 6 × f64: chance, share, known cost and clicks, tried cost and clicks)
//!   | weights u32 × (slice: kind u8, line item u64, what u64, placement u32 | weight f64 | rests until i64 (0 = not)
//!                    | proposal f64 (0 = none), since i64 | cause u8 | since i64)
//!   | reviewed u32 × (campaign u64, at i64)
//! ```

use super::Allocation;
use super::rules::Cause;
use super::sources::{Source, Sums};
use super::weights::{Proposal, Slice, WeightView};
use crate::journal::{BadFields, FieldReader, FieldWriter};
use crate::units::{ObjectId, Timestamp};

const VERSION: u8 = 1;
const CAUSES: [Cause; 5] = [
    Cause::BelowTarget,
    Cause::LowRetention,
    Cause::LtvUnderCost,
    Cause::LtvOverCost,
    Cause::HighRoi,
];

/// The bytes are not what was learnt of sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "what was learnt of sources is unreadable ({0}): use the checkpoint before, or start from the journal alone"
)]
pub struct RestoreError(#[from] BadFields);

impl Allocation {
    pub fn checkpoint(&self, now: Timestamp, out: &mut FieldWriter) {
        out.u8(VERSION);
        out.i64(now.0);
        let sources = self.sources.all(now);
        out.count(sources.len());
        for (source, sums) in sources {
            write_source(out, &source, &sums);
        }
        let explorations = self.explorations();
        out.count(explorations.len());
        for (campaign, exploration) in explorations {
            out.u64(campaign.0);
            exploration.save().into_iter().for_each(|number| out.f64(number));
        }
        let state = self.weights.state();
        out.count(state.entries.len());
        state.entries.values().for_each(|entry| write_weight(out, entry));
        out.count(state.reviewed.len());
        for (campaign, at) in &state.reviewed {
            out.u64(campaign.0);
            out.i64(at.0);
        }
    }

    /// Puts back what a checkpoint knows.
    pub fn restore(&self, fields: &mut FieldReader<'_>) -> Result<(), RestoreError> {
        if fields.u8()? != VERSION {
            return Err(fields
                .bad("has a version that is not known to this program")
                .into());
        }
        let at = Timestamp(fields.i64()?);
        for _ in 0..fields.count(8 + 8 + 1 + 4 + 3 * 8 + 4 * 24)? {
            let (source, sums) = read_source(fields)?;
            self.sources.put_back(source, sums, at);
        }
        for _ in 0..fields.count(8 + 6 * 8)? {
            let exploration = self.exploration(ObjectId(fields.u64()?));
            let mut saved = [0.0; 6];
            for number in &mut saved {
                *number = fields.f64()?;
            }
            exploration.put_back(saved);
        }
        let mut state = self.weights.state();
        for _ in 0..fields.count(21 + 8 + 8 + 16 + 1 + 8)? {
            let entry = read_weight(fields)?;
            state.entries.insert(entry.slice, entry);
        }
        for _ in 0..fields.count(16)? {
            let campaign = ObjectId(fields.u64()?);
            state.reviewed.insert(campaign, Timestamp(fields.i64()?));
        }
        self.weights.publish(&state);
        Ok(())
    }
}

fn write_source(out: &mut FieldWriter, source: &Source, sums: &Sums) {
    out.u64(source.line_item.0);
    out.u64(source.exchange.0);
    out.u8(source.format);
    out.u32(source.placement.into());
    for number in [sums.impressions, sums.clicks, sums.cost] {
        out.f64(number);
    }
    for (event, count, value) in sums.events {
        out.u64(event);
        out.f64(count);
        out.f64(value);
    }
}

fn read_source(fields: &mut FieldReader<'_>) -> Result<(Source, Sums), BadFields> {
    let source = Source {
        line_item: ObjectId(fields.u64()?),
        exchange: ObjectId(fields.u64()?),
        format: fields.u8()?,
        placement: fields.u32()? as u16,
    };
    let mut sums = Sums {
        impressions: fields.f64()?.max(0.0),
        clicks: fields.f64()?.max(0.0),
        cost: fields.f64()?.max(0.0),
        ..Sums::default()
    };
    for event in &mut sums.events {
        *event = (fields.u64()?, fields.f64()?.max(0.0), fields.f64()?.max(0.0));
    }
    Ok((source, sums))
}

fn write_weight(out: &mut FieldWriter, entry: &WeightView) {
    let (kind, what, placement) = match entry.slice {
        Slice::LineItem(_) => (0, 0, 0),
        Slice::Exchange(_, exchange) => (1, exchange.0, 0),
        Slice::Format(_, format) => (2, u64::from(format), 0),
        Slice::Placement(_, exchange, placement) => (3, exchange.0, placement),
    };
    out.u8(kind);
    out.u64(entry.slice.line_item().0);
    out.u64(what);
    out.u32(placement.into());
    out.f64(entry.weight);
    out.i64(entry.rests_until.map_or(0, |until| until.0));
    let proposal = entry.proposal.unwrap_or(Proposal {
        weight: 0.0,
        since: Timestamp(0),
    });
    out.f64(proposal.weight);
    out.i64(proposal.since.0);
    out.u8(CAUSES.iter().position(|cause| *cause == entry.cause).unwrap_or(0) as u8);
    out.i64(entry.since.0);
}

fn read_weight(fields: &mut FieldReader<'_>) -> Result<WeightView, BadFields> {
    let kind = fields.u8()?;
    let (line_item, what, placement) = (ObjectId(fields.u64()?), fields.u64()?, fields.u32()? as u16);
    let slice = match kind {
        0 => Slice::LineItem(line_item),
        1 => Slice::Exchange(line_item, ObjectId(what)),
        2 => Slice::Format(line_item, what as u8),
        3 => Slice::Placement(line_item, ObjectId(what), placement),
        _ => return Err(fields.bad("is not a kind of slice")),
    };
    let weight = fields.f64()?;
    let rests_until = fields.i64()?;
    let proposal = Proposal {
        weight: fields.f64()?,
        since: Timestamp(fields.i64()?),
    };
    let cause = CAUSES.get(usize::from(fields.u8()?)).copied();
    Ok(WeightView {
        slice,
        weight: weight.clamp(0.0, 10.0),
        rests_until: (rests_until > 0).then_some(Timestamp(rests_until)),
        proposal: (proposal.weight > 0.0).then_some(proposal),
        cause: cause.ok_or(fields.bad("is not a cause"))?,
        since: Timestamp(fields.i64()?),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Fact, Rules};
    use super::*;
    use crate::units::Nanos;

    #[test]
    fn all_that_was_learnt_survives_a_restart() {
        let allocation = Allocation::default();
        let now = Timestamp(1_000_000);
        let source = |exchange| Source {
            line_item: ObjectId(1),
            exchange: ObjectId(exchange),
            format: 2,
            placement: 77,
        };
        for exchange in [3, 4] {
            allocation
                .sources
                .count(source(exchange), Fact::Impression(Nanos(50_000_000_000)), now);
            allocation.sources.count(source(exchange), Fact::Click, now);
        }
        let buy = Fact::Conversion {
            event: ObjectId(9),
            count: 1,
            value: Nanos(200_000_000_000),
        };
        allocation.sources.count(source(3), buy, now);
        let exploration = allocation.exploration(ObjectId(7));
        exploration.reserve(0.15);
        exploration.cost(true, Nanos(5));
        exploration.click(false);
        let rules = Rules {
            every_ms: 1,
            event: ObjectId(9),
            conversions_min: 1.0,
            cac_max: Some(Nanos(1)),
            approve_above: 1.1,
            ltv: None,
            roi: Some(super::super::RoiRule {
                more_over: 1.5,
                step: 0.3,
                target: Some(0.0),
            }),
            retention: None,
            pause_ms: 1_000,
        };
        for later in 0..3 {
            let now = Timestamp(now.0 + later);
            allocation
                .weights
                .review(ObjectId(7), &rules, &allocation.sources.all(now), now);
        }
        assert!(allocation.weights.views().len() > 2);

        let mut out = FieldWriter::default();
        allocation.checkpoint(now, &mut out);
        let bytes = out.finish();
        let again = Allocation::default();
        again.exploration(ObjectId(7)).reserve(0.15);
        let mut fields = FieldReader::new(&bytes);
        again.restore(&mut fields).unwrap();
        fields.finish().unwrap();
        assert_eq!(again.sources.all(now), allocation.sources.all(now));
        assert_eq!(again.weights.views(), allocation.weights.views());
        assert_eq!(again.weights.of(&source(3)), allocation.weights.of(&source(3)));
        assert_eq!(again.exploration(ObjectId(7)).view(), exploration.view());
        // Of nothing but bytes.
        for cut in 0..bytes.len() {
            assert!(
                Allocation::default()
                    .restore(&mut FieldReader::new(&bytes[..cut]))
                    .is_err()
            );
        }
    }
}
