//! WASM components: the examples, and one that makes every kind of trouble while workers are killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::harness::{LIMIT, Site, create_topic, pipeline_offline, records_until};

/// The file of an example, or of a test's component.
fn file(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name).to_str().unwrap().to_owned()
}

#[test]
fn the_examples_pass_their_tests_and_check_says_what_they_ask_for() {
    let run = |command, language: &str| {
        let example = file(&format!("examples/wasm/score-{language}.toml"));
        let (code, out, errors) = pipeline_offline("", &[command, &example]);
        assert_eq!(code, 0, "{out}{errors}");
        out
    };
    for language in ["rust", "javascript"] {
        let tested = run("test", language);
        assert!(tested.contains("ok      test 2"), "{tested}");
    }
    // The other one takes half a minute to compile, without optimisation.
    let checked = run("check", "rust");
    assert!(checked.contains("[operators.score] score-rust.wasm imports `log`"), "{checked}");
}

/// What becomes of each record, by its number: the class of a dead letter, otherwise its value.
fn what(n: usize) -> (&'static str, Option<&'static str>) {
    match n % 500 {
        17 => ("loop", Some("out-of-fuel")),
        118 => ("allocate", Some("out-of-memory")),
        219 => ("panic", Some("component-trapped")),
        320 => ("refuse", Some("refused-by-component")),
        421 => ("no answers", Some("bad-answer")),
        422 => ("binary", Some("bad-answer")),
        _ => ("", None),
    }
}

#[test]
fn whatever_a_component_does_to_a_record_the_others_have_their_results_although_workers_are_killed() {
    const RECORDS: usize = 20_000;
    let site = Site::new("component");
    create_topic(&site.servers, &site.sink, 3, &[]);
    let folder = tempfile::tempdir().unwrap();
    let pipeline = folder.path().join("trouble.toml");
    let component = file("tests/guests/trouble.wasm");
    let text = format!(
        "name = \"trouble\"\nguarantee = \"exactly-once\"\norder = \"key\"\n[source]\ntopic = \"x\"\nformat = \"string\"\n\
         [operators.trouble]\noperator = \"wasm\"\ncomponent = \"{component}\"\ngrant = [\"clock\"]\nfuel = 20_000_000\n\
         memory = \"8 MiB\"\n[sink]\ntopic = \"y\"\nformat = \"string\"\n"
    );
    std::fs::write(&pipeline, text).unwrap();
    let worker = || site.start(&["run", pipeline.to_str().unwrap()], &[]);
    let value = |n: usize| match what(n) {
        (value, Some(_)) => value.to_owned(),
        _ => format!("value {n}"),
    };
    let producer = site.producer(2);
    let running = worker();
    for n in 0..RECORDS {
        let key = format!("{:05} {}", n % 400, n);
        producer.send(&key, Some(value(n).as_bytes()), None);
    }
    producer.flush();
    records_until(&site.servers, &site.sink, LIMIT, |record| record.key().ends_with(" 3001"));
    running.kill();
    let running = worker();
    let mut open: BTreeSet<usize> = (0..RECORDS).filter(|n| what(*n).1.is_none()).collect();
    let number = |key: &str| key.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
    records_until(&site.servers, &site.sink, LIMIT, |record| {
        open.remove(&number(record.key()));
        open.is_empty()
    });
    let mut dead: BTreeSet<usize> = (0..RECORDS).filter(|n| what(*n).1.is_some()).collect();
    records_until(&site.servers, &site.dead_letters, LIMIT, |record| {
        dead.remove(&number(record.key()));
        dead.is_empty()
    });
    running.terminate();
    let read = |topic: &str| -> BTreeMap<usize, Vec<String>> {
        let mut all: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for record in site.read(topic) {
            all.entry(number(record.key())).or_default().push(record.value().to_owned());
        }
        all
    };
    let expected = |bad: bool| -> BTreeMap<usize, Vec<String>> {
        (0..RECORDS).filter(|n| what(*n).1.is_some() == bad).map(|n| (n, vec![value(n)])).collect()
    };
    assert!(read(&site.sink) == expected(false), "each result is there once, as it went in");
    assert!(read(&site.dead_letters) == expected(true), "and so is each dead letter");
    for record in site.read(&site.dead_letters) {
        let class = what(number(record.key())).1;
        assert_eq!(record.header("pipeline.error.class"), class, "{}", record.key());
    }
}
