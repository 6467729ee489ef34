//! A warm decision that bids, with many candidates scored, allocates nothing but what the model library does.

#[path = "decide/many.rs"]
mod many;

use many::{Dice, EXCHANGE, NOW};
use outbid::engine::{self, Outcome, Scratch, Snapshot, Turn};
use outbid::openrtb::RequestBuffers;
use outbid::openrtb::request::Request;
use outbid::store::models::{Group, Scorer};
use outbid::units::{BidId, Nanos};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts the allocations of each thread; everything else is the system's.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged to the system's allocator; counting touches a thread-local cell that
// needs neither allocation nor destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.realloc(memory, layout, new_size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What tract allocates for one batch of the shipped model `ctr/1`: another model, another number.
const OF_THE_MODEL: u64 = 63;
const CANDIDATES: usize = 16;
const CANDIDATES_TO_COUNT: usize = 8;

#[test]
fn a_warm_decision_allocates_nothing_of_its_own() {
    let (snapshot, live) = many::market(1000, 1, Nanos(1_000_000 * Nanos::PER_UNIT));
    let exchange = snapshot.exchange(EXCHANGE).expect("in the market");
    let mut dice = Dice(7);
    let bodies: Vec<String> = (0..64).map(|_| many::request(&mut dice)).collect();
    let mut bytes: Vec<Vec<u8>> = bodies.iter().map(|body| body.as_bytes().to_vec()).collect();
    let requests: Vec<Request> = bytes
        .iter_mut()
        .map(|body| RequestBuffers::default().parse(body).expect("a sound request"))
        .collect();

    let (mut scratch, mut ids) = (Scratch::default(), 0);
    let mut decide = |request: &Request, scratch: &mut Scratch| {
        let mut turn = Turn {
            now: NOW,
            seed: ids,
            candidates_max: CANDIDATES,
            next_id: &mut || {
                ids += 1;
                BidId::new(1, 1, ids)
            },
            lap: &mut |_| {},
        };
        let before = ALLOCATIONS.get();
        let outcome = engine::bid(request, exchange, &snapshot, &live, scratch, &mut turn);
        let allocated = ALLOCATIONS.get() - before;
        for bid in &scratch.bids {
            live.budgets.release(bid.id);
            if let Some(user) = scratch.audience.key {
                let item = &snapshot.campaigns.line_items()[bid.candidate.line_item as usize];
                live.caps.clear(user, item.counted_as, bid.id);
            }
        }
        (outcome, allocated)
    };
    for _ in 0..3 {
        requests.iter().for_each(|request| {
            decide(request, &mut scratch);
        });
    }
    let (mut counted, mut shaded) = (0, 0);
    for request in &requests {
        let (outcome, allocated) = decide(request, &mut scratch);
        let expected = of_the_model(&snapshot, &scratch);
        assert_eq!(allocated, expected, "{outcome:?} with {} scored", scratch.scored);
        let bids = matches!(outcome, Outcome::Bids(_));
        shaded += scratch
            .bids
            .iter()
            .filter(|bid| bid.candidate.shade.is_some())
            .count();
        counted += usize::from(bids && scratch.scored >= CANDIDATES_TO_COUNT);
    }
    println!(
        "{counted} of {} decisions bid with {CANDIDATES_TO_COUNT} candidates or more",
        requests.len()
    );
    assert!(
        counted >= 32,
        "only {counted} decisions bid with enough candidates"
    );
    assert!(shaded >= 8, "only {shaded} bids were shaded");
}

#[test]
fn what_the_model_library_allocates_is_known() {
    let (snapshot, _) = many::market(10, 1, Nanos(Nanos::PER_UNIT));
    for n in [1, 8, 16, 32] {
        let count = of_batch(&snapshot, n);
        println!("{}: {count} allocations for a batch of {n}", snapshot.model_name);
        assert_eq!(count, OF_THE_MODEL, "for a batch of {n}");
    }
}

/// One batch for each imp that had candidates.
fn of_the_model(snapshot: &Snapshot, scratch: &Scratch) -> u64 {
    let scored = |imp| {
        scratch
            .candidates
            .iter()
            .filter(|candidate| candidate.imp == imp && !candidate.alternative)
            .count()
    };
    scratch
        .contexts
        .iter()
        .map(|row| of_batch(snapshot, scored(row.imp)))
        .sum()
}

/// The model alone, warm, on rows of the same shape.
fn of_batch(snapshot: &Snapshot, n: usize) -> u64 {
    let schema = snapshot.model.schema();
    let context = vec![0.0; schema.columns(Group::Context)];
    let candidates = vec![0.0; n * schema.columns(Group::Candidate)];
    let (mut scorer, mut scores) = (Scorer::default(), Vec::new());
    let mut run = || {
        let before = ALLOCATIONS.get();
        scorer
            .score(&snapshot.model, &context, &candidates, &mut scores)
            .expect("scored");
        ALLOCATIONS.get() - before
    };
    run();
    run();
    run()
}
