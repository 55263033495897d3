//! The FILE and `--set` that most commands take.

use std::io::{self, IsTerminal};

use clap::Args;

use super::Failure;
use crate::{
    config::{self, Gateway, LoadError, Override, Pipeline, load},
    settings::Diagnostics,
};

/// Settings that override the file's.
#[derive(Args, Clone, Debug, Default)]
pub struct Overrides {
    /// Overrides a setting of the file; may be given several times
    ///
    /// The path's keys are separated by dots, and librdkafka's properties may contain dots too. The value is
    /// TOML, otherwise taken as a string: `--set commit.interval=50ms`, `--set operators.factorial.max_n=5`,
    /// `--set kafka.security.protocol=ssl`.
    #[arg(long = "set", value_name = "PATH=VALUE", global = true)]
    pub set: Vec<Override>,
}

/// Reads and checks a pipeline; warnings go to standard error.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_pipeline(file: &str, overrides: &Overrides) -> Result<Pipeline, Failure> {
    let (pipeline, warnings) =
        load(file, &overrides.set).map_err(|error| Failure::Usage(load_error_text(&error)))?;
    if !warnings.is_empty() {
        eprintln!("{}", for_stderr(&warnings));
    }
    Ok(pipeline)
}

/// Reads and checks a gateway; warnings go to standard error.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_gateway(file: &str, overrides: &Overrides) -> Result<Gateway, Failure> {
    let (gateway, warnings) = config::load_gateway(file, &overrides.set)
        .map_err(|error| Failure::Usage(load_error_text(&error)))?;
    if !warnings.is_empty() {
        eprintln!("{}", for_stderr(&warnings));
    }
    Ok(gateway)
}

/// The text of a load error, for standard error.
pub fn load_error_text(error: &LoadError) -> String {
    match error {
        LoadError::Invalid(diagnostics) => for_stderr(diagnostics),
        error => error.to_string(),
    }
}

/// Diagnostics as text, in colour if standard error is a terminal and `NO_COLOR` is not set.
pub fn for_stderr(diagnostics: &Diagnostics) -> String {
    let colours =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    diagnostics.render(colours).trim_end().to_owned()
}
