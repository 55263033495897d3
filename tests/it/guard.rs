//! KIP-890's hole: a request that was held back on its way ends no later transaction than its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    thread,
    time::Duration,
};

use pipeline::{
    broker::{Data, Jars, Nodes, Settings},
    verify::{
        ProxiedCluster,
        proxy::{Api, Effect, Held},
    },
};

use crate::harness::{Names, Producer, Worker, broker, read_committed, records_until, records_within};

const SOON: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_secs(60);
/// As `Names::settings` has it.
const SESSION: Duration = Duration::from_secs(2);

fn proxied_cluster() -> ProxiedCluster {
    let properties = [
        ("group.min.session.timeout.ms", "1000"),
        ("log.retention.ms", "-1"),
        ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500"),
    ];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let (nodes, data) = (Nodes::One, Data::Temporary);
    let settings = Settings { nodes, data, port: None, heap_mib: 384, properties };
    ProxiedCluster::start(&Jars::fetch().unwrap(), &settings).unwrap()
}

/// A worker's settings, with the default time for a transaction: here it must outlast what is held.
fn settings(names: &Names) -> Vec<String> {
    let mut settings = names.settings();
    settings.retain(|setting| !setting.contains("transaction.timeout"));
    settings.push("guarantee=exactly-once".to_owned());
    settings.push("metrics.listen=127.0.0.1:0".to_owned());
    settings
}

fn ids(which: &str) -> BTreeSet<String> {
    (0..10).map(|id| format!("{which}-{id}")).collect()
}

fn ask(producer: &Producer, which: &str) {
    ids(which).iter().for_each(|id| producer.send(id, Some(b"10"), Some(0)));
    producer.flush();
}

/// Waits until all of these have a result.
fn wait_for(servers: &str, names: &Names, which: &str) {
    let mut missing = ids(which);
    records_until(servers, &names.sink, LIMIT, |record| {
        missing.remove(record.key());
        missing.is_empty()
    });
}

/// How often each id has a result.
fn results(servers: &str, names: &Names) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for record in read_committed(servers, &names.sink) {
        *found.entry(record.key().to_owned()).or_default() += 1;
    }
    found
}

fn renewals(worker: &Worker) -> u64 {
    let metrics = worker.scrape();
    let line = metrics.lines().find(|line| line.starts_with("pipeline_producer_renewals_total{"));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

/// Whether the broker did what an EndTxn asked of it, by its answer: throttled for so many milliseconds, and an error.
fn was_done(end: &Held) -> bool {
    let answer = end.answer(SOON).unwrap();
    answer[4..] == [0, 0]
}

/// The commit of `a` is held back and asked for again. When it comes, the results of `b` are there and their offsets
/// are not; then the worker is killed.
fn a_commit_comes_late(
    cluster: &ProxiedCluster,
    variables: &[(&str, &str)],
) -> (bool, BTreeMap<String, usize>) {
    let (direct, proxy) = (cluster.nodes.bootstrap_servers(), &cluster.proxies()[0]);
    let names = Names::new("late-commit");
    let producer = Producer::new(&direct, &names.source, 1, &[]);
    let worker = Worker::start_with(&cluster.bootstrap_servers(), &settings(&names), variables);
    worker.says(&["rebalance: assign"]);

    let end = Held::new();
    proxy.hold_next(Api::EndTxn, &end);
    ask(&producer, "a");
    assert!(end.caught(SOON), "{}", worker.log());
    end.cut();
    wait_for(&direct, &names, "a");
    let offsets = Held::new();
    proxy.hold_next(Api::AddOffsetsToTxn, &offsets);
    ask(&producer, "b");
    assert!(offsets.caught(SOON), "{}", worker.log());
    end.release();
    let done = was_done(&end);
    assert_eq!(renewals(&worker), u64::from(variables.is_empty()), "{}", worker.log());
    worker.kill();

    let worker = Worker::start(&direct, &settings(&names));
    ask(&producer, "c");
    wait_for(&direct, &names, "c");
    assert_eq!(renewals(&worker), 0, "{}", worker.log());
    (done, results(&direct, &names))
}

/// The abort of a transaction is held back and asked for again. When it comes, the results of the next transaction are
/// there; their offsets are committed after it.
fn an_abort_comes_late(
    cluster: &ProxiedCluster,
    variables: &[(&str, &str)],
) -> (bool, BTreeMap<String, usize>) {
    let (direct, proxy) = (cluster.nodes.bootstrap_servers(), &cluster.proxies()[0]);
    let names = Names::new("late-abort");
    let producer = Producer::new(&direct, &names.source, 1, &[]);
    let worker = Worker::start_with(&cluster.bootstrap_servers(), &settings(&names), variables);
    worker.says(&["rebalance: assign"]);

    // The group puts the worker out while it commits.
    let [first, second, end] = [Held::new(), Held::new(), Held::new()];
    proxy.hold_next(Api::AddOffsetsToTxn, &first);
    ask(&producer, "a");
    assert!(first.caught(SOON), "{}", worker.log());
    proxy.disturb(Some(Api::Heartbeat), Effect::Slow(LIMIT));
    thread::sleep(SESSION + Duration::from_secs(1));
    proxy.hold_next(Api::EndTxn, &end);
    proxy.calm();
    first.release();
    assert!(end.caught(SOON), "{}", worker.log());
    proxy.hold_next(Api::AddOffsetsToTxn, &second);
    end.cut();
    assert!(second.caught(SOON), "{}", worker.log());
    end.release();
    let done = was_done(&end);
    second.release();
    ask(&producer, "b");
    wait_for(&direct, &names, "b");
    assert_eq!(renewals(&worker), u64::from(variables.is_empty()), "{}", worker.log());
    (done, results(&direct, &names))
}

#[test]
fn a_request_that_comes_late_ends_no_later_transaction() {
    let cluster = proxied_cluster();
    let once = |which: &[&str]| -> BTreeMap<String, usize> {
        which.iter().flat_map(|which| ids(which)).map(|id| (id, 1)).collect()
    };
    assert_eq!(a_commit_comes_late(&cluster, &[]), (false, once(&["a", "b", "c"])));
    assert_eq!(an_abort_comes_late(&cluster, &[]), (false, once(&["a", "b"])));

    // Without the guard the test sees what it is there for: doubles, and losses.
    let unguarded = [("PIPELINE_PLANT", "no-guard")];
    let (done, results) = a_commit_comes_late(&cluster, &unguarded);
    assert!(done && results.values().any(|times| *times > 1), "{results:?}");
    assert_eq!(an_abort_comes_late(&cluster, &unguarded), (true, once(&["b"])));
}

#[test]
fn a_healthy_worker_keeps_its_producer() {
    let broker = broker();
    let servers = broker.bootstrap_servers();
    let names = Names::new("plain");
    let producer = Producer::new(&servers, &names.source, 2, &[]);
    let unique = format!("name={}", names.source);
    let worker = Worker::start(&servers, &[settings(&names), vec![unique]].concat());
    for round in 0..50 {
        let which = format!("round-{round}");
        ids(&which).iter().for_each(|id| producer.send(id, Some(b"10"), None));
        producer.flush();
        wait_for(&servers, &names, &which);
    }
    assert_eq!(renewals(&worker), 0, "{}", worker.log());
    let committed =
        format!("pipeline_transactions_total{{pipeline=\"{}\",outcome=\"committed\"}} ", names.source);
    let metrics = worker.scrape();
    let committed: u64 =
        metrics.lines().find_map(|line| line.strip_prefix(&committed)).unwrap().parse().unwrap();
    assert!(committed >= 50, "{committed}");
}

#[test]
fn requests_of_every_kind_that_come_late_under_load_lose_and_double_nothing() {
    let cluster = proxied_cluster();
    let (direct, proxy) = (cluster.nodes.bootstrap_servers(), &cluster.proxies()[0]);
    let names = Names::new("late");
    let producer = Producer::new(&direct, &names.source, 4, &[]);
    let settings = settings(&names);
    let workers: [Worker; 2] =
        std::array::from_fn(|_| Worker::start(&cluster.bootstrap_servers(), &settings));
    workers.iter().for_each(|worker| worker.says(&["rebalance: assign"]));
    let kinds = [
        Api::EndTxn,
        Api::TxnOffsetCommit,
        Api::Produce,
        Api::AddPartitionsToTxn,
        Api::EndTxn,
        Api::AddOffsetsToTxn,
        Api::InitProducerId,
    ];
    let (sent, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(SeqCst) {
                for _ in 0..10 {
                    let id = sent.fetch_add(1, SeqCst);
                    producer.send(&format!("id-{id}"), Some(b"10"), None);
                }
                thread::sleep(Duration::from_millis(10));
            }
        });
        for round in 0..4 * kinds.len() {
            let held = Held::new();
            proxy.hold_next(kinds[round % kinds.len()], &held);
            // Nobody may ask for a producer's id just now.
            if held.caught(Duration::from_secs(2)) {
                held.cut();
                thread::sleep(Duration::from_millis(100 * (round as u64 % 5)));
            }
            held.release();
        }
        stop.store(true, SeqCst);
    });
    producer.flush();
    let mut missing: BTreeSet<String> = (0..sent.load(SeqCst)).map(|id| format!("id-{id}")).collect();
    let expected: BTreeMap<String, usize> = missing.iter().map(|id| (id.clone(), 1)).collect();
    let logs = || workers.iter().map(Worker::log).collect::<Vec<_>>().join("\n---\n");
    let all = records_within(&direct, &names.sink, LIMIT, |record| {
        missing.remove(record.key());
        missing.is_empty()
    });
    assert!(all.is_some(), "{} are missing: {missing:?}\n{}", missing.len(), logs());
    let found = results(&direct, &names);
    let double: Vec<_> = found.iter().filter(|(_, times)| **times > 1).collect();
    assert!(double.is_empty(), "{double:?}\n{}", logs());
    assert_eq!(found, expected);
    let renewals: u64 = workers.iter().map(renewals).sum();
    eprintln!("{} records, {renewals} renewals", expected.len());
    assert!(renewals > 0, "{}", logs());
}
