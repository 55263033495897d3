//! Load over Kafka: each answer is paired with its request by its id.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use pipeline::factorial::factorial_decimal;
use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, Consumer},
    message::{Header, OwnedHeaders, OwnedMessage},
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use super::{Script, counts};
use crate::harness::{Site, create_topic};

fn targets(site: &Site) -> Vec<String> {
    vec![format!("target.kafka.requests={}", site.source), format!("target.kafka.results={}", site.sink)]
}

#[test]
fn each_answer_of_real_workers_is_checked_and_paired_by_its_id() {
    let site = Site::new("load");
    let workers = [site.worker(&[]), site.worker(&[])];
    for worker in &workers {
        worker.says(&["rebalance: assign"]);
    }
    let script = Script::new(
        r#"thresholds = ["errors = 0", "p99 < 20 s"]
        target.timeout = "60 s"
        phases.steady = { rate = 100, time = "3 s", values.uniform = { min = 0, max = 500 } }
        phases.rising = { ramp = { from = 10, to = 100 }, time = "2 s", values.zipf = { min = 1, max = 50 } }
        phases.users = { users = 5, count = 200, values.list = [1_000, 2_000, 3_000] }
        "#,
    );
    let (code, stdout, stderr) = script.run(&site.servers, &targets(&site));
    assert_eq!(code, 0, "{stdout}{stderr}");
    let json = script.json();
    assert_eq!(counts(&json), [610, 0, 0, 0, 0, 0], "{json}");
    assert!(stdout.contains("610 asked · 610 right · 0 errors (0 %)"), "{stdout}");
    assert_eq!(
        json["totals"]["ack_ms"]["count"].as_u64().unwrap_or(0).min(1),
        1,
        "acknowledgements are timed"
    );

    // What is in the topics is what the report says.
    let (requests, results) = (site.read(&site.source), site.read(&site.sink));
    let asked: BTreeMap<&str, u32> =
        requests.iter().map(|r| (r.header("correlation-id").unwrap(), r.value().parse().unwrap())).collect();
    assert_eq!((asked.len(), requests.len()), (610, 610), "every id is there once");
    assert!(requests.iter().all(|request| request.header("correlation-id") == Some(request.key())));
    let answered: BTreeMap<&str, &str> =
        results.iter().map(|r| (r.header("correlation-id").unwrap(), r.value())).collect();
    assert_eq!(answered.keys().collect::<Vec<_>>(), asked.keys().collect::<Vec<_>>());
    for (id, n) in &asked {
        assert_eq!(answered[id], format!("{n};{}", factorial_decimal(*n)), "{id}");
    }
    let in_last: BTreeSet<u32> = asked.values().copied().filter(|n| *n >= 1_000).collect();
    assert_eq!(in_last, BTreeSet::from([1_000, 2_000, 3_000]));
    for ending in ["html", "json", "hgrm"] {
        assert!(script.reports().join(format!("s.{ending}")).exists(), "{ending}");
    }
}

/// Answers as no worker does: by n, 2 wrongly, 3 not at all, 4 twice, 5 late, 6 with a dead letter, 7 for 8.
struct Liar {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Liar {
    fn start(site: &Site) -> Liar {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &site.servers).set("group.id", &site.source);
        config.set("auto.offset.reset", "earliest").set("linger.ms", "0");
        let consumer: BaseConsumer = config.create().unwrap();
        let producer: BaseProducer = config.create().unwrap();
        consumer.subscribe(&[&site.source]).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, results, dead) = (stop.clone(), site.sink.clone(), site.dead_letters.clone());
        let lie = move || {
            let mut held = Vec::new();
            while !stopped.load(Relaxed) {
                producer.poll(Duration::ZERO);
                held.retain(|(due, record): &(std::time::Instant, OwnedMessage)| {
                    let wait = *due > std::time::Instant::now();
                    if !wait {
                        send(&producer, &results, record, "5;120", None);
                    }
                    wait
                });
                let Some(Ok(record)) = consumer.poll(Duration::from_millis(20)) else { continue };
                let record = record.detach();
                let n: u32 = std::str::from_utf8(record.payload().unwrap()).unwrap().parse().unwrap();
                let right = format!("{n};{}", factorial_decimal(n));
                match n {
                    2 => send(&producer, &results, &record, "2;3", None),
                    3 => {}
                    4 => {
                        send(&producer, &results, &record, &right, None);
                        send(&producer, &results, &record, &right, None);
                    }
                    5 => held.push((std::time::Instant::now() + Duration::from_secs(4), record)),
                    6 => send(&producer, &dead, &record, "6", Some("above-max")),
                    7 => send(&producer, &results, &record, "8;40320", None),
                    _ => send(&producer, &results, &record, &right, None),
                }
            }
            producer.flush(Duration::from_secs(10)).unwrap();
        };
        Liar { stop, thread: Some(thread::spawn(lie)) }
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn send(producer: &BaseProducer, topic: &str, request: &OwnedMessage, value: &str, class: Option<&str>) {
    let mut headers: OwnedHeaders = request.headers().unwrap().clone();
    if let Some(class) = class {
        headers = headers.insert(Header { key: "pipeline.error.class", value: Some(class) });
    }
    let record = BaseRecord::to(topic).key(request.key().unwrap()).payload(value).headers(headers);
    producer.send(record).map_err(|(error, _)| error).unwrap();
}

#[test]
fn answers_that_are_wrong_lost_double_or_late_are_each_told_by_their_id() {
    let site = Site::new("lies");
    for topic in site.topics() {
        create_topic(&site.servers, topic, 2, &[]);
    }
    let _liar = Liar::start(&site);
    let script = Script::new(
        r#"values.list = [1, 2, 3, 4, 5, 6, 7]
        target.timeout = "3 s"
        # The liar has to join its group first.
        phases.warm-up = { users = 1, count = 3, values.list = [1], measured = false }
        phases.lies = { rate = 20, count = 7 }
        "#,
    );
    let mut settings = targets(&site);
    settings.push("target.timeout=20s".to_owned());
    // Joined, and everything is warm.
    let warm = Script::new("values.list = [1]\nphases.warm-up = { users = 1, count = 3 }\n");
    let (code, stdout, stderr) = warm.run(&site.servers, &settings);
    assert_eq!(code, 0, "{stdout}{stderr}");

    let (code, stdout, stderr) = script.run(&site.servers, &targets(&site));
    let json = script.json();
    assert_eq!(code, 1, "{stdout}{stderr}");
    assert_eq!(counts(&json), [2, 5, 2, 1, 1, 1], "{stdout}");
    let failures = serde_json::json!({ "dead letter: above-max": 1, "no answer in time": 2 });
    assert_eq!(json["totals"]["failures"], failures);
    for missed in ["MISSED  wrong = 0  (2)", "MISSED  double = 0  (1)", "MISSED  lost = 0  (1)"] {
        assert!(stdout.contains(missed), "{stdout}");
    }
    assert!(stderr.ends_with("error: 3 thresholds are not met\n"), "{stderr}");

    let requests = site.read(&site.source);
    let id = |n: &str| {
        let of_n = requests.iter().rfind(|request| request.value() == n);
        of_n.unwrap().header("correlation-id").unwrap().to_owned()
    };
    let samples: BTreeSet<String> =
        json["samples"].as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_owned()).collect();
    let expected = [
        format!("2, id {}: wrong: other digits, as many as there must be", id("2")),
        format!("7, id {}: wrong: it is for 8", id("7")),
        format!("{}: double: one more answer", id("4")),
        format!("3, id {}: no answer in time", id("3")),
        format!("5, id {}: no answer in time", id("5")),
    ];
    assert_eq!(samples, BTreeSet::from(expected));
}

#[test]
fn results_in_other_formats_are_checked_too() {
    for format in ["json", "bincode"] {
        let site = Site::new(format).with_format(format);
        let worker = site.worker(&[]);
        worker.says(&["rebalance: assign"]);
        let script =
            Script::new("values.uniform = { min = 0, max = 300 }\nphases.x = { users = 4, count = 100 }\n");
        let mut settings = targets(&site);
        settings.extend([
            format!("target.kafka.request_format={format}"),
            format!("target.kafka.result_format={format}"),
        ]);
        let (code, stdout, stderr) = script.run(&site.servers, &settings);
        assert_eq!((code, counts(&script.json())), (0, [100, 0, 0, 0, 0, 0]), "{format}: {stdout}{stderr}");
    }
}

#[test]
fn results_in_pieces_are_put_together_and_checked() {
    let site = Site::new("load-large").with(&["sink.large=pieces"]);
    create_topic(&site.servers, &site.source, 2, &[]);
    create_topic(&site.servers, &site.sink, 2, &[("max.message.bytes", "20000")]);
    let _worker = site.worker(&[]);
    let script = Script::new(
        r#"thresholds = ["errors = 0"]
        target.timeout = "60 s"
        phases.users = { users = 3, count = 30, values.list = [20_000, 100, 25_000] }
        "#,
    );
    let (code, stdout, stderr) = script.run(&site.servers, &targets(&site));
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert_eq!(counts(&script.json()), [30, 0, 0, 0, 0, 0], "{stdout}");
    let pieces = site.read(&site.sink).iter().filter(|r| r.header("pipeline.piece").is_some()).count();
    assert!(pieces >= 40, "{pieces}");
}
