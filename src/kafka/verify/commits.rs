//! A group's commits, from Kafka's own log of them: the topic `__consumer_offsets`.
//!
//! Its keys and values are OffsetCommitKey and OffsetCommitValue (Kafka's `group-coordinator` module, resources
//! `common/message`).

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};

use super::reader::{self, Isolation, read_to_end};

const TOPIC: &str = "__consumer_offsets";
/// How long the brokers may take to answer.
const ASK: Duration = Duration::from_secs(10);

/// A commit for one partition, as the coordinator has logged it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committed {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset; `None` where the broker has forgotten it, as when the topic was deleted.
    pub offset: Option<i64>,
    /// When, in milliseconds since 1970 UTC.
    pub at: i64,
}

/// The partition of `__consumer_offsets` (or `__transaction_state`) whose leader coordinates a group (or a
/// `transactional.id`): Java's hash of the name, without its sign (Kafka's `Utils.abs`).
pub fn coordinating_partition(name: &str, partitions: i32) -> i32 {
    let hash = name.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
    hash.checked_abs().unwrap_or(0) % partitions.max(1)
}

/// The offsets that a group has committed in a topic, by partition; none where it has committed nothing.
///
/// # Errors
/// No broker answers.
pub fn committed(config: &ClientConfig, group: &str, topic: &str) -> Result<BTreeMap<i32, i64>, String> {
    let mut config = config.clone();
    let consumer: BaseConsumer = config.set("group.id", group).create().map_err(|error| error.to_string())?;
    let found = committed_by(&consumer, topic).ok_or_else(|| {
        format!("the offsets that the group {group} has committed in {topic} cannot be fetched")
    })?;
    let offset = |offset| if let Offset::Offset(offset) = offset { Some(offset) } else { None };
    Ok(found.elements().iter().filter_map(|one| Some((one.partition(), offset(one.offset())?))).collect())
}

/// The same of the consumer's group; `None` where no broker answers.
fn committed_by(consumer: &BaseConsumer, topic: &str) -> Option<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for partition in reader::partitions(consumer, topic)? {
        list.add_partition(topic, partition);
    }
    consumer.committed_offsets(list, ASK).ok()
}

/// All commits of a group that its coordinator retains, without those of aborted transactions.
///
/// # Errors
/// The topic cannot be read to its end within `limit`.
pub fn read_commits(config: &ClientConfig, group: &str, limit: Duration) -> Result<Vec<Committed>, String> {
    let consumer = reader::consumer(config, Isolation::Committed).map_err(|error| error.to_string())?;
    let partitions = reader::until(limit, || reader::partitions(&consumer, TOPIC))
        .ok_or_else(|| format!("there is no topic {TOPIC} that could be read"))?;
    let only = coordinating_partition(group, partitions.len() as i32);
    let mut commits = Vec::new();
    read_to_end(config, TOPIC, Some(only), Isolation::Committed, limit, |seen| {
        let key = seen.record.key.as_deref().and_then(key);
        if let Some((topic, partition)) =
            key.and_then(|(of, topic, partition)| (of == group).then_some((topic, partition)))
        {
            let offset = seen.record.value.as_deref().and_then(offset);
            let at = seen.record.timestamp.unwrap_or_default();
            commits.push(Committed { topic, partition, offset, at });
        }
    })?;
    Ok(commits)
}

/// Finds out how far behind a group is, without joining it.
pub struct Lag {
    consumer: BaseConsumer,
    topics: Vec<String>,
}

impl Lag {
    /// For a group and the topics that it reads.
    ///
    /// # Errors
    /// Where librdkafka rejects the settings.
    pub fn new(config: &ClientConfig, group: &str, topics: Vec<String>) -> Result<Self, String> {
        let mut config = config.clone();
        let consumer = config.set("group.id", group).set("enable.auto.commit", "false").create();
        Ok(Lag { consumer: consumer.map_err(|error| error.to_string())?, topics })
    }

    /// How many records of the topics are not committed; `None` where no broker answers.
    pub fn get(&self) -> Option<i64> {
        self.topics.iter().map(|topic| self.of(topic)).sum()
    }

    fn of(&self, topic: &str) -> Option<i64> {
        let committed = committed_by(&self.consumer, topic)?;
        let behind = committed.elements().into_iter().map(|element| {
            let (first, end) = self.consumer.fetch_watermarks(topic, element.partition(), ASK).ok()?;
            // Where nothing was read, nothing is committed; and deleted records will not be read.
            let from = if let Offset::Offset(offset) = element.offset() { offset.max(first) } else { first };
            Some((end - from).max(0))
        });
        behind.sum()
    }
}

/// Group, topic and partition; `None` for a key of another kind.
fn key(mut bytes: &[u8]) -> Option<(String, String, i32)> {
    let version = i16::from_be_bytes(take(&mut bytes, 2)?.try_into().ok()?);
    if !(0..=1).contains(&version) {
        return None;
    }
    let group = string(&mut bytes)?;
    let topic = string(&mut bytes)?;
    Some((group, topic, i32::from_be_bytes(take(&mut bytes, 4)?.try_into().ok()?)))
}

/// The offset, which comes first in every version.
fn offset(bytes: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?))
}

fn string(bytes: &mut &[u8]) -> Option<String> {
    let size = u16::from_be_bytes(take(bytes, 2)?.try_into().ok()?);
    String::from_utf8(take(bytes, size.into())?.to_vec()).ok()
}

fn take<'a>(bytes: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(size)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_s_key_and_value_are_read_and_others_are_not() {
        let bytes = b"\0\x01\0\x01g\0\x02ab\0\0\0\x07";
        assert_eq!(key(bytes), Some(("g".to_owned(), "ab".to_owned(), 7)));
        for cut in 0..bytes.len() {
            assert_eq!(key(&bytes[..cut]), None);
        }
        // A member's key has version 2.
        assert_eq!(key(b"\0\x02\0\x01g"), None);
        assert_eq!(offset(b"\0\x03\0\0\0\0\0\0\x01\x00rest"), Some(256));
        assert_eq!(offset(b"\0\x03\0"), None);
    }

    #[test]
    fn a_group_is_coordinated_where_java_s_hash_says() {
        // "factorial".hashCode() is -1327307099.
        assert_eq!(coordinating_partition("factorial", 8), 3);
        assert_eq!(coordinating_partition("", 50), 0);
        assert_eq!(coordinating_partition("a", 50), 47);
    }
}
