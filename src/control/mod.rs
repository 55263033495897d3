//! What is wanted of all workers of a group while they run: that they pause, or how fast they read. A commit has it, so that all of them
//! find it, and those that start later too.
//!
//! Knows: config, gateway, http. Must not know: rdkafka, toml, clap.

mod listener;
mod wanted;

pub use listener::listen;
pub use wanted::{Change, Rate, Wanted};
