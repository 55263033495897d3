//! Clients that are not `pipeline`'s own: one that sends, and one that reads a topic.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication},
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{Header, Headers, OwnedHeaders},
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer},
};

use super::{ensure, eventually};

/// One record as the verifier reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumed {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub timestamp: Option<i64>,
}

impl Consumed {
    pub fn header(&self, name: &str) -> Option<&str> {
        let value = &self.headers.iter().find(|(found, _)| found == name)?.1;
        Some(std::str::from_utf8(value).unwrap())
    }

    pub fn key(&self) -> &str {
        std::str::from_utf8(self.key.as_deref().unwrap()).unwrap()
    }

    pub fn value(&self) -> &str {
        std::str::from_utf8(self.value.as_deref().unwrap()).unwrap()
    }
}

/// A caller, with keys that are unique, so that every record can be told from every other.
pub struct Producer {
    producer: ThreadedProducer<Delivered>,
    topic: String,
}

/// Counts what the broker did not take.
#[derive(Default)]
struct Delivered(AtomicUsize);

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            eprintln!("a request was not delivered: {error}");
            self.0.fetch_add(1, SeqCst);
        }
    }
}

impl Producer {
    /// A producer for a topic that it creates, with settings.
    pub fn new(servers: &str, topic: &str, partitions: i32, config: &[(&str, &str)]) -> Producer {
        create_topic(servers, topic, partitions, config);
        Producer::existing(servers, topic)
    }

    /// A producer for a topic that is there.
    pub fn existing(servers: &str, topic: &str) -> Producer {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("enable.idempotence", "true")
            .set("message.max.bytes", "20000000")
            .set("queue.buffering.max.kbytes", "200000")
            .create_with_context(Delivered::default())
            .unwrap();
        Producer { producer, topic: topic.to_owned() }
    }

    pub fn send(&self, key: &str, value: Option<&[u8]>, partition: Option<i32>) {
        let headers = OwnedHeaders::new().insert(Header { key: "id", value: Some(key) });
        let mut record =
            BaseRecord::<str, [u8]>::to(&self.topic).key(key).headers(headers).timestamp(1_700_000_000_000);
        record.payload = value;
        record.partition = partition;
        while let Err((error, back)) = self.producer.send(record) {
            assert!(
                matches!(error.rdkafka_error_code(), Some(rdkafka::types::RDKafkaErrorCode::QueueFull)),
                "{error}"
            );
            std::thread::sleep(Duration::from_millis(5));
            record = back;
        }
    }

    /// Sends a record with these headers, to whichever partition.
    pub fn send_with(&self, key: &str, value: &[u8], headers: &[(&str, &str)]) {
        let all = headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(*value) }));
        let record = BaseRecord::<str, [u8]>::to(&self.topic).key(key).payload(value).headers(all);
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
    }

    /// Sends a record of right now.
    pub fn send_now(&self, key: &str, value: &[u8]) {
        let record = BaseRecord::<str, [u8]>::to(&self.topic).key(key).payload(value);
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
    }

    pub fn flush(&self) {
        self.producer.flush(Duration::from_secs(120)).unwrap();
        assert_eq!(self.producer.context().0.load(SeqCst), 0, "requests were not delivered");
    }
}

pub fn create_topic(servers: &str, topic: &str, partitions: i32, config: &[(&str, &str)]) {
    create(servers, NewTopic::new(topic, partitions, TopicReplication::Fixed(1)), config);
}

/// Creates a topic with as many replicas as the brokers have for their own.
pub fn create_replicated(servers: &str, topic: &str, partitions: i32) {
    create(servers, NewTopic::new(topic, partitions, TopicReplication::Fixed(-1)), &[]);
}

fn create<'a>(servers: &str, mut new: NewTopic<'a>, config: &[(&'a str, &'a str)]) {
    let topic = new.name;
    let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
    for (name, value) in config {
        new = new.set(name, value);
    }
    let created = admin.create_topics([&new], &AdminOptions::new());
    for result in futures::executor::block_on(created).unwrap() {
        result.unwrap();
    }
    // A topic of hundreds of partitions is there before each of them has a leader that knows of it.
    ends(servers, topic);
}

/// Has the broker forget what a group has committed, as it does a week after the last member has gone.
pub fn forget_group(servers: &str, group: &str) {
    let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
    let deleted = futures::executor::block_on(admin.delete_groups(&[group], &AdminOptions::new()));
    deleted.unwrap().pop().unwrap().unwrap();
}

/// Deletes a topic, and waits until it is gone.
pub fn delete_topic(servers: &str, topic: &str) {
    let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
    let deleted = futures::executor::block_on(admin.delete_topics(&[topic], &AdminOptions::new()));
    deleted.unwrap().pop().unwrap().unwrap();
    eventually(Duration::from_secs(30), || {
        let all =
            admin.inner().fetch_metadata(None, Duration::from_secs(10)).map_err(|error| error.to_string())?;
        ensure(all.topics().iter().all(|known| known.name() != topic), || format!("{topic} is still there"))
    });
}

/// Gives a topic these settings, and takes back all others that it had of its own.
pub fn alter_topic(servers: &str, topic: &str, config: &[(&str, &str)]) {
    let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
    let altered =
        AlterConfig { specifier: ResourceSpecifier::Topic(topic), entries: config.iter().copied().collect() };
    for result in futures::executor::block_on(admin.alter_configs([&altered], &AdminOptions::new())).unwrap()
    {
        result.unwrap();
    }
}

/// Deletes the records of a partition up to that offset, as retention does.
pub fn delete_records(servers: &str, topic: &str, partition: i32, offset: i64) {
    let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(topic, partition, Offset::Offset(offset + 1)).unwrap();
    futures::executor::block_on(admin.delete_records(&before, &AdminOptions::new())).unwrap();
}

/// How long reading a topic to its end may take.
const TO_THE_END: Duration = Duration::from_secs(120);

/// Every record of a topic that is committed, from its beginning to its end.
pub fn read_committed(servers: &str, topic: &str) -> Vec<Consumed> {
    read_to_the_end(servers, topic, "read_committed")
}

/// Every record of a topic, those of transactions that were aborted too.
pub fn read_uncommitted(servers: &str, topic: &str) -> Vec<Consumed> {
    read_to_the_end(servers, topic, "read_uncommitted")
}

/// A partition that is written to all the time is read to where it ended when this began: its end may never be told.
fn read_to_the_end(servers: &str, topic: &str, isolation: &str) -> Vec<Consumed> {
    let (ends, deadline) = (ends(servers, topic), Instant::now() + TO_THE_END);
    let mut read_to_end = BTreeSet::new();
    read(servers, topic, isolation, |event| {
        match event {
            Ok(record) if ends.get(&record.partition).is_some_and(|end| record.offset + 1 >= *end) => {
                read_to_end.insert(record.partition);
            }
            Err(Some((partition, _))) => {
                read_to_end.insert(partition);
            }
            Ok(_) | Err(None) => {}
        }
        assert!(Instant::now() < deadline, "{topic} was not read to its end within {TO_THE_END:?}");
        read_to_end.len() < ends.len()
    })
}

/// Where a topic's partitions end.
fn ends(servers: &str, topic: &str) -> BTreeMap<i32, i64> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", servers).set("group.id", "verifier").create().unwrap();
    // A broker that was started again does not lead its partitions at once.
    let end = |partition| {
        eventually(TO_THE_END, || {
            let watermarks = consumer.fetch_watermarks(topic, partition, Duration::from_secs(10));
            watermarks
                .map(|(_, end)| (partition, end))
                .map_err(|error| format!("{topic}[{partition}]: {error}"))
        })
    };
    (0..partitions(&consumer, topic) as i32).map(end).collect()
}

/// Reads a topic until `enough` says so of all that was read, or fails after `limit`.
pub fn records_until(
    servers: &str,
    topic: &str,
    limit: Duration,
    enough: impl FnMut(&Consumed) -> bool,
) -> Vec<Consumed> {
    records_within(servers, topic, limit, enough)
        .unwrap_or_else(|| panic!("{topic}: not all came within {limit:?}"))
}

/// The same; `None` where not all came in time.
pub fn records_within(
    servers: &str,
    topic: &str,
    limit: Duration,
    mut enough: impl FnMut(&Consumed) -> bool,
) -> Option<Vec<Consumed>> {
    let deadline = Instant::now() + limit;
    let mut complete = false;
    let records = read(servers, topic, "read_committed", |event| {
        complete = event.is_ok_and(&mut enough);
        !complete && Instant::now() < deadline
    });
    complete.then_some(records)
}

/// Says so once a record of each of these keys was read.
pub fn all_of(keys: impl IntoIterator<Item = String>) -> impl FnMut(&Consumed) -> bool {
    let mut missing: BTreeSet<String> = keys.into_iter().collect();
    move |record| {
        missing.remove(record.key());
        missing.is_empty()
    }
}

/// Reads until `go_on` says no; it is told each record, each end (which partition's, of how many), and when
/// nothing has come for a while.
fn read(
    servers: &str,
    topic: &str,
    isolation: &str,
    mut go_on: impl FnMut(Result<&Consumed, Option<(i32, usize)>>) -> bool,
) -> Vec<Consumed> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", "verifier")
        .set("isolation.level", isolation)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "100")
        .create()
        .unwrap();
    let partitions = partitions(&consumer, topic);
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition as i32, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut records = Vec::new();
    loop {
        match consumer.poll(Duration::from_millis(200)) {
            None => {
                if !go_on(Err(None)) {
                    return records;
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                if !go_on(Err(Some((partition, partitions)))) {
                    return records;
                }
            }
            Some(Err(error)) => eprintln!("the verifier: {error}"),
            Some(Ok(record)) => {
                let headers = record.headers().map(|headers| {
                    headers.iter().map(|h| (h.key.to_owned(), h.value.unwrap_or_default().to_vec())).collect()
                });
                let record = Consumed {
                    partition: record.partition(),
                    offset: record.offset(),
                    key: record.key().map(<[u8]>::to_vec),
                    value: record.payload().map(<[u8]>::to_vec),
                    headers: headers.unwrap_or_default(),
                    timestamp: record.timestamp().to_millis(),
                };
                let more = go_on(Ok(&record));
                records.push(record);
                if !more {
                    return records;
                }
            }
        }
    }
}

/// How many partitions a topic has, once it is there: the first write may be creating it just now.
fn partitions(consumer: &BaseConsumer, topic: &str) -> usize {
    const SOON: Duration = Duration::from_secs(30);
    eventually(SOON, || {
        let metadata = consumer.fetch_metadata(Some(topic), SOON).unwrap();
        let found = metadata.topics()[0].partitions().len();
        ensure(found > 0, || format!("there is no topic {topic}")).map(|()| found)
    })
}
