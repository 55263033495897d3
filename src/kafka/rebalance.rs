//! Reports to the engine, in order, which partitions come and go.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

use super::{
    SourceTopics,
    events::Events,
    fetch_queue::{Forward, Place},
    offsets::partitions,
    starts::{self, Reset, Starts},
    statistics,
};
use crate::{
    engine::{Handover, SourceEvent, Stop},
    record::{Offset, TopicPartition, places},
    telemetry::{Client, Progress},
};
use rdkafka::{
    ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance, RebalanceProtocol},
    error::KafkaError,
    statistics::Statistics,
    types::{RDKafkaErrorCode as Code, RDKafkaRespErr},
};

/// The consumer's context: librdkafka calls it on the poll thread.
pub struct Rebalances {
    /// What is subscribed to, for messages.
    topics: String,
    /// The topics of which the partitions with the same numbers are read too.
    beside: Vec<String>,
    pub events: Events,
    pub progress: Arc<Progress>,
    forward: OnceLock<Forward>,
    starts: Starts,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The partitions that are ours; those of one topic share its name.
    assigned: BTreeSet<TopicPartition>,
    /// Those of them that are paused.
    paused: BTreeSet<TopicPartition>,
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
    /// As by default, but with the partitions that go with those of the group.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let ours = self.with_those_beside(list);
        let cooperative = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let changed = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.pre_rebalance(consumer, &Rebalance::Assign(&ours));
                if cooperative { consumer.incremental_assign(&ours) } else { consumer.assign(&ours) }
            }
            _ => {
                match code {
                    RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => {
                        self.pre_rebalance(consumer, &Rebalance::Revoke(&ours));
                    }
                    error => {
                        let error = KafkaError::Rebalance(error.into());
                        self.pre_rebalance(consumer, &Rebalance::Error(error));
                    }
                }
                if cooperative { consumer.incremental_unassign(&ours) } else { consumer.unassign() }
            }
        };
        if let Err(error) = changed {
            let reason =
                format!("the partitions {} cannot be taken or given: {error}", places(&partitions(&ours)));
            lock(&self.state).failure.get_or_insert(Stop::Restart(reason));
        }
    }

    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => self.assign(consumer, list),
            Rebalance::Revoke(list) => self.revoke(consumer, list),
            Rebalance::Error(error) => tracing::warn!(%error, topics = self.topics, "a rebalance failed"),
        }
    }
}

impl Rebalances {
    pub fn new(topics: &SourceTopics, events: Events, progress: Arc<Progress>, reset: Reset) -> Self {
        Rebalances {
            topics: topics.subscribed.join(", "),
            beside: topics.beside.clone(),
            events,
            progress,
            forward: OnceLock::new(),
            starts: Starts::new(reset),
            state: Mutex::default(),
        }
    }

    /// Sets where the data of partitions goes; to be called before the group is joined.
    pub fn forward_to(&self, forward: Forward) {
        // Set once, right after this context is made.
        let _ = self.forward.set(forward);
    }

    /// What is subscribed to, for messages.
    pub fn topics(&self) -> &str {
        &self.topics
    }

    pub fn is_assigned(&self) -> bool {
        !lock(&self.state).assigned.is_empty()
    }

    /// The partitions that are ours, and which of them are paused.
    pub fn assigned_and_paused(&self) -> (Vec<TopicPartition>, BTreeSet<TopicPartition>) {
        let state = lock(&self.state);
        (state.assigned.iter().cloned().collect(), state.paused.clone())
    }

    /// Pauses these partitions: nothing more is fetched from them.
    pub fn pause(&self, consumer: &BaseConsumer<Self>, partitions: &[TopicPartition]) {
        if partitions.is_empty() {
            return;
        }
        match consumer.pause(&list_of(partitions)) {
            Ok(()) => lock(&self.state).paused.extend(partitions.iter().cloned()),
            Err(error) => tracing::warn!(%error, topics = self.topics, "partitions cannot be paused"),
        }
    }

    /// Resumes these partitions, which are paused.
    pub fn resume(&self, consumer: &BaseConsumer<Self>, partitions: &[TopicPartition]) {
        if partitions.is_empty() {
            return;
        }
        match consumer.resume(&list_of(partitions)) {
            Ok(()) => lock(&self.state).paused.retain(|partition| !partitions.contains(partition)),
            Err(error) => tracing::warn!(%error, topics = self.topics, "partitions cannot be resumed"),
        }
    }

    /// The partition of a message, whose name is shared where it is ours.
    pub fn partition(&self, place: Place<'_>) -> TopicPartition {
        let topic = place.topic();
        let state = lock(&self.state);
        let is_it =
            |partition: &&TopicPartition| partition.partition == place.number() && *partition.topic == *topic;
        state
            .assigned
            .iter()
            .find(is_it)
            .cloned()
            .unwrap_or_else(|| TopicPartition::new(&*topic, place.number()))
    }

    /// Fails once with what went wrong in a callback, if anything did.
    pub fn take_failure(&self) -> Result<(), Stop> {
        lock(&self.state).failure.take().map_or(Ok(()), Err)
    }

    /// Reports the ends of the partitions, as of the last fetches.
    pub fn report_ends(&self) {
        let Some(forward) = self.forward.get() else { return };
        let assigned: Vec<TopicPartition> = lock(&self.state).assigned.iter().cloned().collect();
        let ends = assigned
            .into_iter()
            .filter_map(|p| Some((p.clone(), forward.high_watermark(&p.topic, p.partition)?)));
        self.events.send(Ok(SourceEvent::HighWatermarks(ends.collect())));
    }

    /// Succeeds where the consumer can go on in spite of an error of a partition.
    pub fn partition_error(
        &self,
        at: &TopicPartition,
        offset: Offset,
        code: Code,
        reason: &str,
    ) -> Result<(), Stop> {
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
        let assigned: Vec<TopicPartition> = lock(&self.state).assigned.iter().cloned().collect();
        let assignments = self.starts.fetch(consumer, assigned, || self.events.are_wanted())?;
        starts::seek(consumer, &assignments)?;
        self.events.send(Ok(SourceEvent::Rewound(assignments)));
        Ok(())
    }

    /// The partitions that the group shares out, and those that go with them.
    fn with_those_beside(&self, list: &TopicPartitionList) -> TopicPartitionList {
        let of_group = partitions(list);
        let beside = of_group.iter().flat_map(|partition| {
            self.beside.iter().map(|topic| TopicPartition::new(topic.as_str(), partition.partition))
        });
        list_of(&of_group.iter().cloned().chain(beside).collect::<Vec<_>>())
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let new = partitions(list);
        let forwarded =
            new.iter().all(|p| self.forward.get().is_some_and(|f| f.partition(&p.topic, p.partition)));
        let began = Instant::now();
        let assignments = if forwarded {
            self.starts.fetch(consumer, new, || self.events.are_wanted())
        } else {
            Err(Stop::Restart(format!("the fetch queues of {} are not available", self.topics)))
        };
        match assignments {
            Ok(assignments) => {
                lock(&self.state).assigned.extend(assignments.iter().map(|a| a.partition.clone()));
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
            tracing::warn!(partitions = %places(&gone), "partitions were lost: another member may own them already");
            self.events.send(Ok(SourceEvent::Lost(gone.clone(), handover)));
        } else {
            self.events.send(Ok(SourceEvent::Revoked(gone.clone(), handover)));
        }
        // The engine lets go at once, or within its deadline; where it is gone, so is the sender. Tokio's way
        // of blocking would panic where the last owner of the consumer drops it, and so closes it, in a task.
        let _ = futures::executor::block_on(handed_over);
        // Otherwise a partition that comes back would still be paused.
        let mut paused = lock(&self.state).paused.clone();
        paused.retain(|partition| gone.contains(partition));
        self.resume(consumer, &paused.into_iter().collect::<Vec<_>>());
        lock(&self.state).assigned.retain(|partition| !gone.contains(partition));
    }
}

fn list_of(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    list
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
