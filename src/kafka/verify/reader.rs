//! Reads topics to their ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult},
    message::{BorrowedMessage, Headers as _},
};

use crate::{
    kafka::settings,
    record::{Headers, Record},
};

pub(super) const POLL: Duration = Duration::from_millis(100);
/// How long the brokers may take to answer.
pub(super) const ASK: Duration = Duration::from_secs(10);
/// How often to check whether a topic has new partitions.
const LOOK: Duration = Duration::from_secs(2);

/// Which records are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Isolation {
    /// Records that are in no transaction, or in a committed one.
    Committed,
    /// All records, including those of aborted transactions.
    Uncommitted,
}

impl Isolation {
    fn name(self) -> &'static str {
        match self {
            Isolation::Committed => "read_committed",
            Isolation::Uncommitted => "read_uncommitted",
        }
    }
}

/// A record as it is in a topic.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// The record. Its timestamp is when it was written, where the topic has `LogAppendTime`.
    pub record: Record,
}

/// The end of each partition of a topic, by number.
pub type Ends = BTreeMap<i32, i64>;

/// Reads some partitions of a topic, or all, from their beginnings to their ends, which are returned: for
/// [`Isolation::Committed`] that is where the first open transaction begins.
///
/// # Errors
/// No broker answers, or a partition does not come to its end within `limit`.
pub fn read_to_end(
    config: &ClientConfig,
    topic: &str,
    only: Option<i32>,
    isolation: Isolation,
    limit: Duration,
    mut each: impl FnMut(Seen),
) -> Result<Ends, String> {
    let consumer = consumer(config, isolation).map_err(|error| error.to_string())?;
    let all = until(limit, || partitions(&consumer, topic))
        .ok_or_else(|| format!("the partitions of {topic} cannot be fetched"))?;
    let wanted: BTreeSet<i32> = all.into_iter().filter(|p| only.is_none_or(|only| only == *p)).collect();
    assign(&consumer, wanted.iter().map(|partition| (topic, *partition)))
        .map_err(|error| error.to_string())?;
    let (name, deadline) = (Arc::from(topic), Instant::now() + limit);
    let mut ends = Ends::new();
    while ends.len() < wanted.len() {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                ends.remove(&message.partition());
                each(seen(&message, &name));
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                let position = consumer.position().map_err(|error| error.to_string())?;
                let at = position.find_partition(topic, partition).map(|found| found.offset());
                // A partition without records has no position.
                let end = if let Some(Offset::Offset(offset)) = at { offset } else { 0 };
                ends.insert(partition, end);
            }
            // Brokers come and go; the deadline decides.
            Some(Err(_)) | None => {}
        }
        if Instant::now() > deadline {
            let missing: Vec<i32> = wanted.into_iter().filter(|p| !ends.contains_key(p)).collect();
            return Err(format!("{topic}: the ends of partitions {missing:?} were not reached in {limit:?}"));
        }
    }
    Ok(ends)
}

/// Where the partitions of a topic end; for [`Isolation::Committed`] that is where the first open transaction begins.
///
/// # Errors
/// No broker answers within `limit`.
pub fn ends(
    config: &ClientConfig,
    topic: &str,
    isolation: Isolation,
    limit: Duration,
) -> Result<Ends, String> {
    let consumer = consumer(config, isolation).map_err(|error| error.to_string())?;
    let all = until(limit, || partitions(&consumer, topic))
        .ok_or_else(|| format!("the partitions of {topic} cannot be fetched"))?;
    let end = |partition: i32| {
        let asked = until(limit, || consumer.fetch_watermarks(topic, partition, ASK).ok());
        let (_, end) = asked.ok_or_else(|| format!("the end of {topic}[{partition}] cannot be fetched"))?;
        Ok((partition, end))
    };
    all.into_iter().map(end).collect()
}

/// Reads topics as they grow, on a thread of its own, until it is dropped.
pub struct Tail {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tail {
    /// Reads the committed records of these topics from their beginnings, and calls `report` with each.
    ///
    /// # Errors
    /// Where librdkafka rejects the settings, or the thread does not start.
    pub fn start(
        config: &ClientConfig,
        topics: &[&str],
        report: impl Fn(Seen) + Send + 'static,
    ) -> Result<Self, String> {
        let consumer = consumer(config, Isolation::Committed).map_err(|error| error.to_string())?;
        let topics: Vec<Arc<str>> = topics.iter().map(|topic| Arc::from(*topic)).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::Builder::new()
            .name("tail".to_owned())
            .spawn(move || tail(&consumer, &topics, &stopped, report))
            .map_err(|error| format!("cannot start the thread that reads results: {error}"))?;
        Ok(Tail { stop, thread: Some(thread) })
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // Nothing can be done where it has panicked.
            let _ = thread.join();
        }
    }
}

fn tail(consumer: &BaseConsumer, topics: &[Arc<str>], stop: &AtomicBool, report: impl Fn(Seen)) {
    let mut assigned: BTreeSet<(Arc<str>, i32)> = BTreeSet::new();
    let mut looked = None;
    while !stop.load(Relaxed) {
        if looked.is_none_or(|at: Instant| at.elapsed() > LOOK) {
            looked = Some(Instant::now());
            let found = topics.iter().flat_map(|topic| {
                let found = partitions(consumer, topic).unwrap_or_default();
                found.into_iter().map(|partition| (topic.clone(), partition))
            });
            let new: Vec<_> = found.filter(|place| !assigned.contains(place)).collect();
            let mut list = TopicPartitionList::new();
            for (topic, partition) in &new {
                // Fails only for an invalid offset, which this is not.
                let _ = list.add_partition_offset(topic, *partition, Offset::Beginning);
            }
            if !new.is_empty() && consumer.incremental_assign(&list).is_ok() {
                assigned.extend(new);
            }
        }
        if let Some(Ok(message)) = consumer.poll(POLL)
            && let Some(topic) = topics.iter().find(|topic| ***topic == *message.topic())
        {
            report(seen(&message, topic));
        }
    }
}

pub(super) fn consumer(config: &ClientConfig, isolation: Isolation) -> KafkaResult<BaseConsumer> {
    settings::without_group(config, "pipeline-verify", "earliest")
        .set("isolation.level", isolation.name())
        .set("fetch.wait.max.ms", "100")
        .set("queued.max.messages.kbytes", "16384")
        .create()
}

/// A topic's partitions; `None` where it does not exist, or no broker answers.
pub(super) fn partitions(consumer: &BaseConsumer, topic: &str) -> Option<Vec<i32>> {
    let metadata = consumer.fetch_metadata(Some(topic), ASK).ok()?;
    let found: Vec<i32> = metadata.topics().first()?.partitions().iter().map(|p| p.id()).collect();
    (!found.is_empty()).then_some(found)
}

fn assign<'a>(consumer: &BaseConsumer, places: impl Iterator<Item = (&'a str, i32)>) -> KafkaResult<()> {
    let mut list = TopicPartitionList::new();
    for (topic, partition) in places {
        list.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)
}

/// Repeats a request until it is answered or the time is over, as brokers come and go.
pub(super) fn until<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        match ask() {
            None if Instant::now() < deadline => thread::sleep(POLL),
            answer => return answer,
        }
    }
}

/// A message as a record.
pub fn seen(message: &BorrowedMessage<'_>, topic: &Arc<str>) -> Seen {
    let mut headers = Headers::default();
    for header in message.headers().into_iter().flat_map(|headers| headers.iter()) {
        headers.push(header.key, header.value.map(|value| value.to_vec().into()));
    }
    let record = Record {
        key: message.key().map(|key| key.to_vec().into()),
        value: message.payload().map(|value| value.to_vec().into()),
        headers,
        timestamp: message.timestamp().to_millis(),
        ..Record::default()
    };
    Seen { topic: topic.clone(), partition: message.partition(), offset: message.offset(), record }
}
