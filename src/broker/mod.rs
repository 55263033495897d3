//! A real Apache Kafka on this machine, for tests and for users without one: KRaft, one node or three, from
//! the jars on Maven Central, listening on loopback only.
//!
//! It deals with processes, ports and files: a broker is ready when its log says so and its port accepts.
//!
//! Knows: nothing else here. Must not know: rdkafka, clap.

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
