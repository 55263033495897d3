//! The trace that an HTTP request belongs to, on its way to the record.

use std::time::Duration;

use super::Failure;
use crate::trace::Span;

/// The longest `tracestate` that is handed on, in bytes, as W3C Trace Context has it.
const LONGEST_STATE: usize = 512;

/// The trace that a question belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// The time from the question to its answer.
    pub span: Span,
    /// The `tracestate`, handed on as it is.
    pub state: Option<String>,
}

impl Trace {
    /// The trace that `traceparent` and `tracestate` name; `None` where there is none, or it is malformed.
    pub fn below(parent: &[u8], state: Option<&str>) -> Option<Trace> {
        let span = Span::below(parent, fastrand::u64(..))?;
        let state = state.filter(|state| !state.is_empty() && state.len() <= LONGEST_STATE);
        Some(Trace { span, state: state.map(str::to_owned) })
    }

    /// Logs the span, once there is an answer.
    pub fn answered<R>(&self, took: Duration, outcome: &Result<R, Failure>) {
        let outcome = match outcome {
            Ok(_) => "ok",
            Err(Failure::DeadLetter { .. }) => "dead-letter",
            Err(Failure::TimedOut) => "timeout",
            Err(Failure::NotProduced(_) | Failure::Stopping) => "error",
        };
        tracing::debug!(
            target: "pipeline::trace",
            trace_id = self.span.trace,
            span_id = self.span.id,
            parent_id = self.span.parent,
            sampled = self.span.is_sampled(),
            took_us = took.as_micros() as u64,
            outcome,
            "answered"
        );
    }
}
