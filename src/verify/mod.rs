//! Breaks things around real workers, and compares what comes out with what must come out.
//!
//! Independent of how the engine works: it sees a pipeline's file, processes, brokers and topics, and what
//! the operators make of a record.
//!
//! Knows: broker, config, format, kafka, load, pieces, record, store, testing. Must not know: clap.

mod clock;
mod cluster;
mod evidence;
mod faults;
mod history;
mod joined;
mod judge;
mod minutes;
mod names;
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
pub use judge::{Anomaly, AnomalyKind, Verdict};
pub use plan::FaultKind;
pub use report::{Report, summary};
pub use run::{Happened, Outcome, Status, run};
pub use setup::Settings;
