//! `pipeline scale`.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use clap::Args;

use super::{
    Failure,
    file::{Overrides, load_pipeline},
    stdout,
};
use crate::{
    config::Pipeline,
    kafka::{Begin, Tap},
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
            let standing = watched.all(&pipeline);
            return stdout(&format!("{}\n", sentence(&pipeline, &standing)));
        }
        let recorded = install_metrics().map_err(Failure::failed)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
        let listener = runtime.block_on(bind(self.listen)).map_err(Failure::Failed)?;
        let address = listener.local_addr().map_err(Failure::failed)?;
        let server = runtime.block_on(async { ScaleServer::start(&pipeline.name, listener, recorded) });
        announce(&format!("{}: how many workers it wants is at http://{address}/, /metrics", pipeline.name));
        let mut wanted = None;
        loop {
            let standing = watched.until_look(&pipeline);
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
struct Watched {
    tap: Tap,
    scaler: Scaler,
    begun: Instant,
    asked: Option<Instant>,
    members: Option<u32>,
}

impl Watched {
    fn new(pipeline: &Pipeline) -> Result<Self, String> {
        let tap = Tap::new(pipeline, Begin::Committed)?;
        let scaler = Scaler::new(pipeline.scale);
        Ok(Watched { tap, scaler, begun: Instant::now(), asked: None, members: None })
    }

    /// Reads what comes until it is time to look, and looks.
    fn until_look(&mut self, pipeline: &Pipeline) -> Standing {
        let until = Instant::now() + LOOK;
        self.read(pipeline, until);
        self.look(pipeline)
    }

    /// Reads until nothing has come for a while, and looks.
    fn all(&mut self, pipeline: &Pipeline) -> Standing {
        while self.read(pipeline, Instant::now() + ALL) > 0 {}
        self.look(pipeline)
    }

    /// Reads until that moment; returns how many records there were.
    fn read(&mut self, pipeline: &Pipeline, until: Instant) -> u64 {
        let (topology, mut records) = (pipeline.topology(), 0);
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            let Some((partition, offset, record)) = self.tap.next(left) else { continue };
            self.scaler.read(&partition, offset, topology.cost(&record).nanos);
            records += 1;
        }
        records
    }

    fn look(&mut self, pipeline: &Pipeline) -> Standing {
        if self.asked.is_none_or(|asked| asked.elapsed() >= ASK) {
            self.asked = Some(Instant::now());
            self.members = self.tap.members();
            if self.tap.is_outdated(pipeline)
                && let Ok(tap) = Tap::new(pipeline, Begin::Committed)
            {
                // What was measured of the workers is lost too, and is soon known again.
                (self.tap, self.scaler) = (tap, Scaler::new(pipeline.scale));
            }
        }
        match self.tap.committed() {
            Ok(committed) => {
                committed.iter().for_each(|(partition, offset)| self.scaler.committed(partition, *offset))
            }
            Err(error) => tracing::warn!(error, "how far the workers are is not known; asking again"),
        }
        let partitions = self.tap.partitions() as u32;
        self.scaler.look(&Look { now: self.begun.elapsed(), workers: self.members, partitions })
    }
}
