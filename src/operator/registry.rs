//! Every operator by the name that a pipeline's file uses.

use super::{
    Built, drop_tombstones::DropTombstones, factorial::Factorial, filter::Filter, headers::SetHeaders,
    identity::Identity, key::SetKey, map::Map, sample::Sample, split::Split,
};
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
        Factory { name: "drop_tombstones", settings: DropTombstones::settings, summary: "drops records without a value", build: DropTombstones::build },
        Factory { name: "factorial", settings: Factorial::settings, summary: "computes n! of each n", build: Factorial::build },
        Factory { name: "filter", settings: Filter::settings, summary: "drops what a condition does not hold for", build: Filter::build },
        Factory { name: "headers", settings: SetHeaders::settings, summary: "sets and removes headers", build: SetHeaders::build },
        Factory { name: "identity", settings: Identity::settings, summary: "passes every record on as it came", build: Identity::build },
        Factory { name: "key", settings: SetKey::settings, summary: "gives records another key", build: SetKey::build },
        Factory { name: "map", settings: Map::settings, summary: "makes another value, or sets and removes fields", build: Map::build },
        Factory { name: "sample", settings: Sample::settings, summary: "passes a part of the records on", build: Sample::build },
        Factory { name: "split", settings: Split::settings, summary: "makes a record of each element of a list", build: Split::build },
    ];
    ALL
}
