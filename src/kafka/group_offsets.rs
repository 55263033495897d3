//! What a pipeline's group has committed: read and set, without being a member of it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rdkafka::{
    Offset as RdOffset, TopicPartitionList, bindings as rd,
    consumer::{BaseConsumer, CommitMode, Consumer},
};

use super::{
    described,
    offsets::{commit_list, parts},
    tap,
};
use crate::{
    config::Pipeline,
    engine::CommitOffset,
    record::{Offset, TopicPartition},
};

/// How long the brokers may take to answer.
const ASK: Duration = Duration::from_secs(15);

/// A partition that the group reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupOffset {
    /// Which one.
    pub partition: TopicPartition,
    /// What the group has committed, if anything; its metadata says which records behind it are done too.
    pub committed: Option<CommitOffset>,
    /// The first offset that is there.
    pub first: i64,
    /// The one after the last.
    pub end: i64,
}

impl GroupOffset {
    /// How many offsets there are from the committed one, or the first one that is there, to the end.
    pub fn lag(&self) -> i64 {
        let from = self.committed.as_ref().map_or(self.first, |committed| committed.offset.0);
        (self.end - from.max(self.first)).max(0)
    }
}

/// A client for the offsets of a pipeline's group. All of it blocks.
pub struct GroupOffsets {
    consumer: BaseConsumer,
    list: TopicPartitionList,
    group: String,
}

impl GroupOffsets {
    /// For the partitions of the source that there are now.
    ///
    /// # Errors
    /// No broker answers, or a topic is not there.
    pub fn new(pipeline: &Pipeline) -> Result<Self, String> {
        let consumer = tap::consumer(pipeline)?;
        let list = tap::partitions(&consumer, pipeline.source.reads())?;
        if list.count() == 0 {
            return Err(format!("there is no topic {} at the broker", pipeline.source.names().join(", ")));
        }
        Ok(GroupOffsets { consumer, list, group: pipeline.source.group.clone() })
    }

    /// All partitions, and what is committed of each.
    ///
    /// # Errors
    /// No broker answers.
    pub fn all(&self) -> Result<Vec<GroupOffset>, String> {
        let committed = tap::committed(&self.consumer, self.list.clone(), &self.group)?;
        let mut all = Vec::new();
        for element in committed.elements() {
            let partition = TopicPartition::new(Arc::from(element.topic()), element.partition());
            let (first, end) = self
                .consumer
                .fetch_watermarks(element.topic(), element.partition(), ASK)
                .map_err(|error| format!("the offsets of {partition} cannot be read: {error}"))?;
            let committed = match element.offset() {
                RdOffset::Offset(offset) => Some(CommitOffset {
                    partition: partition.clone(),
                    offset: Offset(offset),
                    metadata: element.metadata().to_owned(),
                }),
                _ => None,
            };
            all.push(GroupOffset { partition, committed, first, end });
        }
        Ok(all)
    }

    /// The offset of each partition's first record of that time or later, in the order of [`all`](GroupOffsets::all); the end where
    /// there is none.
    ///
    /// # Errors
    /// No broker answers.
    pub fn at(&self, time: SystemTime) -> Result<Vec<Option<i64>>, String> {
        let millis = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
        let mut times = self.list.clone();
        times.set_all_offsets(RdOffset::Offset(millis)).map_err(|error| error.to_string())?;
        let found = self
            .consumer
            .offsets_for_times(times, ASK)
            .map_err(|error| format!("the offsets of that time cannot be found: {error}"))?;
        let offset = |offset| if let RdOffset::Offset(offset) = offset { Some(offset) } else { None };
        Ok(found.elements().iter().map(|element| offset(element.offset())).collect())
    }

    /// How many members the group has, while it is being shared out too.
    ///
    /// # Errors
    /// The broker does not say.
    pub fn members(&self) -> Result<usize, String> {
        // SAFETY: the consumer lives as long as `self`; the description is live while it is read.
        let described = unsafe {
            described::group(self.consumer.client().native_ptr(), &self.group, ASK, |group| {
                rd::rd_kafka_ConsumerGroupDescription_member_count(group)
            })
        };
        described.map_err(|error| format!("the broker does not describe the group {}: {error}", self.group))
    }

    /// Sets what is committed.
    ///
    /// # Errors
    /// The broker refuses, as it does while the group has members.
    pub fn set(&self, offsets: &[CommitOffset]) -> Result<(), String> {
        for part in parts(offsets) {
            let list = commit_list(part).map_err(|error| error.to_string())?;
            let committed = self.consumer.commit(&list, CommitMode::Sync);
            committed
                .map_err(|error| format!("the group {} does not take the offsets: {error}", self.group))?;
        }
        Ok(())
    }
}
