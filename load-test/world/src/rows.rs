//! Labelled impressions for training: traffic, ads shown at random, and what the law made of them.
//! Invariant: ads are chosen uniformly among those that fit, so a model learns the law and no policy.

use crate::law::{Ad, Format};
use crate::random::{Random, Stream};
use crate::traffic::{Truth, daily_curve};
use crate::world::World;

/// An ad that can be shown, with the names that go into the rows.
#[derive(Clone, Debug, PartialEq)]
pub struct AdChoice {
    pub domain: String,
    pub categories: Vec<String>,
    pub w: u32,
    pub h: u32,
    pub format: Format,
}

/// One impression and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub truth: Truth,
    /// The request as JSON.
    pub request: String,
    /// Index of the imp in the request.
    pub imp: usize,
    /// Index into the given ads.
    pub ad: usize,
    /// How often the person had seen an ad of this domain.
    pub seen: u32,
    pub click: bool,
    pub conversion: bool,
    /// What the law said: the best that any model can do.
    pub click_probability: f64,
    pub conversion_given_click: f64,
}

/// The rows of a period, by request number; requests that no ad fits are left out.
pub struct Rows<'a> {
    world: &'a World,
    ads: &'a [AdChoice],
    start_ms: i64,
    days: u32,
    next: u64,
    fitting: Vec<usize>,
}

impl World {
    /// Endless: take as many as wanted. Times follow the daily curve over `days` days from `start_ms`.
    pub fn rows<'a>(&'a self, ads: &'a [AdChoice], start_ms: i64, days: u32) -> Rows<'a> {
        Rows {
            world: self,
            ads,
            start_ms,
            days,
            next: 0,
            fitting: Vec::new(),
        }
    }
}

impl Iterator for Rows<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        // No row can be found where nothing fits: give up after a run of misses that is no accident.
        const MISSES_MAX: u64 = 10_000;
        (0..MISSES_MAX).find_map(|_| {
            self.next += 1;
            self.row(self.next - 1)
        })
    }
}

impl Rows<'_> {
    fn row(&mut self, number: u64) -> Option<Row> {
        let random = &mut Random::new(self.world.seed(), Stream::Row, number);
        let time_ms = self.start_ms + time_in_period(self.days, random);
        let truth = self.world.truth(number, time_ms);
        let imp = random.below(truth.imps.len() as u64) as usize;
        let wanted = &truth.imps[imp];
        self.fitting.clear();
        self.fitting.extend((0..self.ads.len()).filter(|ad| {
            let ad = &self.ads[*ad];
            wanted.fits(ad.format, ad.w, ad.h)
        }));
        if self.fitting.is_empty() {
            return None;
        }
        let ad = *random.pick(&self.fitting);
        let mut request = String::with_capacity(2048);
        self.world.write_request(&truth, &mut request);
        Some(self.label(truth, request, imp, ad, random))
    }

    fn label(&self, truth: Truth, request: String, imp: usize, ad: usize, random: &mut Random) -> Row {
        let choice = &self.ads[ad];
        let categories: Vec<&str> = choice.categories.iter().map(String::as_str).collect();
        let shown = Ad {
            domain: &choice.domain,
            categories: &categories,
            w: choice.w,
            h: choice.h,
            format: choice.format,
        };
        let seen = (random.exponential() * 0.9) as u32;
        let law = self.world.law();
        let context = &truth.imps[imp].context;
        let click_probability = law.click_probability(&truth.user, context, &shown, seen);
        let conversion_given_click = law.conversion_given_click(&truth.user, context, &shown);
        let click = random.chance(click_probability);
        let conversion = random.chance(conversion_given_click) && click;
        Row {
            truth,
            request,
            imp,
            ad,
            seen,
            click,
            conversion,
            click_probability,
            conversion_given_click,
        }
    }
}

/// Milliseconds into a period of `days`, as often as the daily curve says (by rejection; the curve stays below 2).
fn time_in_period(days: u32, random: &mut Random) -> i64 {
    loop {
        let time_ms = random.below(u64::from(days.max(1)) * 86_400_000) as i64;
        if random.unit() * 2.0 < daily_curve(time_ms) {
            return time_ms;
        }
    }
}
