//! `pipeline verify`: its proxy in front of a real broker, and the whole of it.

use std::time::Duration;

use pipeline::{
    broker::{Data, Jars, Nodes, Settings},
    verify::{
        ProxiedCluster,
        proxy::{Api, Effect, Held, KAFKA_STORAGE_ERROR},
    },
};
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use crate::harness::{create_topic, pipeline, read_committed};

const SOON: Duration = Duration::from_secs(30);

fn proxied_cluster() -> ProxiedCluster {
    let settings = Settings {
        nodes: Nodes::One,
        data: Data::Temporary,
        port: None,
        heap_mib: 256,
        properties: Vec::new(),
    };
    ProxiedCluster::start(&Jars::fetch().unwrap(), &settings).unwrap()
}

#[test]
fn a_commit_that_is_held_back_ends_the_next_transaction_of_that_producer() {
    let cluster = proxied_cluster();
    create_topic(&cluster.nodes.bootstrap_servers(), "held", 1, &[]);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("transactional.id", "held")
        .create()
        .unwrap();
    producer.init_transactions(SOON).unwrap();
    let send = |value: &str| {
        producer.begin_transaction().unwrap();
        producer.send(BaseRecord::<(), str>::to("held").payload(value)).unwrap();
        producer.flush(SOON).unwrap();
    };
    let committed = || {
        let values = read_committed(&cluster.nodes.bootstrap_servers(), "held");
        values.iter().map(|record| record.value().to_owned()).collect::<Vec<_>>()
    };

    let held = Held::new();
    cluster.proxies()[0].hold_next(Api::EndTxn, &held);
    send("first");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(held.caught(SOON));
            held.cut();
        });
        // It is asked for again by another connection.
        producer.commit_transaction(SOON).unwrap();
    });
    send("second");
    assert_eq!(committed(), ["first"]);
    held.release();
    let answer = held.answer(SOON).unwrap();
    // Throttled for 0 ms; no error: the broker has committed what nobody asked it to commit (KIP-890).
    assert_eq!(answer, [0; 6]);
    assert_eq!(committed(), ["first", "second"]);
}

#[test]
fn a_producer_goes_on_after_a_full_disk_and_a_connection_that_was_half_open() {
    let cluster = proxied_cluster();
    let (direct, proxy) = (cluster.nodes.bootstrap_servers(), &cluster.proxies()[0]);
    create_topic(&direct, "disturbed", 1, &[]);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("enable.idempotence", "true")
        .set("socket.timeout.ms", "1000")
        .create()
        .unwrap();
    let mut expected = Vec::new();
    for (value, effect) in [
        ("full", Effect::Refuse(KAFKA_STORAGE_ERROR)),
        ("half-open", Effect::HalfOpen),
        ("answer lost", Effect::CutAfter),
    ] {
        proxy.disturb(Some(Api::Produce), effect);
        let hits = proxy.hits();
        producer.send(BaseRecord::<(), str>::to("disturbed").payload(value)).unwrap();
        producer.flush(Duration::from_secs(2)).unwrap_err();
        assert!(proxy.hits() > hits, "{value}");
        proxy.calm();
        producer.flush(SOON).unwrap();
        expected.push(value);
        let found = read_committed(&direct, "disturbed");
        assert_eq!(found.iter().map(|record| record.value()).collect::<Vec<_>>(), expected);
    }
}

/// `pipeline verify factorial.toml`, one broker, two workers, for some seconds: exit code, output, and the report.
fn verify(faults: &str, minutes: &str, settings: &[&str]) -> (i32, String, serde_json::Value) {
    let folder = tempfile::tempdir().unwrap();
    let reports = folder.path().to_str().unwrap();
    let mut arguments =
        vec!["verify", "factorial.toml", "--faults", faults, "--minutes", minutes, "--seed", "7"];
    arguments.extend(["--nodes", "1", "--workers", "2", "--rate", "200", "--reports", reports]);
    let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
    let (code, stdout, stderr) = pipeline("nobody:1", &arguments, &settings);
    let run = folder.path().join("factorial-7");
    let report =
        std::fs::read_to_string(run.join("report.json")).unwrap_or_else(|_| panic!("{stdout}\n{stderr}"));
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("<h2>By fault</h2>") && page.ends_with("</html>\n"), "{page}");
    assert!(run.join("workers/w1.log").exists());
    assert_eq!(run.join("cluster").exists(), code != 0, "the data is kept where something is wrong");
    (code, format!("{stdout}\n{stderr}"), serde_json::from_str(&report).unwrap())
}

#[test]
fn a_worker_that_is_killed_loses_nothing_and_the_report_says_so() {
    let (code, said, report) = verify("kill-worker", "0.05", &["guarantee=exactly-once"]);
    assert_eq!(code, 0, "{said}");
    let count = |name: &str| report[name].as_u64().unwrap();
    assert!(count("requests") > 500, "{report}");
    assert_eq!(count("requests"), count("right"));
    assert_eq!(report["faults"][0]["fault"], "kill -9 a worker");
    assert_eq!(report["by_fault"][0]["never_recovered"], 0, "{report}");
    assert!(
        said.contains("again: pipeline verify factorial.toml --faults kill-worker --minutes 0.05 --seed 7"),
        "{said}"
    );
    assert!(said.contains("ok     0 lost (lost write)"), "{said}");
}
