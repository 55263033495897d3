//! The binary from outside: what needs no broker, and all the rest on a real Apache Kafka.

mod arrows;
mod bad;
mod broker;
mod check;
mod code;
mod commits;
#[cfg(feature = "wasm")]
mod components;
mod credentials;
mod dead_letters;
mod duplicates;
mod factorial;
mod faults;
mod gateway;
mod guard;
mod harness;
mod keys;
mod large;
mod latest;
mod load;
mod observability;
mod offline;
mod permanent;
mod poison;
mod ports;
mod refused;
mod request;
mod routes;
mod schemas;
mod security;
mod silent;
mod sources;
mod tap;
mod topics;
mod verify;
mod workers;
