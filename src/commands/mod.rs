//! The command line: one file a subcommand, each a struct that clap fills and a `run` that does it.
//!
//! Commands read settings, put parts together and print. They must not compute, hold state, or know
//! librdkafka.

mod broker;
mod failure;

pub use failure::Failure;

use clap::{Parser, Subcommand};

/// Declarative, exactly-once stream pipelines on Kafka: a worker is a TOML file.
#[derive(Parser, Debug)]
#[command(name = "pipeline", version, propagate_version = true, arg_required_else_help = true)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Broker(broker::Broker),
}

impl CommandLine {
    /// Does what the command line says.
    ///
    /// # Errors
    /// What went wrong, as a sentence, and whether it was the usage or the run.
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Broker(command) => command.run(),
        }
    }
}
