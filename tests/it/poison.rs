//! Bad records, however many and however large, hold up none of the good ones behind them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::harness::{Consumed, Producer, Site, all_of, records_until};

const LIMIT: Duration = Duration::from_secs(120);
/// Bad records in a row, in each partition; `PIPELINE_POISON` says another number.
const BAD: usize = 5_000;
const GOOD: usize = 200;
const PARTITIONS: i32 = 2;

/// How often each key is there.
fn count(records: &[Consumed]) -> BTreeMap<&str, usize> {
    let mut found = BTreeMap::new();
    records.iter().for_each(|record| *found.entry(record.key()).or_default() += 1);
    found
}

fn behind_poison(guarantee: &str, name: &str) {
    let site = Site::new(name);
    let bad = std::env::var("PIPELINE_POISON").map_or(BAD, |number| number.parse().unwrap());
    let producer =
        Producer::new(&site.servers, &site.source, PARTITIONS, &[("max.message.bytes", "12000000")]);
    let (mut results, mut letters) = (Vec::new(), Vec::new());
    for partition in 0..PARTITIONS {
        let mut send = |id: String, value: Option<&[u8]>, is_good: bool| {
            producer.send(&id, value, Some(partition));
            if is_good { &mut results } else { &mut letters }.push(id);
        };
        send(format!("head-{partition}"), Some(b"\xff\x00"), false);
        send(format!("tombstone-{partition}"), None, false);
        send(format!("huge-{partition}"), Some(&vec![b'7'; 10_000_000]), false);
        (0..bad).for_each(|id| send(format!("bad-{partition}-{id}"), Some(b"-1"), false));
        (0..GOOD).for_each(|id| send(format!("good-{partition}-{id}"), Some(b"20"), true));
    }
    producer.flush();
    let began = Instant::now();
    let worker = site.worker(&[&format!("guarantee={guarantee}")]);
    records_until(&site.servers, &site.sink, LIMIT, all_of(results.clone()));
    eprintln!("{name}: {} bad ones before the good, which were there after {:?}", bad, began.elapsed());
    let resident = worker.resident() >> 20;
    let (status, log) = worker.terminate();
    assert!(status.success(), "{log}");
    assert!(resident < 400, "{resident} MiB");

    let found = site.read(&site.sink);
    assert!(found.iter().all(|record| record.value() == "20;2432902008176640000"));
    let expected: BTreeMap<&str, usize> = results.iter().map(|id| (id.as_str(), 1)).collect();
    assert_eq!(count(&found), expected);
    let found = site.read(&site.dead_letters);
    let expected: BTreeMap<&str, usize> = letters.iter().map(|id| (id.as_str(), 1)).collect();
    assert!(count(&found) == expected, "{} dead letters of {}", found.len(), letters.len());
    let huge = found.iter().filter(|record| record.key().starts_with("huge"));
    assert!(huge.clone().all(|record| record.value().len() == 10_000_000), "as they came");
    assert_eq!(huge.count(), PARTITIONS as usize);
}

#[test]
fn good_records_behind_poison_have_their_results() {
    behind_poison("at-least-once", "poison-alo");
}

#[test]
fn good_records_behind_poison_have_their_results_exactly_once() {
    behind_poison("exactly-once", "poison-eos");
}
