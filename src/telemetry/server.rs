//! `/metrics`, `/healthz` and `/readyz`.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use metrics::gauge;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use thiserror::Error;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{
    names::{BUILD_INFO, LAG_RECORDS, METRICS, RECORDS_BUCKETS, SECONDS_BUCKETS, describe},
    progress::Progress,
};

/// How many ports are tried where nobody named one.
const PORTS: u16 = 20;
/// How often buffered samples are sorted into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// Why metrics cannot be served.
#[derive(Error, Debug)]
pub enum ServerError {
    /// The recorder cannot be set up.
    #[error("metrics cannot be recorded: {0}")]
    Recorder(String),
    /// The address cannot be had.
    #[error("metrics cannot be served at {address}: {reason}; name another address by metrics.listen")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        reason: String,
    },
}

/// Sets up the recorder of this process; once. To be called before the first [`Progress`] is made, and
/// within a tokio runtime.
///
/// # Errors
/// Where another recorder is there already.
pub fn install() -> Result<PrometheusHandle, ServerError> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let failed = |error: BuildError| ServerError::Recorder(error.to_string());
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS_BUCKETS)
        .and_then(|builder| {
            builder.set_buckets_for_metric(Matcher::Suffix("_records".to_owned()), RECORDS_BUCKETS)
        })
        .map_err(failed)?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| ServerError::Recorder(error.to_string()))?;
    describe();
    let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION"), "librdkafka" => librdkafka).set(1.0);
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    Ok(HANDLE.get_or_init(|| handle).clone())
}

/// Serves metrics until it is dropped.
pub struct MetricsServer {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl MetricsServer {
    /// Serves at that address; where it is taken and was not asked for explicitly, at one of the next ports.
    ///
    /// # Errors
    /// Where none can be had.
    pub async fn start(
        listen: SocketAddr,
        explicit: bool,
        handle: PrometheusHandle,
        pipelines: Vec<Arc<Progress>>,
    ) -> Result<Self, ServerError> {
        let listener = bind(listen, explicit).await?;
        let address = listener
            .local_addr()
            .map_err(|error| ServerError::Listen { address: listen, reason: error.to_string() })?;
        let ready = pipelines.clone();
        let router = Router::new()
            .route("/metrics", get(move || async move { render(&handle, &pipelines) }))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(move || async move { readiness(&ready) }));
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "metrics are not served any more");
            }
        });
        Ok(MetricsServer { address, serving })
    }

    /// Where metrics are served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn bind(listen: SocketAddr, explicit: bool) -> Result<TcpListener, ServerError> {
    let last = if explicit { listen.port() } else { listen.port().saturating_add(PORTS) };
    let mut reason = String::new();
    for port in listen.port()..=last {
        match TcpListener::bind(SocketAddr::new(listen.ip(), port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(ServerError::Listen { address: listen, reason })
}

fn readiness(pipelines: &[Arc<Progress>]) -> (StatusCode, String) {
    let waiting: Vec<&str> = pipelines.iter().filter(|p| !p.is_joined()).map(|p| p.pipeline()).collect();
    if waiting.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        let text = format!("not ready: {} has not joined its consumer group yet\n", waiting.join(", "));
        (StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

fn render(handle: &PrometheusHandle, pipelines: &[Arc<Progress>]) -> String {
    let mut text = handle.render();
    if let Some(metric) = METRICS.iter().find(|metric| metric.name == LAG_RECORDS) {
        text += &format!("# HELP {LAG_RECORDS} {}\n# TYPE {LAG_RECORDS} gauge\n", metric.meaning);
        pipelines.iter().for_each(|progress| progress.render_lag(&mut text));
    }
    text
}
