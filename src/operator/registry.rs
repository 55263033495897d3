//! Every operator by the name that a pipeline's file uses.

use std::sync::OnceLock;

use serde::de::DeserializeOwned;
use serde_aux::serde_introspection::serde_introspect;

use super::{
    Built, Operator, SettingError, aggregate::Aggregate, command::Command, deduplicate::Deduplicate,
    drop_tombstones::DropTombstones, factorial::Factorial, filter::Filter, headers::SetHeaders, http::Http,
    identity::Identity, join::Join, key::SetKey, map::Map, sample::Sample, settings, split::Split,
    timestamp::SetTimestamp, wasm,
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
    /// The classes of dead letters that only it has.
    pub classes: &'static [&'static str],
    /// The failures that pass which only it has.
    pub failures: &'static [&'static str],
    /// Reads the table. The error says what is wrong with a value.
    pub build: fn(toml::Table, Formats) -> Built,
}

/// An operator that is made from the settings of its table, so that a pipeline's file can name it.
pub trait Configured: Operator + Sized {
    /// Its table: a struct whose fields are the keys. With `#[serde(deny_unknown_fields)]` another key is refused.
    type Settings: DeserializeOwned;
    /// What it does, in a few words, for `--help` and error messages.
    const SUMMARY: &'static str;
    /// The classes of [bad input](super::OperatorError::BadInput) that are its own, so that test cases may name them.
    const CLASSES: &'static [&'static str] = &[];

    /// The [failures that pass](super::OperatorError::Passing) that are its own, so that `[retry.NAME]` may name them.
    const FAILURES: &'static [&'static str] = &[];

    /// Makes it. The formats are those of the values that it is given, and of those that it is to write.
    ///
    /// # Errors
    /// What is wrong with the settings.
    fn configured(settings: Self::Settings, formats: Formats) -> Result<Self, SettingError>;
}

impl Factory {
    /// An operator by that name.
    pub fn of<O: Configured>(name: &'static str) -> Self {
        Factory {
            name,
            settings: serde_introspect::<O::Settings>,
            summary: O::SUMMARY,
            classes: O::CLASSES,
            failures: O::FAILURES,
            build: |table, formats| Ok(Box::new(O::configured(settings::read(table)?, formats)?)),
        }
    }
}

static REGISTRY: OnceLock<Vec<Factory>> = OnceLock::new();

/// Every operator that a pipeline's file can name.
pub fn registry() -> &'static [Factory] {
    REGISTRY.get_or_init(|| BUILT_IN.to_vec())
}

/// Adds operators, once, before any file is read.
///
/// # Errors
/// A sentence: a name is taken, or a file was read already.
pub(crate) fn add(added: Vec<Factory>) -> Result<(), String> {
    let mut all = BUILT_IN.to_vec();
    for factory in added {
        if all.iter().any(|known| known.name == factory.name) {
            return Err(format!("there is an operator `{}` already: give yours another name", factory.name));
        }
        all.push(factory);
    }
    REGISTRY.set(all).map_err(|_| "operators have to be added before a pipeline's file is read".to_owned())
}

const fn built_in(
    name: &'static str,
    settings: fn() -> &'static [&'static str],
    summary: &'static str,
    build: fn(toml::Table, Formats) -> Built,
) -> Factory {
    Factory { name, settings, summary, classes: &[], failures: &[], build }
}

#[rustfmt::skip] // one line an operator
const BUILT_IN: &[Factory] = &[
    built_in("aggregate", Aggregate::settings, "counts, sums and so on, of the records of each key", Aggregate::build),
    built_in("command", Command::settings, "has a program compute the new value", Command::build),
    built_in("deduplicate", Deduplicate::settings, "drops records whose id has come before", Deduplicate::build),
    built_in("drop_tombstones", DropTombstones::settings, "drops records without a value", DropTombstones::build),
    built_in("factorial", Factorial::settings, "computes n! of each n", Factorial::build),
    built_in("filter", Filter::settings, "drops what a condition does not hold for", Filter::build),
    built_in("headers", SetHeaders::settings, "sets and removes headers", SetHeaders::build),
    built_in("http", Http::settings, "asks a service for the new value", Http::build),
    built_in("identity", Identity::settings, "passes every record on as it came", Identity::build),
    built_in("join", Join::settings, "adds what another topic says", Join::build),
    built_in("key", SetKey::settings, "gives records another key", SetKey::build),
    built_in("map", Map::settings, "makes another value, or sets and removes fields", Map::build),
    built_in("sample", Sample::settings, "passes a part of the records on", Sample::build),
    built_in("split", Split::settings, "makes a record of each element of a list", Split::build),
    built_in("timestamp", SetTimestamp::settings, "gives records another timestamp", SetTimestamp::build),
    built_in("wasm", wasm::settings, "has a WASM component compute the new value", wasm::build),
];
