//! Chunks that wait in a lane: until the window of completed offsets reaches them, and in a retry topic for their time.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bytes::Bytes;

use super::chunk::Chunk;

/// Records whose times are in one step of this many milliseconds are tried again together.
const STEP: u64 = 100;

/// The chunks of one lane that wait.
pub struct Waiting {
    /// By the time before which they are not computed, and by the sequence number of the first record.
    chunks: BTreeMap<(u64, u64), Chunk>,
    /// Of a retry topic: how many milliseconds records wait there at most.
    longest: Option<u64>,
    /// Milliseconds since some moment. The clock of the day may jump, and what waits must neither come earlier for it nor later.
    now: u64,
    /// What the clock of the day said then, in milliseconds since 1970 UTC.
    unix: u64,
    /// Where those of a key stay in order: the latest time of those that wait, and how many they are.
    keys: Option<HashMap<Bytes, (u64, usize)>>,
}

impl Waiting {
    /// For a lane whose records wait so long at most, where it is one of a retry topic; `by_key` where those of a key stay in order.
    pub fn new(longest: Option<Duration>, by_key: bool, now: Duration, unix: u64) -> Self {
        Waiting {
            chunks: BTreeMap::new(),
            longest: longest.map(millis),
            now: millis(now),
            unix,
            keys: by_key.then(HashMap::new),
        }
    }

    /// Whether records wait for their time.
    pub fn has_times(&self) -> bool {
        self.longest.is_some()
    }

    /// The clocks say this.
    pub fn tick(&mut self, now: Duration, unix: u64) {
        (self.now, self.unix) = (millis(now), unix);
    }

    /// When a record may be computed that says so, in milliseconds since 1970 UTC: not before those of its key that wait, and
    /// otherwise no later than its topic says. It has to be pushed then.
    pub fn time(&mut self, key: Option<Bytes>, says: u64) -> u64 {
        let wait = says.saturating_sub(self.unix).min(self.longest.unwrap_or_default());
        let time = if wait == 0 { 0 } else { (self.now + wait).div_ceil(STEP) * STEP };
        let (Some(keys), Some(key)) = (&mut self.keys, key) else { return time };
        let (latest, waiting) = keys.entry(key).or_default();
        (*latest, *waiting) = (time.max(*latest), *waiting + 1);
        *latest
    }

    /// Adds a chunk that is not computed before that time.
    pub fn push(&mut self, time: u64, chunk: Chunk) {
        let first = chunk.sequences().next().unwrap_or_default();
        self.chunks.insert((time, first), chunk);
    }

    /// Takes the next chunk whose time has come and that fits. One with a later time does not hold it up; one before it does, where
    /// there are no times.
    pub fn pop(&mut self, fits: impl Fn(&Chunk) -> bool) -> Option<Chunk> {
        let looked_at = if self.has_times() { usize::MAX } else { 1 };
        let due = self.chunks.range(..=(self.now, u64::MAX)).take(looked_at);
        let next = due.into_iter().find(|(_, chunk)| fits(chunk)).map(|(place, _)| *place)?;
        let chunk = self.chunks.remove(&next)?;
        if let Some(keys) = &mut self.keys {
            for key in chunk.places().filter_map(|(held, index)| held.batch.key(index)) {
                let Some((_, waiting)) = keys.get_mut(&key) else { continue };
                *waiting -= 1;
                if *waiting == 0 {
                    keys.remove(&key);
                }
            }
        }
        Some(chunk)
    }

    /// How long the next chunk has to wait for its time; `None` where none does.
    pub fn wait(&self) -> Option<Duration> {
        let (time, _) = self.chunks.keys().next()?;
        (*time > self.now).then(|| Duration::from_millis(time - self.now))
    }

    /// Drops all.
    pub fn clear(&mut self) {
        self.chunks.clear();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
