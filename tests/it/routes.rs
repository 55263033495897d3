//! Results that go to several topics.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::{Consumed, LIMIT, Site, all_of, create_topic, records_until};

/// Keys, and what Java's clients make of them: `UtilsTest.testMurmur2` in Kafka's `clients` folder.
const MURMUR2: [(&str, i32); 6] = [
    ("21", -973_932_308),
    ("foobar", -790_332_482),
    ("a-little-bit-long-string", -985_981_536),
    ("a-little-bit-longer-string", -1_486_304_829),
    ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
    ("abc", 479_470_107),
];

const FILE: &str = r#"
name = "routes"
guarantee = "exactly-once"

[source]
topic = "from-site"
format = "json"

[operators.map]
set.seen = "true"

[[routes]]
when = "value.n % 3 == 0"
topic = "thirds"

[[routes]]
by = "value.kind"
topics.even = "evens"

[sink]
topic = "from-site"
format = "json"
"#;

fn kind(n: usize) -> &'static str {
    if n.is_multiple_of(2) { "even" } else { "odd" }
}

/// The values of a topic by their keys; a key that is there twice is an error.
fn values(records: &[Consumed]) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for record in records {
        let before = values.insert(record.key().to_owned(), record.value().to_owned());
        assert_eq!(before, None, "{} is there twice", record.key());
    }
    values
}

#[test]
fn each_result_is_in_the_topic_of_its_route_once_although_workers_are_killed() {
    let site = Site::new("routes");
    let (thirds, evens) = (format!("{}-thirds", site.source), format!("{}-evens", site.source));
    for topic in [&thirds, &evens, &site.sink] {
        create_topic(&site.servers, topic, 3, &[]);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("routes.toml");
    std::fs::write(&file, FILE).unwrap();
    let settings = [format!("routes.0.topic={thirds}"), format!("routes.1.topics.even={evens}")];
    let settings = [settings[0].as_str(), settings[1].as_str()];
    let worker = || site.start(&["run", file.to_str().unwrap()], &settings);

    let producer = site.producer(4);
    let ask = |n: usize| {
        let kind = kind(n);
        // Every tenth one has nothing to route by.
        let value = if n % 10 == 9 { "{}".to_owned() } else { format!("{{\"n\":{n},\"kind\":\"{kind}\"}}") };
        producer.send(&format!("id-{n}"), Some(value.as_bytes()), None);
    };
    let mut running = worker();
    for n in 0..3_000 {
        ask(n);
        if n % 1_000 == 500 {
            producer.flush();
            let sent: BTreeSet<String> =
                (0..n - 300).filter(|n| n % 10 == 9).map(|n| format!("id-{n}")).collect();
            site.letters(all_of(sent));
            running.kill();
            running = worker();
        }
    }
    producer.flush();

    let expected = |wanted: &dyn Fn(usize) -> bool| -> BTreeMap<String, String> {
        let results = (0..3_000).filter(|n| n % 10 != 9 && wanted(*n));
        let value = |n: usize| format!("{{\"n\":{n},\"kind\":\"{}\",\"seen\":true}}", kind(n));
        results.map(|n| (format!("id-{n}"), value(n))).collect()
    };
    let third = |n: usize| n.is_multiple_of(3);
    for (topic, expected) in [
        (&thirds, expected(&third)),
        (&evens, expected(&|n| !third(n) && kind(n) == "even")),
        (&site.sink, expected(&|n| !third(n) && kind(n) == "odd")),
    ] {
        records_until(&site.servers, topic, LIMIT, all_of(expected.keys().cloned()));
        assert_eq!(values(&site.read(topic)), expected, "{topic}");
    }
    let letters = values(&site.read(&site.dead_letters));
    assert_eq!(
        letters,
        (0..3_000).filter(|n| n % 10 == 9).map(|n| (format!("id-{n}"), "{}".to_owned())).collect()
    );
    running.terminate();
}

#[test]
fn a_key_goes_to_the_partition_that_java_s_clients_choose() {
    let site = Site::new("murmur2");
    create_topic(&site.servers, &site.sink, 7, &[]);
    let producer = site.producer(1);
    MURMUR2.iter().for_each(|(key, _)| producer.send(key, Some(b"3"), None));
    producer.flush();
    let _worker = site.worker(&[]);
    let results = site.results(all_of(MURMUR2.map(|(key, _)| key.to_owned())));
    let expected = MURMUR2.map(|(key, hash)| (key.to_owned(), (hash & i32::MAX) % 7));
    let found: BTreeMap<String, i32> =
        results.iter().map(|result| (result.key().to_owned(), result.partition)).collect();
    assert_eq!(found, expected.into_iter().collect());
}
