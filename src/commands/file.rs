use std::io::{self, IsTerminal};

use clap::Args;

use super::Failure;
use crate::config::{LoadError, Override, Pipeline, load};

/// Settings that win over the file's.
#[derive(Args, Clone, Debug, Default)]
pub struct Overrides {
    /// Overrides a setting of the file: `--set source.topic=numbers`, `--set kafka.security.protocol=ssl`.
    /// May be given several times.
    #[arg(long = "set", value_name = "PATH=VALUE", global = true)]
    pub set: Vec<Override>,
}

/// Reads and checks a pipeline; warnings go to standard error.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_pipeline(file: &str, overrides: &Overrides) -> Result<Pipeline, Failure> {
    let (pipeline, warnings) = load(file, &overrides.set).map_err(failure)?;
    if !warnings.is_empty() {
        eprint!("{}", warnings.render(io::stderr().is_terminal()));
    }
    Ok(pipeline)
}

/// What is wrong with a file, as a failure of the usage.
pub fn failure(error: LoadError) -> Failure {
    match error {
        LoadError::Invalid(diagnostics) => {
            eprint!("{}", diagnostics.render(io::stderr().is_terminal()));
            Failure::usage("the pipeline cannot be run as it is written")
        }
        error => Failure::usage(error),
    }
}
