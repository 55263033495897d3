//! `GET`: one question, one answer.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, Method},
    response::{IntoResponse, Response},
};

use super::{
    Problem, Served,
    answer::respond,
    headers::{Prefer, trace},
    large::Wanted,
    later::Later,
    questions::question,
};
use crate::gateway::{Permit, Question, Wish};

/// Answers `GET /factorial/10000`.
pub async fn one(
    State((served, later)): State<(Arc<Served>, Arc<Later>)>,
    method: Method,
    value: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let since = Instant::now();
    let value = value.map_err(|_| Problem::bad_request("what is asked for is not UTF-8"));
    match value.and_then(|Path(value)| served.begin(&value)) {
        Ok((question, permit)) => {
            let prefer = Prefer::of(&headers);
            let wait = if prefer.respond_async { served.timeout } else { prefer.within(served.timeout) };
            let wish = Wish { question, since, deadline: since + wait, trace: trace(&headers) };
            let wanted = Wanted { headers: &headers, head: method == Method::HEAD };
            if prefer.respond_async {
                let wait = prefer.wait.unwrap_or_default().min(served.timeout);
                return later.ask(served, permit, wish, wait, &wanted).await;
            }
            let answered = served.desk.ask(permit, wish).await;
            respond(&served, &answered, &wanted).await
        }
        Err(problem) => problem.into_response(),
    }
}

impl Served {
    fn begin(&self, value: &str) -> Result<(Question, Permit), Problem> {
        let question = question(value, self.route.values.max())?;
        self.may_ask()?;
        Ok((question, self.desk.permit().ok_or_else(Problem::too_many)?))
    }

    /// Succeeds where the route can answer now.
    ///
    /// # Errors
    /// The problem that keeps it from answering.
    pub fn may_ask(&self) -> Result<(), Problem> {
        self.desk.status().trouble().map_or(Ok(()), |trouble| Err(Problem::unavailable(trouble)))
    }
}
