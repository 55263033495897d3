//! `pipeline dead-letters replay`, for a person at a terminal.

use std::{sync::Arc, time::Duration};

use indicatif::ProgressStyle;
use tokio_util::sync::CancellationToken;

use super::super::{run::progress_of, signals::Signals};
use super::{
    Failure, Filters, Letters,
    again::{Again, Ended, Found, send},
    letters::TO_THE_END,
    show, stdout,
};
use crate::{
    config::Pipeline,
    kafka::verify::Bounds,
    operator::LetterFilter,
    telemetry::{Progress, announce, status_line},
};

/// Which dead letters, and how.
pub struct Wanted {
    pub filter: LetterFilter,
    /// The times that were given as so long ago, as a replay takes them.
    pub moving: String,
    pub rate: Option<u32>,
    pub limit: Option<u64>,
    pub most: u32,
    pub dry_run: bool,
}

/// The bar, and how often it moves.
const BAR: &str = "{wide_bar:.cyan/dim} {human_pos} of {human_len} · {per_sec} · {eta} left";
const REFRESH: Duration = Duration::from_millis(200);
/// All of it is looked at.
const ALL: Bounds = Bounds { records: u64::MAX, bytes: u64::MAX, time: TO_THE_END };

/// Which dead letters are to be replayed.
///
/// # Errors
/// The same command would mean others at its next start, or nothing says which.
pub fn filter(filters: &Filters, pipeline: &Pipeline, dry_run: bool) -> Result<LetterFilter, Failure> {
    if filters.is_empty() {
        let reason = "say which dead letters are to be replayed, such as --class not-json; --when true means all of them";
        return Err(Failure::Usage(reason.to_owned()));
    }
    let moving = filters.moving_times();
    if !moving.is_empty() && !dry_run {
        return Err(Failure::Usage(format!(
            "a replay that was interrupted is found again by its filter, and a time that is so long ago is another one at each start: write {moving}"
        )));
    }
    filters.of(pipeline)
}

impl Wanted {
    /// Replays, or says what would be.
    ///
    /// # Errors
    /// No broker answers, or it refuses.
    pub fn replay(self, letters: &Letters<'_>) -> Result<(), Failure> {
        let pipeline = letters.pipeline;
        let again = Again::new(letters, self.filter, self.most, ALL)?;
        let found = again.find(letters, self.limit, ALL)?;
        stdout(&found.said(self.most, self.limit, pipeline))?;
        if self.dry_run {
            return stdout(&found.dry(&self.moving));
        }
        if found.sent.is_empty() {
            return Ok(());
        }
        announce(&format!("replaying from {}, as the group {}", pipeline.dead_letters, again.group));
        let stopped = run(again.pipeline(letters, self.rate)?, &found)?;
        let counts = again.ended(letters, ALL)?;
        let how = match (stopped, counts.left) {
            (true, _) => "stopped before the end; the same command goes on there",
            (false, 0) => "done",
            (false, _) if self.limit == Some(counts.replayed) => {
                "done up to --limit; the same command goes on there"
            }
            // It has come meanwhile, or another replay by this filter had its partition when this one began.
            (false, _) => "some is left; the same command goes on there",
        };
        stdout(&format!("{how}: {}\n", counts.said()))
    }
}

/// Runs until all is replayed, or somebody stops it; says which.
fn run(pipeline: Pipeline, found: &Found) -> Result<bool, Failure> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::failed)?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let all = found.count();
    let result = runtime.block_on(async move {
        let signals = Signals::catch();
        tokio::spawn(signals.stop(
            stop.clone(),
            "what is under way comes to its end",
            "what was under way is done again by the next replay",
        ));
        let progress = progress_of(&pipeline);
        tokio::spawn(show_bar(progress.clone(), all));
        send(pipeline, &found.looked, progress, stop).await
    });
    if let Some(bar) = status_line() {
        bar.finish_and_clear();
    }
    runtime.shutdown_background();
    result.map(|()| stopped.is_cancelled())
}

/// Shows how many are sent, forever; does nothing without a terminal.
async fn show_bar(progress: Arc<Progress>, all: u64) {
    let Some(bar) = status_line() else { return };
    bar.set_length(all);
    if let Ok(style) = ProgressStyle::with_template(BAR) {
        bar.set_style(style);
    }
    loop {
        // What a transaction that was aborted has sent is sent again, and counts twice here.
        bar.set_position(progress.records_out().min(all));
        tokio::time::sleep(REFRESH).await;
    }
}

impl Ended {
    fn said(&self) -> String {
        let Ended { replayed, too_often, left } = self;
        format!(
            "{replayed} replayed, {too_often} skipped as they were replayed too often (--most), {left} left"
        )
    }
}

impl Found {
    fn said(&self, most: u32, limit: Option<u64>, pipeline: &Pipeline) -> String {
        let letters = &pipeline.dead_letters;
        let mut lines = Vec::new();
        for ((topic, class), count) in &self.sent {
            lines.push(format!("{count} of the class {class} in {letters} can go to {topic} again"));
        }
        if self.sent.is_empty() {
            lines.push(format!("nothing that matches in {letters} is left to replay"));
        }
        let staying = [
            (self.elsewhere, "came from a topic that the pipeline does not read".to_owned()),
            (self.cut, "were cut to fit the dead-letter topic: the whole records are in the source topic, if it still has them".to_owned()),
            (self.too_often, format!("were replayed {most} times before (--most)")),
        ];
        let staying = staying.iter().filter(|(count, _)| *count > 0);
        lines.extend(staying.map(|(count, why)| format!("{count} more stay: they {why}")));
        if self.looked.behind > 0 && limit != Some(self.count()) {
            let behind = self.looked.behind;
            lines.push(format!(
                "{behind} offsets more were not read in {TO_THE_END:?}; the same command goes on there"
            ));
        }
        lines.join("\n") + "\n"
    }

    /// What a dry run says beyond that.
    fn dry(&self, moving: &str) -> String {
        let mut said = String::new();
        if !self.examples.is_empty() {
            said.push_str("\nsuch as:\n");
            said.extend(self.examples.iter().map(show));
        }
        said.push_str("\na dry run: nothing is sent");
        if !moving.is_empty() {
            said.push_str(&format!("; without --dry-run write {moving}, which is the same at each start"));
        }
        said + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_can_be_drawn() {
        assert!(ProgressStyle::with_template(BAR).is_ok());
    }
}
