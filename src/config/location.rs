use std::{
    fmt,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// The pipelines in the binary, by file name.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("factorial.toml", include_str!("../../pipelines/factorial.toml")),
    ("identity.toml", include_str!("../../pipelines/identity.toml")),
];

/// Where a pipeline's file was found. Prints as it is named in messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Location {
    /// A file.
    File(PathBuf),
    /// In the binary.
    BuiltIn {
        /// The file's name.
        name: &'static str,
        /// What it says.
        text: &'static str,
    },
}

/// No pipeline goes by that name.
#[derive(Error, Clone, PartialEq, Eq, Debug)]
#[error(
    "no pipeline `{name}`: there is no such file here or in `pipelines/`, and built in are only {}",
    built_in()
)]
pub struct NotFound {
    /// The name that was looked for.
    pub name: String,
}

fn built_in() -> String {
    BUILT_IN.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" and ")
}

impl Location {
    /// Looks for a file as given, then in `pipelines/`, then among those built in; there `.toml` may be left out.
    ///
    /// # Errors
    /// A sentence that says where it was looked for.
    pub fn find(name: &str) -> Result<Location, NotFound> {
        Location::find_below(Path::new(""), name)
    }

    fn find_below(directory: &Path, name: &str) -> Result<Location, NotFound> {
        let candidates = [directory.join(name), directory.join("pipelines").join(name)];
        // What exists but is a folder or cannot be read is reported as such, not passed over.
        if let Some(path) = candidates.into_iter().find(|path| path.exists()) {
            return Ok(Location::File(path));
        }
        BUILT_IN
            .iter()
            .find(|(built_in, _)| *built_in == name || built_in.strip_suffix(".toml") == Some(name))
            .map(|&(name, text)| Location::BuiltIn { name, text })
            .ok_or_else(|| NotFound { name: name.to_owned() })
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
        let find = || Location::find_below(directory.path(), "factorial.toml").unwrap();
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
        let found = Location::find_below(directory.path(), "identity").unwrap();
        assert_eq!(found.to_string(), "identity.toml (built in)");
    }

    #[test]
    fn a_name_found_nowhere_says_where_it_was_looked_for_and_what_is_built_in() {
        let directory = tempfile::tempdir().unwrap();
        let missing = Location::find_below(directory.path(), "factorail.toml").unwrap_err();
        assert_eq!(
            missing.to_string(),
            "no pipeline `factorail.toml`: there is no such file here or in `pipelines/`, \
             and built in are only factorial.toml and identity.toml"
        );
    }
}
