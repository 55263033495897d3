//! How a command fails, and with which exit code.

use std::process::ExitCode;

use thiserror::Error;

/// Why a command failed; decides the exit code.
#[derive(Error, Debug)]
pub enum Failure {
    /// The command line or a file is wrong: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// It failed while running: exit code 1.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    /// A failure while running, from an error that is a sentence.
    pub fn failed(error: impl std::fmt::Display) -> Self {
        Failure::Failed(error.to_string())
    }

    /// Wrong usage or configuration, from an error that is a sentence.
    pub fn usage(error: impl std::fmt::Display) -> Self {
        Failure::Usage(error.to_string())
    }

    /// 1 for a failure while running, 2 for wrong usage or configuration.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Usage(_) => ExitCode::from(2),
            Failure::Failed(_) => ExitCode::from(1),
        }
    }
}
