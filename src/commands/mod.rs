//! The command line: one file a subcommand, each a struct that clap fills and a `run` that does it.
//!
//! Commands read settings, put parts together and print. They must not compute, hold state, or know
//! librdkafka.

mod brokers;
mod failure;
mod file;
mod run;
mod status;
mod supervise;

pub use failure::Failure;

use clap::{Parser, Subcommand};

/// Declarative, exactly-once stream pipelines on Kafka: a worker is a TOML file.
#[derive(Parser, Debug)]
#[command(name = "pipeline", version, propagate_version = true, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    overrides: file::Overrides,
}

const EXAMPLES: &str = "\
A first look, with nothing installed:
  pipeline run factorial.toml       a worker, with a broker in memory if no Kafka answers at 127.0.0.1:9092
  pipeline request 1000             in another terminal: asks for 1000!

Kafka is looked for at 127.0.0.1:9092, unless PIPELINE_BOOTSTRAP_SERVERS or the pipeline's file says where it is.
Exit codes: 0 done, 1 failed while running, 2 wrong usage or configuration.";

#[derive(Subcommand, Debug)]
enum Command {
    Run(run::Run),
}

impl CommandLine {
    /// Does what the command line says.
    ///
    /// # Errors
    /// What went wrong, as a sentence, and whether it was the usage or the run.
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Run(run) => run.run(&self.overrides),
        }
    }
}
