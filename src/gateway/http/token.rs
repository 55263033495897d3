//! Lets only clients that present the token ask, where the file sets one.

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

/// Lets through requests that have the token in `Authorization: Bearer`.
pub async fn check(State(token): State<Arc<Secret>>, request: Request, next: Next) -> Response {
    // In constant time: how long it takes does not show where the two differ.
    if bearer(request.headers()).is_some_and(|presented| presented.ct_eq(token.0.as_bytes()).into()) {
        next.run(request).await
    } else {
        let challenge = [(WWW_AUTHENTICATE, "Bearer")];
        (challenge, Problem::unauthorized()).into_response()
    }
}
