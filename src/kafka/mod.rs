//! The only folder that knows librdkafka: it implements the engine's [`Source`](crate::engine::Source) and
//! [`Sink`](crate::engine::Sink). Must not know operators, formats or the command line.

mod fetch_queue;
mod offsets;
mod poll;
pub mod properties;
mod rebalance;
mod sink;
mod source;
mod transaction;

pub use sink::{KafkaSink, Topics};
pub use source::{Group, KafkaSource};
