//! SIGHUP and `--watch`: a file that has changed is checked, and its pipeline goes on with it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, IsTerminal},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::file::{Overrides, load_pipeline};
use crate::{config::Pipeline, operator::TableOf, telemetry::announce};

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The files of a process, for as long as it runs.
pub struct Reload {
    files: Vec<Watched>,
    overrides: Overrides,
    /// The signal, where it can be caught.
    hangup: Option<Signal>,
    /// Whether the process has a terminal.
    has_terminal: bool,
}

struct Watched {
    file: String,
    /// As it was read last, and was taken.
    pipeline: Pipeline,
    /// When it was written last, where that was looked at.
    written: Option<SystemTime>,
    /// Who runs it.
    runs: watch::Sender<Pipeline>,
}

impl Reload {
    /// Catches SIGHUP from now on: it does not end the process. For pipelines as they were `read` from these files, and as they run.
    /// Returns how each is told of a new one.
    pub fn new(
        files: &[String],
        read: &[Pipeline],
        running: &[Pipeline],
        overrides: Overrides,
    ) -> (Reload, Vec<watch::Receiver<Pipeline>>) {
        let watched = files.iter().zip(read).zip(running).map(|((file, pipeline), running)| {
            let (runs, told) = watch::channel(running.clone());
            let watched =
                Watched { file: file.clone(), pipeline: pipeline.clone(), written: written(file), runs };
            (watched, told)
        });
        let (files, told) = watched.unzip();
        let hangup = signal(SignalKind::hangup()).ok();
        (Reload { files, overrides, hangup, has_terminal: io::stderr().is_terminal() }, told)
    }

    /// Looks at the files at each SIGHUP, and with `watches` when one was written, forever. Where the terminal is gone, `stop` is cancelled.
    pub async fn listen(mut self, watches: bool, stop: CancellationToken) {
        loop {
            let hangup = async {
                match &mut self.hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = hangup => {
                    // The shell says so too when its window is closed.
                    if self.has_terminal && File::open("/dev/tty").is_err() {
                        return stop.cancel();
                    }
                    self.look(|_| true);
                }
                () = sleep(LOOK), if watches => self.look(|watched| {
                    let before = std::mem::replace(&mut watched.written, written(&watched.file));
                    watched.written.is_some() && watched.written != before
                }),
            }
        }
    }

    fn look(&mut self, mut is_looked_at: impl FnMut(&mut Watched) -> bool) {
        for watched in &mut self.files {
            if is_looked_at(watched) {
                watched.look(&self.overrides);
            }
        }
    }
}

impl Watched {
    fn look(&mut self, overrides: &Overrides) {
        let Watched { file, pipeline, .. } = self;
        let new = match load_pipeline(file, overrides) {
            Ok(new) => new,
            Err(failure) => {
                announce(&failure.to_string());
                return announce(&format!(
                    "{}: {file} is not taken; the pipeline goes on as it was",
                    pipeline.name
                ));
            }
        };
        let settings = needs_restart(pipeline, &new);
        if !settings.is_empty() {
            let settings = settings.join(", ");
            return announce(&format!(
                "{}: {file} is not taken, and the pipeline goes on as it was: a change of {settings} needs a restart of the worker",
                pipeline.name
            ));
        }
        announce(&format!(
            "{}: taking {file} over: finishing what is in flight with the old settings, then going on with the new ones",
            pipeline.name
        ));
        // What is not in the file stays: the broker that was found.
        let running = self.runs.borrow().kafka.clone();
        self.pipeline = new.clone();
        self.runs.send_replace(Pipeline { kafka: running, ..new });
    }
}

/// What differs that cannot be changed while a worker runs.
fn needs_restart(old: &Pipeline, new: &Pipeline) -> Vec<&'static str> {
    let topics = |pipeline: &Pipeline| {
        let written = pipeline.written_topics();
        (pipeline.source.names(), written.results, written.dead_letters, pipeline.progress.clone())
    };
    let differs = BTreeMap::from([
        ("`name`", old.name != new.name),
        ("`guarantee`", old.guarantee != new.guarantee),
        ("`source.group`", old.source.group != new.source.group),
        ("the topics", topics(old) != topics(new)),
        ("`[kafka]`", old.kafka != new.kafka),
        ("the list of operators", old.operator_names() != new.operator_names()),
        ("`metrics.listen`", old.metrics != new.metrics),
        ("`[control]`", old.control != new.control),
        ("`[state]`", old.state != new.state),
        // One that is followed already has its files open.
        ("what operators look up", !old.tables().map(TableOf::kind).eq(new.tables().map(TableOf::kind))),
        // What they remember was computed with the old settings.
        (
            "a pipeline whose operators remember something",
            old.changelog().is_some() || new.changelog().is_some(),
        ),
    ]);
    differs.into_iter().filter_map(|(setting, differs)| differs.then_some(setting)).collect()
}

/// When a file was written last; `None` where there is none of that name here, as one that is built in.
fn written(file: &str) -> Option<SystemTime> {
    let places = [PathBuf::from(file), PathBuf::from("pipelines").join(file)];
    places.iter().find_map(|path| fs::metadata(path).ok()?.modified().ok())
}
