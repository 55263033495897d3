//! Every metric's name, kind, labels and meaning, in one place.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// What a metric does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts how often values lie where.
    Histogram,
}

/// A metric. Each carries the label `pipeline` as well, but for `pipeline_build_info`.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its whole name.
    pub name: &'static str,
    /// What it does.
    pub kind: Kind,
    /// Its unit, where it has one.
    pub unit: Option<Unit>,
    /// Its own labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub meaning: &'static str,
}

macro_rules! metrics_table {
    ($($constant:ident $name:literal $kind:ident $unit:expr, [$($label:literal),*] $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $constant: &str = concat!("pipeline_", $name);)*
        /// All metrics.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: $constant, kind: Kind::$kind, unit: $unit, labels: &[$($label),*], meaning: $meaning,
        }),*];
    };
}

const SECONDS: Option<Unit> = Some(Unit::Seconds);
const BYTES: Option<Unit> = Some(Unit::Bytes);

metrics_table! {
    RECORDS_CONSUMED "records_consumed_total" Counter None, ["topic"] "Records read.";
    RECORDS_PRODUCED "records_produced_total" Counter None, ["topic"] "Records acknowledged by the broker.";
    BYTES_CONSUMED "bytes_consumed_total" Counter BYTES, ["topic"] "Keys, values and headers read, before compression.";
    BYTES_PRODUCED "bytes_produced_total" Counter BYTES, ["topic"] "Keys, values and headers sent, before compression.";
    BATCH_RECORDS "batch_records" Histogram None, [] "Records in a batch that was read.";
    IN_FLIGHT_RECORDS "in_flight_records" Gauge None, [] "Records read and not done yet.";
    IN_FLIGHT_BYTES "in_flight_bytes" Gauge BYTES, ["stage"] "Bytes held: stage `input` is read and not done, `output` is results computing or not acknowledged.";
    MEMORY_BUDGET "memory_budget_bytes" Gauge BYTES, [] "What may be held: limits.memory.";
    PROCESS_DURATION "record_process_duration_seconds" Histogram SECONDS, [] "Computing one record through all operators, averaged over its chunk.";
    ASSIGNED_PARTITIONS "assigned_partitions" Gauge None, ["topic"] "Partitions assigned to this process.";
    LAG_RECORDS "consumer_lag_records" Gauge None, ["topic", "partition"] "Records from the low watermark to the partition's end; of owned partitions alone.";
    COMMIT_RECORDS "commit_records" Histogram None, [] "Records done between two commits.";
    COMMIT_DURATION "commit_duration_seconds" Histogram SECONDS, [] "A commit, from asking to the answer.";
    COMMIT_FAILURES "commit_failures_total" Counter None, [] "Commits that did not go through; they are tried again.";
    TRANSACTIONS "transactions_total" Counter None, ["outcome"] "Transactions that ended: `committed` or `aborted`.";
    REBALANCES "rebalances_total" Counter None, ["event"] "Partitions came (`assign`), were handed over (`revoke`), or were gone already (`lost`).";
    REBALANCE_DURATION "rebalance_duration_seconds" Histogram SECONDS, ["event"] "From being asked for partitions to having handed them over.";
    RETRIES "retries_total" Counter None, [] "Attempts of an operator that failed in passing.";
    DEAD_LETTERS "dead_letters_total" Counter None, ["class"] "Records that went to the dead-letter topic.";
    ERRORS "errors_total" Counter None, ["stage", "class"] "All that went wrong: in compute passing (tried again) or bad-input (a dead letter), in commit passing (tried again), in clients restart (made anew).";
    RESTARTS "restarts_total" Counter None, [] "How often the clients were made anew, because they could not go on.";
    REQUEST_DURATION "request_duration_seconds" Histogram SECONDS, ["outcome"] "A request, from the asking to its end: `ok`, `error` (a dead letter, or it could not be produced), `timeout`, or `expired` (whoever asked was gone first).";
    REQUEST_ACK_DURATION "request_ack_duration_seconds" Histogram SECONDS, [] "From producing a request to its acknowledgement.";
    REQUESTS_IN_FLIGHT "requests_in_flight" Gauge None, [] "Who waits for an answer.";
    REQUESTS_COALESCED "requests_coalesced_total" Counter None, [] "Who asked for what was on its way already, so that nothing was produced.";
    REQUESTS_KNOWN "requests_known_total" Counter None, [] "Who asked for what was known already, so that nothing was produced.";
    REQUESTS_REPEATED "requests_repeated_total" Counter None, [] "Requests produced once more: their reply partition moved, or somebody waits longer than the first one did.";
    REPLIES_LATE "replies_late_total" Counter None, [] "Results that nobody waited for: late, or never asked for here.";
    RECORDS_EXPIRED "records_expired_total" Counter None, [] "Records dropped before they were computed, because their deadline had passed.";
    BUILD_INFO "build_info" Gauge None, ["version", "revision", "librdkafka"] "Always 1.";
}

/// Buckets of durations, in seconds.
pub const SECONDS_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Buckets of numbers of records.
pub const RECORDS_BUCKETS: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0];

/// Tells the exporter what the metrics mean.
pub fn describe() {
    for metric in METRICS {
        let unit = metric.unit.unwrap_or(Unit::Count);
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, unit, metric.meaning),
            Kind::Gauge => describe_gauge!(metric.name, unit, metric.meaning),
            Kind::Histogram => describe_histogram!(metric.name, unit, metric.meaning),
        }
    }
}
