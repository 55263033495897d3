use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::names::*;
use crate::record::TopicPartition;

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

/// What a running pipeline has done so far: for its metrics, its status line, and whether it is ready.
///
/// Handles are kept, and everything is told by the batch.
pub struct Progress {
    pipeline: String,
    consumed: AtomicU64,
    produced: AtomicU64,
    dead_letters: AtomicU64,
    in_flight: AtomicU64,
    joined: AtomicBool,
    /// Lag by owned partition; read when metrics are asked for, so that what is gone leaves no series.
    lag: Mutex<BTreeMap<TopicPartition, u64>>,
    classes: Mutex<BTreeMap<&'static str, Counter>>,
    handles: Handles,
}

struct Handles {
    records_consumed: Counter,
    bytes_consumed: Counter,
    batch_records: Histogram,
    records_produced: Counter,
    bytes_produced: Counter,
    dead_letters_produced: Counter,
    in_flight_records: Gauge,
    input_bytes: Gauge,
    output_bytes: Gauge,
    process: Histogram,
    partitions: Gauge,
    commit_records: Histogram,
    commit_duration: Histogram,
    commit_failures: Counter,
    committed: Counter,
    aborted: Counter,
    assigns: Counter,
    revokes: Counter,
    losses: Counter,
    revoke_duration: Histogram,
    retries: Counter,
    expired: Counter,
    restarts: Counter,
    passing_errors: Counter,
    bad_input_errors: Counter,
    commit_errors: Counter,
    client_errors: Counter,
}

impl Progress {
    /// Nothing has been done yet. Registers every series of the pipeline at 0.
    pub fn new(pipeline: &str, source: &str, sink: &str, dead_letters: &str, memory: u64) -> Self {
        let p = pipeline.to_owned();
        gauge!(MEMORY_BUDGET, "pipeline" => p.clone()).set(memory as f64);
        let topic = |name: &'static str, topic: &str| counter!(name, "pipeline" => p.clone(), "topic" => topic.to_owned());
        let plain = |name: &'static str| counter!(name, "pipeline" => p.clone());
        let labelled = |name: &'static str, label: &'static str, value: &'static str| counter!(name, "pipeline" => p.clone(), label => value);
        let stage = |stage: &'static str| gauge!(IN_FLIGHT_BYTES, "pipeline" => p.clone(), "stage" => stage);
        let times = |name: &'static str| histogram!(name, "pipeline" => p.clone());
        let error = |stage: &'static str, class: &'static str| counter!(ERRORS, "pipeline" => p.clone(), "stage" => stage, "class" => class);
        let handles = Handles {
            records_consumed: topic(RECORDS_CONSUMED, source),
            bytes_consumed: topic(BYTES_CONSUMED, source),
            batch_records: times(BATCH_RECORDS),
            records_produced: topic(RECORDS_PRODUCED, sink),
            bytes_produced: topic(BYTES_PRODUCED, sink),
            dead_letters_produced: topic(RECORDS_PRODUCED, dead_letters),
            in_flight_records: gauge!(IN_FLIGHT_RECORDS, "pipeline" => p.clone()),
            input_bytes: stage("input"),
            output_bytes: stage("output"),
            process: times(PROCESS_DURATION),
            partitions: gauge!(ASSIGNED_PARTITIONS, "pipeline" => p.clone(), "topic" => source.to_owned()),
            commit_records: times(COMMIT_RECORDS),
            commit_duration: times(COMMIT_DURATION),
            commit_failures: plain(COMMIT_FAILURES),
            committed: labelled(TRANSACTIONS, "outcome", "committed"),
            aborted: labelled(TRANSACTIONS, "outcome", "aborted"),
            assigns: labelled(REBALANCES, "event", "assign"),
            revokes: labelled(REBALANCES, "event", "revoke"),
            losses: labelled(REBALANCES, "event", "lost"),
            revoke_duration: histogram!(REBALANCE_DURATION, "pipeline" => p.clone(), "event" => "revoke"),
            retries: plain(RETRIES),
            expired: plain(RECORDS_EXPIRED),
            restarts: plain(RESTARTS),
            passing_errors: error("compute", "passing"),
            bad_input_errors: error("compute", "bad-input"),
            commit_errors: error("commit", "passing"),
            client_errors: error("clients", "restart"),
        };
        let classes = CLASSES.iter().map(|class| (*class, labelled(DEAD_LETTERS, "class", class))).collect();
        Progress {
            pipeline: p,
            consumed: AtomicU64::new(0),
            produced: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            joined: AtomicBool::new(false),
            lag: Mutex::default(),
            classes: Mutex::new(classes),
            handles,
        }
    }

    /// The pipeline's name.
    pub fn pipeline(&self) -> &str {
        &self.pipeline
    }

    /// Records read so far.
    pub fn records_in(&self) -> u64 {
        self.consumed.load(Relaxed)
    }

    /// Results acknowledged so far.
    pub fn records_out(&self) -> u64 {
        self.produced.load(Relaxed)
    }

    /// Dead letters acknowledged so far.
    pub fn dead_letters(&self) -> u64 {
        self.dead_letters.load(Relaxed)
    }

    /// Records read and not done yet.
    pub fn records_in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// Records from the low watermarks to the ends of the owned partitions.
    pub fn lag(&self) -> u64 {
        lock(&self.lag).values().sum()
    }

    /// How many partitions are owned.
    pub fn partitions(&self) -> usize {
        lock(&self.lag).len()
    }

    /// Whether the group has been joined: from the first assignment on, an empty one included.
    pub fn is_joined(&self) -> bool {
        self.joined.load(Relaxed)
    }

    pub(crate) fn consumed(&self, records: u64, bytes: u64) {
        self.consumed.fetch_add(records, Relaxed);
        self.handles.records_consumed.increment(records);
        self.handles.bytes_consumed.increment(bytes);
        self.handles.batch_records.record(records as f64);
    }

    pub(crate) fn computed(&self, records: usize, took: Duration, retries: u64) {
        if records > 0 {
            self.handles.process.record_many(took.as_secs_f64() / records as f64, records);
        }
        self.handles.retries.increment(retries);
        self.handles.passing_errors.increment(retries);
    }

    pub(crate) fn expired(&self, records: u64) {
        self.handles.expired.increment(records);
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.handles.bytes_produced.increment(bytes);
    }

    pub(crate) fn dead_letter(&self, class: &'static str) {
        let mut classes = lock(&self.classes);
        let counter = classes
            .entry(class)
            .or_insert_with(|| counter!(DEAD_LETTERS, "pipeline" => self.pipeline.clone(), "class" => class));
        counter.increment(1);
        self.handles.bad_input_errors.increment(1);
    }

    pub(crate) fn acknowledged(&self, results: u64, dead_letters: u64) {
        self.produced.fetch_add(results, Relaxed);
        self.dead_letters.fetch_add(dead_letters, Relaxed);
        self.handles.records_produced.increment(results);
        self.handles.dead_letters_produced.increment(dead_letters);
    }

    pub(crate) fn holds(&self, records: u64) {
        if self.in_flight.swap(records, Relaxed) != records {
            self.handles.in_flight_records.set(records as f64);
        }
    }

    pub(crate) fn holds_bytes(&self, input: u64, output: u64) {
        self.handles.input_bytes.set(input as f64);
        self.handles.output_bytes.set(output as f64);
    }

    pub(crate) fn committed(&self, records: u64, took: Duration, transaction: bool) {
        self.handles.commit_records.record(records as f64);
        self.handles.commit_duration.record(took.as_secs_f64());
        if transaction {
            self.handles.committed.increment(1);
        }
    }

    pub(crate) fn commit_failed(&self) {
        self.handles.commit_failures.increment(1);
        self.handles.commit_errors.increment(1);
    }

    pub(crate) fn aborted(&self) {
        self.handles.aborted.increment(1);
    }

    pub(crate) fn assigned(&self) {
        self.joined.store(true, Relaxed);
        self.handles.assigns.increment(1);
    }

    pub(crate) fn revoked(&self, took: Duration) {
        self.handles.revokes.increment(1);
        self.handles.revoke_duration.record(took.as_secs_f64());
    }

    pub(crate) fn lost(&self) {
        self.handles.losses.increment(1);
    }

    /// The clients are made anew.
    pub fn restarted(&self) {
        self.joined.store(false, Relaxed);
        self.owns(BTreeMap::new());
        self.handles.restarts.increment(1);
        self.handles.client_errors.increment(1);
    }

    /// The owned partitions and their lag, in records.
    pub(crate) fn owns(&self, lag: BTreeMap<TopicPartition, u64>) {
        self.handles.partitions.set(lag.len() as f64);
        *lock(&self.lag) = lag;
    }

    /// The lag of the owned partitions in Prometheus' text format, without the head.
    pub(super) fn render_lag(&self, text: &mut String) {
        for (TopicPartition { topic, partition }, lag) in &*lock(&self.lag) {
            // Writing to memory does not fail.
            let _ = writeln!(
                text,
                "{LAG_RECORDS}{{pipeline=\"{}\",topic=\"{topic}\",partition=\"{partition}\"}} {lag}",
                self.pipeline
            );
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
