//! Nothing is lost, and with exactly-once nothing is double, whatever is killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, Instant},
};

use pipeline::broker::{Nodes, Settings};
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, Producer as _},
};

use crate::harness::{
    Consumed, LIMIT, Site, Worker, beside, broker_exclusively, broker_settings, ensure, eventually,
    read_uncommitted, records_within, start_broker,
};

/// Requests under way while `faults` happen; then what came out is held against what went in.
fn under_load(site: Site, exactly_once: bool, faults: impl FnOnce(&Site) -> Vec<Worker>) {
    let site = if exactly_once { site.with(&["guarantee=exactly-once"]) } else { site };
    let producer = site.producer(4);
    let mut count = 0;
    let send = || {
        for _ in 0..20 {
            producer.send(&format!("id-{count}"), Some((count % 200).to_string().as_bytes()), None);
            count += 1;
        }
        thread::sleep(Duration::from_millis(20));
    };
    let mut workers = beside([send], || faults(&site));
    producer.flush();
    if workers.is_empty() {
        workers.push(site.worker(&[]));
    }
    let mut missing: BTreeSet<String> = (0..count).map(|id| format!("id-{id}")).collect();
    let begun = Instant::now();
    let all = records_within(&site.servers, &site.sink, LIMIT, |record| {
        missing.remove(record.key());
        missing.is_empty()
    });
    if all.is_none() {
        let logs = workers.iter().map(Worker::log).collect::<Vec<_>>().join("\n---\n");
        panic!("{} of {count} are missing:\n{}\n{logs}", missing.len(), where_they_are(&site, &missing));
    }
    eprintln!("{}: {count} records, all there {:?} after the last fault", site.source, begun.elapsed());
    let mut logs = String::new();
    for worker in workers {
        let (status, log) = worker.terminate();
        assert!(status.success(), "{log}");
        logs += &log;
        logs += "\n---\n";
    }
    verify(&site, count, exactly_once, &logs);
}

/// What the topics say of ids without a result: a request that is not in its topic is the test's own loss, one
/// whose result another reading finds was only read wrongly.
fn where_they_are(site: &Site, missing: &BTreeSet<String>) -> String {
    let [asked, committed, written] =
        [site.read(&site.source), site.read(&site.sink), read_uncommitted(&site.servers, &site.sink)];
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

fn verify(site: &Site, count: u64, exactly_once: bool, logs: &str) {
    let factorials: Vec<String> = (0..200).map(pipeline::factorial::factorial_decimal).collect();
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for record in site.read(&site.sink) {
        let id: u64 = record.key().strip_prefix("id-").unwrap().parse().unwrap();
        let n = id % 200;
        assert_eq!(record.value(), format!("{n};{}", factorials[n as usize]), "{}", record.key());
        assert_eq!(record.header("id"), Some(record.key()));
        *found.entry(record.key().to_owned()).or_default() += 1;
    }
    let expected: BTreeSet<String> = (0..count).map(|id| format!("id-{id}")).collect();
    assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), expected);
    // A producer that a broker's restart interrupts may ask twice, although it is idempotent: that is two requests.
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    site.read(&site.source)
        .into_iter()
        .for_each(|record| *asked.entry(record.key().to_owned()).or_default() += 1);
    found.retain(|id, times| *times > asked[id]);
    eprintln!("{}: {} double", site.source, found.len());
    let double: BTreeSet<String> = found.into_keys().collect();
    assert!(
        !exactly_once || double.is_empty(),
        "{} are double:\n{}\n{logs}",
        double.len(),
        where_they_are(site, &double)
    );
}

fn kill_ten_times(test: &str, exactly_once: bool) {
    under_load(Site::new(test), exactly_once, |site| {
        let mut workers = vec![site.worker(&[]), site.worker(&[])];
        for worker in &workers {
            worker.says(&["rebalance: assign"]);
        }
        for round in 0..10 {
            // Sometimes in the middle of a rebalance, sometimes long after.
            thread::sleep(Duration::from_millis(500 + 400 * (round % 5)));
            workers.remove(0).kill();
            workers.push(site.worker(&[]));
        }
        workers.into_iter().for_each(Worker::kill);
        Vec::new()
    });
}

#[test]
fn killing_one_of_two_workers_ten_times_loses_nothing() {
    kill_ten_times("kill-alo", false);
}

#[test]
fn killing_one_of_two_workers_ten_times_loses_and_doubles_nothing_with_exactly_once() {
    kill_ten_times("kill-eos", true);
}

#[test]
fn a_restart_of_the_broker_under_load_loses_nothing() {
    let mut broker = broker_exclusively();
    let site = Site::at(&broker.bootstrap_servers(), "bounce-alo");
    under_load(site, false, |site| {
        let workers = [site.worker(&[]), site.worker(&[])];
        workers[0].says(&["rebalance: assign"]);
        thread::sleep(Duration::from_secs(2));
        broker.restart().unwrap();
        thread::sleep(Duration::from_secs(1));
        // They survive it, and do the rest themselves.
        Vec::from(workers)
    });
}

/// On three nodes: Kafka 4.3.1 skips the markers of a transaction for partitions that have no leader (KAFKA-20734), and one
/// node that starts again has many. Readers then wait forever at what was written.
#[test]
fn a_rolling_restart_of_three_nodes_under_load_loses_and_doubles_nothing_with_exactly_once() {
    let settings = Settings { nodes: Nodes::Three, heap_mib: 320, ..broker_settings(&[]) };
    let mut cluster = start_broker(&settings);
    let site = Site::at(&cluster.bootstrap_servers(), "bounce-eos");
    under_load(site, true, |site| {
        let workers = [site.worker(&[]), site.worker(&[])];
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

/// The only `transactional.id` that begins as the site's source, as the broker keeps it: a key of
/// `__transaction_state` is a version and a string, with two bytes of length.
fn transactional_id(site: &Site) -> String {
    let keys = read_uncommitted(&site.servers, "__transaction_state");
    let ids = keys.iter().filter_map(|record| std::str::from_utf8(record.key.as_deref()?.get(4..)?).ok());
    let found: BTreeSet<&str> = ids.filter(|id| id.starts_with(&site.source)).collect();
    let [id] = found.iter().collect::<Vec<_>>()[..] else { panic!("{}: {found:?}", site.source) };
    (*id).to_owned()
}

#[test]
fn a_worker_whose_producer_is_fenced_says_so_and_goes_on_without_loss_or_doubles() {
    let site = Site::new("fenced");
    // Its transactional ids begin so.
    let name = format!("name={}", site.source);
    under_load(site.with(&[&name, "metrics.listen=127.0.0.1:0"]), true, |site| {
        let worker = site.worker(&[]);
        let counted = |outcome: &str, least: f64| {
            let series =
                format!("pipeline_transactions_total{{pipeline=\"{}\",outcome=\"{outcome}\"}}", site.source);
            eventually(LIMIT, || {
                let value = worker.metric(&series);
                ensure(value >= least, || format!("{outcome}: {value}\n{}", worker.log()))
            });
        };
        counted("committed", 3.0);
        let usurper: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &site.servers)
            .set("transactional.id", transactional_id(site))
            .create()
            .unwrap();
        usurper.init_transactions(Duration::from_secs(30)).unwrap();
        counted("fenced", 1.0);
        // The new clients have the same id, and so end what the old ones left open.
        counted("committed", 10.0);
        transactional_id(site);
        thread::sleep(Duration::from_secs(1));
        vec![worker]
    });
}
