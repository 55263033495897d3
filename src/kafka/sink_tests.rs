//! The sink on librdkafka's mock cluster: what becomes of refusals, and of calls that do not return.

use std::{
    future::poll_fn,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::StreamExt;
use rdkafka::{
    ClientConfig, Message, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    mocking::{MockCluster, MockCoordinator},
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

use super::{KafkaSink, KafkaSource, SinkTopics, SourceTopics, TopicLimits, settings};
use crate::{
    config::{Pipeline, load},
    engine::{
        Budget, CommitError, CommitOffset, Delivery, DeliveryError, SendError, Sink, SourceEvent, Token,
    },
    record::{Destination, Offset, PerTopic, Record, TopicPartition},
    telemetry::{Progress, Subject},
};

const SOON: Duration = Duration::from_secs(30);

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// A cluster whose first broker leads everything.
fn cluster(brokers: i32) -> Cluster {
    let cluster = MockCluster::new(brokers).unwrap();
    for topic in ["requests", "results"] {
        cluster.create_topic(topic, 1, 1).unwrap();
        cluster.partition_leader(topic, 0, Some(1)).unwrap();
    }
    cluster
}

fn pipeline(cluster: &Cluster, guarantee: &str) -> Pipeline {
    let sets = [
        format!("kafka.bootstrap.servers={}", cluster.bootstrap_servers()),
        format!("guarantee={guarantee}"),
        "source.topic=requests".to_owned(),
    ];
    load("factorial.toml", &sets.map(|set| set.parse().unwrap())).unwrap().0
}

/// The values of a partition of the results.
fn results(cluster: &Cluster, partition: i32, count: usize) -> Vec<String> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", "reader")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("results", partition, rdkafka::Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let values = (0..count).map(|_| consumer.poll(SOON).expect("a result").unwrap().detach());
    values.map(|message| String::from_utf8(message.payload().unwrap().to_vec()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn results_without_a_key_keep_together_by_the_partition_of_their_requests() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("results", 3, 1).unwrap();
    let mut sink = sink(&pipeline(&cluster, "at-least-once"), false);
    // One by one: librdkafka chooses a partition for what it gets at once.
    for number in 0..12 {
        let value = Some(Bytes::from(number.to_string()));
        let record = Record { value, ..Record::default() };
        sink.send(Destination::SINK, number % 4, &record, Token(number as usize)).unwrap();
        assert_eq!(delivered(&mut sink, 1).await, [(number as usize, "delivered")]);
    }
    assert_eq!(results(&cluster, 0, 6), ["0", "3", "4", "7", "8", "11"]);
    assert_eq!(results(&cluster, 1, 3), ["1", "5", "9"]);
    assert_eq!(results(&cluster, 2, 3), ["2", "6", "10"]);
}

fn sink(pipeline: &Pipeline, transactional: bool) -> KafkaSink {
    let limits = TopicLimits { results: vec![1 << 20], dead_letters: 1 << 20 };
    let topics = SinkTopics {
        requests: false,
        in_order: true,
        beside: 0,
        names: PerTopic { results: vec!["results".to_owned()], dead_letters: "dead".to_owned() },
    };
    let progress = Arc::new(Progress::new(Subject::default()));
    KafkaSink::new(&settings::producer(pipeline, &limits), topics, transactional, progress).unwrap()
}

fn send(sink: &mut KafkaSink, token: usize) -> Result<(), SendError> {
    sink.send(Destination::SINK, 0, &Record::default(), Token(token))
}

/// What became of `count` records.
async fn delivered(sink: &mut KafkaSink, count: usize) -> Vec<(usize, &'static str)> {
    let (mut reported, until) = (Vec::new(), Instant::now() + SOON);
    while reported.len() < count
        && let Some(left) = until.checked_duration_since(Instant::now())
    {
        let next = poll_fn(|context| sink.poll_deliveries(context, &mut reported));
        let _ = tokio::time::timeout(left, next).await;
    }
    let became = |delivery: &Delivery| match delivery.result {
        Ok(_) => "delivered",
        Err(DeliveryError::Refused(_)) => "refused",
        Err(_) => "failed",
    };
    reported.iter().map(|delivery| (delivery.token.0, became(delivery))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_behind_a_batch_that_is_refused_until_that_is_seen_to() {
    let cluster = cluster(1);
    let mut sink = sink(&pipeline(&cluster, "at-least-once"), false);
    send(&mut sink, 0).unwrap();
    assert_eq!(delivered(&mut sink, 1).await, [(0, "delivered")]);

    let too_large = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE];
    cluster.request_errors(RDKafkaApiKey::Produce, &too_large);
    send(&mut sink, 1).unwrap();
    assert_eq!(delivered(&mut sink, 1).await, [(1, "refused")]);
    assert_eq!(send(&mut sink, 2), Err(SendError::Full), "until what was refused is seen to");

    sink.discard();
    send(&mut sink, 3).unwrap();
    assert_eq!(delivered(&mut sink, 1).await, [(3, "delivered")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_that_nobody_takes_cost_the_producer_its_place_and_the_next_one_goes_on() {
    let cluster = cluster(3);
    cluster.coordinator(MockCoordinator::Group("factorial".to_owned()), 2).unwrap();
    let pipeline = pipeline(&cluster, "exactly-once");
    let id = settings::producer(&pipeline, &TopicLimits { results: vec![1], dead_letters: 1 });
    let id = id.get("transactional.id").unwrap().to_owned();
    cluster.coordinator(MockCoordinator::Transaction(id), 1).unwrap();
    let progress = Arc::new(Progress::new(Subject::default()));
    let consumer = settings::consumer(&pipeline, false);
    let topics = SourceTopics { subscribed: vec!["requests".to_owned()], beside: Vec::new() };
    let mut source =
        KafkaSource::new(&consumer, &topics, Budget::new(1 << 20), Arc::default(), None, progress).unwrap();
    let mut sink = sink(&pipeline, true);
    sink.commit_for(source.group());
    while !matches!(source.next().await, Some(Ok(SourceEvent::Assigned(list))) if !list.is_empty()) {}
    let offsets = |offset| {
        let partition = TopicPartition::new("requests", 0);
        vec![CommitOffset { partition, offset: Offset(offset), metadata: String::new() }]
    };

    cluster.broker_down(2).unwrap();
    send(&mut sink, 0).unwrap();
    assert_eq!(delivered(&mut sink, 1).await, [(0, "delivered")]);
    let committed = tokio::time::timeout(SOON / 2, sink.commit(offsets(1))).await;
    let refused = committed.expect("a commit that does not come back");
    assert!(
        matches!(&refused, Err(CommitError::Abort(reason)) if reason.contains("coordinator")),
        "{refused:?}"
    );
    let aborted = tokio::time::timeout(SOON / 2, sink.abort()).await;
    assert_eq!(aborted.expect("an abort that does not come back"), Ok(()));

    cluster.broker_up(2).unwrap();
    let deadline = Instant::now() + SOON;
    for token in 1.. {
        send(&mut sink, token).unwrap();
        assert_eq!(delivered(&mut sink, 1).await, [(token, "delivered")]);
        match sink.commit(offsets(2)).await {
            Ok(()) => break,
            // The consumer, or the group's coordinator, is not there again yet.
            Err(CommitError::Abort(_)) => assert_eq!(sink.abort().await, Ok(())),
            Err(error) => panic!("{error}"),
        }
        assert!(Instant::now() < deadline, "nothing can be committed");
    }
}
