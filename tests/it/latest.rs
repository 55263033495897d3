//! `auto.offset.reset = latest`: what comes while a worker is a member of the group is done, whatever happens to it.

use std::{collections::BTreeSet, time::Duration};

use crate::harness::{Names, Producer, Worker, broker, records_until};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn what_came_before_a_kill_is_done_although_nothing_was_committed() {
    let broker = broker();
    let servers = broker.bootstrap_servers();
    let names = Names::new("latest");
    let producer = Producer::new(&servers, &names.source, 2, &[]);
    for id in 0..50 {
        producer.send(&format!("before-{id}"), Some(b"10"), None);
    }
    producer.flush();
    let mut settings = names.settings();
    settings.push("source.kafka.auto.offset.reset=latest".to_owned());

    // It never comes to its first commit.
    let never = ["commit.interval=1 h".to_owned(), "commit.records=1000000".to_owned()];
    let worker = Worker::start(&servers, &[&settings[..], &never].concat());
    worker.says(&["rebalance: assign partitions 0 1,"]);
    let ids: BTreeSet<String> = (0..300).map(|id| format!("id-{id}")).collect();
    for id in &ids {
        producer.send(id, Some(b"10"), None);
    }
    producer.flush();
    worker.kill();

    let _worker = Worker::start(&servers, &settings);
    let mut missing = ids.clone();
    let results = records_until(&servers, &names.sink, LIMIT, |record| {
        missing.remove(record.key());
        missing.is_empty()
    });
    assert!(results.iter().all(|result| ids.contains(result.key()) && result.value() == "10;3628800"));
}
