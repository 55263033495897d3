use std::{fs, path::Path};

use thiserror::Error;

use super::{Pipeline, lints, read::read};
use crate::settings::{Diagnostics, parse};

/// The pipelines that are in the binary, by file name.
const BUILT_IN: &[(&str, &str)] = &[
    ("factorial.toml", include_str!("../../pipelines/factorial.toml")),
    ("identity.toml", include_str!("../../pipelines/identity.toml")),
];

/// The environment variable that names the brokers, whatever the file says.
const SERVERS_VARIABLE: &str = "PIPELINE_BOOTSTRAP_SERVERS";

/// `--set path=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The setting's path, such as `source.topic` or `kafka.bootstrap.servers`.
    pub path: String,
    /// Its value, in TOML; what is not TOML is text.
    pub value: String,
}

impl std::str::FromStr for Override {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((path, value)) if !path.trim().is_empty() => {
                Ok(Override { path: path.trim().to_owned(), value: value.trim().to_owned() })
            }
            _ => Err("expected path=value, such as source.topic=numbers".to_owned()),
        }
    }
}

/// Why a file is no pipeline that can be run.
#[derive(Error, Debug)]
pub enum LoadError {
    /// It cannot be found.
    #[error(
        "there is no pipeline {name}: neither here, nor in pipelines/, nor built in (built in are {})",
        built_in().collect::<Vec<_>>().join(", ")
    )]
    NotFound {
        /// As it was asked for.
        name: String,
    },
    /// It is there and cannot be read.
    #[error("the file {file} cannot be read: {reason}")]
    Unreadable {
        /// Its path.
        file: String,
        /// What the system says.
        reason: String,
    },
    /// It says something that cannot be.
    #[error("{0}")]
    Invalid(Diagnostics),
}

/// The names of the pipelines that are in the binary.
pub fn built_in() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// Reads and checks a pipeline: the file as given, else in `pipelines/`, else the one built in by that name.
/// Overrides win over the file; `PIPELINE_BOOTSTRAP_SERVERS` wins over both. With the pipeline come the
/// warnings, if any.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load(name: &str, overrides: &[Override]) -> Result<(Pipeline, Diagnostics), LoadError> {
    let (file, source) = find(name)?;
    let mut diagnostics = Diagnostics::new(&file, &source);
    let mut given: Vec<(String, String, String)> = overrides
        .iter()
        .map(|o| (o.path.clone(), o.value.clone(), format!("--set {}={}", o.path, o.value)))
        .collect();
    if let Ok(servers) = std::env::var(SERVERS_VARIABLE) {
        given.push((
            "kafka.bootstrap.servers".to_owned(),
            format!("{servers:?}"),
            SERVERS_VARIABLE.to_owned(),
        ));
    }
    let root = parse(&source, &given, &mut diagnostics);
    let stem = Path::new(name).file_stem().map_or_else(|| name.into(), |stem| stem.to_string_lossy());
    let pipeline = read(root, &stem, &mut diagnostics);
    match pipeline {
        Some((pipeline, places)) => {
            lints::check(&pipeline, &places, &mut diagnostics);
            if diagnostics.has_errors() {
                Err(LoadError::Invalid(diagnostics))
            } else {
                Ok((pipeline, diagnostics))
            }
        }
        None => Err(LoadError::Invalid(diagnostics)),
    }
}

fn find(name: &str) -> Result<(String, String), LoadError> {
    let in_folder = format!("pipelines/{name}");
    if let Some(file) = [name, &in_folder].into_iter().find(|path| Path::new(path).is_file()) {
        let source = fs::read_to_string(file)
            .map_err(|error| LoadError::Unreadable { file: file.to_owned(), reason: error.to_string() })?;
        return Ok((file.to_owned(), source));
    }
    let built_in = BUILT_IN.iter().find(|(built_in, _)| *built_in == name);
    built_in
        .map(|(name, source)| (format!("{name} (built in)"), (*source).to_owned()))
        .ok_or_else(|| LoadError::NotFound { name: name.to_owned() })
}
