//! Who may ask: a client that presents the token, if there is one.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::header::WWW_AUTHENTICATE,
    middleware::Next,
    response::{IntoResponse, Response},
};
use subtle::ConstantTimeEq;

use super::{Problem, headers::bearer};
use crate::config::Secret;

/// Lets through what has `Authorization: Bearer` and the token.
pub async fn check(State(token): State<Arc<Secret>>, request: Request, next: Next) -> Response {
    // How long it takes says nothing of where they differ.
    if bearer(request.headers()).is_some_and(|presented| presented.ct_eq(token.0.as_bytes()).into()) {
        next.run(request).await
    } else {
        let challenge = [(WWW_AUTHENTICATE, "Bearer")];
        (challenge, Problem::unauthorized()).into_response()
    }
}
