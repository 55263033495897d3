//! Many questions at once, each answered as its answer arrives: server-sent events.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Bytes,
    extract::State,
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{StreamExt, stream};
use serde_json::Value;

use super::{
    Problem, Served,
    answer::{asked, document, text},
    headers::{Prefer, is_json, trace},
    questions::questions,
};
use crate::gateway::{Answer, Asked, Failure, Told, Wish};

/// How many of one client's questions are asked at once: the others wait for their turn, and so does a client that reads
/// slowly.
const AT_ONCE: usize = 64;
/// How often something is sent while no answer comes, so that nobody in between hangs up.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// `POST /factorial` with `[1, 2, 3]` or `{"n": [1, 2, 3]}`.
pub async fn many(State(served): State<Arc<Served>>, headers: HeaderMap, body: Bytes) -> Response {
    let since = Instant::now();
    if !is_json(&headers) {
        return Problem::not_json().into_response();
    }
    let questions = match questions(&body, served.max(), served.batch) {
        Ok(questions) => questions,
        Err(refusal) => return Problem::from(refusal).into_response(),
    };
    if let Err(problem) = served.may_ask() {
        return problem.into_response();
    }
    // Only to see whether there is any at all: each waits for its own.
    if served.asker.room().is_none() {
        return Problem::too_many().into_response();
    }
    let deadline = since + Prefer::of(&headers).within(served.timeout);
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
