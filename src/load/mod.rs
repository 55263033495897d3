//! The load generator: sends requests as a script says, checks each answer, and reports how long they took.
//!
//! The phases of a script say when requests are sent ([`LoadModel`]), and its [`Values`] which numbers they
//! ask for. A [`Book`] has every request by its number, from its planned time to its answer; of finished ones
//! it keeps counts and histograms alone, so memory is bounded. The targets report to the book what has come.
//!
//! Knows: config, factorial, format, record, settings, telemetry. Must not know: rdkafka, clap.

mod book;
mod fingerprint;
mod http;
mod id;
mod knee;
mod ledger;
mod measure;
mod plan;
mod read;
mod read_model;
pub mod report;
mod run;
mod script;
mod state;
#[cfg(test)]
mod tests;
mod threshold;
mod values;

pub use book::{Answer, Book, Standing};
pub use fingerprint::{Expected, Fingerprint, Reading};
pub use http::HttpTarget;
pub use id::RunId;
pub use knee::{Knee, knee};
pub use measure::{Distribution, Interval, PhaseResults, Results, Totals, Window};
pub use plan::{Due, Profile, Segment, Times};
pub use read::{built_in, parse, read_script};
pub use run::{Interrupt, PlannedRequest, Target, run};
pub use script::{LoadModel, Phase, Script, Target as TargetSettings, TargetTopics};
pub use threshold::{Outcome, Threshold, ThresholdError};
pub use values::{Draw, Values};
