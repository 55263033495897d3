//! Reads what a pipeline reads, beside its workers: it joins no group and commits nothing, so nobody's partitions move.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    Message, Offset as RdOffset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    topic_partition_list::TopicPartitionListElem,
};

use super::{settings, verify::seen};
use crate::{
    config::Pipeline,
    record::{Offset, Record, TopicPartition},
};

/// How long the brokers may take to answer.
const ASK: Duration = Duration::from_secs(10);

/// Where reading begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin {
    /// At what the group has committed; otherwise where its workers would begin.
    Committed,
    /// At the end: only new records.
    End,
}

/// A reader of a pipeline's source topics.
pub struct Tap {
    consumer: BaseConsumer,
    /// The partitions that are read.
    list: TopicPartitionList,
    group: String,
}

impl Tap {
    /// A reader of the partitions that there are now. Blocks until the brokers have said which.
    ///
    /// # Errors
    /// No broker answers, or a topic is not there.
    pub fn new(pipeline: &Pipeline, begin: Begin) -> Result<Tap, String> {
        let config = settings::consumer(pipeline, false);
        let latest = matches!(config.get("auto.offset.reset"), Some("latest" | "end" | "largest"));
        let otherwise = if latest { RdOffset::End } else { RdOffset::Beginning };
        let consumer: BaseConsumer = config.create().map_err(|error| error.to_string())?;
        let mut list = partitions(&consumer, pipeline)?;
        match begin {
            Begin::End => list.set_all_offsets(RdOffset::End).map_err(|error| error.to_string())?,
            Begin::Committed => {
                list = consumer.committed_offsets(list, ASK).map_err(|error| {
                    format!("the committed offsets of {} are not available: {error}", pipeline.source.group)
                })?;
                for mut element in list.elements() {
                    if !matches!(element.offset(), RdOffset::Offset(_)) {
                        element.set_offset(otherwise).map_err(|error| error.to_string())?;
                    }
                }
            }
        }
        consumer.assign(&list).map_err(|error| error.to_string())?;
        Ok(Tap { consumer, list, group: pipeline.source.group.clone() })
    }

    /// How many partitions are read.
    pub fn partitions(&self) -> usize {
        self.list.count()
    }

    /// Whether the topics have other partitions by now, so that a new reader is needed; `false` where no broker answers.
    pub fn is_outdated(&self, pipeline: &Pipeline) -> bool {
        partitions(&self.consumer, pipeline).is_ok_and(|list| list.count() != self.list.count())
    }

    /// What the group has committed of each partition, where it has.
    ///
    /// # Errors
    /// No broker answers.
    pub fn committed(&self) -> Result<Vec<(TopicPartition, Offset)>, String> {
        let committed = self.consumer.committed_offsets(self.list.clone(), ASK);
        let committed = committed
            .map_err(|error| format!("the committed offsets of {} are not available: {error}", self.group))?;
        let offset = |element: TopicPartitionListElem<'_>| match element.offset() {
            RdOffset::Offset(offset) => {
                Some((TopicPartition::new(element.topic(), element.partition()), Offset(offset)))
            }
            _ => None,
        };
        Ok(committed.elements().into_iter().filter_map(offset).collect())
    }

    /// How many members the group has; `None` where the broker does not say, as of groups with KIP-848's protocol.
    pub fn members(&self) -> Option<u32> {
        let groups = self.consumer.fetch_group_list(Some(&self.group), ASK).ok()?;
        let group = groups.groups().iter().find(|group| group.name() == self.group)?;
        (group.state() == "Stable" || group.state() == "Empty").then(|| group.members().len() as u32)
    }

    /// The next record, if one comes within that time, and where it was read.
    pub fn next(&self, within: Duration) -> Option<(TopicPartition, Offset, Record)> {
        match self.consumer.poll(within)? {
            Ok(message) => {
                let seen = seen(&message, &Arc::from(message.topic()));
                Some((TopicPartition::new(seen.topic, seen.partition), Offset(seen.offset), seen.record))
            }
            Err(KafkaError::PartitionEOF(_)) => None,
            Err(error) => {
                tracing::warn!(%error, "the consumer reports an error, and goes on by itself");
                None
            }
        }
    }
}

/// Every partition of the pipeline's source topics.
fn partitions(consumer: &BaseConsumer, pipeline: &Pipeline) -> Result<TopicPartitionList, String> {
    let metadata =
        consumer.fetch_metadata(None, ASK).map_err(|error| format!("no broker answers: {error}"))?;
    let reads = pipeline.source.reads();
    let mut list = TopicPartitionList::new();
    for topic in metadata.topics() {
        if reads(topic.name()) {
            list.add_partition_range(topic.name(), 0, topic.partitions().len() as i32 - 1);
        }
    }
    if list.count() == 0 {
        return Err(format!("there is no topic {} at the broker", pipeline.source.names().join(", ")));
    }
    Ok(list)
}
