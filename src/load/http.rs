//! Asks over HTTP.

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
    load::{Answer, Book, Reading, Request, Target},
    record::CORRELATION_ID,
};

const ID: HeaderName = HeaderName::from_static(CORRELATION_ID);

type HttpClient = Client<HttpConnector, Empty<Bytes>>;

/// Asks by `GET`, each request on a connection that nobody else uses meanwhile; there are as many as are needed.
pub struct HttpTarget {
    client: HttpClient,
    url: String,
    headers: HeaderMap,
    runtime: Handle,
    book: Arc<Book>,
}

impl HttpTarget {
    /// Asks at that address, in which `{n}` stands for the number. Within a tokio runtime, which sends.
    pub fn new(url: &str, headers: &Properties, book: Arc<Book>) -> Self {
        allow_many_connections();
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let headers = headers.iter().filter_map(|(name, value)| {
            // What is none was refused when the script was read.
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

/// A process may have as many files open as it is allowed to ask for; often it starts with 1,024.
fn allow_many_connections() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a pointer to a live value of the type that they expect.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            // Where it is refused, connections beyond the limit are errors that say so.
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

impl Target for HttpTarget {
    fn send(&self, request: Request) -> Result<(), String> {
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
                Ok(answered) => answered.tell(&book, request.number),
                // The connection is closed with the request, so nothing can come late.
                Err(_) => book.timed_out(request.number, Instant::now()),
            }
        });
        Ok(())
    }

    fn aftermath(&self) -> Duration {
        Duration::ZERO
    }
}

enum Answered {
    Digits(Reading, bool),
    Failed(String),
}

impl Answered {
    fn tell(self, book: &Book, number: u64) {
        let at = Instant::now();
        match self {
            Answered::Digits(reading, legal) => {
                let digits = reading.fingerprint().filter(|_| legal);
                book.answered(number, Answer::Result { n: None, digits }, at);
            }
            Answered::Failed(kind) => book.answered(number, Answer::Failed(&kind), at),
        }
    }
}

/// Reads the answer to its end, and keeps nothing of it.
async fn ask(client: &HttpClient, request: HttpRequest<Empty<Bytes>>) -> Answered {
    let response = match client.request(request).await {
        Ok(response) => response,
        Err(error) => return Answered::Failed(kind(&error)),
    };
    let status = response.status();
    let mut body = response.into_body();
    let (mut reading, mut legal, mut ended) = (Reading::default(), true, false);
    while let Some(frame) = body.frame().await {
        match frame.map(|frame| frame.into_data()) {
            Ok(Ok(data)) if status.is_success() => {
                // A line may end as lines do.
                let digits = data.strip_suffix(b"\n").unwrap_or(&data);
                legal &= !ended && reading.take(digits);
                ended |= digits.len() < data.len();
            }
            Ok(_) => {}
            Err(error) => return Answered::Failed(kind(&error)),
        }
    }
    if status.is_success() {
        Answered::Digits(reading, legal)
    } else {
        Answered::Failed(format!("status {status}"))
    }
}

/// The kind of failure: the deepest reason, which names no address.
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
