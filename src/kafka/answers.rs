//! Reads results and dead letters from now on, without a group, on a thread of its own.

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

/// How long the brokers may take to answer a question.
const ASK: Duration = Duration::from_secs(15);
/// How long the consumer may take to stand at the end of all its partitions.
const JOIN: Duration = Duration::from_secs(5);
/// How long the thread waits for a record before it looks whether it is still wanted.
const POLL: Duration = Duration::from_millis(50);

/// The thread that reads; it ends with this value.
pub struct Answers {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Answers {
    /// Blocks until the consumer stands at the ends of the topics, then hands each record to `read` until that returns
    /// false. `producer` is asked for the topics' partitions.
    ///
    /// # Errors
    /// Where the brokers do not answer, or a topic is not there.
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

/// A consumer that stands at the end of results and dead letters.
fn from_now<C: ClientContext>(
    config: &ClientConfig,
    producer: &Client<C>,
    topics: &RequestTopics,
) -> Result<BaseConsumer, RequestError> {
    // A partition's end is reported only when a fetch's time is over; records are reported at once.
    let mut config = settings::unless_set(config, &[("fetch.wait.max.ms", "50")]);
    config
        // librdkafka wants a name even where no group is joined.
        .set("group.id", "pipeline-request")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "latest");
    let consumer: BaseConsumer = config.create()?;
    let mut list = TopicPartitionList::new();
    for topic in [&topics.results, &topics.dead_letters] {
        for partition in partitions(producer, topic)? {
            let end = end(&consumer, topic, partition)?;
            list.add_partition_offset(topic, partition, Offset::Offset(end))?;
        }
    }
    consumer.assign(&list)?;
    // Nothing can slip by, as the offsets are fixed; but what is asked before the first fetch would wait for
    // connections, and that is nobody's latency.
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

/// The offset after a partition's last record. A topic that is new has no leaders at first.
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

/// A topic's partitions. Asked by a producer, as that creates the topic where the broker does so.
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
