//! HTTP for clients: one file for each kind of request. It reaches a route by its [`DeskHandle`] alone.

mod answer;
mod ask;
mod headers;
mod large;
mod later;
mod letters;
mod many;
mod page;
mod problem;
mod questions;
mod server;
mod state;
mod tls;
mod token;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state, map_response},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http_body_util::LengthLimitError;
use tokio::time::timeout;
use tower_http::{CompressionLevel, compression::CompressionLayer};

use super::DeskHandle;
use crate::config::{Gateway, Route, Secret};
pub use large::Large;
use later::Later;
pub use letters::DeadLetters;
pub use problem::Problem;
pub use server::{Server, ServerError};
pub use state::Tables;

/// Answers that are kept for clients that do not wait.
const KEPT: usize = 1_000;

/// A route, and the desk that answers it.
pub struct Served {
    /// What the file says of it.
    pub route: Route,
    /// Reaches the route's desk.
    pub desk: DeskHandle,
    /// The longest that an answer is waited for.
    pub timeout: Duration,
    /// Questions that one POST may have.
    pub batch: usize,
    /// Reads results that are in pieces.
    pub large: Large,
}

/// All that is answered at one address.
pub fn router(
    gateway: &Gateway,
    routes: Vec<Arc<Served>>,
    letters: Arc<DeadLetters>,
    tables: Tables,
) -> Router {
    let later = Arc::new(Later::new(KEPT));
    let ready = routes.clone();
    let mut answering =
        Router::new().route("/requests/{ticket}", get(later::fetch)).with_state(later.clone());
    for served in &routes {
        answering = answering.merge(of_route(gateway, served.clone(), later.clone()));
    }
    if !tables.is_empty() {
        let of_state = Router::new().route("/state/{name}/{key}", get(state::get));
        answering = answering.merge(of_state.with_state(Arc::new(tables)));
    }
    if let Some(token) = gateway.http.token.clone() {
        answering = answering.layer(from_fn_with_state(Arc::new(token), token::check));
    }
    Router::new()
        .route("/", get(move || page::page(routes.clone())))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { readiness(&ready) }))
        .merge(answering)
        .merge(of_letters(gateway, letters))
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(map_response(no_sniffing))
}

fn of_route(gateway: &Gateway, served: Arc<Served>, later: Arc<Later>) -> Router {
    let path = served.route.path.clone();
    let body = Limited { bytes: gateway.http.body, time: gateway.http.client_timeout };
    let many = post(many::many)
        .with_state(served.clone())
        .layer::<_, Infallible>(from_fn_with_state(body, whole_body))
        .layer(DefaultBodyLimit::disable());
    Router::new()
        .route(&format!("{path}/{{value}}"), get(ask::one))
        .with_state((served, later))
        .route(&path, many)
}

fn of_letters(gateway: &Gateway, letters: Arc<DeadLetters>) -> Router {
    let body = Limited { bytes: letters::BODY, time: gateway.http.client_timeout };
    let replay = post(letters::replay)
        .layer::<_, Infallible>(from_fn_with_state(body, whole_body))
        .layer(DefaultBodyLimit::disable())
        .get(letters::how_far);
    Router::new()
        .route("/dead-letters", get(letters::list))
        .route("/dead-letters/replay", replay)
        .with_state(letters)
}

/// Lets only requests that have the token through to a router of another port, each with a body of so many bytes at most that comes in that
/// time; what the router does not have is answered as the gateway does.
pub fn guarded(router: Router, token: Secret, bytes: usize, time: Duration) -> Router {
    router
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(from_fn_with_state(Limited { bytes, time }, whole_body))
        .layer(DefaultBodyLimit::disable())
        // The last one comes first: nobody without it sends a body.
        .layer(from_fn_with_state(Arc::new(token), token::check))
        .layer(map_response(no_sniffing))
}

/// The limits of a request's body.
#[derive(Clone, Copy)]
struct Limited {
    bytes: usize,
    time: Duration,
}

/// Reads the whole body before the request is handled.
async fn whole_body(State(limit): State<Limited>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match timeout(limit.time, to_bytes(body, limit.bytes)).await {
        Ok(Ok(body)) => next.run(Request::from_parts(head, Body::from(body))).await,
        Ok(Err(error)) if is_too_long(&error) => {
            let detail = format!("a body may have {} bytes", limit.bytes);
            Problem::too_large(detail).into_response()
        }
        Ok(Err(_)) => Problem::bad_request("the body broke off").into_response(),
        Err(_) => Problem::slow().into_response(),
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<LengthLimitError>())
}

/// Keeps browsers from guessing another content type than the one that is given.
async fn no_sniffing(mut response: Response) -> Response {
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn readiness(routes: &[Arc<Served>]) -> Response {
    match trouble(routes) {
        None => (StatusCode::OK, "ready\n").into_response(),
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {trouble}\n")).into_response(),
    }
}

/// Why a route cannot answer; `None` where all can.
pub fn trouble(routes: &[Arc<Served>]) -> Option<String> {
    routes
        .iter()
        .find_map(|served| Some(format!("{}: {}", served.route.name, served.desk.status().trouble()?)))
}
