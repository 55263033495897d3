//! What somebody has to do something about first ends the process, with one sentence that says it.

use std::{os::unix::fs::FileExt, time::Duration};

use pipeline::broker::{Data, Jars, LocalCluster, Nodes, Settings};
use rdkafka::bindings::rd_kafka_AclOperation_t as Operation;

use crate::harness::{
    Names, Producer, Worker, allow_transactions, broker, create_topic, pipeline, read_committed,
    records_until,
};

const LIMIT: Duration = Duration::from_secs(60);

/// Waits for the worker to end, and what it said last.
fn ends(mut worker: Worker) -> String {
    let status = worker.wait(LIMIT);
    // Its last line may still be on its way.
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(status.code(), Some(1), "{}", worker.log());
    let log = worker.log();
    let errors: Vec<&str> = log.lines().filter(|line| line.starts_with("error: ")).collect();
    let [error] = errors[..] else { panic!("one sentence, not {errors:?}:\n{log}") };
    error.to_owned()
}

#[test]
fn one_of_two_workers_with_the_same_group_instance_id_ends_and_the_other_works() {
    let broker = broker();
    let servers = broker.bootstrap_servers();
    for guarantee in ["at-least-once", "exactly-once"] {
        let names = Names::new("instance");
        let producer = Producer::new(&servers, &names.source, 1, &[]);
        let mut settings = names.settings();
        settings.push("source.kafka.group.instance.id=the-same".to_owned());
        settings.push(format!("guarantee={guarantee}"));
        let first = Worker::start(&servers, &settings);
        first.says(&["rebalance: assign partitions 0,"]);
        let second = Worker::start(&servers, &settings);
        let error = ends(first);
        assert!(error.contains("another member of the group has the same group.instance.id"), "{error}");
        producer.send("a", Some(b"10"), None);
        producer.flush();
        records_until(&servers, &names.sink, LIMIT, |record| record.key() == "a");
        let (status, log) = second.terminate();
        assert!(status.success(), "{log}");
    }
}

#[test]
fn who_may_not_have_transactions_is_told_so_by_check_and_by_run() {
    let broker = broker();
    let servers = broker.bootstrap_servers();
    let names = Names::new("no-transactions");
    for topic in [&names.source, &names.sink, &names.dead_letters] {
        create_topic(&servers, topic, 1, &[]);
    }
    let name = names.source.clone();
    let mut settings = names.settings();
    settings.extend([format!("name={name}"), "guarantee=exactly-once".to_owned()]);
    const CHECK: &[&str] = &["check", "factorial.toml", "--connect"];
    let (code, stdout, stderr) = pipeline(&servers, CHECK, &settings);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains(&format!("a transactional id that begins with {name}- may be used")), "{stdout}");

    for operation in [Operation::RD_KAFKA_ACL_OPERATION_WRITE, Operation::RD_KAFKA_ACL_OPERATION_DESCRIBE] {
        allow_transactions(&servers, &name, "User:somebody-else", operation);
    }
    let (code, _, stderr) = pipeline(&servers, CHECK, &settings);
    let expected = format!(
        "error: factorial.toml: a transactional id that begins with {name}- may not be used by this user: it lacks the \
         right WRITE, and an ACL must give it\n"
    );
    assert_eq!((code, stderr), (2, expected));
    let error = ends(Worker::start(&servers, &settings));
    assert!(error.contains("an ACL must give it the right WRITE on transactional ids"), "{error}");
}

#[test]
fn a_broker_that_takes_no_metadata_with_offsets_is_an_error_where_the_order_needs_some() {
    let properties = [("offset.metadata.max.bytes", "4"), ("group.min.session.timeout.ms", "1000")];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let (nodes, data) = (Nodes::One, Data::Temporary);
    let settings = Settings { nodes, data, port: None, heap_mib: 256, properties };
    let cluster = LocalCluster::start(&Jars::fetch().unwrap(), &settings).unwrap();
    let servers = cluster.bootstrap_servers();
    for guarantee in ["at-least-once", "exactly-once"] {
        let names = Names::new("metadata");
        let producer = Producer::new(&servers, &names.source, 1, &[]);
        // Some take long, so that others are done above them.
        for id in 0..60 {
            producer.send(&format!("slow-{id}"), Some(b"200000"), None);
            producer.send(&format!("id-{id}"), Some(b"10"), None);
        }
        producer.flush();
        let mut settings = names.settings();
        let often = ["order=none".to_owned(), "commit.interval=20 ms".to_owned()];
        settings.extend(often.into_iter().chain([format!("guarantee={guarantee}")]));
        let error = ends(Worker::start(&servers, &settings));
        assert!(error.contains("raise its offset.metadata.max.bytes"), "{guarantee}: {error}");
    }
}

#[test]
fn a_corrupt_batch_is_an_error_that_says_where_it_is_and_nothing_behind_it_is_done() {
    let data = tempfile::tempdir().unwrap();
    let properties = vec![("group.min.session.timeout.ms".to_owned(), "1000".to_owned())];
    let (nodes, kept) = (Nodes::One, Data::Kept(data.path().to_owned()));
    let settings = Settings { nodes, data: kept, port: None, heap_mib: 256, properties };
    let cluster = LocalCluster::start(&Jars::fetch().unwrap(), &settings).unwrap();
    let servers = cluster.bootstrap_servers();
    let names = Names::new("corrupt");
    let producer = Producer::new(&servers, &names.source, 1, &[]);
    for key in ["the-first", "the-second", "the-third"] {
        producer.send(key, Some(b"10"), None);
        // A batch each.
        producer.flush();
    }
    let log = data.path().join(format!("node1/data/{}-0/00000000000000000000.log", names.source));
    let bytes = std::fs::read(&log).unwrap();
    let at = bytes.windows(10).position(|window| window == b"the-second").unwrap();
    std::fs::OpenOptions::new().write(true).open(&log).unwrap().write_all_at(b"T", at as u64).unwrap();

    let mut settings = names.settings();
    settings.push("source.kafka.check.crcs=true".to_owned());
    let error = ends(Worker::start(&servers, &settings));
    let where_it_is = format!("the batch at offset 1 of {}[0] cannot be read", names.source);
    assert!(error.contains(&where_it_is), "{error}");
    let done = read_committed(&servers, &names.sink);
    assert!(done.iter().all(|record| record.key() == "the-first"), "{done:?}");
}
