//! Reads what a pipeline reads, beside its workers: it joins no group and commits nothing, so nobody's partitions move.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    Message, Offset as RdOffset, TopicPartitionList, bindings as rd,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    topic_partition_list::TopicPartitionListElem,
};

use super::{described, settings, verify::seen};
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
    /// A reader of the source's partitions that there are now. Blocks until the brokers have said which.
    ///
    /// # Errors
    /// No broker answers, or a topic is not there.
    pub fn new(pipeline: &Pipeline, begin: Begin) -> Result<Tap, String> {
        let consumer = consumer(pipeline)?;
        let list = partitions(&consumer, pipeline.source.reads())?;
        if list.count() == 0 {
            return Err(format!("there is no topic {} at the broker", pipeline.source.names().join(", ")));
        }
        Tap::from(consumer, list, begin, pipeline)
    }

    /// A reader of all that workers read, from what the group has committed on: the source's partitions and those of the retry topics, as far
    /// as they are there.
    ///
    /// # Errors
    /// No broker answers.
    pub fn of_workers(pipeline: &Pipeline) -> Result<Tap, String> {
        let consumer = consumer(pipeline)?;
        let list = partitions(&consumer, read_by_workers(pipeline))?;
        Tap::from(consumer, list, Begin::Committed, pipeline)
    }

    fn from(
        consumer: BaseConsumer,
        mut list: TopicPartitionList,
        begin: Begin,
        pipeline: &Pipeline,
    ) -> Result<Tap, String> {
        match begin {
            Begin::End => list.set_all_offsets(RdOffset::End).map_err(|error| error.to_string())?,
            Begin::Committed => {
                list = committed(&consumer, list, &pipeline.source.group)?;
                let reset = settings::consumer(pipeline, false);
                let latest = matches!(reset.get("auto.offset.reset"), Some("latest" | "end" | "largest"));
                let otherwise = if latest { RdOffset::End } else { RdOffset::Beginning };
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

    /// How many partitions are read of topics that are not among these.
    pub fn partitions_but_of(&self, topics: &[String]) -> usize {
        let is_among =
            |element: &TopicPartitionListElem<'_>| topics.iter().any(|topic| topic == element.topic());
        self.list.elements().iter().filter(|element| !is_among(element)).count()
    }

    /// Whether the topics that workers read have other partitions by now, so that a new reader is needed; `false` where no broker answers.
    pub fn is_outdated(&self, pipeline: &Pipeline) -> bool {
        let there = partitions(&self.consumer, read_by_workers(pipeline));
        there.is_ok_and(|list| list.count() != self.list.count())
    }

    /// What the group has committed of each partition, where it has.
    ///
    /// # Errors
    /// No broker answers.
    pub fn committed(&self) -> Result<Vec<(TopicPartition, Offset)>, String> {
        let committed = committed(&self.consumer, self.list.clone(), &self.group)?;
        let offset = |element: TopicPartitionListElem<'_>| match element.offset() {
            RdOffset::Offset(offset) => {
                Some((TopicPartition::new(element.topic(), element.partition()), Offset(offset)))
            }
            _ => None,
        };
        Ok(committed.elements().into_iter().filter_map(offset).collect())
    }

    /// How many members the group has; `None` where the broker does not say, or they are just being given their partitions.
    pub fn members(&self) -> Option<u32> {
        use rd::rd_kafka_consumer_group_state_t::{
            RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY as EMPTY, RD_KAFKA_CONSUMER_GROUP_STATE_STABLE as STABLE,
        };
        // SAFETY: the consumer lives as long as `self`; the description is live while it is read.
        let described = unsafe {
            described::group(self.consumer.client().native_ptr(), &self.group, ASK, |group| {
                let state = rd::rd_kafka_ConsumerGroupDescription_state(group);
                let members = rd::rd_kafka_ConsumerGroupDescription_member_count(group);
                (state == STABLE || state == EMPTY).then_some(members as u32)
            })
        };
        described.ok().flatten()
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

pub(super) fn consumer(pipeline: &Pipeline) -> Result<BaseConsumer, String> {
    settings::consumer(pipeline, false).create().map_err(|error| error.to_string())
}

/// Tells of a topic whether workers read it.
fn read_by_workers(pipeline: &Pipeline) -> impl Fn(&str) -> bool {
    let reads = pipeline.source.reads();
    move |topic| reads(topic) || pipeline.retry_topics().any(|retry| retry == topic)
}

/// Every partition of the topics that are read.
pub(super) fn partitions(
    consumer: &BaseConsumer,
    reads: impl Fn(&str) -> bool,
) -> Result<TopicPartitionList, String> {
    let metadata =
        consumer.fetch_metadata(None, ASK).map_err(|error| format!("no broker answers: {error}"))?;
    let mut list = TopicPartitionList::new();
    for topic in
        metadata.topics().iter().filter(|topic| reads(topic.name()) && !topic.partitions().is_empty())
    {
        list.add_partition_range(topic.name(), 0, topic.partitions().len() as i32 - 1);
    }
    Ok(list)
}

/// The list with what the group has committed.
pub(super) fn committed(
    consumer: &BaseConsumer,
    list: TopicPartitionList,
    group: &str,
) -> Result<TopicPartitionList, String> {
    if list.count() == 0 {
        return Ok(list);
    }
    let committed = consumer.committed_offsets(list, ASK);
    committed.map_err(|error| format!("the committed offsets of {group} are not available: {error}"))
}
