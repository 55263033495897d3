//! KIP-890's hole: a request that was held back on its way ends no later transaction than its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::Duration,
};

use pipeline::verify::{
    ProxiedCluster,
    proxy::{Api, Effect, Held},
};

use crate::harness::{LIMIT, Producer, Site, Worker, all_of, beside, records_within, start_behind_proxies};

const SOON: Duration = Duration::from_secs(30);
/// As a `Site` has it.
const SESSION: Duration = Duration::from_secs(2);

/// With the default time for a transaction: here it must outlast what is held.
fn patient(site: Site) -> Site {
    site.without("transaction.timeout").with(&["guarantee=exactly-once", "metrics.listen=127.0.0.1:0"])
}

/// Its workers reach the brokers through their proxies.
fn proxied(cluster: &ProxiedCluster, test: &str) -> Site {
    let site = Site::at(&cluster.nodes.bootstrap_servers(), test);
    patient(site).through(&cluster.bootstrap_servers())
}

fn ids(which: &str) -> BTreeSet<String> {
    (0..10).map(|id| format!("{which}-{id}")).collect()
}

fn ask(producer: &Producer, which: &str) {
    ids(which).iter().for_each(|id| producer.send(id, Some(b"10"), Some(0)));
    producer.flush();
}

/// How often each id has a result.
fn results(site: &Site) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for record in site.read(&site.sink) {
        *found.entry(record.key().to_owned()).or_default() += 1;
    }
    found
}

fn renewals(worker: &Worker) -> u64 {
    worker.metric("pipeline_producer_renewals_total") as u64
}

/// Whether the broker did what an EndTxn asked of it, by its answer: throttled for so many milliseconds, and an error.
fn was_done(end: &Held) -> bool {
    let answer = end.answer(SOON).unwrap();
    answer[4..] == [0, 0]
}

/// Whether the request that came late was done, and how often each id has a result.
type Outcome = (bool, BTreeMap<String, usize>);

/// A worker, with the guard or with a fault in place of it.
fn begin(cluster: &ProxiedCluster, test: &str, guarded: bool) -> (Site, Producer, Worker) {
    let site = proxied(cluster, test);
    let site = if guarded { site } else { site.env("PIPELINE_PLANT", "no-guard") };
    let producer = site.producer(1);
    let worker = site.worker(&[]);
    worker.says(&["rebalance: assign"]);
    (site, producer, worker)
}

/// The commit of `a` is held back and asked for again. When it comes, the results of `b` are there and their offsets
/// are not; then the worker is killed.
fn a_commit_comes_late(cluster: &ProxiedCluster, guarded: bool) -> Outcome {
    let proxy = &cluster.proxies()[0];
    let (site, producer, worker) = begin(cluster, "late-commit", guarded);
    let end = Held::new();
    proxy.hold_next(Api::EndTxn, &end);
    ask(&producer, "a");
    assert!(end.caught(SOON), "{}", worker.log());
    end.cut();
    site.results(all_of(ids("a")));
    let offsets = Held::new();
    proxy.hold_next(Api::AddOffsetsToTxn, &offsets);
    ask(&producer, "b");
    assert!(offsets.caught(SOON), "{}", worker.log());
    end.release();
    let done = was_done(&end);
    assert_eq!(renewals(&worker), u64::from(guarded), "{}", worker.log());
    worker.kill();

    // Past the proxies, and without the fault.
    let worker = Worker::start(&site.servers, &["run", "factorial.toml"], &site.settings(&[]), &[]);
    ask(&producer, "c");
    site.results(all_of(ids("c")));
    assert_eq!(renewals(&worker), 0, "{}", worker.log());
    (done, results(&site))
}

/// The abort of a transaction is held back and asked for again. When it comes, the results of the next transaction are
/// there; their offsets are committed after it.
fn an_abort_comes_late(cluster: &ProxiedCluster, guarded: bool) -> Outcome {
    let proxy = &cluster.proxies()[0];
    let (site, producer, worker) = begin(cluster, "late-abort", guarded);
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
    site.results(all_of(ids("b")));
    assert_eq!(renewals(&worker), u64::from(guarded), "{}", worker.log());
    (done, results(&site))
}

#[test]
fn a_request_that_comes_late_ends_no_later_transaction() {
    let cluster = start_behind_proxies(&[]);
    let once = |which: &[&str]| -> BTreeMap<String, usize> {
        which.iter().flat_map(|which| ids(which)).map(|id| (id, 1)).collect()
    };
    assert_eq!(a_commit_comes_late(&cluster, true), (false, once(&["a", "b", "c"])));
    assert_eq!(an_abort_comes_late(&cluster, true), (false, once(&["a", "b"])));

    // Without the guard the test sees what it is there for: doubles, and losses.
    let (done, results) = a_commit_comes_late(&cluster, false);
    assert!(done && results.values().any(|times| *times > 1), "{results:?}");
    assert_eq!(an_abort_comes_late(&cluster, false), (true, once(&["b"])));
}

#[test]
fn a_healthy_worker_keeps_its_producer() {
    let site = patient(Site::new("plain"));
    let producer = site.producer(2);
    let worker = site.worker(&[&format!("name={}", site.source)]);
    for round in 0..50 {
        let which = format!("round-{round}");
        ids(&which).iter().for_each(|id| producer.send(id, Some(b"10"), None));
        producer.flush();
        site.results(all_of(ids(&which)));
    }
    assert_eq!(renewals(&worker), 0, "{}", worker.log());
    let committed =
        format!("pipeline_transactions_total{{pipeline=\"{}\",outcome=\"committed\"}}", site.source);
    let committed = worker.metric(&committed);
    assert!(committed >= 50.0, "{committed}");
}

#[test]
fn requests_of_every_kind_that_come_late_under_load_lose_and_double_nothing() {
    let cluster = start_behind_proxies(&[]);
    let proxy = &cluster.proxies()[0];
    let site = proxied(&cluster, "late");
    let producer = site.producer(4);
    let workers = [site.worker(&[]), site.worker(&[])];
    for worker in &workers {
        worker.says(&["rebalance: assign"]);
    }
    let kinds = [
        Api::EndTxn,
        Api::TxnOffsetCommit,
        Api::Produce,
        Api::AddPartitionsToTxn,
        Api::EndTxn,
        Api::AddOffsetsToTxn,
        Api::InitProducerId,
    ];
    let mut count = 0;
    let send = || {
        for _ in 0..10 {
            producer.send(&format!("id-{count}"), Some(b"10"), None);
            count += 1;
        }
        thread::sleep(Duration::from_millis(10));
    };
    beside([send], || {
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
    });
    producer.flush();
    let mut missing: BTreeSet<String> = (0..count).map(|id| format!("id-{id}")).collect();
    let expected: BTreeMap<String, usize> = missing.iter().map(|id| (id.clone(), 1)).collect();
    let logs = || workers.iter().map(Worker::log).collect::<Vec<_>>().join("\n---\n");
    let all = records_within(&site.servers, &site.sink, LIMIT, |record| {
        missing.remove(record.key());
        missing.is_empty()
    });
    assert!(all.is_some(), "{} are missing: {missing:?}\n{}", missing.len(), logs());
    let found = results(&site);
    let double: Vec<_> = found.iter().filter(|(_, times)| **times > 1).collect();
    assert!(double.is_empty(), "{double:?}\n{}", logs());
    assert_eq!(found, expected);
    let renewals: u64 = workers.iter().map(renewals).sum();
    eprintln!("{} records, {renewals} renewals", expected.len());
    assert!(renewals > 0, "{}", logs());
}
