//! Leaves out records that have come before.
//!
//! Whether a record has come before follows from the records of its partition alone that lie at most some time before it. So there is
//! no state that has to be kept, or that a crash could lose: a lane that begins reads once more what lies before its start, and knows.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::Past;
use crate::{
    operator::{Output, RecordId},
    record::{Batch, TopicPartition},
};

/// How much older than the newest one a record may be for what came before it still to be known.
const LATE: Duration = Duration::from_secs(300);
/// What an id takes besides its own bytes.
const AROUND: u64 = 128;

/// Which records are the same.
#[derive(Debug)]
pub struct Deduplication {
    /// What two of them have in common.
    pub id: RecordId,
    /// How far apart their timestamps are at most.
    pub within: Duration,
    /// The most bytes that may be kept of ids, in all partitions. Beyond that the oldest are forgotten.
    pub memory: u64,
    /// The bytes that are kept.
    held: AtomicU64,
}

impl Deduplication {
    /// Records are the same that have the same id, within that time. Their ids may take that many bytes.
    pub fn new(id: RecordId, within: Duration, memory: u64) -> Self {
        Deduplication { id, within, memory, held: AtomicU64::new(0) }
    }

    /// The bytes that are kept of ids.
    pub fn holds(&self) -> u64 {
        self.held.load(Relaxed)
    }
}

/// What has come in one partition.
pub struct Seen {
    shared: Arc<Deduplication>,
    /// The latest timestamp of the records with an id, in milliseconds.
    latest: HashMap<Arc<[u8]>, i64>,
    /// Each record's, in the order in which they came, to be forgotten in that order.
    order: VecDeque<(Arc<[u8]>, i64)>,
    newest: i64,
    /// Whether what lies before the lane's start was asked for.
    asked: bool,
    /// Whether it was said that ids are forgotten too early.
    warned: bool,
    place: Output,
}

impl Seen {
    pub fn new(shared: Arc<Deduplication>) -> Self {
        Seen {
            shared,
            latest: HashMap::new(),
            order: VecDeque::new(),
            newest: i64::MIN,
            asked: false,
            warned: false,
            place: Output::default(),
        }
    }

    /// Where no record has come yet, what has to be read before those of the first batch.
    pub fn history_before(&mut self, first: &Batch) -> Option<Past> {
        if std::mem::replace(&mut self.asked, true) {
            return None;
        }
        let timestamps = (0..first.len()).filter_map(|index| first.timestamp(index));
        let reach = millis(self.shared.within.saturating_add(LATE));
        let since = timestamps.min().unwrap_or(0).saturating_sub(reach).max(0);
        Some(Past::Since { since, before: first.offset(0) })
    }

    /// Remembers a record. Whether one with its id has come before.
    pub fn take(&mut self, batch: &Batch, index: usize) -> bool {
        self.place.set_place(&batch.partition, batch.offset(index));
        let Some(id) = self.shared.id.of(&batch.record(index), &self.place) else { return false };
        // One without a timestamp is as new as the newest.
        let timestamp = batch.timestamp(index).unwrap_or(self.newest);
        let horizon = timestamp.saturating_sub(millis(self.shared.within));
        let size = id.len() as u64 + AROUND;
        let (id, latest) = match self.latest.get_key_value(&*id) {
            Some((id, latest)) => (id.clone(), Some(*latest)),
            // The rest of its batch must not stay in memory for it.
            None => (Arc::from(&*id), None),
        };
        self.latest.insert(id.clone(), latest.map_or(timestamp, |latest| latest.max(timestamp)));
        self.order.push_back((id, timestamp));
        self.shared.held.fetch_add(size, Relaxed);
        self.newest = self.newest.max(timestamp);
        self.forget(&batch.partition);
        latest.is_some_and(|latest| latest >= horizon)
    }

    /// Forgets what is too old to matter, and the oldest where there is no room.
    fn forget(&mut self, partition: &TopicPartition) {
        let horizon = self.newest.saturating_sub(millis(self.shared.within.saturating_add(LATE)));
        while let Some((id, timestamp)) = self.order.front() {
            let is_old = *timestamp < horizon;
            if !is_old && self.shared.holds() <= self.shared.memory {
                return;
            }
            if !is_old && !self.warned {
                self.warned = true;
                let bytes = self.shared.memory;
                tracing::warn!(
                    %partition,
                    "the ids of all records within the time do not fit `source.deduplicate.memory` ({bytes} bytes): the oldest are \
                     forgotten, and a record that comes again after that is not left out"
                );
            }
            if self.latest.get(id) == Some(timestamp) {
                self.latest.remove(id);
            }
            self.shared.held.fetch_sub(id.len() as u64 + AROUND, Relaxed);
            self.order.pop_front();
        }
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        let held = self.order.iter().map(|(id, _)| id.len() as u64 + AROUND).sum();
        self.shared.held.fetch_sub(held, Relaxed);
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
