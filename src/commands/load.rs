//! `pipeline load`.

use std::{sync::Arc, thread, time::Duration};

use clap::Args;
use tokio::{sync::oneshot, time::Instant};

use super::{Failure, file, file::Overrides, signals::Signals, stdout};
use crate::{
    kafka::{Admin, KafkaTarget, settings},
    load::{
        Book, HttpTarget, Interrupt, Results, RunId, Script, Standing, Target, TargetSettings,
        report::{self, Report, summary},
        run,
    },
    store::Store,
    telemetry::{MetricsServer, announce, init_logging, install_metrics, status_line},
};

/// How often to check for requests that have timed out.
const TICK: Duration = Duration::from_millis(10);
/// How often the status line is redrawn.
const REFRESH: Duration = Duration::from_secs(1);

/// Sends requests as a load script says, checks each answer, and reports latencies
///
/// Requests are sent at their planned times regardless of the answers, and latency counts from the planned
/// time, so that a stall is not hidden. Each answer is matched to its request by id, and its digits are
/// checked.
///
/// The summary is on standard output; a page with plots, JSON and the histogram are in the script's folder
/// for reports (load-reports). Exit code 0 if all thresholds are met and no answer is wrong, double or lost,
/// 1 if not, 2 if the script is wrong. Ctrl-C stops sending, and reports what was done (exit code 1); once
/// more stops waiting.
#[derive(Args, Debug)]
pub struct Load {
    /// A load script: a file as given, in pipelines/load/, or built in (smoke.toml, exercise.toml, ramp.toml,
    /// spike.toml, soak.toml)
    #[arg(value_name = "FILE")]
    file: String,
    #[command(flatten)]
    overrides: Overrides,
}

impl Load {
    /// Runs the script.
    ///
    /// # Errors
    /// A wrong script, an unreachable target, or a threshold that is not met.
    pub fn run(self) -> Result<(), Failure> {
        let script = crate::load::read_script(&self.file, &self.overrides.set)
            .map_err(|error| Failure::Usage(file::load_error_text(&error)))?;
        init_logging();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
        let result = runtime.block_on(load(&script));
        if let Some(line) = status_line() {
            line.finish_and_clear();
        }
        runtime.shutdown_background();
        let (target, results) = result?;
        let report = Report::new(&script, target, &results);
        stdout(&format!("{}\n", summary(&report)))?;
        let written = report.write(&script.reports).map_err(|(path, error)| {
            Failure::failed(format!("{} cannot be written: {error}", path.display()))
        })?;
        for path in written {
            stdout(&format!("{}\n", path.display()))?;
        }
        match report.missed() {
            0 if results.stopped => Err(Failure::failed("the run was stopped before its end")),
            0 => Ok(()),
            1 => Err(Failure::failed("one threshold is not met")),
            missed => Err(Failure::failed(format!("{missed} thresholds are not met"))),
        }
    }
}

async fn load(script: &Script) -> Result<(String, Results), Failure> {
    let caught = Signals::catch();
    let recorded = install_metrics().map_err(Failure::failed)?;
    let server = MetricsServer::start(script.metrics.listen, script.metrics.explicit, recorded, Vec::new())
        .await
        .map_err(Failure::failed)?;
    let book = Arc::new(Book::new(script, RunId::new(fastrand::u64(..))));
    let (target, words) = target(script, &book).await?;
    announce(&format!("{}: {words}", script.name));
    announce(&format!("metrics at http://{}/metrics", server.address()));
    let interrupt = Arc::new(Interrupt::default());
    let signals = tokio::spawn(interrupt_on_signals(caught, interrupt.clone()));
    let status = tokio::spawn(show(book.clone()));
    let expiry = tokio::spawn(expire(book.clone()));
    let (ended, results) = oneshot::channel();
    let (running, writing) = (script.clone(), book.clone());
    // On its own thread, so that planned requests are never delayed by other tasks.
    thread::Builder::new()
        .name("load".to_owned())
        .spawn(move || {
            let stopped = run(&running, &*target, &writing, &interrupt);
            let _ = ended.send(writing.results(stopped));
        })
        .map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
    let results = results.await.map_err(|_| Failure::failed("the run ended unexpectedly"))?;
    for side in [signals, status, expiry] {
        side.abort();
    }
    Ok((words, results))
}

/// Connects to the target; returns it with its address, in words.
async fn target(script: &Script, book: &Arc<Book>) -> Result<(Box<dyn Target + Send>, String), Failure> {
    let topics = match &script.target {
        TargetSettings::Http { url, headers } => {
            let target = HttpTarget::new(url, headers, book.clone());
            return Ok((Box::new(target), report::target(script, "")));
        }
        TargetSettings::Kafka(topics) => topics.clone(),
    };
    let config = settings::client(&script.name, [&script.kafka]);
    let book = book.clone();
    let clients = tokio::task::spawn_blocking(move || {
        // Reports why no broker answers, which the clients themselves do not.
        let admin = Admin::new(&config).map_err(Failure::failed)?;
        let store = topics.store.as_deref().map(Store::open).transpose().map_err(Failure::failed)?;
        let target = KafkaTarget::new(&admin.fit(&config), &topics, store, book).map_err(Failure::failed)?;
        Ok((target, admin.servers().to_owned()))
    });
    let (target, servers) = clients.await.map_err(Failure::failed)??;
    Ok((Box::new(target), report::target(script, &servers)))
}

async fn interrupt_on_signals(caught: Signals, interrupt: Arc<Interrupt>) {
    caught
        .each(|signals| {
            interrupt.raise();
            announce(match signals {
                1 => "stopping: no more requests; waiting for the answers (once more to stop at once)",
                _ => "stopped at once",
            });
        })
        .await;
}

/// Gives up requests that have timed out, periodically, forever.
async fn expire(book: Arc<Book>) {
    loop {
        tokio::time::sleep(TICK).await;
        book.expire(std::time::Instant::now());
    }
}

/// Shows the run's progress, forever; does nothing without a terminal.
async fn show(book: Arc<Book>) {
    let Some(line) = status_line() else { return };
    let (mut before, mut at) = (0, Instant::now());
    loop {
        tokio::time::sleep(REFRESH).await;
        let standing = book.standing();
        let rate = (standing.answered - before) as f64 / at.elapsed().as_secs_f64();
        (before, at) = (standing.answered, Instant::now());
        line.set_message(describe(&standing, rate));
    }
}

fn describe(standing: &Standing, rate: f64) -> String {
    let times = |quantile| match standing.recent.is_empty() {
        true => "-".to_owned(),
        false => format!("{:.1} ms", standing.recent.value_at_quantile(quantile) as f64 / 1e3),
    };
    format!(
        "{}: {rate:.0}/s · p50 {} · p99 {} · p99.9 {} · {} in flight · {} errors · {} of {} right",
        standing.phase,
        times(0.5),
        times(0.99),
        times(0.999),
        standing.in_flight,
        standing.errors,
        standing.answered,
        standing.planned,
    )
}
