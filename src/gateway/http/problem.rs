//! Errors as RFC 9457 problem documents.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::questions::Refusal;
use crate::gateway::Failure;

/// Why there is no answer, as RFC 9457 writes it: `application/problem+json`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    status: StatusCode,
    /// The last part of its type: `urn:pipeline:problem:…`.
    kind: &'static str,
    title: &'static str,
    detail: String,
    /// The class of the dead letter, where it is one.
    class: Option<String>,
    /// The seconds after which the client may try again, where that can help.
    retry_after: Option<u64>,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Problem { status, kind, title, detail: detail.into(), class: None, retry_after: None }
    }

    fn retry_after(self, seconds: u64) -> Self {
        Problem { retry_after: Some(seconds), ..self }
    }

    /// 404: no route has this path.
    pub fn not_found() -> Self {
        Problem::new(StatusCode::NOT_FOUND, "not-found", "Not found", "no route has this path")
    }

    /// 404: there is no such state, or nothing under the key.
    pub fn no_state(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// 405: the path does not have this method.
    pub fn method_not_allowed() -> Self {
        let (status, title) = (StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed");
        Problem::new(status, "method-not-allowed", title, "this path has no such method")
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, "bad-request", "The request cannot be understood", detail)
    }

    /// 400: the question is not a number, and the route takes numbers.
    pub fn not_a_number(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, "not-a-number", "It is not a number", detail)
    }

    /// 413: the number, the body or the list is too large.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "It is too large", detail)
    }

    /// 415: the body is not declared as JSON.
    pub fn not_json() -> Self {
        let (status, title) = (StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is not JSON");
        Problem::new(status, "not-json", title, "send it as application/json")
    }

    /// 401: the token is missing or wrong.
    pub fn unauthorized() -> Self {
        let detail = "send the token: Authorization: Bearer …";
        Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "The token is missing or wrong", detail)
    }

    /// 408: the client took too long to send its request.
    pub fn slow() -> Self {
        let (status, title) = (StatusCode::REQUEST_TIMEOUT, "The request took too long to arrive");
        Problem::new(status, "slow", title, "its body did not come in time")
    }

    /// 404: no answer is kept under this ticket.
    pub fn no_ticket() -> Self {
        let detail = "no answer is kept here: it was never asked for at this gateway, or is too old";
        Problem::new(StatusCode::NOT_FOUND, "no-ticket", "Nothing is kept here", detail)
    }

    /// 429: as many requests are waiting as may.
    pub fn too_many() -> Self {
        let detail = "the gateway has as many requests waiting as it takes";
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many", "Too many requests", detail).retry_after(1)
    }

    /// 503: the gateway cannot answer now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        let (status, title) = (StatusCode::SERVICE_UNAVAILABLE, "The gateway cannot answer now");
        Problem::new(status, "unavailable", title, detail).retry_after(1)
    }

    /// 503: it cannot be read or written at the brokers what is wanted of the workers.
    pub fn no_control(detail: impl Into<String>) -> Self {
        let (status, title) = (StatusCode::SERVICE_UNAVAILABLE, "The brokers do not say or take it");
        Problem::new(status, "no-control", title, detail).retry_after(1)
    }

    /// 403: whoever reaches this gateway may not see what others have sent.
    pub fn letters_off(how: &str) -> Self {
        let (status, title) = (StatusCode::FORBIDDEN, "Dead letters are not shown");
        let detail = format!("this gateway listens beyond its machine, and has no token. {how}");
        Problem::new(status, "dead-letters-off", title, detail)
    }

    /// 403: the file does not allow replays of this route.
    pub fn replay_off(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::FORBIDDEN, "replay-off", "Replays are off", detail)
    }

    /// 409: a replay is under way.
    pub fn replay_under_way() -> Self {
        let detail = "this gateway replays or counts dead letters already: GET /dead-letters/replay says how far it is";
        Problem::new(StatusCode::CONFLICT, "replay-under-way", "One replay at a time", detail).retry_after(1)
    }

    /// 502: the result came, and cannot be read.
    pub fn bad_result(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_GATEWAY, "bad-result", "The result cannot be read", detail)
    }

    /// The problem that a failure is for the client.
    pub fn of(failure: &Failure) -> Self {
        match failure {
            Failure::DeadLetter { class, message } => {
                let (status, title) = (StatusCode::UNPROCESSABLE_ENTITY, "It cannot be computed");
                let problem = Problem::new(status, "dead-letter", title, message);
                Problem { class: Some(class.clone()), ..problem }
            }
            Failure::TimedOut => {
                let detail = "no result came in time: are workers running, and are they fast enough?";
                Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "No result came in time", detail)
            }
            Failure::NotProduced(_) | Failure::Stopping => Problem::unavailable(failure.to_string()),
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The JSON body (RFC 9457, section 3).
    pub fn document(&self) -> Value {
        let mut document = json!({
            "type": format!("urn:pipeline:problem:{}", self.kind),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(class) = &self.class {
            document["class"] = json!(class);
        }
        document
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::NotANumber(_) => Problem::not_a_number(detail),
            Refusal::TooLarge(_) | Refusal::TooMany { .. } => Problem::too_large(detail),
            Refusal::NoList => Problem::bad_request(detail),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (self.status, self.document().to_string()).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
