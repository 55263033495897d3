//! What `pipeline` is held against: the shortest loop of librdkafka calls that does the same work.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::KafkaError,
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
    types::RDKafkaErrorCode,
    util::Timeout,
};

/// Counts what was delivered.
#[derive(Default)]
struct Delivered(AtomicU64);

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        result.as_ref().map_err(|(error, _)| error.clone()).expect("delivered");
        self.0.fetch_add(1, Relaxed);
    }
}

/// Consume, make the result's value of the record's, produce it to the topic that `compute` names (`None`: nothing), commit each
/// 100 ms, until `count` records are through.
#[allow(dead_code, reason = "not all benches that share this file")]
pub fn run<'t>(
    consumer: &ClientConfig,
    producer: &ClientConfig,
    from: &str,
    count: u64,
    transactional: bool,
    mut compute: impl FnMut(&[u8], &mut Vec<u8>) -> Option<&'t str>,
) {
    let (consumer, producer) = clients(consumer, producer, from, transactional);
    let mut positions: BTreeMap<i32, i64> = BTreeMap::new();
    // What can be committed once so many are delivered.
    let mut pending: Option<(u64, TopicPartitionList)> = None;
    let (mut read, mut sent, mut next_commit) = (0, 0, Instant::now() + Duration::from_millis(100));
    let mut value = Vec::new();
    while read < count {
        if let Some(record) = consumer.poll(Duration::from_millis(100)) {
            let record = match record {
                Ok(record) => record,
                Err(KafkaError::PartitionEOF(_)) => continue,
                Err(error) => panic!("{error}"),
            };
            value.clear();
            let to = compute(record.payload().unwrap_or_default(), &mut value);
            positions.insert(record.partition(), record.offset() + 1);
            read += 1;
            if let Some(to) = to {
                let mut out = BaseRecord::to(to).payload(&value);
                out.key = record.key();
                out.timestamp = record.timestamp().to_millis();
                while let Err((error, back)) = producer.send(out) {
                    assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
                    producer.poll(Duration::ZERO);
                    out = back;
                }
                sent += 1;
            }
        }
        if read % 256 == 0 {
            producer.poll(Duration::ZERO);
            if Instant::now() >= next_commit {
                if transactional {
                    commit_transaction(&producer, &consumer, &list(from, &positions));
                } else {
                    let delivered = producer.context().0.load(Relaxed);
                    if pending.as_ref().is_some_and(|(needed, _)| *needed <= delivered) {
                        let (_, list) = pending.take().expect("it is there");
                        consumer.commit(&list, CommitMode::Async).expect("committed");
                    }
                    pending.get_or_insert_with(|| (sent, list(from, &positions)));
                }
                next_commit = Instant::now() + Duration::from_millis(100);
            }
        }
    }
    if transactional {
        commit_transaction(&producer, &consumer, &list(from, &positions));
    } else {
        producer.flush(Timeout::Never).expect("flushed");
        consumer.commit(&list(from, &positions), CommitMode::Sync).expect("committed");
    }
}

fn clients(
    consumer: &ClientConfig,
    producer: &ClientConfig,
    from: &str,
    transactional: bool,
) -> (BaseConsumer, BaseProducer<Delivered>) {
    let consumer: BaseConsumer = consumer.create().expect("a consumer");
    let producer: BaseProducer<Delivered> =
        producer.create_with_context(Delivered::default()).expect("a producer");
    consumer.subscribe(&[from]).expect("subscribed");
    if transactional {
        producer.init_transactions(Duration::from_secs(30)).expect("transactions");
        producer.begin_transaction().expect("a transaction");
    }
    (consumer, producer)
}

fn commit_transaction(
    producer: &BaseProducer<Delivered>,
    consumer: &BaseConsumer,
    offsets: &TopicPartitionList,
) {
    let group = consumer.group_metadata().expect("a group");
    while producer.in_flight_count() > 0 {
        producer.poll(Duration::from_millis(1));
    }
    producer.send_offsets_to_transaction(offsets, &group, Timeout::Never).expect("offsets");
    producer.commit_transaction(Timeout::Never).expect("committed");
    producer.begin_transaction().expect("a transaction");
}

fn list(topic: &str, positions: &BTreeMap<i32, i64>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in positions {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset)).expect("an offset");
    }
    list
}

/// The same for one record at a time, for ever: at-least-once commits each 100 ms, exactly-once after each.
#[allow(dead_code, reason = "not all benches that share this file")]
pub fn run_each(consumer: &ClientConfig, producer: &ClientConfig, from: &str, to: &str, transactional: bool) {
    let (consumer, producer) = clients(consumer, producer, from, transactional);
    let mut next_commit = Instant::now();
    loop {
        producer.poll(Duration::ZERO);
        let Some(Ok(record)) = consumer.poll(Duration::from_millis(100)) else { continue };
        let mut out = BaseRecord::to(to).payload(record.payload().unwrap_or_default());
        out.key = record.key();
        assert!(producer.send(out).is_ok());
        let positions = BTreeMap::from([(record.partition(), record.offset() + 1)]);
        if transactional {
            commit_transaction(&producer, &consumer, &list(from, &positions));
        } else if Instant::now() >= next_commit {
            consumer.commit(&list(from, &positions), CommitMode::Async).expect("committed");
            next_commit = Instant::now() + Duration::from_millis(100);
        }
    }
}
