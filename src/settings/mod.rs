//! A TOML file read key by key, with positions, saying everything that is wrong with it at once.
//!
//! Knows TOML, `--set`, and `${env:…}`. Must not know what the settings are for.

mod diagnostics;
mod interpolate;
mod tree;

pub use diagnostics::{Diagnostics, Place, Severity};
pub use tree::{Entry, Node, Table, Value, parse, suggestion};
