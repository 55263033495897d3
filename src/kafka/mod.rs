//! The only folder that knows librdkafka: it implements the engine's [`Source`](crate::engine::Source) and
//! [`Sink`](crate::engine::Sink). Must not know operators, formats or the command line.

mod admin;
mod embedded;
mod exchange;
mod fetch_queue;
mod gateway;
mod group;
mod log;
mod offsets;
mod permanent;
mod places;
mod poll;
mod producer;
pub mod properties;
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
pub use embedded::{EmbeddedBroker, EmbeddedError};
pub use exchange::{Exchange, Listener};
pub use gateway::{GatewayClients, GatewayError};
pub use group::Group;
pub use log::{librdkafka_version, log, log_error};
pub use requests::{RequestError, RequestEvent, RequestTopics, Requests};
pub use sink::{KafkaSink, Topics};
pub use source::KafkaSource;
pub use survey::Survey;
pub use topics::Limits;
