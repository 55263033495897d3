//! Nothing is lost, and with exactly-once nothing is double, whatever is killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use pipeline::broker::{Data, Jars, LocalCluster, Nodes, Settings};
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, Producer as _},
};

use crate::harness::{
    Consumed, Names, Producer, Worker, broker, broker_exclusively, read_committed, read_uncommitted,
    records_within,
};

/// How long all results may take after the last fault.
const LIMIT: Duration = Duration::from_secs(60);

/// Requests under way while `faults` happen; then what came out is held against what went in.
fn under_load(
    servers: &str,
    names: &Names,
    exactly_once: bool,
    faults: impl FnOnce(&[String]) -> Vec<Worker>,
) {
    let producer = Producer::new(servers, &names.source, 4, &[]);
    let mut settings = names.settings();
    if exactly_once {
        settings.push("guarantee=exactly-once".to_owned());
    }
    let (sent, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut workers = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(SeqCst) {
                for _ in 0..20 {
                    let id = sent.fetch_add(1, SeqCst);
                    producer.send(&format!("id-{id}"), Some((id % 200).to_string().as_bytes()), None);
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        let workers = faults(&settings);
        stop.store(true, SeqCst);
        workers
    });
    producer.flush();
    let count = sent.load(SeqCst);
    if workers.is_empty() {
        workers.push(Worker::start(servers, &settings));
    }
    let mut missing: BTreeSet<String> = (0..count).map(|id| format!("id-{id}")).collect();
    let begun = Instant::now();
    let all = records_within(servers, &names.sink, LIMIT, |record| {
        missing.remove(record.key());
        missing.is_empty()
    });
    if all.is_none() {
        let logs = workers.iter().map(Worker::log).collect::<Vec<_>>().join("\n---\n");
        panic!(
            "{} of {count} are missing:\n{}\n{logs}",
            missing.len(),
            where_they_are(servers, names, &missing)
        );
    }
    eprintln!("{}: {count} records, all there {:?} after the last fault", names.source, begun.elapsed());
    let mut logs = String::new();
    for worker in workers {
        let (status, log) = worker.terminate();
        assert!(status.success(), "{log}");
        logs += &log;
        logs += "\n---\n";
    }
    verify(servers, names, count, exactly_once, &logs);
}

/// What the topics say of ids without a result: a request that is not in its topic is the test's own loss, one
/// whose result another reading finds was only read wrongly.
fn where_they_are(servers: &str, names: &Names, missing: &BTreeSet<String>) -> String {
    let [asked, committed, written] = [
        read_committed(servers, &names.source),
        read_committed(servers, &names.sink),
        read_uncommitted(servers, &names.sink),
    ];
    let places = |records: &[Consumed], id: &str| -> Vec<(i32, i64)> {
        let of_it = records.iter().filter(|record| record.key() == id);
        of_it.map(|record| (record.partition, record.offset)).collect()
    };
    let lines = missing.iter().take(20).map(|id| {
        format!(
            "{id}: asked at {:?}, results committed at {:?}, written at {:?}\n",
            places(&asked, id),
            places(&committed, id),
            places(&written, id)
        )
    });
    lines.collect()
}

fn verify(servers: &str, names: &Names, count: u64, exactly_once: bool, logs: &str) {
    let factorials: Vec<String> = (0..200).map(pipeline::factorial::factorial_decimal).collect();
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for record in read_committed(servers, &names.sink) {
        let id: u64 = record.key().strip_prefix("id-").unwrap().parse().unwrap();
        let n = id % 200;
        assert_eq!(record.value(), format!("{n};{}", factorials[n as usize]), "{}", record.key());
        assert_eq!(record.header("id"), Some(record.key()));
        *found.entry(record.key().to_owned()).or_default() += 1;
    }
    let expected: BTreeSet<String> = (0..count).map(|id| format!("id-{id}")).collect();
    assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), expected);
    found.retain(|_, times| *times > 1);
    eprintln!("{}: {} double", names.source, found.len());
    let double: BTreeSet<String> = found.into_keys().collect();
    assert!(
        !exactly_once || double.is_empty(),
        "{} are double:\n{}\n{logs}",
        double.len(),
        where_they_are(servers, names, &double)
    );
}

fn kill_ten_times(exactly_once: bool, name: &str) {
    let broker = broker();
    let servers = broker.bootstrap_servers();
    let names = Names::new(name);
    under_load(&servers, &names, exactly_once, |settings| {
        let mut workers = vec![Worker::start(&servers, settings), Worker::start(&servers, settings)];
        for worker in &workers {
            worker.says(&["rebalance: assign"]);
        }
        for round in 0..10 {
            // Sometimes in the middle of a rebalance, sometimes long after.
            thread::sleep(Duration::from_millis(500 + 400 * (round % 5)));
            workers.remove(0).kill();
            workers.push(Worker::start(&servers, settings));
        }
        workers.into_iter().for_each(Worker::kill);
        Vec::new()
    });
}

#[test]
fn killing_one_of_two_workers_ten_times_loses_nothing() {
    kill_ten_times(false, "kill-alo");
}

#[test]
fn killing_one_of_two_workers_ten_times_loses_and_doubles_nothing_with_exactly_once() {
    kill_ten_times(true, "kill-eos");
}

#[test]
fn a_restart_of_the_broker_under_load_loses_nothing() {
    let mut broker = broker_exclusively();
    let servers = broker.bootstrap_servers();
    under_load(&servers, &Names::new("bounce-alo"), false, |settings| {
        let workers = [Worker::start(&servers, settings), Worker::start(&servers, settings)];
        workers[0].says(&["rebalance: assign"]);
        thread::sleep(Duration::from_secs(2));
        broker.restart().unwrap();
        thread::sleep(Duration::from_secs(1));
        // They survive it, and do the rest themselves.
        Vec::from(workers)
    });
}

/// On three nodes: Kafka 4.3.1 skips the markers of a transaction for partitions that have no leader (KAFKA-20734), and one
/// node that starts again has many. Readers then wait for ever at what was written.
#[test]
fn a_rolling_restart_of_three_nodes_under_load_loses_and_doubles_nothing_with_exactly_once() {
    let properties = [
        ("group.min.session.timeout.ms", "1000"),
        // Requests carry timestamps of long ago.
        ("log.retention.ms", "-1"),
        ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500"),
    ];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let (nodes, data) = (Nodes::Three, Data::Temporary);
    let settings = Settings { nodes, data, port: None, heap_mib: 320, properties };
    let mut cluster = LocalCluster::start(&Jars::fetch().unwrap(), &settings).unwrap();
    let servers = cluster.bootstrap_servers();
    under_load(&servers, &Names::new("bounce-eos"), true, |settings| {
        let workers = [Worker::start(&servers, settings), Worker::start(&servers, settings)];
        workers[0].says(&["rebalance: assign"]);
        for node in 1..=3 {
            thread::sleep(Duration::from_secs(2));
            cluster.stop_node(node);
            cluster.start_node(node).unwrap();
        }
        thread::sleep(Duration::from_secs(1));
        Vec::from(workers)
    });
}

/// The `transactional.id` that begins so, as the broker keeps it: a key of `__transaction_state` is a version and a
/// string, with two bytes of length.
fn transactional_id(servers: &str, begins: &str) -> String {
    let keys = read_uncommitted(servers, "__transaction_state");
    let ids = keys.iter().filter_map(|record| std::str::from_utf8(record.key.as_deref()?.get(4..)?).ok());
    let found: BTreeSet<&str> = ids.filter(|id| id.starts_with(begins)).collect();
    let [id] = found.iter().collect::<Vec<_>>()[..] else { panic!("{begins}: {found:?}") };
    (*id).to_owned()
}

#[test]
fn a_worker_whose_producer_is_fenced_says_so_and_goes_on_without_loss_or_doubles() {
    let broker = broker();
    let servers = broker.bootstrap_servers();
    let names = Names::new("fenced");
    let unique = format!("name={}", names.source);
    under_load(&servers, &names, true, |settings| {
        let own = [unique, "metrics.listen=127.0.0.1:0".to_owned()];
        let worker = Worker::start(&servers, &[settings, &own].concat());
        let counted = |outcome: &str, least: u64| {
            let series = format!(
                "pipeline_transactions_total{{pipeline=\"{}\",outcome=\"{outcome}\"}} ",
                names.source
            );
            let deadline = Instant::now() + LIMIT;
            loop {
                let text = worker.scrape();
                let value =
                    text.lines().find_map(|line| line.strip_prefix(&series)).expect("it is there at 0");
                if value.parse::<u64>().unwrap() >= least {
                    return;
                }
                assert!(Instant::now() < deadline, "{outcome}: {value}\n{}", worker.log());
                thread::sleep(Duration::from_millis(50));
            }
        };
        counted("committed", 3);
        let usurper: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &servers)
            .set("transactional.id", transactional_id(&servers, &names.source))
            .create()
            .unwrap();
        usurper.init_transactions(Duration::from_secs(30)).unwrap();
        counted("fenced", 1);
        // The new clients have the same id, and so end what the old ones left open.
        counted("committed", 10);
        transactional_id(&servers, &names.source);
        thread::sleep(Duration::from_secs(1));
        vec![worker]
    });
}
