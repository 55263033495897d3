//! Metrics, dashboards and alerts, proved against a real Prometheus that scrapes a real run.

use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use pipeline::telemetry::{METRICS, Of};
use tempfile::TempDir;

use crate::harness::{Dashboard, Producer, Prometheus, Site, Worker, ensure, eventually, pipeline, series};

const LIMIT: Duration = Duration::from_secs(90);
const PARTITIONS: usize = 4;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Asks for factorials, a thousand a second, until it is told to stop; one in fifty is no number.
fn ask(servers: String, topic: String, stop: Arc<AtomicBool>) -> thread::JoinHandle<()> {
    let producer = Producer::existing(&servers, &topic);
    thread::spawn(move || {
        let mut number = 0u32;
        while !stop.load(Relaxed) {
            for _ in 0..20 {
                number += 1;
                let value = if number.is_multiple_of(50) {
                    "thirty".to_owned()
                } else {
                    (number % 2_000).to_string()
                };
                producer.send_now(&format!("key-{number}"), value.as_bytes());
            }
            thread::sleep(Duration::from_millis(20));
        }
        producer.flush();
    })
}

/// Asks the gateway for one factorial after the other, until it is told to stop.
fn ask_over_http(url: String, stop: Arc<AtomicBool>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(2)))
            .build()
            .into();
        for n in 1.. {
            if stop.load(Relaxed) {
                return;
            }
            // Once the workers are gone there is no answer, and that is as it should be.
            let _ = agent.get(format!("{url}/factorial/{}", n % 5_000)).call();
        }
    })
}

/// `pipeline load`, straight to the workers, for longer than any test takes.
fn load(site: &Site, folder: &Path) -> Worker {
    let script = folder.join("load.toml");
    let text = format!(
        "name = \"steady\"\nvalues.uniform = {{ min = 0, max = 1_000 }}\nphases.steady = {{ rate = 100, time = \"10 min\" }}\n\
         [target]\nover = \"kafka\"\n[target.kafka]\nrequests = \"{}\"\nresults = \"{}\"\n",
        site.source, site.sink
    );
    std::fs::write(&script, text).unwrap();
    let settings = ["metrics.listen=127.0.0.1:0".to_owned()];
    Worker::start(&site.servers, &["load", script.to_str().unwrap()], &settings, &[])
}

/// The names of the metrics that a text has series of.
fn exported(text: &str) -> BTreeSet<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    metric_names(&lines.join("\n"))
}

/// The name of the metric that a sample or a query names, without a histogram's endings.
fn metric_names(text: &str) -> BTreeSet<String> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':');
    let names = text.split(word).filter(|name| name.starts_with("pipeline_"));
    let base = |name: &str| {
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|ending| name.strip_suffix(ending));
        histogram.unwrap_or(name).to_owned()
    };
    names.map(base).collect()
}

/// Those that a worker of `factorial.toml` has.
fn documented(of: &[Of]) -> BTreeSet<String> {
    let metrics = METRICS.iter().filter(|metric| of.contains(&metric.of));
    metrics.map(|metric| metric.name.to_owned()).collect()
}

fn promtool(arguments: &[&str], input: &str) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool can be started (Debian: apt-get install prometheus)");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?}: {text}");
}

#[test]
fn promtool_finds_nothing_wrong_with_the_configuration_and_the_rules_and_each_alert_fires_when_it_should() {
    promtool(&["check", "config", "prometheus.yml"], "");
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", "grafana/alerts.yml"], "");
    promtool(&["test", "rules", "grafana/alerts.test.yml"], "");
}

#[test]
fn every_alert_has_a_runbook_and_a_test_and_every_name_in_rules_and_panels_is_a_metric() {
    let read =
        |file: &str| std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let (rules, tests, runbooks) =
        (read("grafana/alerts.yml"), read("grafana/alerts.test.yml"), read("docs/runbooks.md"));
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 9, "{alerts:?}");
    for alert in alerts {
        assert!(runbooks.contains(&format!("## {alert}\n")), "{alert} has no runbook");
        assert!(
            rules.contains(&format!("runbook_url: docs/runbooks.md#{}\n", alert.to_lowercase())),
            "{alert}"
        );
        let fires = tests.split("- eval_time").any(|test| {
            test.contains(&format!("alertname: {alert}\n")) && test.contains("exp_alerts")
                || test.contains(&format!("alertname: {alert}, exp_alerts"))
        });
        assert!(fires, "no test makes {alert} fire");
    }
    let known = documented(&[Of::Workers, Of::Factorial, Of::Callers, Of::Scale]);
    let rules: String =
        rules.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
    let mut named = metric_names(&rules);
    for dashboard in Dashboard::all() {
        dashboard.queries().iter().for_each(|query| named.extend(metric_names(query)));
    }
    let unknown: Vec<&String> = named.difference(&known).collect();
    assert!(unknown.is_empty(), "no metrics of ours: {unknown:?}");
    let unseen: Vec<&String> =
        known.difference(&named).filter(|name| *name != "pipeline_build_info").collect();
    assert!(unseen.is_empty(), "neither a panel nor a rule shows {unseen:?}");
}

/// With `PIPELINE_PICTURES` (a folder), what the panels show is written there: see grafana/render.
#[test]
fn a_real_run_fills_every_panel_and_a_fault_raises_its_alert_and_nothing_stale_stays_behind() {
    let site = Site::new("observed").with(&["guarantee=exactly-once", "metrics.listen=127.0.0.1:0"]);
    site.producer(PARTITIONS as i32);
    let first = site.worker(&[]);
    first.says(&["rebalance: assign partitions 0 1 2 3,"]);
    let second = site.worker(&[]);
    let gateway = site.gateway(&[]);
    let folder = TempDir::new().unwrap();
    let load = load(&site, folder.path());
    let scaler = site.start(&["scale", "factorial.toml", "--listen", "127.0.0.1:0"], &[]);
    let line = scaler.says(&["how many workers it wants is at http://"]);
    let scale = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let targets = [
        ("workers", vec![first.metrics_address(), second.metrics_address()]),
        ("gateway", vec![gateway.process.metrics_address()]),
        ("load", vec![load.metrics_address()]),
        ("scale", vec![scale.clone()]),
    ];
    let prometheus = Prometheus::start(&targets);
    let stop = Arc::new(AtomicBool::new(false));
    let asking = [
        ask(site.servers.clone(), site.source.clone(), stop.clone()),
        ask_over_http(gateway.url(), stop.clone()),
    ];
    second.says(&["rebalance: assign"]);
    let start = now();

    // A healthy run, and after the rebalance each partition has one owner.
    let owners = "count by (partition) (pipeline_consumer_lag_records)";
    let owned_once = |prometheus: &Prometheus| {
        let found = series(&prometheus.instant(owners));
        found.len() == PARTITIONS && found.iter().all(|owner| owner.values[0].1 == 1.0)
    };
    let shared = "count(pipeline_assigned_partitions > 0) == 2 and min(pipeline_assigned_partitions) > 0";
    prometheus.wait_until("both workers own partitions", LIMIT, |p| !series(&p.instant(shared)).is_empty());
    prometheus.wait_until("each partition has one owner", LIMIT, owned_once);
    let pictures = std::env::var_os("PIPELINE_PICTURES").map(PathBuf::from);
    // What is measured over 10 s below is a steady run's; a picture shows more of it.
    let steady = if pictures.is_some() { "30s" } else { "12s" };
    let steady = format!(
        "count(pipeline_assigned_partitions offset {steady} > 0) == 2 \
         and max(changes(pipeline_assigned_partitions[{steady}])) == 0"
    );
    prometheus.wait_until("nothing was shared anew for a while", LIMIT, |p| {
        !series(&p.instant(&steady)).is_empty()
    });
    let dashboards = Dashboard::all();
    assert_eq!(dashboards.len(), 6);
    let end = eventually(LIMIT, || {
        let end = now();
        let run = |dashboard: &Dashboard| dashboard.run(&prometheus, start, end, pictures.as_deref());
        let problems: Vec<String> = dashboards.iter().flat_map(run).collect();
        ensure(problems.is_empty(), || problems.join("\n")).map(|()| end)
    });
    let mut callers = documented(&[Of::Callers]);
    callers.insert("pipeline_build_info".to_owned());
    let workers = documented(&[Of::Workers, Of::Factorial]);
    let mut scaling = documented(&[Of::Scale]);
    scaling.insert("pipeline_build_info".to_owned());
    let mut scraped = ureq::get(format!("http://{scale}/metrics")).call().unwrap();
    let processes = [
        (first.scrape(), &workers),
        (second.scrape(), &workers),
        (gateway.process.scrape(), &callers),
        (load.scrape(), &callers),
        (scraped.body_mut().read_to_string().unwrap(), &scaling),
    ];
    for (text, documented) in &processes {
        promtool(&["check", "metrics"], text);
        assert_eq!(exported(text), **documented, "exported, and documented");
    }
    let stages = prometheus.range("sum by (instance) (rate(pipeline_stage_seconds_total[10s]))", end, end, 1);
    let partitions = prometheus.range("sum by (instance) (pipeline_assigned_partitions)", end, end, 1);
    for (stages, partitions) in series(&stages).iter().zip(series(&partitions)) {
        let (stages, partitions) = (stages.values[0].1, partitions.values[0].1);
        assert!(
            (stages - partitions).abs() < 0.1 * partitions,
            "{stages} s a second, of {partitions} partitions"
        );
    }
    let explained = pipeline(&site.servers, &["explain", &first.metrics()], &[]);
    assert_eq!(explained.0, 0, "{}", explained.2);
    for part in
        ["assign partitions 0 1 2 3, asking for offsets", "revoke partitions", "where the time goes: poll"]
    {
        assert!(explained.1.contains(part), "{part}: {}", explained.1);
    }
    let expected: BTreeSet<&str> = ["PipelineDeadLetters"].into();
    let firing = prometheus.firing();
    assert_eq!(firing.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected);

    // One is killed: the other owns all, and nothing else says so.
    let killed = first.metrics_address();
    first.kill();
    prometheus.wait_until("the killed worker's series are gone", LIMIT, |p| {
        series(&p.instant(&format!("pipeline_consumer_lag_records{{instance=\"{killed}\"}}"))).is_empty()
    });
    prometheus.wait_until("the other worker owns each partition", LIMIT, owned_once);
    prometheus
        .wait_until("the target is down", LIMIT, |p| p.firing().contains(&"PipelineTargetDown".to_owned()));
    assert!(!prometheus.firing().contains(&"PipelineNoProgress".to_owned()));

    // The other one too, with the load going on.
    second.kill();
    prometheus.wait_until("no progress", LIMIT, |p| p.firing().contains(&"PipelineNoProgress".to_owned()));
    stop.store(true, Relaxed);
    asking.into_iter().for_each(|asking| asking.join().unwrap());
}
