//! The load generator: asks as a script says, checks each answer, and reports how long they took.
//!
//! A script's phases say what is sent when ([`Profile`]), its [`Values`] which numbers. A [`Book`] has every
//! request by its id, from its planned time to its answer, and keeps nothing of what is done but counts and
//! histograms; so memory is bounded whatever is asked. The targets report to the book what has come.
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
mod read_load;
pub mod report;
mod run;
mod script;
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
pub use read::{built_in, load, parse};
pub use run::{Request, Stop, Target, run};
pub use script::{Load, Phase, Script, Target as TargetSettings, Topics};
pub use threshold::{Outcome, Threshold, ThresholdError};
pub use values::{Draw, Values};
