//! What a piece of work allocates, counted on its own thread.
//!
//! Invariant: every byte asked for counts, also what is given back at once; growing a block counts as a new one.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

pub struct Counting;

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

fn count(bytes: usize) {
    BYTES.with(|total| total.set(total.get().wrapping_add(bytes)));
}

// SAFETY: every call is passed on unchanged to the system's allocator; counting touches a thread-local cell that
// needs neither allocation nor destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size);
        unsafe { System.realloc(memory, layout, new_size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Does the work, and fails if it asks for more than `bytes_max`.
#[track_caller]
pub fn at_most<T>(bytes_max: usize, work: impl FnOnce() -> T) -> T {
    let before = BYTES.get();
    let done = work();
    let bytes = BYTES.get().wrapping_sub(before);
    assert!(
        bytes <= bytes_max,
        "{bytes} bytes were allocated, at most {bytes_max} may be"
    );
    done
}
