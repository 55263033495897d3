//! Has a WASM component compute, in a sandbox that gives it nothing but records: no file, no network, no clock.
//!
//! `guest.rs` is a component and its running instances, `host.rs` is what one may call and use. Both are there with the feature `wasm`
//! alone, as compiling wasmtime takes minutes.
//!
//! Knows: format, record. Must not know: rdkafka, clap.

#[cfg(feature = "wasm")]
mod guest;
#[cfg(feature = "wasm")]
mod host;
#[cfg(feature = "wasm")]
mod operator;
#[cfg(all(test, feature = "wasm"))]
mod tests;

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;
use serde_aux::serde_introspection::serde_introspect;

use super::{Built, SettingError, settings as common};
use crate::format::Formats;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The file of the component, `enrich.wasm`.
    component: PathBuf,
    /// The most memory that one instance may use, in bytes.
    #[serde(default = "default_memory", deserialize_with = "common::size")]
    memory: u64,
    /// How much one call may compute: about one for each instruction.
    #[serde(default = "default_fuel")]
    fuel: u64,
    /// What it may use beside records, by the names in [`GRANTS`].
    #[serde(default)]
    grant: Vec<String>,
    /// What it reads by `config.get`.
    #[serde(default)]
    config: BTreeMap<String, String>,
}

/// What a file may grant.
const GRANTS: &[&str] = &["clock"];

fn default_memory() -> u64 {
    64 << 20
}

fn default_fuel() -> u64 {
    1_000_000_000
}

pub(super) fn settings() -> &'static [&'static str] {
    serde_introspect::<Settings>()
}

pub(super) fn build(table: toml::Table, formats: Formats) -> Built {
    let settings: Settings = common::read(table)?;
    let wrong = |key, reason: String| Err(SettingError::new(Some(key), reason));
    if let Some(unknown) = settings.grant.iter().find(|grant| !GRANTS.contains(&grant.as_str())) {
        return wrong(
            "grant",
            format!("there is no `{unknown}` to grant; there is `{}`", GRANTS.join("`, `")),
        );
    }
    if settings.memory < 1 << 16 {
        return wrong("memory", "it must be at least 64 KiB, a page of WASM".to_owned());
    }
    if settings.fuel == 0 {
        return wrong("fuel", "it must be at least 1".to_owned());
    }
    #[cfg(feature = "wasm")]
    return operator::Wasm::build(settings, formats);
    #[cfg(not(feature = "wasm"))]
    {
        let _ = (settings.component, settings.config, formats);
        let reason =
            "this `pipeline` was built without WASM: build it with `cargo build --release --features wasm`";
        Err(SettingError::new(None, reason))
    }
}
