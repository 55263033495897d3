//! Dead letters on their way to their source topics: a pipeline of its own, which the command and a gateway start.
//!
//! So it has what a pipeline has: one transaction for records and offsets, bounded memory, and a stop that loses nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::Arc,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::supervise::{EndsWhen, Supervised};
use super::{Failure, Letters, class, letters::Position, text};
use crate::{
    config::{
        Guarantee, Large, Limits, Order, Pipeline, Property, Retries, Sink, SinkRoute, Source, Step,
        TopicSettings,
    },
    engine::{CommitOffset, Machine},
    format::Format,
    kafka::{
        GroupOffsets, Until, settings,
        verify::{Begin, Bounds, Looked, Seen, committed},
    },
    operator::{LetterFilter, Operator, Replay, Replayed},
    record::{TopicPartition, error},
    telemetry::Progress,
};

/// How many examples are kept of what is found.
const EXAMPLES: usize = 3;

/// A replay: what decides which letters are sent, and where it goes on.
pub struct Again {
    /// The consumer group whose offsets are the position. Each filter has its own: behind it is also what the filter has passed over,
    /// and another one may want that.
    pub group: String,
    operator: Arc<Replay>,
    began: Position,
    /// What the broker does not know of that: it is committed before anything is sent.
    forgotten: Vec<CommitOffset>,
}

/// What there is to replay.
#[derive(Default)]
pub struct Found {
    /// How many records of each class go to each topic.
    pub sent: BTreeMap<(String, String), u64>,
    /// The first of them.
    pub examples: Vec<Seen>,
    /// How many came from a topic that the pipeline does not read.
    pub elsewhere: u64,
    /// How many were cut to fit the dead-letter topic.
    pub cut: u64,
    /// How many were replayed too often.
    pub too_often: u64,
    /// What was looked at.
    pub looked: Looked,
}

impl Found {
    /// How many records are to be sent.
    pub fn count(&self) -> u64 {
        self.sent.values().sum()
    }
}

/// What a replay has done, as the broker has it: this process may have sent some of it twice, of which only one counts.
#[derive(Default)]
pub struct Ended {
    /// How many records were sent.
    pub replayed: u64,
    /// How many were skipped, as they were replayed too often.
    pub too_often: u64,
    /// How many are left.
    pub left: u64,
}

impl Again {
    /// A replay of the letters that a filter takes, each `most` times at most. Asks for its position, and looks for what the broker has
    /// forgotten of it within the bounds.
    ///
    /// # Errors
    /// No broker answers, or the topic is too large for the bounds.
    pub fn new(
        letters: &Letters<'_>,
        filter: LetterFilter,
        most: u32,
        bounds: Bounds,
    ) -> Result<Self, Failure> {
        let group = format!("{}-replay-{}", letters.pipeline.source.group, filter.name());
        let topics = sources(letters)?;
        let mut began = position(letters, &group)?;
        let topic: Arc<str> = letters.pipeline.dead_letters.as_str().into();
        let mut forgotten = Vec::new();
        for (partition, mark) in letters.marks(&group, &began, bounds)? {
            began.insert(partition, mark.offset.0);
            let partition = TopicPartition::new(topic.clone(), partition);
            forgotten.push(CommitOffset { partition, offset: mark.offset, metadata: mark.metadata });
        }
        Ok(Again { group, operator: Arc::new(Replay { filter, topics, most }), began, forgotten })
    }

    /// What it would do: up to `limit` records, of what the bounds let it look at.
    ///
    /// # Errors
    /// No broker answers.
    pub fn find(&self, letters: &Letters<'_>, limit: Option<u64>, bounds: Bounds) -> Result<Found, Failure> {
        let (mut found, operator) = (Found::default(), &self.operator);
        let mut count = 0;
        let begin = Begin::At(self.began.clone());
        let looked = letters.part(&operator.filter, &begin, bounds, |letter| {
            match operator.of(&letter.record) {
                Replayed::Sent(record) => {
                    count += 1;
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
            if Some(count) == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(Found { looked, ..found })
    }

    /// The pipeline that does it, reading so many letters in a second. The broker knows its position then.
    ///
    /// # Errors
    /// The broker does not take the position, as where another replay is under way.
    pub fn pipeline(&self, letters: &Letters<'_>, rate: Option<u32>) -> Result<Pipeline, Failure> {
        let pipeline = pipeline_of(letters, self.group.clone(), self.operator.clone(), rate);
        if !self.forgotten.is_empty() {
            let offsets = GroupOffsets::new(&pipeline).map_err(Failure::Failed)?;
            offsets.set(&self.forgotten).map_err(|reason| {
                let again = "another replay by this filter may be under way: try again once it has ended";
                Failure::Failed(format!("{reason}; {again}"))
            })?;
        }
        Ok(pipeline)
    }

    /// What has become of what was found, and what there is behind it.
    ///
    /// # Errors
    /// No broker answers.
    pub fn ended(&self, letters: &Letters<'_>, bounds: Bounds) -> Result<Ended, Failure> {
        let ended = position(letters, &self.group)?;
        let mut counts = Ended::default();
        letters.part(&self.operator.filter, &Begin::At(self.began.clone()), bounds, |letter| {
            match self.operator.of(&letter.record) {
                Replayed::TooOften => counts.too_often += 1,
                Replayed::Sent(_) if is_done(&ended, &letter) => counts.replayed += 1,
                Replayed::Sent(_) => counts.left += 1,
                Replayed::Elsewhere | Replayed::Cut => {}
            }
            ControlFlow::Continue(())
        })?;
        Ok(counts)
    }

    /// Whether all is done that was looked at.
    ///
    /// # Errors
    /// No broker answers.
    pub fn has_done(&self, letters: &Letters<'_>, looked: &Looked) -> Result<bool, Failure> {
        let ended = position(letters, &self.group)?;
        let done = |(partition, to): (&i32, &i64)| {
            let began = self.began.get(partition).copied().unwrap_or_default();
            ended.get(partition).copied().unwrap_or_default() >= *to || began >= *to
        };
        Ok(looked.to.iter().all(done))
    }
}

/// Runs such a pipeline up to the end of what was looked at, or until it is stopped.
///
/// # Errors
/// It cannot go on.
pub async fn send(
    pipeline: Pipeline,
    looked: &Looked,
    progress: Arc<Progress>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let machine = Machine::new().map_err(Failure::failed)?;
    // Nobody changes it.
    let (_, changes) = watch::channel(pipeline.clone());
    let ends = EndsWhen::At(Until(looked.to.clone()));
    let marks = pipeline.guarantee == Guarantee::ExactlyOnce;
    Supervised { pipeline, changes, machine, progress, throttle: Arc::default(), ends, marks }.run(stop).await
}

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
        // That is the workers'.
        state: None,
        scale: pipeline.scale,
        retries: Retries { topics: Vec::new(), ..pipeline.retries.clone() },
        tests: Vec::new(),
        ..pipeline.clone()
    }
}
