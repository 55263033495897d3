//! The clients of a caller without a group: requests go out, and what comes back is reported at once, on the
//! thread that reads it.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientConfig, Message,
    error::KafkaError,
    message::{BorrowedMessage, Header, Headers as _, OwnedHeaders},
};
use thiserror::Error;

use super::{
    answers::{Answers, partitions},
    request_producer::{Acknowledgement, RequestProducer},
    settings,
};
use crate::record::CORRELATION_ID;

/// Why requests cannot be sent.
#[derive(Error, Debug)]
pub enum RequestError {
    /// The clients cannot be made, or the brokers do not answer.
    #[error("cannot ask: {0}")]
    Clients(#[from] KafkaError),
    /// A topic does not exist.
    #[error("there is no topic {0}, and it could not be created")]
    NoTopic(String),
    /// A thread cannot be started.
    #[error("cannot start the thread that reads answers: {0}")]
    Thread(std::io::Error),
}

/// The topics that a request and its answer go through.
#[derive(Clone, Debug)]
pub struct RequestTopics {
    /// Where requests go.
    pub requests: String,
    /// Where results come from.
    pub results: String,
    /// Where what cannot be computed goes.
    pub dead_letters: String,
}

/// Receives what becomes of requests.
pub trait Listener: Send + Sync + 'static {
    /// The broker has the request, or will not have it.
    fn acknowledged(&self, acknowledgement: Acknowledgement);

    /// A record of the result topic. Returns false to stop reading.
    fn result(&self, record: &BorrowedMessage<'_>) -> bool;

    /// A record of the dead-letter topic, which may be shared with other pipelines. Returns false to stop
    /// reading.
    fn dead_letter(&self, record: &BorrowedMessage<'_>) -> bool;
}

/// A producer of requests, and a reader of what comes back.
pub struct Exchange {
    producer: RequestProducer,
    _answers: Option<Answers>,
}

impl Exchange {
    /// Clients that give up on a request that no broker has taken within `timeout`. Blocks until the reader
    /// is at the ends of the topics.
    ///
    /// # Errors
    /// Where the brokers do not answer, or a topic does not exist and is not created.
    pub fn new(
        config: &ClientConfig,
        topics: RequestTopics,
        timeout: Duration,
        listener: Arc<dyn Listener>,
    ) -> Result<Self, RequestError> {
        let exchange = Exchange::without_answers(config, &topics, timeout, listener.clone())?;
        let results = topics.results.clone();
        let read = move |record: &BorrowedMessage<'_>| match record.topic() == results {
            true => listener.result(record),
            false => listener.dead_letter(record),
        };
        let answers = Answers::start(config, exchange.producer.client(), &topics, read)?;
        Ok(Exchange { _answers: Some(answers), ..exchange })
    }

    /// The producer alone: what comes back is not read.
    ///
    /// # Errors
    /// Where the brokers do not answer, or the request topic does not exist and is not created.
    pub fn without_answers(
        config: &ClientConfig,
        topics: &RequestTopics,
        timeout: Duration,
        listener: Arc<dyn Listener>,
    ) -> Result<Self, RequestError> {
        let config = settings::unless_set(config, &[("linger.ms", "0")]);
        let report = move |acknowledgement| listener.acknowledged(acknowledgement);
        let producer = RequestProducer::new(&config, &topics.requests, Some(timeout), report)?;
        // So that the first request does not wait for it.
        partitions(producer.client(), &topics.requests)?;
        Ok(Exchange { producer, _answers: None })
    }

    /// Produces a request; never waits. Returns false where there is no room for it now.
    ///
    /// # Errors
    /// librdkafka's reason, where it refuses the request.
    pub fn send(
        &self,
        request: usize,
        key: Option<&[u8]>,
        value: &[u8],
        headers: Option<OwnedHeaders>,
    ) -> Result<bool, String> {
        self.producer.send(request, key, Some(value), headers)
    }
}

/// The header by which a result says which request it answers.
pub fn correlation_id(id: &[u8]) -> OwnedHeaders {
    OwnedHeaders::new_with_capacity(1).insert(Header { key: CORRELATION_ID, value: Some(id) })
}

/// The value of the last header of that name, like Kafka's `lastHeader`.
pub fn header<'a>(record: &'a BorrowedMessage<'_>, name: &str) -> Option<&'a [u8]> {
    record.headers()?.iter().filter(|header| header.key == name).last()?.value
}
