//! The clients of whoever asks: produces requests, and reads results and dead letters as they come.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{self, Receiver, SyncSender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    client::Client,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode as Code},
    message::{BorrowedMessage, Headers as _},
    producer::{
        BaseRecord, DeliveryResult, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer,
    },
};
use thiserror::Error;

/// How long the brokers may take to answer a question.
const ASK: Duration = Duration::from_secs(15);
/// How long the consumer may take to stand at the end of all its partitions.
const JOIN: Duration = Duration::from_secs(5);

/// Events that wait to be taken; then whoever tells them waits.
const EVENTS: usize = 1_024;
/// How long the reading thread waits for a record before it looks whether it is still wanted.
const POLL: Duration = Duration::from_millis(50);

/// Why nothing can be asked.
#[derive(Error, Debug)]
pub enum RequestError {
    /// The clients cannot be made, or the brokers do not answer.
    #[error("cannot ask: {0}")]
    Clients(#[from] KafkaError),
    /// A topic is not there.
    #[error("there is no topic {0}, and it could not be created")]
    NoTopic(String),
    /// A thread cannot be started.
    #[error("cannot start the thread that reads answers: {0}")]
    Thread(std::io::Error),
}

/// Which topics a request and its answer go through.
#[derive(Clone, Debug)]
pub struct RequestTopics {
    /// Where requests go.
    pub requests: String,
    /// Where results come from.
    pub results: String,
    /// Where what cannot be computed goes.
    pub dead_letters: String,
}

/// What the brokers tell.
#[derive(Debug)]
pub enum RequestEvent {
    /// A request is in its topic; `request` is what was given to [`Requests::send`].
    Acknowledged {
        /// Which.
        request: usize,
        /// Where, or why not.
        place: Result<(i32, i64), String>,
        /// When the acknowledgement came.
        at: Instant,
    },
    /// A result.
    Result(Vec<u8>),
    /// A record of the request topic that cannot be computed.
    DeadLetter {
        /// Its partition.
        partition: i32,
        /// Its offset.
        offset: i64,
        /// Why.
        reason: String,
    },
}

/// Tells about acknowledgements.
struct Acknowledge(SyncSender<RequestEvent>);

impl ClientContext for Acknowledge {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        super::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        super::log_error(&error, reason);
    }
}

impl ProducerContext for Acknowledge {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, request: usize) {
        let place = match result {
            Ok(record) => Ok((record.partition(), record.offset())),
            Err((error, _)) => Err(error.to_string()),
        };
        // Whoever asked may be gone.
        let _ = self.0.send(RequestEvent::Acknowledged { request, place, at: Instant::now() });
    }
}

type RequestProducer = ThreadedProducer<Acknowledge, NoCustomPartitioner>;

/// A producer of requests and a reader of their answers.
pub struct Requests {
    // The first to be dropped: the others' threads may be waiting for room in it.
    events: Receiver<RequestEvent>,
    producer: RequestProducer,
    _reader: Option<Reader>,
    topic: String,
}

impl Requests {
    /// Clients that can ask, and give up on a request that no broker has taken after `timeout`. The answers
    /// are read from now on, if they are wanted.
    ///
    /// # Errors
    /// Where the brokers do not answer, or a topic cannot be had.
    pub fn new(
        config: &ClientConfig,
        topics: RequestTopics,
        timeout: Duration,
        answers: bool,
    ) -> Result<Self, RequestError> {
        let (sender, events) = mpsc::sync_channel(EVENTS);
        let mut producer_config = config.clone();
        producer_config
            .set("linger.ms", "0")
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", timeout.as_millis().clamp(1, i32::MAX as u128).to_string());
        let producer: RequestProducer = producer_config.create_with_context(Acknowledge(sender.clone()))?;
        // So that the first request need not wait for it.
        partitions(producer.client(), &topics.requests)?;
        let topic = topics.requests.clone();
        let reader = if answers {
            let consumer = answers_from_now(config, producer.client(), &topics)?;
            Some(Reader::start(consumer, topics, sender)?)
        } else {
            None
        };
        Ok(Requests { events, producer, _reader: reader, topic })
    }

    /// Produces a request, without a key: whichever worker is free may take it. Returns false where the
    /// producer has no room before some events were taken by [`next`](Requests::next).
    ///
    /// # Errors
    /// Where the producer refuses it.
    pub fn send(&self, request: usize, value: &[u8]) -> Result<bool, RequestError> {
        let record = BaseRecord::<(), [u8], usize>::with_opaque_to(&self.topic, request).payload(value);
        match self.producer.send(record) {
            Ok(()) => Ok(true),
            Err((KafkaError::MessageProduction(Code::QueueFull), _)) => Ok(false),
            Err((error, _)) => Err(error.into()),
        }
    }

    /// What has happened next; `None` where nothing does for so long.
    pub fn next(&self, timeout: Duration) -> Option<RequestEvent> {
        self.events.recv_timeout(timeout).ok()
    }
}

/// Reads answers on a thread of its own.
struct Reader {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    fn start(
        consumer: BaseConsumer,
        topics: RequestTopics,
        events: SyncSender<RequestEvent>,
    ) -> Result<Self, RequestError> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let read = move || {
            while !stopped.load(Relaxed) {
                match consumer.poll(POLL) {
                    Some(Ok(record)) => {
                        if let Some(event) = event(&record, &topics)
                            && events.send(event).is_err()
                        {
                            return;
                        }
                    }
                    Some(Err(KafkaError::PartitionEOF(_))) | None => {}
                    // Brokers come and go; whoever asked knows when to give up.
                    Some(Err(error)) => tracing::debug!(%error, "while waiting for answers"),
                }
            }
        };
        let thread =
            thread::Builder::new().name("answers".to_owned()).spawn(read).map_err(RequestError::Thread)?;
        Ok(Reader { stop, thread: Some(thread) })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // It ends within one poll; it cannot be helped if it panicked.
            let _ = thread.join();
        }
    }
}

/// What a record of the result or the dead-letter topic means to whoever asked.
fn event(record: &BorrowedMessage<'_>, topics: &RequestTopics) -> Option<RequestEvent> {
    if record.topic() == topics.results {
        return Some(RequestEvent::Result(record.payload()?.to_vec()));
    }
    let header = |name: &str| {
        let found = record.headers()?.iter().filter(|header| header.key == name).last()?.value?;
        Some(String::from_utf8_lossy(found).into_owned())
    };
    // The topic may be shared with other pipelines.
    if header("pipeline.error.topic")? != topics.requests {
        return None;
    }
    Some(RequestEvent::DeadLetter {
        partition: header("pipeline.error.partition")?.parse().ok()?,
        offset: header("pipeline.error.offset")?.parse().ok()?,
        reason: header("pipeline.error.message").unwrap_or_default(),
    })
}

/// A consumer that stands at the end of results and dead letters: no group, nothing committed.
pub(super) fn answers_from_now<C: ClientContext>(
    config: &ClientConfig,
    producer: &Client<C>,
    topics: &RequestTopics,
) -> Result<BaseConsumer, RequestError> {
    let mut config = config.clone();
    config
        // librdkafka wants a name even where no group is joined.
        .set("group.id", "pipeline-request")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "latest");
    if config.get("fetch.wait.max.ms").is_none() {
        // So long takes a partition's end to be told; what comes is told at once.
        config.set("fetch.wait.max.ms", "50");
    }
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
pub(super) fn partitions<C: ClientContext>(
    producer: &Client<C>,
    topic: &str,
) -> Result<Vec<i32>, RequestError> {
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
        std::thread::sleep(Duration::from_millis(100));
    }
}
