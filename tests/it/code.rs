//! The user's own code: a service that fails and goes away, a program that ends again and again, workers that are killed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use tokio::{net::TcpListener, runtime::Runtime};

use crate::harness::{LIMIT, Site, Worker, create_topic, free_port, records_until};

/// How often each call was made, by its idempotency key.
type Calls = Arc<Mutex<HashMap<String, u32>>>;

/// A service that takes 20 ms, and answers each tenth call with 500 at first. Nothing of it is left when it is dropped.
struct Service(Option<Runtime>);

impl Service {
    fn start(port: u16, calls: Calls) -> Service {
        let runtime = Runtime::new().unwrap();
        let answer = |State(calls): State<Calls>, headers: HeaderMap, body: String| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let id = headers["idempotency-key"].to_str().unwrap().to_owned();
            let fails = id.bytes().map(u32::from).sum::<u32>() % 10 == 0;
            let mut calls = calls.lock().unwrap();
            let attempt = calls.entry(id).and_modify(|count| *count += 1).or_insert(1);
            if fails && *attempt == 1 {
                return (StatusCode::INTERNAL_SERVER_ERROR, "not now".to_owned());
            }
            (StatusCode::OK, body.replace("\"asked\"", "\"answered\""))
        };
        let router = Router::new().route("/", post(answer)).with_state(calls);
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", port))).unwrap();
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Service(Some(runtime))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.0.take().unwrap().shutdown_background();
    }
}

fn value(n: usize, state: &str) -> String {
    format!("{{\"id\":{n},\"state\":\"{state}\"}}")
}

fn key(n: usize) -> String {
    format!("k-{}", n % 200)
}

/// Each result is there once, with what the code has made of it, and those of a key are in order.
fn all_is_right(site: &Site, records: usize, state: &str) {
    let last: Vec<String> = (0..records).map(|n| value(n, state)).collect();
    let mut open: BTreeSet<&str> = last.iter().map(String::as_str).collect();
    records_until(&site.servers, &site.sink, LIMIT, |record| {
        open.remove(record.value());
        open.is_empty()
    });
    let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in site.read(&site.sink) {
        by_key.entry(record.key().to_owned()).or_default().push(record.value().to_owned());
    }
    for (first, name) in (0..200).map(|first| (first, key(first))) {
        let expected: Vec<String> = (first..records).step_by(200).map(|n| value(n, state)).collect();
        assert_eq!(by_key.remove(&name), Some(expected), "{name}");
    }
    assert!(by_key.is_empty() && site.read(&site.dead_letters).is_empty());
}

/// Starts a worker of a pipeline with that operator.
fn pipeline(site: &Site, folder: &std::path::Path, operator: &str) -> String {
    create_topic(&site.servers, &site.sink, 3, &[]);
    let file = folder.join("code.toml");
    let text = format!(
        "name = \"code\"\nguarantee = \"exactly-once\"\norder = \"key\"\n\
         [source]\ntopic = \"x\"\nformat = \"json\"\n{operator}\n[sink]\ntopic = \"y\"\nformat = \"json\"\n"
    );
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_service_that_fails_and_goes_away_costs_no_record_and_no_order_although_a_worker_is_killed() {
    let site = Site::new("service");
    let folder = tempfile::tempdir().unwrap();
    let (port, calls) = (free_port(), Calls::default());
    let operator = format!("[operators.http]\nurl = \"http://127.0.0.1:{port}/\"\nconcurrency = 100");
    let file = pipeline(&site, folder.path(), &operator);
    let producer = site.producer(2);
    let worker = || site.start(&["run", &file], &[]);
    let service = Service::start(port, calls.clone());
    let running = worker();
    (0..4_000).for_each(|n| producer.send(&key(n), Some(value(n, "asked").as_bytes()), None));
    producer.flush();
    let half = |record: &crate::harness::Consumed| record.value().contains("\"id\":1000,");
    records_until(&site.servers, &site.sink, LIMIT, half);
    drop(service);
    running.kill();
    let running = worker();
    std::thread::sleep(Duration::from_secs(3));
    let _service = Service::start(port, calls.clone());
    all_is_right(&site, 4_000, "answered");
    assert_eq!(calls.lock().unwrap().len(), 4_000, "each record has one name, however often it is tried");
    running.terminate();
}

#[test]
fn a_program_that_ends_again_and_again_costs_no_record_although_a_worker_is_killed() {
    let site = Site::new("program");
    let folder = tempfile::tempdir().unwrap();
    // Each ends after so many answers.
    let operator = "[operators.command]\nrun = [\"sed\", \"-u\", \"s/asked/answered/;70q\"]\nprocesses = 2";
    let file = pipeline(&site, folder.path(), operator);
    let producer = site.producer(2);
    let running = site.start(&["run", &file], &[]);
    (0..3_000).for_each(|n| producer.send(&key(n), Some(value(n, "asked").as_bytes()), None));
    producer.flush();
    records_until(&site.servers, &site.sink, LIMIT, |record| record.value().contains("\"id\":1000,"));
    running.kill();
    let running = site.start(&["run", &file], &[]);
    all_is_right(&site, 3_000, "answered");
    running.terminate();
}

#[test]
fn a_worker_stops_in_time_while_a_service_never_answers() {
    let site = Site::new("hangs");
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let operator = format!(
        "[operators.http]\nurl = \"http://{}/\"\ntimeout = \"10 min\"",
        listener.local_addr().unwrap()
    );
    let file = pipeline(&site, folder.path(), &operator);
    let running = site.start(&["run", &file], &["shutdown.timeout=3 s"]);
    let producer = site.producer(2);
    (0..100).for_each(|n| producer.send(&key(n), Some(value(n, "asked").as_bytes()), None));
    producer.flush();
    let _asked = listener.accept().unwrap();
    let begun = std::time::Instant::now();
    running.terminate();
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    assert!(site.read(&site.sink).is_empty() && site.read(&site.dead_letters).is_empty());
}

#[test]
fn a_record_that_fails_waits_in_a_retry_topic_and_each_has_one_result_although_workers_are_killed() {
    let site = Site::new("later");
    let folder = tempfile::tempdir().unwrap();
    let (port, calls) = (free_port(), Calls::default());
    let operator = format!(
        "[operators.http]\nurl = \"http://127.0.0.1:{port}/\"\nconcurrency = 100\n\
         [retry]\nattempts = 1\ntopic = \"{}-retry\"\nafter = [\"3 s\"]",
        site.source
    );
    let file = pipeline(&site, folder.path(), &operator);
    let producer = site.producer(2);
    let worker = || site.start(&["run", &file], &["order=none"]);
    let _service = Service::start(port, calls.clone());
    let running = worker();
    (0..4_000).for_each(|n| producer.send(&key(n), Some(value(n, "asked").as_bytes()), None));
    producer.flush();
    let all: BTreeSet<String> = (0..4_000).map(|n| value(n, "answered")).collect();
    let mut open = all.clone();
    let mut running = Some(running);
    records_until(&site.servers, &site.sink, LIMIT, |record| {
        open.remove(record.value());
        // Once while most are computed, and once while the last ones wait.
        if open.len() == 2_000 || open.len() == 200 {
            running.take().into_iter().for_each(Worker::kill);
            running = Some(worker());
        }
        open.is_empty()
    });
    let results: Vec<String> = site.read(&site.sink).iter().map(|record| record.value().to_owned()).collect();
    assert_eq!(results.len(), all.len(), "each has one result");
    assert_eq!(results.into_iter().collect::<BTreeSet<_>>(), all);
    assert!(site.read(&site.dead_letters).is_empty());
    let waited = site.read(&format!("{}-retry-1", site.source));
    let offsets: BTreeSet<_> = waited
        .iter()
        .map(|record| {
            let of = |name| record.header(name).unwrap().to_owned();
            (of("pipeline.retry.partition"), of("pipeline.retry.offset"))
        })
        .collect();
    assert!(offsets.len() == waited.len() && waited.len() > 200, "{} of {}", offsets.len(), waited.len());
    let asked: Vec<u32> = calls.lock().unwrap().values().copied().collect();
    assert_eq!(asked.len(), 4_000, "a record keeps its name in a retry topic");
    running.unwrap().terminate();
}

#[test]
fn what_comes_behind_a_record_in_a_retry_topic_stays_behind_it_although_workers_are_killed() {
    what_comes_behind_stays_behind(&Site::new("behind"), &[2_000, 200]);
}

#[test]
fn it_does_so_where_the_brokers_share_the_partitions_out() {
    let site = Site::new("behind848").without("kafka.").with(&["kafka.group.protocol=consumer"]);
    // Such a group takes 45 s to notice that a worker was killed.
    what_comes_behind_stays_behind(&site, &[]);
}

/// A worker is killed when so many are open.
fn what_comes_behind_stays_behind(site: &Site, kills: &[usize]) {
    let folder = tempfile::tempdir().unwrap();
    let (port, calls) = (free_port(), Calls::default());
    let operator = format!(
        "[operators.http]\nurl = \"http://127.0.0.1:{port}/\"\nconcurrency = 100\n\
         [retry]\nattempts = 1\ntopic = \"{}-retry\"\nafter = [\"1 s\"]",
        site.source
    );
    let retry = format!("{}-retry-1", site.source);
    // It gets as many partitions as the source has.
    create_topic(&site.servers, &retry, 1, &[]);
    let file = pipeline(site, folder.path(), &operator);
    let producer = site.producer(4);
    let worker = || site.start(&["run", &file], &[]);
    let _service = Service::start(port, calls.clone());
    let (mut first, second) = (Some(worker()), worker());
    let mut open: BTreeSet<String> = (0..4_000).map(|n| value(n, "answered")).collect();
    for n in 0..4_000 {
        producer.send(&key(n), Some(value(n, "asked").as_bytes()), None);
        if n % 400 == 0 {
            producer.flush();
            std::thread::sleep(Duration::from_millis(500));
        }
    }
    producer.flush();
    records_until(&site.servers, &site.sink, LIMIT, |record| {
        open.remove(record.value());
        if kills.contains(&open.len()) {
            first.take().into_iter().for_each(Worker::kill);
            first = Some(worker());
        }
        open.is_empty()
    });
    all_is_right(site, 4_000, "answered");
    let waited = site.read(&retry);
    let behind = waited.iter().filter(|record| record.header("pipeline.retry.attempts") == Some("0")).count();
    assert!(
        waited.len() > behind + 200 && behind > 20,
        "{} waited, {behind} of them behind others",
        waited.len()
    );
    for worker in [first.unwrap(), second] {
        worker.terminate();
    }
}
