//! A target over HTTP.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request as HttpRequest,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::runtime::Handle;

use crate::{
    config::Properties,
    load::{Answer, Book, PlannedRequest, Reading, Target},
    record::CORRELATION_ID,
};

const ID: HeaderName = HeaderName::from_static(CORRELATION_ID);

type HttpClient = Client<HttpConnector, Empty<Bytes>>;

/// Sends each request as a `GET`, on a connection that no other request uses meanwhile; it opens as many as
/// it needs.
pub struct HttpTarget {
    client: HttpClient,
    url: String,
    headers: HeaderMap,
    runtime: Handle,
    book: Arc<Book>,
}

impl HttpTarget {
    /// A target at an address in which `{n}` stands for the number. Needs a tokio runtime, which sends.
    pub fn new(url: &str, headers: &Properties, book: Arc<Book>) -> Self {
        allow_many_connections();
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let headers = headers.iter().filter_map(|(name, value)| {
            // Invalid ones were refused when the script was read.
            Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(&value.value).ok()?))
        });
        HttpTarget {
            client: Client::builder(TokioExecutor::new()).build(connector),
            url: url.to_owned(),
            headers: headers.collect(),
            runtime: Handle::current(),
            book,
        }
    }
}

/// Raises the limit of open files to the most that the process may have; often it starts at 1,024.
fn allow_many_connections() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a pointer to a live value of the type that they expect.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            // Where that is refused, connections beyond the limit fail with an error that says so.
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

impl Target for HttpTarget {
    fn send(&self, request: PlannedRequest) -> Result<(), String> {
        let mut http = HttpRequest::get(self.url.replace("{n}", &request.n.to_string()))
            .body(Empty::new())
            .map_err(|error| format!("not sent: {error}"))?;
        *http.headers_mut() = self.headers.clone();
        if let Ok(id) = HeaderValue::try_from(self.book.run().id(request.number)) {
            http.headers_mut().insert(ID, id);
        }
        let (client, book) = (self.client.clone(), self.book.clone());
        let deadline = (request.planned + book.timeout()).into();
        self.runtime.spawn(async move {
            match tokio::time::timeout_at(deadline, ask(&client, http)).await {
                Ok(answer) => answer.report(&book, request.number),
                // The connection is closed with the request, so no answer can come late.
                Err(_) => book.timed_out(request.number, Instant::now()),
            }
        });
        Ok(())
    }

    fn aftermath(&self) -> Duration {
        Duration::ZERO
    }
}

enum HttpAnswer {
    /// What was read, and whether it is nothing but digits.
    Digits(Reading, bool),
    Failed(String),
}

impl HttpAnswer {
    fn report(self, book: &Book, number: u64) {
        let at = Instant::now();
        match self {
            HttpAnswer::Digits(reading, legal) => {
                let digits = reading.fingerprint().filter(|_| legal);
                book.answered(number, Answer::Result { n: None, digits }, at);
            }
            HttpAnswer::Failed(kind) => book.answered(number, Answer::Failed(&kind), at),
        }
    }
}

/// Reads the whole answer, without keeping it.
async fn ask(client: &HttpClient, request: HttpRequest<Empty<Bytes>>) -> HttpAnswer {
    let response = match client.request(request).await {
        Ok(response) => response,
        Err(error) => return HttpAnswer::Failed(kind(&error)),
    };
    let status = response.status();
    let mut body = response.into_body();
    let (mut reading, mut legal, mut ended) = (Reading::default(), true, false);
    while let Some(frame) = body.frame().await {
        match frame.map(|frame| frame.into_data()) {
            Ok(Ok(data)) if status.is_success() => {
                // The digits may end with a newline.
                let digits = data.strip_suffix(b"\n").unwrap_or(&data);
                legal &= !ended && reading.take(digits);
                ended |= digits.len() < data.len();
            }
            Ok(_) => {}
            Err(error) => return HttpAnswer::Failed(kind(&error)),
        }
    }
    if status.is_success() {
        HttpAnswer::Digits(reading, legal)
    } else {
        HttpAnswer::Failed(format!("status {status}"))
    }
}

/// The kind of failure: the innermost cause, which has no address in it.
fn kind(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    match deepest.downcast_ref::<hyper::Error>() {
        Some(error) if error.is_incomplete_message() => {
            "the connection was closed before the answer".to_owned()
        }
        _ => deepest.to_string(),
    }
}
