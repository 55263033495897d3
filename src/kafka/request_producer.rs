//! A producer of requests that reports what becomes of each.

use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig, ClientContext, Message,
    client::Client,
    config::RDKafkaLogLevel,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code},
    message::OwnedHeaders,
    producer::{
        BaseRecord, DeliveryResult, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer,
    },
};

use super::settings::{PARTITIONER, unless_set};

/// What became of a request on its way into its topic.
#[derive(Clone, Debug)]
pub struct Acknowledgement {
    /// The number that the request was sent with.
    pub request: usize,
    /// Its partition and offset, or librdkafka's reason why no broker took it.
    pub place: Result<(i32, i64), String>,
    /// When this was known.
    pub at: Instant,
}

struct Deliveries(Box<dyn Fn(Acknowledgement) + Send + Sync>);

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
        let place = match result {
            Ok(record) => Ok((record.partition(), record.offset())),
            Err((error, _)) => Err(reason(error)),
        };
        (self.0)(Acknowledgement { request, place, at });
    }
}

/// librdkafka's own reason, without our words around it.
fn reason(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string())
}

/// Produces requests to one topic, each once; its own thread reports what becomes of them.
pub struct RequestProducer {
    producer: ThreadedProducer<Deliveries, NoCustomPartitioner>,
    topic: String,
}

impl RequestProducer {
    /// An idempotent producer to that topic. A request that no broker has taken is given up after `timeout`,
    /// or never where that is `None`.
    ///
    /// # Errors
    /// Where librdkafka rejects the settings.
    pub fn new(
        config: &ClientConfig,
        topic: &str,
        timeout: Option<Duration>,
        report: impl Fn(Acknowledgement) + Send + Sync + 'static,
    ) -> KafkaResult<Self> {
        let timeout = timeout.map_or(0, |timeout| timeout.as_millis().clamp(1, i32::MAX as u128));
        let mut config = unless_set(config, &[PARTITIONER]);
        config.set("enable.idempotence", "true").set("message.timeout.ms", timeout.to_string());
        let producer = config.create_with_context(Deliveries(Box::new(report)))?;
        Ok(RequestProducer { producer, topic: topic.to_owned() })
    }

    /// Produces a request; never waits. Returns false where there is no room for it now.
    ///
    /// # Errors
    /// librdkafka's reason, where it refuses the request, which will then never be in the topic.
    pub fn send(
        &self,
        request: usize,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: Option<OwnedHeaders>,
    ) -> Result<bool, String> {
        let mut record = BaseRecord::<[u8], [u8], usize>::with_opaque_to(&self.topic, request);
        (record.key, record.payload, record.headers) = (key, value, headers);
        match self.producer.send(record) {
            Ok(()) => Ok(true),
            Err((KafkaError::MessageProduction(Code::QueueFull), _)) => Ok(false),
            Err((error, _)) => Err(reason(&error)),
        }
    }

    /// The client, for other requests to the brokers.
    pub fn client(&self) -> &Client<impl ClientContext + use<>> {
        self.producer.client()
    }

    /// Waits until the outcome of all requests is reported. Returns false where that takes longer.
    pub fn flush(&self, within: Duration) -> bool {
        self.producer.flush(within).is_ok()
    }
}
