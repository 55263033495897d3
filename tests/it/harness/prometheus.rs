//! A real Prometheus, and what it knows.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use pipeline::broker::Watch;
use serde_json::Value;
use tempfile::TempDir;

use super::{ensure, eventually};

/// How much faster than in earnest a test's Prometheus scrapes, and its rules run.
pub const FASTER: u64 = 12;

/// A real Prometheus (Debian: `prometheus`) on the project's own configuration; killed when it is dropped.
pub struct Prometheus {
    child: Child,
    _watch: Watch,
    _folder: TempDir,
    url: String,
}

/// One series: its values by time in seconds.
pub struct Series {
    pub values: Vec<(f64, f64)>,
}

impl Prometheus {
    /// Scrapes `targets` (by job: `host:port`) by `prometheus.yml`, and evaluates `grafana/alerts.yml`, with all
    /// times in both shorter.
    pub fn start(targets: &[(&str, Vec<String>)]) -> Prometheus {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("grafana")).unwrap();
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        let read = |file: &str| fs::read_to_string(project.join(file)).unwrap();
        let write = |file: &str, text: String| fs::write(folder.path().join(file), text).unwrap();
        write("prometheus.yml", faster(&with_targets(&read("prometheus.yml"), targets)));
        write("grafana/alerts.yml", faster(&read("grafana/alerts.yml")));
        // Nobody else asks for the port meanwhile: the system hands ports out in turn.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdout(Stdio::null())
            .spawn()
            .expect("Prometheus can be started (Debian: apt-get install prometheus)");
        let prometheus = Prometheus {
            _watch: Watch::over(&child).unwrap(),
            child,
            _folder: folder,
            url: format!("http://{address}"),
        };
        eventually(Duration::from_secs(30), || {
            let ready = ureq::get(format!("{}/-/ready", prometheus.url)).call();
            ready.map(drop).map_err(|error| format!("Prometheus is not ready: {error}"))
        });
        prometheus
    }

    fn ask(&self, path: &str, parameters: &[(&str, String)]) -> Value {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut request = agent.get(format!("{}/api/v1/{path}", self.url));
        for (name, value) in parameters {
            request = request.query(*name, value);
        }
        let text = request.call().unwrap().body_mut().read_to_string().unwrap();
        let mut answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["status"], "success", "{parameters:?}: {text}");
        answer["data"].take()
    }

    /// What a query gives right now, as the server tells it.
    pub fn instant(&self, query: &str) -> Value {
        self.ask("query", &[("query", query.to_owned())])["result"].take()
    }

    /// What a query gives from `start` to `end`, in seconds since 1970 UTC, as the server tells it.
    pub fn range(&self, query: &str, start: u64, end: u64, step: u64) -> Value {
        let parameters = [
            ("query", query.to_owned()),
            ("start", start.to_string()),
            ("end", end.to_string()),
            ("step", step.to_string()),
        ];
        self.ask("query_range", &parameters)["result"].take()
    }

    /// The values of a label, of series that match.
    pub fn label_values(&self, label: &str, series: &str) -> Vec<String> {
        let values = self.ask(&format!("label/{label}/values"), &[("match[]", series.to_owned())]);
        values.as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
    }

    /// The names of the alerts that fire.
    pub fn firing(&self) -> Vec<String> {
        let alerts = self.ask("alerts", &[]);
        let firing = alerts["alerts"].as_array().unwrap().iter().filter(|alert| alert["state"] == "firing");
        firing.map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until `holds`, and says otherwise what the alerts are.
    pub fn wait_until(&self, what: &str, limit: Duration, mut holds: impl FnMut(&Prometheus) -> bool) {
        eventually(limit, || {
            ensure(holds(self), || format!("it is not so that {what}; alerts: {}", self.ask("alerts", &[])))
        });
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A query's series. An instant query's have one value each.
pub fn series(result: &Value) -> Vec<Series> {
    let value = |pair: &Value| (pair[0].as_f64().unwrap(), pair[1].as_str().unwrap().parse().unwrap());
    let series = |one: &Value| Series {
        values: match one["values"].as_array() {
            Some(values) => values.iter().map(value).collect(),
            None => vec![value(&one["value"])],
        },
    };
    result.as_array().unwrap().iter().map(series).collect()
}

/// The configuration with these targets in place of its own, job by job.
fn with_targets(text: &str, targets: &[(&str, Vec<String>)]) -> String {
    let (mut result, mut job) = (String::new(), None);
    let mut replaced = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.trim().strip_prefix("- job_name: ") {
            job = Some(name.to_owned());
        }
        let indent = line.len() - line.trim_start().len();
        match (&job, line.trim().starts_with("- targets:")) {
            // Nobody is told of alerts.
            (None, true) => result += &format!("{}- targets: []\n", " ".repeat(indent)),
            (Some(name), true) => {
                let found = targets.iter().find(|(job, _)| job == name);
                let list: Vec<String> = found.map(|(_, list)| list.clone()).unwrap_or_default();
                replaced.push(name.clone());
                result += &format!("{}- targets: {list:?}\n", " ".repeat(indent));
            }
            _ => result += &format!("{line}\n"),
        }
    }
    let missing = targets.iter().find(|(job, _)| !replaced.iter().any(|name| name == job));
    assert!(missing.is_none(), "prometheus.yml has no job {missing:?}");
    result
}

/// All times shorter: `5s` becomes `416ms`.
fn faster(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let digits = rest[at..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - at);
        let (before, number, after) = (&rest[..at], &rest[at..at + digits], &rest[at + digits..]);
        // A time stands for itself: `[5m]`, `for: 2m`, and not `rate5m` or `127.0.0.1`.
        let alone = before.ends_with(['[', ' ', ':'])
            && !after[1.min(after.len())..].starts_with(char::is_alphanumeric);
        let unit = match after.chars().next() {
            Some('s') => 1_000,
            Some('m') => 60_000,
            Some('h') => 3_600_000,
            _ => 0,
        };
        result += before;
        if alone && unit > 0 {
            result += &format!("{}ms", number.parse::<u64>().unwrap() * unit / FASTER);
            rest = &after[1..];
        } else {
            result += number;
            rest = after;
        }
    }
    result + rest
}

#[test]
fn times_of_rules_become_shorter_and_nothing_else_does() {
    let text = "expr: rate(x[5m]) > 14.4 * 0.01 and y:rate5m{le=\"2.5\"}[10m:30s]\nfor: 2m\nscrape_interval: 5s\n- 1s2";
    let faster = faster(text);
    let expected = "expr: rate(x[25000ms]) > 14.4 * 0.01 and y:rate5m{le=\"2.5\"}[50000ms:2500ms]\nfor: 10000ms\nscrape_interval: 416ms\n- 1s2";
    assert_eq!(faster, expected);
}
