//! Load over HTTP: the times, the thresholds, and what is wrong with an answer.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use serde_json::Value;

use super::{
    Script, counts,
    servers::{Proxy, Server},
};
use crate::harness::{Worker, broker_exclusively, ensure, eventually};

fn over(address: std::net::SocketAddr) -> Vec<String> {
    vec!["target.over=http".to_owned(), format!("target.http.url=http://{address}/factorial/{{n}}")]
}

fn millis(json: &Value, of: &str) -> f64 {
    json["totals"]["latency_ms"][of].as_f64().unwrap()
}

#[test]
fn p99_agrees_with_what_a_proxy_measures_of_the_same_run() {
    // Whatever else runs on this machine would come between the two measures.
    let _alone = broker_exclusively();
    let server = Server::start(|n, _| Duration::from_millis(50 + u64::from(n)));
    let proxy = Proxy::before(server.address);
    let script = Script::new(
        r#"values.uniform = { min = 20, max = 220 }
        phases.warm-up = { users = 50, count = 100, measured = false }
        phases.steady = { rate = 200, time = "10 s" }
        "#,
    );
    let (code, stdout, stderr) = script.run("", &over(proxy.address));
    assert_eq!(code, 0, "{stdout}{stderr}");
    let json = script.json();
    assert_eq!(counts(&json), [2_000, 0, 0, 0, 0, 0], "{stdout}");
    let times = proxy.times_by_plan(100, 200.0);
    assert_eq!(times.len(), 2_000);
    for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
        let proxys = times[(times.len() as f64 * quantile) as usize].as_secs_f64() * 1e3;
        let ours = millis(&json, name);
        eprintln!("{name}: {ours:.1} ms, the proxy's {proxys:.1} ms");
        assert!((ours / proxys - 1.0).abs() < 0.05, "{name}: {ours} ms, the proxy's {proxys} ms");
    }
}

#[test]
fn a_stall_of_two_seconds_is_two_seconds_in_the_p99_9() {
    let (from, to) = (Duration::from_secs(4), Duration::from_secs(6));
    // Whatever is asked during the stall is answered at its end.
    let server =
        Server::start(
            move |_, since| {
                if (from..to).contains(&since) { to - since } else { Duration::from_millis(1) }
            },
        );
    let script = Script::new("values.list = [10]\nphases.steady = { rate = 200, time = \"10 s\" }\n");
    let (code, stdout, stderr) = script.run("", &over(server.address));
    let json = script.json();
    assert_eq!((code, counts(&json)), (0, [2_000, 0, 0, 0, 0, 0]), "{stdout}{stderr}");
    let (p50, p999) = (millis(&json, "p50"), millis(&json, "p99.9"));
    eprintln!("p50 {p50:.1} ms, p99.9 {p999:.1} ms");
    assert!((1_950.0..2_100.0).contains(&p999), "p99.9 is {p999} ms");
    assert!(p50 < 200.0, "p50 is {p50} ms");
    assert!(server.most_at_once.load(SeqCst) > 300, "what was planned was sent, whatever the answers did");
    assert!(json["totals"]["delay_ms"]["p99"].as_f64().unwrap() < 500.0, "sending did not wait");
}

#[test]
fn thresholds_decide_the_exit_code() {
    let server = Server::start(|_, _| Duration::from_millis(20));
    let base = "values.list = [5]\nphases.x = { users = 2, count = 20 }\n";
    let run = |thresholds: &str| {
        let script = Script::new(&format!("thresholds = {thresholds}\n{base}"));
        script.run("", &over(server.address))
    };
    let (code, stdout, stderr) = run(r#"["p50 > 19 ms", "p99.9 < 10 s", "rate > 1/s", "errors = 0"]"#);
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(stdout.contains("ok      p50 > 19 ms  ("), "{stdout}");
    let (code, stdout, stderr) = run(r#"["p50 < 19 ms", "errors = 0"]"#);
    assert_eq!(code, 1, "{stdout}{stderr}");
    assert!(
        stdout.contains("MISSED  p50 < 19 ms  (") && stdout.contains("ok      errors = 0  (0)"),
        "{stdout}"
    );
    assert!(stderr.ends_with("error: one threshold is not met\n"), "{stderr}");
    let (code, stdout, stderr) = run(r#"["p50 < 19"]"#);
    assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
    assert!(stderr.contains("s.toml:2:22") && stderr.contains("`19` is not a duration"), "{stderr}");
}

#[test]
fn each_kind_of_bad_answer_is_told_apart() {
    let server = Server::start(|n, _| Duration::from_millis(if n == 99 { 5_000 } else { 0 }));
    let script = Script::new(
        "values.list = [5, 404, 13, 14, 99, 0, 1_000]\ntarget.timeout = \"1 s\"\nphases.x = { rate = 50, count = 7 }\n",
    );
    let (code, stdout, stderr) = script.run("", &over(server.address));
    let json = script.json();
    assert_eq!((code, counts(&json)), (1, [3, 4, 2, 0, 0, 0]), "{stdout}{stderr}");
    let failures = serde_json::json!({ "status 404 Not Found": 1, "no answer in time": 1 });
    assert_eq!(json["totals"]["failures"], failures);
    let samples = json["samples"].to_string();
    assert!(samples.contains("13, id ") && samples.contains("wrong: not a result"), "{samples}");
    assert!(samples.contains("14, id ") && samples.contains("wrong: 10 digits instead of 11"), "{samples}");
}

#[test]
fn users_ask_one_at_a_time_each() {
    let server = Server::start(|_, _| Duration::from_millis(5));
    let script = Script::new("values.list = [5]\nphases.x = { users = 7, count = 300 }\n");
    let (code, stdout, stderr) = script.run("", &over(server.address));
    assert_eq!((code, counts(&script.json())), (0, [300, 0, 0, 0, 0, 0]), "{stdout}{stderr}");
    assert_eq!(server.most_at_once.load(SeqCst), 7);
}

#[test]
fn where_nobody_answers_each_request_is_an_error_and_the_reason_is_told() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let script = Script::new(
        "thresholds = [\"errors < 1 %\"]\nvalues.list = [5]\nphases.x = { rate = 50, time = \"500 ms\" }\n",
    );
    let (code, stdout, stderr) = script.run("", &over(closed));
    assert_eq!((code, counts(&script.json())), (1, [0, 25, 0, 0, 0, 0]), "{stdout}{stderr}");
    assert!(stdout.contains("25 x Connection refused"), "{stdout}");
    assert!(stdout.contains("MISSED  errors < 1 %  (100 %)"), "{stdout}");
}

#[test]
fn a_signal_ends_the_run_with_the_report_of_what_was_done_and_metrics_are_there_meanwhile() {
    let server = Server::start(|_, _| Duration::from_millis(300));
    let script = Script::new("values.list = [5]\nphases.x = { rate = 100, time = \"1 h\" }\n");
    let settings = [script.settings(), over(server.address)].concat();
    let worker = Worker::start("", &["load", &script.path()], &settings, &[]);
    eventually(Duration::from_secs(30), || {
        let answered = worker.metric(r#"pipeline_request_duration_seconds_count{pipeline="s",outcome="ok"}"#);
        ensure(answered > 100.0, || format!("{answered} were answered"))
    });
    assert!(worker.scrape().contains("pipeline_requests_in_flight{pipeline=\"s\"} "));
    let (status, log) = worker.terminate();
    // A script that goes by the exit code has not seen all of the run.
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("error: the run was stopped before its end"), "{log}");
    let json = script.json();
    let [right, errors, ..] = counts(&json);
    assert!(right > 100 && errors == 0, "{json}");
    assert_eq!(json["totals"]["asked"], right, "what was asked was waited for");
    assert_eq!(json["stopped"], true);
}
