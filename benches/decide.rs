//! Why: the whole decision, from the request to the money held, is what an exchange waits for. It stands beside a naive
//! bidder that looks at every line item in turn and scores row by row.
//!
//! 1,000 line items in 200 campaigns, targeted, capped and priced in all ways; 1,000 people with 25 tags each. Every
//! iteration decides the next of 64 different requests and gives its money and its caps back, which is part of the time.

#[path = "../tests/decide/many.rs"]
mod many;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use many::{Dice, EXCHANGE, NOW};
use outbid::engine::{self, Live, Outcome, Scratch, Snapshot, Turn};
use outbid::openrtb::RequestBuffers;
use outbid::openrtb::request::Request;
use outbid::optouts::OptOuts;
use outbid::store::campaigns::{Opportunity, naive};
use outbid::store::models::{ContextBuffer, ContextInput, Score, Scorer};
use outbid::units::{BidId, Nanos};
use std::hint::black_box;

/// As in the server: the model library allocates with every batch.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LINE_ITEMS: usize = 1000;

fn decide(c: &mut Criterion) {
    let (snapshot, live) = many::market(LINE_ITEMS, 1, Nanos(1_000_000 * Nanos::PER_UNIT));
    let mut dice = Dice(7);
    let bodies: Vec<String> = (0..64).map(|_| many::request(&mut dice)).collect();
    let mut bytes: Vec<Vec<u8>> = bodies.iter().map(|body| body.as_bytes().to_vec()).collect();
    let requests: Vec<Request> = bytes
        .iter_mut()
        .map(|body| RequestBuffers::default().parse(body).expect("a sound request"))
        .collect();
    let mut group = c.benchmark_group("decide");
    group.throughput(Throughput::Elements(1));
    for candidates in [8, 16, 32] {
        let mut bidder = Bidder::new(&snapshot, &live, candidates);
        bidder.tell_what_is_done(&requests);
        let mut next = requests.iter().cycle();
        group.bench_function(BenchmarkId::new("without parsing", candidates), |b| {
            b.iter(|| black_box(bidder.decide(next.next().expect("a cycle"))));
        });
        let (mut buffers, mut body) = (RequestBuffers::default(), Vec::new());
        let mut next = bodies.iter().cycle();
        group.bench_function(BenchmarkId::new("with parsing", candidates), |b| {
            b.iter(|| {
                body.clear();
                body.extend_from_slice(next.next().expect("a cycle").as_bytes());
                let request = buffers.parse(&mut body).expect("a sound request");
                black_box(bidder.decide(&request));
                buffers.recycle(request);
            });
        });
        let mut rival = Naive::new(&snapshot, candidates);
        let mut next = requests.iter().cycle();
        group.bench_function(
            BenchmarkId::new("naive, without prices and money", candidates),
            |b| {
                b.iter(|| black_box(rival.decide(next.next().expect("a cycle"))));
            },
        );
    }
    group.finish();
}

criterion_group!(benches, decide);
criterion_main!(benches);

struct Bidder<'m> {
    snapshot: &'m Snapshot,
    live: &'m Live,
    scratch: Scratch,
    candidates: usize,
    ids: u64,
}

impl<'m> Bidder<'m> {
    fn new(snapshot: &'m Snapshot, live: &'m Live, candidates: usize) -> Bidder<'m> {
        Bidder {
            snapshot,
            live,
            scratch: Scratch::default(),
            candidates,
            ids: 0,
        }
    }

    fn decide(&mut self, request: &Request) -> Outcome {
        let exchange = self.snapshot.exchange(EXCHANGE).expect("in the market");
        let ids = &mut self.ids;
        let mut turn = Turn {
            now: NOW,
            seed: *ids,
            candidates_max: self.candidates,
            next_id: &mut || {
                *ids += 1;
                BidId::new(1, 1, *ids)
            },
            lap: &mut |_| {},
        };
        let outcome = engine::bid(
            request,
            exchange,
            self.snapshot,
            self.live,
            &mut self.scratch,
            &mut turn,
        );
        for bid in &self.scratch.bids {
            self.live.budgets.release(bid.id);
            if let Some(user) = self.scratch.audience.key {
                let item = &self.snapshot.campaigns.line_items()[bid.candidate.line_item as usize];
                self.live.caps.clear(user, item.counted_as, bid.id);
            }
        }
        outcome
    }

    fn tell_what_is_done(&mut self, requests: &[Request]) {
        let (mut matched, mut scored, mut bids, mut known) = (0, 0, 0, 0);
        for request in requests {
            self.decide(request);
            matched += self.scratch.matched;
            scored += self.scratch.candidates.len();
            bids += usize::from(!self.scratch.bids.is_empty());
            known += usize::from(self.scratch.audience.has_profile);
        }
        let mean = |sum: usize| sum as f64 / requests.len() as f64;
        println!(
            "{LINE_ITEMS} line items: {:.1} matched and {:.1} scored on average, {:.0} % bid, {:.0} % known",
            mean(matched),
            mean(scored),
            100.0 * mean(bids),
            100.0 * mean(known)
        );
    }
}

/// Looks at every line item for every imp and scores the first that fit, one by one.
struct Naive<'m> {
    snapshot: &'m Snapshot,
    opt_outs: OptOuts,
    candidates: usize,
    context: ContextBuffer,
    scorer: Scorer,
    scores: Vec<Score>,
}

impl<'m> Naive<'m> {
    fn new(snapshot: &'m Snapshot, candidates: usize) -> Naive<'m> {
        Naive {
            snapshot,
            opt_outs: OptOuts::default(),
            candidates,
            context: ContextBuffer::default(),
            scorer: Scorer::default(),
            scores: Vec::new(),
        }
    }

    /// The highest click probability found.
    fn decide(&mut self, request: &Request) -> f32 {
        let snapshot = self.snapshot;
        let exchange = snapshot.exchange(EXCHANGE).expect("in the market");
        let audience = snapshot
            .people
            .find(request, &exchange.user_namespace, &self.opt_outs, NOW);
        let share = self.candidates.div_ceil(request.imps.len());
        let mut best = 0.0_f32;
        for imp in &request.imps {
            let signals = snapshot.campaigns.signals();
            let opportunity = Opportunity::new(request, imp, EXCHANGE, audience.hour, signals);
            let fitting = (0..)
                .zip(snapshot.campaigns.line_items())
                .filter_map(|(position, item)| {
                    let mismatch = naive::first_mismatch(item, &opportunity, audience.profile.as_ref(), NOW);
                    let fits =
                        |&creative: &u32| snapshot.templates[creative as usize].fits(imp, request).is_ok();
                    let creative = item.creatives.iter().position(fits)?;
                    mismatch.is_none().then_some((position, creative))
                });
            for (position, creative) in fitting.take(share) {
                let position: usize = position;
                let input = ContextInput {
                    request,
                    imp,
                    exchange: EXCHANGE,
                    hour: audience.hour,
                    profile: audience.profile.as_ref(),
                    may_profile: audience.consent.personal_data,
                    now: NOW,
                };
                snapshot.model.context(&input, &mut self.context);
                let row = &snapshot.ready[position].rows[creative].columns;
                self.scorer
                    .score(&snapshot.model, &self.context.columns, row, &mut self.scores)
                    .expect("scored");
                best = best.max(self.scores[0].click.get());
            }
        }
        best
    }
}
