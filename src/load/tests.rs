//! Scripts as a person writes them, and runs against a target in memory.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use super::*;
use crate::{
    config::Override,
    factorial::factorial_decimal,
    settings::{Environment, ProcessEnvironment},
};

const GOOD: &str = r#"name = "s"
values.uniform = { min = 1, max = 20 }
[phases.steady]
rate = 100
time = "1 s"
"#;

struct Empty;

impl Environment for Empty {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "PIPELINE_BOOTSTRAP_SERVERS").then(|| "b:1".to_owned())
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("no such file".into())
    }
}

fn parsed(text: &str, sets: &[&str]) -> Result<Script, String> {
    let overrides: Vec<Override> = sets.iter().map(|set| set.parse().unwrap()).collect();
    parse("s.toml", text, &overrides, &Empty).map_err(|wrong| wrong.to_string())
}

fn good(text: &str, sets: &[&str]) -> Script {
    parsed(text, sets).unwrap_or_else(|wrong| panic!("{wrong}"))
}

#[test]
fn a_short_script_has_the_defaults() {
    let script = good(GOOD, &[]);
    assert_eq!((script.name.as_str(), script.in_flight), ("s", 10_000));
    assert_eq!(script.timeout, Duration::from_secs(30));
    assert_eq!(script.reports, std::path::Path::new("load-reports"));
    assert_eq!(script.kafka["bootstrap.servers"].value, "b:1", "from the environment");
    let TargetSettings::Kafka(topics) = &script.target else { panic!("not Kafka") };
    assert_eq!(topics.requests, "factorials-to-be-calculated");
    assert_eq!(topics.dead_letters, "factorials-to-be-calculated.dlq");
    assert!(script.phases[0].measured && script.thresholds.is_empty());
}

#[test]
fn a_script_of_another_version_of_the_format_is_refused() {
    assert_eq!(good(&format!("version = 1\n{GOOD}"), &[]).name, "s");
    let said = parsed(&format!("version = 2\n{GOOD}"), &[]).err().unwrap();
    assert!(said.contains("this file has `version = 2`, and this program reads version 1"), "{said}");
}

#[test]
fn overrides_reach_every_setting() {
    let script = good(
        GOOD,
        &[
            "target.over=http",
            "target.http.url=http://x/{n}",
            "phases.steady.time=2s",
            "thresholds=['p99 < 1 s']",
            "kafka.bootstrap.servers=c:2",
        ],
    );
    assert!(matches!(&script.target, TargetSettings::Http { url, .. } if url == "http://x/{n}"));
    assert_eq!(script.phases[0].time, Some(Duration::from_secs(2)));
    assert_eq!(script.thresholds[0].to_string(), "p99 < 1 s");
    assert_eq!(script.kafka["bootstrap.servers"].value, "c:2");
}

#[test]
fn each_way_of_asking_is_read_and_phases_may_have_their_own_numbers() {
    let script = good(
        r#"name = "s"
values.list = [1, 2]
phases.a = { rate = "600/min", time = "10 s" }
phases.b = { ramp = { from = 0, to = 100 }, time = "10 s", values.zipf = { min = 1, max = 9, exponent = 1.5 } }
phases.c = { steps = { from = 10, to = 30, count = 3 }, time = "3 s", until_saturated = true }
phases.d = { spike = { base = 1, peak = 100, lasts = "1 s" }, time = "3 s" }
phases.e = { users = 5, pause = "10 ms", count = 50, measured = false }
phases.f = { rate = 10, count = 5 }
"#,
        &[],
    );
    let counts: Vec<usize> = script
        .phases
        .iter()
        .map(|phase| match &phase.model {
            LoadModel::Open(profile) => profile.times().count(),
            LoadModel::Closed { users, .. } => *users as usize,
        })
        .collect();
    assert_eq!(counts, [100, 500, 60, 102, 5, 6]);
    assert_eq!(script.phases[1].values, Values::Zipf { range: 1..=9, exponent: 1.5 });
    assert_eq!(script.phases[0].values, Values::List([1, 2].into()));
    assert_eq!((script.phases[4].measured, script.phases[4].count), (false, Some(50)));
}

#[test]
fn what_is_wrong_is_said_at_its_place_with_what_to_do() {
    let cases: [(&str, &[&str]); 16] = [
        ("thresholds = ['p99 < 50']", &["s.toml:6:22", "`50` is not a duration", "`50 ms`"]),
        ("thresholds = ['p99 < 1 s', 'erors = 0']", &["s.toml:6:29", "did you mean `errors`?"]),
        ("thresholds = [5]", &["a threshold is a string, not an integer"]),
        ("tresholds = []", &["`tresholds` is not a setting of a load script", "did you mean `thresholds`?"]),
        (
            "[phases.x]\ntime = '1 s'",
            &["`phases.x` does not set when to send requests", "one of `rate`, `ramp`"],
        ),
        ("[phases.x]\nrate = 1\nusers = 2\ntime = '1 s'", &["asks in more than one way"]),
        ("[phases.x]\nrate = 1", &["`phases.x` would never end", "`time`, `count`, or both"]),
        ("[phases.x]\nramp = { from = 1, to = 2 }", &["has a `ramp` and no `time`"]),
        (
            "[phases.x]\nramp = { from = 1, too = 2 }\ntime = '1 s'",
            &["`too` is not a setting of `[phases.x.ramp]`", "did you mean `to`?"],
        ),
        ("[phases.x]\nrate = '5/day'\ntime = '1 s'", &["`phases.x.rate` is not a rate", "6000/min"]),
        ("[phases.x]\nrate = 5\ntime = '1 s'\npause = '1 s'", &["`phases.x.pause` is for `users`"]),
        ("[phases.x]\nrate = 5\ntime = '1 s'\nuntil_saturated = true", &["needs a rate that goes up"]),
        ("[target]\nhttp.url = 'ftp://x/{n}'\nover = 'http'", &["`target.http.url` is no such address"]),
        ("[target]\nhttp.url = 'http://x/'", &["with `{n}` in the number's place"]),
        ("[target]\nover = 'htpp'", &["did you mean `http`?"]),
        ("[kafka]\nbootstrap.server = 'x'", &["did you mean `bootstrap.servers`?"]),
    ];
    for (more, expected) in cases {
        // What is of the top table goes before any other.
        let text = if more.starts_with('[') {
            format!("{GOOD}{more}\n")
        } else {
            let (top, phases) = GOOD.split_once("[phases").unwrap();
            format!("{top}\n\n\n{more}\n[phases{phases}")
        };
        let wrong = parsed(&text, &[]).expect_err(more);
        for part in expected {
            assert!(wrong.contains(part), "{more}\n{part:?} is not in\n{wrong}");
        }
    }
}

#[test]
fn numbers_that_are_missing_or_cannot_be_are_said_too() {
    let cases = [
        ("", "`phases.x` does not set which numbers to request"),
        ("values.uniform = { min = 5, max = 1 }", "`min` is above `max`"),
        ("values.uniform = { min = 0, max = 10_000_001 }", "0 to 10000000"),
        ("values.list = []", "must be an array of integers"),
        ("values.list = [1, -1]", "must be an array of integers"),
        ("values.file = 'nowhere.txt'", "nowhere.txt cannot be read"),
        ("values = { list = [1], uniform = { min = 1, max = 2 } }", "needs one of `uniform`"),
    ];
    for (values, expected) in cases {
        let text = format!("name = 's'\n{values}\nphases.x = {{ users = 1, count = 1 }}\n");
        let wrong = parsed(&text, &[]).expect_err(values);
        assert!(wrong.contains(expected), "{values}: {wrong}");
    }
    let wrong = parsed("name = 'a/b'\nvalues.list = [1]\n", &[]).unwrap_err();
    assert!(
        wrong.contains("cannot be the name of a file") && wrong.contains("there are no phases"),
        "{wrong}"
    );
}

#[test]
fn numbers_come_from_a_file_one_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("numbers.txt");
    std::fs::write(&path, "3\n\n1_000\n2\n").unwrap();
    let text =
        format!("name = 's'\nvalues.file = '{}'\nphases.x = {{ users = 1, count = 1 }}\n", path.display());
    assert_eq!(good(&text, &[]).phases[0].values, Values::List([3, 1_000, 2].into()));
    std::fs::write(&path, "3\nthree\n").unwrap();
    assert!(parsed(&text, &[]).unwrap_err().contains("line 2: not a number"));
}

#[test]
fn every_script_that_is_built_in_can_run() {
    let names: Vec<&str> = built_in().collect();
    assert_eq!(names, ["smoke.toml", "exercise.toml", "ramp.toml", "spike.toml", "soak.toml"]);
    for name in names {
        let script = read_script(name, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(format!("{}.toml", script.name), name);
    }
    let error = read_script("smok.toml", &[]).unwrap_err().to_string();
    assert!(
        error.starts_with("there is no load script smok.toml") && error.ends_with("soak.toml"),
        "{error}"
    );
}

/// A target that answers each request after a while, or never.
struct Answering {
    book: Arc<Book>,
    after: Option<Duration>,
    asked: Mutex<Vec<(PlannedRequest, Instant)>>,
}

impl Target for Answering {
    fn send(&self, request: PlannedRequest) -> Result<(), String> {
        self.asked.lock().unwrap().push((request, Instant::now()));
        let Some(after) = self.after else { return Ok(()) };
        let book = self.book.clone();
        thread::spawn(move || {
            thread::sleep(after);
            book.answered(request.number, right(request.n), Instant::now());
        });
        Ok(())
    }

    fn aftermath(&self) -> Duration {
        Duration::ZERO
    }
}

fn right(n: u64) -> Answer<'static> {
    let mut reading = Reading::default();
    assert!(reading.take(factorial_decimal(n as u32).as_bytes()));
    Answer::Result { n: Some(n), digits: reading.fingerprint() }
}

fn run_against(text: &str, after: Option<Duration>) -> (Results, Vec<(PlannedRequest, Instant)>) {
    let script = good(text, &[]);
    let book = Arc::new(Book::new(&script, RunId::new(1)));
    let target = Answering { book: book.clone(), after, asked: Mutex::default() };
    let interrupt = Arc::new(Interrupt::default());
    let expiring = book.clone();
    let expiry = thread::spawn(move || {
        while Arc::strong_count(&expiring) > 2 {
            expiring.expire(Instant::now());
            thread::sleep(Duration::from_millis(5));
        }
    });
    let stopped = run(&script, &target, &book, &interrupt);
    let results = book.results(stopped);
    let asked = target.asked.into_inner().unwrap();
    drop(target.book);
    expiry.join().unwrap();
    (results, asked)
}

#[test]
fn planned_times_do_not_wait_for_answers_and_what_is_not_answered_is_lost_after_its_time() {
    let text = format!("{GOOD}\n[target]\ntimeout = '300 ms'\n");
    let (results, asked) = run_against(&text, None);
    let totals = &results.totals;
    assert_eq!((totals.planned, totals.answered, totals.lost), (100, 0, 100));
    assert_eq!(totals.failures["no answer in time"], 100);
    assert!(
        totals.latency.min() >= 300_000 - 1_000,
        "what waited in vain has its time: {}",
        totals.latency.min()
    );
    let (first, last) = (asked[0].0.planned, asked[99].0.planned);
    assert_eq!(last - first, Duration::from_millis(990), "the plan is kept to");
    assert!(asked.iter().all(|(request, sent)| *sent >= request.planned), "nothing is sent before its time");
    assert_eq!(results.samples.len(), 20, "the first few are kept one by one");
}

#[test]
fn a_closed_loop_never_has_more_in_flight_than_there_are_users() {
    let text = "name = 's'\nvalues.list = [3, 4]\nphases.x = { users = 3, count = 30, pause = '1 ms' }\n";
    let (results, asked) = run_against(text, Some(Duration::from_millis(20)));
    assert_eq!((results.totals.planned, results.totals.answered), (30, 30));
    let numbers: Vec<u64> = asked.iter().take(4).map(|(request, _)| request.n).collect();
    assert_eq!(numbers, [3, 4, 3, 4]);
    for (index, (_, sent)) in asked.iter().enumerate().skip(3) {
        assert!(*sent - asked[index - 3].1 >= Duration::from_millis(20), "request {index} was too early");
    }
}

#[test]
fn what_is_beyond_the_limit_in_flight_is_not_sent_and_is_an_error() {
    let text = format!("{GOOD}\n[target]\ntimeout = '5 s'\n[limits]\nin_flight = 7\n");
    let script = good(&text, &["phases.steady.count=20", "target.timeout=300ms"]);
    let book = Arc::new(Book::new(&script, RunId::new(1)));
    let target = Answering { book: book.clone(), after: None, asked: Mutex::default() };
    let interrupt = Interrupt::default();
    interrupt.raise();
    interrupt.raise();
    assert!(run(&script, &target, &book, &interrupt), "a run that is stopped says so");
    assert_eq!(book.results(true).totals.planned, 0, "and asks nothing");
    let (results, asked) = run_against(&format!("{text}\n").replace("'5 s'", "'2 s'"), None);
    assert_eq!((results.totals.planned, asked.len()), (100, 7));
    assert_eq!(results.totals.failures["not sent: 7 were in flight"], 93);
    assert_eq!(results.totals.lost, 7);
}

#[test]
fn wrong_double_and_late_answers_are_each_recognized_by_their_id() {
    let script = good(GOOD, &["target.timeout=1s"]);
    let book = Book::new(&script, RunId::new(1));
    let start = Instant::now();
    book.begins(start);
    let ask = |n| {
        let request = ledger::Pending { n, planned: start, sent: start, phase: 0, window: 0, user: None };
        book.register(request).unwrap()
    };
    let [good, wrong, other, late] = [5, 6, 7, 8].map(ask);
    book.answered(good, right(5), start);
    book.answered(good, right(5), start);
    let Answer::Result { digits, .. } = right(5) else { panic!() };
    book.answered(wrong, Answer::Result { n: None, digits }, start);
    book.answered(other, right(5), start);
    book.expire(start + Duration::from_secs(1));
    assert_eq!(book.lost(), 1);
    book.answered(late, right(8), start + Duration::from_secs(2));
    book.answered(99, right(8), start);
    let results = book.results(false);
    let totals = &results.totals;
    assert_eq!((totals.planned, totals.answered, totals.wrong, totals.double), (4, 1, 2, 1));
    assert_eq!((totals.lost, totals.late, totals.errors()), (0, 1, 3));
    let id = |number| RunId::new(1).id(number);
    assert_eq!(
        results.samples,
        [
            format!("{}: double: one more answer", id(good)),
            format!("6, id {}: wrong: other digits, as many as there must be", id(wrong)),
            format!("7, id {}: wrong: it is for 5", id(other)),
            format!("8, id {}: no answer in time", id(late)),
        ]
    );
}

#[test]
fn the_reports_say_the_same_and_the_page_needs_nothing_else() {
    let script = good(GOOD, &["thresholds=['p99 < 1 s', 'rate > 1000/s']", "target.over=http"]);
    let (results, _) = run_against(GOOD, Some(Duration::from_millis(20)));
    let report = report::Report::new(&script, "<workers>".to_owned(), &results);
    assert_eq!((report.met(), report.missed()), (false, 1), "{:?}", report.outcomes);
    let text = report::summary(&report);
    assert!(text.contains("100 asked · 100 right · 0 errors (0 %) · 0 lost"), "{text}");
    assert!(text.contains("ok      p99 < 1 s  (") && text.contains("MISSED  rate > 1000/s  ("), "{text}");
    assert!(text.contains("ok      wrong = 0  (0)"), "{text}");

    let folder = tempfile::tempdir().unwrap();
    let written = report.write(&folder.path().join("new")).unwrap();
    let names: Vec<_> = written.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["s.html", "s.json", "s.hgrm"]);
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&written[1]).unwrap()).unwrap();
    assert_eq!((&json["totals"]["right"], &json["met"]), (&100.into(), &false.into()));
    assert_eq!(json["thresholds"][1]["threshold"], "rate > 1000/s");
    assert!(json["totals"]["latency_ms"]["p50"].as_f64().unwrap() >= 20.0, "{json}");
    let asked: u64 = json["intervals"].as_array().unwrap().iter().map(|i| i["asked"].as_u64().unwrap()).sum();
    assert_eq!(asked, 100);

    let page = std::fs::read_to_string(&written[0]).unwrap();
    assert!(page.contains("&lt;workers&gt;") && !page.contains("<workers>"), "text is no markup");
    assert!(page.contains("✗ one threshold is not met") && page.matches("<svg").count() == 3, "{page}");
    for outside in ["http:", "https:", "src=", "href=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside} is in the page");
    }
}

#[test]
fn what_may_be_wrong_is_said_by_a_threshold_about_it() {
    let script = good(GOOD, &["thresholds=['double < 1 %']"]);
    let (results, _) = run_against(&GOOD.replace("1 s", "50 ms"), Some(Duration::from_millis(1)));
    let report = report::Report::new(&script, String::new(), &results);
    let held: Vec<&str> = report.outcomes.iter().map(|outcome| outcome.threshold.as_str()).collect();
    assert_eq!(held, ["double < 1 %", "wrong = 0", "lost = 0"]);
}

#[test]
fn the_process_environment_is_where_the_brokers_are_looked_for() {
    let script = parse("s.toml", GOOD, &[], &ProcessEnvironment).unwrap();
    let servers = std::env::var("PIPELINE_BOOTSTRAP_SERVERS").ok();
    assert_eq!(script.kafka.get("bootstrap.servers").map(|found| found.value.clone()), servers);
}
