//! From a file's name to a checked pipeline or gateway.

use std::{cell::RefCell, fs, path::Path, str::FromStr};

use thiserror::Error;

use super::{
    Gateway, Pipeline, built_in, gateway, lints,
    location::{BuiltIn, GATEWAYS, LOADS, Location, PIPELINES},
    read,
};
use crate::settings::{Diagnostics, Environment, ProcessEnvironment, Tree};

/// The environment variable that overrides `kafka.bootstrap.servers` of the file.
pub const BOOTSTRAP_SERVERS: &str = "PIPELINE_BOOTSTRAP_SERVERS";

/// `--set path=value`.
///
/// ```
/// use pipeline::config::Override;
///
/// let set: Override = "kafka.bootstrap.servers=127.0.0.1:9092".parse()?;
/// assert_eq!(set.path, "kafka.bootstrap.servers");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Override {
    /// The setting's path, such as `source.topic`.
    pub path: String,
    /// Its value in TOML; what is no TOML is a string.
    pub value: String,
}

impl FromStr for Override {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((path, value)) if !path.trim().is_empty() => {
                Ok(Override { path: path.trim().to_owned(), value: value.trim().to_owned() })
            }
            _ => Err("write path=value, such as commit.interval=50ms".to_owned()),
        }
    }
}

impl Override {
    /// As it is named in messages.
    fn name(&self) -> String {
        format!("--set {}", self.shown())
    }

    /// `path=value`. What may be a password is not repeated.
    pub fn shown(&self) -> String {
        let value = if super::is_secret(&self.path) { "***" } else { &self.value };
        format!("{}={value}", self.path)
    }
}

/// Why there is no pipeline that can run.
#[derive(Error, Clone, PartialEq, Eq, Debug)]
pub enum LoadError {
    /// No file goes by that name.
    #[error(
        "there is no pipeline {name}: {}",
        other_than_pipeline(name).unwrap_or_else(|| format!(
            "no such file here or in pipelines/, and built in are only {}",
            built_in().collect::<Vec<_>>().join(" and ")
        ))
    )]
    NotFound {
        /// The name that was looked for.
        name: String,
    },
    /// No file of a gateway goes by that name.
    #[error(
        "there is no gateway {name}: no such file here or in pipelines/, and built in is only gateway.toml"
    )]
    NoGateway {
        /// The name that was looked for.
        name: String,
    },
    /// No load script goes by that name.
    #[error(
        "there is no load script {name}: no such file here, in pipelines/ or in pipelines/load/, and built in are only {}",
        loads().collect::<Vec<_>>().join(", ")
    )]
    NoLoad {
        /// The name that was looked for.
        name: String,
    },
    /// It is there and cannot be read.
    #[error("{file} cannot be read: {reason}")]
    Unreadable {
        /// Its path.
        file: String,
        /// What the system says.
        reason: String,
    },
    /// What it says cannot work.
    #[error("{0}")]
    Invalid(Diagnostics),
}

/// Reads and checks a pipeline's file: the one of that name, else the one in `pipelines/`, else the one built
/// in. Overrides win over [`BOOTSTRAP_SERVERS`], and that over the file. With the pipeline come warnings, often
/// none.
///
/// # Errors
/// Everything that is wrong, at once, each with its place.
pub fn load(name: &str, overrides: &[Override]) -> Result<(Pipeline, Diagnostics), LoadError> {
    load_below(Path::new(""), name, overrides)
}

fn load_below(
    directory: &Path,
    name: &str,
    overrides: &[Override],
) -> Result<(Pipeline, Diagnostics), LoadError> {
    let (file, text) = read_file(directory, name, PIPELINES)?
        .ok_or_else(|| LoadError::NotFound { name: name.to_owned() })?;
    parse(&file, &text, overrides, &ProcessEnvironment).map_err(LoadError::Invalid)
}

/// As [`load`], for a gateway's file.
///
/// # Errors
/// Everything that is wrong, at once, each with its place.
pub fn load_gateway(name: &str, overrides: &[Override]) -> Result<(Gateway, Diagnostics), LoadError> {
    let (file, text) = read_file(Path::new(""), name, GATEWAYS)?
        .ok_or_else(|| LoadError::NoGateway { name: name.to_owned() })?;
    parse_gateway(&file, &text, overrides, &ProcessEnvironment).map_err(LoadError::Invalid)
}

/// What else goes by that name.
fn other_than_pipeline(name: &str) -> Option<String> {
    if GATEWAYS.iter().any(|(gateway, _)| *gateway == name) {
        return Some(format!("{name} is a gateway, for `pipeline serve {name}`"));
    }
    loads().any(|load| load == name).then(|| format!("{name} is a load script, for `pipeline load {name}`"))
}

/// The names of the load scripts that are in the binary.
pub(crate) fn loads() -> impl Iterator<Item = &'static str> {
    LOADS.iter().filter_map(|(name, _)| name.strip_prefix("load/"))
}

/// The name in messages and the text of a load script's file: the one of that name, else the one in
/// `pipelines/`, else that in `pipelines/load/`, else the one built in.
pub(crate) fn load_script(directory: &Path, name: &str) -> Result<(String, String), LoadError> {
    let found = match read_file(directory, name, LOADS)? {
        None => read_file(directory, &format!("load/{name}"), LOADS)?,
        found => found,
    };
    found.ok_or_else(|| LoadError::NoLoad { name: name.to_owned() })
}

/// A file's name in messages, and its text; `None` where it is nowhere.
fn read_file(directory: &Path, name: &str, built_in: BuiltIn) -> Result<Option<(String, String)>, LoadError> {
    let Some(location) = Location::find(directory, name, built_in) else { return Ok(None) };
    let file = location.to_string();
    let text = match location {
        Location::BuiltIn { text, .. } => text.to_owned(),
        Location::File(path) => fs::read_to_string(path)
            .map_err(|error| LoadError::Unreadable { file: file.clone(), reason: error.to_string() })?,
    };
    Ok(Some((file, text)))
}

/// As [`load`], for a text that is at hand; `file` is its name in messages.
///
/// ```
/// use pipeline::{config, settings::ProcessEnvironment};
///
/// let toml = r#"
///     name = "copy"
///     source.topic = "in"
///     sink.topic = "out"
///     [operators.identity]
/// "#;
/// let (pipeline, _warnings) = config::parse("copy.toml", toml, &[], &ProcessEnvironment)?;
/// assert_eq!(pipeline.dead_letters, "in.dlq");
/// # Ok::<(), pipeline::settings::Diagnostics>(())
/// ```
///
/// # Errors
/// Everything that is wrong, at once, each with its place.
pub fn parse(
    file: &str,
    text: &str,
    overrides: &[Override],
    environment: &dyn Environment,
) -> Result<(Pipeline, Diagnostics), Diagnostics> {
    let (tree, diagnostics) = tree(file, text, overrides, environment)?;
    let diagnostics = RefCell::new(diagnostics);
    let pipeline = read::pipeline(&tree, &diagnostics);
    let mut diagnostics = diagnostics.into_inner();
    if let Some(pipeline) = &pipeline {
        lints::check(pipeline, &tree, &mut diagnostics);
    }
    match pipeline {
        Some(pipeline) if !diagnostics.has_errors() => Ok((pipeline, diagnostics)),
        _ => Err(diagnostics),
    }
}

/// As [`parse`], for a gateway.
///
/// # Errors
/// Everything that is wrong, at once, each with its place.
pub fn parse_gateway(
    file: &str,
    text: &str,
    overrides: &[Override],
    environment: &dyn Environment,
) -> Result<(Gateway, Diagnostics), Diagnostics> {
    let (tree, diagnostics) = tree(file, text, overrides, environment)?;
    let diagnostics = RefCell::new(diagnostics);
    let gateway = gateway::read(&tree, &diagnostics);
    let diagnostics = diagnostics.into_inner();
    match gateway {
        Some(gateway) if !diagnostics.has_errors() => Ok((gateway, diagnostics)),
        _ => Err(diagnostics),
    }
}

/// The file with what wins over it.
pub(crate) fn tree(
    file: &str,
    text: &str,
    overrides: &[Override],
    environment: &dyn Environment,
) -> Result<(Tree, Diagnostics), Diagnostics> {
    let mut named = Vec::new();
    if let Some(servers) = environment.variable(BOOTSTRAP_SERVERS) {
        named.push(("kafka.bootstrap.servers".to_owned(), servers, BOOTSTRAP_SERVERS.to_owned()));
    }
    named.extend(overrides.iter().map(|set| (set.path.clone(), set.value.clone(), set.name())));
    Tree::parse(file, text, &named, environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_can_run_and_warns_of_nothing() {
        let directory = tempfile::tempdir().unwrap();
        for name in built_in() {
            let (pipeline, warnings) = load_below(directory.path(), name, &[]).unwrap();
            assert_eq!(format!("{}.toml", pipeline.name), name);
            assert!(warnings.is_empty(), "{warnings}");
        }
    }

    #[test]
    fn a_name_found_nowhere_says_where_it_was_looked_for_and_what_is_built_in() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(
            load_below(directory.path(), "factorail.toml", &[]).unwrap_err().to_string(),
            "there is no pipeline factorail.toml: no such file here or in pipelines/, \
             and built in are only factorial.toml and identity.toml"
        );
        for (name, command) in [("gateway.toml", "serve"), ("smoke.toml", "load")] {
            let error = load_below(directory.path(), name, &[]).unwrap_err().to_string();
            assert!(error.contains(&format!("for `pipeline {command} {name}`")), "{error}");
        }
    }

    #[test]
    fn a_folder_is_not_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("factorial.toml")).unwrap();
        let error = load_below(directory.path(), "factorial.toml", &[]).unwrap_err().to_string();
        assert!(error.contains("factorial.toml cannot be read: "), "{error}");
    }

    #[test]
    fn an_override_without_a_path_or_an_equals_sign_is_refused() {
        for text in ["commit.interval", "=5", " = 5"] {
            let refused: Result<Override, String> = text.parse();
            assert_eq!(refused, Err("write path=value, such as commit.interval=50ms".to_owned()));
        }
    }

    #[test]
    fn a_password_on_the_command_line_is_not_repeated() {
        let set: Override = "kafka.sasl.password=hunter2".parse().unwrap();
        assert_eq!(set.name(), "--set kafka.sasl.password=***");
    }
}
