//! How many requests come when: learnt per exchange and hour of the week, for plans by traffic.

use crate::journal::{BadFields, FieldReader, FieldWriter};
use crate::units::{ObjectId, Timestamp};
use dashmap::DashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const HOURS: usize = 168;
/// What the newest week counts for: a change of traffic is followed in two or three weeks, one odd day is not.
const NEWEST: f32 = 0.3;
/// An hour counts where at most this much of it was missed.
const MISSED_MS_MAX: i64 = 60_000;

/// Of all exchanges.
#[derive(Debug, Default)]
pub struct Traffic {
    exchanges: DashMap<ObjectId, Arc<ExchangeTraffic>>,
}

/// Of one exchange. Workers count, the control thread learns.
#[derive(Debug)]
#[repr(align(64))]
pub struct ExchangeTraffic {
    requests: AtomicU64,
    learnt: Mutex<Learnt>,
}

#[derive(Debug)]
struct Learnt {
    /// Requests an hour by hour of the week (UTC, Monday 00 first); below zero = not known.
    hours: [f32; HOURS],
    /// The hour that is being counted, and whether from its start.
    now: Option<Counting>,
}

#[derive(Clone, Copy, Debug)]
struct Counting {
    from: Timestamp,
    requests: u64,
    is_whole: bool,
}

impl Default for ExchangeTraffic {
    fn default() -> ExchangeTraffic {
        ExchangeTraffic {
            requests: AtomicU64::new(0),
            learnt: Mutex::new(Learnt {
                hours: [-1.0; HOURS],
                now: None,
            }),
        }
    }
}

impl ExchangeTraffic {
    /// One more request.
    pub fn count(&self) {
        // Relaxed: a count that nothing is read behind.
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    fn learnt(&self) -> MutexGuard<'_, Learnt> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self, now: Timestamp) {
        let requests = self.requests.load(Ordering::Relaxed);
        let from = Timestamp(now.0.div_euclid(Timestamp::MS_PER_HOUR) * Timestamp::MS_PER_HOUR);
        let mut learnt = self.learnt();
        let counting = |is_whole| Counting {
            from,
            requests,
            is_whole,
        };
        let begins_well = now.since(from) <= MISSED_MS_MAX;
        match learnt.now {
            Some(before) if before.from == from => {}
            Some(before) => {
                let follows = from.since(before.from) == Timestamp::MS_PER_HOUR;
                if before.is_whole && follows && begins_well {
                    learnt.learn(before.from, (requests - before.requests) as f32);
                }
                learnt.now = Some(counting(begins_well));
            }
            None => learnt.now = Some(counting(begins_well)),
        }
    }
}

impl Learnt {
    fn learn(&mut self, hour: Timestamp, requests: f32) {
        let known = &mut self.hours[hour.hour_of_week(0).index()];
        *known = if *known < 0.0 {
            requests
        } else {
            *known + NEWEST * (requests - *known)
        };
    }

    /// Requests an hour; where this hour of the week is not known, as in that hour of other days, else the mean of all.
    fn expected(&self, at: Timestamp) -> Option<f64> {
        let hour = at.hour_of_week(0).index();
        let mean = |places: &mut dyn Iterator<Item = usize>| {
            let known: Vec<f64> = places
                .map(|place| f64::from(self.hours[place]))
                .filter(|known| *known >= 0.0)
                .collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
        };
        mean(&mut std::iter::once(hour))
            .or_else(|| mean(&mut (hour % 24..HOURS).step_by(24)))
            .or_else(|| mean(&mut (0..HOURS)))
    }
}

impl Traffic {
    /// Of one exchange; the same one whoever asks.
    pub fn of(&self, exchange: ObjectId) -> Arc<ExchangeTraffic> {
        self.exchanges.entry(exchange).or_default().clone()
    }

    /// Requests an hour to expect around `at` from `exchanges` (empty = all); 0 where nothing is known.
    pub fn expected(&self, exchanges: &[ObjectId], at: Timestamp) -> f64 {
        let all = self.exchanges.iter();
        all.filter(|entry| exchanges.is_empty() || exchanges.contains(entry.key()))
            .filter_map(|entry| entry.learnt().expected(at))
            .sum()
    }

    /// Learns the hours that are over. For one thread, at least once a minute.
    pub fn tick(&self, now: Timestamp) {
        self.exchanges.iter().for_each(|exchange| exchange.tick(now));
    }

    /// `count × (exchange u64, 168 × f64 (below 0 = not known))`, by exchange.
    pub fn checkpoint(&self, out: &mut FieldWriter) {
        let mut all: Vec<_> = self
            .exchanges
            .iter()
            .map(|entry| (*entry.key(), entry.learnt().hours))
            .collect();
        all.sort_unstable_by_key(|(exchange, _)| *exchange);
        out.count(all.len());
        for (exchange, hours) in all {
            out.u64(exchange.0);
            hours.iter().for_each(|hour| out.f64(f64::from(*hour)));
        }
    }

    /// Puts back what a checkpoint knows.
    pub fn restore(&self, fields: &mut FieldReader<'_>) -> Result<(), BadFields> {
        for _ in 0..fields.count(8 + 8 * HOURS)? {
            let exchange = self.of(ObjectId(fields.u64()?));
            let mut learnt = exchange.learnt();
            for hour in &mut learnt.hours {
                let saved = fields.f64()? as f32;
                *hour = if saved.is_finite() { saved } else { -1.0 };
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = Timestamp::MS_PER_HOUR;

    /// Monday 00:00 UTC.
    const MONDAY: i64 = 4 * Timestamp::MS_PER_DAY;

    fn play(traffic: &Traffic, from: i64, hours: i64, requests: impl Fn(i64) -> u64) {
        let exchange = traffic.of(ObjectId(1));
        for hour in 0..hours {
            traffic.tick(Timestamp(from + hour * HOUR));
            (0..requests(hour)).for_each(|_| exchange.count());
        }
        traffic.tick(Timestamp(from + hours * HOUR));
    }

    #[test]
    fn hours_are_learnt_and_those_of_other_days_stand_in_for_days_not_seen() {
        let traffic = Traffic::default();
        assert_eq!(traffic.expected(&[], Timestamp(MONDAY)), 0.0);
        play(&traffic, MONDAY, 24, |hour| 10 + hour as u64);
        let at = |hour| traffic.expected(&[], Timestamp(MONDAY + hour * HOUR));
        assert_eq!((at(3), at(23)), (13.0, 33.0));
        assert_eq!(at(24 + 3), 13.0, "Tuesday is as Monday was");
        assert_eq!(traffic.expected(&[ObjectId(2)], Timestamp(MONDAY)), 0.0);
        play(&traffic, MONDAY + 168 * HOUR, 1, |_| 20);
        assert!(
            (at(0) - 13.0).abs() < 1e-3,
            "three tenths of the way from 10 to 20"
        );
    }

    #[test]
    fn an_hour_that_was_seen_in_part_teaches_nothing() {
        let traffic = Traffic::default();
        play(&traffic, MONDAY + HOUR / 2, 3, |_| 5);
        assert_eq!(traffic.expected(&[], Timestamp(MONDAY)), 0.0);
    }

    #[test]
    fn what_was_learnt_survives_a_restart() {
        let traffic = Traffic::default();
        play(&traffic, MONDAY, 30, |hour| hour as u64);
        let mut out = FieldWriter::default();
        traffic.checkpoint(&mut out);
        let bytes = out.finish();
        let again = Traffic::default();
        again.restore(&mut FieldReader::new(&bytes)).unwrap();
        for hour in 0..168 {
            let at = Timestamp(MONDAY + hour * HOUR);
            assert_eq!(again.expected(&[], at), traffic.expected(&[], at));
        }
    }
}
