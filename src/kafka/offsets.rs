//! Converts offsets for librdkafka.

use std::sync::Arc;

use rdkafka::{
    Offset as RdOffset, TopicPartitionList, error::KafkaResult, topic_partition_list::TopicPartitionListElem,
};

use crate::{engine::CommitOffset, record::TopicPartition};

/// The most bytes of one commit, as counted by [`parts`]: a broker writes a commit as one batch to
/// `__consumer_offsets`, which takes 1 MiB by default.
const LARGEST: usize = 256 << 10;
/// The most bytes of an offset besides its topic and metadata.
const OFFSET: usize = 128;

/// Splits offsets into parts that fit one commit each, however large their metadata is.
pub fn parts(offsets: &[CommitOffset]) -> Vec<&[CommitOffset]> {
    let size = |offset: &CommitOffset| OFFSET + offset.partition.topic.len() + offset.metadata.len();
    let (mut parts, mut begin, mut sum) = (Vec::new(), 0, 0);
    for (at, offset) in offsets.iter().enumerate() {
        if sum + size(offset) > LARGEST && at > begin {
            parts.push(&offsets[begin..at]);
            (begin, sum) = (at, 0);
        }
        sum += size(offset);
    }
    if begin < offsets.len() {
        parts.push(&offsets[begin..]);
    }
    parts
}

/// Offsets as a list for librdkafka.
pub fn commit_list(offsets: &[CommitOffset]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for CommitOffset { partition, offset, metadata } in offsets {
        let mut element = list.add_partition(&partition.topic, partition.partition);
        element.set_offset(RdOffset::Offset(offset.0))?;
        element.set_metadata(metadata);
    }
    Ok(list)
}

/// The partitions of a list. Those of one topic share its name.
pub fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let mut names: Vec<Arc<str>> = Vec::new();
    let elements = list.elements();
    let partition = |element: &TopicPartitionListElem<'_>| {
        let known = names.iter().find(|name| ***name == *element.topic()).cloned();
        let name = known.unwrap_or_else(|| {
            names.push(element.topic().into());
            names[names.len() - 1].clone()
        });
        TopicPartition::new(name, element.partition())
    };
    elements.iter().map(partition).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Offset;

    #[test]
    fn a_commit_is_cut_where_its_metadata_is_large_and_nothing_of_it_is_lost() {
        let offset = |number: i32, metadata: usize| CommitOffset {
            partition: TopicPartition::new("t", number),
            offset: Offset(7),
            metadata: "x".repeat(metadata),
        };
        assert!(parts(&[]).is_empty());
        for (metadata, expected) in [(0, 1), (2_731, 5)] {
            let offsets: Vec<CommitOffset> = (0..400).map(|number| offset(number, metadata)).collect();
            let parts = parts(&offsets);
            assert_eq!(parts.len(), expected, "{metadata}");
            assert_eq!(parts.concat(), offsets);
        }
        let huge = [offset(0, LARGEST), offset(1, LARGEST)];
        assert_eq!(parts(&huge), [&huge[..1], &huge[1..]]);
    }
}
