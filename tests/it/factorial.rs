//! The main job on a real broker.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use pipeline::factorial::factorial_decimal;

use crate::harness::{Consumed, Producer, Site, create_topic, records_until};

const LIMIT: Duration = Duration::from_secs(180);

/// What is bad about a request, and the class of its dead letter.
fn bad_kinds() -> Vec<(&'static str, Option<Vec<u8>>)> {
    vec![
        ("tombstone", None),
        ("empty", Some(Vec::new())),
        ("not-a-number", Some(b"thirty".to_vec())),
        ("negative", Some(b"-30".to_vec())),
        ("above-max", Some(b"200001".to_vec())),
        ("not-utf8", Some(vec![0xff, 0xfe, b'3'])),
    ]
}

#[test]
fn each_good_request_has_its_result_and_each_bad_one_its_dead_letter_byte_for_byte() {
    let site = Site::new("mixed");
    let producer = Producer::new(&site.servers, &site.source, 2, &[("max.message.bytes", "10500000")]);
    let mut bad: BTreeMap<String, (&str, Option<Vec<u8>>)> = BTreeMap::new();
    for (class, value) in bad_kinds() {
        for number in 0..100 {
            bad.insert(format!("{class}-{number}"), (class, value.clone()));
        }
    }
    for number in 0..100u8 {
        let anything = vec![b'a' + number % 26; 10_000_000];
        bad.insert(format!("huge-{number}"), ("not-a-number", Some(anything)));
    }
    let mut waiting = bad.iter();
    for number in 0..10_000 {
        producer.send(&format!("good-{number}"), Some((number % 300).to_string().as_bytes()), None);
        if number % 14 == 0
            && let Some((key, (_, value))) = waiting.next()
        {
            producer.send(key, value.as_deref(), None);
        }
    }
    assert!(waiting.next().is_none());
    producer.flush();

    let mut worker = site.start(&["run", "factorial.toml", "--drain"], &[]);
    let status = worker.wait(LIMIT);
    assert!(status.success(), "{}", worker.log());

    let results = by_key(site.read(&site.sink));
    let expected: Vec<String> = (0..10_000).map(|number| format!("good-{number}")).collect();
    assert_eq!(results.keys().collect::<Vec<_>>(), {
        let mut keys: Vec<_> = expected.iter().collect();
        keys.sort();
        keys
    });
    for (key, record) in &results {
        let n: u32 = key.strip_prefix("good-").unwrap().parse().unwrap();
        assert_eq!(record.value(), format!("{};{}", n % 300, factorial_decimal(n % 300)));
        assert_eq!((record.header("id"), record.timestamp), (Some(key.as_str()), Some(1_700_000_000_000)));
    }
    let letters = by_key(site.read(&site.dead_letters));
    let missing: Vec<_> = bad.keys().filter(|key| !letters.contains_key(*key)).collect();
    let unexpected: Vec<_> = letters.keys().filter(|key| !bad.contains_key(*key)).collect();
    assert!(missing.is_empty() && unexpected.is_empty(), "missing {missing:?}, unexpected {unexpected:?}");
    for (key, letter) in &letters {
        let (class, value) = &bad[key];
        assert!(letter.value == *value, "{key}: another value");
        assert_eq!(letter.header("id"), Some(key.as_str()), "{key}");
        assert_eq!(letter.header("pipeline.error.class"), Some(*class), "{key}");
        assert_eq!(letter.header("pipeline.error.topic"), Some(site.source.as_str()));
        assert_eq!(letter.header("pipeline.error.attempts"), Some("1"));
        assert_eq!(letter.header("pipeline.error.timestamp"), Some("1700000000000"));
        assert!(letter.header("pipeline.error.message").unwrap().len() < 250, "{key}");
    }
}

/// The records by their keys, each of which there is once.
fn by_key(records: Vec<Consumed>) -> BTreeMap<String, Consumed> {
    let mut by_key = BTreeMap::new();
    for record in records {
        let key = record.key().to_owned();
        assert!(by_key.insert(key.clone(), record).is_none(), "{key} is there twice");
    }
    by_key
}

#[test]
fn small_records_of_other_keys_are_out_before_a_slow_one() {
    let site = Site::new("slow");
    let producer = site.producer(1);
    create_topic(&site.servers, &site.sink, 1, &[("max.message.bytes", "4000000")]);
    producer.send("slow", Some(b"500000"), None);
    for number in 0..1_000 {
        producer.send(&format!("small-{number}"), Some((number % 100).to_string().as_bytes()), None);
    }
    producer.flush();
    let _worker = site.worker(&[
        "order=key",
        "operators.factorial.max_n=1_000_000",
        "sink.config.max.message.bytes=6000000",
    ]);
    let mut seen = 0;
    let records = records_until(&site.servers, &site.sink, LIMIT, |_| {
        seen += 1;
        seen == 1_001
    });
    let last = records.last().unwrap();
    assert_eq!(last.key(), "slow", "the slow one is the last");
    assert_eq!(last.value().len(), 500_000usize.to_string().len() + 1 + 2_632_342);
    let small = by_key(records[..1_000].to_vec());
    let expected: BTreeSet<String> = (0..1_000).map(|number| format!("small-{number}")).collect();
    assert_eq!(small.into_keys().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn a_result_that_does_not_fit_its_topic_is_a_dead_letter_that_says_so() {
    for guarantee in ["at-least-once", "exactly-once"] {
        let site = Site::new("large");
        let producer = site.producer(1);
        create_topic(&site.servers, &site.sink, 1, &[("max.message.bytes", "2000")]);
        for (key, n) in [("before", "10"), ("large", "1000"), ("after", "20")] {
            producer.send(key, Some(n.as_bytes()), None);
        }
        producer.flush();
        let _worker = site.worker(&[&format!("guarantee={guarantee}")]);
        let results = site.results(|record| record.key() == "after");
        assert_eq!(results.iter().map(Consumed::key).collect::<Vec<_>>(), ["before", "after"]);
        let letters = site.letters(|_| true);
        assert_eq!((letters[0].key(), letters[0].value()), ("large", "1000"));
        assert_eq!(letters[0].header("pipeline.error.class"), Some("result-too-large"));
    }
}
