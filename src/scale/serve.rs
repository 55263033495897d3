//! Tells whoever starts workers how many are wanted: as JSON, as metrics, and to KEDA by gRPC.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    http::{StatusCode, header::CONTENT_TYPE},
    routing::get,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use super::{Standing, external};
use crate::{
    http::{ConnectionLimits, serve},
    telemetry::{Recorded, ScaleMetrics, TEXT_FORMAT},
};

/// gRPC needs HTTP/2. All else is as at the ports of metrics.
const LIMITS: ConnectionLimits = ConnectionLimits { http2: true, ..ConnectionLimits::OF_METRICS };

/// Shows how things stand, at `/` as JSON, at `/metrics` for Prometheus, and as KEDA's external scaler.
pub struct ScaleServer {
    standing: watch::Sender<Option<Standing>>,
    metrics: ScaleMetrics,
}

impl ScaleServer {
    /// Serves at that listener, in the background, until the runtime ends.
    pub fn start(pipeline: &str, listener: TcpListener, recorded: Recorded) -> Self {
        let (sender, standing) = watch::channel(None);
        let (known, name) = (standing.clone(), pipeline.to_owned());
        let document = move || async move {
            let (status, document) = document(&name, *known.borrow());
            (status, [(CONTENT_TYPE, "application/json")], format!("{document}\n"))
        };
        let metrics = move || async move { ([(CONTENT_TYPE, TEXT_FORMAT)], recorded.render(&[])) };
        let router = Router::new()
            .route("/", get(document))
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .merge(external::service(&standing));
        tokio::spawn(serve(listener, None, router, LIMITS, CancellationToken::new(), Duration::ZERO));
        ScaleServer { standing: sender, metrics: ScaleMetrics::new(pipeline) }
    }

    /// From now on, that is how things stand.
    pub fn set(&self, standing: Standing) {
        self.metrics.set(standing.backlog, standing.wanted, standing.speed);
        self.standing.send_replace(Some(standing));
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

fn document(pipeline: &str, standing: Option<Standing>) -> (StatusCode, Value) {
    let Some(standing) = standing else {
        // None wanted would end the workers that there are.
        let error = "how many workers are wanted is not known yet; ask again";
        return (StatusCode::SERVICE_UNAVAILABLE, json!({ "pipeline": pipeline, "error": error }));
    };
    let document = json!({
        "pipeline": pipeline,
        "workers_wanted": standing.wanted,
        "workers": standing.workers,
        "backlog_seconds": standing.backlog,
        "arriving_seconds_per_second": standing.arriving,
        "worker_seconds_per_second": standing.speed,
    });
    (StatusCode::OK, document)
}
