//! Breaks things around real workers, and holds what comes out against what must.
//!
//! Must not know how the engine works: it knows a pipeline's file, processes, brokers and topics alone.

mod cluster;
pub mod proxy;

pub use cluster::{ClusterError, ProxiedCluster};
