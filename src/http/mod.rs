//! Serving HTTP with limits: what every port of this program has in common. Handlers are elsewhere.
//!
//! Knows: nothing else here. Must not know: rdkafka, toml, clap.

mod newcomers;
mod serve;

pub use serve::{ConnectionLimits, serve};
