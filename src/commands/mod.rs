//! The command line: a file for each subcommand, with a struct that clap fills and a `run` that executes it.
//!
//! Commands read settings, assemble parts and print. They compute nothing and hold no state.
//!
//! Knows: broker, config, control, engine, factorial, format, gateway, kafka, load, operator, pieces, record, scale, settings, simulate, state, store, telemetry, testing, transactions, value, verify. Must not know: rdkafka.

mod admin_port;
mod broker;
mod brokers;
mod check;
mod control;
mod dead_letters;
mod explain;
mod factorial;
mod failure;
mod file;
mod graph;
mod load;
mod manual;
mod new;
mod offsets;
mod preview;
mod reload;
mod request;
mod run;
mod scale;
mod serve;
mod signals;
mod simulate;
mod stand_in;
mod status;
mod supervise;
mod tap;
mod test;
#[cfg(test)]
mod tests;
mod top;
mod topics;
mod transactions;
mod under_way;
mod verify;

use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};

pub use failure::Failure;

use clap::{Parser, Subcommand};

use crate::telemetry::end_spans;

/// Declarative, exactly-once stream pipelines on Kafka: a worker is a TOML file
///
/// A pipeline reads records from one topic, takes them through operators and writes the results to another;
/// what cannot be computed goes to a dead-letter topic. Every process that runs the same file shares the work.
#[derive(Parser, Debug)]
#[command(name = "pipeline", version, propagate_version = true, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
A first look, with nothing installed:
  pipeline run factorial.toml       a worker, with a broker in memory if no Kafka answers at 127.0.0.1:9092
  pipeline request 1000             in another terminal: asks for 1000!
  pipeline factorial 1000           computes 1000! here, with no Kafka at all

A pipeline of your own:
  pipeline new mine --from json-filter   a file to begin with: mine.toml
  pipeline graph factorial.toml     what such a file describes
  pipeline check mine.toml          everything that is wrong with it, at once
  pipeline test mine.toml           its own [[test]] cases, without a broker
  pipeline run mine.toml            ... and on every further machine, to share the partitions

Kafka is looked for at 127.0.0.1:9092, unless PIPELINE_BOOTSTRAP_SERVERS or the pipeline's file says where it is.
Exit codes: 0 done, 1 failed while running, 2 wrong usage or configuration.";

#[derive(Subcommand, Debug)]
enum Command {
    Run(run::Run),
    Request(request::Request),
    Serve(serve::Serve),
    Load(load::Load),
    Verify(verify::Verify),
    Factorial(factorial::Factorial),
    Broker(broker::Broker),
    Topics(topics::Topics),
    Check(check::Check),
    Graph(graph::Graph),
    New(new::New),
    Test(test::Test),
    Tap(tap::Tap),
    Explain(explain::Explain),
    Scale(scale::Scale),
    DeadLetters(dead_letters::DeadLetters),
    Offsets(offsets::Offsets),
    Pause(control::Pause),
    Resume(control::Resume),
    Rate(control::SetRate),
    Transactions(transactions::Transactions),
    Top(top::Top),
    Completions(manual::Completions),
    #[command(name = "man")]
    Manual(manual::Manual),
}

impl CommandLine {
    /// Executes the command.
    ///
    /// # Errors
    /// What went wrong, as a sentence, and whether it was the usage or the run.
    pub fn run(self) -> Result<(), Failure> {
        let result = match self.command {
            Command::Run(run) => run.run(),
            Command::Request(request) => request.run(),
            Command::Serve(serve) => serve.run(),
            Command::Load(load) => load.run(),
            Command::Verify(verify) => verify.run(),
            Command::Factorial(factorial) => factorial.run(),
            Command::Broker(broker) => broker.run(),
            Command::Topics(topics) => topics.run(),
            Command::Check(check) => check.run(),
            Command::Graph(graph) => graph.run(),
            Command::New(new) => new.run(),
            Command::Test(test) => test.run(),
            Command::Tap(tap) => tap.run(),
            Command::Explain(explain) => explain.run(),
            Command::Scale(scale) => scale.run(),
            Command::DeadLetters(letters) => letters.run(),
            Command::Offsets(offsets) => offsets.run(),
            Command::Pause(pause) => pause.run(),
            Command::Resume(resume) => resume.run(),
            Command::Rate(rate) => rate.run(),
            Command::Transactions(transactions) => transactions.run(),
            Command::Top(top) => top.run(),
            Command::Completions(completions) => completions.run(),
            Command::Manual(manual) => manual.run(),
        };
        end_spans();
        result
    }
}

/// Whether a person at the terminal says yes.
fn confirmed(question: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(format!("{question} Say --yes, as there is no terminal to ask on")));
    }
    eprintln!();
    asked(question)
}

/// The same, where it is known that somebody is there.
fn asked(question: &str) -> Result<bool, Failure> {
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(Failure::failed)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

/// Prints to standard output. A reader that has gone, such as `head`, is no failure.
fn stdout(text: &(impl AsRef<[u8]> + ?Sized)) -> Result<(), Failure> {
    print(text).map(drop)
}

/// The same; says whether somebody still reads it.
fn print(text: &(impl AsRef<[u8]> + ?Sized)) -> Result<bool, Failure> {
    match io::stdout().write_all(text.as_ref()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::Failed(format!("cannot write to standard output: {error}"))),
    }
}
