//! `pipeline run`.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use clap::Args;
use futures::future::join_all;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::{
    Failure,
    brokers::find_broker,
    control,
    file::{Overrides, load_pipeline},
    preview::Preview,
    reload::Reload,
    signals::{Signals, end_at_last},
    status,
    supervise::{EndsWhen, Supervised},
    under_way,
};
use crate::{
    config::{Guarantee, Pipeline},
    engine::{Machine, Runtime},
    kafka::{Begin, settings},
    telemetry::{MetricsServer, Progress, Subject, announce, init_logging, install_metrics, status_line},
};

/// How much longer than its `shutdown.timeout` a process may run: to leave its groups, and to close its
/// clients.
const AT_LAST: Duration = Duration::from_secs(20);
/// What a graceful stop does, in words.
const GRACEFULLY: &str = "finishing what is in flight, committing, leaving the group";

/// Runs pipelines until SIGINT or SIGTERM: the first stops gracefully (finish what is in flight, commit,
/// leave the group), the second at once. SIGHUP takes files over that have changed, as `--watch` does.
#[derive(Args, Debug)]
pub struct Run {
    /// Pipelines: files as given, in pipelines/, or built in (factorial.toml).
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Stop once everything is processed and committed that was at the start in the partitions that this worker gets. Those
    /// of one that was killed a moment ago are not among them.
    #[arg(long)]
    drain: bool,
    /// Take a file over when it has changed, as at SIGHUP: it is checked first. What it changes must not need a restart.
    #[arg(long, conflicts_with = "drain")]
    watch: bool,
    /// Show what would be written from the committed offsets on; write and commit nothing, and join no group.
    #[arg(long, conflicts_with = "drain")]
    dry_run: bool,
    /// With --dry-run: end after that many lines.
    #[arg(long, value_name = "NUMBER", requires = "dry_run")]
    count: Option<u64>,
    #[command(flatten)]
    overrides: Overrides,
}

impl Run {
    pub fn run(self) -> Result<(), Failure> {
        let pipelines: Vec<Pipeline> =
            self.files.iter().map(|file| load_pipeline(file, &self.overrides)).collect::<Result<_, _>>()?;
        refuse_twins(&pipelines)?;
        init_logging();
        if self.dry_run {
            return dry_run(&pipelines, self.count);
        }
        bound_arenas();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
        let result = runtime.block_on(run(pipelines, self));
        if let Some(line) = status_line() {
            line.finish_and_clear();
        }
        // A commit to an unreachable broker must not keep a process from stopping.
        runtime.shutdown_background();
        result
    }
}

/// Shows what a pipeline would write.
fn dry_run(pipelines: &[Pipeline], count: Option<u64>) -> Result<(), Failure> {
    let [pipeline] = pipelines else {
        return Err(Failure::Usage("a dry run shows one pipeline: name one file".to_owned()));
    };
    announce(&format!(
        "{}: a dry run from the committed offsets of the group {} on; nothing is written or committed; end it with Ctrl-C",
        pipeline.name, pipeline.source.group
    ));
    let preview = Preview { steps: usize::MAX, begin: Begin::Committed, dropped: true, rate: None, count };
    preview.show(pipeline)
}

/// Refuses two pipelines with one name: their metrics and clients would be mixed up.
fn refuse_twins(pipelines: &[Pipeline]) -> Result<(), Failure> {
    let mut names = BTreeSet::new();
    match pipelines.iter().find(|pipeline| !names.insert(&pipeline.name)) {
        None => Ok(()),
        Some(twin) => Err(Failure::Usage(format!(
            "two of the pipelines are called `{}`: give each its own name, or start another process for the second one",
            twin.name
        ))),
    }
}

/// Limits malloc to one arena for each core, instead of eight: memory that one thread allocates and another
/// frees stays in its arena, and results go from the pool to librdkafka's threads. This saves 70 MiB of
/// resident memory under a backlog on two cores (`benches/memory`).
#[cfg(target_env = "gnu")]
fn bound_arenas() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // SAFETY: only sets a number; called before other threads start, as the manual requires.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, i32::try_from(cores).unwrap_or(i32::MAX)) };
}

#[cfg(not(target_env = "gnu"))]
fn bound_arenas() {}

async fn run(
    mut pipelines: Vec<Pipeline>,
    Run { files, drain, watch, overrides, .. }: Run,
) -> Result<(), Failure> {
    // First of all, so that a signal during the start also stops gracefully.
    let stop = CancellationToken::new();
    let signals = Signals::catch().stop(stop.clone(), GRACEFULLY, "what was not committed is done again");
    let signals = tokio::spawn(signals);
    let read = pipelines.clone();
    let _embedded = find_broker(&mut pipelines).await?;
    let recorded = install_metrics().map_err(Failure::failed)?;
    let progress: Vec<Arc<Progress>> = pipelines.iter().map(progress_of).collect();
    let metrics = pipelines[0].metrics;
    let server = MetricsServer::start(metrics.listen, metrics.explicit, recorded, progress.clone())
        .await
        .map_err(Failure::failed)?;
    let machine = Machine::new().map_err(Failure::failed)?;
    for pipeline in &pipelines {
        announce(&summary(pipeline));
    }
    announce(&format!("metrics at http://{}/metrics, /healthz, /readyz", server.address()));
    for pipeline in &pipelines {
        control::listen(pipeline, stop.clone()).await?;
    }
    if !drain && pipelines.iter().any(|pipeline| pipeline.steps.iter().any(|step| step.kind == "factorial")) {
        announce("try it from another terminal: pipeline request 1000");
    }
    let longest = pipelines.iter().map(|pipeline| pipeline.shutdown_timeout).max().unwrap_or_default();
    tokio::spawn(end_at_last(stop.clone(), longest + AT_LAST));
    let status = tokio::spawn(status::show(progress.clone()));
    let (reload, changes) = Reload::new(&files, &read, &pipelines, overrides);
    let reloads = tokio::spawn(reload.listen(watch, stop.clone()));
    let followed = pipelines
        .iter()
        .zip(&files)
        .zip(&progress)
        .map(|((pipeline, file), progress)| control::follow(pipeline, file, drain, progress.clone()));
    let followed = followed.collect::<Result<Vec<_>, _>>().map_err(Failure::Failed)?;
    let parts = pipelines.into_iter().zip(progress).zip(changes).zip(followed);
    let running = parts.map(|(((pipeline, progress), changes), (throttle, following))| {
        let (told_of, worker) = (pipeline.clone(), machine.clone());
        let telling = tokio::spawn(async move { under_way::tell(&told_of, worker.name()).await });
        let ends = if drain { EndsWhen::Drained } else { EndsWhen::Never };
        let machine = machine.clone();
        let supervised = Supervised { pipeline, changes, machine, progress, throttle, ends, marks: false };
        let stop = stop.clone();
        // A task for each: one that waits for its broker does not block the others.
        tokio::spawn(async move {
            // If one fails or panics, the others stop gracefully: a process that runs only some of its
            // pipelines is easily overlooked. One that is drained does not stop the others.
            let guard = stop.clone().drop_guard();
            let result = supervised.run(stop).await;
            if result.is_ok() {
                guard.disarm();
            }
            telling.abort();
            drop(following);
            result
        })
    });
    let results = join_all(running).await;
    status.abort();
    signals.abort();
    reloads.abort();
    let failed = |error: JoinError| Err(Failure::failed(format!("a pipeline panicked: {error}")));
    results.into_iter().try_for_each(|result| result.unwrap_or_else(failed))
}

/// Where everything is reported that happens in a pipeline.
pub(super) fn progress_of(pipeline: &Pipeline) -> Arc<Progress> {
    pipeline.steps.iter().for_each(|step| step.operator.observe(&pipeline.name));
    Arc::new(Progress::new(Subject {
        pipeline: pipeline.name.clone(),
        sources: if pipeline.source.is_pattern() { Vec::new() } else { pipeline.source.names() },
        sink: pipeline.written_topics(),
        operators: pipeline.operator_names(),
        memory: pipeline.limits.memory,
    }))
}

fn summary(pipeline: &Pipeline) -> String {
    let steps: Vec<&str> = pipeline.steps.iter().map(|step| step.name.as_str()).collect();
    let guarantee = match pipeline.guarantee {
        Guarantee::AtLeastOnce => "at-least-once",
        Guarantee::ExactlyOnce => "exactly-once",
    };
    let servers = settings::common(pipeline);
    format!(
        "{}: {} -> {} -> {}, {guarantee}, group {}, brokers {}",
        pipeline.name,
        pipeline.source.names().join(", "),
        steps.join(" -> "),
        pipeline.result_topics().iter().map(|topic| topic.topic.as_str()).collect::<Vec<_>>().join(", "),
        pipeline.source.group,
        servers.get("bootstrap.servers").unwrap_or_default(),
    )
}
