//! The engine: lanes, offsets, commits, the memory budget, rebalances and shutdown.
//!
//! Composed of streams over chunks of batches. Must not know librdkafka: it speaks to Kafka through
//! [`Source`] and [`Sink`], and to the machine through [`Environment`], so that it runs without either.
//!
//! One task owns all state, so there is no lock; what takes time (computing, committing) goes on elsewhere
//! and comes back as an event. `run.rs` is the loop, and the files beside it say what each event does.

mod budget;
mod chunk;
mod commit;
mod compute;
mod dead_letter;
mod environment;
mod fair;
mod in_flight;
mod keys;
mod lane;
mod offsets;
mod ready;
mod rebalance;
mod refused;
pub mod reply;
mod run;
mod send;
mod sink;
mod source;
mod stages;
mod stop;
#[cfg(test)]
mod tests;
mod timestamps;
mod topology;
mod trace;
mod work;

pub use budget::{Budget, Reservation};
pub use compute::{RetryPolicy, wire_size};
pub use environment::{Environment, Machine};
pub use fair::FairBy;
pub use offsets::{OffsetTracker, WINDOW};
pub use run::{Plan, run};
pub use sink::{Delivery, DeliveryError, Destination, Refusal, SendError, Sink, Token};
pub use source::{Assignment, CommitError, CommitOffset, Handover, Source, SourceEvent};
pub use stop::Stop;
pub use topology::{Scratch, Topology};
