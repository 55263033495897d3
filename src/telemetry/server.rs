//! `/metrics`, `/healthz` and `/readyz`.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    Router,
    http::{StatusCode, header::CONTENT_TYPE},
    routing::get,
};
use metrics::gauge;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use thiserror::Error;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{
    names::{BUILD_INFO, LAG_RECORDS, METRICS, RECORDS_BUCKETS, SECONDS_BUCKETS, describe},
    progress::Progress,
};

/// How many more ports are tried where nobody named one.
const PORTS: u16 = 20;
/// How often buffered samples are sorted into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);
/// Prometheus' text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

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
    let recorder = recorder()?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| ServerError::Recorder(error.to_string()))?;
    describe();
    gauge!(
        BUILD_INFO,
        "version" => env!("CARGO_PKG_VERSION"),
        "revision" => option_env!("PIPELINE_REVISION").unwrap_or("unknown"),
        "librdkafka" => crate::kafka::librdkafka_version(),
    )
    .set(1.0);
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    Ok(HANDLE.get_or_init(|| handle).clone())
}

/// Without buckets a histogram would be a summary, and those of several workers cannot be added up.
fn recorder() -> Result<PrometheusRecorder, ServerError> {
    let suffix = |suffix: &str| Matcher::Suffix(suffix.to_owned());
    PrometheusBuilder::new()
        .set_buckets_for_metric(suffix("_seconds"), SECONDS_BUCKETS)
        .and_then(|builder| builder.set_buckets_for_metric(suffix("_records"), RECORDS_BUCKETS))
        .map(PrometheusBuilder::build_recorder)
        .map_err(|error| ServerError::Recorder(error.to_string()))
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
        let ready = pipelines.clone();
        Self::start_with(listen, explicit, handle, pipelines, move || joined(&ready)).await
    }

    /// The same for what is not a pipeline; `trouble` says why it is not ready.
    ///
    /// # Errors
    /// Where no address can be had.
    pub async fn start_with(
        listen: SocketAddr,
        explicit: bool,
        handle: PrometheusHandle,
        pipelines: Vec<Arc<Progress>>,
        trouble: impl Fn() -> Option<String> + Clone + Send + Sync + 'static,
    ) -> Result<Self, ServerError> {
        let listener = bind(listen, explicit).await?;
        let address = listener
            .local_addr()
            .map_err(|error| ServerError::Listen { address: listen, reason: error.to_string() })?;
        let metrics = move || async move { ([(CONTENT_TYPE, TEXT_FORMAT)], render(&handle, &pipelines)) };
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(move || async move { readiness(trouble()) }));
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
    let mut address = listen;
    let last = if explicit { listen.port() } else { listen.port().saturating_add(PORTS) };
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && address.port() < last => {
                address.set_port(address.port() + 1);
            }
            Err(error) => {
                return Err(ServerError::Listen { address: listen, reason: error.to_string() });
            }
        }
    }
}

fn joined(pipelines: &[Arc<Progress>]) -> Option<String> {
    let waiting: Vec<&str> = pipelines.iter().filter(|p| !p.is_joined()).map(|p| p.pipeline()).collect();
    (!waiting.is_empty()).then(|| format!("{} has not joined its consumer group yet", waiting.join(", ")))
}

fn readiness(trouble: Option<String>) -> (StatusCode, String) {
    match trouble {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {trouble}\n")),
    }
}

/// The exporter never forgets a series, so lag, which must go with its partition, is not among its own.
fn render(handle: &PrometheusHandle, pipelines: &[Arc<Progress>]) -> String {
    let mut text = handle.render();
    if let Some(metric) = METRICS.iter().find(|metric| metric.name == LAG_RECORDS) {
        text += &format!("# HELP {LAG_RECORDS} {}\n# TYPE {LAG_RECORDS} gauge\n", metric.meaning);
        pipelines.iter().for_each(|progress| progress.render_lag(&mut text));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        record::TopicPartition,
        telemetry::{Kind, RequestMetrics},
    };

    /// A pipeline's progress, and what a scrape gives.
    fn observed() -> (Arc<Progress>, impl Fn() -> String) {
        let recorder = recorder().unwrap();
        let handle = recorder.handle();
        let progress = metrics::with_local_recorder(&recorder, || {
            describe();
            RequestMetrics::new("factorial");
            Arc::new(Progress::new("factorial", "in", "out", "in.dlq", 256 << 20))
        });
        let pipelines = vec![progress.clone()];
        (progress, move || render(&handle, &pipelines))
    }

    #[track_caller]
    fn assert_line(text: &str, line: &str) {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }

    #[test]
    fn every_metric_of_a_pipeline_is_there_at_zero_with_its_kind_before_anything_happens() {
        let (_, scrape) = observed();
        let text = scrape();
        for metric in METRICS.iter().filter(|metric| metric.name != BUILD_INFO) {
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            assert_line(&text, &format!("# HELP {} {}", metric.name, metric.meaning));
            assert_line(&text, &format!("# TYPE {} {kind}", metric.name));
        }
        assert_line(&text, r#"pipeline_dead_letters_total{pipeline="factorial",class="not-a-number"} 0"#);
        assert_line(
            &text,
            r#"pipeline_errors_total{pipeline="factorial",stage="clients",class="restart"} 0"#,
        );
        assert_line(&text, r#"pipeline_commit_duration_seconds_count{pipeline="factorial"} 0"#);
        assert_line(&text, r#"pipeline_transactions_total{pipeline="factorial",outcome="aborted"} 0"#);
    }

    #[test]
    fn what_the_engine_tells_is_what_is_scraped() {
        let (progress, scrape) = observed();
        progress.consumed(300, 1_500);
        progress.committed(250, Duration::from_millis(7), true);
        progress.acknowledged(290, 10);
        progress.commit_failed();
        progress.dead_letter("not-a-number");
        progress.computed(4, Duration::from_millis(80), 2);
        let text = scrape();
        for line in [
            r#"pipeline_records_consumed_total{pipeline="factorial",topic="in"} 300"#,
            r#"pipeline_bytes_consumed_total{pipeline="factorial",topic="in"} 1500"#,
            r#"pipeline_batch_records_bucket{pipeline="factorial",le="200"} 0"#,
            r#"pipeline_batch_records_bucket{pipeline="factorial",le="500"} 1"#,
            r#"pipeline_commit_duration_seconds_bucket{pipeline="factorial",le="0.005"} 0"#,
            r#"pipeline_commit_duration_seconds_bucket{pipeline="factorial",le="0.01"} 1"#,
            r#"pipeline_transactions_total{pipeline="factorial",outcome="committed"} 1"#,
            r#"pipeline_records_produced_total{pipeline="factorial",topic="in.dlq"} 10"#,
            r#"pipeline_errors_total{pipeline="factorial",stage="commit",class="passing"} 1"#,
            r#"pipeline_errors_total{pipeline="factorial",stage="compute",class="passing"} 2"#,
            r#"pipeline_errors_total{pipeline="factorial",stage="compute",class="bad-input"} 1"#,
            r#"pipeline_dead_letters_total{pipeline="factorial",class="not-a-number"} 1"#,
            r#"pipeline_record_process_duration_seconds_bucket{pipeline="factorial",le="0.01"} 0"#,
            r#"pipeline_record_process_duration_seconds_bucket{pipeline="factorial",le="0.025"} 4"#,
        ] {
            assert_line(&text, line);
        }
        assert_eq!((progress.records_in(), progress.records_out(), progress.dead_letters()), (300, 290, 10));
    }

    #[test]
    fn a_partition_that_is_handed_over_leaves_no_lag_behind() {
        let (progress, scrape) = observed();
        let lag = |partition, records| (TopicPartition::new("in", partition), records);
        progress.owns(BTreeMap::from([lag(0, 5), lag(1, 0)]));
        let text = scrape();
        assert_line(
            &text,
            r#"pipeline_consumer_lag_records{pipeline="factorial",topic="in",partition="0"} 5"#,
        );
        assert_line(
            &text,
            r#"pipeline_consumer_lag_records{pipeline="factorial",topic="in",partition="1"} 0"#,
        );
        progress.owns(BTreeMap::from([lag(1, 3)]));
        let text = scrape();
        assert!(!text.contains(r#"partition="0""#), "{text}");
        assert_line(
            &text,
            r#"pipeline_consumer_lag_records{pipeline="factorial",topic="in",partition="1"} 3"#,
        );
        assert_eq!(progress.lag(), 3);
    }

    fn get(address: SocketAddr, path: &str) -> (u16, String, String) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut response = agent.get(format!("http://{address}{path}")).call().unwrap();
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        (response.status().as_u16(), kind, response.body_mut().read_to_string().unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_endpoint_tells_metrics_health_and_whether_the_group_is_joined() {
        let recorder = recorder().unwrap();
        let progress = metrics::with_local_recorder(&recorder, || {
            Arc::new(Progress::new("factorial", "in", "out", "in.dlq", 1))
        });
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let pipelines = vec![progress.clone()];
        let server = MetricsServer::start(any, true, recorder.handle(), pipelines).await.unwrap();
        let ask = async |path: &'static str| {
            let address = server.address();
            tokio::task::spawn_blocking(move || get(address, path)).await.unwrap()
        };
        assert_eq!(ask("/healthz").await.0, 200);
        let (status, _, text) = ask("/readyz").await;
        assert_eq!(
            (status, text.as_str()),
            (503, "not ready: factorial has not joined its consumer group yet\n")
        );
        progress.assigned();
        assert_eq!(ask("/readyz").await.0, 200);
        let (status, kind, text) = ask("/metrics").await;
        assert_eq!((status, kind.as_str()), (200, TEXT_FORMAT));
        assert_line(&text, r#"pipeline_rebalances_total{pipeline="factorial",event="assign"} 1"#);
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_passed_over_unless_it_was_asked_for() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let next = bind(address, false).await.unwrap().local_addr().unwrap();
        assert!(next.port() > address.port() && next.port() <= address.port() + PORTS, "{next}");
        let error = bind(address, true).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("metrics cannot be served at {address}: ")), "{error}");
    }
}
