//! A checked load script: what a TOML file says, after everything that can be known to be wrong was refused.

use std::{path::PathBuf, time::Duration};

use super::{plan::Profile, threshold::Threshold, values::Values};
use crate::{
    config::{Metrics, Properties},
    format::Format,
};

/// What is to be asked, of whom, and what must hold of it.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its name: that of its reports, and a label on its metrics.
    pub name: String,
    /// Properties of librdkafka, where it goes straight to Kafka.
    pub kafka: Properties,
    /// Who is asked.
    pub target: Target,
    /// How long an answer is waited for, from the planned time on.
    pub timeout: Duration,
    /// One after the other; at least one.
    pub phases: Vec<Phase>,
    /// What decides the exit code.
    pub thresholds: Vec<Threshold>,
    /// The most requests in flight: what is planned beyond it is not sent, and is an error.
    pub in_flight: usize,
    /// The folder of the reports.
    pub reports: PathBuf,
    /// Where metrics are served.
    pub metrics: Metrics,
}

/// Who is asked.
#[derive(Clone, Debug)]
pub enum Target {
    /// The workers, through their topics.
    Kafka(Topics),
    /// A server that answers `GET` at an address.
    Http {
        /// The address, with `{n}` where the number goes.
        url: String,
        /// Headers of every request; their values may be secrets.
        headers: Properties,
    },
}

/// The topics of the pipeline that answers.
#[derive(Clone, Debug)]
pub struct Topics {
    /// Where requests go.
    pub requests: String,
    /// How they are written.
    pub request_format: Format,
    /// Where results come from.
    pub results: String,
    /// How they are written.
    pub result_format: Format,
    /// Where what cannot be computed goes.
    pub dead_letters: String,
}

/// A part of the load, with its own results.
#[derive(Clone, Debug)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// How it asks.
    pub load: Load,
    /// At most so long.
    pub time: Option<Duration>,
    /// At most so many requests.
    pub count: Option<u64>,
    /// Which numbers are asked for.
    pub values: Values,
    /// Whether it counts: a warm-up does not.
    pub measured: bool,
    /// Whether it ends once more is asked than is answered.
    pub until_saturated: bool,
}

/// How a phase asks.
#[derive(Clone, PartialEq, Debug)]
pub enum Load {
    /// At planned times, whatever the answers do.
    Open(Profile),
    /// So many users, each of whom asks again when the answer is there.
    Closed {
        /// Users that ask one after another at the same time.
        users: u32,
        /// How long each waits before asking again.
        pause: Duration,
    },
}

impl Script {
    /// The largest number that may be asked for.
    pub fn largest(&self) -> u64 {
        self.phases.iter().map(|phase| phase.values.largest()).max().unwrap_or(0)
    }
}
