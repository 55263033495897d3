//! Answers as they are written.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::{Map, Value, json};

use super::{Problem, Served, headers::Form};
use crate::{
    config::Values,
    format::Format,
    gateway::{Question, Reply, Told},
};

/// A body is written in pieces of so many bytes: compressing one takes no thread away for long.
const PIECE: usize = 64 << 10;
/// A value that is larger is decoded off the threads that wait for input and output.
const SMALL: usize = 16 << 10;

/// What was asked for, and the result as text.
pub async fn text(served: &Served, told: &Told) -> Result<Bytes, Problem> {
    let reply = told.answer.outcome.clone().map_err(|failure| Problem::of(&failure))?;
    let Values::Numbers { result, .. } = served.route.values else { return Ok(reply.value.clone()) };
    if result == Format::Text {
        // What was found to be a result has a separator.
        let start = reply.value.iter().position(|byte| *byte == b';').map_or(0, |at| at + 1);
        return Ok(reply.value.slice(start..));
    }
    let decode = move |reply: Arc<Reply>| result.decode_result(&reply.value);
    let decoded = if reply.value.len() <= SMALL {
        decode(reply)
    } else {
        let decoded = tokio::task::spawn_blocking(move || decode(reply)).await;
        decoded.map_err(|_| Problem::bad_result("decoding it failed"))?
    };
    decoded.map(|(_, digits)| digits.into()).map_err(|error| Problem::bad_result(error.to_string()))
}

/// The answer in the form that the client would like.
pub async fn respond(served: &Served, told: &Told, form: Form) -> Response {
    let text = match text(served, told).await {
        Ok(text) => text,
        Err(problem) => return problem.into_response(),
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::SERVER, HeaderValue::from_static("pipeline"));
    if let Ok(timing) = timing(told).parse() {
        headers.insert("server-timing", timing);
    }
    let (kind, body) = match (form, served.route.values) {
        (Form::Json, _) => ("application/json", Bytes::from(document(served, told, &text).to_string())),
        (Form::Text, Values::Numbers { .. }) => ("text/plain; charset=utf-8", text),
        (Form::Text, Values::Bytes) => ("application/octet-stream", text),
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    (headers, in_pieces(body)).into_response()
}

fn in_pieces(body: Bytes) -> Body {
    if body.len() <= PIECE {
        return body.into();
    }
    let pieces = stream::unfold(body, |mut rest| async move {
        let piece = rest.split_to(rest.len().min(PIECE));
        (!piece.is_empty()).then_some((Ok::<_, Infallible>(piece), rest))
    });
    // Whoever compresses it polls once more after its end.
    Body::from_stream(pieces.fuse())
}

/// All that is known of an answer.
pub fn document(served: &Served, told: &Told, text: &Bytes) -> Value {
    let answer = &told.answer;
    let mut document = asked(&answer.question);
    let name = if matches!(answer.question, Question::Number(_)) { "digits" } else { "result" };
    document.insert(name.to_owned(), json!(String::from_utf8_lossy(text)));
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
    document.insert("known".to_owned(), json!(told.known));
    let times = json!({
        "acknowledged_seconds": answer.acknowledged.map(|took| took.as_secs_f64()),
        "total_seconds": answer.total.as_secs_f64(),
    });
    document.insert("times".to_owned(), times);
    Value::Object(document)
}

/// What was asked for, as the beginning of a document.
pub fn asked(question: &Question) -> Map<String, Value> {
    let (name, value) = match question {
        Question::Number(n) => ("n", json!(n)),
        Question::Value(value) => ("value", json!(String::from_utf8_lossy(value))),
    };
    Map::from_iter([(name.to_owned(), value)])
}

/// `Server-Timing`, which browsers show beside the request.
fn timing(told: &Told) -> String {
    let millis = |took: Duration| took.as_secs_f64() * 1e3;
    let total = format!("total;dur={:.3}", millis(told.answer.total));
    match told.answer.acknowledged {
        Some(acknowledged) => format!("ack;dur={:.3}, {total}", millis(acknowledged)),
        None => total,
    }
}
