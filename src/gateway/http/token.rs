//! Who may ask: whoever presents the token, if there is one.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse, Response},
};
use subtle::ConstantTimeEq;

use super::Problem;
use crate::config::Secret;

/// Lets through what has `Authorization: Bearer` and the token.
pub async fn check(State(token): State<Arc<Secret>>, request: Request, next: Next) -> Response {
    let presented = request.headers().get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    // How long it takes says nothing of where they differ.
    if presented.is_some_and(|presented| presented.ct_eq(token.0.as_bytes()).into()) {
        next.run(request).await
    } else {
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
        (challenge, Problem::unauthorized()).into_response()
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}
