//! What happens when partitions come and go, told to the engine in order.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Offset as RdOffset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult},
    statistics::Statistics,
    types::RDKafkaErrorCode as Code,
};
use tokio::sync::mpsc;

use super::{
    fetch_queue::Forward,
    offsets::{commit_list, partitions},
    statistics,
};
use crate::{
    engine::{Assignment, CommitOffset, Handover, SourceEvent, Stop},
    record::{Offset, TopicPartition},
    telemetry::{Client, Progress},
};

/// How long one question to the broker may take while partitions are being assigned.
const ASK: Duration = Duration::from_secs(10);
/// How often it is asked before the clients are made anew.
const ASK_TIMES: u32 = 6;
/// The pause before a partition is sought in again.
const SEEK_PAUSE: Duration = Duration::from_millis(50);

/// Where events go; closed once the consumer has left its group.
pub struct Events(Mutex<Option<mpsc::UnboundedSender<Result<SourceEvent, Stop>>>>);

impl Events {
    pub fn new(sender: mpsc::UnboundedSender<Result<SourceEvent, Stop>>) -> Self {
        Events(Mutex::new(Some(sender)))
    }

    /// Tells the engine; an engine that is gone does not need to know.
    pub fn send(&self, event: Result<SourceEvent, Stop>) {
        if let Some(sender) = &*lock(&self.0) {
            let _ = sender.send(event);
        }
    }

    pub fn close(&self) {
        *lock(&self.0) = None;
    }
}

/// The consumer's context: librdkafka calls it on the poll thread.
pub struct Rebalances {
    topic: Arc<str>,
    pub events: Events,
    pub progress: Arc<Progress>,
    forward: OnceLock<Forward>,
    resets_to_end: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Partitions that are ours, by number, each named once.
    assigned: BTreeMap<i32, TopicPartition>,
    /// The ends of partitions as they were when they were first asked for.
    targets: BTreeMap<i32, Offset>,
    /// Those of them that are paused.
    paused: BTreeSet<i32>,
    /// Something went wrong in a callback, which itself cannot fail.
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
    pub fn new(topic: &str, events: Events, progress: Arc<Progress>, resets_to_end: bool) -> Self {
        Rebalances {
            topic: topic.into(),
            events,
            progress,
            forward: OnceLock::new(),
            resets_to_end,
            state: Mutex::default(),
        }
    }

    /// Where partitions' data is to go. To be set before the group is joined.
    pub fn forward_to(&self, forward: Forward) {
        // Set once, by the one who made this context.
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

    /// Nothing more is fetched of these partitions for now.
    pub fn pause(&self, consumer: &BaseConsumer<Self>, numbers: &[i32]) {
        if numbers.is_empty() {
            return;
        }
        match consumer.pause(&self.list(numbers)) {
            Ok(()) => lock(&self.state).paused.extend(numbers),
            Err(error) => tracing::warn!(%error, topic = %self.topic, "partitions cannot be paused"),
        }
    }

    /// These partitions, which are paused, are fetched again.
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

    /// The partition of that number; its name is shared.
    pub fn partition(&self, partition: i32) -> TopicPartition {
        let assigned = lock(&self.state).assigned.get(&partition).cloned();
        assigned.unwrap_or_else(|| TopicPartition::new(self.topic.clone(), partition))
    }

    /// What went wrong in a callback, once.
    pub fn take_failure(&self) -> Result<(), Stop> {
        lock(&self.state).failure.take().map_or(Ok(()), Err)
    }

    /// Tells the partitions' ends, as the last fetches told them.
    pub fn tell_ends(&self) {
        let Some(forward) = self.forward.get() else { return };
        let assigned: Vec<TopicPartition> = lock(&self.state).assigned.values().cloned().collect();
        let ends = assigned
            .into_iter()
            .filter_map(|p| Some((p.clone(), forward.high_watermark(&p.topic, p.partition)?)));
        self.events.send(Ok(SourceEvent::HighWatermarks(ends.collect())));
    }

    /// Whether the consumer can go on in spite of what it was told of a partition.
    pub fn partition_error(
        &self,
        partition: i32,
        offset: Offset,
        code: Code,
        reason: &str,
    ) -> Result<(), Stop> {
        let at = TopicPartition::new(self.topic.clone(), partition);
        match code {
            Code::AutoOffsetReset | Code::OffsetOutOfRange => Err(Stop::Fatal(format!(
                "the committed offset of {at} is not retained any more, and auto.offset.reset does not say where to go on: {code}"
            ))),
            Code::TopicAuthorizationFailed => {
                Err(Stop::Fatal(format!("the broker does not let this user read {at}: {code}")))
            }
            // librdkafka goes on behind the batch, and its records would be lost.
            Code::BadMessage | Code::BadCompression | Code::NotImplemented | Code::CriticalSystemResource => {
                Err(Stop::Fatal(format!(
                    "the batch at offset {offset} of {at} cannot be read: {reason}. Nothing behind it is read, or its records would be \
                     lost. Mend it (from a replica, or a copy of the topic), or give its records up: stop the group's workers and set \
                     its offset of this partition behind the batch (`kafka-consumer-groups.sh --reset-offsets --to-offset`)"
                )))
            }
            _ => {
                tracing::warn!(partition = %at, error = %code, "a partition has trouble; the consumer goes on by itself");
                Ok(())
            }
        }
    }

    /// Goes back to the committed offsets of what is assigned, which may be nothing by now: the engine waits
    /// for the answer all the same.
    pub fn rewind(&self, consumer: &BaseConsumer<Self>) -> Result<(), Stop> {
        let assigned: Vec<TopicPartition> = lock(&self.state).assigned.values().cloned().collect();
        let assignments = self.ask(consumer, assigned)?;
        let began = Instant::now();
        while let Err(error) = seek(consumer, &assignments) {
            // A partition that came a moment ago cannot be sought in before its fetching has begun.
            let passing = matches!(error.rdkafka_error_code(), Some(Code::State | Code::PreviousInProgress));
            if !passing || began.elapsed() > ASK {
                return Err(Stop::Restart(format!("cannot go back to the committed offsets: {error}")));
            }
            std::thread::sleep(SEEK_PAUSE);
        }
        self.events.send(Ok(SourceEvent::Rewound(assignments)));
        Ok(())
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let new = partitions(list);
        let forwarded =
            new.iter().all(|p| self.forward.get().is_some_and(|f| f.partition(&p.topic, p.partition)));
        let began = Instant::now();
        let assignments = if forwarded {
            self.ask(consumer, new)
        } else {
            Err(Stop::Restart(format!("the queues of {} could not be had", self.topic)))
        };
        match assignments {
            Ok(assignments) => {
                let named = assignments.iter().map(|a| (a.partition.partition, a.partition.clone()));
                lock(&self.state).assigned.extend(named);
                self.progress.asked_offsets(began.elapsed());
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
            tracing::warn!(topic = %self.topic, partitions = %numbers(&gone), "lost: somebody else may own them already");
            self.events.send(Ok(SourceEvent::Lost(gone.clone(), handover)));
        } else {
            self.events.send(Ok(SourceEvent::Revoked(gone.clone(), handover)));
        }
        // The engine lets go at once, or within its deadline; if it is gone, so is the sender.
        let _ = handed_over.blocking_recv();
        // A partition that comes back would still be paused.
        let mut paused = lock(&self.state).paused.clone();
        paused.retain(|number| gone.iter().any(|p| p.partition == *number));
        self.resume(consumer, &paused.into_iter().collect::<Vec<_>>());
        lock(&self.state).assigned.retain(|number, _| !gone.iter().any(|p| p.partition == *number));
    }

    /// Where partitions are to be read from, and to: asks the broker until it answers.
    fn ask(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: Vec<TopicPartition>,
    ) -> Result<Vec<Assignment>, Stop> {
        let mut attempt = 1;
        loop {
            match self.ask_once(consumer, &partitions, attempt == ASK_TIMES) {
                Ok(assignments) => return Ok(assignments),
                Err(error) if attempt == ASK_TIMES => {
                    return Err(Stop::Restart(format!(
                        "the committed offsets of {} cannot be had: {error}",
                        self.topic
                    )));
                }
                Err(error) => {
                    tracing::warn!(%error, topic = %self.topic, "the committed offsets cannot be had; asking again");
                    std::thread::sleep(Duration::from_millis(100) * attempt);
                    attempt += 1;
                }
            }
        }
    }

    fn ask_once(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &[TopicPartition],
        is_last: bool,
    ) -> KafkaResult<Vec<Assignment>> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(&partition.topic, partition.partition);
        }
        let committed = if partitions.is_empty() { list } else { consumer.committed_offsets(list, ASK)? };
        let mut assignments = Vec::with_capacity(partitions.len());
        let mut unsettled = Vec::new();
        for element in committed.elements() {
            element.error()?;
            let (low, high) = consumer.fetch_watermarks(element.topic(), element.partition(), ASK)?;
            let partition = TopicPartition::new(self.topic.clone(), element.partition());
            let reset = if self.resets_to_end { high } else { low };
            let gone = |offset: i64| {
                tracing::warn!(%partition, offset, low, high, "the committed offset is not in the partition any more; going on at auto.offset.reset");
            };
            let metadata = element.metadata().to_owned();
            let (start, metadata) = match element.offset() {
                RdOffset::Offset(offset) if offset > high => {
                    // A leader that was chosen a moment ago may not know the end yet.
                    if !is_last {
                        return Err(KafkaError::OffsetFetch(Code::OffsetOutOfRange));
                    }
                    gone(offset);
                    (None, String::new())
                }
                RdOffset::Offset(offset) if offset < low => {
                    gone(offset);
                    // What was done above it may still be there.
                    (None, metadata)
                }
                RdOffset::Offset(offset) => (Some(offset), metadata),
                _ => (None, String::new()),
            };
            if start.is_none() {
                let (partition, offset) = (partition.clone(), Offset(reset));
                unsettled.push(CommitOffset { partition, offset, metadata: String::new() });
            }
            let start = start.unwrap_or(reset);
            let end = *lock(&self.state).targets.entry(element.partition()).or_insert(Offset(high));
            // A topic that was made again may have less than there was at the start.
            let end = end.min(Offset(high));
            assignments.push(Assignment { partition, start: Offset(start), metadata, end });
        }
        // The end moves: whoever asked again, after an abort or a kill before the first commit, would find a later
        // one, and nobody would read what came between.
        if self.resets_to_end && !unsettled.is_empty() {
            consumer.commit(&commit_list(&unsettled)?, CommitMode::Sync)?;
        }
        Ok(assignments)
    }
}

fn seek(consumer: &BaseConsumer<Rebalances>, assignments: &[Assignment]) -> KafkaResult<()> {
    if assignments.is_empty() {
        return Ok(());
    }
    let mut list = TopicPartitionList::with_capacity(assignments.len());
    for Assignment { partition, start, .. } in assignments {
        list.add_partition_offset(&partition.topic, partition.partition, RdOffset::Offset(start.0))?;
    }
    consumer.seek_partitions(list, ASK)?.elements().iter().try_for_each(|element| element.error())
}

fn numbers<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> String {
    let numbers: Vec<String> = partitions.into_iter().map(|p| p.partition.to_string()).collect();
    if numbers.is_empty() { "none".to_owned() } else { numbers.join(" ") }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use rdkafka::{
        ClientConfig,
        mocking::MockCluster,
        producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer},
    };

    use super::*;
    use crate::telemetry::Subject;

    /// A partition of ten records, in a cluster of its own.
    fn ten_records() -> MockCluster<'static, DefaultProducerContext> {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        produce_ten(&cluster);
        cluster
    }

    fn produce_ten(cluster: &MockCluster<'_, DefaultProducerContext>) {
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap();
        for _ in 0..10 {
            producer.send(BaseRecord::<str, str>::to("t").payload("a")).unwrap();
        }
        producer.flush(Duration::from_secs(30)).unwrap();
    }

    fn consumer(
        cluster: &MockCluster<'_, DefaultProducerContext>,
        resets_to_end: bool,
    ) -> BaseConsumer<Rebalances> {
        let progress = Arc::new(Progress::new(Subject::default()));
        let context = Rebalances::new("t", Events::new(mpsc::unbounded_channel().0), progress, resets_to_end);
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers()).set("group.id", "g");
        config.create_with_context(context).unwrap()
    }

    fn commit(consumer: &BaseConsumer<Rebalances>, offset: i64, metadata: &str) {
        let partition = TopicPartition::new("t", 0);
        let commit = CommitOffset { partition, offset: Offset(offset), metadata: metadata.to_owned() };
        consumer.commit(&commit_list(&[commit]).unwrap(), CommitMode::Sync).unwrap();
    }

    /// Where the partition is read from, and what the engine is told to be done above that.
    fn asked(consumer: &BaseConsumer<Rebalances>) -> (i64, String) {
        let asked = consumer.context().ask(consumer, vec![TopicPartition::new("t", 0)]).unwrap();
        (asked[0].start.0, asked[0].metadata.clone())
    }

    #[test]
    fn metadata_goes_with_the_offset_that_it_was_committed_with() {
        let cluster = ten_records();
        let consumer = consumer(&cluster, false);
        assert_eq!(asked(&consumer), (0, String::new()));
        commit(&consumer, 4, "of 4");
        assert_eq!(asked(&consumer), (4, "of 4".to_owned()));
        commit(&consumer, 11, "of 11, which is behind the end");
        assert_eq!(asked(&consumer), (0, String::new()));
    }

    #[test]
    fn a_start_at_the_end_is_committed_so_that_it_stays_where_it_was() {
        let cluster = ten_records();
        let consumer = consumer(&cluster, true);
        assert_eq!(asked(&consumer), (10, String::new()));
        produce_ten(&cluster);
        assert_eq!(asked(&consumer), (10, String::new()), "what came since is ours to do");
        commit(&consumer, 21, "of 21, which is behind the end");
        assert_eq!(asked(&consumer), (20, String::new()));
        produce_ten(&cluster);
        assert_eq!(asked(&consumer), (20, String::new()));
    }
}
