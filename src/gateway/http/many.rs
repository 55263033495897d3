//! Many questions at once, each answered as its answer arrives: server-sent events.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use super::{
    Problem, Served,
    accept::Prefer,
    answer::{asked, document, text},
    ask::trace,
};
use crate::gateway::{Answer, Asked, Failure, Question, Told, Wish};

/// How many of one client's questions are asked at once: the others wait for their turn, and so does whoever reads
/// slowly.
const AT_ONCE: usize = 64;
/// How often something is sent while no answer comes, so that nobody in between hangs up.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// `POST /factorial` with `[1, 2, 3]` or `{"n": [1, 2, 3]}`.
pub async fn many(State(served): State<Arc<Served>>, headers: HeaderMap, body: Bytes) -> Response {
    let since = Instant::now();
    let questions = match is_json(&headers).and_then(|()| served.questions(&body)) {
        Ok(questions) => questions,
        Err(problem) => return problem.into_response(),
    };
    if let Err(problem) = served.may_ask() {
        return problem.into_response();
    }
    // Only to see whether there is any at all: each waits for its own.
    if served.asker.room().is_none() {
        return Problem::too_many().into_response();
    }
    let deadline = since + served.wait(Prefer::of(&headers));
    let answers = stream::iter(questions)
        .map(move |question| {
            let served = served.clone();
            // Each is a span of its own.
            let wish = Wish { question, since, deadline, trace: trace(&headers) };
            async move { event(&served, ask(&served, wish).await).await }
        })
        .buffer_unordered(AT_ONCE)
        .chain(stream::once(async { Event::default().event("end").data("{}") }))
        .map(Ok::<_, Infallible>);
    Sse::new(answers).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

/// A form on somebody else's page cannot send this without asking first.
fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(Problem::not_json()) }
}

async fn ask(served: &Served, wish: Wish) -> Told {
    let room = tokio::time::timeout_at(wish.deadline.into(), served.asker.wait_for_room()).await;
    let failure = match room {
        Ok(Some(room)) => return served.asker.ask(room, wish).await,
        Ok(None) => Failure::Stopping,
        Err(_) => Failure::TimedOut,
    };
    let answer = Answer {
        asked: Asked(0),
        question: wish.question,
        acknowledged: None,
        place: None,
        total: wish.since.elapsed(),
        outcome: Err(failure),
    };
    Told { answer, known: false }
}

async fn event(served: &Served, told: Told) -> Event {
    match text(served, &told).await {
        Ok(text) => Event::default().event("result").data(document(served, &told, &text).to_string()),
        Err(problem) => {
            let mut document = asked(&told.answer.question);
            document.insert("problem".to_owned(), problem.document());
            Event::default().event("problem").data(Value::Object(document).to_string())
        }
    }
}

impl Served {
    fn questions(&self, body: &[u8]) -> Result<Vec<Question>, Problem> {
        let help = || Problem::bad_request("send [1, 2, 3] or {\"n\": [1, 2, 3]}");
        let body: Value = serde_json::from_slice(body).map_err(|_| help())?;
        let values = match &body {
            Value::Array(values) => values,
            Value::Object(fields) => fields.get("n").and_then(Value::as_array).ok_or_else(help)?,
            _ => return Err(help()),
        };
        if values.len() > self.batch {
            let detail = format!("{} at once are more than {}", values.len(), self.batch);
            return Err(Problem::too_large(detail));
        }
        values
            .iter()
            .map(|value| match value {
                Value::String(value) => self.question(value),
                value => self.question(&json!(value).to_string()),
            })
            .collect()
    }
}
