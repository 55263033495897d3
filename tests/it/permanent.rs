//! What somebody has to do something about first ends the process, with one sentence that says it.

use std::os::unix::fs::FileExt;

use pipeline::broker::{Data, Settings};
use rdkafka::bindings::rd_kafka_AclOperation_t as Operation;

use crate::harness::{Site, allow_transactions, broker_settings, create_topic, start_broker};

#[test]
fn one_of_two_workers_with_the_same_group_instance_id_ends_and_the_other_works() {
    for guarantee in ["at-least-once", "exactly-once"] {
        let guarantee = format!("guarantee={guarantee}");
        let site = Site::new("instance").with(&["source.kafka.group.instance.id=the-same", &guarantee]);
        let producer = site.producer(1);
        let mut first = site.worker(&[]);
        first.says(&["rebalance: assign partitions 0,"]);
        let second = site.worker(&[]);
        let error = first.fails();
        assert!(error.contains("another member of the group has the same group.instance.id"), "{error}");
        producer.send("a", Some(b"10"), None);
        producer.flush();
        site.results(|record| record.key() == "a");
        let (status, log) = second.terminate();
        assert!(status.success(), "{log}");
    }
}

#[test]
fn who_may_not_have_transactions_is_told_so_by_check_and_by_run() {
    let site = Site::new("no-transactions");
    for topic in site.topics() {
        create_topic(&site.servers, topic, 1, &[]);
    }
    let name = site.source.clone();
    let site = site.with(&[&format!("name={name}"), "guarantee=exactly-once"]);
    const CHECK: &[&str] = &["check", "factorial.toml", "--connect"];
    let (code, stdout, stderr) = site.pipeline(CHECK);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains(&format!("a transactional id that begins with {name}- may be used")), "{stdout}");

    for operation in [Operation::RD_KAFKA_ACL_OPERATION_WRITE, Operation::RD_KAFKA_ACL_OPERATION_DESCRIBE] {
        allow_transactions(&site.servers, &name, "User:somebody-else", operation);
    }
    let (code, _, stderr) = site.pipeline(CHECK);
    let expected = format!(
        "error: factorial.toml: a transactional id that begins with {name}- may not be used by this user: it lacks the \
         right WRITE, and an ACL must give it\n"
    );
    assert_eq!((code, stderr), (2, expected));
    let error = site.worker(&[]).fails();
    assert!(error.contains("an ACL must give it the right WRITE on transactional ids"), "{error}");
}

#[test]
fn a_broker_that_takes_no_metadata_with_offsets_is_an_error_where_the_order_needs_some() {
    let cluster = start_broker(&broker_settings(&[("offset.metadata.max.bytes", "4")]));
    for guarantee in ["at-least-once", "exactly-once"] {
        let site = Site::at(&cluster.bootstrap_servers(), "metadata");
        let producer = site.producer(1);
        // Some take long, so that others are done above them.
        for id in 0..60 {
            producer.send(&format!("slow-{id}"), Some(b"200000"), None);
            producer.send(&format!("id-{id}"), Some(b"10"), None);
        }
        producer.flush();
        let guarantee = format!("guarantee={guarantee}");
        let error = site.worker(&["order=none", "commit.interval=20 ms", &guarantee]).fails();
        assert!(error.contains("raise its offset.metadata.max.bytes"), "{guarantee}: {error}");
    }
}

#[test]
fn a_corrupt_batch_is_an_error_that_says_where_it_is_and_nothing_behind_it_is_done() {
    let data = tempfile::tempdir().unwrap();
    let kept = Data::Kept(data.path().to_owned());
    let cluster = start_broker(&Settings { data: kept, ..broker_settings(&[]) });
    let site = Site::at(&cluster.bootstrap_servers(), "corrupt");
    let producer = site.producer(1);
    for key in ["the-first", "the-second", "the-third"] {
        producer.send(key, Some(b"10"), None);
        // A batch each.
        producer.flush();
    }
    let log = data.path().join(format!("node1/data/{}-0/00000000000000000000.log", site.source));
    let bytes = std::fs::read(&log).unwrap();
    let at = bytes.windows(10).position(|window| window == b"the-second").unwrap();
    std::fs::OpenOptions::new().write(true).open(&log).unwrap().write_all_at(b"T", at as u64).unwrap();

    let error = site.worker(&["source.kafka.check.crcs=true"]).fails();
    let where_it_is = format!("the batch at offset 1 of {}[0] cannot be read", site.source);
    assert!(error.contains(&where_it_is), "{error}");
    let done = site.read(&site.sink);
    assert!(done.iter().all(|record| record.key() == "the-first"), "{done:?}");
}
