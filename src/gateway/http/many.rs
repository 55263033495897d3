//! `POST`: many questions at once, each answered as its result arrives, by server-sent events.

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
    answer::{document, question_fields, text},
    headers::{Prefer, is_json, trace},
    questions::questions,
};
use crate::gateway::{Answer, Answered, CallerId, Failure, Wish};

/// How many of one client's questions are asked at once. The others wait for their turn, so a client that
/// reads slowly slows down itself alone.
const AT_ONCE: usize = 64;
/// How often something is sent while no answer comes, so that no proxy on the way hangs up.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Answers `POST /factorial` with `[1, 2, 3]` or `{"n": [1, 2, 3]}`.
pub async fn many(State(served): State<Arc<Served>>, headers: HeaderMap, body: Bytes) -> Response {
    let since = Instant::now();
    if !is_json(&headers) {
        return Problem::not_json().into_response();
    }
    let questions = match questions(&body, served.route.values.max(), served.batch) {
        Ok(questions) => questions,
        Err(refusal) => return Problem::from(refusal).into_response(),
    };
    if let Err(problem) = served.may_ask() {
        return problem.into_response();
    }
    // Only to see whether there is a permit at all: each question waits for its own.
    if served.desk.permit().is_none() {
        return Problem::too_many().into_response();
    }
    let deadline = since + Prefer::of(&headers).within(served.timeout);
    let answers = stream::iter(questions)
        .map(move |question| {
            let served = served.clone();
            // Each question is a span of its own.
            let wish = Wish { question, since, deadline, trace: trace(&headers) };
            async move { event(&served, ask(&served, wish).await).await }
        })
        .buffer_unordered(AT_ONCE)
        .chain(stream::once(async { Event::default().event("end").data("{}") }))
        .map(Ok::<_, Infallible>);
    Sse::new(answers).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

async fn ask(served: &Served, wish: Wish) -> Answered {
    let permit = tokio::time::timeout_at(wish.deadline.into(), served.desk.wait_for_permit()).await;
    let failure = match permit {
        Ok(Some(permit)) => return served.desk.ask(permit, wish).await,
        Ok(None) => Failure::Stopping,
        Err(_) => Failure::TimedOut,
    };
    let answer = Answer {
        caller: CallerId(0),
        question: wish.question,
        acknowledged: None,
        place: None,
        total: wish.since.elapsed(),
        outcome: Err(failure),
    };
    Answered { answer, known: false }
}

async fn event(served: &Served, answered: Answered) -> Event {
    match text(served, &answered).await {
        Ok(text) => Event::default().event("result").data(document(served, &answered, &text).to_string()),
        Err(problem) => {
            let mut document = question_fields(&answered.answer.question);
            document.insert("problem".to_owned(), problem.document());
            Event::default().event("problem").data(Value::Object(document).to_string())
        }
    }
}
