//! The report for programs.

use serde_json::{Value, json};

use super::{Report, millis};
use crate::verify::{evidence::time, judge::Anomaly, run::Happened};

/// How many of the allowed anomalies are listed.
const ALLOWED: usize = 100;

/// Renders everything. Times are in milliseconds.
pub(super) fn json(report: &Report<'_>) -> String {
    let (outcome, verdict) = (report.outcome, &report.outcome.verdict);
    let counts: Vec<Value> = report
        .counts()
        .map(|(kind, broken, allowed)| json!({ "name": kind.name(), "broken": broken, "allowed": allowed }))
        .collect();
    let by_fault: Vec<Value> = report
        .by_fault()
        .iter()
        .map(|row| {
            json!({
                "fault": row.name,
                "times": row.times,
                "could_not_happen": row.failed,
                "never_recovered": row.unknown,
                "recovered_median_ms": row.median().map(|time| time.as_millis() as u64),
                "recovered_longest_ms": row.longest().map(|time| time.as_millis() as u64),
                "lost": row.lost,
                "double": row.double,
            })
        })
        .collect();
    let minutes: Vec<Value> = report
        .minutes()
        .iter()
        .map(|minute| {
            json!({
                "asked": minute.asked,
                "p50_ms": minute.p50.as_millis() as u64,
                "p99_ms": minute.p99.as_millis() as u64,
                "resident_bytes": minute.resident,
                "open_files": minute.files,
            })
        })
        .collect();
    let evidence: Vec<Value> = report
        .evidence
        .iter()
        .map(|evidence| json!({ "anomaly": anomaly(&evidence.anomaly), "known": evidence.lines }))
        .collect();
    let value = json!({
        "file": report.settings.file,
        "version": env!("CARGO_PKG_VERSION"),
        "promise": report.promise(),
        "circumstances": report.circumstances(),
        "seed": report.settings.seed,
        "again": report.command,
        "kept": verdict.broken.is_empty(),
        "stopped": outcome.stopped,
        "began": time(outcome.began),
        "lasted_ms": millis(outcome.rested - outcome.began).as_millis() as u64,
        "requests": verdict.requests,
        "right": verdict.answered,
        "deleted_by_faults": verdict.excused,
        "not_taken_by_brokers": verdict.refused,
        "anomalies": counts,
        "by_fault": by_fault,
        "by_minute": minutes,
        "faults": outcome.faults.iter().map(|fault| of_fault(fault, outcome.began)).collect::<Vec<_>>(),
        "broken": verdict.broken.iter().map(anomaly).collect::<Vec<_>>(),
        "allowed": verdict.allowed.iter().take(ALLOWED).map(anomaly).collect::<Vec<_>>(),
        "evidence": evidence,
    });
    // Serializing maps with string keys cannot fail.
    serde_json::to_string_pretty(&value).unwrap_or_default() + "\n"
}

fn of_fault(fault: &Happened, began: i64) -> Value {
    json!({
        "fault": fault.name,
        "what": fault.what,
        "hit": fault.hit.as_ref().ok(),
        "could_not_happen": fault.hit.as_ref().err(),
        "from_ms": fault.began - began,
        "to_ms": fault.ended - began,
        "recovered_ms": fault.recovered.map(|recovery| recovery.at - fault.ended),
        "last_partition": fault.recovered.map(|recovery| recovery.partition),
    })
}

fn anomaly(anomaly: &Anomaly) -> Value {
    json!({
        "kind": anomaly.kind.name(),
        "request": anomaly.number,
        "at": (anomaly.at > 0).then(|| time(anomaly.at)),
        "text": anomaly.text,
    })
}
