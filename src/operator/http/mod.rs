//! Asks a service over HTTP: a record's value goes there, and what is answered is the new value.
//!
//! `settings.rs` reads the table, `answer.rs` decides what a status is, `batch.rs` asks about several records at once, and `breaker.rs`
//! spares a service that fails.
//!
//! Knows: expression, format, record, trace, value. Must not know: rdkafka, clap.

mod answer;
mod batch;
mod breaker;
mod settings;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::future::join_all;
use reqwest::{Client, RequestBuilder, Response, Url, header::CONTENT_TYPE};
use tokio::sync::Semaphore;

use self::{
    answer::{Action, Statuses},
    breaker::Breaker,
    settings::Settings,
};
use super::{
    AsyncOperator, Built, Call, Cost, NANOS_OF_A_CHUNK, OperatorError, Output, SettingError,
    error::{CONNECTION, TIMEOUT, quoted},
    evaluate::Input,
    fields,
    outside::{self, bad_answer},
    trouble::Trouble,
};
use crate::{
    expression::Expression,
    format::{Format, Formats},
    record::{Record, classes},
    trace::{Span, TRACEPARENT},
    value::Others,
};

/// What a service has to know a call by, so that it can tell a repetition (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Sends each value to a service, and hands on what it answers. Key, headers and timestamp stay as they are; a tombstone goes on
/// as it came.
pub struct Http {
    client: Client,
    method: reqwest::Method,
    url: Url,
    /// What is added to the path of the URL.
    path: Option<(Expression, Input)>,
    headers: reqwest::header::HeaderMap,
    statuses: Statuses,
    /// The largest answer, in bytes.
    largest: usize,
    /// How many calls may be under way at once, whatever their partitions.
    permits: Semaphore,
    concurrency: usize,
    /// The most records in one call.
    batch: usize,
    breaker: Breaker,
    trouble: Trouble,
    timeout: Duration,
    formats: Formats,
}

impl Http {
    pub(super) fn settings() -> &'static [&'static str] {
        settings::keys()
    }

    pub(super) fn build(table: toml::Table, formats: Formats) -> Built {
        let settings: Settings = super::settings::read(table)?;
        // The first to install one wins; all of this process are the same.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(settings.timeout)
            // So that what cannot be reached is told from what does not answer.
            .connect_timeout(settings.timeout / 2)
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(settings.concurrency)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| SettingError::new(None, format!("no HTTP client can be made: {error}")))?;
        let path = settings.path()?.map(|path| {
            let input = Input::new(&formats, Others::Dropped, [&path]);
            (path, input)
        });
        Ok(Box::new(Http {
            client,
            method: settings.method()?,
            url: settings.url()?,
            path,
            headers: settings.headers()?,
            statuses: settings.statuses()?,
            largest: settings.max_response as usize,
            permits: Semaphore::new(settings.concurrency),
            concurrency: settings.concurrency,
            batch: settings.batch,
            breaker: Breaker::default(),
            trouble: Trouble::default(),
            timeout: settings.timeout,
            formats,
        }))
    }

    /// Where a record is sent.
    fn url(&self, call: &Call) -> Result<Url, OperatorError> {
        let mut url = self.url.clone();
        if let Some((path, input)) = &self.path {
            let mut place = Output::default();
            if let Some((partition, offset)) = &call.place {
                place.set_place(partition, *offset);
            }
            let added = fields::plain(&input.evaluate(path, &call.record, &place)?)?.unwrap_or_default();
            let added = String::from_utf8_lossy(&added);
            url.path_segments_mut()
                .map_err(|()| fatal("the URL takes no path"))?
                .pop_if_empty()
                .extend(added.split('/').filter(|part| !part.is_empty()));
        }
        Ok(url)
    }

    /// What kind of value the service receives.
    fn kind(&self) -> &'static str {
        match &self.formats.input {
            format if format.has_schema() => "application/json",
            Format::Json => "application/json",
            Format::Text | Format::String => "text/plain; charset=utf-8",
            _ => "application/octet-stream",
        }
    }

    /// Asks about one record.
    async fn ask(&self, call: Call) -> Answer {
        let Some(value) = &call.record.value else { return Ok(vec![call.record]) };
        let body = outside::given(&self.formats, value)?;
        let mut request = self.request(self.url(&call)?, self.kind(), body);
        if let Some(id) = call.id() {
            request = request.header(IDEMPOTENCY_KEY, id);
        }
        // A stranger has written it, so it may be anything.
        if let Some(parent) = call.record.headers.get(TRACEPARENT)
            && Span::below(parent, 0).is_some()
        {
            request = request.header(TRACEPARENT, parent);
        }
        match self.exchange(request).await? {
            Some(body) => {
                let value = Some(outside::taken(&self.formats, body, || self.service())?);
                Ok(vec![Record { value, ..call.record }])
            }
            None => Ok(Vec::new()),
        }
    }

    /// A request with what is common to all.
    fn request(&self, url: Url, kind: &'static str, body: Bytes) -> RequestBuilder {
        let request = self.client.request(self.method.clone(), url).headers(self.headers.clone());
        request.header(CONTENT_TYPE, kind).body(body)
    }

    /// What the service answers; `None` where that drops what was asked about.
    async fn exchange(&self, request: RequestBuilder) -> Result<Option<Bytes>, OperatorError> {
        let _permit = self.permits.acquire().await.map_err(|_| fatal("the calls have ended"))?;
        let attempt = self.breaker.enter().await;
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                attempt.failed(None);
                return Err(self.unanswered(&error));
            }
        };
        match self.statuses.action(response.status()) {
            Action::Take => {
                let body = self.read(response).await;
                match body {
                    Err(OperatorError::Passing { .. }) => attempt.failed(None),
                    _ => attempt.succeeded(),
                }
                body.map(Some)
            }
            Action::Drop => {
                attempt.succeeded();
                Ok(None)
            }
            Action::Retry => {
                let (status, after) = (response.status(), answer::retry_after(response.headers()));
                attempt.failed(after);
                let said = self.read(response).await.map(|body| quoted(&body)).unwrap_or_default();
                let message = format!("{} answered {status}{said}", self.service());
                // It has said when it wants to be asked again: that is no failure of this record.
                Err(if after.is_some() {
                    OperatorError::Away { message }
                } else {
                    OperatorError::Passing { failure: answer::failure(status), message }
                })
            }
            Action::Refuse => {
                attempt.succeeded();
                let status = response.status();
                let said = self.read(response).await.map(|body| quoted(&body)).unwrap_or_default();
                Err(OperatorError::BadInput {
                    class: classes::REFUSED_BY_SERVICE,
                    message: format!("{} answered {status}{said}", self.service()),
                })
            }
        }
    }

    /// Reads an answer's body, up to the largest that is taken.
    async fn read(&self, mut response: Response) -> Result<Bytes, OperatorError> {
        let mut body = BytesMut::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > self.largest => {
                    let (service, largest) = (self.service(), self.largest);
                    return Err(bad_answer(format!(
                        "{service} answered more than the {largest} bytes of `max_response`"
                    )));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body.freeze()),
                Err(error) => return Err(self.unanswered(&error)),
            }
        }
    }

    /// Why there is no answer. One that cannot be reached is waited for; anything else counts as an attempt.
    fn unanswered(&self, error: &reqwest::Error) -> OperatorError {
        let message = match error.is_timeout() && !error.is_connect() {
            true => format!("{} did not answer within {:?} (`timeout`)", self.service(), self.timeout),
            false => format!("{} did not answer: {}", self.service(), answer::cause(error)),
        };
        match error.is_connect() {
            true => OperatorError::Away { message },
            false => OperatorError::Passing {
                failure: if error.is_timeout() { TIMEOUT } else { CONNECTION },
                message,
            },
        }
    }

    /// The service's name for people: its URL without what may be secret.
    fn service(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        let _ = (url.set_username(""), url.set_password(None));
        url.to_string()
    }
}

/// What becomes of one record.
type Answer = Result<Vec<Record>, OperatorError>;

#[async_trait]
impl AsyncOperator for Http {
    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn expected(&self, record: &Record) -> Cost {
        let nanos = if self.batch == 1 { u64::MAX } else { NANOS_OF_A_CHUNK / self.batch as u64 };
        Cost { nanos, bytes: record.size() as u64 }
    }

    async fn call(&self, calls: Vec<Call>) -> Vec<Answer> {
        let answers = match self.batch {
            // One, unless the engine puts several into a chunk.
            1 => join_all(calls.into_iter().map(|call| self.ask(call))).await,
            batch => {
                let batches = calls.chunks(batch).map(|calls| self.ask_all(calls));
                join_all(batches).await.into_iter().flatten().collect()
            }
        };
        for answer in &answers {
            match answer {
                Err(OperatorError::Passing { message, .. } | OperatorError::Away { message }) => {
                    self.trouble.failed(message)
                }
                _ => self.trouble.ended(),
            }
        }
        answers
    }
}

fn fatal(message: &str) -> OperatorError {
    OperatorError::Fatal { message: message.to_owned() }
}
