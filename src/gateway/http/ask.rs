//! One question, one answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use super::{
    Problem, Served,
    accept::{Form, Prefer},
    answer::respond,
};
use crate::{config::Values, gateway::Question};

/// `GET /factorial/10000`.
pub async fn one(
    State(served): State<Arc<Served>>,
    Path(value): Path<String>,
    headers: HeaderMap,
) -> Response {
    let since = Instant::now();
    let (prefer, form) = (Prefer::of(&headers), Form::of(&headers));
    let room = match served.question(&value).and_then(|question| Ok((question, served.may_ask()?))) {
        Ok((question, ())) => match served.asker.room() {
            Some(room) => (question, room),
            None => return Problem::too_many().into_response(),
        },
        Err(problem) => return problem.into_response(),
    };
    let (question, room) = room;
    let told = served.asker.ask(room, question, since, since + served.wait(prefer)).await;
    respond(&served, &told, form).await
}

impl Served {
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
