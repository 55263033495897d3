//! `/metrics`, `/healthz`, `/readyz` and `/explain`.

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
use thiserror::Error;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    explain::explain,
    names::describe,
    progress::Progress,
    recorder::{PipelineRecorder, Recorded},
};
use crate::http::{ConnectionLimits, serve};

/// How many more ports are tried if none was configured.
const PORTS: u16 = 20;
/// Prometheus' text format.
pub const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Why metrics cannot be served.
#[derive(Error, Debug)]
pub enum ServerError {
    /// The recorder cannot be installed.
    #[error("metrics cannot be recorded: {0}")]
    Recorder(String),
    /// The address cannot be bound.
    #[error("metrics cannot be served at {address}: {reason}; name another address by metrics.listen")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// The system's error.
        reason: String,
    },
}

/// Installs this process's recorder, once. Call it before the first [`Progress`] is made.
///
/// # Errors
/// Another recorder is installed already.
pub fn install() -> Result<Recorded, ServerError> {
    static RECORDED: OnceLock<Recorded> = OnceLock::new();
    if let Some(recorded) = RECORDED.get() {
        return Ok(recorded.clone());
    }
    let recorder = PipelineRecorder::new();
    let recorded = recorder.recorded();
    metrics::set_global_recorder(recorder).map_err(|error| ServerError::Recorder(error.to_string()))?;
    describe();
    Ok(RECORDED.get_or_init(|| recorded).clone())
}

/// The server of a process's metrics; stops when dropped.
pub struct MetricsServer {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl MetricsServer {
    /// Serves at that address; if it is taken and was not configured, at one of the next ports.
    ///
    /// # Errors
    /// No address can be bound.
    pub async fn start(
        listen: SocketAddr,
        explicit: bool,
        recorded: Recorded,
        pipelines: Vec<Arc<Progress>>,
    ) -> Result<Self, ServerError> {
        let ready = pipelines.clone();
        Self::start_with(listen, explicit, recorded, pipelines, move || joined(&ready)).await
    }

    /// The same for a process without pipelines; `trouble` returns why it is not ready.
    ///
    /// # Errors
    /// No address can be bound.
    pub async fn start_with(
        listen: SocketAddr,
        explicit: bool,
        recorded: Recorded,
        pipelines: Vec<Arc<Progress>>,
        trouble: impl Fn() -> Option<String> + Clone + Send + Sync + 'static,
    ) -> Result<Self, ServerError> {
        let listener = bind(listen, explicit).await?;
        let address = listener
            .local_addr()
            .map_err(|error| ServerError::Listen { address: listen, reason: error.to_string() })?;
        let explained = pipelines.clone();
        let metrics = move || async move { ([(CONTENT_TYPE, TEXT_FORMAT)], recorded.render(&pipelines)) };
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/explain", get(move || async move { explain(&explained) }))
            .route("/readyz", get(move || async move { readiness(trouble()) }));
        // Aborted when this value is dropped.
        let serving = tokio::spawn(serve(
            listener,
            None,
            router,
            ConnectionLimits::OF_METRICS,
            CancellationToken::new(),
            Duration::ZERO,
        ));
        Ok(MetricsServer { address, serving })
    }

    /// The address at which metrics are served.
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

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use super::*;
    use crate::{
        record::{Destination, PerTopic, TopicPartition},
        telemetry::{
            BrokerState, Client, ClientStatistics, Lag, METRICS, Of, RequestMetrics, Stage, Subject,
        },
    };

    fn progress() -> Arc<Progress> {
        Arc::new(Progress::new(Subject {
            pipeline: "factorial".to_owned(),
            sources: vec!["in".to_owned()],
            sink: PerTopic { results: vec!["out".to_owned()], dead_letters: "in.dlq".to_owned() },
            operators: vec!["small".to_owned(), "factorial".to_owned()],
            memory: 256 << 20,
        }))
    }

    /// A pipeline's progress, and what a scrape gives.
    fn observed() -> (Arc<Progress>, impl Fn() -> String) {
        let recorder = PipelineRecorder::new();
        let recorded = recorder.recorded();
        let progress = metrics::with_local_recorder(&recorder, || {
            describe();
            RequestMetrics::new("factorial");
            progress()
        });
        let pipelines = vec![progress.clone()];
        (progress, move || recorded.render(&pipelines))
    }

    #[track_caller]
    fn assert_line(text: &str, line: &str) {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }

    fn owned(progress: &Progress, partitions: &[(i32, u64)]) {
        let lags = partitions.iter().map(|(partition, records)| {
            (TopicPartition::new("in", *partition), Lag { records: *records, uncommitted: None })
        });
        progress.owns(lags.collect::<BTreeMap<_, _>>());
    }

    fn statistics() -> ClientStatistics {
        let broker = BrokerState { up: true, rtt: Some(Duration::from_millis(2)), errors: 3 };
        ClientStatistics { brokers: [("a:9092".to_owned(), broker)].into(), ..Default::default() }
    }

    #[test]
    fn every_metric_of_a_pipeline_is_there_at_zero_with_its_kind_before_anything_happens() {
        let (progress, scrape) = observed();
        // The series of partitions and brokers come and go with them.
        owned(&progress, &[(0, 0)]);
        progress.statistics(Client::Producer, statistics());
        let text = scrape();
        for metric in METRICS.iter().filter(|metric| !matches!(metric.of, Of::Factorial | Of::Scale)) {
            assert_line(&text, &format!("# HELP {} {}", metric.name, metric.meaning));
            assert_line(&text, &format!("# TYPE {} {}", metric.name, metric.kind.name()));
            let of_it = |line: &&str| {
                line.split(['{', ' ']).next().is_some_and(|name| {
                    name == metric.name
                        || name
                            .strip_prefix(metric.name)
                            .is_some_and(|rest| ["_sum", "_count", "_bucket"].contains(&rest))
                })
            };
            for line in text.lines().filter(of_it) {
                assert!(line.contains("pipeline=\"factorial\""), "{line}");
                assert!(metric.labels.iter().all(|label| line.contains(&format!("{label}=\""))), "{line}");
            }
        }
        for line in [
            r#"pipeline_dead_letters_total{pipeline="factorial",class="not-a-number"} 0"#,
            r#"pipeline_errors_total{pipeline="factorial",stage="clients",class="restart"} 0"#,
            r#"pipeline_commit_duration_seconds_count{pipeline="factorial"} 0"#,
            r#"pipeline_transactions_total{pipeline="factorial",outcome="fenced"} 0"#,
            r#"pipeline_stage_seconds_total{pipeline="factorial",stage="wait"} 0"#,
            r#"pipeline_consumer_paused_seconds_total{pipeline="factorial"} 0"#,
            r#"pipeline_producer_ack_duration_seconds_count{pipeline="factorial",topic="in.dlq"} 0"#,
        ] {
            assert_line(&text, line);
        }
    }

    #[test]
    fn what_the_engine_reports_is_what_is_scraped() {
        let (progress, scrape) = observed();
        progress.consumed("in", 300, 1_500);
        progress.committed(250, Duration::from_millis(7));
        progress.transaction_committed(Duration::from_millis(70));
        progress.transaction_aborted(Duration::from_millis(7));
        progress.sent(Destination::SINK, 1_000);
        progress.sent(Destination::DeadLetter, 20);
        progress.acknowledged(Destination::SINK, 290, Duration::from_millis(3));
        progress.acknowledged(Destination::DeadLetter, 10, Duration::from_millis(1));
        progress.commit_failed();
        progress.dead_letter("not-a-number");
        progress.operator_took(1, 4, Duration::from_millis(80));
        progress.retried(2);
        progress.spent(Stage::Compute, 2, Duration::from_millis(750));
        progress.paused(Duration::from_millis(250));
        progress.queues(&PerTopic { results: vec![7], dead_letters: 1 });
        progress.statistics(Client::Producer, statistics());
        let text = scrape();
        for line in [
            r#"pipeline_records_consumed_total{pipeline="factorial",topic="in"} 300"#,
            r#"pipeline_bytes_consumed_total{pipeline="factorial",topic="in"} 1500"#,
            r#"pipeline_bytes_produced_total{pipeline="factorial",topic="in.dlq"} 20"#,
            r#"pipeline_batch_records_bucket{pipeline="factorial",le="200"} 0"#,
            r#"pipeline_batch_records_bucket{pipeline="factorial",le="500"} 1"#,
            r#"pipeline_commit_duration_seconds_bucket{pipeline="factorial",le="0.005"} 0"#,
            r#"pipeline_commit_duration_seconds_bucket{pipeline="factorial",le="0.01"} 1"#,
            r#"pipeline_transactions_total{pipeline="factorial",outcome="committed"} 1"#,
            r#"pipeline_transaction_duration_seconds_bucket{pipeline="factorial",outcome="committed",le="0.05"} 0"#,
            r#"pipeline_transaction_duration_seconds_bucket{pipeline="factorial",outcome="aborted",le="0.05"} 1"#,
            r#"pipeline_records_produced_total{pipeline="factorial",topic="in.dlq"} 10"#,
            r#"pipeline_producer_ack_duration_seconds_count{pipeline="factorial",topic="out"} 290"#,
            r#"pipeline_producer_queue_records{pipeline="factorial",topic="out"} 7"#,
            r#"pipeline_errors_total{pipeline="factorial",stage="commit",class="passing"} 1"#,
            r#"pipeline_errors_total{pipeline="factorial",stage="compute",class="passing"} 2"#,
            r#"pipeline_errors_total{pipeline="factorial",stage="compute",class="bad-input"} 1"#,
            r#"pipeline_retries_total{pipeline="factorial",class="operator"} 2"#,
            r#"pipeline_dead_letters_total{pipeline="factorial",class="not-a-number"} 1"#,
            r#"pipeline_record_process_duration_seconds_bucket{pipeline="factorial",operator="factorial",le="0.01"} 0"#,
            r#"pipeline_record_process_duration_seconds_bucket{pipeline="factorial",operator="factorial",le="0.025"} 4"#,
            r#"pipeline_stage_seconds_total{pipeline="factorial",stage="compute"} 1.5"#,
            r#"pipeline_consumer_paused_seconds_total{pipeline="factorial"} 0.25"#,
            r#"pipeline_kafka_broker_rtt_seconds{pipeline="factorial",broker="a:9092"} 0.002"#,
            r#"pipeline_kafka_broker_errors_total{pipeline="factorial",broker="a:9092"} 3"#,
        ] {
            assert_line(&text, line);
        }
        assert_eq!((progress.records_in(), progress.records_out(), progress.dead_letters()), (300, 290, 10));
    }

    #[test]
    fn a_partition_that_is_handed_over_leaves_no_lag_behind_and_a_client_no_broker() {
        let (progress, scrape) = observed();
        owned(&progress, &[(0, 5), (1, 0)]);
        progress.statistics(Client::Consumer, statistics());
        let text = scrape();
        let lag = |partition, records| {
            format!(
                "pipeline_consumer_lag_records{{pipeline=\"factorial\",topic=\"in\",partition=\"{partition}\"}} {records}"
            )
        };
        assert_line(&text, &lag(0, 5));
        assert_line(&text, &lag(1, 0));
        owned(&progress, &[(1, 3)]);
        let text = scrape();
        assert!(!text.contains(r#"partition="0""#), "{text}");
        assert_line(&text, &lag(1, 3));
        assert_eq!(progress.lag(), 3);
        progress.restarted();
        let text = scrape();
        assert!(!text.contains("partition=\"") && !text.contains("broker=\""), "{text}");
    }

    fn get(address: SocketAddr, path: &str) -> (u16, String, String) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut response = agent.get(format!("http://{address}{path}")).call().unwrap();
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        (response.status().as_u16(), kind, response.body_mut().read_to_string().unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_endpoint_serves_metrics_health_and_whether_the_group_is_joined() {
        let recorder = PipelineRecorder::new();
        let progress = metrics::with_local_recorder(&recorder, progress);
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let pipelines = vec![progress.clone()];
        let server = MetricsServer::start(any, true, recorder.recorded(), pipelines).await.unwrap();
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
        progress.assigned(vec![TopicPartition::new("in", 0), TopicPartition::new("in", 1)]);
        assert_eq!(ask("/readyz").await.0, 200);
        let (status, kind, text) = ask("/metrics").await;
        assert_eq!((status, kind.as_str()), (200, TEXT_FORMAT));
        assert_line(&text, r#"pipeline_rebalances_total{pipeline="factorial",event="assign"} 1"#);
        let (status, _, text) = ask("/explain").await;
        assert_eq!(status, 200);
        assert!(text.contains("assign partitions 0 1, asking for offsets 0.0 ms"), "{text}");
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
