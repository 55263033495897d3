//! Workers come and go, and share what there is to do.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::harness::{Consumed, LIMIT, Producer, Site, Worker, all_of, ensure, eventually};

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
    let site = Site::new("share");
    let producer = site.producer(2);
    let first = site.worker(&[]);
    first.says(&["rebalance: assign partitions 0 1,"]);
    let second = site.worker(&[]);
    first.says(&["rebalance: revoke"]);
    second.says(&["rebalance: assign"]);
    ask(&producer, &["shared"]);
    site.results(of_both("shared"));
    let assigned = |worker: &Worker| {
        let metrics = worker.scrape();
        let lag = metrics.lines().filter(|line| line.starts_with("pipeline_consumer_lag_records{")).count();
        (worker.metric("pipeline_assigned_partitions"), lag)
    };
    assert_eq!((assigned(&first), assigned(&second)), ((1.0, 1), (1.0, 1)));

    let (status, log) = first.terminate();
    assert!(status.success(), "{log}");
    eventually(LIMIT, || ensure(assigned(&second) == (2.0, 2), || second.log()));
    ask(&producer, &["alone"]);
    site.results(of_both("alone"));
}

/// Whether the results of both partitions have come.
fn of_both(key: &str) -> impl FnMut(&Consumed) -> bool {
    let mut both = all_of([format!("{key}-0"), format!("{key}-1")]);
    move |record| {
        assert!(!record.key().starts_with("x") && record.value() == "10;3628800");
        both(record)
    }
}

#[test]
fn a_killed_worker_that_starts_again_works_within_15_s_with_the_defaults() {
    for guarantee in ["at-least-once", "exactly-once"] {
        let site = Site::new("again").without("kafka.").with(&[&format!("guarantee={guarantee}")]);
        let producer = site.producer(2);
        let worker = site.worker(&[]);
        ask(&producer, &["before"]);
        site.results(of_both("before"));
        // In the middle of its work, so that a transaction is open.
        for id in 0..2_000 {
            producer.send(&format!("x-{id}"), Some(b"3000"), None);
        }
        producer.flush();
        thread::sleep(Duration::from_millis(50));
        worker.kill();

        let killed = Instant::now();
        let _worker = site.worker(&[]);
        ask(&producer, &["after"]);
        site.results(all_of(["after-0", "after-1"].map(str::to_owned)));
        let took = killed.elapsed();
        eprintln!("{guarantee}: works again after {took:?}");
        assert!(took < Duration::from_secs(15), "{guarantee}: {took:?}");
    }
}

#[test]
fn the_group_protocol_of_the_broker_works_as_well() {
    let site = Site::new("kip848").without("kafka.").with(&["kafka.group.protocol=consumer"]);
    let producer = site.producer(2);
    let first = site.worker(&[]);
    first.says(&["rebalance: assign partitions 0 1,"]);
    let second = site.worker(&[]);
    second.says(&["rebalance: assign"]);
    ask(&producer, &["shared"]);
    site.results(of_both("shared"));
    assert!(first.terminate().0.success());
    ask(&producer, &["alone"]);
    site.results(of_both("alone"));
}

#[test]
fn a_worker_is_ready_once_it_has_joined_its_group() {
    let site = Site::new("ready");
    let worker = site.worker(&[]);
    worker.says(&["rebalance: assign"]);
    let answers = |path: &str| {
        let answer = ureq::get(format!("{}{path}", worker.metrics())).call();
        let status = answer.map_err(|error| format!("{path}: {error}"))?.status().as_u16();
        ensure(status == 200, || format!("{path}: {status}"))
    };
    answers("/healthz").unwrap();
    eventually(Duration::from_secs(2), || answers("/readyz"));
}

#[test]
fn the_embedded_broker_runs_the_main_job_for_another_process_too() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let broker = runtime.block_on(pipeline::kafka::EmbeddedBroker::start(0)).unwrap();
    let site = Site::at(&broker.address().to_string(), "embedded");
    for topic in site.topics() {
        broker.create_topic(topic, 2).unwrap();
    }
    let worker = site.worker(&[]);
    worker.says(&["rebalance: assign"]);
    let producer = Producer::existing(&site.servers, &site.source);
    ask(&producer, &["shared"]);
    site.results(of_both("shared"));

    let mut refused = site.worker(&["guarantee=exactly-once"]);
    let status = refused.wait(LIMIT);
    assert_eq!(status.code(), Some(2), "{}", refused.log());
    assert!(refused.log().contains("pipeline broker"), "{}", refused.log());
}
