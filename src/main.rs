//! The `pipeline` binary: reads the command line and calls one function in `commands`.

use std::process::ExitCode;

use clap::Parser;
use pipeline::commands::CommandLine;

fn main() -> ExitCode {
    match CommandLine::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}
