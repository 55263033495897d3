//! Follows a compacted topic into a copy on this machine: a table, or what operators remember of partitions that another worker has. It
//! joins no group and commits nothing.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset as RdOffset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{BorrowedMessage, Headers},
};

use crate::{
    engine::Change,
    record::Offset,
    state::{Followed, TopicCopy},
};

/// How long the brokers may take to answer.
const ASK: Duration = Duration::from_secs(10);
/// How long is waited for a record before what was read is put into the copy.
const POLL: Duration = Duration::from_millis(100);
/// The pause before brokers that are away are asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often it is looked whether the topic has more partitions, and how far it is behind.
const LOOK: Duration = Duration::from_secs(10);
/// How often it is looked which partitions are kept up to date by others.
const LOOK_AT_OWNERS: Duration = Duration::from_millis(500);
/// The most records that are put into the copy at once, and the most bytes of them.
const BATCH: usize = 5_000;
const BATCH_BYTES: usize = 4 << 20;

/// A thread that follows a topic; it ends once this is dropped.
pub struct Following(Arc<AtomicBool>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Follows a topic with the settings of the consumer. `behind` is told, now and then, how many records are not in the copy.
///
/// # Errors
/// A sentence: no thread can be started.
pub fn follow(
    config: &ClientConfig,
    topic: &str,
    copy: Arc<dyn TopicCopy>,
    behind: impl Fn(u64) + Send + 'static,
) -> Result<Following, String> {
    let ended = Arc::<AtomicBool>::default();
    let mut config = config.clone();
    config
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true")
        .set("enable.auto.commit", "false")
        .set("queued.max.messages.kbytes", "8192");
    let behind = Box::new(behind);
    let follower =
        Follower { config, topic: topic.to_owned(), copy, behind, ended: ended.clone(), is_read: false };
    thread::Builder::new()
        .name("follow".to_owned())
        .spawn(move || follower.run())
        .map_err(|error| format!("no thread can be started that reads the topic {topic}: {error}"))?;
    Ok(Following(ended))
}

struct Follower {
    config: ClientConfig,
    topic: String,
    copy: Arc<dyn TopicCopy>,
    behind: Box<dyn Fn(u64) + Send>,
    ended: Arc<AtomicBool>,
    /// Whether it was read to its end.
    is_read: bool,
}

/// What was read of a partition and is not in the copy yet.
#[derive(Default)]
struct Read {
    changes: Vec<(Offset, Change)>,
    /// About the bytes of these.
    bytes: usize,
    position: i64,
    /// Up to where it has to be read before records are looked up; `None` once it is.
    until: Option<i64>,
    /// Whether the copy knows that.
    is_told: bool,
}

/// A record as the copy is shown it.
fn followed<'a>(message: &'a BorrowedMessage<'_>) -> Followed<'a> {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    Followed {
        partition: message.partition(),
        offset: Offset(message.offset()),
        key: message.key(),
        value: message.payload(),
        headers: headers.map(|header| (header.key, header.value.unwrap_or_default())).collect(),
    }
}

impl Follower {
    fn run(mut self) {
        while !self.ended.load(Relaxed) {
            if let Err(error) = self.read() {
                tracing::warn!(
                    error,
                    topic = self.topic,
                    "a topic that is followed cannot be read; trying again"
                );
                thread::sleep(AGAIN);
            }
        }
    }

    /// Follows the partitions that there are, until there are more, or others keep some of them up to date.
    fn read(&mut self) -> Result<(), String> {
        let say = |error: KafkaError| error.to_string();
        let consumer: BaseConsumer = self.config.create().map_err(say)?;
        let all = self.count(&consumer)?;
        let mut partitions = self.partitions(&consumer, all)?;
        let mut list = TopicPartitionList::new();
        for (partition, read) in &partitions {
            list.add_partition_offset(&self.topic, *partition, RdOffset::Offset(read.position))
                .map_err(say)?;
        }
        consumer.assign(&list).map_err(say)?;
        let (mut looked, mut applied, mut asked) = (Instant::now(), Instant::now(), Instant::now());
        self.look_whether_read(&mut partitions);
        while !self.ended.load(Relaxed) {
            if asked.elapsed() >= LOOK_AT_OWNERS {
                asked = Instant::now();
                if self.owners_have_changed(&partitions, all)? {
                    return Ok(());
                }
            }
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    let Some(read) = partitions.get_mut(&message.partition()) else { continue };
                    read.position = message.offset() + 1;
                    if let Some((key, value)) = self.copy.change(&followed(&message)) {
                        read.bytes += key.len() + value.as_ref().map_or(0, |value| value.len());
                        read.changes.push((Offset(message.offset()), (key, value)));
                    }
                    let is_full = read.changes.len() >= BATCH || read.bytes >= BATCH_BYTES;
                    if !is_full && applied.elapsed() < POLL {
                        continue;
                    }
                }
                // There is nothing after it, whatever the offsets say: markers of transactions have some too.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if let Some(read) = partitions.get_mut(&partition) {
                        read.until = None;
                    }
                }
                Some(Err(error)) => return Err(error.to_string()),
                None => {}
            }
            applied = Instant::now();
            self.apply(&mut partitions)?;
            self.look_whether_read(&mut partitions);
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                if self.count(&consumer)? > all {
                    return Ok(());
                }
                (self.behind)(self.look_how_far(&consumer, &partitions)?);
            }
        }
        Ok(())
    }

    /// The partitions that nobody else keeps up to date, each from where the copy is.
    fn partitions(&self, consumer: &BaseConsumer, all: i32) -> Result<BTreeMap<i32, Read>, String> {
        if all == 0 {
            return Err(format!("there is no topic {}", self.topic));
        }
        let mut partitions = BTreeMap::new();
        for partition in 0..all {
            let ends = consumer.fetch_watermarks(&self.topic, partition, ASK);
            let (low, high) = ends.map_err(|error| error.to_string())?;
            self.copy.begins(partition, Offset(low));
            let Some(Offset(position)) = self.copy.position(partition)? else { continue };
            if position > high {
                tracing::warn!(
                    topic = self.topic,
                    partition,
                    "the topic was made again: all of it is read anew"
                );
                self.copy.clear(partition)?;
                return self.partitions(consumer, all);
            }
            let position = position.max(low);
            let until = (position < high).then_some(high);
            partitions.insert(partition, Read { position, until, ..Read::default() });
        }
        Ok(partitions)
    }

    fn count(&self, consumer: &BaseConsumer) -> Result<i32, String> {
        let metadata = consumer.fetch_metadata(Some(&self.topic), ASK).map_err(|error| error.to_string())?;
        let topics = metadata.topics().iter().filter(|topic| topic.error().is_none());
        let count: usize = topics.map(|topic| topic.partitions().len()).sum();
        Ok(i32::try_from(count).unwrap_or(i32::MAX))
    }

    /// Whether others keep up to date now what is read here, or no longer what is not. A consumer that is told to go elsewhere may still say
    /// that it was at an end, so that a new one is made then.
    fn owners_have_changed(&self, partitions: &BTreeMap<i32, Read>, all: i32) -> Result<bool, String> {
        for partition in 0..all {
            if self.copy.position(partition)?.is_some() != partitions.contains_key(&partition) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many records are not in the copy. What it says is as new as the topic where none is.
    fn look_how_far(&self, consumer: &BaseConsumer, partitions: &BTreeMap<i32, Read>) -> Result<u64, String> {
        let mut behind = 0;
        for (partition, read) in partitions {
            let ends = consumer.fetch_watermarks(&self.topic, *partition, ASK);
            let (low, high) = ends.map_err(|error| error.to_string())?;
            self.copy.begins(*partition, Offset(low));
            // Behind the last record there may be the marker of its transaction.
            let left = u64::try_from(high - read.position).unwrap_or(0);
            behind += if left > 1 { left } else { 0 };
            if left <= 1 && read.changes.is_empty() {
                self.copy.apply(*partition, Vec::new(), Offset(read.position))?;
            }
        }
        Ok(behind)
    }

    /// Puts what was read into the copy.
    fn apply(&self, partitions: &mut BTreeMap<i32, Read>) -> Result<(), String> {
        for (partition, read) in partitions {
            if !read.changes.is_empty() {
                self.copy.apply(*partition, std::mem::take(&mut read.changes), Offset(read.position))?;
                read.bytes = 0;
            }
            read.until = read.until.filter(|until| read.position < *until);
        }
        Ok(())
    }

    fn look_whether_read(&mut self, partitions: &mut BTreeMap<i32, Read>) {
        for (partition, read) in partitions.iter_mut() {
            if !read.is_told && read.until.is_none() {
                read.is_told = true;
                self.copy.is_read_of(*partition);
            }
        }
        if !self.is_read && partitions.values().all(|read| read.until.is_none()) {
            self.is_read = true;
            self.copy.is_read();
            tracing::info!(topic = self.topic, "a topic that is followed is read to its end");
        }
    }
}
