//! The clients of `pipeline verify`: ask, read topics to their ends, read the group's commits, change topics.
//!
//! They share nothing with the engine's clients: what is judged must not be its own judge.
//!
//! Must not know: engine, sink, source, starts.

mod asker;
mod changes;
mod commits;
mod reader;

pub use super::asking::Acknowledgement;
pub use asker::Asker;
pub use changes::Changes;
pub use commits::{Committed, Lag, coordinating_partition, read_commits};
pub use reader::{Ends, Isolation, Seen, Tail, ends, read_to_end};
