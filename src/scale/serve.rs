//! Tells whoever starts workers how many are wanted: as JSON, and as metrics.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Standing;
use crate::{
    http::{ConnectionLimits, serve},
    telemetry::{Recorded, ScaleMetrics, TEXT_FORMAT},
};

/// Shows how things stand, at `/` as JSON and at `/metrics` for Prometheus.
pub struct ScaleServer {
    standing: Arc<Mutex<Standing>>,
    metrics: ScaleMetrics,
}

impl ScaleServer {
    /// Serves at that listener, in the background, until the runtime ends.
    pub fn start(pipeline: &str, listener: TcpListener, recorded: Recorded) -> Self {
        let server = ScaleServer { standing: Arc::default(), metrics: ScaleMetrics::new(pipeline) };
        let (standing, name) = (server.standing.clone(), pipeline.to_owned());
        let document = move || async move {
            let standing = *standing.lock().unwrap_or_else(PoisonError::into_inner);
            ([(CONTENT_TYPE, "application/json")], format!("{}\n", document(&name, &standing)))
        };
        let metrics = move || async move { ([(CONTENT_TYPE, TEXT_FORMAT)], recorded.render(&[])) };
        let router = Router::new()
            .route("/", get(document))
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok\n" }));
        tokio::spawn(serve(
            listener,
            None,
            router,
            ConnectionLimits::OF_METRICS,
            CancellationToken::new(),
            Duration::ZERO,
        ));
        server
    }

    /// From now on, that is how things stand.
    pub fn set(&self, standing: Standing) {
        self.metrics.set(standing.backlog, standing.wanted, standing.speed);
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }
}

/// Binds the address.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| {
        format!("nothing can be served at {address}: {error}; name another address by --listen")
    })
}

fn document(pipeline: &str, standing: &Standing) -> Value {
    json!({
        "pipeline": pipeline,
        "workers_wanted": standing.wanted,
        "workers": standing.workers,
        "backlog_seconds": standing.backlog,
        "arriving_seconds_per_second": standing.arriving,
        "worker_seconds_per_second": standing.speed,
    })
}
