//! Writes answers: as text, or as JSON.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::{Map, Value, json};

use super::{
    Problem, Served,
    headers::Form,
    large::{self, Wanted},
};
use crate::gateway::{Answered, Question, Reply};

/// A body is written in pieces of this many bytes, so that compressing one does not occupy a thread for long.
const PIECE: usize = 64 << 10;
/// A larger value is decoded off the threads that wait for input and output.
const SMALL: usize = 16 << 10;

/// The result as text, or as bytes where it is no number.
///
/// # Errors
/// Why there is no result, or why it cannot be read.
pub async fn text(served: &Served, answered: &Answered) -> Result<Bytes, Problem> {
    let reply = answered.answer.outcome.clone().map_err(|failure| Problem::of(&failure))?;
    if let Some(manifest) = &reply.pieces {
        return Err(Problem::too_large(format!(
            "the result has {} bytes: ask for it alone, with GET",
            manifest.bytes
        )));
    }
    let values = served.route.values.clone();
    let at_once = values.answers_by_slicing();
    let read = move |reply: Arc<Reply>| values.answer(&reply.value);
    let answer = if at_once || reply.value.len() <= SMALL {
        read(reply)
    } else {
        let answer = tokio::task::spawn_blocking(move || read(reply)).await;
        answer.map_err(|_| Problem::bad_result("decoding it failed"))?
    };
    answer.map_err(|error| Problem::bad_result(error.to_string()))
}

/// The answer in the form that the client prefers.
pub async fn respond(served: &Served, answered: &Answered, wanted: &Wanted<'_>) -> Response {
    let form = Form::of(wanted.headers);
    let manifest = answered.answer.outcome.as_ref().ok().and_then(|reply| reply.pieces.as_ref());
    if let (Some(manifest), Form::Text) = (manifest, form) {
        return large::respond(served, answered, manifest, wanted, about(answered)).await;
    }
    let text = match manifest {
        // Nobody wants it as one string in a document; the document says where it is.
        Some(_) => Bytes::new(),
        None => match text(served, answered).await {
            Ok(text) => text,
            Err(problem) => return problem.into_response(),
        },
    };
    let mut headers = about(answered);
    let (kind, body) = match form {
        Form::Json => ("application/json", Bytes::from(document(served, answered, &text).to_string())),
        Form::Text => (served.route.values.content_type(), text),
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    (headers, in_pieces(body)).into_response()
}

/// What the headers of every answer say.
fn about(answered: &Answered) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::SERVER, HeaderValue::from_static("pipeline"));
    if let Ok(timing) = timing(answered).parse() {
        headers.insert("server-timing", timing);
    }
    headers
}

fn in_pieces(body: Bytes) -> Body {
    if body.len() <= PIECE {
        return body.into();
    }
    let pieces = stream::unfold(body, |mut rest| async move {
        let piece = rest.split_to(rest.len().min(PIECE));
        (!piece.is_empty()).then_some((Ok::<_, Infallible>(piece), rest))
    });
    // The compression polls once more after the end.
    Body::from_stream(pieces.fuse())
}

/// All that is known of an answer, as JSON.
pub fn document(served: &Served, answered: &Answered, text: &Bytes) -> Value {
    let answer = &answered.answer;
    let mut document = question_fields(&answer.question);
    let name = if matches!(answer.question, Question::Number(_)) { "digits" } else { "result" };
    match answer.outcome.as_ref().ok().and_then(|reply| reply.pieces.as_ref()) {
        Some(manifest) => document.insert("pieces".to_owned(), json!(manifest)),
        None => document.insert(name.to_owned(), json!(String::from_utf8_lossy(text))),
    };
    document.insert("topic".to_owned(), json!(served.route.result.topic));
    if let Ok(reply) = &answer.outcome {
        document.insert("partition".to_owned(), json!(reply.partition));
        document.insert("offset".to_owned(), json!(reply.offset));
        document.insert("worker".to_owned(), json!(reply.worker));
    }
    let place = answer.place.map(|(partition, offset)| {
        json!({ "topic": served.route.request.topic, "partition": partition, "offset": offset })
    });
    document.insert("request".to_owned(), json!(place));
    document.insert("known".to_owned(), json!(answered.known));
    let times = json!({
        "acknowledged_seconds": answer.acknowledged.map(|took| took.as_secs_f64()),
        "total_seconds": answer.total.as_secs_f64(),
    });
    document.insert("times".to_owned(), times);
    Value::Object(document)
}

/// The fields of a document that say what was asked.
pub fn question_fields(question: &Question) -> Map<String, Value> {
    let (name, value) = match question {
        Question::Number(n) => ("n", json!(n)),
        Question::Value(value) => ("value", json!(String::from_utf8_lossy(value))),
    };
    Map::from_iter([(name.to_owned(), value)])
}

/// The header `Server-Timing`, which browsers show beside the request.
fn timing(answered: &Answered) -> String {
    let millis = |took: Duration| took.as_secs_f64() * 1e3;
    let total = format!("total;dur={:.3}", millis(answered.answer.total));
    match answered.answer.acknowledged {
        Some(acknowledged) => format!("ack;dur={:.3}, {total}", millis(acknowledged)),
        None => total,
    }
}
