//! `pipeline verify`.

use std::{fs, path::PathBuf, sync::Arc, thread, time::Duration};

use clap::Args;

use super::{
    Failure,
    file::{Overrides, load_pipeline},
    signals::Signals,
    simulate::Simulation,
    stdout,
};
use crate::{
    broker::Nodes,
    load::Interrupt,
    telemetry::{announce_plainly, status_line},
    verify::{FaultKind, Report, Settings, Status, run, summary},
};

/// Breaks things around a pipeline's workers, and proves that nothing gets lost
///
/// Starts real workers of the file and real brokers, and sends requests. Kills, stops and cuts workers,
/// brokers and connections, in an order that the seed repeats. Once everything is quiet it reads all results:
/// nothing may be lost or wrong, and with exactly-once nothing double. The file's own operators, run without
/// Kafka, decide what is right.
///
/// Exit code 0 if every promise was kept, 1 if not.
#[derive(Args, Debug)]
pub struct Verify {
    /// A pipeline: a file as given, in pipelines/, or built in, such as factorial.toml
    #[arg(
        value_name = "FILE",
        required = false,
        required_unless_present = "simulate",
        default_value_if("simulate", "true", "")
    )]
    file: String,
    /// The faults: all, groups (such as workers, brokers), or names, separated by commas
    #[arg(long, value_name = "LIST", default_value = "all")]
    faults: String,
    /// How long to inject faults
    #[arg(long, value_name = "MINUTES", default_value_t = 5.0)]
    minutes: f64,
    /// Begin a fault every SECONDS, for long runs [default: soon after the one before, at random]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    every: Option<u32>,
    /// The random seed: the same seed breaks the same things in the same order [default: random]
    #[arg(long)]
    seed: Option<u64>,
    /// How many workers run while nothing is broken
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=4))]
    workers: u8,
    /// How many brokers to start
    #[arg(long, default_value_t = 3, value_parser = nodes)]
    nodes: u16,
    /// Use the brokers that the file or PIPELINE_BOOTSTRAP_SERVERS names, in new topics, instead of starting
    /// some; faults that need own brokers do not happen then
    #[arg(long)]
    given_brokers: bool,
    /// Requests a second
    #[arg(long, default_value_t = 600)]
    rate: u32,
    /// A file with the requests' values, one a line [default: numbers]
    #[arg(long, value_name = "FILE")]
    samples: Option<PathBuf>,
    /// The folder for reports, logs, and the brokers' data if something was wrong
    #[arg(long, value_name = "DIR", default_value = "verify-reports")]
    reports: PathBuf,
    #[command(flatten)]
    simulation: Simulation,
    #[command(flatten)]
    overrides: Overrides,
}

fn nodes(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(nodes @ (1 | 3)) => Ok(nodes),
        _ => Err("a cluster has 1 or 3 nodes".to_owned()),
    }
}

impl Verify {
    /// Runs, and reports.
    ///
    /// # Errors
    /// A wrong file or command line, a run that could not be completed, or a broken promise.
    pub fn run(self) -> Result<(), Failure> {
        if self.simulation.simulate {
            return self.simulation.run(self.seed);
        }
        let settings = self.settings()?;
        let interrupt = Arc::new(Interrupt::default());
        interrupt_on_signals(interrupt.clone())?;
        let outcome = run(&settings, interrupt, &show);
        if let Some(line) = status_line() {
            line.finish_and_clear();
        }
        let outcome = outcome.map_err(Failure::Failed)?;
        let command = self.again(&settings);
        let report = Report { settings: &settings, outcome: &outcome, evidence: &outcome.evidence, command };
        stdout(&summary(&report))?;
        let written = report.write().map_err(|(path, error)| {
            Failure::failed(format!("{} cannot be written: {error}", path.display()))
        })?;
        for path in written {
            stdout(&format!("{}\n", path.display()))?;
        }
        keep_or_remove(&settings, outcome.verdict.broken.is_empty())?;
        match outcome.verdict.broken.len() {
            0 if outcome.stopped => Err(Failure::failed("the run was stopped before its end")),
            0 => Ok(()),
            1 => Err(Failure::failed("one thing is not as it must be")),
            broken => Err(Failure::Failed(format!("{broken} things are not as they must be"))),
        }
    }

    /// The command that repeats this run, with the seed.
    fn again(&self, settings: &Settings) -> String {
        let mut command = format!(
            "pipeline verify {} --faults {} --minutes {} --seed {} --workers {} --rate {}",
            self.file, self.faults, self.minutes, settings.seed, self.workers, self.rate
        );
        match self.given_brokers {
            true => command.push_str(" --given-brokers"),
            false => command.push_str(&format!(" --nodes {}", self.nodes)),
        }
        if let Some(every) = self.every {
            command.push_str(&format!(" --every {every}"));
        }
        if let Some(samples) = &self.samples {
            command.push_str(&format!(" --samples {}", samples.display()));
        }
        for set in &self.overrides.set {
            command.push_str(&format!(" --set '{}'", set.shown()));
        }
        command
    }

    fn settings(&self) -> Result<Settings, Failure> {
        let pipeline = load_pipeline(&self.file, &self.overrides)?;
        let mut kinds = FaultKind::parse_list(&self.faults).map_err(Failure::Usage)?;
        kinds.retain(|kind| {
            let reason = kind.unavailable(!self.given_brokers);
            if let Some(reason) = reason {
                announce_plainly(&format!("no {}: {reason}", kind.name()));
            }
            reason.is_none()
        });
        let samples = match &self.samples {
            None => Vec::new(),
            Some(file) => samples(file)?,
        };
        if !(0.01..=10_000.0).contains(&self.minutes) {
            return Err(Failure::Usage("--minutes must be from 0.01 to 10000".to_owned()));
        }
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
        let folder = self.reports.join(format!("{}-{seed}", pipeline.name));
        Ok(Settings {
            file: self.file.clone(),
            overrides: self.overrides.set.clone(),
            pipeline,
            kinds,
            time: Duration::from_secs_f64(self.minutes * 60.0),
            every: self.every.map(|seconds| Duration::from_secs(seconds.into())),
            seed,
            workers: self.workers.into(),
            nodes: match (self.given_brokers, self.nodes) {
                (true, _) => None,
                (false, 1) => Some(Nodes::One),
                (false, _) => Some(Nodes::Three),
            },
            rate: self.rate.max(1),
            samples,
            folder: unused(folder)?,
        })
    }
}

fn samples(file: &PathBuf) -> Result<Vec<String>, Failure> {
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", file.display())))?;
    let samples: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    match samples.is_empty() {
        true => Err(Failure::Usage(format!("{} has no values: write one a line", file.display()))),
        false => Ok(samples),
    }
}

/// Creates the folder, with a number appended if it exists: an earlier run's files stay.
fn unused(folder: PathBuf) -> Result<PathBuf, Failure> {
    let numbered = |number: u32| match number {
        1 => folder.clone(),
        number => folder
            .with_file_name(format!("{}.{number}", folder.file_name().unwrap_or_default().to_string_lossy())),
    };
    let path = (1..).map(numbered).find(|path| !path.exists()).unwrap_or(folder.clone());
    fs::create_dir_all(&path)
        .map_err(|error| Failure::Failed(format!("{} cannot be made: {error}", path.display())))?;
    Ok(path)
}

fn interrupt_on_signals(interrupt: Arc<Interrupt>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
    let call = move |signals| {
        interrupt.raise();
        announce_plainly(match signals {
            1 => "stopping: no more faults; waiting for the answers (once more to stop waiting)",
            _ => "stopped waiting",
        });
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(async { Signals::catch().each(call).await }))
        .map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
    Ok(())
}

fn show(status: Status<'_>) {
    match status {
        Status::Line(line) => announce_plainly(&line),
        Status::Now { since, what, asked, answered } => {
            if let Some(line) = status_line() {
                let since = since.as_secs();
                line.set_message(format!("{since} s · {what} · {asked} asked · {answered} answered"));
            }
        }
    }
}

/// Keeps the brokers' data if something is wrong, so that all of it can be examined.
fn keep_or_remove(settings: &Settings, right: bool) -> Result<(), Failure> {
    let data = settings.folder.join("cluster");
    if right {
        // Missing if the brokers were given.
        let _ = fs::remove_dir_all(data);
        return Ok(());
    }
    let nodes = match settings.nodes {
        None => return stdout("the topics are kept\n"),
        Some(nodes) => nodes.count(),
    };
    stdout(&format!("the topics are kept: pipeline broker --nodes {nodes} --data {}\n", data.display()))
}
