//! Commits that are larger than what a broker keeps in one batch.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use pipeline::{
    config::load,
    engine::{Budget, CommitError, CommitOffset, Sink, Source, SourceEvent},
    kafka::{KafkaSink, KafkaSource, SinkTopics, SourceTopics, TopicLimits, settings},
    record::{Offset, PerTopic, TopicPartition},
    telemetry::{Progress, Subject},
};
use rdkafka::{
    ClientConfig, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};

use crate::harness::{Site, create_topic};

/// So many with a full bitmap each are more than a megabyte.
const PARTITIONS: i32 = 420;
const SOON: Duration = Duration::from_secs(30);

fn offsets(topic: &str, sign: char) -> Vec<CommitOffset> {
    let commit = |number| CommitOffset {
        partition: TopicPartition::new(topic, number),
        offset: Offset(0),
        metadata: sign.to_string().repeat(2_900),
    };
    (0..PARTITIONS).map(commit).collect()
}

#[test]
fn offsets_of_hundreds_of_partitions_are_committed_whatever_their_metadata() {
    let site = Site::new("large-commit");
    create_topic(&site.servers, &site.source, PARTITIONS, &[]);
    let brokers = format!("kafka.bootstrap.servers={}", site.servers);
    let overrides = site.settings(&[&brokers, "guarantee=exactly-once"]);
    let overrides: Vec<_> = overrides.iter().map(|setting| setting.parse().unwrap()).collect();
    let (pipeline, _) = load("factorial.toml", &overrides).unwrap();
    let progress = Arc::new(Progress::new(Subject::default()));
    let topics = SinkTopics {
        names: PerTopic { results: vec![site.sink.clone()], dead_letters: site.dead_letters.clone() },
        requests: false,
        in_order: false,
        beside: 0,
    };
    let limits = TopicLimits { results: vec![1 << 20], dead_letters: 1 << 20 };
    let (consumer, producer) = (settings::consumer(&pipeline, false), settings::producer(&pipeline, &limits));
    let committed = || {
        let reader: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &site.servers)
            .set("group.id", &site.source)
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&site.source, 0, PARTITIONS - 1);
        let committed = reader.committed_offsets(list, SOON).unwrap();
        committed.elements().iter().map(|element| element.metadata().to_owned()).collect::<Vec<_>>()
    };
    let expected =
        |sign| offsets(&site.source, sign).into_iter().map(|offset| offset.metadata).collect::<Vec<_>>();

    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut sink = KafkaSink::new(&producer, topics, true, progress.clone()).unwrap();
        let mut source = KafkaSource::new(
            &consumer,
            &SourceTopics { subscribed: vec![site.source.clone()], beside: Vec::new() },
            Budget::new(1 << 20),
            Arc::default(),
            None,
            progress.clone(),
        )
        .unwrap();
        sink.commit_for(source.group());
        // It has not joined its group yet, and an empty group would take them.
        let refused = source.commit(offsets(&site.source, 'x')).await;
        assert!(matches!(refused, Err(CommitError::Passing(_))), "{refused:?}");
        loop {
            match source.next().await.expect("the source has ended") {
                Ok(SourceEvent::Assigned(list)) if list.len() == PARTITIONS as usize => break,
                Ok(_) => {}
                Err(stop) => panic!("{stop}"),
            }
        }
        source.commit(offsets(&site.source, 'a')).await.unwrap();
        assert_eq!(committed(), expected('a'));
        sink.commit(offsets(&site.source, 'b')).await.unwrap();
        assert_eq!(committed(), expected('b'));
    });
}
