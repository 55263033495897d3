//! Where a file is found: as given, in `pipelines/`, or built in.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Files in the binary: name and text.
pub(super) type BuiltIn = &'static [(&'static str, &'static str)];

/// The pipelines in the binary.
pub(super) const PIPELINES: BuiltIn = &[
    ("factorial.toml", include_str!("../../pipelines/factorial.toml")),
    ("identity.toml", include_str!("../../pipelines/identity.toml")),
];
/// The gateways in the binary.
pub(super) const GATEWAYS: BuiltIn = &[("gateway.toml", include_str!("../../pipelines/gateway.toml"))];

/// The load scripts in the binary.
pub(super) const LOADS: BuiltIn = &[
    ("load/smoke.toml", include_str!("../../pipelines/load/smoke.toml")),
    ("load/exercise.toml", include_str!("../../pipelines/load/exercise.toml")),
    ("load/ramp.toml", include_str!("../../pipelines/load/ramp.toml")),
    ("load/spike.toml", include_str!("../../pipelines/load/spike.toml")),
    ("load/soak.toml", include_str!("../../pipelines/load/soak.toml")),
];

/// Pipelines to begin with, one for each shape: name and text.
pub(crate) const EXAMPLES: BuiltIn = &[
    ("avro-to-json", include_str!("../../pipelines/examples/avro-to-json.toml")),
    ("command-python", include_str!("../../pipelines/examples/command-python.toml")),
    ("count-per-hour", include_str!("../../pipelines/examples/count-per-hour.toml")),
    ("dedupe", include_str!("../../pipelines/examples/dedupe.toml")),
    ("http", include_str!("../../pipelines/examples/http.toml")),
    ("join-table", include_str!("../../pipelines/examples/join-table.toml")),
    ("json-filter", include_str!("../../pipelines/examples/json-filter.toml")),
    ("json-map", include_str!("../../pipelines/examples/json-map.toml")),
    ("json-route", include_str!("../../pipelines/examples/json-route.toml")),
    ("json-sample", include_str!("../../pipelines/examples/json-sample.toml")),
    ("json-split", include_str!("../../pipelines/examples/json-split.toml")),
];

/// The schemas that they name: name and text.
pub(crate) const EXAMPLE_SCHEMAS: BuiltIn =
    &[("order.avsc", include_str!("../../pipelines/examples/order.avsc"))];

/// The names of the pipelines that are in the binary.
pub fn built_in() -> impl Iterator<Item = &'static str> {
    PIPELINES.iter().map(|(name, _)| *name)
}

/// Where a file was found. Prints as it is named in messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Location {
    /// A file.
    File(PathBuf),
    /// In the binary.
    BuiltIn { name: &'static str, text: &'static str },
}

impl Location {
    /// Looks for a file as given, then in `pipelines/`, then among those built in; there `.toml` may be left out.
    pub fn find(directory: &Path, name: &str, built_in: BuiltIn) -> Option<Location> {
        let candidates = [directory.join(name), directory.join("pipelines").join(name)];
        // What exists but is a folder or cannot be read is reported as such, not passed over.
        if let Some(path) = candidates.into_iter().find(|path| path.exists()) {
            return Some(Location::File(path));
        }
        built_in
            .iter()
            .find(|(built_in, _)| *built_in == name || built_in.strip_suffix(".toml") == Some(name))
            .map(|&(name, text)| Location::BuiltIn { name, text })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::File(path) => path.display().fmt(f),
            Location::BuiltIn { name, .. } => write!(f, "{name} (built in)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_as_given_wins_over_pipelines_and_that_over_what_is_built_in() {
        let directory = tempfile::tempdir().unwrap();
        let find = || Location::find(directory.path(), "factorial.toml", PIPELINES).unwrap();
        assert_eq!(find().to_string(), "factorial.toml (built in)");
        fs::create_dir(directory.path().join("pipelines")).unwrap();
        fs::write(directory.path().join("pipelines/factorial.toml"), "").unwrap();
        assert_eq!(find(), Location::File(directory.path().join("pipelines/factorial.toml")));
        fs::write(directory.path().join("factorial.toml"), "").unwrap();
        assert_eq!(find(), Location::File(directory.path().join("factorial.toml")));
    }

    #[test]
    fn what_is_built_in_goes_by_its_name_without_toml_too() {
        let directory = tempfile::tempdir().unwrap();
        let found = Location::find(directory.path(), "identity", PIPELINES).unwrap();
        assert_eq!(found.to_string(), "identity.toml (built in)");
    }
}
