//! `pipeline transactions`: what is open, what hangs, and what readers get once it is aborted.

use std::time::Duration;

use pipeline::broker::LocalCluster;
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use crate::harness::{
    Consumed, Forged, LIMIT, Producer, Site, broker_settings, create_topic, ensure, eventually, forge,
    read_committed, read_uncommitted, start_broker, three_nodes,
};

/// A broker that takes records of transactions of which no coordinator was told, as those before KIP-890 did.
fn credulous() -> LocalCluster {
    start_broker(&broker_settings(&[("transaction.partition.verification.enable", "false")]))
}

/// A producer that has begun a transaction, which the brokers would abort after ten minutes.
fn begun(site: &Site, id: &str) -> BaseProducer {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &site.servers)
        .set("transactional.id", id)
        .set("transaction.timeout.ms", "600000")
        .create()
        .unwrap();
    producer.init_transactions(LIMIT).unwrap();
    producer.begin_transaction().unwrap();
    producer
}

fn send(producer: &BaseProducer, topic: &str, partition: i32, key: &str) {
    producer
        .send(BaseRecord::<str, [u8]>::to(topic).partition(partition).key(key))
        .map_err(|(error, _)| error)
        .unwrap();
    producer.flush(LIMIT).unwrap();
}

fn keys(records: Vec<Consumed>, partition: i32) -> Vec<String> {
    records
        .iter()
        .filter(|record| record.partition == partition)
        .map(|record| record.key().to_owned())
        .collect()
}

/// `pipeline transactions`, which succeeds.
fn said(site: &Site, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = site.pipeline(&[&["transactions"], arguments].concat());
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    stdout
}

fn has(text: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(text.contains(part), "`{part}` is not in\n{text}"));
}

/// The command that `list` prints for a transaction that hangs.
fn printed(list: &str) -> Vec<String> {
    let command = list.split("to abort it: pipeline transactions ").nth(1).unwrap().lines().next().unwrap();
    command.split(' ').map(str::to_owned).collect()
}

/// The id that the partition's leader has for the producer of the transaction that begins there.
fn producer_of(list: &str) -> i64 {
    let text = list.split("producer ").nth(1).unwrap();
    text.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test]
fn what_is_open_is_shown_and_what_hangs_is_aborted_and_readers_read_on() {
    let cluster = credulous();
    let site = Site::at(&cluster.bootstrap_servers(), "transactions")
        .with(&["guarantee=exactly-once"])
        .with_topics(2);
    let (sink, id) = (site.sink.as_str(), "factorial-left-open");
    has(&said(&site, &["list", "factorial.toml"]), &["no transaction is open", &site.source, sink]);

    // One that its producer is at, and that nobody has to end.
    let producer = begun(&site, id);
    send(&producer, sink, 0, "first");
    let list = said(&site, &["list", "factorial.toml"]);
    let at = format!("{sink}[0] from offset 0 on, epoch 0");
    has(
        &list,
        &["factorial-left-open: Ongoing for ", ", time-out 10m, producer ", "coordinator broker 1", &at],
    );
    has(&list, &["holds the last stable offset", "gets: 1\n", "does not hang", "1 transaction is open"]);
    let described = said(&site, &["describe", "factorial.toml", id]);
    has(
        &described,
        &["transactional id  factorial-left-open", "state             Ongoing", "time-out          10m"],
    );
    has(&described, &[&format!("partitions        {sink}[0]\n"), &at]);
    let abort =
        ["transactions", "abort", "factorial.toml", "--topic", sink, "--partition", "0", "--start-offset"];
    let (code, _, stderr) = site.pipeline(&[&abort[..], &["0", "--yes"]].concat());
    assert!(code == 1 && stderr.contains("nothing was aborted, as it does not hang"), "{stderr}");
    let (code, _, stderr) = site.pipeline(&[&abort[..], &["5", "--yes"]].concat());
    assert!(code == 1 && stderr.contains("those that are open there begin at 0"), "{stderr}");
    producer.commit_transaction(LIMIT).unwrap();
    has(&said(&site, &["list", "factorial.toml"]), &["no transaction is open"]);

    // Its producer's record comes late, when the transaction is over: nobody will ever end what it begins.
    let late = Forged { producer: producer_of(&list), epoch: 0, sequence: 1 };
    let start = forge(&site.servers, sink, 0, late, "late");
    let next = begun(&site, "next");
    send(&next, sink, 0, "behind");
    next.commit_transaction(LIMIT).unwrap();
    assert_eq!(keys(read_committed(&site.servers, sink), 0), ["first"]);
    let list = said(&site, &["list", "factorial.toml"]);
    has(&list, &["factorial-left-open: CompleteCommit", &format!("{sink}[0] from offset {start} on")]);
    // The late record, the one behind it, and that one's marker.
    has(
        &list,
        &[
            "gets: 3\n",
            "HANGS: the coordinator of its transactional id",
            "1 transaction is open, and it hangs",
        ],
    );
    let command = printed(&list);
    let command: Vec<&str> = ["transactions"].into_iter().chain(command.iter().map(String::as_str)).collect();
    let (code, _, stderr) = site.pipeline(&command);
    assert!(code == 2 && stderr.contains("Say --yes"), "{stderr}");
    assert_eq!(keys(read_committed(&site.servers, sink), 0), ["first"], "nothing was done without a yes");
    let (code, stdout, stderr) = site.pipeline(&[&command[..], &["--yes"]].concat());
    assert_eq!(code, 0, "{stderr}");
    has(
        &stdout,
        &[&format!("aborted at {sink}[0]"), &format!("from offset {start} on"), "nothing is held back there"],
    );
    assert_eq!(keys(read_committed(&site.servers, sink), 0), ["first", "behind"]);
    assert_eq!(keys(read_uncommitted(&site.servers, sink), 0), ["first", "late", "behind"]);
    has(&said(&site, &["list", "factorial.toml"]), &["no transaction is open"]);
    let (code, _, stderr) = site.pipeline(&[&command[..], &["--yes"]].concat());
    assert!(code == 1 && stderr.contains("none is open there"), "{stderr}");
}

#[test]
fn a_transaction_that_no_coordinator_knows_hangs_and_one_that_is_live_is_aborted_by_force_alone() {
    let cluster = credulous();
    let site = Site::at(&cluster.bootstrap_servers(), "unknown").with_topics(2);
    let source = site.source.as_str();
    let unknown = Forged { producer: 471_100, epoch: 3, sequence: 0 };
    assert_eq!(forge(&site.servers, source, 1, unknown, "nobodys"), 0);
    // A live one behind it, which holds nothing until the first is gone.
    let live = begun(&site, "somebodys");
    send(&live, source, 1, "live");
    let list = said(&site, &["list", "factorial.toml"]);
    has(
        &list,
        &["no transactional id is known: producer 471100", &format!("{source}[1] from offset 0 on, epoch 3")],
    );
    has(&list, &["HANGS: no coordinator knows its producer", "2 transactions are open, and 1 of them hangs"]);
    has(
        &list,
        &["somebodys: Ongoing", "another one holds the last stable offset, 0; offsets behind that: 2"],
    );

    let command = printed(&list);
    let command: Vec<&str> = ["transactions"].into_iter().chain(command.iter().map(String::as_str)).collect();
    let (code, stdout, stderr) = site.pipeline(&[&command[..], &["--yes"]].concat());
    assert_eq!(code, 0, "{stderr}");
    has(&stdout, &["its last stable offset is 1 now, and its end 3: another transaction is open there"]);

    let abort = [
        "transactions",
        "abort",
        "factorial.toml",
        "--topic",
        source,
        "--partition",
        "1",
        "--start-offset",
        "1",
        "--yes",
    ];
    assert_eq!(site.pipeline(&abort).0, 1);
    let (code, _, stderr) = site.pipeline(&[&abort[..], &["--force"]].concat());
    assert_eq!(code, 0, "{stderr}");
    // Its producer is told nothing of it: that is what `--force` is for, and why it is not the default.
    live.commit_transaction(LIMIT).unwrap();
    let after = begun(&site, "after");
    send(&after, source, 1, "after");
    after.commit_transaction(LIMIT).unwrap();
    assert_eq!(keys(read_committed(&site.servers, source), 1), ["after"]);
}

#[test]
fn every_broker_is_asked_and_of_one_that_is_away_it_is_said() {
    let mut cluster = three_nodes();
    let site = Site::at(&cluster.bootstrap_servers(), "spread");
    let alone = [("min.insync.replicas", "1")];
    create_topic(&site.servers, &site.source, 3, &alone);
    let producer = begun(&site, "everywhere");
    let at = [0, 1, 2].map(|partition| format!("{}[{partition}] from offset 0 on, epoch 0", site.source));
    (0..3).for_each(|partition| send(&producer, &site.source, partition, "open"));
    let list = said(&site, &["list", "factorial.toml"]);
    has(&list, &["everywhere: Ongoing", &at[0], &at[1], &at[2], "does not hang", "3 partitions were asked"]);
    let described = said(&site, &["describe", "factorial.toml", "everywhere"]);
    has(&described, &[&at[0], &at[1], &at[2]]);
    producer.commit_transaction(LIMIT).unwrap();
    has(&said(&site, &["list", "factorial.toml"]), &["no transaction is open"]);

    // Each partition has one replica, so one of them has no leader any more.
    cluster.kill_node(3);
    eventually(LIMIT, || {
        let (code, stdout, stderr) = site.pipeline(&["transactions", "list", "factorial.toml"]);
        let is_said = stderr.contains(" has no leader, so nothing is known of it")
            && stdout.contains("not everything could be asked");
        ensure(code == 0 && is_said, || format!("{stdout}{stderr}"))
    });
}

#[test]
fn a_worker_says_how_long_a_partition_is_held_and_how_much_is_behind() {
    let cluster = credulous();
    let site = Site::at(&cluster.bootstrap_servers(), "held").with_topics(2);
    let requests = Producer::existing(&site.servers, &site.source);
    requests.send("before", Some(b"3"), Some(0));
    requests.flush();
    let worker = site.worker(&[]);
    site.results(|result| result.key() == "before");
    let unknown = Forged { producer: 471_100, epoch: 0, sequence: 0 };
    forge(&site.servers, &site.source, 0, unknown, "nobodys");
    requests.send("held", Some(b"4"), Some(0));
    requests.send("free", Some(b"5"), Some(1));
    requests.flush();
    site.results(|result| result.key() == "free");
    let value = |name: &str, partition: i32| -> Option<f64> {
        let labels = format!("partition=\"{partition}\"");
        let scrape = worker.scrape();
        let line =
            scrape.lines().find(|line| line.starts_with(&format!("{name}{{")) && line.contains(&labels))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    let (records, seconds) = ("pipeline_consumer_held_records", "pipeline_consumer_held_seconds");
    eventually(LIMIT, || {
        let found = (value(records, 0), value(records, 1), value(seconds, 0), value(seconds, 1));
        let is_held = matches!(found, (Some(2.0), Some(0.0), Some(long), Some(0.0)) if long > 2.0);
        ensure(is_held, || format!("{found:?}"))
    });
    let command = printed(&said(&site, &["list", "factorial.toml"]));
    let command: Vec<&str> = ["transactions"].into_iter().chain(command.iter().map(String::as_str)).collect();
    assert_eq!(site.pipeline(&[&command[..], &["--yes"]].concat()).0, 0);
    site.results(|result| result.key() == "held");
    eventually(Duration::from_secs(20), || {
        let found = (value(records, 0), value(seconds, 0));
        ensure(found == (Some(0.0), Some(0.0)), || format!("{found:?}"))
    });
    assert!(worker.terminate().0.success());
}
