//! `pipeline offsets`: what a group has committed, shown and set.

use std::{collections::BTreeMap, path::Path, thread, time::Duration};

use crate::harness::{LIMIT, Producer, Site, ensure, eventually};

/// How often each n has a result.
fn results(site: &Site) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in site.read(&site.sink) {
        *counts.entry(record.value().split(';').next().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

/// The committed offsets, by partition, as `show` prints them.
fn shown(site: &Site) -> BTreeMap<String, String> {
    let (code, stdout, stderr) = site.pipeline(&["offsets", "show", "factorial.toml"]);
    assert_eq!(code, 0, "{stderr}");
    let lines = stdout.lines().filter(|line| line.contains('['));
    lines
        .map(|line| line.split_whitespace().map(str::to_owned))
        .map(|mut cells| (cells.next().unwrap(), cells.next().unwrap()))
        .collect()
}

/// Resets in a folder, where it writes what was before.
fn reset_in(folder: &Path, site: &Site, more: &[&str]) -> (i32, String, String) {
    site.pipeline_in(folder, &[&["offsets", "reset", "factorial.toml"], more].concat())
}

/// Has a worker do all there is, and waits until it is committed.
fn work(site: &Site, until: impl Fn(&BTreeMap<String, usize>) -> bool) {
    let worker = site.worker(&[]);
    eventually(LIMIT, || {
        let results = results(site);
        ensure(until(&results), || format!("{results:?}\n{}", worker.log()))
    });
    assert!(worker.terminate().0.success());
}

#[test]
fn a_group_goes_on_from_where_it_is_told_and_back_again() {
    let folder = tempfile::tempdir().unwrap();
    let reset = |site: &Site, more: &[&str]| reset_in(folder.path(), site, more);
    let site = Site::new("offsets").with(&["guarantee=exactly-once"]).with_topics(2);
    let producer = Producer::existing(&site.servers, &site.source);
    for n in 0..100 {
        producer.send("a", Some(n.to_string().as_bytes()), Some(n % 2));
    }
    producer.flush();
    work(&site, |results| results.len() == 100);
    thread::sleep(Duration::from_millis(20));
    let between = humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string();
    thread::sleep(Duration::from_millis(20));
    // These have the time at which they are sent.
    let later: Vec<String> = (100..120).map(|n| n.to_string()).collect();
    let ask: Vec<&str> =
        ["request", "--no-wait"].into_iter().chain(later.iter().map(String::as_str)).collect();
    assert_eq!(site.pipeline(&ask).0, 0);

    // While somebody works, nothing is changed.
    let worker = site.worker(&[]);
    worker.says(&["rebalance"]);
    let (code, _, stderr) = reset(&site, &["--to", "earliest", "--yes"]);
    assert!(
        code == 1 && stderr.contains("still has 1 of its members") && stderr.contains("stop all workers"),
        "{stderr}"
    );
    eventually(LIMIT, || ensure(results(&site).len() == 120, || worker.log()));
    assert!(worker.terminate().0.success());
    let before = shown(&site);
    assert_eq!(before.len(), 2);

    let (code, stdout, _) = reset(&site, &["--to", "earliest", "--dry-run"]);
    assert!(code == 0 && stdout.contains("moved by"), "{stdout}");
    assert_eq!(shown(&site), before, "a dry run changes nothing");
    let (code, _, stderr) = reset(&site, &["--to", "earliest"]);
    assert!(code == 2 && stderr.contains("Say --yes"), "{stderr}");
    assert_eq!(reset(&site, &["--to", "sometime", "--yes"]).0, 2);
    assert_eq!(reset(&site, &["--to", "earliest", "--partitions", "7", "--yes"]).0, 1);

    // What came since then, again; and each of those once.
    let (code, stdout, stderr) = reset(&site, &["--to", &between, "--yes"]);
    assert_eq!(code, 0, "{stderr}");
    work(&site, |results| results.values().sum::<usize>() == 140);
    let twice: Vec<u32> = results(&site)
        .into_iter()
        .filter(|(_, count)| *count == 2)
        .map(|(id, _)| id.parse().unwrap())
        .collect();
    assert!(twice.len() == 20 && twice.iter().all(|id| (100..120).contains(id)), "{twice:?}");

    // The file brings back what was, to the letter.
    assert_eq!(shown(&site).keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    let (code, _, stderr) = reset(&site, &["--to", "earliest", "--yes"]);
    assert_eq!(code, 0, "{stderr}");
    let undo = stdout.split("--from ").nth(1).unwrap().trim().to_owned();
    let (code, _, stderr) = reset(&site, &["--from", &undo, "--yes"]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(shown(&site), before);
    // One partition alone, the last five.
    let (code, _, stderr) = reset(&site, &["--to=-6", "--partitions", "1", "--yes"]);
    assert_eq!(code, 0, "{stderr}");
    let after = shown(&site);
    let of = |shown: &BTreeMap<String, String>, partition: u32| -> i64 {
        shown[&format!("{}[{partition}]", site.source)].parse().unwrap()
    };
    assert_eq!((of(&after, 0), of(&after, 1)), (of(&before, 0), of(&before, 1) - 6));
}
