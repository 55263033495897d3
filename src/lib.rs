//! Declarative, exactly-once stream pipelines on Kafka: a worker is a TOML file.
//!
//! # The layout
//! - [`record`]: what flows; [`trace`]: what it belongs to.
//! - [`value`]: what bytes mean; [`mod@format`]: bytes to values and back; [`registry`]: schemas of such bytes; [`expression`]: CEL over a record; [`operator`]: what is
//!   done to a record.
//! - [`factorial`]: pure arithmetic.
//! - [`settings`]: a TOML file with its positions; [`config`]: what it says, checked, as a pipeline.
//! - [`engine`]: lanes, offsets, commits, the memory budget; [`testing`]: operators without any of it.
//! - [`kafka`]: the only folder that opens librdkafka's clients; [`librdkafka`]: its properties; [`broker`]: a real Kafka on
//!   this machine.
//! - [`load`]: the load generator; [`verify`]: breaks things around real workers, and judges what comes out;
//!   [`simulate`]: the same of the engine alone, in virtual time;
//!   [`plant`]: faults on purpose, for both to find.
//! - [`http`]: serving HTTP with limits.
//! - [`gateway`]: pairs results with who asked; [`telemetry`]: metrics and logs; [`commands`]: the command line; [`Cli`]: the same
//!   with operators of one's own.

#![warn(missing_docs)]

pub mod broker;
mod cli;
pub mod commands;
pub mod config;
pub mod engine;
pub mod expression;
pub mod factorial;
pub mod format;
pub mod gateway;
pub mod http;
pub mod kafka;
pub mod librdkafka;
pub mod load;
pub mod operator;
pub mod plant;
pub mod record;
pub mod registry;
pub mod settings;
pub mod simulate;
pub mod telemetry;
pub mod testing;
pub mod trace;
pub mod value;
pub mod verify;

pub use cli::Cli;
