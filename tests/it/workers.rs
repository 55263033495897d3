//! Workers come and go, and share what there is to do.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::harness::{Consumed, Names, Producer, Worker, broker, records_until};

const LIMIT: Duration = Duration::from_secs(60);

fn ask(producer: &Producer, keys: &[&str]) {
    for key in keys {
        for partition in 0..2 {
            producer.send(&format!("{key}-{partition}"), Some(b"10"), Some(partition));
        }
    }
    producer.flush();
}

#[test]
fn two_workers_share_the_partitions_and_the_one_that_stays_gets_both() {
    let broker = broker();
    let servers = broker.bootstrap_servers();
    let names = Names::new("share");
    let producer = Producer::new(&servers, &names.source, 2, &[]);
    let first = Worker::start(&servers, &names.settings());
    first.says(&["rebalance: assign partitions 0 1,"]);
    let second = Worker::start(&servers, &names.settings());
    first.says(&["rebalance: revoke"]);
    second.says(&["rebalance: assign"]);
    ask(&producer, &["shared"]);
    records_until(&servers, &names.sink, LIMIT, of_both("shared"));
    let assigned = |worker: &Worker| {
        let metrics = worker.scrape();
        let line = metrics
            .lines()
            .find(|line| line.starts_with("pipeline_assigned_partitions{"))
            .unwrap()
            .to_owned();
        let lag = metrics.lines().filter(|line| line.starts_with("pipeline_consumer_lag_records{")).count();
        (line.rsplit(' ').next().unwrap().to_owned(), lag)
    };
    assert_eq!((assigned(&first), assigned(&second)), (("1".to_owned(), 1), ("1".to_owned(), 1)));

    let (status, log) = first.terminate();
    assert!(status.success(), "{log}");
    let deadline = Instant::now() + LIMIT;
    while assigned(&second) != ("2".to_owned(), 2) {
        assert!(Instant::now() < deadline, "{}", second.log());
        thread::sleep(Duration::from_millis(100));
    }
    ask(&producer, &["alone"]);
    records_until(&servers, &names.sink, LIMIT, of_both("alone"));
}

/// Whether the results of both partitions have come.
fn of_both(key: &str) -> impl FnMut(&Consumed) -> bool {
    let mut missing = vec![format!("{key}-0"), format!("{key}-1")];
    move |record| {
        assert!(!record.key().starts_with("x") && record.value() == "10;3628800");
        missing.retain(|key| key != record.key());
        missing.is_empty()
    }
}

#[test]
fn a_killed_worker_that_starts_again_works_within_15_s_with_the_defaults() {
    for guarantee in ["at-least-once", "exactly-once"] {
        let broker = broker();
        let servers = broker.bootstrap_servers();
        let names = Names::new("again");
        let producer = Producer::new(&servers, &names.source, 2, &[]);
        let mut settings = names.settings();
        settings.retain(|setting| !setting.contains("kafka."));
        settings.push(format!("guarantee={guarantee}"));
        let worker = Worker::start(&servers, &settings);
        ask(&producer, &["before"]);
        records_until(&servers, &names.sink, LIMIT, of_both("before"));
        // In the middle of its work, so that a transaction is open.
        for id in 0..2_000 {
            producer.send(&format!("x-{id}"), Some(b"3000"), None);
        }
        producer.flush();
        thread::sleep(Duration::from_millis(50));
        worker.kill();

        let killed = Instant::now();
        let _worker = Worker::start(&servers, &settings);
        ask(&producer, &["after"]);
        let mut missing = vec!["after-0".to_owned(), "after-1".to_owned()];
        records_until(&servers, &names.sink, LIMIT, |record| {
            missing.retain(|key| key != record.key());
            missing.is_empty()
        });
        let took = killed.elapsed();
        eprintln!("{guarantee}: works again after {took:?}");
        assert!(took < Duration::from_secs(15), "{guarantee}: {took:?}");
    }
}

#[test]
fn the_group_protocol_of_the_broker_works_as_well() {
    let broker = broker();
    let servers = broker.bootstrap_servers();
    let names = Names::new("kip848");
    let producer = Producer::new(&servers, &names.source, 2, &[]);
    let settings = [
        format!("source.topic={}", names.source),
        format!("source.group={}", names.source),
        format!("sink.topic={}", names.sink),
        "kafka.group.protocol=consumer".to_owned(),
    ];
    let first = Worker::start(&servers, &settings);
    first.says(&["rebalance: assign partitions 0 1,"]);
    let second = Worker::start(&servers, &settings);
    second.says(&["rebalance: assign"]);
    ask(&producer, &["shared"]);
    records_until(&servers, &names.sink, LIMIT, of_both("shared"));
    assert!(first.terminate().0.success());
    ask(&producer, &["alone"]);
    records_until(&servers, &names.sink, LIMIT, of_both("alone"));
}

#[test]
fn a_worker_is_ready_once_it_has_joined_its_group() {
    let broker = broker();
    let names = Names::new("ready");
    let worker = Worker::start(&broker.bootstrap_servers(), &names.settings());
    worker.says(&["rebalance: assign"]);
    let status =
        |path: &str| ureq::get(format!("{}{path}", worker.metrics())).call().unwrap().status().as_u16();
    thread::sleep(Duration::from_millis(200));
    assert_eq!((status("/healthz"), status("/readyz")), (200, 200));
}

#[test]
fn the_embedded_broker_runs_the_main_job_for_another_process_too() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let broker = runtime.block_on(pipeline::kafka::EmbeddedBroker::start(0)).unwrap();
    let servers = broker.address().to_string();
    let names = Names::new("embedded");
    for topic in [&names.source, &names.sink, &names.dead_letters] {
        broker.create_topic(topic, 2).unwrap();
    }
    let worker = Worker::start(&servers, &names.settings());
    worker.says(&["rebalance: assign"]);
    let producer = Producer::existing(&servers, &names.source);
    ask(&producer, &["shared"]);
    records_until(&servers, &names.sink, LIMIT, of_both("shared"));

    let mut settings = names.settings();
    settings.push("guarantee=exactly-once".to_owned());
    let mut refused = Worker::start(&servers, &settings);
    let status = refused.wait(LIMIT);
    assert_eq!(status.code(), Some(2), "{}", refused.log());
    assert!(refused.log().contains("pipeline broker"), "{}", refused.log());
}
