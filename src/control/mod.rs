//! What is wanted of all workers of a group while they run: that they pause, or how fast they read. A commit has it, so that all of them
//! find it, and those that start later too.
//!
//! Knows: nothing else here. Must not know: rdkafka, toml, clap.

mod wanted;

pub use wanted::{Change, Rate, Wanted};
