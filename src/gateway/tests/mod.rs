//! The waiter by itself, and a desk with a producer in memory; both with a clock that the test moves. And dead letters from memory.

mod desk;
mod letters;
mod replays;
mod waiter;
