//! Against a service in this process.

mod batches;

use std::time::{Duration, Instant};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, StatusCode},
    routing::{any, post},
};
use tokio::net::TcpListener;

use super::*;
use crate::{
    operator::Operator,
    record::{Offset, TopicPartition},
};

/// The address of a service with these routes.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

fn build(toml: &str, formats: Formats) -> Box<dyn Operator> {
    Http::build(toml.parse().unwrap(), formats).map_err(|error| error.to_string()).unwrap()
}

fn json() -> Formats {
    formats(Format::Json, Format::Json)
}

fn formats(input: Format, output: Format) -> Formats {
    Formats { input, output, ..Formats::default() }
}

fn call(value: &'static str) -> Call {
    let place = Some((TopicPartition::new("orders", 3), Offset(1042)));
    let record = Record { key: Some("k".into()), value: Some(value.into()), ..Record::default() };
    Call { record, place, part: 0 }
}

/// What becomes of a value; or the class and the sentence.
async fn asked(operator: &dyn Operator, value: &'static str) -> String {
    let answers = operator.asynchronous().unwrap().call(vec![call(value)]).await;
    let [answer] = &answers[..] else { panic!("{answers:?}") };
    match answer {
        Ok(records) if records.is_empty() => "dropped".to_owned(),
        Ok(records) => {
            assert_eq!((records.len(), records[0].key.as_deref()), (1, Some(&b"k"[..])));
            String::from_utf8(records[0].value.clone().unwrap().to_vec()).unwrap()
        }
        Err(OperatorError::BadInput { class, message }) => format!("{class}: {message}"),
        Err(OperatorError::Passing { failure, message }) => format!("{failure}: {message}"),
        Err(OperatorError::Away { message }) => format!("away: {message}"),
        Err(OperatorError::Fatal { message }) => format!("fatal: {message}"),
    }
}

#[tokio::test]
async fn a_value_goes_there_and_the_answer_is_the_new_value() {
    let say = |request: Request| async move {
        let header = |name: &str| request.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
        let told = ["content-type", "idempotency-key", "authorization", "x-team"].map(header);
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let body = axum::body::to_bytes(request.into_body(), 1_000).await.unwrap();
        serde_json::json!([method, path, told, String::from_utf8_lossy(&body)]).to_string()
    };
    let url = serve(Router::new().fallback(any(say))).await;
    let toml = format!(
        "url = '{url}/base/'\npath = \"'orders/' + value.id\"\nmethod = 'PUT'\ntoken = 't0'\nheaders.x-team = 'a'"
    );
    assert_eq!(
        asked(&*build(&toml, json()), r#"{"id":"a b/c"}"#).await,
        r#"["PUT","/base/orders/a%20b/c",["application/json","orders-3-1042","Bearer t0","a"],"{\"id\":\"a b/c\"}"]"#
    );
}

#[tokio::test]
async fn a_trace_goes_with_a_record_and_what_is_none_is_left_out() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let trace = |headers: HeaderMap| async move {
        format!("{:?}", headers.get("traceparent").map(|value| value.to_str().unwrap().to_owned()))
    };
    let url = serve(Router::new().route("/", post(trace))).await;
    let operator = build(&format!("url = '{url}'"), formats(Format::Json, Format::String));
    for (header, expected) in [(TRACE, format!("Some({TRACE:?})")), ("a\r\nx-b: c", "None".to_owned())] {
        let mut call = call("{}");
        call.record.headers.push("traceparent", Some(header.into()));
        let answers = operator.asynchronous().unwrap().call(vec![call]).await;
        assert_eq!(answers[0].as_ref().unwrap()[0].value.as_deref(), Some(expected.as_bytes()));
    }
}

#[tokio::test]
async fn a_status_decides_what_becomes_of_a_record() {
    let status = |body: Bytes| async move {
        let status: u16 = std::str::from_utf8(&body).unwrap().parse().unwrap();
        (StatusCode::from_u16(status).unwrap(), "it  says\nwhy")
    };
    let url = serve(Router::new().route("/", post(status))).await;
    let formats = formats(Format::Text, Format::String);
    let operator = build(&format!("url = '{url}'\ndrop = ['404', '204']"), formats);
    assert_eq!(asked(&*operator, "200").await, "it  says\nwhy");
    assert_eq!(asked(&*operator, "204").await, "dropped");
    assert_eq!(asked(&*operator, "404").await, "dropped");
    assert_eq!(
        asked(&*operator, "422").await,
        format!("refused-by-service: {url}/ answered 422 Unprocessable Entity: it says why")
    );
    assert!(asked(&*operator, "301").await.starts_with("refused-by-service"), "no redirect is followed");
    assert_eq!(
        asked(&*operator, "503").await,
        format!("status-5xx: {url}/ answered 503 Service Unavailable: it says why")
    );
}

#[tokio::test]
async fn a_service_that_asks_for_time_gets_it_and_the_record_has_not_failed() {
    let busy = || async { (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")], "") };
    let url = serve(Router::new().route("/busy", post(busy)).route("/", post(|| async { "1" }))).await;
    let operator = build(&format!("url = '{url}'\npath = 'value'"), formats(Format::String, Format::Json));
    assert!(asked(&*operator, "busy").await.starts_with("away: "));
    let begun = Instant::now();
    assert_eq!(asked(&*operator, "").await, "1");
    assert!(begun.elapsed() > Duration::from_millis(900));
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_a_dead_letter_and_is_not_read_to_its_end() {
    let endless = || async {
        let chunks =
            futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b'7'; 1 << 16])));
        Body::from_stream(chunks)
    };
    let router = Router::new().route("/endless", post(endless)).route("/half", post(|| async { "{\"a\":" }));
    let url = serve(router).await;
    let endless = build(&format!("url = '{url}/endless'\nmax_response = '1 MiB'"), json());
    assert_eq!(
        asked(&*endless, "{}").await,
        format!("bad-answer: {url}/endless answered more than the 1048576 bytes of `max_response`")
    );
    let half = build(&format!("url = '{url}/half'"), json());
    let said = asked(&*half, "{}").await;
    assert!(
        said.starts_with(&format!(
            "bad-answer: what {url}/half answered cannot be used: the value is not JSON"
        )),
        "{said}"
    );
}

#[tokio::test]
async fn a_service_that_is_not_there_is_away_and_one_that_breaks_off_or_stalls_fails_in_passing() {
    let listener = || TcpListener::bind("127.0.0.1:0");
    let operator = |listener: &TcpListener| {
        let url = format!("http://user:secret@{}/x?key=secret", listener.local_addr().unwrap());
        build(&format!("url = '{url}'\ntimeout = '200 ms'"), json())
    };
    let closes = listener().await.unwrap();
    let asks = operator(&closes);
    let (said, ()) = tokio::join!(asked(&*asks, "{}"), async {
        // It is accepted, and closed without a word.
        drop(closes.accept().await.unwrap());
    });
    assert!(said.starts_with("connection: http://127.0.0.1:") && !said.contains("secret"), "{said}");
    let silent = listener().await.unwrap();
    let asks = operator(&silent);
    let said = asked(&*asks, "{}").await;
    assert!(
        said.ends_with("/x did not answer within 200ms (`timeout`)"),
        "it listens, and says nothing: {said}"
    );
    // Not the port of a listener that is closed: a process that another test starts just now may have it for a moment.
    let asks = build("url = 'http://user:secret@127.0.0.1:1/x?key=secret'", json());
    let said = asked(&*asks, "{}").await;
    assert!(said.starts_with("away: ") && !said.contains("secret"), "{said}");
}

#[tokio::test]
async fn no_more_calls_are_under_way_than_the_file_says() {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    static NOW: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let slow = |_: HeaderMap| async {
        MOST.fetch_max(NOW.fetch_add(1, SeqCst) + 1, SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        NOW.fetch_sub(1, SeqCst);
        "1"
    };
    let url = serve(Router::new().route("/", post(slow))).await;
    let operator = build(&format!("url = '{url}'\nconcurrency = 7"), json());
    let calls = (0..50).map(|_| asked(&*operator, "{}"));
    futures::future::join_all(calls).await;
    assert_eq!(MOST.load(SeqCst), 7);
}

#[test]
fn without_an_engine_the_answer_is_waited_for() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = runtime.block_on(serve(Router::new().route("/", post(|| async { "[1]" }))));
    let operator = build(&format!("url = '{url}'"), json());
    let mut out = Output::default();
    operator.apply(call("{}").record, &mut out).unwrap();
    assert_eq!(out.drain().next().unwrap().value.as_deref(), Some(&b"[1]"[..]));
    // A tombstone is no question.
    operator.apply(Record::default(), &mut out).unwrap();
    assert_eq!(out.drain().collect::<Vec<_>>(), [Record::default()]);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refused = |toml: &str| {
        let error = Http::build(toml.parse().unwrap(), json()).err().unwrap();
        format!("{}: {}", error.key.as_deref().unwrap_or_default(), error.reason)
    };
    assert_eq!(refused(""), ": `url` is missing");
    assert_eq!(
        refused("url = 'ftp://x'"),
        "url: it must begin with `http://` or `https://`, and name a host"
    );
    let with = |toml: &str| refused(&format!("url = 'http://x'\n{toml}"));
    assert_eq!(with("retry = ['600']"), "retry: `600` is no status; write it as \"404\" or \"5xx\"");
    assert_eq!(with("drop = ['503']"), "drop: `503` is in `retry` too");
    assert_eq!(with("drop = ['4xxx']"), "drop: `4xxx` is no status; write it as \"404\" or \"5xx\"");
    assert_eq!(with("method = 'GET'"), "method: it must be \"POST\", \"PUT\" or \"PATCH\"");
    assert_eq!(with("concurrency = 0"), "concurrency: it must be 1 to 10,000");
    assert_eq!(with("timeout = '5'"), "timeout: 5 is no time above 0; write it as \"10 s\" or \"100 ms\"");
    assert_eq!(with("path = 'valeu'").split(':').next(), Some("path"));
    assert_eq!(with("headers.'a b' = '1'"), "headers.a b: it is no name of a header");
}
