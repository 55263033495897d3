//! Reads a gateway's share of the results, as a member of its group.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code},
    message::{BorrowedMessage, Headers as _},
    types::RDKafkaRespErr,
};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::GatewayError;
use crate::{
    gateway::{Event, Reply, Status},
    pieces::Manifest,
    record::{CORRELATION_ID, MANIFEST, PIECE, REPLY_PARTITION, WORKER, error},
};

/// How long the reading thread waits for a record before it checks whether to stop.
const POLL: Duration = Duration::from_millis(50);
/// How long one request to the broker may take while partitions are being assigned.
const ASK: Duration = Duration::from_secs(2);
/// How often it is checked whether a broker answers again, and how long that may take.
const PROBE: Duration = Duration::from_millis(500);
/// How often a warning says that results cannot be read.
const TROUBLE_INTERVAL: Duration = Duration::from_secs(10);
/// How long leaving the group may take.
const LEAVE: Duration = Duration::from_secs(3);

/// Reads a gateway's share of the results on its own thread, and leaves the group when it is dropped.
pub struct Replies {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Replies {
    pub(super) fn start(
        config: &ClientConfig,
        topic: &str,
        preload: u64,
        events: mpsc::Sender<Event>,
        status: Arc<Status>,
    ) -> Result<Self, GatewayError> {
        let stop = Arc::new(AtomicBool::new(false));
        let context = Shares {
            topic: topic.to_owned(),
            preload: i64::try_from(preload).unwrap_or(i64::MAX),
            events,
            status,
            stop: stop.clone(),
            partitions: Mutex::default(),
        };
        let consumer: BaseConsumer<Shares> = config.create_with_context(context)?;
        consumer.subscribe(&[topic])?;
        let thread = thread::Builder::new()
            .name("results".to_owned())
            .spawn(move || read(&consumer))
            .map_err(GatewayError::Thread)?;
        Ok(Replies { stop, thread: Some(thread) })
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // It ends within seconds. Nothing can be done where it has panicked.
            let _ = thread.join();
        }
    }
}

fn read(consumer: &BaseConsumer<Shares>) {
    let shares = consumer.context();
    let (mut next_probe, mut next_trouble) = (Instant::now(), Instant::now());
    while !shares.stop.load(Relaxed) {
        match consumer.poll(POLL) {
            Some(Ok(record)) if shares.report(&record) => {}
            // The desk is gone.
            Some(Ok(_)) => break,
            Some(Err(KafkaError::PartitionEOF(partition))) => shares.at_end(partition),
            // librdkafka reconnects by itself; but a right may be missing, which only a warning shows.
            Some(Err(error)) if Instant::now() >= next_trouble => {
                next_trouble = Instant::now() + TROUBLE_INTERVAL;
                tracing::warn!(%error, topic = shares.topic, "results cannot be read; trying again");
            }
            Some(Err(_)) | None => {}
        }
        if shares.status.is_away() && Instant::now() >= next_probe {
            let answer = consumer.fetch_metadata(Some(&shares.topic), PROBE);
            shares.status.away(answer.is_err());
            next_probe = Instant::now() + PROBE;
        }
    }
    consumer.unsubscribe();
    let deadline = Instant::now() + LEAVE;
    while !lock(&shares.partitions).owned.is_empty() && Instant::now() < deadline {
        // Records and errors no longer matter.
        let _ = consumer.poll(POLL);
    }
}

/// The consumer's context: which partitions are ours, and where they are read from.
struct Shares {
    topic: String,
    /// How many results before the end are read at the start, of all partitions together.
    preload: i64,
    events: mpsc::Sender<Event>,
    status: Arc<Status>,
    stop: Arc<AtomicBool>,
    partitions: Mutex<Partitions>,
}

#[derive(Default)]
struct Partitions {
    /// The partitions that are ours, and the end of each as it was when it was assigned.
    owned: HashMap<i32, i64>,
    /// The next offset of each partition that was ever read.
    next: HashMap<i32, i64>,
    /// Owned partitions that are not read up to that end yet.
    behind: Vec<i32>,
    caught_up: bool,
}

impl ClientContext for Shares {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        crate::kafka::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if matches!(error, KafkaError::Global(Code::AllBrokersDown)) {
            self.status.away(true);
        }
        crate::kafka::log_error(&error, reason);
    }
}

impl ConsumerContext for Shares {
    /// Replaces the default, which begins at committed offsets: results are read from near their end, which
    /// must be known before the desk learns that a partition is ours.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let cooperative = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let numbers: Vec<i32> = list.elements().iter().map(|element| element.partition()).collect();
        if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.set_starts(consumer, list);
            let assigned =
                if cooperative { consumer.incremental_assign(list) } else { consumer.assign(list) };
            log_failure(assigned, "taking over partitions of the results");
            tracing::info!(topic = self.topic, partitions = ?numbers, "results of these partitions are ours");
            self.send(Event::Assigned(numbers));
            self.report_if_caught_up();
        } else {
            lock(&self.partitions).owned.retain(|partition, _| !numbers.contains(partition));
            lock(&self.partitions).behind.retain(|partition| !numbers.contains(partition));
            let given_up =
                if cooperative { consumer.incremental_unassign(list) } else { consumer.unassign() };
            log_failure(given_up, "giving up partitions of the results");
            tracing::info!(topic = self.topic, partitions = ?numbers, "results of these partitions are not ours any more");
            self.send(Event::Revoked(numbers));
        }
    }
}

fn log_failure(result: KafkaResult<()>, what: &str) {
    if let Err(error) = result {
        tracing::warn!(%error, "{what} failed");
    }
}

impl Shares {
    /// Sets where each partition is read from: some way before its end, or where it was left if that is
    /// nearer to the end. Requests that were pending on it when it was left are produced again.
    fn set_starts(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) {
        let share = self.preload / i64::try_from(list.count().max(1)).unwrap_or(1);
        let numbers: Vec<i32> = list.elements().iter().map(|element| element.partition()).collect();
        for partition in numbers {
            let Some((low, high)) = self.ends(consumer, partition) else { continue };
            let mut partitions = lock(&self.partitions);
            let start = start(partitions.next.get(&partition).copied(), (low, high), share);
            if start < high {
                partitions.behind.push(partition);
            }
            partitions.owned.insert(partition, high);
            partitions.next.insert(partition, start);
            let set = list.set_partition_offset(&self.topic, partition, Offset::Offset(start));
            log_failure(set, "setting where results are read from");
        }
    }

    /// The first and last offsets of a partition, requested until a broker answers; `None` where the gateway
    /// stops.
    fn ends(&self, consumer: &BaseConsumer<Self>, partition: i32) -> Option<(i64, i64)> {
        while !self.stop.load(Relaxed) {
            match consumer.fetch_watermarks(&self.topic, partition, ASK) {
                Ok(ends) => return Some(ends),
                Err(error) => {
                    tracing::warn!(%error, topic = self.topic, partition, "the end of the results is not known yet; asking again");
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
        None
    }

    /// Reports a record to the desk; returns `false` where the desk is gone.
    fn report(&self, record: &BorrowedMessage<'_>) -> bool {
        let (partition, offset) = (record.partition(), record.offset());
        let (mut old, mut reached) = (false, false);
        {
            let mut partitions = lock(&self.partitions);
            partitions.next.insert(partition, offset + 1);
            if let Some(end) = partitions.owned.get(&partition) {
                (old, reached) = (offset < *end, offset + 1 >= *end);
            }
        }
        let received = event(record, old).is_none_or(|event| self.send(event));
        if reached {
            self.at_end(partition);
        }
        received
    }

    fn at_end(&self, partition: i32) {
        lock(&self.partitions).behind.retain(|behind| *behind != partition);
        self.report_if_caught_up();
    }

    fn report_if_caught_up(&self) {
        {
            let mut partitions = lock(&self.partitions);
            if partitions.caught_up || !partitions.behind.is_empty() || partitions.owned.is_empty() {
                return;
            }
            partitions.caught_up = true;
        }
        self.send(Event::CaughtUp);
    }

    fn send(&self, event: Event) -> bool {
        self.events.blocking_send(event).is_ok()
    }
}

/// Where a partition with these ends is read from; it was `left` at that offset, where it was read before.
fn start(left: Option<i64>, (low, high): (i64, i64), share: i64) -> i64 {
    let near = high.saturating_sub(share).max(low);
    // An offset beyond the end is of a deleted topic of the same name.
    left.filter(|left| (near..=high).contains(left)).unwrap_or(near)
}

/// The event that a record of the result topic is; `None` for a piece of a result, as its manifest is one.
fn event(record: &BorrowedMessage<'_>, old: bool) -> Option<Event> {
    let mut is_manifest = false;
    let (mut id, mut worker, mut class, mut message) = (None, None, None, None);
    let mut wanted = None;
    // The last of a name wins, as with Kafka's own `lastHeader`.
    for header in record.headers().into_iter().flat_map(|headers| headers.iter()) {
        let value = header.value.map(String::from_utf8_lossy);
        match header.key {
            CORRELATION_ID => id = value.and_then(|id| Uuid::parse_str(&id).ok()),
            REPLY_PARTITION => wanted = value.and_then(|partition| partition.parse::<i32>().ok()),
            WORKER => worker = value.map(Cow::into_owned),
            error::CLASS => class = value.map(Cow::into_owned),
            error::MESSAGE => message = value.map(Cow::into_owned),
            PIECE => return None,
            MANIFEST => is_manifest = true,
            _ => {}
        }
    }
    if let Some(wanted) = wanted.filter(|wanted| !old && *wanted != record.partition()) {
        tracing::warn!(
            topic = record.topic(),
            partition = record.partition(),
            offset = record.offset(),
            wanted,
            "a reply is not in the partition that its request asked for; set `requests = true` in [source] of the workers' file"
        );
    }
    let value = record.payload().unwrap_or_default();
    match class {
        Some(class) if value.is_empty() => {
            return Some(Event::Refused { id, class, message: message.unwrap_or_default() });
        }
        _ => {}
    }
    let (partition, offset) = (record.partition(), record.offset());
    let manifest = is_manifest.then(|| Manifest::read(value)).transpose();
    let pieces = manifest
        .inspect_err(|reason| {
            tracing::warn!(
                topic = record.topic(),
                partition,
                offset,
                reason,
                "a result in pieces cannot be read"
            )
        })
        .ok()?;
    let value = if is_manifest { Bytes::new() } else { Bytes::copy_from_slice(value) };
    Some(Event::Reply { id, reply: Reply { value, partition, offset, worker, pieces }, old })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_read_from_some_way_before_its_end_or_from_where_it_was_left_shortly_before() {
        assert_eq!(start(None, (0, 5_000), 1_000), 4_000);
        assert_eq!(start(None, (4_500, 5_000), 1_000), 4_500, "less is retained");
        assert_eq!(start(Some(4_990), (0, 5_000), 1_000), 4_990, "the rest was read before");
        assert_eq!(start(Some(5_000), (0, 5_000), 1_000), 5_000);
        assert_eq!(start(Some(3_999), (0, 5_000), 1_000), 4_000, "hours ago");
        assert_eq!(start(Some(7_000), (0, 5_000), 1_000), 4_000, "the topic was made again");
        assert_eq!(start(Some(10), (0, 5_000), i64::MAX), 10);
    }
}
