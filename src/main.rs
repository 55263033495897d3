//! The `pipeline` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    pipeline::Cli::new().run()
}
