//! The live status line below the log.

use std::{sync::Arc, time::Duration};

use indicatif::HumanCount;

use crate::telemetry::{Progress, status_line};

const REFRESH: Duration = Duration::from_millis(500);

/// Shows the pipelines' progress, forever; does nothing without a terminal.
pub async fn show(pipelines: Vec<Arc<Progress>>) {
    let Some(line) = status_line() else { return };
    let mut before = out(&pipelines);
    loop {
        tokio::time::sleep(REFRESH).await;
        let now = out(&pipelines);
        let rate = (now - before) as f64 / REFRESH.as_secs_f64();
        before = now;
        let text: Vec<String> = pipelines.iter().map(|progress| describe(progress)).collect();
        line.set_message(format!("{} · {rate:.0}/s", text.join(" | ")));
    }
}

fn out(pipelines: &[Arc<Progress>]) -> u64 {
    pipelines.iter().map(|progress| progress.records_out() + progress.dead_letters()).sum()
}

fn describe(progress: &Progress) -> String {
    if !progress.is_joined() {
        return format!("{}: joining its consumer group", progress.pipeline());
    }
    let dead = match progress.dead_letters() {
        0 => String::new(),
        count => format!(" · {} dead letters", HumanCount(count)),
    };
    let expired = match progress.records_expired() {
        0 => String::new(),
        count => format!(" · {} expired", HumanCount(count)),
    };
    let paused = if progress.is_held() { " · PAUSED" } else { "" };
    format!(
        "{}: {} partitions{paused} · in {} · out {}{dead}{expired} · in flight {} · lag {}",
        progress.pipeline(),
        progress.partitions(),
        HumanCount(progress.records_in()),
        HumanCount(progress.records_out()),
        HumanCount(progress.records_in_flight()),
        HumanCount(progress.lag()),
    )
}
