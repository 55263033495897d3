//! Sees how much memory is asked for at once: a size in a stranger's bytes that is believed is found even where nobody
//! touches the memory, and there is enough of it.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

/// What no input of some KiB is worth, in bytes.
const TOO_MUCH: usize = 1 << 20;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

struct Watched;

/// Gives a target some bytes.
///
/// # Panics
/// Where it asks for too much memory at once.
pub fn watched(target: fn(&[u8]), bytes: &[u8]) {
    LARGEST.set(0);
    target(bytes);
    let largest = LARGEST.get();
    assert!(largest < TOO_MUCH, "{} bytes made it ask for {largest} at once", bytes.len());
}

fn asked_for(bytes: usize) {
    LARGEST.set(LARGEST.get().max(bytes));
}

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        asked_for(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        asked_for(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        asked_for(size);
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_is_believed_is_seen_although_nobody_touches_the_memory() {
        fn believes(bytes: &[u8]) {
            drop(std::hint::black_box(Vec::<u8>::with_capacity(usize::from(bytes[0]) << 20)));
        }
        watched(believes, &[0]);
        assert!(std::panic::catch_unwind(|| watched(believes, &[200])).is_err());
    }
}
