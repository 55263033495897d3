//! One question, one answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use super::{
    Problem, Served,
    accept::{Form, Prefer},
    answer::respond,
    later::Later,
};
use crate::{
    config::Values,
    gateway::{Question, Room, Trace, Wish},
    trace::{TRACEPARENT, TRACESTATE},
};

/// `GET /factorial/10000`.
pub async fn one(
    State((served, later)): State<(Arc<Served>, Arc<Later>)>,
    value: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let since = Instant::now();
    let value = value.map_err(|_| Problem::bad_request("what is asked for is not UTF-8"));
    match value.and_then(|Path(value)| served.begin(&value)) {
        Ok((question, room)) => {
            let prefer = Prefer::of(&headers);
            let wait = if prefer.respond_async { served.timeout } else { served.wait(prefer) };
            let wish = Wish { question, since, deadline: since + wait, trace: trace(&headers) };
            if prefer.respond_async {
                return later.ask(served, room, wish);
            }
            let told = served.asker.ask(room, wish).await;
            respond(&served, &told, Form::of(&headers)).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// The trace that whoever asks names.
pub fn trace(headers: &HeaderMap) -> Option<Trace> {
    let parent = headers.get(TRACEPARENT)?;
    Trace::below(parent.as_bytes(), headers.get(TRACESTATE).and_then(|state| state.to_str().ok()))
}

impl Served {
    fn begin(&self, value: &str) -> Result<(Question, Room), Problem> {
        let question = self.question(value)?;
        self.may_ask()?;
        Ok((question, self.asker.room().ok_or_else(Problem::too_many)?))
    }

    /// What a path or a body asks for.
    ///
    /// # Errors
    /// Where it is no such thing, or too large a one.
    pub fn question(&self, value: &str) -> Result<Question, Problem> {
        let Values::Numbers { max, .. } = self.route.values else {
            return Ok(Question::Value(value.to_owned().into()));
        };
        if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
            let shown: String = value.chars().take(40).collect();
            return Err(Problem::not_a_number(format!("\"{}\" is not a whole number", shown.escape_debug())));
        }
        match value.parse() {
            Ok(n) if n <= max => Ok(Question::Number(n)),
            _ => Err(Problem::too_large(format!("n is above `max_n`, which is {max}"))),
        }
    }

    /// Whether anything can be asked.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn may_ask(&self) -> Result<(), Problem> {
        self.asker.status().trouble().map_or(Ok(()), |trouble| Err(Problem::unavailable(trouble)))
    }

    /// How long an answer is waited for.
    pub fn wait(&self, prefer: Prefer) -> Duration {
        prefer.wait.map_or(self.timeout, |wait| wait.min(self.timeout))
    }
}
