//! Results that are larger than their topic takes, in an object store.

use std::{collections::BTreeMap, fs, thread, time::Duration};

use pipeline::{
    factorial::factorial_decimal,
    pieces::{Manifest, Place, hex},
};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::harness::{
    Consumed, LIMIT, Producer, S3, Site, Worker, create_topic, eventually, python, records_within,
};

/// A topic of the results that takes 20,000 bytes, and what it does not take in the store.
fn site(test: &str, guarantee: &str, url: &str) -> Site {
    let [guarantee, url] = [format!("guarantee={guarantee}"), format!("sink.store={url}")];
    let site =
        Site::new(test).with(&["sink.large=store", "operators.factorial.max_n=3000000", &guarantee, &url]);
    create_topic(&site.servers, &site.source, 4, &[]);
    create_topic(&site.servers, &site.sink, 3, &[("max.message.bytes", "20000")]);
    site
}

/// The object that a record names, if it names one.
fn object(record: &Consumed) -> Option<(String, u64)> {
    record.header("pipeline.manifest")?;
    let manifest = Manifest::read(record.value.as_deref().unwrap()).unwrap();
    let Place::Store { object } = manifest.place else { panic!("{:?}", manifest.place) };
    Some((object, manifest.bytes))
}

/// The results, of which each request has one.
fn one_each(site: &Site, asked: &BTreeMap<String, u32>, worker: &Worker) -> Vec<Consumed> {
    let mut missing: Vec<&str> = asked.keys().map(String::as_str).collect();
    let records = records_within(&site.servers, &site.sink, LIMIT, |record| {
        missing.retain(|id| record.header("id") != Some(id));
        missing.is_empty()
    })
    .unwrap_or_else(|| panic!("without a result: {missing:?}\n{}", worker.log()));
    assert_eq!(records.len(), asked.len(), "one each");
    records
}

#[test]
fn a_bucket_that_is_away_is_tried_again_and_nothing_is_lost_or_held_back_in_another_partition() {
    let mut s3 = S3::new();
    let site = s3.known_to(site("store-s3", "exactly-once", &s3.url()));
    let worker = site.worker(&["retry.backoff=100ms", "retry.max_backoff=300ms"]);
    worker.says(&["rebalance"]);
    let producer = Producer::existing(&site.servers, &site.source);
    // Three megabytes each, so that they go in several parts; and small ones in other partitions.
    let large: Vec<u32> = (0..3).map(|place| 2_000_000 + place).collect();
    let large_ones = large.iter().map(|n| (format!("large-{n}"), *n, 0));
    let small_ones = (0..20).map(|n| (format!("small-{n}"), n, 1));
    let asked: BTreeMap<String, u32> = large_ones
        .chain(small_ones)
        .map(|(id, n, partition)| {
            producer.send(&id, Some(n.to_string().as_bytes()), Some(partition));
            (id, n)
        })
        .collect();
    producer.flush();
    let small = site.results({
        let mut missing = 20;
        move |_| {
            missing -= 1;
            missing == 0
        }
    });
    assert!(
        small.iter().all(|record| record.header("id").unwrap().starts_with("small")),
        "the store is away"
    );
    worker.says(&["records wait, and are tried again until it answers", "s3://results/factorials"]);
    for _ in 0..3 {
        s3.start();
        thread::sleep(Duration::from_millis(400));
        s3.stop();
    }
    s3.start();
    let records = one_each(&site, &asked, &worker);
    let objects: BTreeMap<String, Vec<u8>> = s3
        .objects()
        .into_iter()
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()))
        .collect();
    for record in &records {
        let n = asked[record.header("id").unwrap()];
        let right = format!("{n};{}", factorial_decimal(n));
        match object(record) {
            Some((name, bytes)) => {
                assert_eq!((name, bytes), (hex(&Sha256::digest(&right)), right.len() as u64), "{n}");
                assert!(objects[&hex(&Sha256::digest(&right))] == right.as_bytes(), "{n}: other bytes");
            }
            None => assert_eq!(record.value(), right),
        }
    }
    let (code, stdout, stderr) = site.pipeline(&["request", "2000000", "--timeout", "60s"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.trim_end() == format!("2000000;{}", factorial_decimal(2_000_000)), "other digits");
}

#[test]
fn a_wrong_key_is_said_and_the_record_waits() {
    let mut s3 = S3::new();
    s3.start();
    let site = s3.known_to(site("store-denied", "at-least-once", &s3.url()));
    let site = site.env("AWS_SECRET_ACCESS_KEY", "another-secret");
    let worker = site.worker(&[]);
    let producer = Producer::existing(&site.servers, &site.source);
    producer.send("a", Some(b"20000"), None);
    producer.flush();
    let said = worker.says(&["records wait, and are tried again", "s3://results/factorials"]);
    assert!(!worker.log().contains("another-secret"), "{said}");
    let (status, log) = worker.terminate();
    assert!(status.success(), "{log}");
    assert!(s3.objects().is_empty());
    assert_eq!(site.read(&site.sink).len() + site.read(&site.dead_letters).len(), 0);
}

/// What the readers of a folder have in common: its results, the tools that read them, and what they say when one is gone.
#[test]
fn a_folder_is_read_by_the_gateway_by_load_and_in_another_language() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}/results", folder.path().display());
    let site = site("store-folder", "exactly-once", &url);
    let _worker = site.worker(&[]);
    let store = format!("routes.factorial.result.store={url}");
    let gateway = site.gateway(&["routes.factorial.max_n=1000000", &store]);
    let digits = factorial_decimal(400_000);
    let whole = gateway.get("/factorial/400000");
    assert_eq!((whole.status, whole.header("content-length")), (200, &*digits.len().to_string()));
    assert!(whole.text() == digits, "other digits");
    let part = gateway.begin("GET /factorial/400000\nrange: bytes=1048000-1049999", "").response();
    assert_eq!((part.status, part.text()), (206, &digits[1_048_000..1_050_000]));
    let document = gateway.json("/factorial/400000");
    let value = format!("400000;{digits}");
    assert_eq!(document["pieces"]["object"], json!(hex(&Sha256::digest(&value))));
    // A gateway that knows of no store says so.
    let other = site.gateway(&["name=other", "routes.factorial.max_n=1000000"]);
    let unread = other.get("/factorial/400000");
    assert_eq!(unread.problem(), (502, "bad-result".to_owned()));
    assert!(unread.text().contains("no address of one is set"), "{}", unread.text());

    let script = folder.path().join("load.toml");
    let text = format!(
        "name = \"large\"\nthresholds = [\"errors = 0\"]\nreport.folder = \"{}\"\nmetrics.listen = \"127.0.0.1:0\"\n\
         target.kafka = {{ requests = \"{}\", results = \"{}\", store = \"{url}\" }}\n\
         values.list = [20000, 3, 30000]\nphases.all = {{ rate = 10, count = 12 }}\n",
        folder.path().display(),
        site.source,
        site.sink
    );
    fs::write(&script, text).unwrap();
    let (code, stdout, stderr) =
        Site::at(&site.servers, "load").without("").pipeline(&["load", script.to_str().unwrap()]);
    assert_eq!(code, 0, "{stdout}{stderr}");

    let reader = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/large/read.py");
    let output = python().args([reader, &site.servers, &site.sink]).arg(&url).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let of = |n: u32| said.lines().filter(|line| line.starts_with(&format!("{n};"))).collect::<Vec<_>>();
    assert!(of(400_000) == [&*value; 2], "{}", String::from_utf8_lossy(&output.stderr));
    assert!(of(30_000).iter().all(|line| **line == format!("30000;{}", factorial_decimal(30_000))));

    // Gone is gone: then it is computed again.
    fs::remove_file(folder.path().join("results").join(hex(&Sha256::digest(&value)))).unwrap();
    let gone = gateway.get("/factorial/400000");
    assert_eq!(gone.problem(), (502, "bad-result".to_owned()));
    assert!(gone.text().contains("any more"), "{}", gone.text());
    assert!(gateway.get("/factorial/400000").text() == digits);
}

#[test]
fn a_worker_killed_while_it_writes_leaves_no_record_that_names_what_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    let site = site("store-killed", "exactly-once", &url);
    let producer = Producer::existing(&site.servers, &site.source);
    let asked: BTreeMap<String, u32> =
        (0..24).map(|place| (format!("id-{place}"), 600_000 + place)).collect();
    asked.iter().for_each(|(id, n)| producer.send(id, Some(n.to_string().as_bytes()), None));
    producer.flush();
    let start = || site.worker(&["source.kafka.group.instance.id=one", "commit.interval=20ms"]);
    for kill in 0..6 {
        let worker = start();
        worker.says(&["rebalance"]);
        thread::sleep(Duration::from_millis(150 + 60 * kill));
        worker.kill();
    }
    let worker = start();
    let records = one_each(&site, &asked, &worker);
    for record in &records {
        let n = asked[record.header("id").unwrap()];
        let right = format!("{n};{}", factorial_decimal(n));
        let (name, _) = object(record).expect("it is too large for its topic");
        let there =
            eventually(LIMIT, || fs::read(folder.path().join(&name)).map_err(|error| error.to_string()));
        assert!(there == right.as_bytes(), "{n}: other bytes");
    }
}
