//! What is fuzzed, by itself, so that Kafka's client need not be built for it: the arithmetic (for `cargo miri` too), and
//! whatever reads bytes that a stranger has written.

#[cfg(test)]
#[path = "../../src/cpu_time.rs"]
mod cpu_time;
pub mod sizes;
pub mod targets;

/// The gateway without its clients and its server.
#[path = "../../src/gateway"]
pub mod gateway {
    pub mod asked;
    pub mod trace;

    pub mod http {
        pub mod headers;
        pub mod questions;
    }

    pub use asked::{Failure, Question};
    pub use trace::Trace;
}

#[path = "../../src/expression/mod.rs"]
pub mod expression;
#[path = "../../src/factorial/mod.rs"]
pub mod factorial;
#[path = "../../src/format/mod.rs"]
pub mod format;
#[path = "../../src/engine/offsets.rs"]
pub mod offsets;
#[path = "../../src/pieces.rs"]
pub mod pieces;
#[path = "../../src/plant.rs"]
pub mod plant;
#[path = "../../src/record/mod.rs"]
pub mod record;
#[path = "../../src/registry/mod.rs"]
pub mod registry;
#[path = "../../src/engine/reply.rs"]
pub mod reply;
#[path = "../../src/settings/mod.rs"]
pub mod settings;
#[path = "../../src/trace.rs"]
pub mod trace;
#[path = "../../src/value/mod.rs"]
pub mod value;
