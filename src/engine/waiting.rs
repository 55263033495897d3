//! Chunks that wait in a lane: until the window of completed offsets reaches them, and in a retry topic for their time.

use std::{collections::BTreeMap, time::Duration};

use super::chunk::Chunk;

/// The chunks of one lane that wait.
#[derive(Default)]
pub struct Waiting {
    /// By the time before which they are not computed, in milliseconds since 1970 UTC (0 but in a retry topic), and by the sequence
    /// number of the first record.
    chunks: BTreeMap<(u64, u64), Chunk>,
    /// Of a retry topic: how long records wait there at most.
    longest: Option<Duration>,
    /// What the clock said last, in milliseconds since 1970 UTC, where records wait for it.
    clock: u64,
}

impl Waiting {
    /// For a lane whose records wait so long at most, where it is one of a retry topic.
    pub fn new(longest: Option<Duration>, unix_millis: u64) -> Self {
        Waiting { chunks: BTreeMap::new(), longest, clock: if longest.is_some() { unix_millis } else { 0 } }
    }

    /// How long records wait at most; `None` where they do not wait for a time.
    pub fn longest(&self) -> Option<Duration> {
        self.longest
    }

    /// What the clock said last, in milliseconds since 1970 UTC.
    pub fn clock(&self) -> u64 {
        self.clock
    }

    /// The clock says this. Whether that matters.
    pub fn tick(&mut self, unix_millis: u64) -> bool {
        if self.longest.is_some() {
            self.clock = unix_millis;
        }
        self.longest.is_some()
    }

    /// Adds a chunk that is not computed before that time.
    pub fn push(&mut self, at: u64, chunk: Chunk) {
        let first = chunk.sequences().next().unwrap_or_default();
        self.chunks.insert((at, first), chunk);
    }

    /// Takes the next chunk whose time has come and that fits. One with a later time does not hold it up; one before it does, where
    /// there are no times.
    pub fn pop(&mut self, fits: impl Fn(&Chunk) -> bool) -> Option<Chunk> {
        let looked_at = if self.longest.is_some() { usize::MAX } else { 1 };
        let due = self.chunks.range(..=(self.clock, u64::MAX)).take(looked_at);
        let next = due.into_iter().find(|(_, chunk)| fits(chunk)).map(|(place, _)| *place)?;
        self.chunks.remove(&next)
    }

    /// How long the next chunk has to wait for its time; `None` where none does.
    pub fn wait(&self) -> Option<Duration> {
        let (at, _) = self.chunks.keys().next()?;
        (*at > self.clock).then(|| Duration::from_millis(at - self.clock))
    }

    /// Drops all.
    pub fn clear(&mut self) {
        self.chunks.clear();
    }
}
