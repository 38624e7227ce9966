//! In the steady state a small command costs no allocation.
#![expect(unsafe_code, reason = "an allocator that counts is one")]

mod turns;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use turns::{Bench, CLIENTS};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$5\r\nkey:1\r\n";
const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$5\r\nkey:1\r\n$5\r\nvalue\r\n";

/// Allocations of a thousand turns after as many to warm up.
fn allocations(request: &[u8], reply: &[u8], pipeline: usize) -> u64 {
    let mut bench = Bench::new();
    let request = request.repeat(pipeline);
    let replies = reply.repeat(pipeline * CLIENTS);
    for _ in 0..1000 {
        bench.turn(&request, &replies);
    }
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..1000 {
        bench.turn(&request, &replies);
    }
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert_eq!(bench.delivered, 2000 * replies.len() as u64, "every reply reached its client");
    allocations
}

/// One test, so that no other one allocates meanwhile.
#[test]
fn small_commands_allocate_nothing_in_the_steady_state() {
    for pipeline in [1, 16] {
        assert_eq!(allocations(GET, b"$5\r\nvalue\r\n", pipeline), 0, "GET, pipeline {pipeline}");
        assert_eq!(allocations(SET, b"+OK\r\n", pipeline), 0, "SET, pipeline {pipeline}");
    }
    let mixed = [GET, SET].concat();
    assert_eq!(allocations(&mixed, b"$5\r\nvalue\r\n+OK\r\n", 1), 0, "GET and SET together");
}
