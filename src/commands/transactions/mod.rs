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
Readers of what is committed get nothing more of a partition, and nothing is wrong with them:
  pipeline transactions list mine.toml                 which are open, and which of them hang
  pipeline transactions describe mine.toml mine-0f3a   all about one that has a transactional id
Then the command that `list` prints beneath one that hangs:
  pipeline transactions abort mine.toml --topic orders --partition 3 --start-offset 1042

One that does not hang needs nobody: its producer ends it, or its coordinator does at its time-out.
With PLAIN, SCRAM, TLS and client certificates as [kafka] has them; not with GSSAPI and OAUTHBEARER.";

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
    /// Of the topics that the pipeline reads and writes, and of where its group's offsets are. Needs the rights READ on the topics, and DESCRIBE
    /// on all transactional ids: of what a user may not see, it cannot be said that nobody knows it.
    #[command(after_help = LIST)]
    List {
        /// A file as given, in pipelines/, or built in, such as factorial.toml
        #[arg(value_name = "FILE")]
        file: String,
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Show all that its coordinator knows of one transaction, and how it stands at each of its partitions
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
    /// Writes the marker that its coordinator should have written (KIP-664), so that readers of what is committed read on, and leave its
    /// records out. Needs the right ALTER or CLUSTER_ACTION on the cluster.
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
        /// Abort it though it does not hang: what it wrote elsewhere may be committed all the same
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
A transaction hangs, if nobody ends it:
- it is open at a partition, and the coordinator of its transactional id knows of none with that partition in it; or
- it is older than its time-out, and its coordinator has not aborted it; or
- no coordinator knows its producer, and this user may see all transactional ids.
What is said of it was so all the while that the brokers were asked.

Example:
  pipeline transactions list mine.toml --set kafka.bootstrap.servers=kafka-1:9092";

const ABORT: &str = "\
Example, as `pipeline transactions list` prints it:
  pipeline transactions abort mine.toml --topic orders --partition 3 --start-offset 1042

Stop its producer first, if it is still there. A transaction that hangs at several partitions is aborted at each of them.
Nothing brings its records back; a producer that was told that they are committed has lost them.";

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
