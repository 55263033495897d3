//! A load script that was read and checked.

use std::{path::PathBuf, time::Duration};

use super::{plan::Profile, threshold::Threshold, values::Values};
use crate::{
    config::{Metrics, Properties},
    format::Format,
};

/// What to ask, where, and what must hold.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its name: that of its reports, and a label on its metrics.
    pub name: String,
    /// Properties of librdkafka, for the target Kafka.
    pub kafka: Properties,
    /// Where requests are sent.
    pub target: Target,
    /// How long to wait for an answer, from the planned time on.
    pub timeout: Duration,
    /// One after the other; at least one.
    pub phases: Vec<Phase>,
    /// What must hold: it decides the exit code.
    pub thresholds: Vec<Threshold>,
    /// The most requests in flight; those planned beyond it are not sent, and count as errors.
    pub in_flight: usize,
    /// The folder of the reports.
    pub reports: PathBuf,
    /// Where metrics are served.
    pub metrics: Metrics,
}

/// Where requests are sent.
#[derive(Clone, Debug)]
pub enum Target {
    /// The workers, through their topics.
    Kafka(TargetTopics),
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
pub struct TargetTopics {
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
    /// The address of the object store that large results are in, if they are.
    pub store: Option<String>,
}

/// A part of the load, with its own results.
#[derive(Clone, Debug)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// When it sends requests.
    pub model: LoadModel,
    /// How long it lasts at most.
    pub time: Option<Duration>,
    /// How many requests it sends at most.
    pub count: Option<u64>,
    /// Which numbers it asks for.
    pub values: Values,
    /// Whether it counts: a warm-up does not.
    pub measured: bool,
    /// Whether it ends once answers fall behind.
    pub until_saturated: bool,
}

/// When requests are sent: an open or a closed model of load.
#[derive(Clone, PartialEq, Debug)]
pub enum LoadModel {
    /// At planned times, whatever the answers do.
    Open(Profile),
    /// By users, each of whom asks again after the answer.
    Closed {
        /// How many users there are at the same time.
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
