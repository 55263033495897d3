//! `pipeline explain`.

use clap::Args;

use super::{Failure, admin_port::get, stdout};

/// Show what a running process is doing
///
/// Where the time of its partitions goes, how far behind each is, and its latest rebalances, with how long
/// each step took.
#[derive(Args, Debug)]
pub struct Explain {
    /// Where the process serves its metrics
    #[arg(default_value = "http://127.0.0.1:9464")]
    url: String,
}

impl Explain {
    /// Prints the process's explanation.
    ///
    /// # Errors
    /// The process does not answer.
    pub fn run(self) -> Result<(), Failure> {
        stdout(&get(&self.url, "/explain").map_err(Failure::Failed)?)
    }
}
