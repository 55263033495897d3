use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig, ClientContext, Message,
    config::RDKafkaLogLevel,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code},
    message::{Header, OwnedHeaders},
    producer::{
        BaseRecord, DeliveryResult, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer,
    },
};

use crate::record::Record;

/// What became of a request on its way into its topic.
#[derive(Clone, Debug)]
pub struct Acknowledgement {
    /// Which request.
    pub number: u32,
    /// Its partition and offset, or why the broker did not take it.
    pub place: Result<(i32, i64), String>,
    /// When this was known.
    pub at: Instant,
}

type Tell = Box<dyn Fn(Acknowledgement) + Send + Sync>;

struct Told(Tell);

impl ClientContext for Told {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        super::super::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        super::super::log_error(&error, reason);
    }
}

impl ProducerContext for Told {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let place = match result {
            Ok(record) => Ok((record.partition(), record.offset())),
            Err((error, _)) => Err(error.to_string()),
        };
        // Numbers are made of u32.
        (self.0)(Acknowledgement { number: number as u32, place, at: Instant::now() });
    }
}

/// Produces requests, each once, however long a broker is away.
pub struct Asker {
    producer: ThreadedProducer<Told, NoCustomPartitioner>,
    topic: String,
}

impl Asker {
    /// A producer to that topic, which tells what becomes of each request.
    ///
    /// # Errors
    /// Settings that make no client.
    pub fn new(
        config: &ClientConfig,
        topic: &str,
        tell: impl Fn(Acknowledgement) + Send + Sync + 'static,
    ) -> KafkaResult<Self> {
        let mut config = config.clone();
        config
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "0")
            .set("linger.ms", "5")
            // So that partitions that were added are soon asked at.
            .set("topic.metadata.refresh.interval.ms", "2000");
        let producer = config.create_with_context(Told(Box::new(tell)))?;
        Ok(Asker { producer, topic: topic.to_owned() })
    }

    /// Produces a request. Returns false where there is no room for it at the moment.
    ///
    /// # Errors
    /// The producer refuses it; then it will never be in the topic.
    pub fn ask(&self, number: u32, request: &Record) -> KafkaResult<bool> {
        let headers = request.headers.iter().fold(OwnedHeaders::new(), |headers, header| {
            headers.insert(Header { key: &header.name, value: header.value.as_deref() })
        });
        let mut record =
            BaseRecord::<[u8], [u8], usize>::with_opaque_to(&self.topic, number as usize).headers(headers);
        record.key = request.key.as_deref();
        record.payload = request.value.as_deref();
        match self.producer.send(record) {
            Ok(()) => Ok(true),
            Err((KafkaError::MessageProduction(Code::QueueFull), _)) => Ok(false),
            Err((error, _)) => Err(error),
        }
    }

    /// Waits until all requests are told of. Returns false where that takes longer.
    pub fn flush(&self, within: Duration) -> bool {
        self.producer.flush(within).is_ok()
    }
}
