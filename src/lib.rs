//! Declarative, exactly-once stream pipelines on Kafka: a worker is a TOML file.
//!
//! # The layout
//! - [`record`]: what flows.
//! - [`format`]: bytes to values and back; [`operator`]: what is done to a record.
//! - [`config`]: TOML to a checked pipeline.

#![warn(missing_docs)]

pub mod commands;
pub mod config;
pub mod engine;
pub mod factorial;
pub mod format;
pub mod kafka;
pub mod operator;
pub mod record;
pub mod settings;
pub mod telemetry;
