//! What the engine runs, and what it promises.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Budget, Deduplication, FairBy, ObjectSink, StatePlan, Topology};
use crate::record::{PerTopic, ResultTopic};

/// What holds for results when something fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guarantee {
    /// Nothing is lost; a failure may repeat results.
    AtLeastOnce,
    /// Nothing is lost and nothing is double, for consumers with `read_committed`.
    ExactlyOnce,
}

/// Which results leave in the order of their records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Those of one partition.
    Partition,
    /// Those of one key in one partition; records without a key are in no order.
    Key,
    /// None.
    None,
}

/// What becomes of a result that is larger than its topic takes. The formats are those of the first topics of the sink.
#[derive(Clone)]
pub enum Large {
    /// Its record is a dead letter.
    DeadLetter,
    /// It is cut into [pieces](crate::pieces).
    Pieces(Vec<&'static str>),
    /// It is put into an object store.
    Store(Arc<dyn ObjectSink>, Vec<&'static str>),
}

/// How often and when a failure that may pass is tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryPolicy {
    /// Attempts before the record becomes a dead letter; at least one.
    pub attempts: u32,
    /// Pause before the second attempt; doubled for each next one.
    pub backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
}

/// How failures that may pass are tried again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retries {
    /// Those of which nothing else is said.
    pub otherwise: RetryPolicy,
    /// Others, by the [name of the failure](crate::operator::OperatorError::Passing).
    pub by_failure: BTreeMap<String, RetryPolicy>,
    /// Where records wait whose attempts have failed: one topic after the other, before they become dead letters.
    pub topics: Vec<RetryTopic>,
}

impl Retries {
    /// How a failure of that name is tried again.
    pub fn of(&self, failure: &str) -> &RetryPolicy {
        self.by_failure.get(failure).unwrap_or(&self.otherwise)
    }
}

/// Where records wait whose attempts have failed, before they are tried again: a topic that the pipeline writes and reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetryTopic {
    /// The topic's name.
    pub topic: String,
    /// How long a record waits there.
    pub after: Duration,
    /// Which of the sink's topics it is.
    pub to: ResultTopic,
}

impl RetryPolicy {
    /// The pause after `failed` attempts, shortened at random by up to half, so that workers that failed
    /// together do not try again together. `random` is from 0 to under 1.
    pub(super) fn pause(&self, failed: u32, random: f64) -> Duration {
        let doubled =
            self.backoff.saturating_mul(1u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.min(self.max_backoff).mul_f64(1.0 - random / 2.0)
    }
}

/// Everything that the engine needs to know of a pipeline.
pub struct Plan {
    /// The operators.
    pub topology: Topology,
    /// What holds when something fails.
    pub guarantee: Guarantee,
    /// Which results leave in order.
    pub order: Order,
    /// What tells requesters apart, where they get fair shares of the cores.
    pub fair_by: Option<FairBy>,
    /// Which records of the source are the same, where those that come again are left out.
    pub deduplication: Option<Arc<Deduplication>>,
    /// Where operators remember earlier records, where some do. Then the records of a partition come one after the other.
    pub state: Option<StatePlan>,
    /// Whether records are requests, whose headers may say where the reply is wanted, and until when.
    pub requests: bool,
    /// The longest time between two commits while there is something to commit.
    pub commit_interval: Duration,
    /// The number of done records that makes a commit due before its time.
    pub commit_records: u64,
    /// How failures that may pass are tried again.
    pub retries: Retries,
    /// The largest record that each topic takes, in bytes as [`wire_size`](crate::record::wire_size) counts.
    pub largest: PerTopic<u64>,
    /// What becomes of larger results.
    pub large: Large,
    /// For how long from the start those sizes are certain: a record that is refused for its size
    /// nevertheless is found by sending records alone. Later, a refusal asks for new clients, with
    /// [`Stop::TopicLimits`](super::Stop::TopicLimits).
    pub limits_hold: Duration,
    /// Room for records that are read and not done, as the source counts them.
    pub input: Budget,
    /// Room for results, from their computing to their acknowledgement.
    pub budget: Budget,
    /// How long a graceful stop, or a hand-over of partitions, may take.
    pub shutdown_timeout: Duration,
    /// Whether to stop once all that was in the source at the start is done and committed.
    pub drain: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_shortened_by_half_at_most() {
        let retry = RetryPolicy {
            attempts: 9,
            backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(1),
        };
        let pauses: Vec<u128> = (1..=6).map(|failed| retry.pause(failed, 0.0).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_000, 1_000]);
        assert!(retry.pause(1, 0.999) >= Duration::from_millis(50));
        assert_eq!(retry.pause(u32::MAX, 0.0), Duration::from_secs(1));
    }
}
