//! [`Progress`], to which the engine and the clients report.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use metrics::Counter;

use super::{
    brokers::{Client, ClientStatistics, Clients},
    dead_letters::DeadLetterLog,
    handles::{self, Handles, Subject},
    held::HeldBack,
    lag::{self, Lag, OwnedPartitions},
    rebalances::{RebalanceEvent, RebalanceRecord, RebalanceRecords},
    remembered::RememberedState,
};
use crate::record::{Destination, PerTopic, Record, TopicPartition};

/// What an owned partition is doing; one stage at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Waiting for records.
    Poll,
    /// Waiting for room in the budget.
    Wait,
    /// Computing, or waiting for a core.
    Compute,
    /// Waiting for what operators ask: a service, a program.
    Call,
    /// Waiting for acknowledgements.
    Send,
    /// Waiting for a commit.
    Commit,
    /// Being handed over.
    Rebalance,
    /// Waiting until it is read what operators remember.
    Restore,
}

/// How many stages there are.
pub const STAGES: usize = 8;

impl Stage {
    /// All stages.
    pub const ALL: [Stage; STAGES] = [
        Stage::Poll,
        Stage::Wait,
        Stage::Compute,
        Stage::Call,
        Stage::Send,
        Stage::Commit,
        Stage::Rebalance,
        Stage::Restore,
    ];

    /// The value of the label `stage`.
    pub fn name(self) -> &'static str {
        ["poll", "wait", "compute", "call", "send", "commit", "rebalance", "restore"][self as usize]
    }
}

/// What a running pipeline has done so far: for its metrics, its status line, and its readiness.
///
/// Reports come by the batch, to handles that are made once.
pub struct Progress {
    pub(super) subject: Subject,
    consumed: AtomicU64,
    produced: AtomicU64,
    dead_letters: AtomicU64,
    expired: AtomicU64,
    dropped: AtomicU64,
    in_flight: AtomicU64,
    joined: AtomicBool,
    /// Nanoseconds spent in each stage, of all partitions together.
    pub(super) stages: [AtomicU64; STAGES],
    /// Nanoseconds in which no record was taken, for want of room.
    pub(super) paused: AtomicU64,
    /// Nanoseconds that the next assignment's offsets took to fetch.
    offsets_took: AtomicU64,
    pub(super) partitions: Mutex<OwnedPartitions>,
    pub(super) clients: Mutex<Clients>,
    pub(super) held: Mutex<HeldBack>,
    rebalances: Mutex<RebalanceRecords>,
    /// Classes of dead letters that were not known at the start.
    more_classes: Mutex<BTreeMap<&'static str, Counter>>,
    dead_letter_log: Mutex<DeadLetterLog>,
    remembered: RememberedState,
    /// What somebody wants of the worker while it runs, in words, and whether it is that it pauses.
    wanted: Mutex<(bool, Option<String>)>,
    handles: Handles,
}

impl Progress {
    /// Starts at nothing done. Registers every series of the pipeline, at 0.
    pub fn new(subject: Subject) -> Self {
        Progress {
            handles: Handles::new(&subject),
            remembered: RememberedState::new(&subject.pipeline),
            subject,
            consumed: AtomicU64::new(0),
            produced: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            joined: AtomicBool::new(false),
            stages: Default::default(),
            paused: AtomicU64::new(0),
            offsets_took: AtomicU64::new(0),
            partitions: Mutex::default(),
            clients: Mutex::default(),
            held: Mutex::default(),
            rebalances: Mutex::default(),
            more_classes: Mutex::default(),
            dead_letter_log: Mutex::default(),
            wanted: Mutex::default(),
        }
    }

    /// What its operators remember.
    pub(crate) fn remembered(&self) -> &RememberedState {
        &self.remembered
    }

    /// The pipeline's name.
    pub fn pipeline(&self) -> &str {
        &self.subject.pipeline
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

    /// Requests dropped so far because their deadline had passed.
    pub fn records_expired(&self) -> u64 {
        self.expired.load(Relaxed)
    }

    /// Records of which the operators have made nothing, such as those that a filter drops.
    pub fn records_dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Records read and not done yet.
    pub fn records_in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// Records from the low watermarks to the ends of the owned partitions.
    pub fn lag(&self) -> u64 {
        lock(&self.partitions).records()
    }

    /// The number of owned partitions.
    pub fn partitions(&self) -> usize {
        lock(&self.partitions).len()
    }

    /// Whether the group has been joined: true from the first assignment on, even an empty one.
    pub fn is_joined(&self) -> bool {
        self.joined.load(Relaxed)
    }

    /// The latest rebalances, the oldest first.
    pub fn rebalances(&self) -> Vec<RebalanceRecord> {
        lock(&self.rebalances).iter().cloned().collect()
    }

    /// The reason for the group's last rebalance, in librdkafka's words.
    pub fn rebalance_reason(&self) -> String {
        lock(&self.clients).rebalance_reason().to_owned()
    }

    /// The time that all partitions have spent in a stage.
    pub fn stage(&self, stage: Stage) -> Duration {
        Duration::from_nanos(self.stages[stage as usize].load(Relaxed))
    }

    pub(crate) fn consumed(&self, topic: &str, records: u64, bytes: u64) {
        self.consumed.fetch_add(records, Relaxed);
        self.handles.sources.of(topic, |source| {
            source.records.increment(records);
            source.bytes.increment(bytes);
        });
        self.handles.batch_records.record(records as f64);
    }

    /// An operator computed that many records in that time.
    pub(crate) fn operator_took(&self, operator: usize, records: usize, took: Duration) {
        if let (Some(process), true) = (self.handles.process.get(operator), records > 0) {
            process.record_many(took.as_secs_f64() / records as f64, records);
        }
    }

    /// Attempts of an operator failed, and are retried.
    pub(crate) fn retried(&self, attempts: u64) {
        self.handles.operator_retries.increment(attempts);
        self.handles.passing_errors.increment(attempts);
    }

    /// Requests were dropped because their deadline had passed.
    pub(crate) fn expired(&self, requests: u64) {
        self.expired.fetch_add(requests, Relaxed);
        self.handles.expired.increment(requests);
    }

    /// The operators made nothing of that many records.
    pub(crate) fn dropped(&self, records: u64) {
        self.dropped.fetch_add(records, Relaxed);
        self.handles.dropped.increment(records);
    }

    /// Bytes of results and of dead letters.
    pub(crate) fn sent(&self, to: Destination, bytes: u64) {
        self.handles.produced[to].bytes.increment(bytes);
    }

    pub(crate) fn dead_letter(&self, class: &'static str) {
        match self.handles.classes.get(class) {
            Some(counter) => counter.increment(1),
            None => lock(&self.more_classes)
                .entry(class)
                .or_insert_with(|| handles::dead_letters(self.pipeline(), class))
                .increment(1),
        }
        self.handles.bad_input_errors.increment(1);
    }

    /// Warns of a dead letter that is sent now, if it is the first of its class.
    pub(crate) fn warn_of_dead_letter(&self, letter: &Record, now: Duration) {
        let warning = lock(&self.dead_letter_log).add(letter, &self.subject.sink.dead_letters, now);
        warning.into_iter().for_each(|warning| self.warn(&warning));
    }

    /// Warns of the dead letters that have come since the last warning, where that is a minute ago, or in any case.
    pub(crate) fn warn_of_more_dead_letters(&self, now: Duration, all: bool) {
        let due = lock(&self.dead_letter_log).due(&self.subject.sink.dead_letters, now, all);
        due.iter().for_each(|warning| self.warn(warning));
    }

    fn warn(&self, warning: &str) {
        tracing::warn!(pipeline = self.pipeline(), "{warning}");
    }

    /// Records were acknowledged, that long after they were handed over.
    pub(crate) fn acknowledged(&self, to: Destination, records: usize, took: Duration) {
        let all = if to == Destination::DeadLetter { &self.dead_letters } else { &self.produced };
        all.fetch_add(records as u64, Relaxed);
        let topic = &self.handles.produced[to];
        topic.records.increment(records as u64);
        topic.ack_duration.record_many(took.as_secs_f64(), records);
    }

    /// Sets the number of records read but not computed, and computed but not acknowledged.
    pub(crate) fn holds(&self, input: u64, output: u64) {
        if self.in_flight.swap(input + output, Relaxed) != input + output || input + output > 0 {
            self.handles.input_records.set(input as f64);
            self.handles.output_records.set(output as f64);
        }
    }

    pub(crate) fn holds_bytes(&self, input: u64, output: u64) {
        self.handles.input_bytes.set(input as f64);
        self.handles.output_bytes.set(output as f64);
    }

    /// Sets the number of results and dead letters in the producer's queue.
    pub(crate) fn queues(&self, queued: &PerTopic<u64>) {
        queued.destinations().for_each(|(to, queued)| self.handles.produced[to].queue.set(*queued as f64));
    }

    /// Partitions spent that long in that stage.
    pub(crate) fn spent(&self, stage: Stage, partitions: u32, time: Duration) {
        self.stages[stage as usize].fetch_add(nanos(time * partitions), Relaxed);
    }

    /// No record was taken for that long, for want of room.
    pub(crate) fn paused(&self, time: Duration) {
        self.paused.fetch_add(nanos(time), Relaxed);
    }

    /// Somebody wants that of the worker: that it pauses, or something else; `None` where nobody says anything.
    pub fn wants(&self, pause: bool, words: Option<String>) {
        self.handles.paused.set(if pause { 1.0 } else { 0.0 });
        *lock(&self.wanted) = (pause, words);
    }

    /// Whether somebody has paused the worker.
    pub fn is_held(&self) -> bool {
        lock(&self.wanted).0
    }

    /// What somebody wants of the worker, in words.
    pub fn wanted(&self) -> Option<String> {
        lock(&self.wanted).1.clone()
    }

    /// Sets how many partitions are paused now, for want of room.
    pub(crate) fn is_paused(&self, paused: bool) {
        let partitions = if paused { self.partitions() } else { 0 };
        self.handles.paused_partitions.set(partitions as f64);
    }

    pub(crate) fn committed(&self, records: u64, took: Duration) {
        self.handles.commit_records.record(records as f64);
        self.handles.commit_duration.record(took.as_secs_f64());
    }

    pub(crate) fn commit_failed(&self) {
        self.handles.commit_failures.increment(1);
        self.handles.commit_errors.increment(1);
        self.handles.commit_retries.increment(1);
    }

    /// A transaction was committed, that long after its first record.
    pub(crate) fn transaction_committed(&self, took: Duration) {
        self.handles.committed.increment(1);
        self.handles.committed_duration.record(took.as_secs_f64());
    }

    /// A transaction was aborted, that long after its first record.
    pub(crate) fn transaction_aborted(&self, took: Duration) {
        self.handles.aborted.increment(1);
        self.handles.aborted_duration.record(took.as_secs_f64());
    }

    /// This producer was fenced by another one.
    pub(crate) fn fenced(&self) {
        self.handles.fenced.increment(1);
    }

    /// The producer was replaced, because a late request of it could have ended the next transaction.
    pub(crate) fn renewed(&self) {
        self.handles.renewals.increment(1);
    }

    /// Fetching the offsets of the next assignment took that long.
    pub(crate) fn offsets_took(&self, took: Duration) {
        self.offsets_took.store(nanos(took), Relaxed);
    }

    /// Partitions were assigned.
    pub(crate) fn assigned(&self, partitions: Vec<TopicPartition>) {
        self.joined.store(true, Relaxed);
        let took = Duration::from_nanos(self.offsets_took.swap(0, Relaxed));
        self.rebalanced(RebalanceEvent::Assign, partitions, vec![("asking for offsets", took)], "");
    }

    /// Partitions were handed over, or abandoned if not everything was done.
    pub(crate) fn revoked(
        &self,
        partitions: Vec<TopicPartition>,
        phases: Vec<(&'static str, Duration)>,
        note: &'static str,
    ) {
        self.rebalanced(RebalanceEvent::Revoke, partitions, phases, note);
    }

    /// Partitions were lost.
    pub(crate) fn lost(&self, partitions: Vec<TopicPartition>) {
        self.rebalanced(RebalanceEvent::Lost, partitions, vec![], "what was not committed is done again");
    }

    fn rebalanced(
        &self,
        event: RebalanceEvent,
        partitions: Vec<TopicPartition>,
        phases: Vec<(&'static str, Duration)>,
        note: &'static str,
    ) {
        let record = RebalanceRecord { at: lag::now(), event, partitions, phases, note };
        let took = record.took().as_secs_f64();
        match event {
            RebalanceEvent::Assign => {
                self.handles.assigns.increment(1);
                self.handles.assign_duration.record(took);
            }
            RebalanceEvent::Revoke => {
                self.handles.revokes.increment(1);
                self.handles.revoke_duration.record(took);
            }
            RebalanceEvent::Lost => self.handles.losses.increment(1),
        }
        tracing::info!(pipeline = self.pipeline(), "rebalance: {record}");
        lock(&self.rebalances).push(record);
    }

    /// The clients are being recreated.
    pub fn restarted(&self) {
        self.joined.store(false, Relaxed);
        self.owns(BTreeMap::new());
        lock(&self.clients).clear();
        lock(&self.held).clear();
        self.handles.restarts.increment(1);
        self.handles.client_errors.increment(1);
    }

    /// Replaces the owned partitions and their lag.
    pub(crate) fn owns(&self, lags: BTreeMap<TopicPartition, Lag>) {
        self.handles.sources.own(lags.keys());
        lock(&self.partitions).replace(lags, lag::now());
    }

    /// A client reported its statistics.
    pub(crate) fn statistics(&self, client: Client, statistics: ClientStatistics) {
        if client == Client::Consumer {
            lock(&self.held).report(&statistics.stable, lag::now());
        }
        lock(&self.clients).report(client, statistics);
    }
}

fn nanos(time: Duration) -> u64 {
    // u64 holds five centuries.
    time.as_nanos() as u64
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
