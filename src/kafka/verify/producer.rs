//! Produces the requests of `pipeline verify`, each once, however long a broker is away.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    error::KafkaResult,
    message::{Header, OwnedHeaders},
};

use crate::{
    kafka::{
        asking::{Acknowledgement, AskingProducer},
        settings,
    },
    record::Record,
};

/// Produces requests, each once.
pub struct Asker(AskingProducer);

impl Asker {
    /// A producer to that topic, which never gives up, and reports what becomes of each request.
    ///
    /// # Errors
    /// Settings that make no client.
    pub fn new(
        config: &ClientConfig,
        topic: &str,
        report: impl Fn(Acknowledgement) + Send + Sync + 'static,
    ) -> KafkaResult<Self> {
        let defaults = [
            ("linger.ms", "5"),
            // So that partitions that were added are soon asked at.
            ("topic.metadata.refresh.interval.ms", "2000"),
        ];
        let config = settings::unless_set(config, &defaults);
        AskingProducer::new(&config, topic, None, report).map(Asker)
    }

    /// Produces a request. Returns false where there is no room for it at the moment.
    ///
    /// # Errors
    /// librdkafka's words why it refuses the request; then it will never be in the topic.
    pub fn ask(&self, number: u32, request: &Record) -> Result<bool, String> {
        let headers = request.headers.iter().fold(OwnedHeaders::new(), |headers, header| {
            headers.insert(Header { key: &header.name, value: header.value.as_deref() })
        });
        self.0.send(number as usize, request.key.as_deref(), request.value.as_deref(), Some(headers))
    }

    /// Waits until what becomes of all requests is reported. Returns false where that takes longer.
    pub fn flush(&self, within: Duration) -> bool {
        self.0.flush(within)
    }
}
