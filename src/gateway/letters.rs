//! Dead letters as people see them: by class, with a few examples. What reads and replays them is behind [`Letters`].

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat};
use futures::future::BoxFuture;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    config::Route,
    record::{Record, error},
};

/// How many examples of a class are shown: the last ones.
const EXAMPLES: usize = 3;
/// How many classes are told apart. What has another one yet counts as [`OTHERS`].
const CLASSES: usize = 100;
const OTHERS: &str = "(other classes)";
/// How much is shown, in characters.
const OF_A_CLASS: usize = 100;
const OF_A_KEY: usize = 200;
const OF_A_VALUE: usize = 400;
const OF_A_REASON: usize = 600;

/// Reads the dead letters of a route's workers, and sends them to their source topic again.
pub trait Letters: Send + Sync + 'static {
    /// A look at the newest of them, within bounds.
    fn look(&self, route: &Route) -> BoxFuture<'static, Result<Summary, String>>;

    /// What a replay would send.
    fn find(&self, route: &Route, wanted: &Wanted) -> BoxFuture<'static, Result<Findings, String>>;

    /// Replays until all of it is sent or `stop` is cancelled, and tells how far it is; each letter once, whoever replays the same class.
    fn replay(
        &self,
        route: &Route,
        wanted: &Wanted,
        told: Arc<Told>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<Replayed, String>>;
}

/// What is to be replayed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// The class of the letters.
    pub class: String,
    /// How many at most.
    pub limit: u64,
}

/// How far a replay is.
#[derive(Default, Debug)]
pub struct Told {
    /// How many records it will send; 0 while that is not known.
    pub found: AtomicU64,
    /// How many it has sent.
    pub sent: AtomicU64,
}

impl Told {
    /// What it will send, and what it has.
    pub fn get(&self) -> (u64, u64) {
        (self.found.load(Relaxed), self.sent.load(Relaxed))
    }
}

/// What a replay would send.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Debug)]
pub struct Findings {
    /// How many records.
    pub found: u64,
    /// How many came from a topic that is not the route's, and stay.
    pub elsewhere: u64,
    /// How many were cut to fit the dead-letter topic, and stay.
    pub cut: u64,
    /// How many were replayed too often, and stay.
    pub too_often: u64,
    /// How many offsets behind what was looked at were not.
    pub not_looked_at: u64,
    /// The first of them.
    pub examples: Vec<Example>,
}

/// What a replay has done.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Debug)]
pub struct Replayed {
    /// How many records were sent.
    pub replayed: u64,
    /// Whether some of what was found is not sent, as the replay was stopped or another one has it.
    pub some_left: bool,
    /// How many offsets behind what was looked at were not.
    pub not_looked_at: u64,
}

/// What was seen in a dead-letter topic.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Debug)]
pub struct Summary {
    /// How many letters were looked at.
    pub looked_at: u64,
    /// How many offsets before these were not.
    pub older: u64,
    /// How many behind them were not, as the look took too long, or they are too large.
    pub newer: u64,
    /// The classes; what is most frequent comes first.
    pub classes: Vec<ClassOf>,
}

/// The letters of one class.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Debug)]
pub struct ClassOf {
    /// Its name.
    pub class: String,
    /// How many there are.
    pub count: u64,
    /// The time of the oldest record, as RFC 3339 has it, where one has a time.
    pub oldest: Option<String>,
    /// The time of the newest one.
    pub newest: Option<String>,
    /// The last of them, in their order.
    pub examples: Vec<Example>,
}

/// A dead letter, cut to what is shown of it. Its characters are those of strangers: no markup, and nothing that moves the text around.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
pub struct Example {
    /// Where it is in the dead-letter topic.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// The topic that the record was read from.
    pub source_topic: String,
    /// The number of its partition, as the letter says it.
    pub source_partition: String,
    /// Its offset there, likewise.
    pub source_offset: String,
    /// The record's time.
    pub time: Option<String>,
    /// Its key.
    pub key: Option<Shown>,
    /// Its value.
    pub value: Option<Shown>,
    /// What was wrong.
    pub reason: String,
}

/// Bytes as text.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
pub struct Shown {
    /// Their beginning.
    pub text: String,
    /// How many there are.
    pub bytes: usize,
}

/// Sums letters up as they are read.
#[derive(Default)]
pub struct Summing {
    classes: BTreeMap<String, Class>,
    count: u64,
}

#[derive(Default)]
struct Class {
    count: u64,
    times: Option<(i64, i64)>,
    examples: VecDeque<Example>,
}

impl Summing {
    /// Adds a letter.
    pub fn add(&mut self, partition: i32, offset: i64, letter: &Record) {
        let mut name = text_of(letter, error::CLASS, OF_A_CLASS);
        if name.is_empty() {
            "(no class)".clone_into(&mut name);
        }
        if self.classes.len() >= CLASSES && !self.classes.contains_key(&name) {
            OTHERS.clone_into(&mut name);
        }
        self.count += 1;
        let class = self.classes.entry(name).or_default();
        class.count += 1;
        if let Some(time) = letter.timestamp {
            let (oldest, newest) = class.times.unwrap_or((time, time));
            class.times = Some((oldest.min(time), newest.max(time)));
        }
        class.examples.push_back(Example::of(partition, offset, letter));
        if class.examples.len() > EXAMPLES {
            class.examples.pop_front();
        }
    }

    /// All of them, of a topic where so many offsets before and behind them were not looked at.
    pub fn sum(self, older: u64, newer: u64) -> Summary {
        let of = |(class, Class { count, times, examples }): (String, Class)| ClassOf {
            class,
            count,
            oldest: times.and_then(|(oldest, _)| rfc3339(oldest)),
            newest: times.and_then(|(_, newest)| rfc3339(newest)),
            examples: examples.into(),
        };
        let mut classes: Vec<ClassOf> = self.classes.into_iter().map(of).collect();
        classes.sort_by_key(|class| std::cmp::Reverse(class.count));
        Summary { looked_at: self.count, older, newer, classes }
    }
}

impl Example {
    /// What is shown of a letter.
    pub fn of(partition: i32, offset: i64, letter: &Record) -> Self {
        let place = |name| text_of(letter, name, OF_A_CLASS);
        let shown = |bytes: &Option<Bytes>, most| {
            bytes.as_ref().map(|bytes| Shown { text: visible(bytes, most), bytes: bytes.len() })
        };
        Example {
            partition,
            offset,
            source_topic: text_of(letter, error::TOPIC, 249),
            source_partition: place(error::PARTITION),
            source_offset: place(error::OFFSET),
            time: letter.timestamp.and_then(rfc3339),
            key: shown(&letter.key, OF_A_KEY),
            value: shown(&letter.value, OF_A_VALUE),
            reason: text_of(letter, error::MESSAGE, OF_A_REASON),
        }
    }
}

fn text_of(letter: &Record, name: &str, most: usize) -> String {
    letter.headers.get(name).map_or_else(String::new, |bytes| visible(bytes, most))
}

/// The beginning of a text, on one line. Controls are written out, those too that have what follows run backwards.
fn visible(bytes: &[u8], most: usize) -> String {
    // A character has four bytes at most: nobody decodes a megabyte to show a line of it.
    let beginning = &bytes[..bytes.len().min(4 * (most + 1))];
    let whole = String::from_utf8_lossy(beginning);
    let mut shown = String::new();
    for c in whole.chars().take(most) {
        match c {
            '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => {
                shown.extend(c.escape_unicode());
            }
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    if whole.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

fn rfc3339(millis: i64) -> Option<String> {
    Some(DateTime::from_timestamp_millis(millis)?.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}
