//! The clients of whoever asks: produces requests, and reads results and dead letters as they come.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::Headers as _,
    producer::{
        BaseRecord, DeliveryResult, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer,
    },
};
use thiserror::Error;

/// How long the brokers may take to answer a question.
const ASK: Duration = Duration::from_secs(15);
/// How long the consumer may take to stand at the end of all its partitions.
const JOIN: Duration = Duration::from_secs(5);

/// Why nothing can be asked.
#[derive(Error, Debug)]
pub enum RequestError {
    /// The clients cannot be made, or the brokers do not answer.
    #[error("cannot ask: {0}")]
    Clients(#[from] KafkaError),
    /// A topic is not there.
    #[error("there is no topic {0}, and it could not be created")]
    NoTopic(String),
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

/// Tells the asking thread about acknowledgements.
struct Acknowledge(mpsc::Sender<RequestEvent>);

impl ClientContext for Acknowledge {}

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

/// A producer of requests and a consumer of their answers.
pub struct Requests {
    producer: ThreadedProducer<Acknowledge, NoCustomPartitioner>,
    consumer: Option<BaseConsumer>,
    acknowledged: mpsc::Receiver<RequestEvent>,
    topics: RequestTopics,
}

impl Requests {
    /// Clients that can ask; the answers are read from now on, if they are wanted.
    ///
    /// # Errors
    /// Where the brokers do not answer, or a topic cannot be had.
    pub fn new(config: &ClientConfig, topics: RequestTopics, answers: bool) -> Result<Self, RequestError> {
        let (sender, acknowledged) = mpsc::channel();
        let mut producer_config = config.clone();
        producer_config.set("linger.ms", "0").set("enable.idempotence", "true");
        let producer: ThreadedProducer<_, _> = producer_config.create_with_context(Acknowledge(sender))?;
        let consumer = if answers { Some(answers_from_now(config, &producer, &topics)?) } else { None };
        Ok(Requests { producer, consumer, acknowledged, topics })
    }

    /// Produces a request.
    ///
    /// # Errors
    /// Where the producer refuses it.
    pub fn send(&self, request: usize, value: &[u8]) -> Result<(), RequestError> {
        let record =
            BaseRecord::<(), [u8], usize>::with_opaque_to(&self.topics.requests, request).payload(value);
        self.producer.send(record).map_err(|(error, _)| error.into())
    }

    /// What has happened next; `None` where nothing has for a while.
    ///
    /// # Errors
    /// Where the answers cannot be read.
    pub fn next(&self) -> Result<Option<RequestEvent>, RequestError> {
        if let Ok(event) = self.acknowledged.try_recv() {
            return Ok(Some(event));
        }
        let Some(consumer) = &self.consumer else {
            return Ok(self.acknowledged.recv_timeout(Duration::from_millis(50)).ok());
        };
        let record = match consumer.poll(Duration::from_millis(5)) {
            Some(Ok(record)) => record,
            Some(Err(KafkaError::PartitionEOF(_))) | None => return Ok(None),
            // Brokers come and go; the time limit says when to give up.
            Some(Err(error)) => {
                tracing::debug!(%error, "while waiting for answers");
                return Ok(None);
            }
        };
        if record.topic() == self.topics.results {
            return Ok(record.payload().map(|value| RequestEvent::Result(value.to_vec())));
        }
        let header = |name: &str| {
            let headers = record.headers()?;
            let found = headers.iter().filter(|header| header.key == name).last()?.value?;
            Some(String::from_utf8_lossy(found).into_owned())
        };
        let place = (header("pipeline.error.partition"), header("pipeline.error.offset"));
        Ok(match (place.0.and_then(|p| p.parse().ok()), place.1.and_then(|o| o.parse().ok())) {
            (Some(partition), Some(offset)) => {
                let reason = header("pipeline.error.message").unwrap_or_default();
                Some(RequestEvent::DeadLetter { partition, offset, reason })
            }
            _ => None,
        })
    }
}

/// A consumer that stands at the end of results and dead letters: no group, nothing committed.
fn answers_from_now(
    config: &ClientConfig,
    producer: &ThreadedProducer<Acknowledge, NoCustomPartitioner>,
    topics: &RequestTopics,
) -> Result<BaseConsumer, RequestError> {
    let mut config = config.clone();
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
            let (_, end) = consumer.fetch_watermarks(topic, partition, ASK)?;
            list.add_partition_offset(topic, partition, Offset::Offset(end))?;
        }
    }
    consumer.assign(&list)?;
    // Nothing can slip by, as the offsets are fixed; but what is asked before the first fetch would wait for
    // connections, and that is nobody's latency.
    let (deadline, mut ends) = (Instant::now() + JOIN, 0);
    while ends < list.count() && Instant::now() < deadline {
        if let Some(Err(KafkaError::PartitionEOF(_))) = consumer.poll(Duration::from_millis(50)) {
            ends += 1;
        }
    }
    Ok(consumer)
}

/// A topic's partitions. Asked by a producer, as that creates the topic where the broker does so.
fn partitions(
    producer: &ThreadedProducer<Acknowledge, NoCustomPartitioner>,
    topic: &str,
) -> Result<Vec<i32>, RequestError> {
    let deadline = Instant::now() + ASK;
    loop {
        let metadata = producer.client().fetch_metadata(Some(topic), ASK)?;
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
