//! The page for people at `/`.

use std::sync::Arc;

use axum::{
    http::header,
    response::{Html, IntoResponse, Response},
};

use super::Served;

/// The page may load nothing but what is in itself, and connect to this gateway alone.
pub const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self' blob:; \
                      img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The page for people: one file, in the binary, for the first of the routes.
pub async fn page(routes: Vec<Arc<Served>>) -> Response {
    // A gateway has at least one route.
    let path = routes.first().map_or("/", |served| &served.route.path);
    let html = include_str!("page.html").replace("{{path}}", path);
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response()
}
