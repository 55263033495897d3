//! `pipeline verify`: its proxy in front of a real broker, and the whole of it.

use std::time::Duration;

use pipeline::{
    broker::{Data, Jars, Nodes, Settings},
    verify::{
        ProxiedCluster,
        proxy::{Api, Effect, Held, KAFKA_STORAGE_ERROR},
    },
};
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use crate::harness::{create_topic, read_committed};

const SOON: Duration = Duration::from_secs(30);

fn proxied_cluster() -> ProxiedCluster {
    let settings = Settings {
        nodes: Nodes::One,
        data: Data::Temporary,
        port: None,
        heap_mib: 256,
        properties: Vec::new(),
    };
    ProxiedCluster::start(&Jars::fetch().unwrap(), &settings).unwrap()
}

#[test]
fn a_commit_that_is_held_back_ends_the_next_transaction_of_that_producer() {
    let cluster = proxied_cluster();
    create_topic(&cluster.nodes.bootstrap_servers(), "held", 1, &[]);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("transactional.id", "held")
        .create()
        .unwrap();
    producer.init_transactions(SOON).unwrap();
    let send = |value: &str| {
        producer.begin_transaction().unwrap();
        producer.send(BaseRecord::<(), str>::to("held").payload(value)).unwrap();
        producer.flush(SOON).unwrap();
    };
    let committed = || {
        let values = read_committed(&cluster.nodes.bootstrap_servers(), "held");
        values.iter().map(|record| record.value().to_owned()).collect::<Vec<_>>()
    };

    let held = Held::new();
    cluster.proxies()[0].hold_next(Api::EndTxn, &held);
    send("first");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(held.caught(SOON));
            held.cut();
        });
        // It is asked for again by another connection.
        producer.commit_transaction(SOON).unwrap();
    });
    send("second");
    assert_eq!(committed(), ["first"]);
    held.release();
    let answer = held.answer(SOON).unwrap();
    // Throttled for 0 ms; no error: the broker has committed what nobody asked it to commit (KIP-890).
    assert_eq!(answer, [0; 6]);
    assert_eq!(committed(), ["first", "second"]);
}

#[test]
fn a_producer_goes_on_after_a_full_disk_and_a_connection_that_was_half_open() {
    let cluster = proxied_cluster();
    let (direct, proxy) = (cluster.nodes.bootstrap_servers(), &cluster.proxies()[0]);
    create_topic(&direct, "disturbed", 1, &[]);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("enable.idempotence", "true")
        .set("socket.timeout.ms", "1000")
        .create()
        .unwrap();
    let mut expected = Vec::new();
    for (value, effect) in [
        ("full", Effect::Refuse(KAFKA_STORAGE_ERROR)),
        ("half-open", Effect::HalfOpen),
        ("answer lost", Effect::CutAfter),
    ] {
        proxy.disturb(Some(Api::Produce), effect);
        let hits = proxy.hits();
        producer.send(BaseRecord::<(), str>::to("disturbed").payload(value)).unwrap();
        producer.flush(Duration::from_secs(2)).unwrap_err();
        assert!(proxy.hits() > hits, "{value}");
        proxy.calm();
        producer.flush(SOON).unwrap();
        expected.push(value);
        let found = read_committed(&direct, "disturbed");
        assert_eq!(found.iter().map(|record| record.value()).collect::<Vec<_>>(), expected);
    }
}
