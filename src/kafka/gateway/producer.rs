//! Produces a route's requests, with headers that say where the reply is wanted, and until when.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    error::KafkaError,
    message::{Header, OwnedHeaders},
};
use tokio::sync::mpsc;

use crate::{
    config::Route,
    gateway::{Event, RequestId, RequestRecord, RequestSink},
    kafka::request_producer::{Acknowledgement, RequestProducer},
    record::{CORRELATION_ID, DEADLINE, REPLY_PARTITION},
    trace::{TRACEPARENT, TRACESTATE},
};

/// The producer of a route's requests.
pub struct KafkaRequestSink(RequestProducer);

impl KafkaRequestSink {
    pub(super) fn new(
        config: &ClientConfig,
        route: &Route,
        timeout: Duration,
        events: mpsc::Sender<Event>,
    ) -> Result<Self, KafkaError> {
        let report = move |Acknowledgement { request, place, at }| {
            // A desk that is gone does not need to know.
            let _ = events.blocking_send(Event::Acknowledged { request: RequestId(request), place, at });
        };
        Ok(KafkaRequestSink(RequestProducer::new(config, &route.request.topic, Some(timeout), report)?))
    }
}

impl RequestSink for KafkaRequestSink {
    fn send(&mut self, request: &RequestRecord) -> Result<(), String> {
        let (id, deadline) = (request.id.to_string(), request.deadline.to_string());
        let reply_partition = request.reply_partition.to_string();
        let parent = request.trace.as_ref().map(|trace| trace.span.traceparent());
        let state = request.trace.as_ref().and_then(|trace| trace.state.as_ref());
        let trace = [(TRACEPARENT, parent.as_ref()), (TRACESTATE, state)];
        let headers = [(CORRELATION_ID, &id), (DEADLINE, &deadline), (REPLY_PARTITION, &reply_partition)]
            .into_iter()
            .chain(trace.into_iter().filter_map(|(key, value)| Some((key, value?))))
            .fold(OwnedHeaders::new_with_capacity(5), |headers, (key, value)| {
                headers.insert(Header { key, value: Some(value) })
            });
        match self.0.send(request.request.0, None, Some(&request.value), Some(headers)) {
            Ok(true) => Ok(()),
            Ok(false) => Err("the producer's queue is full".to_owned()),
            Err(reason) => Err(reason),
        }
    }
}
