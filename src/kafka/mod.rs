//! The only folder that knows librdkafka.
//!
//! Must not know operators, formats or the command line.

pub mod properties;
