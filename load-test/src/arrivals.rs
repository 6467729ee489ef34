//! When requests are meant to be sent. Invariant: the plan never looks at how the bidder is doing; that is what makes the
//! loop open and keeps a stall visible in the latencies.

use std::sync::Arc;
use world::{Random, Stream};

/// The intended send times of one run.
#[derive(Clone, Debug)]
pub enum Arrivals {
    /// Evenly spaced, requests per second.
    Constant { rate: f64 },
    /// Exponential gaps with this mean rate.
    Poisson { rate: f64, seed: u64 },
    /// As recorded, again and again.
    Recorded(Recorded),
}

/// Arrival times of a file and the factor that turns them into the wanted rate.
#[derive(Clone, Debug)]
pub struct Recorded {
    offsets_us: Arc<[u64]>,
    /// Length of one pass, the gap before the next pass included.
    span_us: u64,
    /// Real time per recorded time.
    stretch: f64,
}

impl Recorded {
    /// `rate`: the mean to scale to; `None` keeps the recorded one.
    ///
    /// # Errors
    /// With fewer than two arrivals, or all of them at one time: no rate follows from that.
    pub fn new(mut offsets_us: Vec<u64>, rate: Option<f64>) -> Result<Recorded, String> {
        offsets_us.sort_unstable();
        let (Some(first), Some(last)) = (offsets_us.first().copied(), offsets_us.last().copied()) else {
            return Err("no request has an ext.arrival_us".into());
        };
        if last == first {
            return Err("ext.arrival_us is the same in all requests; at least two times are needed".into());
        }
        let count = offsets_us.len() as u64;
        offsets_us.iter_mut().for_each(|offset| *offset -= first);
        let span_us = (last - first) + (last - first) / (count - 1);
        let recorded_rate = count as f64 / (span_us as f64 / 1e6);
        let stretch = rate.map_or(1.0, |rate| recorded_rate / rate);
        Ok(Recorded {
            offsets_us: offsets_us.into(),
            span_us,
            stretch,
        })
    }

    fn due_ns(&self, number: u64) -> u64 {
        let count = self.offsets_us.len() as u64;
        let pass = number / count;
        let offset_us = pass * self.span_us + self.offsets_us[(number % count) as usize];
        (offset_us as f64 * 1000.0 * self.stretch) as u64
    }

    fn rate(&self) -> f64 {
        self.offsets_us.len() as f64 / (self.span_us as f64 / 1e6 * self.stretch)
    }
}

impl Arrivals {
    /// The mean rate, requests per second.
    pub fn rate(&self) -> f64 {
        match self {
            Arrivals::Constant { rate } | Arrivals::Poisson { rate, .. } => *rate,
            Arrivals::Recorded(recorded) => recorded.rate(),
        }
    }

    /// The times of the requests `first`, `first + step`, …, in nanoseconds since the start, without an end.
    pub fn times(&self, first: u64, step: u64) -> Times {
        let random = match self {
            Arrivals::Poisson { seed, .. } => Random::new(*seed, Stream::Request, first),
            _ => Random::new(0, Stream::Request, 0),
        };
        Times {
            arrivals: self.clone(),
            next: first,
            step,
            elapsed_ns: 0.0,
            random,
        }
    }
}

/// See [`Arrivals::times`].
#[derive(Clone, Debug)]
pub struct Times {
    arrivals: Arrivals,
    next: u64,
    step: u64,
    /// Of a Poisson process, whose times are sums.
    elapsed_ns: f64,
    random: Random,
}

impl Iterator for Times {
    /// Number of the request, and when it is due.
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        let number = self.next;
        self.next += self.step;
        let due_ns = match &self.arrivals {
            Arrivals::Constant { rate } => (number as f64 * 1e9 / rate) as u64,
            Arrivals::Poisson { rate, .. } => {
                // Processes of a `step`-th of the rate add up to one of the whole rate.
                self.elapsed_ns += self.random.exponential() * 1e9 * self.step as f64 / rate;
                self.elapsed_ns as u64
            }
            Arrivals::Recorded(recorded) => recorded.due_ns(number),
        };
        Some((number, due_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(arrivals: &Arrivals, count: usize) -> Vec<u64> {
        arrivals.times(0, 1).take(count).map(|(_, due)| due).collect()
    }

    #[test]
    fn constant_arrivals_do_not_drift() {
        let arrivals = Arrivals::Constant { rate: 3.0 };
        assert_eq!(first(&arrivals, 4), [0, 333_333_333, 666_666_666, 1_000_000_000]);
        let (number, due) = arrivals.times(0, 1).nth(3_000_000).expect("endless");
        assert_eq!((number, due), (3_000_000, 1_000_000_000_000_000));
    }

    #[test]
    fn threads_share_the_numbers_among_them() {
        let arrivals = Arrivals::Constant { rate: 1000.0 };
        let both: Vec<u64> = [0, 1]
            .iter()
            .flat_map(|t| arrivals.times(*t, 2).take(2))
            .map(|(n, _)| n)
            .collect();
        assert_eq!(both, [0, 2, 1, 3]);
    }

    #[test]
    fn poisson_gaps_have_the_mean_and_the_spread_of_their_rate() {
        let times = first(
            &Arrivals::Poisson {
                rate: 1000.0,
                seed: 1,
            },
            100_001,
        );
        let gaps: Vec<f64> = times
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) as f64 / 1e6)
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn recorded_times_repeat_and_scale() {
        let plain = Arrivals::Recorded(Recorded::new(vec![100, 300, 200], None).expect("two times"));
        assert_eq!(first(&plain, 5), [0, 100_000, 200_000, 300_000, 400_000]);
        assert!((plain.rate() - 10_000.0).abs() < 1e-6);
        let half = Arrivals::Recorded(Recorded::new(vec![100, 300, 200], Some(5_000.0)).expect("two times"));
        assert_eq!(first(&half, 4), [0, 200_000, 400_000, 600_000]);
        assert!(Recorded::new(vec![5, 5], None).is_err());
        assert!(Recorded::new(vec![], None).is_err());
    }
}
