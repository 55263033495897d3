//! Breaks things around real workers, and holds what comes out against what must.
//!
//! How the engine works is of no interest here: only a pipeline's file, processes, brokers and topics, and what the operators
//! make of a record.
//!
//! Knows: broker, config, format, kafka, load, record, testing. Must not know: clap.

mod clock;
mod cluster;
mod evidence;
mod faults;
mod history;
mod judge;
mod minutes;
mod plan;
pub mod proxy;
mod recording;
mod recovery;
mod report;
mod requests;
mod run;
mod setup;
mod workers;
mod world;

pub use cluster::{ClusterError, ProxiedCluster};
pub use evidence::Evidence;
pub use judge::{Anomaly, Kind as AnomalyKind, Verdict};
pub use plan::Kind;
pub use report::{Report, summary};
pub use run::{Happened, Outcome, Status, run};
pub use setup::Settings;
pub use world::Stop;
