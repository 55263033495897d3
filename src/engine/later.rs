//! Retry topics: where records wait before they are tried again, so that no other waits for them.
//!
//! A record that goes there keeps its key, its value and its headers. Headers of our own say where it was read first, and when
//! it is tried again; operators do not see them.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::{
    Topology,
    chunk::{Chunk, HeldBatch},
    compute::Compute,
    outcome::{Outcome, Outgoing},
    parked::Waits,
    plan::RetryTopic,
    waiting::Waiting,
};
use crate::record::{Batch, Destination, Headers, Offset, Record, TopicPartition, classes, retry, wire_size};

/// A record that was read.
pub struct Taken {
    /// As it came from the source.
    pub record: Record,
    /// Where it was read first, where that was in another topic.
    first: Option<(TopicPartition, Offset)>,
    /// How often it was tried before.
    pub tried: u32,
    /// How often it has waited in a retry topic, but for waiting behind another record.
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

/// The place of a topic among the retry topics, if it is one.
pub fn place(topics: &[RetryTopic], topic: &str) -> Option<usize> {
    topics.iter().position(|retry| retry.topic == topic)
}

/// Of a record of a retry topic: its offset where it was read first, and when it is tried again, in milliseconds since 1970 UTC.
/// `None` where its headers do not say.
pub fn parked(batch: &Batch, index: usize) -> Option<(Offset, u64)> {
    let headers = batch.record(index).headers;
    Some((Offset(headers.number(retry::OFFSET)?), headers.number(retry::AT).unwrap_or_default()))
}

/// The record, and where it was read first.
pub fn take(topics: &[RetryTopic], batch: &Batch, index: usize) -> Taken {
    let mut record = batch.record(index);
    let Some(place) = place(topics, &batch.partition.topic) else {
        return Taken { record, first: None, tried: 0, waited: 0 };
    };
    let first = first(&record.headers);
    let tried = record.headers.number(retry::ATTEMPTS).unwrap_or_default();
    let waited = record.headers.number(retry::WAITS).unwrap_or(place + 1).min(topics.len());
    record.timestamp = record.headers.number(retry::TIMESTAMP).or(record.timestamp);
    record.headers.retain(|header| !header.name.starts_with(retry::PREFIX));
    Taken { record, first, tried, waited }
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
    let Taken { mut record, tried, waited, .. } = taken;
    for (name, value) in [
        (retry::TOPIC, partition.topic.to_string()),
        (retry::PARTITION, partition.partition.to_string()),
        (retry::OFFSET, offset.to_string()),
        (retry::ATTEMPTS, tried.to_string()),
        (retry::WAITS, waited.to_string()),
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

impl Compute {
    /// Where an earlier record of its key waits, so that this one has to wait behind it.
    pub(super) fn behind(&self, held: &HeldBatch, index: usize) -> Option<Waits> {
        let (keys, batch) = (held.parked.as_ref()?, &held.batch);
        let topic = place(&self.retries.topics, &batch.partition.topic);
        let first = match topic {
            Some(_) => parked(batch, index)?.0,
            None => batch.offset(index),
        };
        keys.before(&batch.key(index)?, first, topic)
    }

    /// Sends a record there, although it was not tried.
    pub(super) fn wait_behind(
        &self,
        cause: usize,
        held: &HeldBatch,
        index: usize,
        behind: Waits,
        outcome: &mut Outcome,
    ) {
        let taken = self.take(&held.batch, index);
        self.send_later(cause, held, index, taken, behind, outcome);
    }

    /// Sends a record that has failed to the retry topic of that place, to be tried again later.
    pub(super) fn later(
        &self,
        cause: usize,
        held: &HeldBatch,
        index: usize,
        topic: usize,
        attempts: u32,
        outcome: &mut Outcome,
    ) {
        let wait = u64::try_from(self.retries.topics[topic].after.as_millis()).unwrap_or(u64::MAX);
        let at = self.runtime.unix_millis().saturating_add(wait);
        let mut taken = self.take(&held.batch, index);
        (taken.tried, taken.waited) = (taken.tried.saturating_add(attempts), topic + 1);
        outcome.retries += 1;
        self.send_later(cause, held, index, taken, Waits { topic, at }, outcome);
    }

    fn send_later(
        &self,
        cause: usize,
        held: &HeldBatch,
        index: usize,
        taken: Taken,
        waits: Waits,
        outcome: &mut Outcome,
    ) {
        let (batch, retry) = (&held.batch, &self.retries.topics[waits.topic]);
        // A copy is told from the one that it came from by its time.
        let before = place(&self.retries.topics, &batch.partition.topic).and_then(|_| parked(batch, index));
        let at = before.map_or(0, |(_, at)| at.saturating_add(1)).max(waits.at);
        let waits = Waits { at, ..waits };
        let (partition, offset) = taken.place(batch, index);
        let (place, tried) = ((partition.clone(), offset), taken.tried);
        let record = of(taken, place, retry, waits.at);
        let to = Destination::Result(retry.to);
        let (size, largest) = (wire_size(&record), self.largest[to].load(Relaxed));
        if size > largest {
            let message = format!(
                "it cannot be tried again later: `{}` takes {largest} bytes, and it has {size}",
                retry.topic
            );
            let (class, attempts) = (classes::RETRIES_EXHAUSTED, tried - self.take(batch, index).tried);
            return self.dead_letter(cause, batch, index, class, &message, attempts, outcome);
        }
        if let (Some(parked), Some(key)) = (&held.parked, batch.key(index)) {
            parked.insert(&key, offset, waits);
        }
        outcome.outgoing.push(Outgoing::whole(cause, to, record));
    }
}

/// Records of a retry topic as chunks, each with its time.
pub fn cut(
    held: &Arc<HeldBatch>,
    fresh: impl Iterator<Item = usize>,
    waiting: &mut Waiting,
    topology: &Topology,
) -> Vec<(u64, Chunk)> {
    let time = |index| {
        let says = held.batch.record(index).headers.number::<u64>(retry::AT);
        (waiting.time(held.batch.key(index), says.unwrap_or_default()), index)
    };
    let times: Vec<(u64, usize)> = fresh.map(time).collect();
    let together = times.chunk_by(|(one, _), (next, _)| one == next);
    let chunks = together.flat_map(|times| {
        let chunks = Chunk::cut(times.iter().map(|(_, index)| (held, *index)), topology);
        chunks.into_iter().map(|chunk| (times[0].0, chunk))
    });
    chunks.collect()
}
