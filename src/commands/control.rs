//! `pipeline pause`, `resume` and `rate`; and how a worker follows them.

use std::sync::Arc;

use clap::Args;
use humantime::format_rfc3339_seconds;
use tokio_util::sync::CancellationToken;

use super::{
    Failure,
    file::{Overrides, load_pipeline},
    stdout,
};
use crate::{
    config::Pipeline,
    control::{self, Change, Rate, Wanted},
    kafka::{ControlError, ControlFollowing, ControlGroup, Throttle, follow_control},
    telemetry::{Progress, announce},
};

/// Pause all workers of a pipeline, until `pipeline resume`
///
/// Within about two seconds they stop taking records. They finish and commit what is in flight, and keep their partitions. A worker that starts
/// later is paused too. Brokers forget the pause when no worker has run for a week.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  pipeline pause orders.toml      stops them; `pipeline resume orders.toml` has them go on")]
pub struct Pause {
    #[command(flatten)]
    of: Of,
}

/// Have the workers of a paused pipeline go on
///
/// Within about two seconds they take records again, from where they stopped. What `pipeline rate` has set still holds.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  pipeline resume orders.toml")]
pub struct Resume {
    #[command(flatten)]
    of: Of,
}

/// Show or set how many records a second each worker of a pipeline may read
///
/// Workers that run follow within about two seconds, and those that start later too. Until you set `file`, it replaces the file's `limits.rate`.
/// Each worker has it for itself: with three workers, 500 are up to 1,500 records a second.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  pipeline rate orders.toml 500     each worker reads 500 records a second at most
  pipeline rate orders.toml none    no limit, even if the file has one
  pipeline rate orders.toml file    the file's own limit again
  pipeline rate orders.toml         shows the rate, and whether the pipeline is paused")]
pub struct SetRate {
    #[command(flatten)]
    of: Of,
    /// Records a second for each worker, `none` or `file`; leave it out to see what is set
    #[arg(value_name = "RATE")]
    rate: Option<Rate>,
}

#[derive(Args, Debug)]
struct Of {
    /// A file as given, in pipelines/, or built in, such as factorial.toml
    file: String,
    #[command(flatten)]
    overrides: Overrides,
}

impl Pause {
    /// Writes it for the workers.
    ///
    /// # Errors
    /// No broker answers, there is no source topic, or this user lacks a right.
    pub fn run(self) -> Result<(), Failure> {
        let (pipeline, before, after) = self.of.change(Change::Pause)?;
        let (name, group, words) = (&pipeline.name, &pipeline.source.group, after.words());
        let told = match before.paused() {
            Some(_) => format!("{name}: nothing is changed, it is {words}\n"),
            None => format!(
                "{name}: {words}; within about two seconds the workers of the group {group} take no record any more, finish and commit \
                 what is in flight, and keep their partitions\n"
            ),
        };
        stdout(&format!("{told}to go on: pipeline resume {}\n", self.of.file))
    }
}

impl Resume {
    /// Writes it for the workers.
    ///
    /// # Errors
    /// As for [`Pause::run`].
    pub fn run(self) -> Result<(), Failure> {
        let (pipeline, before, after) = self.of.change(Change::Resume)?;
        let (name, words) = (&pipeline.name, after.words());
        match before.paused() {
            Some(since) => stdout(&format!(
                "{name}: goes on within about two seconds; it was paused since {}; {words}\n",
                format_rfc3339_seconds(since)
            )),
            None => stdout(&format!("{name}: nothing is changed, it was {words}\n")),
        }
    }
}

impl SetRate {
    /// Writes it for the workers, or shows what was written.
    ///
    /// # Errors
    /// As for [`Pause::run`].
    pub fn run(self) -> Result<(), Failure> {
        let (pipeline, wanted) = match self.rate {
            Some(rate) => {
                let (pipeline, _, after) = self.of.change(Change::Rate(rate))?;
                (pipeline, after)
            }
            None => {
                let (pipeline, group) = self.of.group()?;
                let wanted = group.read().map_err(Failure::failed)?;
                (pipeline, wanted)
            }
        };
        let file = match (wanted.rate, pipeline.limits.rate) {
            (Rate::File, None) => " (`limits.rate` is not set)".to_owned(),
            (_, Some(rate)) => format!(" (`limits.rate` is {rate})"),
            (_, None) => String::new(),
        };
        stdout(&format!("{}: {}{file}\n", pipeline.name, wanted.words()))
    }
}

impl Of {
    fn group(&self) -> Result<(Pipeline, ControlGroup), Failure> {
        let pipeline = load_pipeline(&self.file, &self.overrides)?;
        let group = ControlGroup::new(&pipeline).map_err(Failure::Failed)?;
        Ok((pipeline, group))
    }

    /// The pipeline, what was wanted of it before, and what is now.
    fn change(&self, change: Change) -> Result<(Pipeline, Wanted, Wanted), Failure> {
        let (pipeline, group) = self.group()?;
        let (before, after) = group.change(change).map_err(Failure::failed)?;
        Ok((pipeline, before, after))
    }
}

/// Follows for a worker what is wanted of it: what it returns first takes records accordingly, none before that is known.
///
/// # Errors
/// The client or its thread cannot be made.
pub fn follow(
    pipeline: &Pipeline,
    file: &str,
    drain: bool,
    progress: Arc<Progress>,
) -> Result<(Arc<Throttle>, ControlFollowing), String> {
    let throttle = Arc::new(Throttle::held());
    let (file, mut before) = (file.to_owned(), Wanted::default());
    let tell = move |told: Result<Wanted, ControlError>| {
        let pipeline = progress.pipeline();
        match told {
            Ok(wanted) => {
                let words = said(&wanted, &file);
                match (&words, wanted.paused()) {
                    (Some(words), Some(_)) => {
                        let drain = if drain { "; --drain waits for that" } else { "" };
                        tracing::warn!(pipeline, "{words}{drain}");
                    }
                    (_, None) if before.paused().is_some() => {
                        tracing::info!(pipeline, "goes on after a pause: {}", wanted.words());
                    }
                    (_, None) if before.rate != wanted.rate => tracing::info!(pipeline, "{}", wanted.words()),
                    _ => {}
                }
                before = wanted;
                progress.wants(wanted.paused().is_some(), words);
            }
            Err(error) => tracing::warn!(
                pipeline,
                "`pipeline pause` and `pipeline rate` are not followed for now, and the worker goes on without: {error}"
            ),
        }
    };
    let following = follow_control(pipeline, throttle.clone(), tell)?;
    Ok((throttle, following))
}

/// Serves the pipeline's control where its file has it, until `stop` is cancelled.
///
/// # Errors
/// Nothing can be served at that address.
pub async fn listen(pipeline: &Pipeline, stop: CancellationToken) -> Result<(), Failure> {
    let Some(settings) = &pipeline.control else { return Ok(()) };
    let of = pipeline.clone();
    let ask = move |change: Option<Change>| {
        let group = ControlGroup::new(&of)?;
        let wanted = match change {
            Some(change) => {
                tracing::info!(pipeline = of.name, ?change, "asked for at the control port");
                group.change(change).map(|(_, after)| after)
            }
            None => group.read(),
        };
        wanted.map_err(|error| error.to_string())
    };
    let address = control::listen(&pipeline.name, settings, ask, stop).await.map_err(Failure::Failed)?;
    announce(&format!("{}: control at http://{address}/, for those who have the token", pipeline.name));
    Ok(())
}

/// What is wanted, in words, and how it is taken back; `None` where nobody wants anything.
fn said(wanted: &Wanted, file: &str) -> Option<String> {
    let words = wanted.words();
    match wanted.paused() {
        Some(_) => Some(format!(
            "{words}: no record is taken, what is in flight is finished, and the partitions stay; to go on: pipeline resume {file}"
        )),
        None if wanted.is_nothing() => None,
        None => Some(format!("{words}; to have it as the file says: pipeline rate {file} file")),
    }
}
