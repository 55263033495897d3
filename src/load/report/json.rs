//! The report as JSON, for programs.

use std::time::{Duration, SystemTime};

use hdrhistogram::{Counter, Histogram};
use serde_json::{Value, json};

use super::Report;
use crate::load::{Interval, Knee, PhaseResults, Totals, Window};

/// The percentiles in the report.
const PERCENTILES: [f64; 6] = [50.0, 75.0, 90.0, 99.0, 99.9, 99.99];

/// All results. Times are in milliseconds, rates in requests a second.
pub(super) fn json(report: &Report<'_>) -> String {
    let results = report.results;
    let outcomes: Vec<Value> = report
        .outcomes
        .iter()
        .map(|o| json!({ "threshold": o.threshold, "measured": o.measured, "met": o.met }))
        .collect();
    let length = results.interval;
    let mut intervals = Vec::new();
    for (index, interval) in results.intervals.iter().enumerate() {
        intervals.push(of_interval(interval, length, index as u32));
    }
    let knees: Vec<Value> = report
        .knees()
        .map(|(phase, knee)| json!({ "phase": phase, "knee": knee.as_ref().map(of_knee) }))
        .collect();
    let value = json!({
        "name": report.script.name,
        "version": env!("CARGO_PKG_VERSION"),
        "target": report.target,
        "began": humantime::format_rfc3339_millis(results.began).to_string(),
        "began_ms": results.began.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64),
        "met": report.met(),
        "stopped": results.stopped,
        "abandoned": results.abandoned,
        "thresholds": outcomes,
        "totals": totals(&results.totals),
        "phases": results.phases.iter().map(phase).collect::<Vec<_>>(),
        "knees": knees,
        "intervals": intervals,
        "samples": results.samples,
    });
    // Maps with string keys cannot fail to be written.
    serde_json::to_string_pretty(&value).unwrap_or_default() + "\n"
}

fn totals(totals: &Totals) -> Value {
    json!({
        "seconds": totals.lasted.as_secs_f64(),
        "asked": totals.planned,
        "right": totals.answered,
        "rate": totals.rate(),
        "errors": totals.errors(),
        "failures": totals.failures,
        "wrong": totals.wrong,
        "lost": totals.lost,
        "double": totals.double,
        "late": totals.late,
        "latency_ms": times(&totals.latency),
        "delay_ms": times(&totals.delay),
        "ack_ms": times(&totals.acknowledgement),
    })
}

/// `null` where nothing was measured.
fn times<T: Counter>(histogram: &Histogram<T>) -> Value {
    if histogram.is_empty() {
        return Value::Null;
    }
    let mut value = json!({
        "count": histogram.len(),
        "mean": histogram.mean() / 1e3,
        "min": millis(histogram.min()),
        "max": millis(histogram.max()),
    });
    for percentile in PERCENTILES {
        value[format!("p{percentile}")] = millis(histogram.value_at_quantile(percentile / 100.0)).into();
    }
    value
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1e3
}

fn phase(phase: &PhaseResults) -> Value {
    json!({
        "name": phase.name,
        "measured": phase.measured,
        "began_s": phase.began.as_secs_f64(),
        "saturated": phase.saturated,
        "totals": totals(&phase.totals),
        "windows": phase.windows.iter().map(window).collect::<Vec<_>>(),
    })
}

fn window(window: &Window) -> Value {
    json!({
        "seconds": window.segment.lasts.as_secs_f64(),
        "from_rate": window.segment.from,
        "to_rate": window.segment.to,
        "asked": window.planned,
        "right": window.answered,
        "errors": window.errors,
        "latency_ms": times(&window.latency),
    })
}

fn of_knee(knee: &Knee) -> Value {
    json!({
        "rate": knee.rate,
        "p99_ms": millis(knee.p99),
        "beyond_rate": knee.beyond_rate,
        "beyond_answered": knee.beyond_answered,
        "beyond_p99_ms": millis(knee.beyond_p99),
        "most": knee.most,
    })
}

fn of_interval(interval: &Interval, length: Duration, index: u32) -> Value {
    json!({
        "from_s": (length * index).as_secs_f64(),
        "asked": interval.planned,
        "right": interval.answered,
        "errors": interval.errors,
        "latency_ms": times(&interval.latency),
    })
}
