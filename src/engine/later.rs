//! Retry topics: where records wait before they are tried again, so that no other waits for them.
//!
//! A record that goes there keeps its key, its value and its headers. Headers of our own say where it was read first, and when
//! it is tried again; operators do not see them.

use std::{sync::Arc, time::Duration};

use super::{
    Topology,
    chunk::{Chunk, HeldBatch},
    plan::RetryTopic,
};
use crate::record::{Batch, Headers, Offset, Record, TopicPartition, retry};

/// Records whose times are in one step of this many milliseconds are tried again together.
const STEP: u64 = 100;

/// A record that was read.
pub struct Taken {
    /// As it came from the source.
    pub record: Record,
    /// Where it was read first, where that was in another topic.
    first: Option<(TopicPartition, Offset)>,
    /// How often it was tried before.
    pub tried: u32,
    /// In how many retry topics it has waited.
    pub waited: usize,
}

impl Taken {
    /// Where the record was read first. It was read from the batch now.
    pub fn place<'a>(&'a self, batch: &'a Batch, index: usize) -> (&'a TopicPartition, Offset) {
        match &self.first {
            Some((partition, offset)) => (partition, *offset),
            None => (&batch.partition, batch.offset(index)),
        }
    }
}

/// How long the records of a topic wait at most; `None` where it is no retry topic.
pub fn longest_wait(topics: &[RetryTopic], topic: &str) -> Option<Duration> {
    topics.iter().find(|retry| retry.topic == topic).map(|retry| retry.after)
}

/// The record, and where it was read first.
pub fn take(topics: &[RetryTopic], batch: &Batch, index: usize) -> Taken {
    let mut record = batch.record(index);
    let waited = topics.iter().position(|retry| *retry.topic == *batch.partition.topic);
    let Some(place) = waited else { return Taken { record, first: None, tried: 0, waited: 0 } };
    let first = first(&record.headers);
    let tried = record.headers.number(retry::ATTEMPTS).unwrap_or_default();
    record.timestamp = record.headers.number(retry::TIMESTAMP).or(record.timestamp);
    record.headers.retain(|header| !header.name.starts_with(retry::PREFIX));
    Taken { record, first, tried, waited: place + 1 }
}

/// Where a record was read first, as its headers say.
fn first(headers: &Headers) -> Option<(TopicPartition, Offset)> {
    let partition = TopicPartition::new(headers.text(retry::TOPIC)?, headers.number(retry::PARTITION)?);
    Some((partition, Offset(headers.number(retry::OFFSET)?)))
}

/// The record as it goes to a retry topic, in which it is tried again at `at`, in milliseconds since 1970 UTC.
pub fn of(
    taken: Taken,
    (partition, offset): (TopicPartition, Offset),
    topic: &RetryTopic,
    at: u64,
) -> Record {
    let Taken { mut record, tried, .. } = taken;
    for (name, value) in [
        (retry::TOPIC, partition.topic.to_string()),
        (retry::PARTITION, partition.partition.to_string()),
        (retry::OFFSET, offset.to_string()),
        (retry::ATTEMPTS, tried.to_string()),
        (retry::AT, at.to_string()),
    ] {
        record.headers.push(name, Some(value.into()));
    }
    if let Some(timestamp) = record.timestamp.take() {
        // The record's own may be older than the topic retains records.
        record.headers.push(retry::TIMESTAMP, Some(timestamp.to_string().into()));
    }
    Record { to: topic.to, ..record }
}

/// Records of a retry topic as chunks, each with its time.
pub fn cut(
    held: &Arc<HeldBatch>,
    fresh: impl Iterator<Item = usize>,
    wait: Duration,
    now: u64,
    topology: &Topology,
) -> Vec<(u64, Chunk)> {
    let dues: Vec<(u64, usize)> = fresh.map(|index| (due(&held.batch, index, wait, now), index)).collect();
    let together = dues.chunk_by(|(one, _), (next, _)| one == next);
    let chunks = together.flat_map(|dues| {
        let chunks = Chunk::cut(dues.iter().map(|(_, index)| (held, *index)), topology);
        chunks.into_iter().map(|chunk| (dues[0].0, chunk))
    });
    chunks.collect()
}

/// When a record of a retry topic is tried again, in milliseconds since 1970 UTC: `wait` from `now` at the latest, whatever its
/// header says.
fn due(batch: &Batch, index: usize, wait: Duration, now: u64) -> u64 {
    let record = batch.record(index);
    let said = record.headers.number::<u64>(retry::AT);
    let latest = now.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    said.unwrap_or_default().min(latest).div_ceil(STEP) * STEP
}
