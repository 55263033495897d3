//! The clients of `pipeline verify`, which send requests, read topics to their ends, read the group's
//! commits, and change topics.
//!
//! They share nothing with the engine's clients, which must not judge themselves.
//!
//! Must not know: engine, sink, source, starts.

mod changes;
mod commits;
mod part;
mod producer;
mod reader;

pub use super::request_producer::Acknowledgement;
pub use changes::Changes;
pub use commits::{Committed, Lag, committed, coordinating_partition, read_commits};
pub use part::{Begin, Bounds, Looked, read_part};
pub use producer::VerifyProducer;
pub use reader::{Ends, Isolation, Seen, Tail, ends, read_to_end, seen};
