//! The engine against a simulated Kafka: one thread, virtual time, and a scheduler that is a seed.
//!
//! A history is a script (`script.rs`: records, workers, faults) and chance. Its engines are the ones that run in
//! production; around them are a source, a sink and a machine whose every request, answer, timer and piece of work is a
//! step that the scheduler takes when it wants to (`world.rs`). Kafka itself is a group coordinator, a transaction
//! coordinator and logs (`group.rs`, `transactions.rs`, `topics.rs`), small enough to be read. At the end a judge
//! (`judge.rs`) holds what was written and committed against what was promised. What broke a promise is made shorter
//! (`shrink.rs`) until it can be read.
//!
//! Knows: engine, operator, plant, record, telemetry. Must not know: rdkafka, clap.

mod consumer;
mod group;
mod history;
mod judge;
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
mod told;
mod topics;
mod transactions;
mod world;

pub use search::{Found, Options, Report, explain, simulate};
