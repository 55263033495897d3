//! The `pipeline` binary.

use std::process::ExitCode;

/// In the static binary of a release: what musl has takes twice the CPU for small records.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    pipeline::Cli::new().run()
}
