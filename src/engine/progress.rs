use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// What a running pipeline has done so far, for whoever wants to look while it runs.
#[derive(Default, Debug)]
pub struct Progress {
    /// Records read.
    pub consumed: AtomicU64,
    /// Results acknowledged.
    pub produced: AtomicU64,
    /// Dead letters acknowledged.
    pub dead_letters: AtomicU64,
    /// Records read and not done yet.
    pub in_flight: AtomicU64,
    /// Records from the low watermarks to the ends of the assigned partitions.
    pub lag: AtomicU64,
    /// Partitions assigned now.
    pub partitions: AtomicU64,
    /// Whether the group has been joined: true from the first assignment on, an empty one included.
    pub joined: AtomicBool,
}

impl Progress {
    pub(super) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Relaxed);
    }
}
