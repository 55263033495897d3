//! The binary from outside: what needs no broker, and all the rest on a real Apache Kafka.

mod arrows;
mod broker;
mod check;
mod commits;
mod credentials;
mod factorial;
mod faults;
mod gateway;
mod guard;
mod harness;
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
mod security;
mod silent;
mod sources;
mod topics;
mod verify;
mod workers;
