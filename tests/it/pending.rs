//! Offsets that a broker keeps for a transaction that is over: nobody may read from there on until they are done with.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use pipeline::{
    broker::{Data, Jars, LocalCluster, Nodes, Settings},
    engine::Budget,
    kafka::{KafkaSink, KafkaSource, Topics},
    telemetry::{Progress, Subject},
};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseProducer, Producer as _},
};

use crate::harness::Producer;

const LIMIT: Duration = Duration::from_secs(20);
const ID: &str = "who-was-here-before";
const GROUP: &str = "group";
const TOPIC: &str = "requests";

const INIT_PRODUCER_ID: i16 = 22;
const TXN_OFFSET_COMMIT: i16 = 28;

/// A broker that believes what it is told of a transaction that it does not know of, as brokers do that start again in the
/// middle of one.
fn believing_broker() -> LocalCluster {
    let properties = vec![("transaction.partition.verification.enable".to_owned(), "false".to_owned())];
    let (nodes, data) = (Nodes::One, Data::Temporary);
    let settings = Settings { nodes, data, port: None, heap_mib: 384, properties };
    LocalCluster::start(&Jars::fetch().unwrap(), &settings).unwrap()
}

/// A request and its answer (Kafka protocol guide), without their heads.
fn ask(servers: &str, api: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut request = [api, version].map(i16::to_be_bytes).concat();
    request.extend(7_i32.to_be_bytes());
    request.extend((-1_i16).to_be_bytes());
    request.extend(body);
    let mut stream = TcpStream::connect(servers).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(&(request.len() as i32).to_be_bytes()).unwrap();
    stream.write_all(&request).unwrap();
    let mut size = [0; 4];
    stream.read_exact(&mut size).unwrap();
    let mut answer = vec![0; i32::from_be_bytes(size) as usize];
    stream.read_exact(&mut answer).unwrap();
    answer.split_off(4)
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as i16).to_be_bytes(), text.as_bytes()].concat()
}

/// The producer's id and epoch, as they stand in requests.
fn producer_id(servers: &str) -> Vec<u8> {
    let body = [string(ID), 60_000_i32.to_be_bytes().to_vec()].concat();
    let answer = ask(servers, INIT_PRODUCER_ID, 1, &body);
    assert_eq!(answer[4..6], [0, 0], "the error in {answer:?}");
    answer[6..16].to_vec()
}

/// Has the broker keep offset 5 of partition 0 for a transaction that was never begun.
fn leave_pending(servers: &str) {
    let one = 1_i32.to_be_bytes().to_vec();
    let partition =
        [0_i32.to_be_bytes().to_vec(), 5_i64.to_be_bytes().to_vec(), (-1_i32).to_be_bytes().to_vec()];
    let body = [
        [string(ID), string(GROUP), producer_id(servers)].concat(),
        [one.clone(), string(TOPIC), one, partition.concat(), string("")].concat(),
    ];
    let answer = ask(servers, TXN_OFFSET_COMMIT, 2, &body.concat());
    assert_eq!(answer[answer.len() - 2..], [0, 0], "the error in {answer:?}");
}

/// What is committed for partition 0, as soon as it may be known.
fn committed(servers: &str, limit: Duration) -> Option<Offset> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", GROUP)
        .set("isolation.level", "read_committed")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition(TOPIC, 0);
    let found = consumer.committed_offsets(list, limit).ok()?;
    Some(found.elements()[0].offset())
}

#[test]
fn offsets_of_an_earlier_transaction_that_nobody_ends_do_not_stand_in_the_way() {
    let broker = believing_broker();
    let servers = broker.bootstrap_servers();
    Producer::new(&servers, TOPIC, 1, &[]);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &servers).set("transactional.id", ID);
    // The first one takes until the broker has its topics.
    config.create::<BaseProducer>().unwrap().init_transactions(LIMIT).unwrap();
    // The group's coordinator is there once somebody has asked.
    assert_eq!(committed(&servers, LIMIT), Some(Offset::Invalid));

    leave_pending(&servers);

    let progress = Arc::new(Progress::new(Subject::default()));
    let consumer = config.clone().set("group.id", GROUP).clone();
    let topics = Topics {
        requests: false,
        in_order: false,
        results: "results".to_owned(),
        dead_letters: "dead".to_owned(),
    };
    let mut sink = KafkaSink::new(&config, topics, true, progress.clone()).unwrap();
    let source = KafkaSource::new(&consumer, TOPIC, Budget::new(1 << 20), progress).unwrap();
    sink.commit_for(source.group());
    assert_eq!(committed(&servers, Duration::from_secs(3)), None, "it is known although it is pending");
    sink.settle().unwrap();
    assert_eq!(committed(&servers, LIMIT), Some(Offset::Invalid), "nothing was committed");
}
