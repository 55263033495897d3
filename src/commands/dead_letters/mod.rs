//! `pipeline dead-letters`: what is in a pipeline's dead-letter topic, and its way back.

mod again;
mod drop;
mod filters;
mod letters;
mod replay;
mod served;

use std::collections::{BTreeMap, VecDeque};

use clap::{Args, Subcommand, value_parser};

use super::{
    Failure,
    file::{Overrides, load_pipeline},
    stdout,
};
use crate::{config::Pipeline, kafka::verify::Seen, record::error, telemetry::init_logging};
use filters::{Filters, rfc3339};
use letters::{Letters, class, short, text};
pub use served::ServedLetters;

/// How much of a key or a value is shown, in characters.
const SHOWN: usize = 300;

const STEPS: &str = "\
What there is, then what is wrong with one class of it, then its way back:
  pipeline dead-letters list orders.toml
  pipeline dead-letters show orders.toml --class not-json
  pipeline dead-letters replay orders.toml --class not-json --dry-run
  pipeline dead-letters replay orders.toml --class not-json";

const REPLAY: &str = "\
First mend what was wrong: the file, the service, or the workers' program. Then replay one class:
  pipeline dead-letters replay orders.toml --class not-json --dry-run   what would be sent
  pipeline dead-letters replay orders.toml --class not-json             sends it

Only some of it:
  ... --class refused-by-service --since 2026-01-31T12:00:00Z --until 2026-01-31T13:00:00Z
  ... --class expression-failed --when 'has(value.amount) && value.amount > 100'
  ... --header pipeline.error.topic=orders --key customer-7
A record that was replayed three times is skipped. To send such records once more:
  ... --class not-json --header pipeline.replays=3 --most 4
Other choices:
  ... --when true                   all dead letters, as `true` is true of every record
  ... --class not-json --limit 10   only ten, to see whether they succeed now; the
                                    same without --limit goes on with the rest
  ... --class not-json --rate 500   slowly, so that services and later topics keep up

It starts at once, without a question. Dead letters stay in their topic, so `list` still counts
them. The last line says how many were sent; the same command then finds nothing to send until new
ones come.";

/// Show a pipeline's dead letters, and send them to their source topics again
#[derive(Args, Debug)]
#[command(after_help = STEPS)]
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
        #[command(flatten)]
        filters: Filters,
    },
    /// Show dead letters with key, value and what was wrong, the last ones at the end
    Show {
        /// A file as given, in pipelines/, or built in, such as factorial.toml
        #[arg(value_name = "FILE")]
        file: String,
        /// How many of the last ones are shown
        #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = value_parser!(u32).range(1..))]
        count: u32,
        #[command(flatten)]
        overrides: Overrides,
        #[command(flatten)]
        filters: Filters,
    },
    /// Send records to their source topics again, each once
    ///
    /// A record is sent with the key, value, timestamp and headers that it had; the header `pipeline.replays` counts how often. Each filter (such as
    /// `--class not-json`) remembers how far it has come, in one transaction with the records. So the same filter goes on where it was interrupted,
    /// and later sends only what is new. Careful: another filter sends all that matches it, even what the first one has sent already. The workers
    /// may run meanwhile. If their file has changed, restart them first.
    #[command(after_help = REPLAY)]
    Replay {
        /// A file as given, in pipelines/, or built in, such as factorial.toml
        #[arg(value_name = "FILE")]
        file: String,
        /// Only say how many would be sent, with examples; send nothing
        #[arg(long)]
        dry_run: bool,
        /// How many dead letters are read in a second at most, whether they match or not
        #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u32).range(1..))]
        rate: Option<u32>,
        /// How many are replayed at most; the next run of the same command goes on after them
        #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u64).range(1..))]
        limit: Option<u64>,
        /// How often one record is replayed at most; after that it is skipped
        #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = value_parser!(u32).range(1..))]
        most: u32,
        #[command(flatten)]
        overrides: Overrides,
        #[command(flatten)]
        filters: Filters,
    },
    /// Take dead letters out of their topic that nobody wants any more
    #[command(after_help = DROP)]
    Drop {
        /// A file as given, in pipelines/, or built in, such as factorial.toml
        #[arg(value_name = "FILE")]
        file: String,
        /// Only say how many there are; drop nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask for confirmation; required without a terminal
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        overrides: Overrides,
        #[command(flatten)]
        filters: Filters,
    },
}

const DROP: &str = "\
What is older than a week, of all classes:
  pipeline dead-letters drop orders.toml --until 7days --dry-run   what would be
  pipeline dead-letters drop orders.toml --until 7days             asks, and drops it

Kafka takes records out from a partition's beginning on. What matches behind others stays, and is counted.";

impl DeadLetters {
    /// Executes the action.
    ///
    /// # Errors
    /// No broker answers, or it refuses.
    pub fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::List { file, filters, overrides } => {
                let pipeline = load_pipeline(&file, &overrides)?;
                let mut classes: BTreeMap<String, Class> = BTreeMap::new();
                Letters::of(&pipeline)?.read(&filters.of(&pipeline)?, |letter| {
                    classes.entry(class(&letter.record)).or_default().add(letter);
                })?;
                if classes.is_empty() {
                    return stdout(&none(&filters, &pipeline));
                }
                stdout(&list(&pipeline, &file, classes))
            }
            Action::Show { file, filters, count, overrides } => {
                let pipeline = load_pipeline(&file, &overrides)?;
                let mut last = VecDeque::new();
                Letters::of(&pipeline)?.read(&filters.of(&pipeline)?, |letter| {
                    last.push_back(letter);
                    if last.len() > count as usize {
                        last.pop_front();
                    }
                })?;
                if last.is_empty() {
                    return stdout(&none(&filters, &pipeline));
                }
                stdout(&last.iter().map(show).collect::<String>())
            }
            Action::Replay { file, filters, dry_run, rate, limit, most, overrides } => {
                let pipeline = load_pipeline(&file, &overrides)?;
                let filter = replay::filter(&filters, &pipeline, dry_run)?;
                init_logging();
                replay::Wanted { filter, moving: filters.moving_times(), rate, limit, most, dry_run }
                    .replay(&Letters::of(&pipeline)?)
            }
            Action::Drop { file, filters, dry_run, yes, overrides } => {
                let pipeline = load_pipeline(&file, &overrides)?;
                let letters = Letters::of(&pipeline)?;
                let filter = drop::filter(&filters, &letters)?;
                drop::Unwanted { filter, dry_run, yes }.drop(&filters, &letters)
            }
        }
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

/// That there is none.
fn none(filters: &Filters, pipeline: &Pipeline) -> String {
    let which = if filters.is_empty() { "" } else { " that matches" };
    format!("there is no dead letter{which} in {}\n", pipeline.dead_letters)
}

fn list(pipeline: &Pipeline, file: &str, classes: BTreeMap<String, Class>) -> String {
    let (topic, all) = (&pipeline.dead_letters, classes.values().map(|class| class.count).sum::<u64>());
    let widest = classes.keys().map(String::len).max().unwrap_or_default();
    let mut lines = vec![format!("{}: {all} in {topic}", pipeline.name)];
    let mut classes: Vec<_> = classes.into_iter().collect();
    classes.sort_by_key(|(_, class)| std::cmp::Reverse(class.count));
    for (name, class) in classes {
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
    let when = record.timestamp.map_or_else(String::new, |time| format!(", {}", rfc3339(time)));
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
