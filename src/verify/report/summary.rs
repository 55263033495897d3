//! The summary on standard output.

use std::fmt::Write as _;

use super::{Report, mib, seconds};
use crate::verify::minutes::Minute;

/// How many anomalies the summary shows.
const SHOWN: usize = 12;

/// Renders the summary; fits on a screen.
pub fn summary(report: &Report<'_>) -> String {
    let (verdict, outcome) = (&report.outcome.verdict, report.outcome);
    // Writing to a string cannot fail.
    let mut text = format!("{}: {}; {}\n", report.settings.file, report.promise(), report.circumstances());
    if outcome.stopped {
        text.push_str("stopped before its end\n");
    }
    let _ = writeln!(
        text,
        "{} · {} requests · {} right · {} faults",
        seconds(Some(report.lasted())),
        verdict.requests,
        verdict.answered,
        outcome.faults.len()
    );
    for (count, what) in [
        (verdict.excused, "requests were deleted by a fault before they were read"),
        (verdict.refused, "requests were not taken by the brokers"),
    ] {
        if count > 0 {
            let _ = writeln!(text, "{count} {what}: nothing is expected of them");
        }
    }
    text.push('\n');
    table(&mut text, report);
    by_minute(&mut text, report);
    text.push('\n');
    for (kind, broken, allowed) in report.counts() {
        let verdict = if broken == 0 { "ok    " } else { "WRONG " };
        let allowed =
            if allowed > 0 { format!(" ({allowed} that the guarantee allows)") } else { String::new() };
        let _ = writeln!(text, "{verdict} {broken} {}{allowed}", kind.name());
    }
    if !report.evidence.is_empty() {
        text.push_str("\nWhat is wrong (more of it in the report):\n");
        for evidence in report.evidence.iter().take(SHOWN) {
            let _ = writeln!(text, "- {}: {}", evidence.anomaly.kind.name(), evidence.anomaly.text);
        }
        if let Some(first) = report.evidence.iter().find(|evidence| !evidence.lines.is_empty()) {
            let _ = writeln!(text, "\nOf the first, {}:", first.anomaly.text);
            first.lines.iter().for_each(|line| {
                let _ = writeln!(text, "    {line}");
            });
        }
    }
    let _ = writeln!(text, "\nagain: {}", report.command);
    text
}

/// One line on how the minutes of a long run differ.
fn by_minute(text: &mut String, report: &Report<'_>) {
    let minutes = report.minutes();
    if minutes.len() < 2 {
        return;
    }
    let between = |of: &dyn Fn(&Minute) -> u64, write: &dyn Fn(u64) -> String| {
        let least = minutes.iter().map(of).min().unwrap_or_default();
        let most = minutes.iter().map(of).max().unwrap_or_default();
        format!("{} to {}", write(least), write(most))
    };
    let millis = |millis| format!("{millis} ms");
    let _ = writeln!(
        text,
        "\nby minute: p50 {}, p99 {}, resident {}, open files {}",
        between(&|minute| minute.p50.as_millis() as u64, &millis),
        between(&|minute| minute.p99.as_millis() as u64, &millis),
        between(&|minute| minute.resident, &mib),
        between(&|minute| minute.files, &|files| files.to_string()),
    );
}

fn table(text: &mut String, report: &Report<'_>) {
    let rows = report.by_fault();
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or_default().max("fault".len());
    let _ = writeln!(text, "{:width$}  times  recovered in (median, longest)  lost  double", "fault");
    for row in rows {
        let mut recovered = format!("{}, {}", seconds(row.median()), seconds(row.longest()));
        if row.unknown > 0 {
            let _ = write!(recovered, "; {} never", row.unknown);
        }
        let failed =
            if row.failed > 0 { format!("  ({} could not happen)", row.failed) } else { String::new() };
        let _ = writeln!(
            text,
            "{:width$}  {:5}  {recovered:>30}  {:4}  {:6}{failed}",
            row.name, row.times, row.lost, row.double
        );
    }
}
