//! TOML to a checked pipeline: positions, interpolation, overrides, lints.
//!
//! Says everything that is wrong at once. Must not know librdkafka's client or run anything: what needs a
//! broker is asked elsewhere.

mod pipeline;

pub use pipeline::*;
