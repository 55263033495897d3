//! Handles to a pipeline's metrics, made once and kept.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::names::*;
use crate::record::{PerTopic, TopicPartition, classes::CLASSES};

/// A pipeline's labels, and its memory budget.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// The pipeline's name.
    pub pipeline: String,
    /// The source topics that are known at the start.
    pub sources: Vec<String>,
    /// The topics that are written to.
    pub sink: PerTopic<String>,
    /// The operators' names, in order.
    pub operators: Vec<String>,
    /// The memory budget, in bytes.
    pub memory: u64,
}

/// Every series of a pipeline that the exporter keeps, registered at 0. A field is kept so that reporting a
/// batch looks nothing up; [`names`](super::names) has each metric's meaning.
pub struct Handles {
    /// What came from each source topic.
    pub sources: Sources,
    /// How many records each poll yields: small batches cost more for each record.
    pub batch_records: Histogram,
    /// What went to each topic.
    pub produced: PerTopic<Produced>,
    /// Records read but not computed: a backlog of the pool.
    pub input_records: Gauge,
    /// Records computed but not acknowledged: a backlog of the producer.
    pub output_records: Gauge,
    /// The part of the memory budget that input holds.
    pub input_bytes: Gauge,
    /// The part of the memory budget that results hold.
    pub output_bytes: Gauge,
    /// The time for one record, by operator, in the pipeline's order: which operator is slow.
    pub process: Vec<Histogram>,
    /// Partitions that are paused for want of room.
    pub paused_partitions: Gauge,
    /// 1 while somebody has paused the pipeline.
    pub paused: Gauge,
    /// Records done between two commits: what a crash would repeat.
    pub commit_records: Histogram,
    /// How long a commit takes.
    pub commit_duration: Histogram,
    /// Commits that failed and are retried.
    pub commit_failures: Counter,
    /// Transactions committed.
    pub committed: Counter,
    /// How long they were open: how late `read_committed` readers see results.
    pub committed_duration: Histogram,
    /// Transactions aborted: work that is done again.
    pub aborted: Counter,
    /// How long they were open.
    pub aborted_duration: Histogram,
    /// Transactions ended because another producer took over.
    pub fenced: Counter,
    /// Producers replaced because a late request could have ended the next transaction (KIP-890).
    pub renewals: Counter,
    /// Assignments: how often partitions came.
    pub assigns: Counter,
    /// How long it took to find where to read from.
    pub assign_duration: Histogram,
    /// Revocations: how often partitions were handed over.
    pub revokes: Counter,
    /// How long a hand-over took, during which the whole group may wait.
    pub revoke_duration: Histogram,
    /// How often partitions were lost without a hand-over.
    pub losses: Counter,
    /// An operator's failed attempts that were retried.
    pub operator_retries: Counter,
    /// Commits that were retried.
    pub commit_retries: Counter,
    /// Records of which the operators made nothing.
    pub dropped: Counter,
    /// Requests dropped because their deadline had passed.
    pub expired: Counter,
    /// How often the clients were recreated.
    pub restarts: Counter,
    /// Errors of operators that were retried.
    pub passing_errors: Counter,
    /// Errors of operators that made a dead letter.
    pub bad_input_errors: Counter,
    /// Errors of commits.
    pub commit_errors: Counter,
    /// Errors that the clients did not survive.
    pub client_errors: Counter,
    /// Dead letters by class; a class that is not here is registered with its first one.
    pub classes: BTreeMap<&'static str, Counter>,
}

/// The series of the source topics. One that is found later, by a pattern, is registered with its first record.
pub struct Sources {
    pipeline: String,
    /// A batch at a time, so the lock costs nothing that counts.
    topics: Mutex<BTreeMap<String, Source>>,
}

/// The series of one source topic.
pub struct Source {
    /// Records read: the input rate.
    pub records: Counter,
    /// Bytes of those records.
    pub bytes: Counter,
    /// Partitions that are assigned: how the group shares the work.
    partitions: Gauge,
}

impl Sources {
    fn new(subject: &Subject) -> Self {
        let sources = Sources { pipeline: subject.pipeline.clone(), topics: Mutex::default() };
        subject.sources.iter().for_each(|topic| sources.of(topic, |_| ()));
        sources
    }

    /// Reports to a topic's series.
    pub fn of(&self, topic: &str, report: impl FnOnce(&Source)) {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = topics.get(topic) {
            return report(source);
        }
        let labels = [("pipeline", self.pipeline.clone()), ("topic", topic.to_owned())];
        let source = Source {
            records: counter!(RECORDS_CONSUMED, &labels),
            bytes: counter!(BYTES_CONSUMED, &labels),
            partitions: gauge!(ASSIGNED_PARTITIONS, &labels),
        };
        report(topics.entry(topic.to_owned()).or_insert(source));
    }

    /// These partitions are assigned, and no others.
    pub fn own<'a>(&self, partitions: impl Iterator<Item = &'a TopicPartition>) {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        partitions.for_each(|partition| *counts.entry(&partition.topic).or_default() += 1);
        counts
            .iter()
            .for_each(|(topic, count)| self.of(topic, |source| source.partitions.set(*count as f64)));
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let none = topics.iter().filter(|(topic, _)| !counts.contains_key(topic.as_str()));
        none.for_each(|(_, source)| source.partitions.set(0.0));
    }
}

/// The series of one topic that is written to.
pub struct Produced {
    /// Records acknowledged: the output rate.
    pub records: Counter,
    /// Bytes of those records.
    pub bytes: Counter,
    /// How long an acknowledgement takes: a slow broker shows here.
    pub ack_duration: Histogram,
    /// Records handed to the producer and not acknowledged.
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
            sources: Sources::new(subject),
            batch_records: values(BATCH_RECORDS),
            produced: subject.sink.map(|topic| produced(topic)),
            input_records: held(IN_FLIGHT_RECORDS, "input"),
            output_records: held(IN_FLIGHT_RECORDS, "output"),
            input_bytes: held(IN_FLIGHT_BYTES, "input"),
            output_bytes: held(IN_FLIGHT_BYTES, "output"),
            process: subject.operators.iter().map(|name| times(PROCESS_DURATION, "operator", name)).collect(),
            paused_partitions: gauge!(PAUSED_PARTITIONS, "pipeline" => p.clone()),
            paused: gauge!(PAUSED, "pipeline" => p.clone()),
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
            dropped: plain(RECORDS_DROPPED),
            expired: plain(RECORDS_EXPIRED),
            restarts: plain(RESTARTS),
            passing_errors: error("compute", "passing"),
            bad_input_errors: error("compute", "bad-input"),
            commit_errors: error("commit", "passing"),
            client_errors: error("clients", "restart"),
            classes: CLASSES.iter().map(|(class, _)| (*class, dead_letters(&p, class))).collect(),
        }
    }
}

/// The counter of dead letters of that class.
pub fn dead_letters(pipeline: &str, class: &'static str) -> Counter {
    counter!(DEAD_LETTERS, "pipeline" => pipeline.to_owned(), "class" => class)
}

/// Reports which version runs, once for each pipeline of this process.
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
