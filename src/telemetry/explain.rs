//! The text of `/explain`: what a running process is doing.

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use humantime::format_rfc3339_millis;

use super::progress::{Progress, Stage};

/// Explains each pipeline: its records, where its time went, its lag, its latest rebalances.
pub fn explain(pipelines: &[Arc<Progress>]) -> String {
    if pipelines.is_empty() {
        return "no pipeline runs here: ask a worker (`pipeline run`)\n".to_owned();
    }
    let mut text = String::new();
    for progress in pipelines {
        // Writing to memory does not fail.
        let _ = pipeline(&mut text, progress);
    }
    text
}

fn pipeline(text: &mut String, progress: &Progress) -> std::fmt::Result {
    let joined = if progress.is_joined() { "has joined its group" } else { "has not joined its group yet" };
    writeln!(text, "{} {joined}", progress.pipeline())?;
    writeln!(
        text,
        "  records: {} in, {} out, {} dropped by operators, {} dead letters, {} dropped as expired, {} in flight",
        progress.records_in(),
        progress.records_out(),
        progress.records_dropped(),
        progress.dead_letters(),
        progress.records_expired(),
        progress.records_in_flight(),
    )?;
    if let Some(wanted) = progress.wanted() {
        writeln!(text, "  {wanted}")?;
    }
    writeln!(text, "  where the time goes: {}", shares(progress))?;
    write!(text, "{}", progress.remembered())?;
    writeln!(text, "  partitions:")?;
    for (partition, records, seconds) in progress.lags() {
        writeln!(text, "    {partition}: lag {records} records, {seconds:.1} s")?;
    }
    writeln!(text, "  rebalances, the last one first:")?;
    for record in progress.rebalances().iter().rev() {
        let at = UNIX_EPOCH + Duration::from_millis(record.at.max(0) as u64);
        writeln!(text, "    {} {record}", format_rfc3339_millis(at))?;
    }
    match progress.rebalance_reason().as_str() {
        "" => Ok(()),
        reason => writeln!(text, "  why the group was rebalanced last: {reason}"),
    }
}

fn shares(progress: &Progress) -> String {
    let all: Duration = Stage::ALL.iter().map(|stage| progress.stage(*stage)).sum();
    if all.is_zero() {
        return "nothing yet".to_owned();
    }
    let shares = Stage::ALL.iter().map(|stage| {
        let share = progress.stage(*stage).as_secs_f64() / all.as_secs_f64();
        format!("{} {:.1} %", stage.name(), share * 100.0)
    });
    shares.collect::<Vec<_>>().join(", ")
}
