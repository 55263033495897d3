//! The same over HTTP, for those with the token.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use humantime::format_rfc3339_seconds;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use super::{Change, Rate, Wanted};
use crate::{
    config::ControlSettings,
    gateway::http::{Problem, guarded},
    http::{ConnectionLimits, serve},
};

/// The most bytes of a body, and how long a client may take to send it.
const BODY: usize = 1 << 10;
const PATIENCE: Duration = Duration::from_secs(10);

/// Changes what is wanted, or asks what is. Blocks.
type Ask = dyn Fn(Option<Change>) -> Result<Wanted, String> + Send + Sync;

struct Control {
    pipeline: String,
    ask: Box<Ask>,
    /// One asks the brokers at a time.
    room: Arc<Semaphore>,
}

/// What a client sends to `/rate`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    rate: Value,
}

/// Serves a pipeline's control at the address of its file until `stop` is cancelled. Returns where that is.
///
/// # Errors
/// A sentence that says why nothing can be served there.
pub async fn listen(
    pipeline: &str,
    settings: &ControlSettings,
    ask: impl Fn(Option<Change>) -> Result<Wanted, String> + Send + Sync + 'static,
    stop: CancellationToken,
) -> Result<SocketAddr, String> {
    let failed = |error| {
        let address = settings.listen;
        format!(
            "the control of {pipeline} cannot be served at {address}: {error}; name another address by control.listen"
        )
    };
    let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let room = Arc::new(Semaphore::new(1));
    let control = Arc::new(Control { pipeline: pipeline.to_owned(), ask: Box::new(ask), room });
    let router = Router::new()
        .route("/", get(async |State(control): State<Arc<Control>>| control.answer(None).await))
        .route(
            "/pause",
            post(async |State(control): State<Arc<Control>>| control.answer(Some(Change::Pause)).await),
        )
        .route(
            "/resume",
            post(async |State(control): State<Arc<Control>>| control.answer(Some(Change::Resume)).await),
        )
        .route("/rate", post(rate))
        .with_state(control);
    let router = guarded(router, settings.token.clone(), BODY, PATIENCE);
    tokio::spawn(serve(listener, None, router, ConnectionLimits::OF_METRICS, stop, Duration::ZERO));
    Ok(address)
}

async fn rate(State(control): State<Arc<Control>>, body: Bytes) -> Response {
    match wished(&body) {
        Ok(rate) => control.answer(Some(Change::Rate(rate))).await,
        Err(sentence) => Problem::bad_request(sentence).into_response(),
    }
}

/// The rate in a body.
fn wished(body: &[u8]) -> Result<Rate, String> {
    let wish: Wish = serde_json::from_slice(body).map_err(|error| {
        format!("send {{\"rate\": 500}}, or \"none\" or \"file\" in the number's place: {error}")
    })?;
    match wish.rate {
        Value::String(word) => word.parse(),
        other => other.to_string().parse(),
    }
}

impl Control {
    async fn answer(self: Arc<Self>, change: Option<Change>) -> Response {
        // It is never closed.
        let Ok(permit) = self.room.clone().acquire_owned().await else {
            return Problem::no_control("this worker is stopping").into_response();
        };
        // A client that goes away does not make room for another one before the brokers have answered.
        let asked = tokio::task::spawn_blocking(move || {
            let answer = (self.ask)(change);
            drop(permit);
            answer.map(|wanted| document(&self.pipeline, &wanted))
        });
        match asked.await.map_err(|error| error.to_string()).and_then(|answer| answer) {
            Ok(document) => (StatusCode::OK, [(CONTENT_TYPE, "application/json")], format!("{document}\n"))
                .into_response(),
            Err(trouble) => Problem::no_control(trouble).into_response(),
        }
    }
}

/// What is wanted, as JSON.
fn document(pipeline: &str, wanted: &Wanted) -> Value {
    let rate = match wanted.rate {
        Rate::At(rate) => json!(rate),
        word => json!(word.to_string()),
    };
    let since = wanted.paused().map(|since| format_rfc3339_seconds(since).to_string());
    json!({ "pipeline": pipeline, "paused": since.is_some(), "paused_since": since, "rate": rate })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_or_one_of_two_words() {
        for (body, rate) in [
            (r#"{"rate": 500}"#, Rate::At(500)),
            (r#"{"rate": "none"}"#, Rate::Unlimited),
            (r#"{"rate": "file"}"#, Rate::File),
        ] {
            assert_eq!(wished(body.as_bytes()), Ok(rate));
        }
        for body in
            ["", "500", "{}", r#"{"rate": 0}"#, r#"{"rate": -1}"#, r#"{"rate": 1.5}"#, r#"{"rate": null}"#]
        {
            assert!(wished(body.as_bytes()).is_err(), "{body}");
        }
        assert!(wished(br#"{"rate": 1, "more": 2}"#).unwrap_err().contains("unknown field `more`"));
    }
}
