//! The whole engine on a source and a sink in memory, with a clock that tests move and computing that they
//! order: what must hold of offsets, rebalances and transactions, without a broker.

mod batches;
mod calls;
mod duplicates;
mod guarantees;
mod harness;
mod later;
mod objects;
mod ordering;
mod parked;
mod pieces;
mod rebalances;
mod refused;
mod replies;
mod reports;
mod routes;
mod stages;
mod state;
mod storms;
mod traces;
