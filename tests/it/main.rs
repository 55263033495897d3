//! The binary from outside, on a real Apache Kafka.

mod broker;
// It is there before all of its users are.
#[allow(dead_code, unused_imports)]
mod harness;
