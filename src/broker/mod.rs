//! A real Apache Kafka on this machine, for tests and for a person without one: KRaft, one node or three,
//! from the jars on Maven Central, listening on loopback alone.
//!
//! Knows processes, ports and files. Must not know librdkafka, pipelines or the command line: a broker is
//! ready when it says so in its log and its port accepts.

mod error;
mod guard;
mod jars;
mod local;
mod ports;
mod properties;

pub use error::BrokerError;
pub use guard::Watch;
pub use jars::{Jars, KAFKA_VERSION};
pub use local::{Data, LocalCluster, Nodes, Settings, data_folder};
