//! Whoever asks gets the answer: pairs results with who asked.
//!
//! Must not know librdkafka: what has been produced, acknowledged and read is told to the [`Waiter`].

mod waiter;

pub use waiter::{Answer, Asked, Waiter};
