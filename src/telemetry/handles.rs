//! Handles to metrics, made once and kept.

use std::collections::BTreeMap;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::names::*;

/// Classes of dead letters that are known before the first one, so that its series begins at 0.
const CLASSES: &[&str] = &[
    "tombstone",
    "empty",
    "not-utf8",
    "not-a-number",
    "negative",
    "above-max",
    "result-too-large",
    "retries-exhausted",
];

/// What a pipeline's metrics are labelled with.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// The pipeline's name.
    pub pipeline: String,
    /// The source topic.
    pub source: String,
    /// The result topic.
    pub sink: String,
    /// The dead-letter topic.
    pub dead_letters: String,
    /// The operators' names, in order.
    pub operators: Vec<String>,
    /// Bytes that may be held.
    pub memory: u64,
}

/// Every series of a pipeline that the exporter keeps, made at 0.
pub struct Handles {
    pub records_consumed: Counter,
    pub bytes_consumed: Counter,
    pub batch_records: Histogram,
    pub results: Produced,
    pub dead_letters: Produced,
    pub input_records: Gauge,
    pub output_records: Gauge,
    pub input_bytes: Gauge,
    pub output_bytes: Gauge,
    /// By operator, in order.
    pub process: Vec<Histogram>,
    pub paused_partitions: Gauge,
    pub partitions: Gauge,
    pub commit_records: Histogram,
    pub commit_duration: Histogram,
    pub commit_failures: Counter,
    pub committed: Counter,
    pub committed_duration: Histogram,
    pub aborted: Counter,
    pub aborted_duration: Histogram,
    pub fenced: Counter,
    pub renewals: Counter,
    pub assigns: Counter,
    pub assign_duration: Histogram,
    pub revokes: Counter,
    pub revoke_duration: Histogram,
    pub losses: Counter,
    pub operator_retries: Counter,
    pub commit_retries: Counter,
    pub expired: Counter,
    pub restarts: Counter,
    pub passing_errors: Counter,
    pub bad_input_errors: Counter,
    pub commit_errors: Counter,
    pub client_errors: Counter,
    /// Dead letters by class.
    pub classes: BTreeMap<&'static str, Counter>,
}

/// What is known of one topic that is written to.
pub struct Produced {
    pub records: Counter,
    pub bytes: Counter,
    pub ack_duration: Histogram,
    pub queue: Gauge,
}

impl Handles {
    pub fn new(subject: &Subject) -> Self {
        let p = subject.pipeline.clone();
        build_info(&p);
        gauge!(MEMORY_BUDGET, "pipeline" => p.clone()).set(subject.memory as f64);
        let topic = |name: &'static str, topic: &str| counter!(name, "pipeline" => p.clone(), "topic" => topic.to_owned());
        let plain = |name: &'static str| counter!(name, "pipeline" => p.clone());
        let labelled = |name: &'static str, label: &'static str, value: &'static str| counter!(name, "pipeline" => p.clone(), label => value);
        let held =
            |name: &'static str, stage: &'static str| gauge!(name, "pipeline" => p.clone(), "stage" => stage);
        let values = |name: &'static str| histogram!(name, "pipeline" => p.clone());
        let times = |name: &'static str, label: &'static str, value: &str| histogram!(name, "pipeline" => p.clone(), label => value.to_owned());
        let error = |stage: &'static str, class: &'static str| counter!(ERRORS, "pipeline" => p.clone(), "stage" => stage, "class" => class);
        let produced = |name: &str| Produced {
            records: topic(RECORDS_PRODUCED, name),
            bytes: topic(BYTES_PRODUCED, name),
            ack_duration: times(ACK_DURATION, "topic", name),
            queue: gauge!(QUEUE_RECORDS, "pipeline" => p.clone(), "topic" => name.to_owned()),
        };
        Handles {
            records_consumed: topic(RECORDS_CONSUMED, &subject.source),
            bytes_consumed: topic(BYTES_CONSUMED, &subject.source),
            batch_records: values(BATCH_RECORDS),
            results: produced(&subject.sink),
            dead_letters: produced(&subject.dead_letters),
            input_records: held(IN_FLIGHT_RECORDS, "input"),
            output_records: held(IN_FLIGHT_RECORDS, "output"),
            input_bytes: held(IN_FLIGHT_BYTES, "input"),
            output_bytes: held(IN_FLIGHT_BYTES, "output"),
            process: subject.operators.iter().map(|name| times(PROCESS_DURATION, "operator", name)).collect(),
            paused_partitions: gauge!(PAUSED_PARTITIONS, "pipeline" => p.clone()),
            partitions: gauge!(ASSIGNED_PARTITIONS, "pipeline" => p.clone(), "topic" => subject.source.clone()),
            commit_records: values(COMMIT_RECORDS),
            commit_duration: values(COMMIT_DURATION),
            commit_failures: plain(COMMIT_FAILURES),
            committed: labelled(TRANSACTIONS, "outcome", "committed"),
            committed_duration: times(TRANSACTION_DURATION, "outcome", "committed"),
            aborted: labelled(TRANSACTIONS, "outcome", "aborted"),
            aborted_duration: times(TRANSACTION_DURATION, "outcome", "aborted"),
            fenced: labelled(TRANSACTIONS, "outcome", "fenced"),
            renewals: plain(PRODUCER_RENEWALS),
            assigns: labelled(REBALANCES, "event", "assign"),
            assign_duration: times(REBALANCE_DURATION, "event", "assign"),
            revokes: labelled(REBALANCES, "event", "revoke"),
            revoke_duration: times(REBALANCE_DURATION, "event", "revoke"),
            losses: labelled(REBALANCES, "event", "lost"),
            operator_retries: labelled(RETRIES, "class", "operator"),
            commit_retries: labelled(RETRIES, "class", "commit"),
            expired: plain(RECORDS_EXPIRED),
            restarts: plain(RESTARTS),
            passing_errors: error("compute", "passing"),
            bad_input_errors: error("compute", "bad-input"),
            commit_errors: error("commit", "passing"),
            client_errors: error("clients", "restart"),
            classes: CLASSES.iter().map(|class| (*class, dead_letters(&p, class))).collect(),
        }
    }
}

/// Dead letters of a class.
pub fn dead_letters(pipeline: &str, class: &'static str) -> Counter {
    counter!(DEAD_LETTERS, "pipeline" => pipeline.to_owned(), "class" => class)
}

/// What runs: once for each pipeline that a process has to do with.
pub fn build_info(pipeline: &str) {
    gauge!(
        BUILD_INFO,
        "pipeline" => pipeline.to_owned(),
        "version" => env!("CARGO_PKG_VERSION"),
        "revision" => option_env!("PIPELINE_REVISION").unwrap_or("unknown"),
        "librdkafka" => crate::librdkafka::version(),
    )
    .set(1.0);
}
