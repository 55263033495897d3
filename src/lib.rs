//! Declarative, exactly-once stream pipelines on Kafka: a worker is a TOML file.
//!
//! # The layout
//! - [`record`]: what flows.
//! - [`format`]: bytes to values and back; [`operator`]: what is done to a record.
//! - [`config`]: TOML to a checked pipeline.
//! - [`broker`]: a real Kafka on this machine, for tests and first looks.

#![warn(missing_docs)]

pub mod broker;
pub mod commands;
pub mod config;
pub mod format;
pub mod operator;
pub mod record;
