//! The engine against a simulated Kafka: one thread, virtual time, and a scheduler that is a seed.
//!
//! A history is a script (`script.rs`: records, workers, faults) and randomness. Its engines are the ones
//! that run in production; around them are a source, a sink and a machine whose every request, answer, timer
//! and piece of work is a step that the scheduler takes in random order (`world.rs`). Kafka itself is a group
//! coordinator, a transaction coordinator and logs (`group.rs`, `transactions.rs`, `topics.rs`), small enough
//! to be read. At the end a judge (`judge.rs`) compares what was written and committed with what was
//! promised. A history that broke a promise is shortened (`shrink.rs`) until it can be read.
//!
//! Knows: engine, operator, plant, record, telemetry. Must not know: rdkafka, clap.

mod consumer;
mod faults;
mod group;
mod history;
mod judge;
mod log_lines;
mod machine;
mod operator;
mod poll;
mod producer;
mod script;
mod search;
mod shrink;
mod sink;
#[cfg(test)]
mod tests;
mod topics;
mod transactions;
mod turns;
mod world;

pub use search::{Found, Options, Report, explain, simulate};
