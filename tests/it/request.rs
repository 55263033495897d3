//! A caller on the command line receives the answer, or the reason why there is none.

use std::{
    collections::BTreeSet,
    process::Command,
    time::{Duration, Instant},
};

use crate::harness::Site;

/// Each line's kind, without its numbers: `partition N, offset N`.
fn without_numbers(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let mut out = String::new();
        for c in line.chars() {
            match c {
                '0'..='9' if out.ends_with('N') => {}
                '0'..='9' => out.push('N'),
                c => out.push(c),
            }
        }
        out
    };
    text.lines().map(line).collect()
}

#[test]
fn a_request_prints_its_place_then_its_result_and_how_long_both_took() {
    let site = Site::new("ask");
    let _worker = site.worker(&[]);
    let (code, stdout, stderr) = site.pipeline(&["request", "30"]);
    assert_eq!(stdout, "30;265252859812191058636308480000000\n", "{stderr}");
    assert_eq!(without_numbers(&stderr), ["partition N, offset N", "produce ack N ms · total N ms"]);
    assert_eq!(code, 0);
}

#[test]
fn a_random_request_prints_its_offset_then_how_long_it_took_then_the_number() {
    let site = Site::new("random");
    let _worker = site.worker(&[]);
    let settings = site.settings(&[]);
    // As on a terminal: both outputs in one.
    let output = Command::new("sh")
        .args(["-c", "exec \"$@\" 2>&1", "sh", env!("CARGO_BIN_EXE_pipeline")])
        .args(["request", "--random", "2000..10000"])
        .args(settings.iter().map(|setting| format!("--set={setting}")))
        .env("PIPELINE_BOOTSTRAP_SERVERS", &site.servers)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let [place, times, result] = lines[..] else { panic!("{text}") };
    assert_eq!(without_numbers(place), ["partition N, offset N"]);
    assert_eq!(without_numbers(times), ["produce ack N ms · total N ms"]);
    let (n, digits) = result.split_once(';').unwrap();
    let n: u32 = n.parse().unwrap();
    assert!((2_000..=10_000).contains(&n), "{n}");
    assert!(digits == pipeline::factorial::factorial_decimal(n), "{n}");
}

#[test]
fn several_requests_at_a_time_have_each_its_result() {
    let site = Site::new("several");
    let _worker = site.worker(&[]);
    let (code, stdout, stderr) = site.pipeline(&["request", "3", "4", "5", "3"]);
    let mut results: Vec<_> = stdout.lines().collect();
    results.sort_unstable();
    assert_eq!((code, results), (0, vec!["3;6", "3;6", "4;24", "5;120"]), "{stderr}");

    let (code, stdout, stderr) = site.pipeline(&["request", "--random", "6..7", "--count", "200"]);
    let results: Vec<_> = stdout.lines().collect();
    assert_eq!((code, results.len()), (0, 200), "{stderr}");
    assert_eq!(results.into_iter().collect::<BTreeSet<_>>(), BTreeSet::from(["6;720", "7;5040"]));
}

#[test]
fn results_are_printed_as_text_whatever_their_format() {
    for format in ["json", "bincode"] {
        let site = Site::new(format).with_format(format);
        let _worker = site.worker(&[]);
        let (code, stdout, stderr) = site.pipeline(&["request", "20"]);
        assert_eq!((code, stdout.as_str()), (0, "20;2432902008176640000\n"), "{format}: {stderr}");
    }
}

#[test]
fn a_request_that_cannot_be_computed_fails_at_once_with_its_reason() {
    let site = Site::new("above");
    let _worker = site.worker(&[]);
    let start = Instant::now();
    let (code, stdout, stderr) = site.pipeline(&["request", "200001", "5", "--timeout", "100s"]);
    assert_eq!((code, stdout.as_str()), (1, "5;120\n"), "{stderr}");
    assert!(stderr.contains("200001: 200001 is above `max_n`, which is 200000\n"), "{stderr}");
    assert!(stderr.ends_with("error: one request got no result\n"), "{stderr}");
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn without_a_worker_a_request_gives_up_and_says_what_to_check() {
    let site = Site::new("alone");
    let (code, stdout, stderr) = site.pipeline(&["request", "5", "--timeout", "1s"]);
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    let sentence = format!(
        "5: no result in {} within 1s: is a worker running? (pipeline run factorial.toml)\n",
        site.sink
    );
    assert!(stderr.contains(&sentence), "{stderr}");
}

#[test]
fn with_no_wait_a_request_is_only_produced() {
    let site = Site::new("no-wait");
    let (code, stdout, stderr) = site.pipeline(&["request", "7", "8", "--no-wait"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let requests = site.read(&site.source);
    let values: BTreeSet<_> = requests.iter().map(|record| record.value()).collect();
    assert_eq!(values, BTreeSet::from(["7", "8"]));
    let mut places: Vec<_> = requests
        .iter()
        .map(|r| format!("{}: partition {}, offset {}", r.value(), r.partition, r.offset))
        .collect();
    let mut printed: Vec<_> = stdout.lines().collect();
    places.sort();
    printed.sort_unstable();
    assert_eq!(printed, places);
}
