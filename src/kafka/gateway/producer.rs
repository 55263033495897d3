use std::time::Instant;

use rdkafka::{
    ClientConfig, ClientContext, Message,
    config::RDKafkaLogLevel,
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DeliveryResult, NoCustomPartitioner, ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode as Code,
};
use tokio::sync::mpsc;

use crate::{
    config::Route,
    gateway::{Event, Outgoing, Request, Requests},
    record::{CORRELATION_ID, DEADLINE, REPLY_PARTITION},
    trace::{TRACEPARENT, TRACESTATE},
};

/// A producer of requests.
pub struct KafkaRequests {
    producer: ThreadedProducer<Acknowledge, NoCustomPartitioner>,
    topic: String,
}

/// Tells about acknowledgements.
struct Acknowledge(mpsc::Sender<Event>);

impl ClientContext for Acknowledge {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        crate::kafka::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        crate::kafka::log_error(&error, reason);
    }
}

impl ProducerContext for Acknowledge {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, request: usize) {
        let place = match result {
            Ok(record) => Ok((record.partition(), record.offset())),
            Err((error, _)) => Err(error.to_string()),
        };
        // A desk that is gone does not need to know.
        let _ = self.0.blocking_send(Event::Acknowledged {
            request: Request(request),
            place,
            at: Instant::now(),
        });
    }
}

impl KafkaRequests {
    pub(super) fn new(
        config: &ClientConfig,
        route: &Route,
        events: mpsc::Sender<Event>,
    ) -> Result<Self, KafkaError> {
        let producer = config.create_with_context(Acknowledge(events))?;
        Ok(KafkaRequests { producer, topic: route.request.topic.clone() })
    }
}

impl Requests for KafkaRequests {
    fn send(&mut self, request: &Outgoing) -> Result<(), String> {
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
        let record = BaseRecord::<(), [u8], usize>::with_opaque_to(&self.topic, request.request.0)
            .payload(&request.value)
            .headers(headers);
        self.producer.send(record).map_err(|(error, _)| match error {
            KafkaError::MessageProduction(Code::QueueFull) => "the producer's queue is full".to_owned(),
            error => error.to_string(),
        })
    }
}
