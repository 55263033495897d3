//! HTTP for whoever asks: one file a kind of request. Knows of a route what its [`Asker`] can be asked.

mod accept;
mod answer;
mod ask;
mod page;
mod problem;
mod server;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use tower_http::compression::CompressionLayer;

use super::Asker;
use crate::config::{Gateway, Route};
pub use problem::Problem;
pub use server::{Server, ServerError};

/// A route and who answers it.
pub struct Served {
    /// What the file says of it.
    pub route: Route,
    /// Who answers.
    pub asker: Asker,
    /// The longest that an answer is waited for.
    pub timeout: Duration,
}

/// All that is answered at one address.
pub fn router(_gateway: &Gateway, routes: Vec<Arc<Served>>) -> Router {
    let ready = routes.clone();
    let mut router = Router::new()
        .route("/", get(page::page))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { readiness(&ready) }));
    for served in routes {
        router = router.nest(&served.route.path.clone(), of_route(served));
    }
    router
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(CompressionLayer::new())
}

fn of_route(served: Arc<Served>) -> Router {
    Router::new().route("/{value}", get(ask::one)).with_state(served)
}

fn readiness(routes: &[Arc<Served>]) -> Response {
    match routes.iter().find_map(|served| Some((served, served.asker.status().trouble()?))) {
        None => (StatusCode::OK, "ready\n").into_response(),
        Some((served, trouble)) => {
            let text = format!("not ready: {}: {trouble}\n", served.route.name);
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}
