//! The engine: lanes, offsets, commits, the memory budget, rebalances and shutdown.
//!
//! It is composed of streams over chunks of batches. It reaches Kafka through [`Source`] and [`Sink`], and
//! the machine through [`Runtime`], so that it can be tested without either.
//!
//! One task owns all state, so there is no lock. What takes time (computing, committing) runs elsewhere and
//! comes back as an event. `run.rs` is the loop; the files beside it handle the events.
//!
//! Knows: operator, pieces, plant, record, telemetry, trace. Must not know: rdkafka, toml, clap.

mod away;
mod budget;
mod calls;
mod chunk;
mod commit;
mod compute;
mod dead_letter;
mod duplicates;
mod fair;
mod flow;
mod in_flight;
mod keys;
mod lane;
mod later;
mod objects;
mod offsets;
mod outbox;
mod outcome;
mod parked;
mod past;
mod plan;
mod ready;
mod rebalance;
mod refused;
pub mod reply;
mod run;
mod runtime;
mod segment;
mod send;
mod shared;
mod sink;
mod source;
mod stages;
mod state;
mod stop;
#[cfg(test)]
mod tests;
mod timestamps;
mod topology;
mod trace;
mod waiting;
mod window;
mod work;

pub use budget::{Budget, Reservation};
pub use duplicates::Deduplication;
pub use fair::FairBy;
pub use objects::ObjectSink;
pub use offsets::{OffsetTracker, WINDOW};
pub use plan::{Guarantee, Large, Order, Plan, Retries, RetryPolicy, RetryTopic};
pub use run::run;
pub use runtime::{Length, Machine, Runtime};
pub use sink::{Delivery, DeliveryError, Refusal, SendError, Sink, Token, Written};
pub use source::{Assignment, CommitError, CommitOffset, Handover, Past, Source, SourceEvent};
pub use state::{Change, Show, StatePlan, StateStore, StateStores};
pub use stop::Stop;
pub use topology::{Scratch, Topology};
