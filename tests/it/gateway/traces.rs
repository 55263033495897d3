//! A trace goes the whole way, and its spans go to a collector.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use opentelemetry_proto::tonic::{collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span};
use prost::Message;
use tokio::{net::TcpListener, runtime::Runtime};

use crate::harness::{Site, factorial};

/// Takes spans by OTLP, and keeps them; ends with what holds it.
struct Collector {
    url: String,
    /// Each with the service that it says it comes from.
    spans: Arc<Mutex<Vec<(String, Span)>>>,
    _runtime: Runtime,
}

impl Collector {
    fn start() -> Collector {
        let runtime = Runtime::new().unwrap();
        let spans: Arc<Mutex<Vec<(String, Span)>>> = Arc::default();
        let taken = spans.clone();
        let take = async move |headers: HeaderMap, body: Bytes| {
            assert_eq!(headers["content-type"], "application/x-protobuf");
            for resource in ExportTraceServiceRequest::decode(body).unwrap().resource_spans {
                let attributes = resource.resource.unwrap().attributes;
                let service = attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
                let service = format!("{:?}", service.value.as_ref().unwrap().value);
                let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                taken.lock().unwrap().extend(spans.map(|span| (service.clone(), span)));
            }
        };
        let router = Router::new().route("/v1/traces", post(take));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Collector { url, spans, _runtime: runtime }
    }
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn who_asks_with_a_trace_finds_the_request_its_result_and_both_spans_in_it() {
    let collector = Collector::start();
    let site = Site::new("gateway-traces").with_topics(2).env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url);
    let site = site.env("OTEL_SERVICE_NAME", "worker");
    let worker = site.worker(&[]);
    let site = site.env("OTEL_SERVICE_NAME", "gateway");
    let gateway = site.gateway(&[]);
    let ask = |n: u64, fields: &str| {
        let response = gateway.begin(&format!("GET /factorial/{n}\n{fields}"), "").response();
        assert_eq!(response.text(), factorial(n));
    };
    ask(10, &format!("traceparent: 00-{TRACE}-{PARENT}-01\ntracestate: a=1,b=2"));
    ask(11, "traceparent: nonsense");
    ask(12, &format!("traceparent: 00-{TRACE}-{PARENT}-00"));
    // The span that each record says has caused it.
    let [asked, answered] = [&site.source, &site.sink].map(|topic| {
        let records = site.read(topic);
        assert_eq!(records.len(), 3, "{records:?}");
        let of = |n: &str| records.iter().find(|record| record.value().split(';').next() == Some(n)).unwrap();
        assert_eq!((of("11").header("traceparent"), of("11").header("tracestate")), (None, None));
        assert!(of("12").header("traceparent").unwrap().ends_with("-00"), "not sampled");
        assert_eq!(of("10").header("tracestate"), Some("a=1,b=2"));
        let traceparent = of("10").header("traceparent").unwrap();
        let span =
            traceparent.strip_prefix(&format!("00-{TRACE}-")).and_then(|rest| rest.strip_suffix("-01"));
        span.unwrap_or_else(|| panic!("{traceparent}")).to_owned()
    });
    // What has not been sent yet is sent at the end.
    assert!(gateway.terminate().0.success());
    assert!(worker.terminate().0.success());
    let spans = collector.spans.lock().unwrap();
    let spans: BTreeMap<&str, (String, String, &str, i32)> = spans
        .iter()
        .map(|(service, span)| {
            assert_eq!(hexadecimal(&span.trace_id), TRACE);
            assert!(span.end_time_unix_nano > span.start_time_unix_nano, "{span:?}");
            let ids = (hexadecimal(&span.span_id), hexadecimal(&span.parent_span_id));
            (service.as_str(), (ids.0, ids.1, span.name.as_str(), span.kind))
        })
        .collect();
    let process = format!("process {}", site.source);
    let (server, consumer) = (2, 5);
    let expected = [
        (r#"Some(StringValue("gateway"))"#, (asked.clone(), PARENT.to_owned(), "answer", server)),
        (r#"Some(StringValue("worker"))"#, (answered, asked, process.as_str(), consumer)),
    ];
    assert_eq!(spans, expected.into());
}
