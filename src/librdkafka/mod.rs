//! The librdkafka that is built in: its version and its properties. Opens no client.
//!
//! Knows: nothing else here. Must not know: tokio, clap.

mod properties;

pub use properties::{Refusal, Scope, default_of, known, validate};

/// Its version, such as `2.12.1`.
pub fn version() -> String {
    rdkafka::util::get_rdkafka_version().1
}
