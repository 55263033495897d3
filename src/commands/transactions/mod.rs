//! `pipeline transactions`: which are open at a pipeline's partitions, which hang, and how one is aborted.

mod shown;

use clap::{Args, Subcommand, value_parser};

use super::{
    Failure, confirmed,
    file::{Overrides, load_pipeline},
    stdout,
};
use crate::{
    record::TopicPartition,
    transactions::{OpenAt, PlaceError, Places, Survey, Transaction, Verdict},
};

const STEPS: &str = "\
When consumers with isolation.level=read_committed stand still at a partition, though they run:
  pipeline transactions list mine.toml                 which are open, and which of them hang
  pipeline transactions describe mine.toml mine-0f3a   all about one, by its transactional id
Beneath one that hangs, `list` prints the command that ends it:
  pipeline transactions abort mine.toml --topic orders --partition 3 --start-offset 1042

If none hangs, do nothing: a producer ends its transaction, or the coordinator does at the time-out.
The brokers are reached as [kafka] says: by PLAIN, SCRAM, TLS, client certificates. GSSAPI and
OAUTHBEARER are refused.";

/// Show which transactions are open at a pipeline's partitions and which of them hang, and abort one
#[derive(Args, Debug)]
#[command(after_help = STEPS)]
pub struct Transactions {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Show the open transactions, what each of them holds back, and whether it hangs
    ///
    /// It asks about the topics that the pipeline reads and writes, and, if it is exactly-once, about the partition with its group's offsets. It needs
    /// the rights READ on the topics and DESCRIBE on all transactional ids. Without the second it can often only say that a transaction may hang.
    #[command(after_help = LIST)]
    List {
        /// A file as given, in pipelines/, or built in, such as factorial.toml
        #[arg(value_name = "FILE")]
        file: String,
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Show all that the coordinator knows of one transaction, and how it stands at each of its partitions
    ///
    /// It needs the same rights as `list`.
    #[command(after_help = DESCRIBE)]
    Describe {
        /// A file as given, in pipelines/, or built in, such as factorial.toml
        #[arg(value_name = "FILE")]
        file: String,
        /// Its transactional id, as `list` shows it
        #[arg(value_name = "TRANSACTIONAL_ID")]
        id: String,
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Abort a transaction that hangs, at one partition
    ///
    /// It writes the abort marker that the coordinator should have written. Consumers with isolation.level=read_committed then go on, and skip the
    /// transaction's records. It needs the right ALTER or CLUSTER_ACTION on the cluster, beside those of `list`.
    #[command(after_help = ABORT)]
    Abort {
        /// A file as given, in pipelines/, or built in, such as factorial.toml
        #[arg(value_name = "FILE")]
        file: String,
        /// The topic where it is open
        #[arg(long)]
        topic: String,
        /// The partition there
        #[arg(long, value_name = "NUMBER", value_parser = value_parser!(i32).range(0..))]
        partition: i32,
        /// Its first offset in that partition
        #[arg(long, value_name = "OFFSET", value_parser = value_parser!(i64).range(0..))]
        start_offset: i64,
        /// Abort it even if it does not hang: its producer may still commit what it wrote to other partitions
        #[arg(long)]
        force: bool,
        /// Do not ask for confirmation; required without a terminal
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        overrides: Overrides,
    },
}

const LIST: &str = "\
A transaction hangs when nobody will end it. Then one of these is true:
- it is open at a partition, but the coordinator of its transactional id has no open transaction
  with that partition; or
- it is older than its time-out, but its coordinator has not aborted it; or
- no coordinator knows its producer. This counts only if you may see all transactional ids.
Partitions are asked before and after the coordinators, so one that is just ending is not taken for
one that hangs.

Example:
  pipeline transactions list mine.toml --set kafka.bootstrap.servers=kafka-1:9092";

const DESCRIBE: &str = "\
Example, with an id that `pipeline transactions list` shows:
  pipeline transactions describe mine.toml mine-0f3a";

const ABORT: &str = "\
Example, as `pipeline transactions list` prints it:
  pipeline transactions abort mine.toml --topic orders --partition 3 --start-offset 1042

Stop its producer first, if it still runs. If the transaction hangs at several partitions, abort it
at each of them. This cannot be undone: its records in the partition are lost, even if its producer
was told that they are committed.";

impl Transactions {
    /// Executes the action.
    ///
    /// # Errors
    /// No broker answers, the settings ask for a way in that is not here, or what is to be aborted does not hang.
    pub fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::List { file, overrides } => {
                let mut places = places(&file, &overrides)?;
                let survey = places.survey().map_err(Failure::failed)?;
                say_gaps(&survey.gaps);
                stdout(&shown::list(&survey, &file, &places))
            }
            Action::Describe { file, id, overrides } => describe(&file, &id, &overrides),
            Action::Abort { file, topic, partition, start_offset, force, yes, overrides } => {
                let partition = TopicPartition::new(topic, partition);
                Unwanted { partition, start: start_offset, force, yes }
                    .abort(&file, places(&file, &overrides)?)
            }
        }
    }
}

fn places(file: &str, overrides: &Overrides) -> Result<Places, Failure> {
    let pipeline = load_pipeline(file, overrides)?;
    Places::of(&pipeline).map_err(|error| match error {
        PlaceError::Settings(_) => Failure::usage(error),
        error => Failure::failed(error),
    })
}

/// What could not be asked is said beside what is known.
fn say_gaps(gaps: &[String]) {
    gaps.iter().for_each(|gap| eprintln!("warning: {gap}"));
}

fn describe(file: &str, id: &str, overrides: &Overrides) -> Result<(), Failure> {
    let mut places = places(file, overrides)?;
    let (of, gaps) = places.described(id);
    say_gaps(&gaps);
    let Some(of) = of else {
        return Err(Failure::Failed(format!(
            "no coordinator knows the transactional id {id}, or this user lacks the right DESCRIBE on it: `pipeline transactions list {file}` \
             shows those whose transactions are open"
        )));
    };
    places.also(&of.partitions).map_err(Failure::failed)?;
    let survey = places.survey().map_err(Failure::failed)?;
    say_gaps(&survey.gaps);
    stdout(&shown::described(&of, &survey, file))
}

/// What is to be aborted, and whether somebody has to say yes.
struct Unwanted {
    partition: TopicPartition,
    start: i64,
    force: bool,
    yes: bool,
}

impl Unwanted {
    fn abort(self, file: &str, mut places: Places) -> Result<(), Failure> {
        let partition = &self.partition;
        if !places.only(partition).map_err(Failure::failed)? {
            let reason = format!(
                "there is no partition {partition}, or this user lacks the right DESCRIBE on its topic"
            );
            return Err(Failure::Failed(reason));
        }
        let survey = places.survey().map_err(Failure::failed)?;
        say_gaps(&survey.gaps);
        let (transaction, at) = self.find(&survey, file)?;
        stdout(&shown::one(transaction, at, survey.at))?;
        self.may(at)?;
        let question = format!("abort it at {partition}, which nothing takes back?");
        if !self.yes {
            if !confirmed(&question)? {
                return Err(Failure::Failed("nothing was aborted".to_owned()));
            }
            // Meanwhile it may have ended, and its producer have begun the next one, which the marker would abort.
            let again = places.survey_again().map_err(Failure::failed)?;
            let (_, now) = self.find(&again, file)?;
            self.may(now)?;
            if (now.open.producer, now.open.epoch) != (at.open.producer, at.open.epoch) {
                return Err(Failure::Failed(
                    "nothing was aborted, as it is another one meanwhile".to_owned(),
                ));
            }
        }
        let aborted = places.abort(&at.open).map_err(Failure::failed)?;
        stdout(&shown::aborted(at, &aborted, file))
    }

    /// Whether it may be aborted: it hangs, or somebody insists.
    fn may(&self, at: &OpenAt) -> Result<(), Failure> {
        if self.force { Ok(()) } else { may_be_aborted(&at.verdict) }
    }

    fn find<'a>(&self, survey: &'a Survey, file: &str) -> Result<(&'a Transaction, &'a OpenAt), Failure> {
        let all = || survey.transactions.iter().flat_map(|one| one.open.iter().map(move |at| (one, at)));
        all().find(|(_, at)| at.open.start == self.start).ok_or_else(|| {
            let (partition, start) = (&self.partition, self.start);
            let starts: Vec<String> = all().map(|(_, at)| at.open.start.to_string()).collect();
            let there = match starts.as_slice() {
                [] => "none is open there".to_owned(),
                starts => format!("those that are open there begin at {}", starts.join(", ")),
            };
            Failure::Failed(format!(
                "no transaction is open at {partition} from offset {start} on, {there}: `pipeline transactions list {file}` shows all"
            ))
        })
    }
}

/// Whether it may be aborted without `--force`.
fn may_be_aborted(verdict: &Verdict) -> Result<(), Failure> {
    let reason = match verdict {
        Verdict::Hangs(_) => return Ok(()),
        Verdict::Fine => "it does not hang: its producer ends it, or its coordinator does at its time-out".to_owned(),
        Verdict::Ending => {
            "its coordinator has decided how it ends and writes that everywhere; were that a commit, an abort here would tear it".to_owned()
        }
        Verdict::Unknown(why) => format!("it may be that it does not hang: {why}"),
    };
    Err(Failure::Failed(format!("nothing was aborted, as {reason}. With --force it is aborted all the same")))
}
