//! The clients of the load generator: requests with ids go out, and what comes back is told at once, on the
//! thread that has it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Message,
    config::RDKafkaLogLevel,
    consumer::BaseConsumer,
    error::{KafkaError, RDKafkaErrorCode as Code},
    message::{BorrowedMessage, Header, Headers as _, OwnedHeaders},
    producer::{
        BaseRecord, DeliveryResult, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer,
    },
};

use super::requests::{RequestError, RequestTopics, answers_from_now, partitions};

/// The header that a request is known by.
const ID: &str = "correlation-id";
/// How long the reading thread waits for a record before it looks whether it is still wanted.
const POLL: Duration = Duration::from_millis(50);

/// Who is told what has become of requests.
pub trait Listener: Send + Sync + 'static {
    /// The broker has the request, or why it has not.
    fn acknowledged(&self, request: u64, result: Result<(), String>, at: Instant);

    /// A result with that id, or the class of its dead letter.
    fn answered(&self, id: &[u8], result: Result<&[u8], &str>, at: Instant);
}

struct Deliveries(Arc<dyn Listener>);

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        super::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        super::log_error(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, request: usize) {
        let at = Instant::now();
        let result = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(reason(error)),
        };
        self.0.acknowledged(request as u64, result, at);
    }
}

/// librdkafka's own words, without ours around them.
fn reason(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string())
}

/// A producer of requests with ids, and a reader of what comes back.
pub struct Exchange {
    producer: ThreadedProducer<Deliveries, NoCustomPartitioner>,
    topic: String,
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Exchange {
    /// Clients that give up on a request that no broker has taken after `timeout`. Blocks until the reader
    /// stands at the ends of the topics.
    ///
    /// # Errors
    /// Where the brokers do not answer, or a topic cannot be had.
    pub fn new(
        config: &ClientConfig,
        topics: RequestTopics,
        timeout: Duration,
        listener: Arc<dyn Listener>,
    ) -> Result<Self, RequestError> {
        let mut with_defaults = config.clone();
        for (name, value) in [("linger.ms", "0"), ("enable.idempotence", "true")] {
            if config.get(name).is_none() {
                with_defaults.set(name, value);
            }
        }
        with_defaults.set("message.timeout.ms", timeout.as_millis().clamp(1, i32::MAX as u128).to_string());
        let producer: ThreadedProducer<_, _> =
            with_defaults.create_with_context(Deliveries(listener.clone()))?;
        // So that the first request need not wait for it.
        partitions(producer.client(), &topics.requests)?;
        let consumer = answers_from_now(config, producer.client(), &topics)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (topic, stopped) = (topics.requests.clone(), stop.clone());
        let read = move || {
            while !stopped.load(Relaxed) {
                read(&consumer, &topics, &*listener);
            }
        };
        let reader =
            thread::Builder::new().name("answers".to_owned()).spawn(read).map_err(RequestError::Thread)?;
        Ok(Exchange { producer, topic, stop, reader: Some(reader) })
    }

    /// Produces a request, with its id as header and as key: each goes to whichever partition, and what becomes
    /// of it has both. Never waits.
    ///
    /// # Errors
    /// Why it cannot be produced.
    pub fn send(&self, request: u64, id: &str, value: &[u8]) -> Result<(), String> {
        let headers = OwnedHeaders::new_with_capacity(1).insert(Header { key: ID, value: Some(id) });
        let opaque = request as usize;
        let record = BaseRecord::with_opaque_to(&self.topic, opaque).key(id).payload(value).headers(headers);
        self.producer.send(record).map_err(|(error, _)| match error {
            KafkaError::MessageProduction(Code::QueueFull) => "the producer's queue is full".to_owned(),
            error => reason(&error),
        })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(reader) = self.reader.take() {
            // It ends within one poll; it cannot be helped if it panicked.
            let _ = reader.join();
        }
    }
}

fn read(consumer: &BaseConsumer, topics: &RequestTopics, listener: &dyn Listener) {
    match consumer.poll(POLL) {
        Some(Ok(record)) => {
            let at = Instant::now();
            let Some(id) = header(&record, ID) else { return };
            if record.topic() == topics.results {
                listener.answered(id, Ok(record.payload().unwrap_or_default()), at);
            } else {
                let class = header(&record, "pipeline.error.class").unwrap_or(b"unknown");
                listener.answered(id, Err(&String::from_utf8_lossy(class)), at);
            }
        }
        Some(Err(KafkaError::PartitionEOF(_))) | None => {}
        // Brokers come and go; whoever asked knows when to give up.
        Some(Err(error)) => tracing::debug!(%error, "while waiting for answers"),
    }
}

/// The value of the last header of that name, as Kafka's own `lastHeader` does.
fn header<'a>(record: &'a BorrowedMessage<'_>, name: &str) -> Option<&'a [u8]> {
    record.headers()?.iter().filter(|header| header.key == name).last()?.value
}
