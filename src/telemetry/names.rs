//! Every metric's name, kind, labels and meaning, in one place. `docs/metrics.md` is generated from it.

use std::fmt::Write as _;

use metrics::{Unit, describe_counter, describe_gauge};

/// A metric's type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only goes up; Prometheus takes its rate.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values by bucket.
    Histogram,
}

impl Kind {
    /// The type's name in Prometheus' text format.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// Which processes have a metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Of {
    /// `pipeline run`.
    Workers,
    /// `pipeline run`, if the pipeline has the operator `factorial`.
    Factorial,
    /// Callers: the gateway, the load generator.
    Callers,
    /// `pipeline scale`.
    Scale,
}

/// A metric. Each has the label `pipeline` as well.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its full name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its unit, if it has one.
    pub unit: Option<Unit>,
    /// Which processes have it.
    pub of: Of,
    /// Its labels besides `pipeline`.
    pub labels: &'static [&'static str],
    /// Its meaning, for `# HELP` and the docs.
    pub meaning: &'static str,
}

macro_rules! metrics_table {
    ($($of:ident { $($constant:ident $name:literal $kind:ident $unit:expr, [$($label:literal),*] $meaning:literal;)* })*) => {
        $($(#[doc = $meaning] pub const $constant: &str = concat!("pipeline_", $name);)*)*
        /// All metrics.
        pub const METRICS: &[Metric] = &[$($(Metric {
            name: $constant, kind: Kind::$kind, unit: $unit, of: Of::$of, labels: &[$($label),*], meaning: $meaning,
        }),*),*];
    };
}

const NONE: Option<Unit> = None;
const SECONDS: Option<Unit> = Some(Unit::Seconds);
const BYTES: Option<Unit> = Some(Unit::Bytes);

metrics_table! {
Workers {
    RECORDS_CONSUMED "records_consumed_total" Counter NONE, ["topic"] "Records read.";
    RECORDS_PRODUCED "records_produced_total" Counter NONE, ["topic"] "Records acknowledged by the broker.";
    BYTES_CONSUMED "bytes_consumed_total" Counter BYTES, ["topic"] "Keys, values and headers read, before compression.";
    BYTES_PRODUCED "bytes_produced_total" Counter BYTES, ["topic"] "Keys, values and headers sent, before compression.";
    STAGE_SECONDS "stage_seconds_total" Counter SECONDS, ["stage"] "Where the time of the owned partitions goes: `poll` waits for records, `restore` until it is read what operators remember, `wait` for room in the budget, `compute`, `call` waits for what operators ask, `send` until acknowledged, `commit`, `rebalance`. A partition is in one stage at a time, so the stages add up to the partitions' time.";
    PROCESS_DURATION "record_process_duration_seconds" Histogram SECONDS, ["operator"] "Computing one record, averaged over its chunk.";
    BATCH_RECORDS "batch_records" Histogram NONE, [] "Records in a batch that was read.";
    IN_FLIGHT_RECORDS "in_flight_records" Gauge NONE, ["stage"] "Records held: stage `input` is read but not computed, `output` is computed but not acknowledged.";
    IN_FLIGHT_BYTES "in_flight_bytes" Gauge BYTES, ["stage"] "Bytes held: stage `input` is read but not done, `output` is results being computed or not acknowledged.";
    MEMORY_BUDGET "memory_budget_bytes" Gauge BYTES, [] "The memory budget: limits.memory.";
    PAUSED_SECONDS "consumer_paused_seconds_total" Counter SECONDS, [] "Time in which no record was taken from the consumer, as the budget was full, the rate was reached, or `pipeline pause` said so.";
    PAUSED_PARTITIONS "consumer_paused_partitions" Gauge NONE, [] "Partitions of which no record is taken now, as the budget is full, the rate is reached, or `pipeline pause` says so.";
    PAUSED "paused" Gauge NONE, [] "1 while the worker takes no record, because `pipeline pause` says so; otherwise 0.";
    ASSIGNED_PARTITIONS "assigned_partitions" Gauge NONE, ["topic"] "Partitions assigned to this process.";
    LAG_RECORDS "consumer_lag_records" Gauge NONE, ["topic", "partition"] "Records from the first that is not done to the partition's end; of owned partitions only.";
    LAG_SECONDS "consumer_lag_seconds" Gauge SECONDS, ["topic", "partition"] "Age, by its own timestamp, of the first record that is not committed; before it is read, how long there has been lag; of owned partitions only.";
    HELD_RECORDS "consumer_held_records" Gauge NONE, ["topic", "partition"] "Records from a partition's last stable offset to its end, once everything before is read: an open transaction holds them back (`pipeline transactions list`); of owned partitions only.";
    HELD_SECONDS "consumer_held_seconds" Gauge SECONDS, ["topic", "partition"] "How long the partition's last stable offset has not moved while such records were behind it; of owned partitions only.";
    COMMIT_RECORDS "commit_records" Histogram NONE, [] "Records done between two commits.";
    COMMIT_DURATION "commit_duration_seconds" Histogram SECONDS, [] "A commit, from its request to the answer.";
    COMMIT_FAILURES "commit_failures_total" Counter NONE, [] "Commits that failed; they are retried.";
    TRANSACTIONS "transactions_total" Counter NONE, ["outcome"] "Transactions that ended: `committed`, `aborted`, or `fenced` where another producer took this one's place.";
    PRODUCER_RENEWALS "producer_renewals_total" Counter NONE, [] "How often a producer was replaced after a transaction in which a request was not answered at once, as a late copy of it could end the next one (KIP-890).";
    TRANSACTION_DURATION "transaction_duration_seconds" Histogram SECONDS, ["outcome"] "A transaction, from its first record to its end: `committed` or `aborted`.";
    REBALANCES "rebalances_total" Counter NONE, ["event"] "Partitions came (`assign`), were handed over (`revoke`), or were gone already (`lost`).";
    REBALANCE_DURATION "rebalance_duration_seconds" Histogram SECONDS, ["event"] "`assign`: until it was known where to read from; `revoke`: from being asked for partitions to having handed them over. What is `lost` takes no time.";
    RETRIES "retries_total" Counter NONE, ["class"] "Passing failures that were retried: an `operator`'s attempt, a `commit`.";
    DEAD_LETTERS "dead_letters_total" Counter NONE, ["class"] "Records that went to the dead-letter topic.";
    RECORDS_DROPPED "records_dropped_total" Counter NONE, [] "Records of which the operators made nothing, such as those that a filter drops, and those that have come before where the source leaves them out.";
    STATE_BYTES "state_bytes" Gauge BYTES, [] "What operators remember of earlier records, on the disk of this machine.";
    STATE_RESTORED "state_restored_records_total" Counter NONE, [] "Records of the changelog that were read before records of the source could be computed.";
    STATE_STANDBY_LAG "state_standby_lag_records" Gauge NONE, [] "Records of the changelog that the copies of partitions which other workers have do not have yet.";
    STATE_RESTORING "state_restoring_partitions" Gauge NONE, [] "Partitions whose records wait until it is read what operators remember of them.";
    RECORDS_EXPIRED "records_expired_total" Counter NONE, [] "Requests dropped before they were computed, because their deadline had passed; only where `source.requests` is true.";
    ERRORS "errors_total" Counter NONE, ["stage", "class"] "All that went wrong: in compute passing (tried again) or bad-input (a dead letter), in commit passing (tried again), in clients restart (recreated).";
    RESTARTS "restarts_total" Counter NONE, [] "How often the clients were recreated, because they could not go on.";
    ACK_DURATION "producer_ack_duration_seconds" Histogram SECONDS, ["topic"] "From handing a record's chunk to the producer to the record's acknowledgement.";
    QUEUE_RECORDS "producer_queue_records" Gauge NONE, ["topic"] "Records handed to the producer and not acknowledged.";
    FETCH_QUEUE "kafka_fetch_queue_records" Gauge NONE, [] "Records prefetched by librdkafka.";
    BROKER_RTT "kafka_broker_rtt_seconds" Gauge SECONDS, ["broker"] "The producer's requests to this broker, from sending to the answer, on average (a consumer's fetches wait at the broker, so they are left out).";
    BROKER_UP "kafka_broker_up" Gauge NONE, ["broker"] "1 if a client is connected to this broker, 0 if none can connect.";
    BROKER_ERRORS "kafka_broker_errors_total" Counter NONE, ["broker"] "Failed or unanswered requests and broken connections to this broker.";
    BUILD_INFO "build_info" Gauge NONE, ["version", "revision", "librdkafka"] "Always 1; every process has it.";
}
Factorial {
    FACTORIAL_DURATION "factorial_compute_duration_seconds" Histogram SECONDS, ["method", "size"] "Computing one factorial, its decimal digits included: from a `checkpoint` below, or from `scratch` (or a cached result). By `size`: a result of at most that many digits.";
    FACTORIAL_N "factorial_n" Histogram NONE, [] "The n of each factorial computed.";
    FACTORIAL_DIGITS "factorial_result_digits" Histogram NONE, ["method"] "Decimal digits of a result.";
    FACTORIAL_HITS "factorial_checkpoint_hits_total" Counter NONE, ["method"] "Factorials whose checkpoint was already cached.";
    FACTORIAL_FINISHED "factorial_finished_total" Counter NONE, [] "Factorials that were not computed, as their results were finished before (`finished`).";
    LONG_RECORDS "long_records" Gauge NONE, [] "Records that are being computed since more than a second, such as large factorials.";
    LONG_DONE "long_record_done_ratio" Gauge NONE, [] "Which part is done of the one of these that will be the last; 0 where there is none.";
    LONG_LEFT "long_record_left_seconds" Gauge SECONDS, [] "How long that one takes from now on, about.";
}
Callers {
    REQUEST_DURATION "request_duration_seconds" Histogram SECONDS, ["outcome"] "A request's whole time, from when it was due to be sent: `ok`, `error` (a dead letter, or it could not be produced), `timeout`, or `expired` (the caller disconnected first).";
    REQUEST_ACK_DURATION "request_ack_duration_seconds" Histogram SECONDS, [] "From producing a request to its acknowledgement.";
    REQUESTS_IN_FLIGHT "requests_in_flight" Gauge NONE, [] "Requests that wait for an answer.";
    REQUESTS_COALESCED "requests_coalesced_total" Counter NONE, [] "Callers that shared a request already in flight, so that nothing was produced.";
    REQUESTS_KNOWN "requests_known_total" Counter NONE, [] "Callers answered from the cache, so that nothing was produced.";
    REQUESTS_REPEATED "requests_repeated_total" Counter NONE, [] "Requests produced again: their reply partition moved, or another caller waits longer than the first one.";
    REPLIES_LATE "replies_late_total" Counter NONE, [] "Results that no caller waited for: late, or not requested by this process.";
}
Scale {
    BACKLOG_SECONDS "backlog_seconds" Gauge SECONDS, [] "What waits in the source's topics, and of the retry topics what is due, in seconds of work, as the operators estimate the cost of each record.";
    WORKERS_WANTED "workers_wanted" Gauge NONE, [] "How many workers there should be, to empty that within `scale.empty_within` while more arrives.";
    WORKER_SPEED "worker_seconds_per_second" Gauge NONE, [] "How many of these seconds of work a worker does in a second, as measured.";
}
}

/// Buckets of durations, in seconds.
pub const SECONDS_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Buckets of computing times, in seconds: most are far below a millisecond.
pub const COMPUTING_BUCKETS: &[f64] = &[
    1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// Buckets of numbers of records.
pub const RECORDS_BUCKETS: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0];
/// Buckets of what factorials are asked of.
pub const N_BUCKETS: &[f64] =
    &[10.0, 20.0, 50.0, 1e2, 2e2, 5e2, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 2e7];
/// Buckets of numbers of digits.
pub const DIGITS_BUCKETS: &[f64] = &[1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];

/// The upper bounds of a histogram's buckets.
pub fn buckets(name: &str) -> &'static [f64] {
    if [PROCESS_DURATION, FACTORIAL_DURATION].contains(&name) {
        return COMPUTING_BUCKETS;
    }
    match name.rsplit('_').next() {
        Some("seconds") => SECONDS_BUCKETS,
        Some("records") => RECORDS_BUCKETS,
        Some("digits") => DIGITS_BUCKETS,
        _ => N_BUCKETS,
    }
}

/// Tells the exporter what its metrics mean.
pub fn describe() {
    for metric in METRICS {
        let unit = metric.unit.unwrap_or(Unit::Count);
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, unit, metric.meaning),
            Kind::Gauge => describe_gauge!(metric.name, unit, metric.meaning),
            // They are not the exporter's.
            Kind::Histogram => (),
        }
    }
}

/// `docs/metrics.md`.
pub fn metrics_document() -> String {
    let mut text = String::from(
        "# Metrics\n\n\
         Every metric carries the \
         label `pipeline` too, the pipeline's name.\nA histogram has `_bucket`, `_sum` and `_count`.\n",
    );
    let numbers = |buckets: &[f64]| buckets.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
    let sections = [
        (Of::Workers, "Workers: `pipeline run`"),
        (Of::Factorial, "Workers with the operator `factorial`"),
        (Of::Callers, "Callers: `pipeline serve`, `pipeline load`"),
        (Of::Scale, "`pipeline scale`"),
    ];
    for (of, title) in sections {
        // Writing to memory does not fail.
        let _ = write!(text, "\n## {title}\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n");
        for metric in METRICS.iter().filter(|metric| metric.of == of) {
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let (name, kind, meaning) = (metric.name, metric.kind.name(), metric.meaning);
            let _ = writeln!(text, "| `{name}` | {kind} | {} | {meaning} |", labels.join(", "));
        }
    }
    let _ = write!(
        text,
        "\n## Buckets\n\n- seconds: {}\n- seconds of computing: {}\n- records: {}\n- n: {}\n- digits: {}\n",
        numbers(SECONDS_BUCKETS),
        numbers(COMPUTING_BUCKETS),
        numbers(RECORDS_BUCKETS),
        numbers(N_BUCKETS),
        numbers(DIGITS_BUCKETS)
    );
    text.push_str(
        "\n<!-- Made from `src/telemetry/names.rs` (`UPDATE=1 cargo test metrics_document`). -->\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_document_agrees_with_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, metrics_document()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(committed == metrics_document(), "regenerate it: UPDATE=1 cargo test metrics_document");
    }

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        for Metric { name, kind, unit, .. } in METRICS {
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            let base = name.trim_end_matches("_total");
            assert_eq!(base.ends_with("_seconds"), *unit == SECONDS, "{name}");
            assert_eq!(base.contains("bytes"), *unit == BYTES, "{name}");
        }
    }
}
