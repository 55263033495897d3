//! Sends spans to a collector, by OTLP over HTTP: those logged with the target `pipeline::trace`.

use std::{
    borrow::Cow,
    env,
    fmt::{Debug, Write as _},
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchSpanProcessor, SpanData, SpanProcessor},
};
use tracing::{Event, Subscriber, field::Field};
use tracing_subscriber::layer::{Context, Layer};

/// The target of log events that are spans.
pub const TARGET: &str = "pipeline::trace";

/// OpenTelemetry's variables that name a collector.
const VARIABLES: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
/// How long a collector may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long sending the last spans may take, at the end of the process.
const END: Duration = Duration::from_secs(3);
/// How much of a collector's answer is read, in bytes.
const LARGEST_ANSWER: u64 = 64 << 10;

/// Sends spans in batches, on its own thread; drops what the collector does not accept.
static PROCESSOR: OnceLock<BatchSpanProcessor> = OnceLock::new();

/// Turns the events that describe a span into spans.
pub struct Spans(());

impl Spans {
    /// Reads the environment; `None` if it names no collector.
    ///
    /// # Errors
    /// The environment's settings are invalid.
    pub fn new() -> Result<Option<Self>, ExporterBuildError> {
        if !VARIABLES.iter().any(|name| env::var(name).is_ok_and(|value| !value.is_empty())) {
            return Ok(None);
        }
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(ANSWER))
            .build()
            .into();
        let exporter = SpanExporter::builder().with_http().with_http_client(Collector(agent)).build()?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        let mut resource = Resource::builder();
        if env::var("OTEL_SERVICE_NAME").is_err() {
            resource = resource.with_service_name("pipeline");
        }
        processor.set_resource(&resource.build());
        PROCESSOR.get_or_init(|| processor);
        Ok(Some(Spans(())))
    }
}

/// Sends the remaining spans; for the end of the process.
pub fn end() {
    if let Some(processor) = PROCESSOR.get() {
        // Failures have been logged already.
        let _ = processor.shutdown_with_timeout(END);
    }
}

impl<S: Subscriber> Layer<S> for Spans {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = SpanFields::default();
        event.record(&mut fields);
        if let (Some(processor), Some(span)) = (PROCESSOR.get(), fields.span(SystemTime::now())) {
            processor.on_end(span);
        }
    }
}

/// The fields of an event that describe a span.
#[derive(Default)]
struct SpanFields {
    trace: String,
    span: String,
    parent: String,
    sampled: bool,
    took: Duration,
    outcome: String,
    topic: String,
    partition: i64,
    offset: i64,
}

impl SpanFields {
    /// `None` if the trace is not sampled.
    fn span(self, ended: SystemTime) -> Option<SpanData> {
        let trace = TraceId::from_hex(&self.trace).ok()?;
        let [span, parent] = [&self.span, &self.parent].map(|id| SpanId::from_hex(id).ok());
        let (name, kind, attributes): (Cow<'static, str>, _, _) = if self.topic.is_empty() {
            ("answer".into(), SpanKind::Server, Vec::new())
        } else {
            // OpenTelemetry's semantic conventions for Kafka.
            let attributes = vec![
                KeyValue::new("messaging.system", "kafka"),
                KeyValue::new("messaging.operation.name", "process"),
                KeyValue::new("messaging.destination.name", self.topic.clone()),
                KeyValue::new("messaging.destination.partition.id", self.partition.to_string()),
                KeyValue::new("messaging.kafka.offset", self.offset),
            ];
            (format!("process {}", self.topic).into(), SpanKind::Consumer, attributes)
        };
        self.sampled.then_some(SpanData {
            span_context: SpanContext::new(trace, span?, TraceFlags::SAMPLED, false, TraceState::NONE),
            parent_span_id: parent?,
            parent_span_is_remote: true,
            span_kind: kind,
            name,
            start_time: ended - self.took,
            end_time: ended,
            attributes,
            dropped_attributes_count: 0,
            events: Default::default(),
            links: Default::default(),
            status: if self.outcome == "ok" { Status::Unset } else { Status::error(self.outcome) },
            instrumentation_scope: InstrumentationScope::builder("pipeline").build(),
        })
    }
}

impl tracing::field::Visit for SpanFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "trace_id" => value.clone_into(&mut self.trace),
            "span_id" => value.clone_into(&mut self.span),
            "parent_id" => value.clone_into(&mut self.parent),
            "outcome" => value.clone_into(&mut self.outcome),
            _ => {}
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "sampled" {
            self.sampled = value;
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "took_us" {
            self.took = Duration::from_micros(value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        match field.name() {
            "partition" => self.partition = value,
            "offset" => self.offset = value,
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "topic" {
            // Writing to memory does not fail.
            let _ = write!(self.topic, "{value:?}");
        }
    }
}

/// The HTTP client that reaches the collector.
#[derive(Debug)]
struct Collector(ureq::Agent);

#[async_trait::async_trait]
impl HttpClient for Collector {
    /// Blocks: the processor calls it on its own thread.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let to = request.uri().clone();
        let answer = self.send(request).inspect_err(|error| {
            tracing::warn!(
                "spans cannot be sent and will be dropped: the collector at {to} cannot be reached: {error}"
            );
        })?;
        if !answer.status().is_success() {
            tracing::warn!(
                "spans cannot be sent and will be dropped: the collector at {to} answers {}",
                answer.status()
            );
        }
        Ok(answer)
    }
}

impl Collector {
    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (mut head, mut body) = self.0.run(request.map(|body| body.to_vec()))?.into_parts();
        // Its length may change as it is read.
        head.headers.remove(http::header::CONTENT_LENGTH);
        let body = body.with_config().limit(LARGEST_ANSWER).read_to_vec()?;
        Ok(Response::from_parts(head, body.into()))
    }
}
