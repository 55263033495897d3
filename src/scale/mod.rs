//! How many workers a pipeline wants: from what its waiting records cost, not from how many they are.
//!
//! [`Scaler`] is told each record of the source, and how far the group has committed; it has the operators' own estimates of their
//! costs, and measures how many seconds of those a worker does in a second. Pure, with the time as an argument.
//!
//! Knows: config, http, record, telemetry. Must not know: rdkafka, clap, engine.

mod backlog;
mod external;
mod serve;
#[cfg(test)]
mod tests;
mod wanted;

pub use backlog::Backlog;
pub use serve::{ScaleServer, bind};
pub use wanted::{Look, Scaler, Standing};
