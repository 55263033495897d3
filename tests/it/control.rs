//! `pipeline pause`, `resume` and `rate`: what is wanted of workers while they run.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, Instant},
};

use crate::harness::{LIMIT, Producer, Site, Worker, ensure, eventually};

/// By when a worker does what is wanted, and some more as machines are busy.
const SOON: Duration = Duration::from_secs(3);

/// How often each record has a result.
fn results(site: &Site) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    site.read(&site.sink).iter().for_each(|result| *counts.entry(result.key().to_owned()).or_default() += 1);
    counts
}

/// Sends that many requests to each of both partitions, and returns their keys.
fn send(site: &Site, name: &str, each: usize) -> BTreeSet<String> {
    let producer = Producer::existing(&site.servers, &site.source);
    let keys: Vec<_> = (0..2 * each).map(|n| format!("{name}-{n}")).collect();
    for (n, key) in keys.iter().enumerate() {
        producer.send(key, Some(b"10"), Some((n % 2) as i32));
    }
    producer.flush();
    keys.into_iter().collect()
}

/// Waits until these have results, and nothing else has, each once.
fn all_once<'a>(site: &Site, keys: impl Iterator<Item = &'a String>, worker: &Worker) {
    let expected: BTreeMap<String, usize> = keys.map(|key| (key.clone(), 1)).collect();
    eventually(LIMIT, || {
        let found = results(site);
        let missing: Vec<_> = expected.keys().filter(|key| !found.contains_key(*key)).take(5).collect();
        ensure(missing.is_empty(), || format!("no results of {missing:?}\n{}", worker.log()))
    });
    assert_eq!(results(site), expected);
}

/// The command, which must succeed, and what it prints.
fn command(site: &Site, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = site.pipeline(arguments);
    assert_eq!(code, 0, "{stderr}");
    stdout
}

fn explain(worker: &Worker) -> String {
    let (code, text, stderr) = crate::harness::pipeline("", &["explain", &worker.metrics()], &[]);
    assert_eq!(code, 0, "{stderr}");
    text
}

#[test]
fn a_pause_holds_for_all_workers_of_the_group_until_it_is_taken_back_and_loses_nothing() {
    let site =
        Site::new("pause").with(&["guarantee=exactly-once", "metrics.listen=127.0.0.1:0"]).with_topics(2);
    let (first, second) = (site.worker(&[]), site.worker(&[]));
    eventually(LIMIT, || {
        let owned = [&first, &second].map(|worker| worker.metric("pipeline_assigned_partitions"));
        ensure(owned == [1.0, 1.0], || format!("{owned:?}\n{}", first.log()))
    });
    let before = send(&site, "before", 100);
    all_once(&site, before.iter(), &first);

    let said = command(&site, &["pause", "factorial.toml"]);
    assert!(said.contains("paused since") && said.contains("pipeline resume factorial.toml"), "{said}");
    for worker in [&first, &second] {
        worker.says(&["paused since", "to go on: pipeline resume factorial.toml"]);
        assert_eq!(worker.metric("pipeline_paused"), 1.0);
        let explained = explain(worker);
        assert!(explained.contains("  paused since"), "{explained}");
    }
    let again = command(&site, &["pause", "factorial.toml"]);
    assert!(again.contains("nothing is changed, it is paused since"), "{again}");
    let shown = command(&site, &["rate", "factorial.toml"]);
    assert!(shown.contains("paused since"), "{shown}");

    // From here on nobody computes anything.
    let meanwhile = send(&site, "meanwhile", 200);
    thread::sleep(SOON);
    assert_eq!(results(&site).keys().cloned().collect::<BTreeSet<_>>(), before);
    let members = command(&site, &["offsets", "show", "factorial.toml"]);
    assert!(members.contains("2 members"), "{members}");

    // One that starts meanwhile is paused too, and partitions that change hands stay where they are.
    let third = site.worker(&[]);
    third.says(&["paused since", "to go on: pipeline resume factorial.toml"]);
    let told = Instant::now();
    let (status, log) = first.terminate();
    assert!(status.success() && told.elapsed() < Duration::from_secs(5), "{:?}\n{log}", told.elapsed());
    eventually(LIMIT, || {
        let owned = [&second, &third].map(|worker| worker.metric("pipeline_assigned_partitions"));
        ensure(owned == [1.0, 1.0], || format!("{owned:?}\n{}", third.log()))
    });
    thread::sleep(SOON);
    assert_eq!(results(&site).keys().cloned().collect::<BTreeSet<_>>(), before);
    assert_eq!(third.metric("pipeline_records_consumed_total"), 0.0);
    let drained = site.start(&["run", "factorial.toml", "--drain"], &[]);
    drained.says(&["paused since", "--drain waits for that"]);
    drained.kill();

    let said = command(&site, &["resume", "factorial.toml"]);
    assert!(said.contains("goes on within about two seconds; it was paused since"), "{said}");
    all_once(&site, before.union(&meanwhile), &second);
    second.says(&["goes on after a pause"]);
    assert_eq!(second.metric("pipeline_paused"), 0.0);
    assert!(!explain(&second).contains("paused since"));
    let after = send(&site, "after", 50);
    all_once(&site, before.union(&meanwhile).chain(&after), &second);
    let again = command(&site, &["resume", "factorial.toml"]);
    assert!(again.contains("nothing is changed, it was not paused"), "{again}");
}

#[test]
fn a_rate_is_changed_while_a_worker_runs_and_wins_over_the_file_until_it_is_taken_back() {
    let site = Site::new("rate").with(&["metrics.listen=127.0.0.1:0", "limits.rate=50"]).with_topics(2);
    let worker = site.worker(&[]);
    worker.says(&["rebalance: assign partitions 0 1,"]);
    let sent = send(&site, "r", 3_000);
    let consumed = || worker.metric("pipeline_records_consumed_total");
    let rate_is = |expected: f64, why: &str| {
        thread::sleep(SOON);
        let (began, before) = (Instant::now(), consumed());
        thread::sleep(Duration::from_secs(4));
        let rate = (consumed() - before) / began.elapsed().as_secs_f64();
        assert!(
            (expected * 0.7..=expected * 1.3).contains(&rate),
            "{rate} a second, {why}\n{}",
            worker.log()
        );
    };
    rate_is(50.0, "as the file says");
    let said = command(&site, &["rate", "factorial.toml", "200"]);
    assert!(said.contains("200 records a second at most (`limits.rate` is 50)"), "{said}");
    worker.says(&["200 records a second at most"]);
    rate_is(200.0, "as was said");
    assert!(explain(&worker).contains("pipeline rate factorial.toml file"));
    command(&site, &["pause", "factorial.toml"]);
    rate_is(0.0, "paused");
    command(&site, &["resume", "factorial.toml"]);
    rate_is(200.0, "the rate outlives a pause");
    command(&site, &["rate", "factorial.toml", "file"]);
    rate_is(50.0, "as the file says again");
    let (code, _, stderr) = site.pipeline(&["rate", "factorial.toml", "0"]);
    assert!(code == 2 && stderr.contains("a rate is a number of records a second from 1"), "{stderr}");
    command(&site, &["rate", "factorial.toml", "none"]);
    all_once(&site, sent.iter(), &worker);
}

const TOKEN: &str = "a-token-that-nobody-guesses";

/// Asks the control port; a request with a body is a POST. Status and body.
fn ask(url: &str, token: Option<&str>, body: Option<&str>) -> (u16, String) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut answer = match body {
        Some(body) => {
            let request = agent.post(url);
            let request =
                bearer.iter().fold(request, |request, bearer| request.header("authorization", bearer));
            request.send(body).unwrap()
        }
        None => {
            let request = agent.get(url);
            let request =
                bearer.iter().fold(request, |request, bearer| request.header("authorization", bearer));
            request.call().unwrap()
        }
    };
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

#[test]
fn the_control_port_tells_all_workers_and_nobody_without_the_token() {
    let site = Site::new("control").with(&["metrics.listen=127.0.0.1:0"]).with_topics(2);
    let site = site.env("CONTROL_TOKEN", TOKEN);
    let with = ["control.listen=127.0.0.1:0", "control.token=${env:CONTROL_TOKEN}"];
    let (worker, other) = (site.worker(&with), site.worker(&[]));
    let line = worker.says(&["control at http://"]);
    let url = line.split("control at ").nth(1).unwrap().split("/,").next().unwrap().to_owned();
    let of = |path: &str| format!("{url}{path}");
    let json = |(status, body): (u16, String)| {
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<serde_json::Value>(&body).unwrap()
    };
    let before = send(&site, "before", 20);
    all_once(&site, before.iter(), &worker);

    for token in [None, Some(""), Some("a-token-that-nobody-guessed"), Some("a-token-that-nobody-guesses-")] {
        for (path, body) in [("/", None), ("/nowhere", None), ("/pause", Some("")), ("/rate", Some("{}"))] {
            let (status, answer) = ask(&of(path), token, body);
            assert!(status == 401 && answer.contains("send the token"), "{path}: {status} {answer}");
        }
    }
    let state = json(ask(&of("/"), Some(TOKEN), None));
    assert_eq!((&state["paused"], &state["rate"]), (&false.into(), &"file".into()), "nobody has changed it");

    let state = json(ask(&of("/pause"), Some(TOKEN), Some("")));
    assert!(state["paused"] == true && state["paused_since"].is_string(), "{state}");
    for worker in [&worker, &other] {
        worker.says(&["paused since"]);
    }
    let shown = command(&site, &["rate", "factorial.toml"]);
    assert!(shown.contains(&format!("paused since {}", state["paused_since"].as_str().unwrap())), "{shown}");
    let meanwhile = send(&site, "meanwhile", 20);
    thread::sleep(SOON);
    assert_eq!(results(&site).keys().cloned().collect::<BTreeSet<_>>(), before);
    let state = json(ask(&of("/rate"), Some(TOKEN), Some(r#"{"rate": 1000}"#)));
    assert!(state["paused"] == true && state["rate"] == 1000, "{state}");

    for (path, body, status) in [
        ("/rate", Some(r#"{"rate": 0}"#), 400),
        ("/rate", Some("slow"), 400),
        ("/rate", Some(&*"x".repeat(2_000)), 413),
        ("/pause", None, 405),
        ("/nowhere", None, 404),
    ] {
        let (found, answer) = ask(&of(path), Some(TOKEN), body);
        assert_eq!(found, status, "{path}: {answer}");
    }
    let state = json(ask(&of("/resume"), Some(TOKEN), Some("")));
    assert_eq!((&state["paused"], &state["paused_since"]), (&false.into(), &serde_json::Value::Null));
    all_once(&site, before.union(&meanwhile), &worker);
    assert!(!format!("{}{}", worker.log(), other.log()).contains("nobody-guess"), "{}", worker.log());
    // A second one at the same address says so.
    let address = url.trim_start_matches("http://");
    let mut second = site.worker(&[&format!("control.listen={address}"), with[1]]);
    assert!(second.fails().contains("name another address by control.listen"));
}
