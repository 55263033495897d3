//! Every operator by the name that a pipeline's file uses.

use super::{Built, factorial::Factorial, filter::Filter, identity::Identity};
use crate::format::Formats;

/// How an operator is made from its table in a pipeline's file.
#[derive(Clone, Copy)]
pub struct Factory {
    /// The name that a pipeline's file uses.
    pub name: &'static str,
    /// The keys that its table may have.
    pub settings: fn() -> &'static [&'static str],
    /// What it does, in a few words, for `--help` and error messages.
    pub summary: &'static str,
    /// Reads the table. The error says what is wrong with a value.
    pub build: fn(toml::Table, Formats) -> Built,
}

/// Every operator that a pipeline's file can name.
#[rustfmt::skip] // one line an operator
pub fn registry() -> &'static [Factory] {
    const ALL: &[Factory] = &[
        Factory { name: "factorial", settings: Factorial::settings, summary: "computes n! of each n", build: Factorial::build },
        Factory { name: "filter", settings: Filter::settings, summary: "drops what a condition does not hold for", build: Filter::build },
        Factory { name: "identity", settings: Identity::settings, summary: "passes every record on as it came", build: Identity::build },
    ];
    ALL
}
