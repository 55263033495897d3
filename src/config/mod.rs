//! TOML to a checked pipeline: where it is found, what it says, and whether that can work.
//!
//! Says everything that is wrong at once. Must not run anything or open a client: of librdkafka it asks only
//! which properties there are, and what needs a broker is asked elsewhere.

mod cases;
mod kafka;
mod location;
mod operators;
mod pipeline;
mod read;

use std::{cell::RefCell, fs};

pub use location::{BUILT_IN, Location, NotFound};
pub use pipeline::*;

use crate::settings::{Diagnostic, Diagnostics, Environment, ProcessEnvironment, Severity, Tree};

/// The environment variable that overrides `kafka.bootstrap.servers`.
pub const BOOTSTRAP_SERVERS: &str = "PIPELINE_BOOTSTRAP_SERVERS";

/// A pipeline that can run, and what its author would want to know all the same.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// Warnings alone; often none.
    pub warnings: Diagnostics,
}

/// Reads and checks a pipeline's file. `overrides` are paths and values as in `--set path=value`; they win over
/// [`BOOTSTRAP_SERVERS`], which wins over the file.
///
/// # Errors
/// Everything that is wrong, each with its place.
pub fn load(location: &Location, overrides: &[(String, String)]) -> Result<Checked, Diagnostics> {
    let text = match location {
        Location::BuiltIn { text, .. } => (*text).to_owned(),
        Location::File(path) => fs::read_to_string(path).map_err(|error| {
            let mut diagnostics = Diagnostics::new(location.to_string(), "");
            diagnostics.push(Diagnostic {
                severity: Severity::Error,
                sentence: format!("{location} cannot be read: {error}"),
                origin: None,
                help: None,
            });
            diagnostics
        })?,
    };
    parse(&location.to_string(), &text, overrides, &ProcessEnvironment)
}

/// As [`load`], for a text that is at hand. `file` is the name in messages.
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
/// let checked = config::parse("copy.toml", toml, &[], &ProcessEnvironment)?;
/// assert_eq!(checked.pipeline.dead_letters, "in.dlq");
/// # Ok::<(), pipeline::settings::Diagnostics>(())
/// ```
///
/// # Errors
/// Everything that is wrong, each with its place.
pub fn parse(
    file: &str,
    text: &str,
    overrides: &[(String, String)],
    environment: &dyn Environment,
) -> Result<Checked, Diagnostics> {
    let mut named = Vec::new();
    if let Some(servers) = environment.variable(BOOTSTRAP_SERVERS) {
        named.push(("kafka.bootstrap.servers".to_owned(), servers, BOOTSTRAP_SERVERS.to_owned()));
    }
    for (path, value) in overrides {
        named.push((path.clone(), value.clone(), format!("--set {path}={value}")));
    }
    let (tree, diagnostics) = Tree::parse(file, text, &named, environment)?;
    let diagnostics = RefCell::new(diagnostics);
    let pipeline = read::pipeline(&tree, &diagnostics);
    let diagnostics = diagnostics.into_inner();
    match pipeline {
        Some(pipeline) if !diagnostics.has_errors() => Ok(Checked { pipeline, warnings: diagnostics }),
        _ => Err(diagnostics),
    }
}
