use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::handles::{Event, Handles, Outcome, Stage};
use crate::record::TopicPartition;

/// What a running pipeline has done so far: for its metrics, its status line, and whether it is ready.
///
/// To be told by the batch, not by the record: each call costs some ten nanoseconds.
pub struct Progress {
    pipeline: String,
    consumed: AtomicU64,
    produced: AtomicU64,
    dead_letters: AtomicU64,
    in_flight: AtomicU64,
    joined: AtomicBool,
    /// Nanoseconds by stage.
    stages: [AtomicU64; Stage::ALL.len()],
    /// Nanoseconds.
    paused: AtomicU64,
    /// Lag by owned partition.
    lag: Mutex<BTreeMap<TopicPartition, u64>>,
    handles: Handles,
}

impl Progress {
    /// Nothing has been done yet. Registers every series of the pipeline at 0. `memory` is what may be held,
    /// in bytes.
    pub fn new(pipeline: &str, source: &str, sink: &str, dead_letters: &str, memory: u64) -> Self {
        let handles = Handles::register(pipeline, source, sink, dead_letters);
        handles.memory_budget.set(memory as f64);
        Progress {
            pipeline: pipeline.to_owned(),
            consumed: AtomicU64::new(0),
            produced: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            joined: AtomicBool::new(false),
            stages: Default::default(),
            paused: AtomicU64::new(0),
            lag: Mutex::default(),
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

    /// Records from the next ones to be done to the ends of the owned partitions.
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

    /// Partitions came, or none: the group is joined.
    pub fn assigned(&self) {
        self.joined.store(true, Relaxed);
        self.handles.rebalances[Event::Assign as usize].increment(1);
    }

    /// Partitions were handed over, so long after they were asked for.
    pub fn revoked(&self, took: Duration) {
        self.handles.rebalances[Event::Revoke as usize].increment(1);
        self.handles.revoke_duration.record(took.as_secs_f64());
    }

    /// Partitions were somebody else's already.
    pub fn lost(&self) {
        self.handles.rebalances[Event::Lost as usize].increment(1);
    }

    /// The clients are made anew, and the group is to be joined again.
    pub fn restarted(&self) {
        self.joined.store(false, Relaxed);
        self.owns(BTreeMap::new());
        self.handles.restarts.increment(1);
    }

    /// The partitions that are owned now and their lag, in records; what is not among them leaves no series.
    pub fn owns(&self, lag: BTreeMap<TopicPartition, u64>) {
        self.handles.partitions.set(lag.len() as f64);
        *lock(&self.lag) = lag;
    }

    /// A batch was read.
    pub fn consumed(&self, records: u64, bytes: u64) {
        self.consumed.fetch_add(records, Relaxed);
        self.handles.records_consumed.increment(records);
        self.handles.bytes_consumed.increment(bytes);
        self.handles.batch_records.record(records as f64);
    }

    /// Records were computed in one go; some attempts may have failed in passing.
    pub fn computed(&self, records: usize, took: Duration, retries: u64) {
        if records > 0 {
            self.handles.process.record_many(took.as_secs_f64() / records as f64, records);
        }
        self.handles.retries.increment(retries);
    }

    /// Results were handed to the producer.
    pub fn sent(&self, bytes: u64) {
        self.handles.bytes_produced.increment(bytes);
    }

    /// A dead letter was handed to the producer.
    pub fn dead_letter(&self, class: &'static str) {
        self.handles.dead_letter(class);
    }

    /// The broker has acknowledged records.
    pub fn acknowledged(&self, results: u64, dead_letters: u64) {
        self.produced.fetch_add(results, Relaxed);
        self.dead_letters.fetch_add(dead_letters, Relaxed);
        self.handles.records_produced.increment(results);
        self.handles.dead_letters_produced.increment(dead_letters);
    }

    /// So long after results were handed to the producer the last of them was acknowledged.
    pub fn acknowledged_after(&self, took: Duration) {
        self.handles.producer_ack.record(took.as_secs_f64());
    }

    /// Records that are read and not done.
    pub fn holds(&self, records: u64) {
        if self.in_flight.swap(records, Relaxed) != records {
            self.handles.in_flight_records.set(records as f64);
        }
    }

    /// Bytes that are read and not done, and of results that are not acknowledged.
    pub fn holds_bytes(&self, input: u64, output: u64) {
        self.handles.input_bytes.set(input as f64);
        self.handles.output_bytes.set(output as f64);
    }

    /// Nothing was read for so long, as the budget was used up.
    pub fn paused(&self, time: Duration) {
        self.paused.fetch_add(time.as_nanos() as u64, Relaxed);
    }

    /// So much time went there.
    pub fn spent(&self, stage: Stage, time: Duration) {
        self.stages[stage as usize].fetch_add(time.as_nanos() as u64, Relaxed);
    }

    /// A commit went through. `transaction` says whether it was one.
    pub fn committed(&self, records: u64, took: Duration, transaction: bool) {
        self.handles.commit_records.record(records as f64);
        self.handles.commit_duration.record(took.as_secs_f64());
        if transaction {
            self.handles.transactions[Outcome::Committed as usize].increment(1);
        }
    }

    /// A commit did not go through.
    pub fn commit_failed(&self) {
        self.handles.commit_failures.increment(1);
    }

    /// A transaction was taken back.
    pub fn aborted(&self) {
        self.handles.transactions[Outcome::Aborted as usize].increment(1);
    }

    /// A transaction was ended by the broker, as another worker has taken its place.
    pub fn fenced(&self) {
        self.handles.transactions[Outcome::Fenced as usize].increment(1);
    }

    /// Something went wrong at a stage, beside a record; fatal is what stops the pipeline.
    pub fn failed(&self, stage: Stage, fatal: bool) {
        self.handles.errors[stage as usize][usize::from(fatal)].increment(1);
    }

    pub(super) fn lags(&self) -> BTreeMap<TopicPartition, u64> {
        lock(&self.lag).clone()
    }

    pub(super) fn stage_times(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        let times = self.stages.iter().map(|nanos| Duration::from_nanos(nanos.load(Relaxed)));
        Stage::ALL.iter().map(|stage| stage.name()).zip(times)
    }

    pub(super) fn paused_time(&self) -> Duration {
        Duration::from_nanos(self.paused.load(Relaxed))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
