//! Kafka's protocol, for the few requests that librdkafka lacks: those of KIP-664, about transactions that hang.
//!
//! A [`Connection`] goes to one broker, with TLS and SASL where the pipeline's settings say so, and blocks. Every length that a
//! broker says is held against what has come before anything is allocated for it, and every answer has a largest size and a time by
//! which it must be there. That is why the messages are read here: `kafka-protocol` 0.18 reserves what a length says.
//!
//! Knows: nothing else here. Must not know: rdkafka, clap, tokio.

mod brokers;
mod bytes;
mod connection;
mod error;
mod messages;
mod sasl;
mod scram;
mod security;
#[cfg(test)]
mod tests;
mod tls;

pub use brokers::Brokers;
pub use connection::Connection;
pub use error::{WireError, meaning};
pub use messages::{Described, Listed, NOT_COORDINATOR, OfPartition, Producer, Topics, UNKNOWN_TRANSACTION};
pub use security::Security;
