//! The summary on standard output.

use std::{fmt::Write as _, time::Duration};

use super::Report;
use crate::load::{
    Distribution, Knee, Totals,
    threshold::{amount, time},
};

/// The percentiles in the table.
const PERCENTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// The results that fit on a screen, for a person.
pub fn summary(report: &Report<'_>) -> String {
    let (results, totals) = (report.results, &report.results.totals);
    let mut text = format!("{}: {}\n", report.script.name, report.target);
    if results.stopped {
        let _ = writeln!(text, "stopped before its end; {} requests were not waited for", results.abandoned);
    }
    let _ = writeln!(
        text,
        "{} · {} asked · {} right · {} errors ({}) · {} lost · {} double · {} wrong · {} late\n",
        time(totals.lasted),
        count(totals.planned),
        count(totals.answered),
        count(totals.errors()),
        share(totals.errors(), totals.planned),
        count(totals.lost),
        count(totals.double),
        count(totals.wrong),
        count(totals.late),
    );
    text.push_str(&table(&rows(report)));
    for (what, distribution) in
        [("delay of sending", &totals.delay), ("acknowledgement", &totals.acknowledgement)]
    {
        if !distribution.is_empty() {
            let [p50, p99] = [0.5, 0.99].map(|q| micros(distribution.value_at_quantile(q)));
            let max = micros(distribution.max());
            let _ = writeln!(text, "{what}: p50 {p50} · p99 {p99} · max {max}");
        }
    }
    for (phase, knee) in report.knees() {
        let _ = writeln!(text, "{phase}: {}", describe_knee(knee.as_ref()));
    }
    text.push_str(&failures(totals));
    for sample in &results.samples {
        let _ = writeln!(text, "  {sample}");
    }
    text.push('\n');
    for outcome in &report.outcomes {
        let verdict = if outcome.met { "ok    " } else { "MISSED" };
        let _ = writeln!(text, "{verdict}  {}  ({})", outcome.threshold, outcome.measured);
    }
    text
}

/// The knee in a sentence.
pub(super) fn describe_knee(knee: Option<&Knee>) -> String {
    let Some(knee) = knee else { return "no knee: it took all that was asked".to_owned() };
    let beyond = format!(
        "at {}/s, {}/s were answered, p99 {}; at most {}/s in any step",
        amount(knee.beyond_rate),
        amount(knee.beyond_answered),
        micros(knee.beyond_p99),
        amount(knee.most),
    );
    match knee.rate {
        Some(rate) => {
            format!("the knee is at {}/s, with p99 {} up to there; {beyond}", amount(rate), micros(knee.p99))
        }
        None => format!("the knee is below the first rate; {beyond}"),
    }
}

fn failures(totals: &Totals) -> String {
    totals.failures.iter().map(|(kind, number)| format!("{} x {kind}\n", count(*number))).collect()
}

fn rows(report: &Report<'_>) -> Vec<Vec<String>> {
    let mut head = vec!["phase", "asked", "right", "rate"];
    head.extend(PERCENTILES.map(|(name, _)| name));
    head.push("max");
    let mut rows = vec![head.into_iter().map(str::to_owned).collect()];
    for phase in &report.results.phases {
        let name = match (phase.measured, phase.saturated) {
            (false, _) => format!("{} (does not count)", phase.name),
            (true, true) => format!("{} (until saturated)", phase.name),
            (true, false) => phase.name.clone(),
        };
        rows.push(row(name, &phase.totals));
    }
    if report.results.phases.iter().filter(|phase| phase.measured).count() > 1 {
        rows.push(row("all that counts".to_owned(), &report.results.totals));
    }
    rows
}

fn row(name: String, totals: &Totals) -> Vec<String> {
    let mut row =
        vec![name, count(totals.planned), count(totals.answered), format!("{}/s", amount(totals.rate()))];
    let latency: &Distribution = &totals.latency;
    let cell = |value: u64| if latency.is_empty() { "-".to_owned() } else { micros(value) };
    row.extend(PERCENTILES.map(|(_, quantile)| cell(latency.value_at_quantile(quantile))));
    row.push(cell(latency.max()));
    row
}

/// Aligns the first column to the left, and the others to the right.
fn table(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let _ = write!(text, "{:<1$}", row[0], width(0));
        for (column, cell) in row.iter().enumerate().skip(1) {
            let _ = write!(text, "  {:>1$}", cell, width(column));
        }
        text.push('\n');
    }
    text
}

fn micros(value: u64) -> String {
    time(Duration::from_micros(value))
}

pub(super) fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

pub(super) fn share(part: u64, whole: u64) -> String {
    if whole == 0 { "0 %".to_owned() } else { format!("{} %", amount(part as f64 * 100.0 / whole as f64)) }
}
