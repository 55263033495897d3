//! Whoever asks on the command line gets the answer, or a reason.

use std::{
    collections::BTreeSet,
    process::Command,
    time::{Duration, Instant},
};

use crate::harness::{Names, Worker, broker, pipeline, read_committed};

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
    let broker = broker();
    let servers = broker.bootstrap_servers();
    let settings = Names::new("ask").settings();
    let _worker = Worker::start(&servers, &settings);
    let (code, stdout, stderr) = pipeline(&servers, &["request", "30"], &settings);
    assert_eq!(stdout, "30;265252859812191058636308480000000\n", "{stderr}");
    assert_eq!(without_numbers(&stderr), ["partition N, offset N", "produce ack N ms · total N ms"]);
    assert_eq!(code, 0);
}

#[test]
fn a_random_request_prints_its_offset_then_how_long_it_took_then_the_number() {
    let broker = broker();
    let servers = broker.bootstrap_servers();
    let settings = Names::new("random").settings();
    let _worker = Worker::start(&servers, &settings);
    let settings = settings.iter().map(|setting| format!("--set={setting}"));
    // As on a terminal: both outputs in one.
    let output = Command::new("sh")
        .args(["-c", "exec \"$@\" 2>&1", "sh", env!("CARGO_BIN_EXE_pipeline")])
        .args(["request", "--random", "2000..10000"])
        .args(settings)
        .env("PIPELINE_BOOTSTRAP_SERVERS", &servers)
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
    let broker = broker();
    let servers = broker.bootstrap_servers();
    let settings = Names::new("several").settings();
    let _worker = Worker::start(&servers, &settings);
    let (code, stdout, stderr) = pipeline(&servers, &["request", "3", "4", "5", "3"], &settings);
    let mut results: Vec<_> = stdout.lines().collect();
    results.sort_unstable();
    assert_eq!((code, results), (0, vec!["3;6", "3;6", "4;24", "5;120"]), "{stderr}");

    let (code, stdout, stderr) =
        pipeline(&servers, &["request", "--random", "6..7", "--count", "200"], &settings);
    let results: Vec<_> = stdout.lines().collect();
    assert_eq!((code, results.len()), (0, 200), "{stderr}");
    assert_eq!(results.into_iter().collect::<BTreeSet<_>>(), BTreeSet::from(["6;720", "7;5040"]));
}

#[test]
fn results_are_printed_as_text_whatever_their_format() {
    let broker = broker();
    let servers = broker.bootstrap_servers();
    for format in ["json", "bincode"] {
        let mut settings = Names::new(format).settings();
        settings.extend([format!("source.format={format}"), format!("sink.format={format}")]);
        let _worker = Worker::start(&servers, &settings);
        let (code, stdout, stderr) = pipeline(&servers, &["request", "20"], &settings);
        assert_eq!((code, stdout.as_str()), (0, "20;2432902008176640000\n"), "{format}: {stderr}");
    }
}

#[test]
fn a_request_that_cannot_be_computed_fails_at_once_with_its_reason() {
    let broker = broker();
    let servers = broker.bootstrap_servers();
    let settings = Names::new("above").settings();
    let _worker = Worker::start(&servers, &settings);
    let start = Instant::now();
    let (code, stdout, stderr) =
        pipeline(&servers, &["request", "200001", "5", "--timeout", "100s"], &settings);
    assert_eq!((code, stdout.as_str()), (1, "5;120\n"), "{stderr}");
    assert!(stderr.contains("200001: 200001 is above `max_n`, which is 200000\n"), "{stderr}");
    assert!(stderr.ends_with("error: one request got no result\n"), "{stderr}");
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn without_a_worker_a_request_gives_up_and_says_what_to_check() {
    let broker = broker();
    let servers = broker.bootstrap_servers();
    let names = Names::new("alone");
    let arguments = ["request", "5", "--timeout", "1s"];
    let (code, stdout, stderr) = pipeline(&servers, &arguments, &names.settings());
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    let sentence = format!(
        "5: no result in {} within 1s: is a worker running? (pipeline run factorial.toml)\n",
        names.sink
    );
    assert!(stderr.contains(&sentence), "{stderr}");
}

#[test]
fn with_no_wait_a_request_is_only_produced() {
    let broker = broker();
    let servers = broker.bootstrap_servers();
    let names = Names::new("no-wait");
    let (code, stdout, stderr) = pipeline(&servers, &["request", "7", "8", "--no-wait"], &names.settings());
    assert_eq!((code, stderr.as_str()), (0, ""));
    let requests = read_committed(&servers, &names.source);
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
