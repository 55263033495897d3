//! The arithmetic by itself, for `cargo fuzz` and for `cargo miri`.

#[path = "../../src/factorial/mod.rs"]
pub mod factorial;
