//! The traces that records come with: `traceparent` in their headers.

use std::time::Duration;

use super::Runtime;
use crate::{
    record::{Headers, Offset, TopicPartition},
    trace::{Span, TRACEPARENT},
};

/// A span below the one that the headers name; `None` where there is none, or it is malformed.
pub fn below(headers: &Headers, runtime: &dyn Runtime) -> Option<Span> {
    // Most records have no headers, and this runs for each.
    if headers.is_empty() {
        return None;
    }
    // In two halves: a random number has 53 bits.
    let half = || (runtime.random() * 4_294_967_296.0) as u64;
    Span::below(headers.get(TRACEPARENT)?, half() << 32 | half())
}

/// Makes a result or dead letter a child of the record's span.
pub fn adopt(span: &Span, headers: &mut Headers) {
    headers.set(TRACEPARENT, span.traceparent().into());
}

/// Logs that the record is computed, which is exported as a span.
pub fn log_computed(span: &Span, partition: &TopicPartition, offset: Offset, took: Duration, outcome: &str) {
    tracing::debug!(
        target: "pipeline::trace",
        trace_id = span.trace,
        span_id = span.id,
        parent_id = span.parent,
        sampled = span.is_sampled(),
        topic = %partition.topic,
        partition = partition.partition,
        offset = offset.0,
        took_us = took.as_micros() as u64,
        outcome,
        "computed"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Machine;

    #[test]
    fn what_a_record_causes_keeps_its_other_headers() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut headers: Headers = [("id", "1"), ("traceparent", parent)].into_iter().collect();
        let span = below(&headers, &*Machine::new().unwrap()).unwrap();
        adopt(&span, &mut headers);
        assert_eq!(headers.get("traceparent"), Some(span.traceparent().as_bytes()));
        assert_eq!((headers.get("id"), headers.iter().count()), (Some(&b"1"[..]), 2));
    }
}
