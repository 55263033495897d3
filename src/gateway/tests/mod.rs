//! The waiter by itself, and a desk with a producer in memory; both with a clock that the test moves.

mod desk;
mod waiter;
