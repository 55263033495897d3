//! `pipeline explain`.

use clap::Args;

use super::{Failure, admin_port::ask, stdout};

/// Ask a running process how it stands
///
/// Where the time of its partitions goes, how far behind each is, and how partitions came and went, with what
/// took how long.
#[derive(Args, Debug)]
pub struct Explain {
    /// Where the process serves its metrics
    #[arg(default_value = "http://127.0.0.1:9464")]
    url: String,
}

impl Explain {
    /// Prints what the process says.
    ///
    /// # Errors
    /// It does not answer.
    pub fn run(self) -> Result<(), Failure> {
        stdout(&ask(&self.url, "/explain").map_err(Failure::Failed)?)
    }
}
