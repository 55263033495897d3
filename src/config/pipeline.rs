//! A checked pipeline: what a TOML file says, after everything that can be known to be wrong was refused.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use regex::Regex;

use super::ControlSettings;

pub use crate::engine::{Guarantee, Order, Retries, RetryPolicy, RetryTopic};
use crate::{
    engine::{Deduplication, FairBy, Topology},
    format::Format,
    operator::{Intake, Operator, Router, TableOf},
    record::PerTopic,
};

/// What a topic takes of a record in bytes, where nobody says otherwise: Kafka's `message.max.bytes`.
pub const TOPIC_LIMIT: u64 = 1_048_588;
/// The sink's `transaction.timeout.ms`, where the file has none.
pub const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// A setting's value for librdkafka. One that came from the environment or a file is a secret: its
/// `Debug` and `Display` print `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Property {
    /// The value itself, for librdkafka alone.
    pub value: String,
    /// Whether it came from `${env:…}` or `${file:…}`.
    pub secret: bool,
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secret { "***" } else { &self.value })
    }
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// librdkafka properties by name.
pub type Properties = BTreeMap<String, Property>;

/// How a topic is created where `pipeline` has to create it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    /// The topic's name.
    pub topic: String,
    /// Number of partitions; the broker's default where `None`.
    pub partitions: Option<i32>,
    /// Number of replicas; the broker's default where `None`.
    pub replication: Option<i32>,
    /// The topic's own settings, such as `retention.ms`.
    pub config: BTreeMap<String, String>,
}

/// Where records come from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The topics that are read; never empty. A pattern is one name that begins with `^`, as for Kafka's own clients.
    pub topics: Vec<TopicSettings>,
    /// The consumer group; the pipeline's name unless the file says another.
    pub group: String,
    /// How the values are written.
    pub format: Format,
    /// Topics whose values are written otherwise.
    pub formats: Vec<(String, Format)>,
    /// How the keys are written; text, or any bytes, where it is not said.
    pub key_format: Option<Format>,
    /// Whether its records are requests: they may say by headers where their reply is wanted, and until when.
    pub requests: bool,
    /// Which records are the same, where those that come again are left out.
    pub deduplication: Option<Arc<Deduplication>>,
    /// Properties of the consumer alone.
    pub kafka: Properties,
}

impl Source {
    /// The first topic, or the pattern.
    pub fn topic(&self) -> &TopicSettings {
        &self.topics[0]
    }

    /// The topics' names, or the pattern.
    pub fn names(&self) -> Vec<String> {
        self.topics.iter().map(|topic| topic.topic.clone()).collect()
    }

    /// How the values of a topic are written.
    pub fn format_of(&self, topic: &str) -> &Format {
        let own = self.formats.iter().find(|(name, _)| name == topic);
        own.map_or(&self.format, |(_, format)| format)
    }

    /// Tells of a topic whether it is read.
    pub fn reads(&self) -> impl Fn(&str) -> bool {
        // What was no regular expression was refused.
        let pattern = self.is_pattern().then(|| Regex::new(&self.topic().topic).ok()).flatten();
        move |topic| match &pattern {
            Some(pattern) => pattern.is_match(topic),
            None => self.topics.iter().any(|of| of.topic == topic),
        }
    }

    /// Whether it reads all topics whose names match a pattern.
    pub fn is_pattern(&self) -> bool {
        self.topic().topic.starts_with('^')
    }
}

/// Where results go.
#[derive(Clone, Debug)]
pub struct Sink {
    /// The topic that is written.
    pub topic: TopicSettings,
    /// How the values are written.
    pub format: Format,
    /// How the keys are written; as they come, where it is not said.
    pub key_format: Option<Format>,
    /// What becomes of a result that is larger than its topic takes.
    pub large: Large,
    /// Properties of the producer alone.
    pub kafka: Properties,
}

/// What becomes of a result that is larger than its topic takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Large {
    /// Its record is a dead letter.
    DeadLetter,
    /// It is cut into [pieces](crate::pieces).
    Pieces,
    /// It is put into the object store at that address.
    Store(String),
}

/// Where some of the results go instead of the sink's topic.
#[derive(Clone, Debug)]
pub struct SinkRoute {
    /// The expression that must hold; all results where `None`.
    pub when: Option<String>,
    /// The expression that chooses one of several topics.
    pub by: Option<String>,
    /// The topics, by what the expression gives for each; one where there is no `by`.
    pub topics: Vec<(String, TopicSettings)>,
    /// How values are written there.
    pub format: Format,
}

/// An operator and the name of its table.
#[derive(Clone)]
pub struct Step {
    /// The table's name: `operators.NAME`.
    pub name: String,
    /// The operator's name in the registry.
    pub kind: &'static str,
    /// What its table says, for people: `when = value.amount > 100`. Nothing that was filled in, as that may be a secret.
    pub settings: Vec<String>,
    /// The operator, ready to compute.
    pub operator: Arc<dyn Operator>,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.kind)
    }
}

/// When offsets are committed: whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The longest time between two commits while there is something to commit.
    pub interval: Duration,
    /// Records done since the last commit.
    pub records: u64,
}

/// How many workers there should be, for `pipeline scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// In which time the backlog should be empty.
    pub empty_within: Duration,
    /// The fewest; none, where that is 0 and nothing waits.
    pub min: u32,
    /// The most; where it is not said, as many as there are partitions.
    pub max: Option<u32>,
    /// How long fewer must have been needed before fewer are wanted.
    pub down_after: Duration,
}

/// What the pipeline may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of record data in this process: fetched, computing, and not yet acknowledged.
    pub memory: u64,
    /// Records that this process reads in a second at most; no limit where `None`.
    pub rate: Option<u32>,
    /// By what those who ask get fair shares of the cores; first come, first served where `None`.
    pub fair_by: Option<FairBy>,
}

/// A checked pipeline.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Its name: a label on every metric, and the consumer group where the file names none.
    pub name: String,
    /// What holds when something fails.
    pub guarantee: Guarantee,
    /// Which results leave in order.
    pub order: Order,
    /// Properties of every client, the brokers among them (`bootstrap.servers`), if any.
    pub kafka: Properties,
    /// Where records come from.
    pub source: Source,
    /// What is done to each, in order.
    pub steps: Vec<Step>,
    /// Where results go that no route takes.
    pub sink: Sink,
    /// Where the others go: the first route that takes a result gets it.
    pub routes: Vec<SinkRoute>,
    /// The last step, which chooses the topic and converts the value; `None` where there is nothing to choose or convert.
    pub router: Option<Arc<Router>>,
    /// Where what can't be computed goes: `<source topic>.dlq` unless the file says another.
    pub dead_letters: String,
    /// The topic where it is told how far records are that take long, if there is one.
    pub progress: Option<String>,
    /// When offsets are committed.
    pub commit: Commit,
    /// What may be held.
    pub limits: Limits,
    /// How many workers there should be.
    pub scale: Scale,
    /// How passing failures are tried again.
    pub retries: Retries,
    /// Where operators remember earlier records and find their tables; `None` where none does.
    pub state: Option<State>,
    /// How long a graceful stop, or the hand-over of a partition, may take.
    pub shutdown_timeout: Duration,
    /// Where metrics are served: `None` in the address's stead means that they are not, and the flag says
    /// whether the file or the command line named it (else another port may be taken where it is in use).
    pub metrics: Metrics,
    /// Where its workers are told over HTTP to pause, or how fast to read; nowhere where `None`.
    pub control: Option<ControlSettings>,
    /// The pipeline's own test cases.
    pub tests: Vec<TestCase>,
}

impl Pipeline {
    /// All that a record goes through, in order.
    pub fn topology(&self) -> Topology {
        let router = self.router.clone().map(|router| router as _);
        Topology::new(self.first_steps(self.steps.len()).chain(router))
    }

    /// The operators of so many steps, and what comes before them all.
    pub fn first_steps(&self, steps: usize) -> impl Iterator<Item = Arc<dyn Operator>> {
        let steps = self.steps.iter().take(steps).map(|step| step.operator.clone());
        self.intake().map(|intake| Arc::new(intake) as _).into_iter().chain(steps)
    }

    /// What makes one format of several, where topics of the source have several.
    fn intake(&self) -> Option<Intake> {
        let Source { format, formats, .. } = &self.source;
        (!formats.is_empty()).then(|| Intake::new(formats.clone(), format.clone()))
    }

    /// The operators' names for metrics, in the order of the [`topology`](Pipeline::topology).
    pub fn operator_names(&self) -> Vec<String> {
        let first = self.intake().map(|_| "source".to_owned());
        let names = first.into_iter().chain(self.steps.iter().map(|step| step.name.clone()));
        names.chain(self.router.iter().map(|_| "sink".to_owned())).collect()
    }

    /// The formats of both sides, of values and of keys, which may have to ask a schema registry.
    pub fn formats(&self) -> impl Iterator<Item = &Format> {
        let Pipeline { source, sink, .. } = self;
        let of_topics = source.formats.iter().map(|(_, format)| format);
        [&source.format, &sink.format]
            .into_iter()
            .chain(of_topics)
            .chain(&source.key_format)
            .chain(&sink.key_format)
    }

    /// The topics that results go to, each once: the sink's own, then the routes' in the file's order. A result's
    /// [`ResultTopic`](crate::record::ResultTopic) is its place here.
    pub fn result_topics(&self) -> Vec<&TopicSettings> {
        let mut topics = vec![&self.sink.topic];
        for (_, topic) in self.routes.iter().flat_map(|route| &route.topics) {
            if !topics.iter().any(|known| known.topic == topic.topic) {
                topics.push(topic);
            }
        }
        topics
    }

    /// The formats of the result topics.
    pub fn result_formats(&self) -> Vec<&'static str> {
        self.result_topics().into_iter().map(|topic| self.format_of(&topic.topic).name()).collect()
    }

    /// The address of the object store that large results go to, if they do.
    pub fn store(&self) -> Option<&str> {
        match &self.sink.large {
            Large::Store(url) => Some(url),
            Large::DeadLetter | Large::Pieces => None,
        }
    }

    /// How values are written in the result topic of that name.
    pub fn format_of(&self, topic: &str) -> &Format {
        let route = self.routes.iter().find(|route| route.topics.iter().any(|(_, of)| of.topic == topic));
        route.filter(|_| topic != self.sink.topic.topic).map_or(&self.sink.format, |route| &route.format)
    }

    /// The names of the topics that the group's members share out among themselves, or the pattern: the source's, and the retry topics
    /// where these are not [beside](Pipeline::topics_beside) them.
    pub fn subscribed_topics(&self) -> Vec<String> {
        let retry = self.retry_topics().map(str::to_owned).filter(|_| self.order != Order::Key);
        self.source.names().into_iter().chain(retry).collect()
    }

    /// The names of the topics of which a worker reads the partitions with the numbers of its own: with order by key, the retry topics.
    /// So whoever has a partition knows which of its keys wait.
    pub fn topics_beside(&self) -> Vec<String> {
        self.retry_topics().map(str::to_owned).filter(|_| self.order == Order::Key).collect()
    }

    /// The names of the topics where records wait before they are tried again.
    pub fn retry_topics(&self) -> impl Iterator<Item = &str> {
        self.retries.topics.iter().map(|retry| retry.topic.as_str())
    }

    /// The name of the topic where it is written what operators remember.
    pub fn changelog(&self) -> Option<&str> {
        self.state.as_ref()?.changelog.as_deref()
    }

    /// The tables that its operators look into.
    pub fn tables(&self) -> impl Iterator<Item = &TableOf> {
        self.steps.iter().filter_map(|step| step.operator.table())
    }

    /// Whether a result follows from its record alone, and neither from other ones nor from what a table says.
    pub fn takes_each_record_alone(&self) -> bool {
        self.changelog().is_none() && self.tables().all(|table| table.newest().is_none())
    }

    /// How many of the topics that it writes have their records in the partition with the number of the source's: the last ones of the
    /// results.
    pub fn written_beside(&self) -> usize {
        self.topics_beside().len() + usize::from(self.changelog().is_some())
    }

    /// The names of all topics that it writes to. After those of the results, the retry topics and the changelog have their places.
    pub fn written_topics(&self) -> PerTopic<String> {
        let results = self.result_topics().into_iter().map(|topic| topic.topic.as_str());
        PerTopic {
            results: results.chain(self.retry_topics()).chain(self.changelog()).map(str::to_owned).collect(),
            dead_letters: self.dead_letters.clone(),
        }
    }
}

/// Where operators remember earlier records, and where tables are that they look into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The folder of this machine; `None` for one in the user's own.
    pub folder: Option<PathBuf>,
    /// The most bytes that it takes in memory.
    pub memory: u64,
    /// The topic that has all that operators remember, where some do.
    pub changelog: Option<String>,
    /// Whether what is remembered of partitions that other workers have is kept up to date too.
    pub standby: bool,
}

/// Where metrics are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// The address to listen on; 127.0.0.1:9464 by default.
    pub listen: SocketAddr,
    /// Whether the file or the command line named the address; if not, and it is taken, the next free port will do.
    pub explicit: bool,
}

/// One record of a test case, in text.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TestRecord {
    /// The topic that a result goes to, or that an input comes from.
    pub topic: Option<String>,
    /// The record's key.
    pub key: Option<String>,
    /// The record's value; a tombstone where `None`.
    pub value: Option<String>,
    /// The record's headers, in order.
    pub headers: Vec<(String, String)>,
}

/// What a service answers in a test case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TestAnswer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// One `[[test]]`: records that go in, and what must come out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestCase {
    /// What the case shows.
    pub name: String,
    /// The line in the file, for messages.
    pub line: usize,
    /// What goes in.
    pub input: Vec<TestRecord>,
    /// What services answer to one call after another, by the table of the operator that asks.
    pub answers: Vec<(String, Vec<TestAnswer>)>,
    /// What topics have that operators look into: by the topic's name, and the row's key.
    pub tables: BTreeMap<String, BTreeMap<String, String>>,
    /// The results that must come out, in order.
    pub output: Vec<TestRecord>,
    /// The classes of the dead letters that must come out, in order.
    pub dead_letters: Vec<String>,
}
