//! Produces the requests of `pipeline verify`, each once, however long a broker does not answer.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    error::KafkaResult,
    message::{Header, OwnedHeaders},
};

use crate::{
    kafka::{
        request_producer::{Acknowledgement, RequestProducer},
        settings,
    },
    record::Record,
};

/// A producer that never gives up on a request.
pub struct VerifyProducer(RequestProducer);

impl VerifyProducer {
    /// A producer to that topic that reports what becomes of each request.
    ///
    /// # Errors
    /// Where librdkafka rejects the settings.
    pub fn new(
        config: &ClientConfig,
        topic: &str,
        report: impl Fn(Acknowledgement) + Send + Sync + 'static,
    ) -> KafkaResult<Self> {
        let defaults = [
            ("linger.ms", "5"),
            // So that new partitions are soon written to.
            ("topic.metadata.refresh.interval.ms", "2000"),
        ];
        let config = settings::unless_set(config, &defaults);
        RequestProducer::new(&config, topic, None, report).map(VerifyProducer)
    }

    /// Produces a request. Returns false where there is no room for it now.
    ///
    /// # Errors
    /// librdkafka's reason, where it refuses the request, which will then never be in the topic.
    pub fn send(&self, number: u32, request: &Record) -> Result<bool, String> {
        let headers = request.headers.iter().fold(OwnedHeaders::new(), |headers, header| {
            headers.insert(Header { key: &header.name, value: header.value.as_deref() })
        });
        self.0.send(number as usize, request.key.as_deref(), request.value.as_deref(), Some(headers))
    }

    /// Waits until the outcome of all requests is reported. Returns false where that takes longer.
    pub fn flush(&self, within: Duration) -> bool {
        self.0.flush(within)
    }
}
