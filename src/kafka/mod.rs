//! Kafka's clients: implements the engine's [`Source`](crate::engine::Source) and [`Sink`](crate::engine::Sink), and what the
//! gateway, the load generator and the verifier need.
//!
//! Knows: config, engine, format, gateway, load, plant, record, telemetry, trace. Must not know: operator, clap.

mod admin;
mod answers;
mod asking;
mod complaints;
mod embedded;
mod events;
mod exchange;
mod fetch_queue;
mod gateway;
mod group;
mod load;
mod log;
mod offsets;
mod permanent;
mod places;
mod poll;
mod producer;
mod reach;
mod rebalance;
mod requests;
mod rights;
pub mod settings;
mod shares;
mod signs;
mod sink;
#[cfg(test)]
mod sink_tests;
mod source;
mod starts;
mod statistics;
mod stillness;
mod survey;
mod threads;
mod topics;
mod transaction;
pub mod verify;

pub use admin::{Admin, AdminError, PartitionDescription, TopicDescription};
pub use asking::Acknowledgement;
pub use embedded::{EmbeddedBroker, EmbeddedError};
pub use exchange::{RequestError, RequestTopics};
pub use gateway::{GatewayClients, GatewayError};
pub use group::Group;
pub use load::KafkaTarget;
pub use log::{log, log_error};
pub use requests::{RequestEvent, Requests};
pub use sink::{KafkaSink, Topics};
pub use source::KafkaSource;
pub use survey::Survey;
pub use topics::Limits;
