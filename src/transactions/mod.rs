//! Which transactions are open at a pipeline's partitions, which of them hang, and how one is aborted (KIP-664).
//!
//! A transaction that nobody ends holds a partition's last stable offset, and with it every reader of what is committed. Each
//! partition's leader says which transactions are open there, their coordinators say which of these they know, and what does not fit hangs.
//!
//! Knows: config, kafka, record, wire. Must not know: rdkafka, clap, tokio.

mod abort;
mod ask;
mod judge;
mod place;

pub use abort::{AbortError, Aborted};
pub use ask::{OpenAt, Survey, Transaction};
pub use judge::{Coordinated, Open, Verdict, Why};
pub use place::{PlaceError, Places};

/// Milliseconds since 1970 UTC.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // With a clock before 1970 only the ages are wrong.
    since.map_or(0, |since| since.as_millis() as i64)
}
