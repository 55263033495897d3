//! Has a program of any language compute: records go to it as lines of JSON, and it answers with lines.
//!
//! `child.rs` is one running program, and `system.rs` what bounds it; what stands in a line is `../line.rs`'s.
//!
//! Knows: format, record. Must not know: rdkafka, clap.

mod child;
mod system;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use serde::Deserialize;
use serde_aux::serde_introspection::serde_introspect;
use tokio::sync::Semaphore;

use self::child::{Child, Failure, Program};
use super::{
    AsyncOperator, Built, Call, Cost, NANOS_OF_A_CHUNK, OperatorError, SettingError, settings as common,
    trouble::Trouble,
};
use crate::{format::Formats, record::Record};

/// At so many records programs may fail, where none has ever answered, before it is not the records.
const BROKEN: u32 = 3;

/// Gives records to programs that run beside the worker, and hands on what they answer.
pub struct Command {
    program: Program,
    /// The most records that are given at once.
    batch: u64,
    processes: usize,
    /// One for each program that may run.
    permits: Semaphore,
    /// Those that run and have nothing to do.
    idle: Mutex<Vec<Child>>,
    /// Whether any has ever answered: then it is not the program that is broken.
    works: AtomicBool,
    /// How many records have been blamed before that, and the last one.
    broken: Mutex<(u32, Option<Call>)>,
    trouble: Trouble,
    formats: Formats,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The program and its arguments.
    run: Vec<String>,
    /// How many run at once.
    #[serde(default = "default_processes")]
    processes: usize,
    /// The most records that are given at once.
    #[serde(default = "default_batch")]
    batch: u64,
    /// How long a program may be without an answer.
    #[serde(default = "default_timeout", deserialize_with = "common::duration")]
    timeout: Duration,
    /// The longest line that it may answer, in bytes.
    #[serde(default = "default_max_response", deserialize_with = "common::size")]
    max_response: u64,
    /// The most memory that each may use, in bytes.
    #[serde(default, deserialize_with = "common::some_size")]
    memory: Option<u64>,
    /// How many cores each may use.
    cores: Option<usize>,
    /// Its environment, beside the few variables that any program needs.
    #[serde(default)]
    env: BTreeMap<String, String>,
}

fn default_processes() -> usize {
    1
}

fn default_batch() -> u64 {
    100
}

fn default_timeout() -> Duration {
    Duration::from_secs(30)
}

fn default_max_response() -> u64 {
    1 << 20
}

impl Command {
    pub(super) fn settings() -> &'static [&'static str] {
        serde_introspect::<Settings>()
    }

    pub(super) fn build(table: toml::Table, formats: Formats) -> Built {
        let settings: Settings = common::read(table)?;
        let wrong = |key, reason| Err(SettingError::new(Some(key), reason));
        if settings.run.first().is_none_or(String::is_empty) {
            return wrong("run", "it must name a program, such as [\"python3\", \"score.py\"]");
        }
        if !(1..=1_000).contains(&settings.processes) {
            return wrong("processes", "it must be 1 to 1,000");
        }
        if !(1..=2_000).contains(&settings.batch) {
            return wrong("batch", "it must be 1 to 2,000");
        }
        if settings.cores == Some(0) {
            return wrong("cores", "it must be 1 or more");
        }
        Ok(Box::new(Command {
            program: Program {
                run: settings.run,
                timeout: settings.timeout,
                largest: settings.max_response as usize,
                memory: settings.memory,
                cores: settings.cores,
                env: settings.env,
                started: 0.into(),
            },
            batch: settings.batch,
            processes: settings.processes,
            permits: Semaphore::new(settings.processes),
            idle: Mutex::default(),
            works: AtomicBool::new(false),
            broken: Mutex::default(),
            trouble: Trouble::default(),
            formats,
        }))
    }

    /// A program that has nothing to do: one that runs, otherwise a new one.
    fn child(&self) -> Result<Child, OperatorError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| self.program.start(), Ok)
    }

    /// What becomes of the record at which a program failed.
    fn failed(&self, failure: Failure, call: &Call) -> OperatorError {
        if self.works.load(Relaxed) {
            return OperatorError::Passing { failure: failure.name(), message: failure.message };
        }
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        if broken.1.as_ref() != Some(call) {
            *broken = (broken.0 + 1, Some(call.clone()));
        }
        if broken.0 >= BROKEN {
            let message = format!(
                "{}; so it went with {BROKEN} records, and none was ever answered: see what is wrong with the program, then \
                 start the pipeline again",
                failure.message
            );
            return OperatorError::Fatal { message };
        }
        OperatorError::Passing { failure: failure.name(), message: failure.message }
    }

    /// Asks about all records. Where a program fails, another one gets those that it has not answered; the first of them is to blame if
    /// that one fails at it too, or has hung: a program may also end, or say too much, after an answer.
    async fn ask(&self, calls: &[Call]) -> Result<Vec<Answer>, OperatorError> {
        let mut answers: Vec<Option<Answer>> = calls
            .iter()
            .map(|call| call.record.value.is_none().then(|| Ok(vec![call.record.clone()])))
            .collect();
        let mut suspect = None;
        while answers.iter().any(Option::is_none) {
            let mut child = self.child()?;
            let failure = child.ask(calls, &self.formats, &mut answers).await;
            if child.has_answered() {
                self.works.store(true, Relaxed);
            }
            match failure {
                None => {
                    self.trouble.ended();
                    self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(child);
                }
                Some(failure) => {
                    let Some(blamed) = answers.iter().position(Option::is_none) else { break };
                    self.trouble.failed(&failure.message);
                    if failure.hangs || suspect == Some(blamed) {
                        answers[blamed] = Some(Err(self.failed(failure, &calls[blamed])));
                    }
                    suspect = Some(blamed);
                }
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }
}

/// What became of one record.
type Answer = Result<Vec<Record>, OperatorError>;

#[async_trait]
impl AsyncOperator for Command {
    fn concurrency(&self) -> usize {
        // One more for each, so that none waits for the engine.
        2 * self.processes
    }

    fn expected(&self, record: &Record) -> Cost {
        Cost { nanos: NANOS_OF_A_CHUNK / self.batch, bytes: record.size() as u64 }
    }

    async fn call(&self, calls: Vec<Call>) -> Vec<Answer> {
        let fail = |error: OperatorError| calls.iter().map(|_| Err(error.clone())).collect();
        let Ok(_permit) = self.permits.acquire().await else {
            return fail(OperatorError::Fatal { message: "the programs have ended".to_owned() });
        };
        self.ask(&calls).await.unwrap_or_else(fail)
    }
}
