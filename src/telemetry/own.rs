//! Series that the exporter cannot have, in Prometheus' text format: such as come and go, as the exporter
//! never forgets one; and counters of seconds, as its counters are whole numbers.

use std::{fmt::Write, time::Duration};

use super::{names::*, progress::Progress};

/// The series of all pipelines, one metric after the other.
pub fn render(pipelines: &[impl AsRef<Progress>]) -> String {
    let mut text = String::new();
    let all = || pipelines.iter().map(AsRef::as_ref);
    head(&mut text, LAG_RECORDS);
    for progress in all() {
        for (at, lag) in progress.lags() {
            let partition = at.partition.to_string();
            line(&mut text, LAG_RECORDS, progress, &[("topic", &at.topic), ("partition", &partition)], lag);
        }
    }
    head(&mut text, STAGE_SECONDS);
    for progress in all() {
        for (stage, time) in progress.stage_times() {
            line(&mut text, STAGE_SECONDS, progress, &[("stage", stage)], seconds(time));
        }
    }
    head(&mut text, PAUSED_SECONDS);
    for progress in all() {
        line(&mut text, PAUSED_SECONDS, progress, &[], seconds(progress.paused_time()));
    }
    text
}

fn head(text: &mut String, name: &str) {
    let Some(metric) = METRICS.iter().find(|metric| metric.name == name) else { return };
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    // Writing to memory does not fail; nor below.
    let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", metric.meaning);
}

fn line(
    text: &mut String,
    name: &str,
    progress: &Progress,
    labels: &[(&str, &str)],
    value: impl std::fmt::Display,
) {
    let _ = write!(text, "{name}{{pipeline=\"{}\"", escape(progress.pipeline()));
    for (label, value) in labels {
        let _ = write!(text, ",{label}=\"{}\"", escape(value));
    }
    let _ = writeln!(text, "}} {value}");
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}
