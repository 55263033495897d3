//! Lets only clients that present the token ask, where the file sets one.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header::WWW_AUTHENTICATE},
    middleware::Next,
    response::{IntoResponse, Response},
};
use subtle::ConstantTimeEq;

use super::{Problem, headers::bearer};
use crate::config::Secret;

/// Lets through requests that have the token in `Authorization: Bearer`.
pub async fn check(State(token): State<Arc<Secret>>, request: Request, next: Next) -> Response {
    if is_presented(&token, request.headers()) { next.run(request).await } else { refusal() }
}

/// Whether these headers have the token.
pub fn is_presented(token: &Secret, headers: &HeaderMap) -> bool {
    // In constant time: how long it takes does not show where the two differ.
    bearer(headers).is_some_and(|presented| presented.ct_eq(token.0.as_bytes()).into())
}

/// 401, and how the token is sent.
pub fn refusal() -> Response {
    let challenge = [(WWW_AUTHENTICATE, "Bearer")];
    (challenge, Problem::unauthorized()).into_response()
}
