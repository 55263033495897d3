//! `pipeline dead-letters replay`: a pipeline of its own, from the dead-letter topic to the source topics.
//!
//! So it has what a pipeline has: one transaction for records and offsets, bounded memory, and a stop that loses nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use indicatif::ProgressStyle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::{run::progress_of, signals::Signals, supervise::Supervised};
use super::{Failure, Filters, Letters, class, show, stdout, text};
use crate::{
    config::{
        Guarantee, Large, Limits, Order, Pipeline, Property, Retries, Sink, SinkRoute, Source, Step,
        TopicSettings,
    },
    engine::Machine,
    format::Format,
    kafka::{
        settings,
        verify::{Seen, committed},
    },
    operator::{LetterFilter, Operator, Replay, Replayed},
    record::error,
    telemetry::{Progress, announce, status_line},
};

/// Which dead letters, and how.
pub struct Wanted {
    pub filter: LetterFilter,
    /// The times that were given as so long ago, as a replay takes them.
    pub moving: String,
    pub rate: Option<u32>,
    pub most: u32,
    pub dry_run: bool,
}

/// The bar, and how often it moves.
const BAR: &str = "{wide_bar:.cyan/dim} {human_pos} of {human_len} · {per_sec} · {eta} left";
const REFRESH: Duration = Duration::from_millis(200);
/// How many examples a dry run shows.
const EXAMPLES: usize = 3;

/// What there is to replay.
#[derive(Default)]
struct Found {
    /// How many records of each class go to each topic.
    sent: BTreeMap<(String, String), u64>,
    /// The first of them.
    examples: Vec<Seen>,
    elsewhere: u64,
    cut: u64,
    too_often: u64,
}

/// Which dead letters are to be replayed.
///
/// # Errors
/// The same command would mean others at its next start, or nothing says which.
pub fn filter(filters: &Filters, pipeline: &Pipeline, dry_run: bool) -> Result<LetterFilter, Failure> {
    if filters.is_empty() {
        let reason = "say which dead letters are to be replayed, such as --class not-json; all of them are --when true";
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
        // Each filter has a position of its own: behind it is also what the filter has passed over, and another one may want that.
        let group = format!("{}-replay-{}", pipeline.source.group, self.filter.name());
        let topics = sources(letters)?;
        let operator = Replay { filter: self.filter, topics, most: self.most };
        let began = position(letters, &group)?;
        let found = find(letters, &began, &operator)?;
        stdout(&found.said(self.most, pipeline))?;
        if self.dry_run {
            return stdout(&found.dry(&self.moving));
        }
        if found.sent.is_empty() {
            return Ok(());
        }
        announce(&format!("replaying from {}, as the group {group}", pipeline.dead_letters));
        let operator = Arc::new(operator);
        let replayed = pipeline_of(letters, group.clone(), operator.clone(), self.rate);
        let stopped = run(replayed, found.sent.values().sum())?;
        let ended = position(letters, &group)?;
        let counts = Ended::between(letters, &began, &ended, &operator)?;
        let how = match (stopped, counts.left) {
            (true, _) => "stopped before the end; the same command goes on there",
            (false, 0) => "done",
            // It has come meanwhile, or another replay by this filter had its partition when this one began.
            (false, _) => "some is left; the same command goes on there",
        };
        stdout(&format!("{how}: {}\n", counts.said()))
    }
}

/// Runs until all is replayed, or somebody stops it; says which. `all` is how many records there are to be sent.
fn run(pipeline: Pipeline, all: u64) -> Result<bool, Failure> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::failed)?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let result = runtime.block_on(async move {
        let signals = Signals::catch();
        tokio::spawn(signals.stop(
            stop.clone(),
            "what is under way comes to its end",
            "what was under way is done again by the next replay",
        ));
        let progress = progress_of(&pipeline);
        tokio::spawn(show_bar(progress.clone(), all));
        let machine = Machine::new().map_err(Failure::failed)?;
        // Nobody changes it.
        let (_, changes) = watch::channel(pipeline.clone());
        Supervised { pipeline, changes, machine, progress, drain: true }.run(stop).await
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

/// Up to where the letters of each partition are done.
type Position = BTreeMap<i32, i64>;

fn position(letters: &Letters<'_>, group: &str) -> Result<Position, Failure> {
    if !letters.is_there {
        return Ok(Position::new());
    }
    let pipeline = letters.pipeline;
    committed(&settings::common(pipeline), group, &pipeline.dead_letters).map_err(Failure::failed)
}

fn is_done(position: &Position, letter: &Seen) -> bool {
    position.get(&letter.partition).is_some_and(|done| letter.offset < *done)
}

/// What a replay has done, as the broker has it: this process may have sent some of it twice, of which only one counts.
#[derive(Default)]
struct Ended {
    replayed: u64,
    too_often: u64,
    left: u64,
}

impl Ended {
    fn between(
        letters: &Letters<'_>,
        began: &Position,
        ended: &Position,
        operator: &Replay,
    ) -> Result<Ended, Failure> {
        let mut counts = Ended::default();
        letters.read(&operator.filter, |letter| match operator.of(&letter.record) {
            _ if is_done(began, &letter) => {}
            Replayed::TooOften => counts.too_often += 1,
            Replayed::Sent(_) if is_done(ended, &letter) => counts.replayed += 1,
            Replayed::Sent(_) => counts.left += 1,
            Replayed::Elsewhere | Replayed::Cut => {}
        })?;
        Ok(counts)
    }

    fn said(&self) -> String {
        let Ended { replayed, too_often, left } = self;
        format!(
            "{replayed} replayed, {too_often} skipped as they were replayed too often (--most), {left} left"
        )
    }
}

/// The topics that records came from: the source's, or what the letters name where that is a pattern.
fn sources(letters: &Letters<'_>) -> Result<Vec<String>, Failure> {
    let source = &letters.pipeline.source;
    if !source.is_pattern() {
        return Ok(source.names());
    }
    let (reads, mut topics) = (source.reads(), BTreeSet::new());
    letters.read(&LetterFilter::default(), |letter| {
        let topic = text(&letter.record, error::TOPIC);
        if reads(&topic) {
            topics.insert(topic);
        }
    })?;
    Ok(topics.into_iter().collect())
}

/// What a replay would do that goes on there.
fn find(letters: &Letters<'_>, began: &Position, operator: &Replay) -> Result<Found, Failure> {
    let mut found = Found::default();
    letters.read(&operator.filter, |letter| {
        if is_done(began, &letter) {
            return;
        }
        match operator.of(&letter.record) {
            Replayed::Sent(record) => {
                let topic = operator.topics[usize::from(record.to.0)].clone();
                *found.sent.entry((topic, class(&letter.record))).or_default() += 1;
                if found.examples.len() < EXAMPLES {
                    found.examples.push(letter);
                }
            }
            Replayed::Elsewhere => found.elsewhere += 1,
            Replayed::Cut => found.cut += 1,
            Replayed::TooOften => found.too_often += 1,
        }
    })?;
    Ok(found)
}

impl Found {
    fn said(&self, most: u32, pipeline: &Pipeline) -> String {
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

/// The pipeline that replays.
fn pipeline_of(letters: &Letters<'_>, group: String, operator: Arc<Replay>, rate: Option<u32>) -> Pipeline {
    let pipeline = letters.pipeline;
    // Whatever the file says: there is no position yet at the first replay, and none of the letters may be passed over.
    let mut kafka = pipeline.source.kafka.clone();
    kafka.insert("auto.offset.reset".to_owned(), Property { value: "earliest".to_owned(), secret: false });
    let topic = |topic: &String| TopicSettings {
        topic: topic.clone(),
        partitions: None,
        replication: None,
        config: BTreeMap::new(),
    };
    let mut topics = operator.topics.iter().map(topic);
    let first = topics.next().unwrap_or_else(|| pipeline.source.topic().clone());
    let route = |topic| SinkRoute {
        when: None,
        by: None,
        topics: vec![(String::new(), topic)],
        format: Format::Bytes,
    };
    Pipeline {
        name: group.clone(),
        // The embedded broker has no transactions.
        guarantee: if letters.admin.is_embedded() { Guarantee::AtLeastOnce } else { Guarantee::ExactlyOnce },
        order: Order::Partition,
        source: Source {
            topics: vec![topic(&pipeline.dead_letters)],
            group,
            format: Format::Bytes,
            formats: Vec::new(),
            key_format: None,
            deduplication: None,
            requests: false,
            kafka,
        },
        sink: Sink {
            topic: first,
            format: Format::Bytes,
            key_format: None,
            large: Large::DeadLetter,
            kafka: pipeline.sink.kafka.clone(),
        },
        progress: None,
        routes: topics.map(route).collect(),
        router: None,
        steps: vec![Step {
            name: "replay".to_owned(),
            kind: "replay",
            settings: Vec::new(),
            operator: operator as Arc<dyn Operator>,
        }],
        limits: Limits { rate, ..pipeline.limits.clone() },
        scale: pipeline.scale,
        retries: Retries { topics: Vec::new(), ..pipeline.retries.clone() },
        tests: Vec::new(),
        ..pipeline.clone()
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
