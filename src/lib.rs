//! Declarative, exactly-once stream pipelines on Kafka: a worker is a TOML file.
//!
//! # What is public
//! [`Cli`] makes a binary with every command and with operators of one's own. What those are written with is [`operator`], [`record`],
//! [`value`] and [`mod@format`]; only these keep their promises from one version to the next. All else is for this crate's own binary,
//! tests and benches, and is documented by `RUSTDOCFLAGS="--cfg internals" cargo doc`.
//!
//! # The layout
//! - [`record`]: what flows; [`pieces`]: what is larger than a record may be; [`trace`]: what it belongs to.
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
//! - [`store`]: object stores, for results that no topic takes; [`state`]: what operators remember.
//! - [`scale`]: how many workers a pipeline wants; [`control`]: what is wanted of those that run.
//! - [`wire`]: Kafka's protocol, for what librdkafka lacks; [`transactions`]: which are open, and which of them hang.
//! - [`http`]: serving HTTP with limits.
//! - [`gateway`]: pairs results with who asked; [`telemetry`]: metrics and logs; [`commands`]: the command line; [`Cli`]: the same
//!   with operators of one's own.

#![warn(missing_docs)]

#[cfg_attr(not(internals), doc(hidden))]
pub mod broker;
mod cli;
#[cfg_attr(not(internals), doc(hidden))]
pub mod commands;
#[cfg_attr(not(internals), doc(hidden))]
pub mod config;
#[cfg_attr(not(internals), doc(hidden))]
pub mod control;
#[cfg(test)]
mod cpu_time;
#[cfg_attr(not(internals), doc(hidden))]
pub mod engine;
#[cfg_attr(not(internals), doc(hidden))]
pub mod expression;
#[cfg_attr(not(internals), doc(hidden))]
pub mod factorial;
pub mod format;
#[cfg_attr(not(internals), doc(hidden))]
pub mod gateway;
#[cfg_attr(not(internals), doc(hidden))]
pub mod http;
#[cfg_attr(not(internals), doc(hidden))]
pub mod kafka;
#[cfg_attr(not(internals), doc(hidden))]
pub mod librdkafka;
#[cfg_attr(not(internals), doc(hidden))]
pub mod load;
pub mod operator;
#[cfg_attr(not(internals), doc(hidden))]
pub mod pieces;
#[cfg_attr(not(internals), doc(hidden))]
pub mod plant;
pub mod record;
#[cfg_attr(not(internals), doc(hidden))]
pub mod registry;
#[cfg_attr(not(internals), doc(hidden))]
pub mod scale;
#[cfg_attr(not(internals), doc(hidden))]
pub mod settings;
#[cfg_attr(not(internals), doc(hidden))]
pub mod simulate;
#[cfg_attr(not(internals), doc(hidden))]
pub mod state;
#[cfg_attr(not(internals), doc(hidden))]
pub mod store;
#[cfg_attr(not(internals), doc(hidden))]
pub mod telemetry;
#[cfg_attr(not(internals), doc(hidden))]
pub mod testing;
#[cfg_attr(not(internals), doc(hidden))]
pub mod trace;
#[cfg_attr(not(internals), doc(hidden))]
pub mod transactions;
pub mod value;
#[cfg_attr(not(internals), doc(hidden))]
pub mod verify;
#[cfg_attr(not(internals), doc(hidden))]
pub mod wire;

pub use cli::Cli;
