//! Reads new results and dead letters, without a group, on its own thread.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    client::Client,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode as Code},
    message::BorrowedMessage,
};

use super::{RequestError, RequestTopics, settings, threads};

/// How long the brokers may take to answer.
const ASK: Duration = Duration::from_secs(15);
/// How long the consumer may take to reach the end of all its partitions.
const JOIN: Duration = Duration::from_secs(5);
/// How long the thread waits for a record before it checks whether to stop.
const POLL: Duration = Duration::from_millis(50);

/// The thread that reads; dropping this ends it.
pub struct Answers {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Answers {
    /// Blocks until the consumer is at the ends of the topics, then hands each new record to `read` until
    /// that returns false. `producer` finds the topics' partitions.
    ///
    /// # Errors
    /// Where the brokers do not answer, or a topic does not exist.
    pub fn start<C: ClientContext>(
        config: &ClientConfig,
        producer: &Client<C>,
        topics: &RequestTopics,
        read: impl Fn(&BorrowedMessage<'_>) -> bool + Send + 'static,
    ) -> Result<Self, RequestError> {
        let consumer = from_now(config, producer, topics)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let poll = move || {
            while !stopped.load(Relaxed) {
                match consumer.poll(POLL) {
                    Some(Ok(record)) if read(&record) => {}
                    Some(Ok(_)) => return,
                    Some(Err(KafkaError::PartitionEOF(_))) | None => {}
                    // Brokers come and go; the caller knows when to give up.
                    Some(Err(error)) => tracing::debug!(%error, "while waiting for answers"),
                }
            }
        };
        let thread =
            thread::Builder::new().name("answers".to_owned()).spawn(poll).map_err(RequestError::Thread)?;
        Ok(Answers { stop, thread: Some(thread) })
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            threads::join(thread);
        }
    }
}

/// A consumer at the end of results and dead letters.
fn from_now<C: ClientContext>(
    config: &ClientConfig,
    producer: &Client<C>,
    topics: &RequestTopics,
) -> Result<BaseConsumer, RequestError> {
    // A partition's end is reported only when a fetch's time is over; records are reported at once.
    let config = settings::unless_set(config, &[("fetch.wait.max.ms", "50")]);
    let config = settings::without_group(&config, "pipeline-request", "latest");
    let consumer: BaseConsumer = config.create()?;
    let mut list = TopicPartitionList::new();
    for topic in [&topics.results, &topics.dead_letters] {
        for partition in partitions(producer, topic)? {
            let end = end(&consumer, topic, partition)?;
            list.add_partition_offset(topic, partition, Offset::Offset(end))?;
        }
    }
    consumer.assign(&list)?;
    // Nothing can slip by, as the offsets are fixed. But a request before the first fetch would also wait for
    // connections, which must not count as its latency.
    let (deadline, mut ends, mut busy) = (Instant::now() + JOIN, 0, HashSet::new());
    while ends + busy.len() < list.count() && Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(50)) {
            Some(Err(KafkaError::PartitionEOF(_))) => ends += 1,
            Some(Ok(record)) => {
                busy.insert((record.topic().to_owned(), record.partition()));
            }
            Some(Err(_)) | None => {}
        }
    }
    Ok(consumer)
}

/// The offset after a partition's last record. Waits where a new topic has no leaders yet.
fn end(consumer: &BaseConsumer, topic: &str, partition: i32) -> Result<i64, RequestError> {
    let deadline = Instant::now() + ASK;
    loop {
        let error = match consumer.fetch_watermarks(topic, partition, ASK) {
            Ok((_, end)) => return Ok(end),
            Err(error) => error,
        };
        let passing = matches!(
            error.rdkafka_error_code(),
            Some(Code::NotLeaderForPartition | Code::LeaderNotAvailable | Code::UnknownTopicOrPartition)
        );
        if !passing || Instant::now() >= deadline {
            return Err(error.into());
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// A topic's partitions. Requested by a producer, as this creates the topic where the broker creates topics
/// itself.
pub fn partitions<C: ClientContext>(producer: &Client<C>, topic: &str) -> Result<Vec<i32>, RequestError> {
    let deadline = Instant::now() + ASK;
    loop {
        let metadata = producer.fetch_metadata(Some(topic), ASK)?;
        let found: Vec<i32> = metadata.topics().iter().flat_map(|t| t.partitions()).map(|p| p.id()).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(RequestError::NoTopic(topic.to_owned()));
        }
        thread::sleep(Duration::from_millis(100));
    }
}
