//! How long money has to be held until a win is known, learnt per exchange and format from how long it took.
//!
//! The delay that counts is the one from the bid to its first event that needs the hold: the win notice, or the billing
//! event where none comes before it. It is counted however late it is, also long after the hold has ended, so that a hold that
//! is too short corrects itself. The hold is the 99.9th percentile and half as much again; with fewer than [`SAMPLES_MIN`]
//! delays there is no such percentile, and the configured hold stands.
//!
//! Old delays fade: at [`SAMPLES_MAX`] all counts are halved. A histogram has 216 buckets, eight to each doubling, so that a
//! percentile is at most an eighth too long.

use crate::journal::{BadFields, FieldReader, FieldWriter};
use crate::units::ObjectId;
use dashmap::DashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One delay in a thousand is above the percentile: of fewer, none.
pub const SAMPLES_MIN: u64 = 1_000;
/// Some minutes to hours of wins: what an exchange did before that says little.
const SAMPLES_MAX: u64 = 1 << 16;
/// `bid.mtype`, 1 to 4; 0 is not used.
const FORMATS: usize = 5;
/// Of delays in milliseconds: eight to each doubling, up to 2²⁷ ms = 37 hours.
const BUCKETS: usize = 27 * 8;
/// A percentile is looked for at every so many delays.
const LEARN_EVERY: u64 = 32;
/// Clocks of two machines, a sync of the disk and a tick: what is faster is not worth telling apart.
const HOLD_MIN_S: u64 = 5;
/// The token has room for 18 hours.
const HOLD_MAX_S: u64 = u16::MAX as u64;

/// Of all exchanges.
#[derive(Default)]
pub struct HoldTimes {
    exchanges: DashMap<ObjectId, Arc<ExchangeHolds>>,
}

/// Of one exchange, by format. Workers read it, the books write it.
#[derive(Debug)]
pub struct ExchangeHolds {
    formats: [Format; FORMATS],
}

#[derive(Debug)]
struct Format {
    /// 0 = not learnt.
    hold_s: AtomicU32,
    delays: Mutex<Delays>,
}

/// How often which delay was seen.
#[derive(Debug)]
struct Delays {
    counts: [u32; BUCKETS],
    samples: u64,
}

/// What was learnt of one exchange and format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldTime {
    pub exchange: ObjectId,
    pub format: u8,
    /// `None` until there are enough samples.
    pub hold_s: Option<u32>,
    pub samples: u64,
    /// 99.9 % of wins were known within this time.
    pub p999_ms: u64,
}

impl HoldTimes {
    /// Of one exchange; the same one whoever asks.
    pub fn of(&self, exchange: ObjectId) -> Arc<ExchangeHolds> {
        self.exchanges.entry(exchange).or_default().clone()
    }

    /// By exchange and format, those of which any delay was seen.
    pub fn all(&self) -> Vec<HoldTime> {
        let mut all: Vec<_> = self
            .exchanges
            .iter()
            .flat_map(|entry| {
                let (exchange, holds) = (*entry.key(), entry.value().clone());
                (0..FORMATS as u8).map(move |format| holds.learnt(exchange, format))
            })
            .filter(|hold| hold.samples > 0)
            .collect();
        all.sort_unstable_by_key(|hold| (hold.exchange, hold.format));
        all
    }

    pub fn checkpoint(&self, out: &mut FieldWriter) {
        let all = self.all();
        out.count(all.len());
        for HoldTime { exchange, format, .. } in all {
            out.u64(exchange.0);
            out.u8(format);
            let holds = self.of(exchange);
            let delays = holds.formats[usize::from(format)].lock();
            let seen = || delays.counts.iter().enumerate().filter(|(_, count)| **count > 0);
            out.count(seen().count());
            for (bucket, &count) in seen() {
                out.u8(bucket as u8);
                out.u32(count);
            }
        }
    }

    /// Adds what a checkpoint holds.
    pub fn restore(&self, fields: &mut FieldReader<'_>) -> Result<(), BadFields> {
        for _ in 0..fields.count(8 + 1 + 4)? {
            let exchange = ObjectId(fields.u64()?);
            let format = usize::from(fields.u8()?);
            if format >= FORMATS {
                return Err(fields.bad("is not a format"));
            }
            let holds = self.of(exchange);
            let mut delays = holds.formats[format].lock();
            for _ in 0..fields.count(5)? {
                let bucket = usize::from(fields.u8()?);
                let count = fields.u32()?;
                let Some(place) = delays.counts.get_mut(bucket) else {
                    return Err(fields.bad("is not a bucket of delays"));
                };
                *place = place.saturating_add(count);
                delays.samples += u64::from(count);
            }
            holds.formats[format].learn(&delays);
        }
        Ok(())
    }
}

impl Default for ExchangeHolds {
    fn default() -> ExchangeHolds {
        let format = || Format {
            hold_s: AtomicU32::new(0),
            delays: Mutex::new(Delays {
                counts: [0; BUCKETS],
                samples: 0,
            }),
        };
        ExchangeHolds {
            formats: [(); FORMATS].map(|()| format()),
        }
    }
}

impl ExchangeHolds {
    /// Seconds to hold for a bid of this `bid.mtype` until its win is known; `None` while too little is known.
    pub fn hold_s(&self, format: u8) -> Option<u32> {
        // Relaxed: a number by itself.
        let learnt = self
            .formats
            .get(usize::from(format))?
            .hold_s
            .load(Ordering::Relaxed);
        (learnt > 0).then_some(learnt)
    }

    /// Counts a delay; returns the hold where it was learnt anew.
    pub fn observe(&self, format: u8, delay_ms: i64) -> Option<u32> {
        let format = self.formats.get(usize::from(format))?;
        let mut delays = format.lock();
        delays.count(delay_ms);
        if delays.samples % LEARN_EVERY == 0 {
            format.learn(&delays)
        } else {
            None
        }
    }

    fn learnt(&self, exchange: ObjectId, format: u8) -> HoldTime {
        let delays = self.formats[usize::from(format)].lock();
        HoldTime {
            exchange,
            format,
            hold_s: self.hold_s(format),
            samples: delays.samples,
            p999_ms: delays.p999_ms(),
        }
    }
}

impl Format {
    fn learn(&self, delays: &Delays) -> Option<u32> {
        if delays.samples < SAMPLES_MIN {
            return None;
        }
        let hold_s = (delays.p999_ms() * 3 / 2)
            .div_ceil(1000)
            .clamp(HOLD_MIN_S, HOLD_MAX_S) as u32;
        self.hold_s.store(hold_s, Ordering::Relaxed);
        Some(hold_s)
    }

    /// A panic while the lock was held cannot leave counts half changed.
    fn lock(&self) -> MutexGuard<'_, Delays> {
        self.delays.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Delays {
    fn count(&mut self, delay_ms: i64) {
        self.counts[bucket(delay_ms.max(0) as u64)] += 1;
        self.samples += 1;
        if self.samples >= SAMPLES_MAX {
            // Rounded up, so that the rare long delays do not fade first.
            self.counts
                .iter_mut()
                .for_each(|count| *count = count.div_ceil(2));
            self.samples = self.counts.iter().map(|&count| u64::from(count)).sum();
        }
    }

    /// Upper end of the bucket in which the percentile is; 0 without samples.
    fn p999_ms(&self) -> u64 {
        let above_max = self.samples / 1_000;
        let mut above = 0;
        for (bucket, &count) in self.counts.iter().enumerate().rev() {
            above += u64::from(count);
            if above > above_max {
                return upper_ms(bucket);
            }
        }
        0
    }
}

/// The three bits below the highest one tell eight buckets of a doubling apart.
fn bucket(delay_ms: u64) -> usize {
    let shifted = delay_ms + 8;
    let doubling = shifted.ilog2() as usize;
    let eighth = (shifted >> (doubling - 3)) as usize & 7;
    ((doubling - 3) * 8 + eighth).min(BUCKETS - 1)
}

fn upper_ms(bucket: usize) -> u64 {
    let (doubling, eighth) = (bucket / 8 + 3, bucket as u64 % 8);
    ((8 + eighth + 1) << (doubling - 3)) - 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_is_below_its_upper_end_and_is_an_eighth_wide() {
        for ms in (0..200_000u64).chain([1 << 24, (1 << 27) - 1]) {
            let upper = upper_ms(bucket(ms));
            assert!(
                ms < upper && upper <= ms + ms / 8 + 2,
                "{ms} {} {upper}",
                bucket(ms)
            );
        }
        assert_eq!(bucket(u64::MAX / 2), BUCKETS - 1);
    }

    fn learnt(delays: impl IntoIterator<Item = i64>) -> Option<u32> {
        let holds = ExchangeHolds::default();
        delays.into_iter().for_each(|ms| {
            holds.observe(1, ms);
        });
        holds.hold_s(1)
    }

    #[test]
    fn nothing_is_learnt_from_few_delays() {
        assert_eq!(learnt((0..999).map(|_| 200)), None);
        assert!(learnt((0..1_100).map(|_| 200)).is_some());
    }

    #[test]
    fn the_hold_is_the_percentile_and_half_as_much_again() {
        // 2 of 1,000 take 40 s.
        let hold = learnt((0..10_000).map(|n| if n % 500 == 0 { 40_000 } else { 800 })).unwrap();
        assert!((60..=68).contains(&hold), "{hold}");
        // 1 of 2,000 takes 40 s: the percentile is 0.8 s.
        assert_eq!(
            learnt((0..10_000).map(|n| if n % 2_000 == 0 { 40_000 } else { 800 })),
            Some(5)
        );
    }

    #[test]
    fn a_hold_follows_an_exchange_that_becomes_slower_although_its_holds_have_ended() {
        let holds = ExchangeHolds::default();
        (0..100_000).for_each(|_| {
            holds.observe(2, 1_000);
        });
        assert_eq!(holds.hold_s(2), Some(5));
        (0..200).for_each(|_| {
            holds.observe(2, 100_000);
        });
        assert!(holds.hold_s(2).is_some_and(|hold| hold >= 150), "{holds:?}");
    }

    #[test]
    fn what_was_learnt_survives_a_checkpoint() {
        let times = HoldTimes::default();
        (0..5_000).for_each(|n| {
            times.of(ObjectId(3)).observe(4, n);
        });
        let mut out = FieldWriter::default();
        times.checkpoint(&mut out);
        let bytes = out.finish();
        let again = HoldTimes::default();
        again.restore(&mut FieldReader::new(&bytes)).unwrap();
        assert_eq!(again.all(), times.all());
        assert!(again.of(ObjectId(3)).hold_s(4).is_some());
        for bytes in [&bytes[..bytes.len() - 1], &[1, 0, 0, 0, 9]] {
            assert!(
                HoldTimes::default()
                    .restore(&mut FieldReader::new(bytes))
                    .is_err()
            );
        }
    }
}
