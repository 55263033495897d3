//! `pipeline scale`.

use std::{
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use clap::Args;

use super::{
    Failure,
    file::{Overrides, load_pipeline},
    stdout,
};
use crate::{
    config::Pipeline,
    engine::Topology,
    kafka::{ControlError, ControlGroup, Tap},
    record::{Record, TopicPartition, retry},
    scale::{Look, ScaleServer, Scaler, Standing, bind},
    telemetry::{announce, init_logging, install_metrics},
};

/// How often is looked how things stand.
const LOOK: Duration = Duration::from_secs(1);
/// How long nothing may come once all is read.
const ALL: Duration = Duration::from_secs(3);
/// How often the brokers are asked for the group's members and new partitions.
const ASK: Duration = Duration::from_secs(10);

/// Say how many workers a pipeline wants
///
/// It reads what waits in the source topics beside the workers, adds up what the operators expect each record to cost, and
/// measures how fast the workers are: lag in records cannot tell where one record costs a thousand times another. It joins no
/// group, and commits nothing. As JSON at / (for KEDA's metrics-api, and for scripts), at /metrics, and by gRPC
/// (for KEDA's external scalers), whether workers run or not.
#[derive(Args, Debug)]
pub struct Scale {
    /// A file as given, in pipelines/, or built in, such as factorial.toml
    #[arg(value_name = "FILE")]
    file: String,
    /// Where to tell it
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9466")]
    listen: SocketAddr,
    /// Print it once, when all that waits was read, and end
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    overrides: Overrides,
}

impl Scale {
    /// Tells it until the process is ended.
    ///
    /// # Errors
    /// No broker answers at the start, or the address cannot be bound.
    pub fn run(self) -> Result<(), Failure> {
        let pipeline = load_pipeline(&self.file, &self.overrides)?;
        init_logging();
        let mut watched = Watched::new(&pipeline).map_err(Failure::Failed)?;
        if self.once {
            let standing = watched.all();
            return stdout(&format!("{}\n", sentence(&pipeline, &standing)));
        }
        let recorded = install_metrics().map_err(Failure::failed)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
        let listener = runtime.block_on(bind(self.listen)).map_err(Failure::Failed)?;
        let address = listener.local_addr().map_err(Failure::failed)?;
        let server = runtime.block_on(async { ScaleServer::start(&pipeline.name, listener, recorded) });
        announce(&format!("{}: how many workers it wants is at http://{address}/, /metrics", pipeline.name));
        watched.keep_workers();
        let mut wanted = None;
        loop {
            let standing = watched.until_look();
            server.set(standing);
            if wanted.replace(standing.wanted) != Some(standing.wanted) {
                announce(&sentence(&pipeline, &standing));
            }
        }
    }
}

fn sentence(pipeline: &Pipeline, standing: &Standing) -> String {
    let Standing { backlog, arriving, wanted, workers, .. } = standing;
    let workers = workers.map_or_else(String::new, |workers| format!(", there are {workers}"));
    format!(
        "{}: {wanted} workers wanted{workers}; {backlog:.1} s of work wait, {arriving:.2} s more come each second",
        pipeline.name
    )
}

/// What is read beside the workers.
struct Watched<'a> {
    pipeline: &'a Pipeline,
    topology: Topology,
    tap: Tap,
    scaler: Scaler,
    begun: Instant,
    /// Says whether the workers are paused; `None` where this user may not see that.
    control: Option<ControlGroup>,
    asked: Option<Instant>,
    members: Option<u32>,
}

impl<'a> Watched<'a> {
    fn new(pipeline: &'a Pipeline) -> Result<Self, String> {
        let watched = Watched {
            pipeline,
            topology: pipeline.topology(),
            tap: Tap::of_workers(pipeline)?,
            scaler: Scaler::new(pipeline.scale),
            begun: Instant::now(),
            control: Some(ControlGroup::new(pipeline)?),
            asked: None,
            members: None,
        };
        if watched.partitions() == 0 {
            announce(&format!(
                "{}: there is no topic {} yet (or this user lacks the right DESCRIBE on it); until it comes, the fewest workers are wanted",
                pipeline.name,
                pipeline.source.names().join(", ")
            ));
        }
        Ok(watched)
    }

    /// The partitions that workers share: who has one has those of its number in the topics beside.
    fn partitions(&self) -> u32 {
        self.tap.partitions_but_of(&self.pipeline.topics_beside()) as u32
    }

    /// Before all that waits is read, it is not known that fewer workers would do.
    fn keep_workers(&mut self) {
        if let Some(members) = self.tap.members() {
            self.scaler.keep(self.begun.elapsed(), members);
        }
    }

    /// Reads what comes until it is time to look, and looks.
    fn until_look(&mut self) -> Standing {
        self.read(Instant::now() + LOOK);
        self.look()
    }

    /// Reads until nothing has come for a while, and looks.
    fn all(&mut self) -> Standing {
        while self.read(Instant::now() + ALL) > 0 {}
        self.look()
    }

    /// Reads until that moment; returns how many records there were.
    fn read(&mut self, until: Instant) -> u64 {
        let mut records = 0;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            let Some((partition, offset, record)) = self.tap.next(left) else { continue };
            let (cost, at) = (self.topology.cost(&record).nanos, self.later(&partition, &record));
            self.scaler.read(&partition, offset, cost, at);
            records += 1;
        }
        records
    }

    /// Until when a record waits in a retry topic. As for workers, that is no longer than the topic says.
    fn later(&self, partition: &TopicPartition, record: &Record) -> Option<Duration> {
        let topic = self.pipeline.retries.topics.iter().find(|topic| *partition.topic == *topic.topic)?;
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at = Duration::from_millis(record.headers.number(retry::AT)?);
        Some(self.begun.elapsed() + at.saturating_sub(unix).min(topic.after))
    }

    /// Whether somebody has paused the workers, as far as that is known.
    fn is_paused(&mut self) -> bool {
        match self.control.as_ref().map(ControlGroup::read) {
            Some(Ok(wanted)) => wanted.paused().is_some(),
            Some(Err(ControlError::Denied(reason))) => {
                tracing::warn!("it is not seen whether the workers are paused: {reason}");
                self.control = None;
                false
            }
            Some(Err(ControlError::Away(_))) | None => false,
        }
    }

    fn look(&mut self) -> Standing {
        if self.asked.is_none_or(|asked| asked.elapsed() >= ASK) {
            self.asked = Some(Instant::now());
            self.members = self.tap.members();
            if self.tap.is_outdated(self.pipeline)
                && let Ok(tap) = Tap::of_workers(self.pipeline)
            {
                self.tap = tap;
                self.scaler.read_again();
            }
        }
        match self.tap.committed() {
            Ok(committed) => {
                committed.iter().for_each(|(partition, offset)| self.scaler.committed(partition, *offset))
            }
            Err(error) => tracing::warn!(error, "how far the workers are is not known; asking again"),
        }
        let paused = self.is_paused();
        self.scaler.look(&Look {
            now: self.begun.elapsed(),
            workers: self.members,
            partitions: self.partitions(),
            by_number: !self.pipeline.topics_beside().is_empty(),
            paused,
        })
    }
}
