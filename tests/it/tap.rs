//! `pipeline run --dry-run` and `pipeline tap`: what a pipeline makes of its records, beside its workers.

use crate::harness::{Site, read_uncommitted};

/// Requests on one partition, and what each line must say of them.
fn ask(site: &Site) {
    let producer = site.producer(1);
    for (key, value) in [("a", "3"), ("b", "x"), ("c", "5")] {
        producer.send(key, Some(value.as_bytes()), None);
    }
    producer.flush();
}

#[test]
fn a_dry_run_shows_what_would_be_written_and_writes_nothing() {
    let site = Site::new("dry");
    ask(&site);
    let (source, sink) = (&site.source, &site.sink);
    let expected = [
        format!("{source}[0] 0 → {sink}  a  3;6\n"),
        format!("{source}[0] 1 → {source}.dlq  not-a-number: the value is not a number: \"x\"\n"),
        format!("{source}[0] 2 → {sink}  c  5;120\n"),
    ];
    // Twice: the first time has committed nothing.
    for _ in 0..2 {
        let (code, out, error) = site.pipeline(&["run", "factorial.toml", "--dry-run", "--count", "3"]);
        assert_eq!((code, out), (0, expected.concat()), "{error}");
        assert!(error.contains("a dry run from the committed offsets"), "{error}");
    }

    let worker = site.worker(&[]);
    let result = site.results(|result| result.key() == "c");
    assert_eq!(result.len(), 2, "the worker has found all of them to be done");
    worker.terminate();
    let all = read_uncommitted(&site.servers, sink);
    assert_eq!(all.iter().map(|record| record.key()).collect::<Vec<_>>(), ["a", "c"]);
}

#[test]
fn a_tap_shows_what_comes_out_of_a_step() {
    let site = Site::new("tap");
    ask(&site);
    let tap = |step: &str, count: &str| {
        site.pipeline(&["tap", "factorial.toml", "--committed", "--step", step, "--count", count])
    };
    let (_, source, _) = tap("source", "3");
    let lines: Vec<&str> = source.lines().map(|line| line.split_once("  ").unwrap().1).collect();
    assert_eq!(lines, ["a  3", "b  x", "c  5"]);
    let (_, results, _) = tap("factorial", "1");
    assert_eq!(results, format!("{}[0] 0 → {}  a  3;6\n", site.source, site.sink));
    let (code, _, error) = tap("factorail", "1");
    assert_eq!(code, 2);
    assert!(error.contains("has no step `factorail`: did you mean `factorial`?"), "{error}");
}
