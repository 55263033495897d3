//! Reports to the engine, in order, which partitions come and go.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

use super::{
    events::Events,
    fetch_queue::Forward,
    offsets::partitions,
    starts::{self, Reset, Starts},
    statistics,
};
use crate::{
    engine::{Handover, SourceEvent, Stop},
    record::{Offset, TopicPartition},
    telemetry::{Client, Progress},
};
use rdkafka::{
    ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance},
    error::KafkaError,
    statistics::Statistics,
    types::RDKafkaErrorCode as Code,
};

/// The consumer's context: librdkafka calls it on the poll thread.
pub struct Rebalances {
    topic: Arc<str>,
    pub events: Events,
    pub progress: Arc<Progress>,
    forward: OnceLock<Forward>,
    starts: Starts,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The partitions that are ours, by number; their names are shared.
    assigned: BTreeMap<i32, TopicPartition>,
    /// Those of them that are paused.
    paused: BTreeSet<i32>,
    /// What went wrong in a callback, which itself cannot return an error.
    failure: Option<Stop>,
}

impl ClientContext for Rebalances {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        super::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        super::log_error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.progress.statistics(Client::Consumer, statistics::read(&statistics));
    }
}

impl ConsumerContext for Rebalances {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => self.assign(consumer, list),
            Rebalance::Revoke(list) => self.revoke(consumer, list),
            Rebalance::Error(error) => tracing::warn!(%error, topic = %self.topic, "a rebalance failed"),
        }
    }
}

impl Rebalances {
    pub fn new(topic: &str, events: Events, progress: Arc<Progress>, reset: Reset) -> Self {
        Rebalances {
            topic: topic.into(),
            events,
            progress,
            forward: OnceLock::new(),
            starts: Starts::new(topic, reset),
            state: Mutex::default(),
        }
    }

    /// Sets where the data of partitions goes; to be called before the group is joined.
    pub fn forward_to(&self, forward: Forward) {
        // Set once, right after this context is made.
        let _ = self.forward.set(forward);
    }

    pub fn topic(&self) -> &str {
        &self.topic
    }

    pub fn is_assigned(&self) -> bool {
        !lock(&self.state).assigned.is_empty()
    }

    /// The numbers of the partitions that are ours, and which of them are paused.
    pub fn assigned_and_paused(&self) -> (Vec<i32>, BTreeSet<i32>) {
        let state = lock(&self.state);
        (state.assigned.keys().copied().collect(), state.paused.clone())
    }

    /// Pauses these partitions: nothing more is fetched from them.
    pub fn pause(&self, consumer: &BaseConsumer<Self>, numbers: &[i32]) {
        if numbers.is_empty() {
            return;
        }
        match consumer.pause(&self.list(numbers)) {
            Ok(()) => lock(&self.state).paused.extend(numbers),
            Err(error) => tracing::warn!(%error, topic = %self.topic, "partitions cannot be paused"),
        }
    }

    /// Resumes these partitions, which are paused.
    pub fn resume(&self, consumer: &BaseConsumer<Self>, numbers: &[i32]) {
        if numbers.is_empty() {
            return;
        }
        match consumer.resume(&self.list(numbers)) {
            Ok(()) => lock(&self.state).paused.retain(|number| !numbers.contains(number)),
            Err(error) => tracing::warn!(%error, topic = %self.topic, "partitions cannot be resumed"),
        }
    }

    fn list(&self, numbers: &[i32]) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(numbers.len());
        for number in numbers {
            list.add_partition(&self.topic, *number);
        }
        list
    }

    /// The partition of that number, whose name is shared.
    pub fn partition(&self, partition: i32) -> TopicPartition {
        let assigned = lock(&self.state).assigned.get(&partition).cloned();
        assigned.unwrap_or_else(|| TopicPartition::new(self.topic.clone(), partition))
    }

    /// Fails once with what went wrong in a callback, if anything did.
    pub fn take_failure(&self) -> Result<(), Stop> {
        lock(&self.state).failure.take().map_or(Ok(()), Err)
    }

    /// Reports the ends of the partitions, as of the last fetches.
    pub fn report_ends(&self) {
        let Some(forward) = self.forward.get() else { return };
        let assigned: Vec<TopicPartition> = lock(&self.state).assigned.values().cloned().collect();
        let ends = assigned
            .into_iter()
            .filter_map(|p| Some((p.clone(), forward.high_watermark(&p.topic, p.partition)?)));
        self.events.send(Ok(SourceEvent::HighWatermarks(ends.collect())));
    }

    /// Succeeds where the consumer can go on in spite of an error of a partition.
    pub fn partition_error(
        &self,
        partition: i32,
        offset: Offset,
        code: Code,
        reason: &str,
    ) -> Result<(), Stop> {
        let at = TopicPartition::new(self.topic.clone(), partition);
        match code {
            // New clients look again for the committed offset, and whether it is in the partition.
            Code::AutoOffsetReset | Code::OffsetOutOfRange => {
                Err(Stop::Restart(format!("a broker says that offset {offset} is not in {at}: {reason}")))
            }
            Code::TopicAuthorizationFailed => {
                Err(Stop::Fatal(format!("the broker does not let this user read {at}: {code}")))
            }
            // librdkafka would skip the batch, and its records would be lost.
            Code::BadMessage | Code::BadCompression | Code::NotImplemented | Code::CriticalSystemResource => {
                Err(Stop::Fatal(format!(
                    "the batch at offset {offset} of {at} cannot be read: {reason}. Nothing after it is read, or its records would be \
                     lost. Repair it (from a replica, or a copy of the topic), or give its records up: stop the group's workers and set \
                     its offset of this partition after the batch (`kafka-consumer-groups.sh --reset-offsets --to-offset`)"
                )))
            }
            _ => {
                tracing::warn!(partition = %at, error = %code, "a partition reports an error; the consumer goes on by itself");
                Ok(())
            }
        }
    }

    /// Goes back to the committed offsets of the assigned partitions. There may be none by now, but the
    /// engine waits for the event.
    pub fn rewind(&self, consumer: &BaseConsumer<Self>) -> Result<(), Stop> {
        let assigned: Vec<TopicPartition> = lock(&self.state).assigned.values().cloned().collect();
        let assignments = self.starts.fetch(consumer, assigned, || self.events.are_wanted())?;
        starts::seek(consumer, &assignments)?;
        self.events.send(Ok(SourceEvent::Rewound(assignments)));
        Ok(())
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let new = partitions(list);
        let forwarded =
            new.iter().all(|p| self.forward.get().is_some_and(|f| f.partition(&p.topic, p.partition)));
        let began = Instant::now();
        let assignments = if forwarded {
            self.starts.fetch(consumer, new, || self.events.are_wanted())
        } else {
            Err(Stop::Restart(format!("the fetch queues of {} are not available", self.topic)))
        };
        match assignments {
            Ok(assignments) => {
                let named = assignments.iter().map(|a| (a.partition.partition, a.partition.clone()));
                lock(&self.state).assigned.extend(named);
                self.progress.offsets_took(began.elapsed());
                starts::assign(list, &assignments);
                self.events.send(Ok(SourceEvent::Assigned(assignments)));
            }
            Err(stop) => lock(&self.state).failure = Some(stop),
        }
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let gone = partitions(list);
        let lost = consumer.assignment_lost();
        let (handover, handed_over) = Handover::new();
        if lost {
            tracing::warn!(topic = %self.topic, partitions = %numbers(&gone), "partitions were lost: another member may own them already");
            self.events.send(Ok(SourceEvent::Lost(gone.clone(), handover)));
        } else {
            self.events.send(Ok(SourceEvent::Revoked(gone.clone(), handover)));
        }
        // The engine lets go at once, or within its deadline; where it is gone, so is the sender. Tokio's way
        // of blocking would panic where the last owner of the consumer drops it, and so closes it, in a task.
        let _ = futures::executor::block_on(handed_over);
        // Otherwise a partition that comes back would still be paused.
        let mut paused = lock(&self.state).paused.clone();
        paused.retain(|number| gone.iter().any(|p| p.partition == *number));
        self.resume(consumer, &paused.into_iter().collect::<Vec<_>>());
        lock(&self.state).assigned.retain(|number, _| !gone.iter().any(|p| p.partition == *number));
    }
}

fn numbers<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> String {
    let numbers: Vec<String> = partitions.into_iter().map(|p| p.partition.to_string()).collect();
    if numbers.is_empty() { "none".to_owned() } else { numbers.join(" ") }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
