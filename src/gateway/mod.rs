//! Answers requests over HTTP: pairs results with requests.
//!
//! [`Waiter`] is the pure part, which `pipeline request` uses too. A route's [`Desk`] is one task that owns
//! its waiter and its [`Cache`]; HTTP handlers reach it by a [`DeskHandle`]. What has been produced,
//! acknowledged and read comes as an [`Event`], and requests go to a [`RequestSink`]. Dead letters are shown beside that:
//! [`Letters`] reads and replays them.
//!
//! Knows: config, format, http, operator, pieces, record, telemetry, trace. Must not know: rdkafka, clap.

mod asked;
mod cache;
mod desk;
mod handle;
pub mod http;
mod letters;
mod reply;
mod status;
#[cfg(test)]
mod tests;
mod trace;
mod values;
mod waiter;

pub use asked::{Answer, CallerId, Failure, Produce, Question, RequestId};
pub use cache::Cache;
pub use desk::{Answered, Desk, Event, RequestRecord, RequestSink, Wish};
pub use handle::{DeskHandle, Permit};
pub use letters::{ClassOf, Example, Findings, Letters, Replayed, Shown, Summary, Summing, Told, Wanted};
pub use reply::{Pieces, Reply};
pub use status::Status;
pub use trace::Trace;
pub use waiter::Waiter;
