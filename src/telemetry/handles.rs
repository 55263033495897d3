//! A pipeline's series, looked up once: a kept handle costs 5 to 30 ns a call, a lookup twice as much.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::names::*;

/// Classes of dead letters that are known before the first one: a series that is born at 1 shows no increase.
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

/// Where a lane's time goes; the stages of one add up to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Asking the consumer for records.
    Poll,
    /// Having nothing to do, or no room.
    Wait,
    /// Operators.
    Compute,
    /// Handing records to the producer, and their acknowledgement.
    Send,
    /// Committing.
    Commit,
    /// Handing partitions over.
    Rebalance,
}

impl Stage {
    pub(super) const ALL: [Stage; 6] =
        [Stage::Poll, Stage::Wait, Stage::Compute, Stage::Send, Stage::Commit, Stage::Rebalance];

    pub(super) fn name(self) -> &'static str {
        match self {
            Stage::Poll => "poll",
            Stage::Wait => "wait",
            Stage::Compute => "compute",
            Stage::Send => "send",
            Stage::Commit => "commit",
            Stage::Rebalance => "rebalance",
        }
    }
}

/// What happened to partitions, in the order of [`Handles::rebalances`].
pub enum Event {
    Assign,
    Revoke,
    Lost,
}

/// How a transaction ended, in the order of [`Handles::transactions`].
pub enum Outcome {
    Committed,
    Aborted,
    Fenced,
}

pub struct Handles {
    pipeline: String,
    pub records_consumed: Counter,
    pub bytes_consumed: Counter,
    pub batch_records: Histogram,
    pub records_produced: Counter,
    pub bytes_produced: Counter,
    pub dead_letters_produced: Counter,
    pub producer_ack: Histogram,
    pub in_flight_records: Gauge,
    pub input_bytes: Gauge,
    pub output_bytes: Gauge,
    pub memory_budget: Gauge,
    pub process: Histogram,
    pub partitions: Gauge,
    pub commit_records: Histogram,
    pub commit_duration: Histogram,
    pub commit_failures: Counter,
    pub transactions: [Counter; 3],
    pub rebalances: [Counter; 3],
    pub revoke_duration: Histogram,
    /// By stage; the first of each is passing, the second fatal.
    pub errors: [[Counter; 2]; Stage::ALL.len()],
    pub retries: Counter,
    pub restarts: Counter,
    dead_letters: Mutex<BTreeMap<&'static str, Counter>>,
}

impl Handles {
    pub fn register(pipeline: &str, source: &str, sink: &str, dead_letters: &str) -> Handles {
        let p = || pipeline.to_owned();
        let plain = |name: &'static str| counter!(name, "pipeline" => p());
        let plain_gauge = |name: &'static str| gauge!(name, "pipeline" => p());
        let plain_histogram = |name: &'static str| histogram!(name, "pipeline" => p());
        let topic =
            |name: &'static str, topic: &str| counter!(name, "pipeline" => p(), "topic" => topic.to_owned());
        let one = |name: &'static str, label: &'static str, value: &'static str| counter!(name, "pipeline" => p(), label => value);
        let held = |stage: &'static str| gauge!(IN_FLIGHT_BYTES, "pipeline" => p(), "stage" => stage);
        let error = |stage: Stage, class: &'static str| counter!(ERRORS, "pipeline" => p(), "stage" => stage.name(), "class" => class);
        Handles {
            pipeline: p(),
            records_consumed: topic(RECORDS_CONSUMED, source),
            bytes_consumed: topic(BYTES_CONSUMED, source),
            batch_records: plain_histogram(BATCH_RECORDS),
            records_produced: topic(RECORDS_PRODUCED, sink),
            bytes_produced: topic(BYTES_PRODUCED, sink),
            dead_letters_produced: topic(RECORDS_PRODUCED, dead_letters),
            producer_ack: histogram!(PRODUCER_ACK, "pipeline" => p(), "topic" => sink.to_owned()),
            in_flight_records: plain_gauge(IN_FLIGHT_RECORDS),
            input_bytes: held("input"),
            output_bytes: held("output"),
            memory_budget: plain_gauge(MEMORY_BUDGET),
            process: plain_histogram(PROCESS_DURATION),
            partitions: gauge!(ASSIGNED_PARTITIONS, "pipeline" => p(), "topic" => source.to_owned()),
            commit_records: plain_histogram(COMMIT_RECORDS),
            commit_duration: plain_histogram(COMMIT_DURATION),
            commit_failures: plain(COMMIT_FAILURES),
            transactions: ["committed", "aborted", "fenced"]
                .map(|outcome| one(TRANSACTIONS, "outcome", outcome)),
            rebalances: ["assign", "revoke", "lost"].map(|event| one(REBALANCES, "event", event)),
            revoke_duration: histogram!(REBALANCE_DURATION, "pipeline" => p(), "event" => "revoke"),
            errors: Stage::ALL.map(|stage| ["passing", "fatal"].map(|class| error(stage, class))),
            retries: plain(RETRIES),
            restarts: plain(RESTARTS),
            dead_letters: Mutex::new(
                CLASSES.iter().map(|class| (*class, one(DEAD_LETTERS, "class", class))).collect(),
            ),
        }
    }

    /// Counts a dead letter; operators may have classes of their own.
    pub fn dead_letter(&self, class: &'static str) {
        let mut classes = self.dead_letters.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = classes
            .entry(class)
            .or_insert_with(|| counter!(DEAD_LETTERS, "pipeline" => self.pipeline.clone(), "class" => class));
        counter.increment(1);
    }
}
