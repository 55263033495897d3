//! `pipeline dead-letters`: what is in a pipeline's dead-letter topic, and its way back.

mod replay;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use chrono::DateTime;
use clap::{Args, Subcommand, value_parser};

use super::{
    Failure,
    file::{Overrides, load_pipeline},
    stdout,
};
use crate::{
    config::Pipeline,
    kafka::{
        Admin, settings,
        verify::{Isolation, Seen, read_to_end},
    },
    record::{Record, error},
    telemetry::init_logging,
};

/// How long reading the topic may take.
const TO_THE_END: Duration = Duration::from_secs(600);
/// How much of a key or a value is shown, in characters.
const SHOWN: usize = 300;

/// Show a pipeline's dead letters, and send them to their source topics again
#[derive(Args, Debug)]
pub struct DeadLetters {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Count the dead letters of each class, with an example
    List {
        /// A file as given, in pipelines/, or built in, such as factorial.toml
        #[arg(value_name = "FILE")]
        file: String,
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Show dead letters with key, value and what was wrong, the last ones at the end
    Show {
        /// A file as given, in pipelines/, or built in, such as factorial.toml
        #[arg(value_name = "FILE")]
        file: String,
        /// Only those of this class
        #[arg(long)]
        class: Option<String>,
        /// How many of the last ones are shown
        #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = value_parser!(u32).range(1..))]
        count: u32,
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Send the records of one class to their source topics again, each once
    ///
    /// What was sent is remembered in the consumer group GROUP-replay-CLASS, in one transaction with the records: a replay that is
    /// interrupted goes on where it was, and a later one sends only what has come since. Key, value, timestamp and headers are those
    /// that the record had; the header `pipeline.replays` counts.
    Replay {
        /// A file as given, in pipelines/, or built in, such as factorial.toml
        #[arg(value_name = "FILE")]
        file: String,
        /// The class
        #[arg(long)]
        class: String,
        /// Only say how many there are; send nothing
        #[arg(long)]
        dry_run: bool,
        /// How many dead letters are read in a second at most
        #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u32).range(1..))]
        rate: Option<u32>,
        /// How often a record is replayed at most; one that fails more often stays
        #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = value_parser!(u32).range(1..))]
        most: u32,
        #[command(flatten)]
        overrides: Overrides,
    },
}

impl DeadLetters {
    /// Executes the action.
    ///
    /// # Errors
    /// No broker answers, or it refuses.
    pub fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::List { file, overrides } => {
                let pipeline = load_pipeline(&file, &overrides)?;
                let mut classes: BTreeMap<String, Class> = BTreeMap::new();
                let mut all = 0;
                Letters::of(&pipeline)?.read(|letter| {
                    all += 1;
                    classes.entry(text(&letter.record, error::CLASS)).or_default().add(letter);
                })?;
                stdout(&list(&pipeline, &file, all, classes))
            }
            Action::Show { file, class, count, overrides } => {
                let pipeline = load_pipeline(&file, &overrides)?;
                let mut last = VecDeque::new();
                Letters::of(&pipeline)?.read(|letter| {
                    if class.as_ref().is_none_or(|class| *class == text(&letter.record, error::CLASS)) {
                        last.push_back(letter);
                        if last.len() > count as usize {
                            last.pop_front();
                        }
                    }
                })?;
                if last.is_empty() {
                    let class = class.map_or_else(String::new, |class| format!(" of the class {class}"));
                    return stdout(&format!("there is no dead letter{class} in {}\n", pipeline.dead_letters));
                }
                stdout(&last.iter().map(show).collect::<String>())
            }
            Action::Replay { file, class, dry_run, rate, most, overrides } => {
                let pipeline = load_pipeline(&file, &overrides)?;
                init_logging();
                replay::Wanted { class, rate, most, dry_run }.replay(&Letters::of(&pipeline)?)
            }
        }
    }
}

/// A pipeline's dead-letter topic.
struct Letters<'a> {
    pipeline: &'a Pipeline,
    admin: Admin,
    /// Whether there is such a topic. It is not asked for where there is none: that might create it.
    is_there: bool,
}

impl<'a> Letters<'a> {
    fn of(pipeline: &'a Pipeline) -> Result<Self, Failure> {
        let admin = Admin::new(&settings::common(pipeline)).map_err(Failure::failed)?;
        let is_there = admin.find(&pipeline.dead_letters).map_err(Failure::failed)?.is_some();
        Ok(Letters { pipeline, admin, is_there })
    }

    /// Reads them all.
    fn read(&self, each: impl FnMut(Seen)) -> Result<(), Failure> {
        if !self.is_there {
            return Ok(());
        }
        let (config, topic) = (settings::common(self.pipeline), &self.pipeline.dead_letters);
        let read = read_to_end(&config, topic, None, Isolation::Committed, TO_THE_END, each);
        read.map(drop).map_err(Failure::failed)
    }
}

/// The dead letters of one class.
#[derive(Default)]
struct Class {
    count: u64,
    /// The last one.
    example: Option<Seen>,
}

impl Class {
    fn add(&mut self, letter: Seen) {
        self.count += 1;
        self.example = Some(letter);
    }
}

fn list(pipeline: &Pipeline, file: &str, all: u64, classes: BTreeMap<String, Class>) -> String {
    let topic = &pipeline.dead_letters;
    if all == 0 {
        return format!("there is no dead letter in {topic}\n");
    }
    let widest = classes.keys().map(String::len).max().unwrap_or_default();
    let mut lines = vec![format!("{}: {all} in {topic}", pipeline.name)];
    let mut classes: Vec<_> = classes.into_iter().collect();
    classes.sort_by_key(|(_, class)| std::cmp::Reverse(class.count));
    for (name, class) in classes {
        let name = if name.is_empty() { "(no class)" } else { name.as_str() };
        let example =
            class.example.as_ref().map(|letter| short(&text(&letter.record, error::MESSAGE), SHOWN));
        lines.push(format!("{:>8}  {name:widest$}  {}", class.count, example.unwrap_or_default()));
    }
    lines.push(format!("\nsee them: pipeline dead-letters show {file} --class CLASS"));
    lines.push(format!("once what was wrong is mended: pipeline dead-letters replay {file} --class CLASS\n"));
    lines.join("\n")
}

fn show(letter: &Seen) -> String {
    let Seen { topic, partition, offset, record } = letter;
    let of = |name| text(record, name);
    let part = |bytes: &Option<bytes::Bytes>| match bytes {
        None => "(none)".to_owned(),
        Some(bytes) => short(&String::from_utf8_lossy(bytes), SHOWN),
    };
    let when = record.timestamp.and_then(DateTime::from_timestamp_millis);
    let when = when.map_or_else(String::new, |time| format!(", {}", time.to_rfc3339()));
    format!(
        "{topic}[{partition}] offset {offset}: {}: {}\n  from   {}[{}] offset {}{when}, attempts: {}\n  key    {}\n  value  {}\n",
        of(error::CLASS),
        short(&of(error::MESSAGE), SHOWN),
        of(error::TOPIC),
        of(error::PARTITION),
        of(error::OFFSET),
        of(error::ATTEMPTS),
        part(&record.key),
        part(&record.value),
    )
}

/// A header's text; empty where there is none.
fn text(record: &Record, name: &str) -> String {
    record.headers.get(name).map_or_else(String::new, |value| String::from_utf8_lossy(value).into_owned())
}

/// The beginning of a text, on one line; nothing in it moves a terminal's cursor.
fn short(text: &str, shown: usize) -> String {
    let mut beginning: String = text
        .chars()
        .take(shown)
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if text.chars().nth(shown).is_some() {
        beginning.push('…');
    }
    beginning
}
