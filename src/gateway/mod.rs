//! A client of the gateway receives its answer: pairs results with requests, and answers over HTTP.
//!
//! [`Waiter`] is the pure part, which `pipeline request` uses too. A route's [`Desk`] is one task that owns its
//! waiter and its [`Cache`]; HTTP handlers reach it by an [`Asker`]. What has been produced, acknowledged and read comes
//! as an [`Event`], and requests go to a [`Requests`].
//!
//! Knows: config, format, http, telemetry, trace. Must not know: rdkafka, clap.

mod asker;
mod cache;
mod desk;
pub mod http;
mod status;
#[cfg(test)]
mod tests;
mod trace;
mod waiter;

pub use asker::{Asker, Room};
pub use cache::Cache;
pub use desk::{Desk, Event, Outgoing, Reply, Requests, Told, Wish};
pub use status::Status;
pub use trace::Trace;
pub use waiter::{Answer, Asked, Failure, Produce, Question, Request, Waiter};
