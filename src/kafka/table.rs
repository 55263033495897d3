//! Follows a topic into a table: the newest value of each key. It joins no group and commits nothing, and reads all partitions.

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
};

use crate::{engine::Change, record::Offset, state::StoredTable};

/// How long the brokers may take to answer.
const ASK: Duration = Duration::from_secs(10);
/// How long is waited for a record before what was read is put into the table.
const POLL: Duration = Duration::from_millis(100);
/// The pause before brokers that are away are asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often it is looked whether the topic has more partitions.
const LOOK: Duration = Duration::from_secs(30);
/// The most records of a partition that are put into the table at once.
const BATCH: usize = 5_000;

/// A thread that follows a topic; it ends once this is dropped.
pub struct Following(Arc<AtomicBool>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Follows a topic with the settings of the consumer.
///
/// # Errors
/// A sentence: no thread can be started.
pub fn follow(config: &ClientConfig, topic: &str, table: Arc<StoredTable>) -> Result<Following, String> {
    let ended = Arc::<AtomicBool>::default();
    let mut config = config.clone();
    config
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true")
        .set("enable.auto.commit", "false")
        .set("queued.max.messages.kbytes", "8192");
    let follower = Follower { config, topic: topic.to_owned(), table, ended: ended.clone(), is_read: false };
    thread::Builder::new()
        .name("table".to_owned())
        .spawn(move || follower.run())
        .map_err(|error| format!("no thread can be started that reads the table {topic}: {error}"))?;
    Ok(Following(ended))
}

struct Follower {
    config: ClientConfig,
    topic: String,
    table: Arc<StoredTable>,
    ended: Arc<AtomicBool>,
    /// Whether it was read to its end.
    is_read: bool,
}

/// What was read of a partition and is not in the table yet.
#[derive(Default)]
struct Read {
    changes: Vec<Change>,
    position: i64,
    /// Up to where it has to be read before records are looked up; `None` once it is.
    until: Option<i64>,
}

impl Follower {
    fn run(mut self) {
        while !self.ended.load(Relaxed) {
            if let Err(error) = self.read() {
                tracing::warn!(error, table = self.topic, "a table cannot be read; trying again");
                thread::sleep(AGAIN);
            }
        }
    }

    /// Follows the partitions that there are, until there are more.
    fn read(&mut self) -> Result<(), String> {
        let say = |error: KafkaError| error.to_string();
        let consumer: BaseConsumer = self.config.create().map_err(say)?;
        let mut partitions = self.partitions(&consumer)?;
        let mut list = TopicPartitionList::new();
        for (partition, read) in &partitions {
            list.add_partition_offset(&self.topic, *partition, RdOffset::Offset(read.position))
                .map_err(say)?;
        }
        consumer.assign(&list).map_err(say)?;
        let (mut looked, mut applied) = (Instant::now(), Instant::now());
        self.look_whether_read(&partitions);
        while !self.ended.load(Relaxed) {
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    let Some(read) = partitions.get_mut(&message.partition()) else { continue };
                    read.position = message.offset() + 1;
                    if let Some(key) = message.key() {
                        let value = message.payload().map(|value| value.to_vec().into());
                        read.changes.push((key.to_vec().into(), value));
                    }
                    if read.changes.len() < BATCH && applied.elapsed() < POLL {
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
            self.look_whether_read(&partitions);
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                if self.count(&consumer)? > partitions.len() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// All partitions, each from where the table is.
    fn partitions(&self, consumer: &BaseConsumer) -> Result<BTreeMap<i32, Read>, String> {
        let count = self.count(consumer)?;
        if count == 0 {
            return Err(format!("there is no topic {}", self.topic));
        }
        let mut partitions = BTreeMap::new();
        for partition in 0..i32::try_from(count).unwrap_or(i32::MAX) {
            let ends = consumer.fetch_watermarks(&self.topic, partition, ASK);
            let (low, high) = ends.map_err(|error| error.to_string())?;
            let Offset(mut position) = self.table.position(partition)?;
            if position > high {
                tracing::warn!(
                    table = self.topic,
                    partition,
                    "the topic was made again: all of it is read anew"
                );
                self.table.clear()?;
                return self.partitions(consumer);
            }
            position = position.max(low);
            let until = (position < high).then_some(high);
            partitions.insert(partition, Read { changes: Vec::new(), position, until });
        }
        Ok(partitions)
    }

    fn count(&self, consumer: &BaseConsumer) -> Result<usize, String> {
        let metadata = consumer.fetch_metadata(Some(&self.topic), ASK).map_err(|error| error.to_string())?;
        Ok(metadata
            .topics()
            .iter()
            .filter(|topic| topic.error().is_none())
            .map(|t| t.partitions().len())
            .sum())
    }

    /// Puts what was read into the table.
    fn apply(&self, partitions: &mut BTreeMap<i32, Read>) -> Result<(), String> {
        for (partition, read) in partitions {
            if !read.changes.is_empty() {
                self.table.apply(*partition, read.changes.drain(..), Offset(read.position))?;
            }
            read.until = read.until.filter(|until| read.position < *until);
        }
        Ok(())
    }

    fn look_whether_read(&mut self, partitions: &BTreeMap<i32, Read>) {
        if !self.is_read && partitions.values().all(|read| read.until.is_none()) {
            self.is_read = true;
            self.table.is_read();
            tracing::info!(table = self.topic, "a table is read to its end");
        }
    }
}
