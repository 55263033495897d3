//! What is said about a file, as a person reads it.

mod cases;
mod formats;
mod gateway;
mod meanings;
mod routes;
mod settings;
mod sources;
mod together;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use super::*;
use crate::settings::{Diagnostic, Diagnostics, Environment};

struct Empty;

impl Environment for Empty {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "PASSWORD").then(|| "hunter2".to_owned())
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("no such file".into())
    }
}

const GOOD: &str = r#"name = "f"

[source]
topic = "in"

[operators.factorial]

[sink]
topic = "out"
"#;

fn parsed(text: &str, sets: &[&str]) -> Result<(Pipeline, Diagnostics), Diagnostics> {
    let overrides: Vec<Override> = sets.iter().map(|set| set.parse().unwrap()).collect();
    parse("f.toml", text, &overrides, &Empty)
}

/// The pipeline of a good file, more lines at its end, and overrides.
fn good(more: &str, sets: &[&str]) -> Pipeline {
    parsed(&format!("{GOOD}{more}"), sets).unwrap_or_else(|wrong| panic!("{wrong}")).0
}

fn wrong(text: &str, sets: &[&str]) -> String {
    parsed(text, sets).err().unwrap_or_else(|| panic!("accepted: {text} {sets:?}")).to_string()
}

/// Each line at the end of a good file, and what must be said about it, at that place.
fn assert_wrong(cases: &[(&str, &[&str])]) {
    for (more, expected) in cases {
        let text = wrong(&format!("{GOOD}{more}\n"), &[]);
        for part in *expected {
            assert!(text.contains(part), "{more}\n{part:?} is not in\n{text}");
        }
    }
}

#[test]
fn a_short_file_has_the_defaults() {
    let pipeline = good("", &[]);
    assert_eq!((pipeline.name.as_str(), pipeline.source.group.as_str()), ("f", "f"));
    assert_eq!((pipeline.guarantee, pipeline.order), (Guarantee::AtLeastOnce, Order::Partition));
    assert_eq!(pipeline.dead_letters, "in.dlq");
    assert!(!pipeline.source.requests);
    assert_eq!(pipeline.commit, Commit { interval: Duration::from_millis(100), records: 10_000 });
    assert_eq!(pipeline.limits.memory, 256 << 20);
    assert_eq!(pipeline.shutdown_timeout, Duration::from_secs(10));
    let listen: SocketAddr = "127.0.0.1:9464".parse().unwrap();
    assert_eq!(pipeline.metrics, Metrics { listen, explicit: false });
}

#[test]
fn every_setting_of_a_full_file_arrives() {
    let text = r#"
        name = "f"
        guarantee = "exactly-once"
        order = "key"
        [kafka]
        bootstrap.servers = "b:1"
        [source]
        topic = "in"
        partitions = 4
        replication = 3
        group = "g"
        format = "json"
        requests = true
        config.retention.ms = 1000
        kafka.fetch.min.bytes = 5
        [operators.small]
        operator = "filter"
        max = 10
        [operators.factorial]
        max_n = 10
        [sink]
        topic = "out"
        format = "bincode"
        kafka.enable.idempotence = true
        [dead_letters]
        topic = "bad"
        [commit]
        interval = "1s"
        records = 5
        [limits]
        memory = "1 GiB"
        [retry]
        attempts = 3
        backoff = "1 s"
        max_backoff = "2 s"
        [retry.status-429]
        backoff = "30 s"
        [shutdown]
        timeout = "20 s"
        [metrics]
        listen = "[::1]:1"
        [[test]]
        name = "t"
        input = [{ key = "k", value = 5, headers = { a.b = "c" } }, {}]
        output = "5;120"
        dead_letters = ["tombstone"]
    "#;
    let (pipeline, warnings) = parsed(text, &[]).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!((pipeline.guarantee, pipeline.order), (Guarantee::ExactlyOnce, Order::Key));
    assert_eq!(pipeline.kafka["bootstrap.servers"].value, "b:1");
    assert!(pipeline.source.requests);
    assert_eq!(pipeline.source.kafka["fetch.min.bytes"].value, "5");
    assert_eq!(pipeline.sink.kafka["enable.idempotence"].value, "true");
    assert_eq!(
        pipeline.source.topics,
        [TopicSettings {
            topic: "in".into(),
            partitions: Some(4),
            replication: Some(3),
            config: [("retention.ms".to_owned(), "1000".to_owned())].into(),
        }]
    );
    let steps: Vec<String> = pipeline.steps.iter().map(|step| format!("{step:?}")).collect();
    assert_eq!(steps, ["small: filter", "factorial: factorial"]);
    assert_eq!((pipeline.source.group.as_str(), pipeline.dead_letters.as_str()), ("g", "bad"));
    let second = Duration::from_secs(1);
    let otherwise = RetryPolicy { attempts: 3, backoff: second, max_backoff: 2 * second };
    let busy = RetryPolicy { backoff: 30 * second, max_backoff: 30 * second, ..otherwise };
    let by_failure = BTreeMap::from([("status-429".to_owned(), busy)]);
    assert_eq!(pipeline.retries, Retries { otherwise, by_failure, topics: Vec::new() });
    assert_eq!(pipeline.metrics, Metrics { listen: "[::1]:1".parse().unwrap(), explicit: true });
    let input = [
        TestRecord {
            topic: None,
            key: Some("k".into()),
            value: Some("5".into()),
            headers: vec![("a.b".into(), "c".into())],
        },
        TestRecord::default(),
    ];
    let output = TestRecord { value: Some("5;120".into()), ..TestRecord::default() };
    assert_eq!(
        pipeline.tests,
        [TestCase {
            name: "t".into(),
            line: 42,
            input: input.into(),
            answers: Vec::new(),
            tables: BTreeMap::new(),
            output: vec![output],
            dead_letters: vec!["tombstone".into()],
        }]
    );
}

#[test]
fn overrides_win_and_are_named_instead_of_a_position() {
    let sets = [
        "operators.factorial.max_n=5",
        "kafka.bootstrap.servers=b:1",
        "source.kafka.session.timeout.ms=6000",
    ];
    let pipeline = good("", &sets);
    assert_eq!(pipeline.steps[0].operator.largest_output(), Some("5;120".len() as u64));
    assert_eq!(pipeline.kafka["bootstrap.servers"].value, "b:1");
    assert_eq!(pipeline.source.kafka["session.timeout.ms"].value, "6000");
    assert_eq!(good("", &["name=5"]).name, "5");
    for (set, sentence) in [
        (
            "commit.interval=soon",
            "`commit.interval`: \"soon\" is not a duration\n   in --set commit.interval=soon\n",
        ),
        ("operators.factorial.max_n=x", "in --set operators.factorial.max_n=x\n"),
        (
            "sorce.topic=x",
            "`sorce` is not a setting of a pipeline\n   in --set sorce.topic=x\n   Help: did you mean",
        ),
        ("kafka.sasl.mechanisms=${env:NOT_SET}", "`NOT_SET` is not set\n   in --set kafka.sasl.mechanisms="),
    ] {
        let text = wrong(GOOD, &[set]);
        assert!(text.contains(sentence), "{sentence:?} is not in\n{text}");
    }
}

#[test]
fn the_variable_for_the_brokers_wins_over_the_file_and_an_override_over_it() {
    struct Brokers;
    impl Environment for Brokers {
        fn variable(&self, name: &str) -> Option<String> {
            (name == BOOTSTRAP_SERVERS).then(|| "variable:1".to_owned())
        }

        fn file(&self, _: &str) -> Result<String, String> {
            Err("no such file".into())
        }
    }
    let servers = |sets: &[Override]| {
        let text = format!("{GOOD}[kafka]\nbootstrap.servers = 'file:1'\n");
        parse("f.toml", &text, sets, &Brokers).unwrap().0.kafka["bootstrap.servers"].value.clone()
    };
    assert_eq!(servers(&[]), "variable:1");
    assert_eq!(servers(&["kafka.bootstrap.servers=set:1".parse().unwrap()]), "set:1");
}
