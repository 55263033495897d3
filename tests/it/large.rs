//! Results that are larger than their topic takes: in pieces, of which no reader sees a part.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use pipeline::{
    factorial::factorial_decimal,
    pieces::{Manifest, Pieces, Place},
};

use serde_json::{Value, json};

use crate::harness::{
    Consumed, LIMIT, Producer, Site, create_topic, delete_records, ensure, eventually, python,
    read_uncommitted, records_within,
};

/// A topic of the results that takes 20,000 bytes, so that 20,000! is in four pieces or five.
fn site(test: &str, guarantee: &str) -> Site {
    let site = Site::new(test).with(&["sink.large=pieces", &format!("guarantee={guarantee}")]);
    create_topic(&site.servers, &site.source, 4, &[]);
    create_topic(&site.servers, &site.sink, 3, &[("max.message.bytes", "20000")]);
    site
}

/// The pieces that a manifest names.
fn pieces(manifest: &Manifest) -> &Pieces {
    let Place::Topic(pieces) = &manifest.place else { panic!("{manifest:?}") };
    pieces
}

/// What the pieces that a manifest names are together; `None` where one of them is missing.
fn joined(manifest: &Pieces, records: &BTreeMap<(i32, i64), &Consumed>) -> Option<String> {
    let pieces = manifest.offsets.iter().enumerate().map(|(place, offset)| {
        let piece = records.get(&(manifest.partition, *offset))?;
        assert_eq!(piece.header("pipeline.piece"), Some(&*manifest.name_of(place)));
        Some(piece.value())
    });
    pieces.collect()
}

#[test]
fn a_request_prints_all_digits_of_a_result_in_pieces() {
    for format in ["text", "json"] {
        let site = site("large-ask", "exactly-once").with_format(format);
        let _worker = site.worker(&[]);
        let (code, stdout, stderr) = site.pipeline(&["request", "20000", "5"]);
        let mut results: Vec<&str> = stdout.lines().collect();
        results.sort_unstable();
        let large = format!("20000;{}", factorial_decimal(20_000));
        assert_eq!((code, results), (0, vec![large.as_str(), "5;120"]), "{format}: {stderr}");
    }
}

#[test]
fn a_client_in_another_language_reads_a_result_in_pieces() {
    let site = site("large-python", "at-least-once");
    let _worker = site.worker(&[]);
    let (code, _, stderr) = site.pipeline(&["request", "20000", "3", "30000"]);
    assert_eq!(code, 0, "{stderr}");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/large/read.py");
    let output = python().args([script, &site.servers, &site.sink]).output().unwrap();
    let (said, wrong) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
    let results: BTreeSet<&str> = said.lines().collect();
    let expected: Vec<String> = [3, 20_000, 30_000].map(|n| format!("{n};{}", factorial_decimal(n))).into();
    assert_eq!(results, expected.iter().map(String::as_str).collect(), "{wrong}");
}

/// Workers that compute large results are killed again and again, while a reader looks on.
fn killed_while_writing(test: &str, guarantee: &str) {
    let site = site(test, guarantee);
    let producer = Producer::existing(&site.servers, &site.source);
    let asked: Vec<(String, u32)> = (0..120)
        .map(|number| (format!("id-{number}"), if number % 4 == 3 { 7 } else { 30_000 + number % 20 }))
        .collect();
    for (id, n) in &asked {
        producer.send(id, Some(n.to_string().as_bytes()), None);
    }
    producer.flush();
    let over = AtomicBool::new(false);
    let expected: BTreeMap<u32, String> =
        asked.iter().map(|(_, n)| (*n, format!("{n};{}", factorial_decimal(*n)))).collect();
    let records = thread::scope(|scope| {
        let killing = scope.spawn(|| {
            // A worker with the name of the killed one need not wait until that is missed.
            let start = || site.worker(&["source.kafka.group.instance.id=one", "commit.interval=20ms"]);
            for kill in 0..8 {
                let worker = start();
                worker.says(&["rebalance"]);
                thread::sleep(Duration::from_millis(200 + 90 * kill));
                worker.kill();
                if over.load(Relaxed) {
                    break;
                }
            }
            start()
        });
        let mut missing: BTreeSet<&str> = asked.iter().map(|(id, _)| id.as_str()).collect();
        let records = records_within(&site.servers, &site.sink, LIMIT, |record| {
            if record.header("pipeline.piece").is_none() {
                missing.remove(record.header("id").unwrap());
            }
            missing.is_empty()
        });
        over.store(true, Relaxed);
        let log = killing.join().unwrap().log();
        records.unwrap_or_else(|| panic!("without a result: {missing:?}\n{log}"))
    });
    let by_place: BTreeMap<(i32, i64), &Consumed> =
        records.iter().map(|record| ((record.partition, record.offset), record)).collect();
    let mut answers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut named = BTreeSet::new();
    for record in records.iter().filter(|record| record.header("pipeline.piece").is_none()) {
        let id = record.header("id").unwrap();
        let n = asked.iter().find(|(asked, _)| asked == id).unwrap().1;
        let value = if record.header("pipeline.manifest").is_some() {
            let manifest = Manifest::read(record.value.as_deref().unwrap()).unwrap();
            let manifest = pieces(&manifest);
            assert!(manifest.offsets.iter().all(|offset| *offset < record.offset), "the manifest comes last");
            assert_eq!(manifest.partition, record.partition);
            named.extend(manifest.offsets.iter().map(|offset| (manifest.partition, *offset)));
            joined(manifest, &by_place).unwrap_or_else(|| panic!("{id}: only a part of its result"))
        } else {
            record.value().to_owned()
        };
        assert!(value == expected[&n], "{id}: not the digits of {n}!");
        *answers.entry(id).or_default() += 1;
    }
    let unnamed = |records: &[Consumed]| {
        let pieces = records.iter().filter(|record| record.header("pipeline.piece").is_some());
        pieces.filter(|piece| !named.contains(&(piece.partition, piece.offset))).count()
    };
    if guarantee == "exactly-once" {
        assert!(answers.values().all(|count| *count == 1), "{answers:?}");
        assert_eq!(unnamed(&records), 0, "a reader sees pieces of a result that never came about");
    }
    let left = unnamed(&read_uncommitted(&site.servers, &site.sink));
    eprintln!("{test}: {left} pieces were left behind by what was killed");
}

#[test]
fn a_worker_killed_while_it_writes_pieces_leaves_no_part_of_a_result_exactly_once() {
    killed_while_writing("large-eos", "exactly-once");
}

#[test]
fn a_worker_killed_while_it_writes_pieces_leaves_no_manifest_at_least_once() {
    killed_while_writing("large-alo", "at-least-once");
}

#[test]
fn a_gateway_streams_a_result_in_pieces_whole_or_a_range_of_it() {
    let site = site("large-http", "exactly-once");
    let _worker = site.worker(&[]);
    let gateway = site.gateway(&["routes.factorial.max_n=100000"]);
    let digits = factorial_decimal(20_000);
    let whole = gateway.get("/factorial/20000");
    assert_eq!((whole.status, whole.header("content-length")), (200, &*digits.len().to_string()));
    assert!(whole.text() == digits, "other digits");
    assert_eq!(
        (whole.header("accept-ranges"), whole.header("content-type")),
        ("bytes", "text/plain; charset=utf-8")
    );
    let tag = whole.header("etag");

    let ask = |method: &str, headers: &str| {
        gateway.begin(&format!("{method} /factorial/20000\n{headers}"), "").response()
    };
    let head = ask("HEAD", "");
    assert_eq!(
        (head.status, head.header("content-length"), head.body.len()),
        (200, whole.header("content-length"), 0)
    );
    for (wanted, start, end) in
        [("0-9", 0, 10), ("19000-41999", 19_000, 42_000), ("-7", digits.len() - 7, digits.len())]
    {
        let part = ask("GET", &format!("range: bytes={wanted}\nif-range: {tag}"));
        assert_eq!((part.status, part.text()), (206, &digits[start..end]), "{wanted}");
        assert_eq!(part.header("content-range"), format!("bytes {start}-{}/{}", end - 1, digits.len()));
    }
    assert_eq!(ask("GET", "range: bytes=0-9\nif-range: \"another\"").status, 200);
    let beyond = ask("GET", "range: bytes=1000000-");
    assert_eq!((beyond.status, beyond.header("content-range")), (416, &*format!("bytes */{}", digits.len())));
    assert_eq!(ask("GET", &format!("if-none-match: {tag}")).status, 304);

    // In a document, it says where the pieces are; among others it has no room.
    let document = gateway.json("/factorial/20000");
    assert_eq!((&document["n"], &document["digits"]), (&json!(20_000), &Value::Null));
    let manifest = Manifest::read(document["pieces"].to_string().as_bytes()).unwrap();
    let manifest = pieces(&manifest);
    let records = site.read(&site.sink);
    let by_place = records.iter().map(|record| ((record.partition, record.offset), record)).collect();
    assert!(joined(manifest, &by_place).unwrap() == format!("20000;{digits}"));
    let many = gateway.begin("POST /factorial\ncontent-type: application/json", "[20000,3]").response();
    assert!(
        many.text().contains("ask for it alone") && many.text().contains("\"digits\":\"6\""),
        "{}",
        many.text()
    );

    // All of these were answered by one result; once it is gone, it is computed again.
    assert_eq!(site.read(&site.source).len(), 2);
    delete_records(&site.servers, &site.sink, manifest.partition, manifest.offsets[1]);
    let gone = gateway.get("/factorial/20000");
    assert_eq!(gone.problem(), (502, "bad-result".to_owned()));
    assert!(gone.text().contains("any more"), "{}", gone.text());
    assert!(gateway.get("/factorial/20000").text() == digits);
    assert_eq!(site.read(&site.source).len(), 3);
}

#[test]
fn a_worker_does_not_start_on_a_compacted_topic_with_pieces() {
    let site = Site::new("large-compacted").with(&["sink.large=pieces"]);
    create_topic(&site.servers, &site.sink, 1, &[("cleanup.policy", "compact,delete")]);
    let mut worker = site.worker(&[]);
    let said = worker.fails();
    assert!(said.contains(&format!("the topic {} is compacted", site.sink)), "{said}");
    assert!(said.contains("cleanup.policy=delete"), "{said}");
}

#[test]
fn whoever_waits_is_told_how_far_a_long_request_is() {
    let site = Site::new("large-told");
    let told = format!("{}.progress", site.source);
    let site = site.with(&[
        &format!("progress.topic={told}"),
        "sink.large=pieces",
        "operators.factorial.max_n=20000000",
        "limits.memory=1GiB",
    ]);
    let worker = site.worker(&[]);
    let (code, stdout, stderr) = site.pipeline(&["request", "12000000", "--timeout", "60s"]);
    assert_eq!(code, 0, "{stderr}");
    // Compared with itself below; here it is whole.
    assert!(stdout.starts_with("12000000;") && stdout.ends_with("000\n"));
    let said =
        stderr.lines().find(|line| line.starts_with("12000000!: ")).unwrap_or_else(|| panic!("{stderr}"));
    assert!(said.contains("% of it is computed by") && said.ends_with("s are left"), "{said}");
    assert!(!stderr.contains("is a worker running?"), "{stderr}");

    let max = "routes.factorial.max_n=20000000";
    let gateway = site.gateway(&[max, &format!("routes.factorial.progress.topic={told}")]);
    let ask = |path: &str| gateway.begin(&format!("GET {path}\nprefer: respond-async"), "").response();
    let first = ask("/factorial/12000001");
    assert_eq!(first.status, 202);
    let location = first.json()["location"].as_str().unwrap().to_owned();
    let mut seen: Vec<Value> = Vec::new();
    let answer = eventually(LIMIT, || {
        let answer = gateway.get(&location);
        if answer.status == 202 {
            seen.extend(answer.json().get("progress").cloned());
            return Err("no answer".to_owned());
        }
        Ok(answer)
    });
    let parts: Vec<f64> = seen.iter().map(|told| told["done"].as_f64().unwrap()).collect();
    assert!(parts.is_sorted() && parts.iter().any(|part| *part < 1.0), "{seen:?}");
    assert!(
        seen.iter().all(|told| told["left_seconds"].as_f64().unwrap() >= 0.0 && told["worker"].is_string())
    );
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text().len(), 79738653, "digits");
    eventually(LIMIT, || {
        ensure(worker.metric("pipeline_long_records") == 0.0, || "it is still under way".to_owned())
    });

    // What is there soon is answered at once, for whoever says how long that may take.
    let soon = gateway.begin("GET /factorial/5\nprefer: respond-async, wait=10", "").response();
    assert_eq!((soon.status, soon.text()), (200, "120"));
}
