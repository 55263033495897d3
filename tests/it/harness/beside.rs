//! Work that goes on beside a test.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
};

/// Does each of the works over and over, in a thread of its own, for as long as `during` takes.
pub fn beside<W: FnMut() + Send, T>(works: impl IntoIterator<Item = W>, during: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stops = StopsAtEnd(&stop);
        for work in works {
            scope.spawn(|| {
                let mut work = work;
                while !stop.load(SeqCst) {
                    work();
                }
            });
        }
        let result = during();
        drop(stops);
        result
    })
}

/// Whichever way the test ends: the scope waits for its threads where it fails, too.
struct StopsAtEnd<'a>(&'a AtomicBool);

impl Drop for StopsAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}
