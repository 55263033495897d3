//! `auto.offset.reset = latest`: what comes while a worker is a member of the group is done, whatever happens to it.

use std::collections::BTreeSet;

use crate::harness::{Producer, Site, all_of};

fn ask(producer: &Producer, ids: &BTreeSet<String>) {
    ids.iter().for_each(|id| producer.send(id, Some(b"10"), None));
    producer.flush();
}

#[test]
fn what_came_before_a_kill_is_done_although_nothing_was_committed() {
    let site = Site::new("latest").with(&["source.kafka.auto.offset.reset=latest"]);
    let producer = site.producer(2);
    ask(&producer, &(0..50).map(|id| format!("before-{id}")).collect());

    // It never comes to its first commit.
    let worker = site.worker(&["commit.interval=1 h", "commit.records=1000000"]);
    worker.says(&["rebalance: assign partitions 0 1,"]);
    let ids: BTreeSet<String> = (0..300).map(|id| format!("id-{id}")).collect();
    ask(&producer, &ids);
    worker.kill();

    let _worker = site.worker(&[]);
    let results = site.results(all_of(ids.clone()));
    assert!(results.iter().all(|result| ids.contains(result.key()) && result.value() == "10;3628800"));
}
