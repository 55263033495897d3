use rdkafka::{Offset as RdOffset, TopicPartitionList, error::KafkaResult};

use crate::{engine::CommitOffset, record::TopicPartition};

/// Offsets as librdkafka wants them.
pub fn commit_list(offsets: &[CommitOffset]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for CommitOffset { partition, offset, metadata } in offsets {
        let mut element = list.add_partition(&partition.topic, partition.partition);
        element.set_offset(RdOffset::Offset(offset.0))?;
        element.set_metadata(metadata);
    }
    Ok(list)
}

/// The partitions of a list.
pub fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements().iter().map(|element| TopicPartition::new(element.topic(), element.partition())).collect()
}
