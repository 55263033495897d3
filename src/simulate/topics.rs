//! The source topic's partitions, and the logs of the result and dead-letter topics.

use bytes::Bytes;

use super::{transactions::TransactionId, world::ClientId};
use crate::record::{Destination, Record, TopicPartition};

/// The source topic's name.
pub const SOURCE: &str = "in";

/// The source topic's partition with that number.
pub fn source(partition: i32) -> TopicPartition {
    TopicPartition::new(SOURCE, partition)
}

/// A record of the source topic.
pub struct Stored {
    pub offset: i64,
    pub key: Option<Bytes>,
    pub value: Bytes,
}

/// A partition of the source topic.
#[derive(Default)]
pub struct Partition {
    pub records: Vec<Stored>,
    /// The first offset that is retained.
    pub low: i64,
    /// The offset after the last.
    pub high: i64,
}

/// A written record; one list has those of all partitions, in the order of writing.
pub struct Written {
    pub to: Destination,
    pub partition: i32,
    pub record: Record,
    pub by: ClientId,
    /// How often the writer had a reason to repeat records of the same source partition (see `QueuedRecord`).
    pub again: u32,
    pub transaction: Option<TransactionId>,
}

pub struct TopicLogs {
    pub source: Vec<Partition>,
    pub written: Vec<Written>,
}

impl TopicLogs {
    pub fn new(partitions: i32) -> TopicLogs {
        TopicLogs { source: (0..partitions).map(|_| Partition::default()).collect(), written: Vec::new() }
    }

    pub fn of(&self, partition: i32) -> &Partition {
        &self.source[partition as usize]
    }

    /// Adds a record to the source topic. Its value has the operator's kind of result, and its own position.
    pub fn produce(&mut self, kind: &str, partition: i32, key: Option<u8>, gap: i64) {
        let of = &mut self.source[partition as usize];
        let offset = of.high + gap;
        let value = format!("{kind} {partition}/{offset}").into();
        let key = key.map(|key| Bytes::from(vec![b'a' + key]));
        of.records.push(Stored { offset, key, value });
        of.high = offset + 1;
    }
}

impl Partition {
    /// The retained records from an offset on.
    pub fn from(&self, offset: i64) -> &[Stored] {
        let first = self.records.partition_point(|record| record.offset < offset.max(self.low));
        &self.records[first..]
    }
}

/// The partition of a record, by its key.
pub fn partition_of(record: &Record) -> i32 {
    record.key.as_ref().map_or(0, |key| i32::from(key.first().copied().unwrap_or(0) % 2))
}
