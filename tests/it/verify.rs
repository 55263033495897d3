//! `pipeline verify`: its proxy in front of a real broker, and the whole of it.

use std::{fs, process::Command, time::Duration};

use pipeline::{
    plant::{Fault, VARIABLE},
    verify::proxy::{Api, Effect, Held, KAFKA_STORAGE_ERROR},
};
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use crate::harness::{Site, create_topic, read_committed, start_behind_proxies};

const SOON: Duration = Duration::from_secs(30);

#[test]
fn a_commit_that_is_held_back_ends_the_next_transaction_of_that_producer() {
    let cluster = start_behind_proxies(&[]);
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
    let cluster = start_behind_proxies(&[]);
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

/// What `pipeline verify factorial.toml` says.
struct Verified {
    code: i32,
    said: String,
    report: serde_json::Value,
    page: String,
    /// Whether the brokers' data was kept.
    kept: bool,
}

impl Verified {
    /// With two workers, for some seconds; a fault is planted in them where one is named.
    fn run(servers: &str, plant: Option<Fault>, arguments: &[&str], settings: &[&str]) -> Verified {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_pipeline"))
            .args(["verify", "factorial.toml", "--seed", "7", "--workers", "2", "--rate", "300", "--reports"])
            .arg(folder.path())
            .args(arguments)
            .args(settings.iter().map(|setting| format!("--set={setting}")))
            .env("PIPELINE_BOOTSTRAP_SERVERS", servers)
            .envs(plant.map(|plant| (VARIABLE, plant.name())))
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).join("\n");
        let run = folder.path().join("factorial-7");
        assert!(run.join("workers/w1.log").exists(), "{said}");
        let read = |name| fs::read_to_string(run.join(name)).unwrap_or_else(|_| panic!("{said}"));
        Verified {
            code: output.status.code().unwrap(),
            report: serde_json::from_str(&read("report.json")).unwrap(),
            page: read("report.html"),
            kept: run.join("cluster").exists(),
            said,
        }
    }

    /// How many anomalies of a kind there are that break the promise.
    fn broken(&self, kind: &str) -> u64 {
        let kinds = self.report["anomalies"].as_array().unwrap();
        kinds.iter().find(|found| found["name"] == kind).unwrap()["broken"].as_u64().unwrap()
    }
}

#[test]
fn a_worker_that_is_killed_loses_nothing_and_the_report_says_so() {
    let arguments = ["--nodes", "1", "--faults", "kill-worker", "--minutes", "0.05"];
    let verified = Verified::run("nobody:1", None, &arguments, &["guarantee=exactly-once"]);
    let Verified { code, said, report, page, kept } = &verified;
    assert_eq!((*code, *kept), (0, false), "{said}");
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
    assert!(page.contains("<h2>By fault</h2>") && page.ends_with("</html>\n"), "{page}");
}

/// The verifier is verified: with a fault planted in the workers it finds this kind of wrong.
fn planted(plant: Fault, guarantee: &str, arguments: &[&str], kind: &str) -> Verified {
    // The broker is not stopped meanwhile; the names are the command's own.
    let site = Site::new("planted");
    let verified = Verified::run(&site.servers, Some(plant), arguments, &[&format!("guarantee={guarantee}")]);
    assert_eq!(verified.code, 1, "{plant}: {}", verified.said);
    assert!(verified.broken(kind) > 0, "{plant}: {}", verified.said);
    verified
}

#[test]
fn what_is_lost_by_a_planted_fault_is_found_and_followed() {
    for (plant, faults, guarantee) in [
        (Fault::DeadLetterDropped, "terminate-worker", "at-least-once"),
        (Fault::OffsetTooHigh, "kill-worker", "exactly-once"),
    ] {
        let arguments = ["--given-brokers", "--faults", faults, "--minutes", "0.1"];
        let verified = planted(plant, guarantee, &arguments, "lost (lost write)");
        let evidence = verified.report["evidence"][0]["known"].to_string();
        for known in
            ["acknowledged", "the first commit after it", "it is in factorials-to-be-calculated.verify-"]
        {
            assert!(evidence.contains(known), "{known} is missing in {evidence}");
        }
    }
}

#[test]
fn a_commit_before_the_acknowledgement_is_found() {
    let arguments = ["--nodes", "1", "--faults", "full-disk", "--minutes", "0.2"];
    planted(Fault::CommitBeforeAcknowledgement, "at-least-once", &arguments, "lost (lost write)");
}
