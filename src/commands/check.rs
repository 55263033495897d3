use clap::Args;

use super::{
    Failure,
    file::{Overrides, for_stderr, told},
    stdout,
};
use crate::config::load;

/// Checks pipelines without running them, and says everything that is wrong at once
///
/// Each error comes with file, line, column, the text underlined, and what was probably meant. Besides what each
/// setting says by itself, settings are held against each other: retries against `max.poll.interval.ms`, the
/// largest result against the memory and the topic's limit, librdkafka's properties against the guarantee.
///
/// Exit code 0 if all can run (warnings do not count), else 2.
#[derive(Args, Debug)]
pub struct Check {
    /// Files as given, in pipelines/, or built in, such as factorial.toml
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
}

impl Check {
    pub fn run(self, overrides: &Overrides) -> Result<(), Failure> {
        let mut wrong = Vec::new();
        for file in &self.files {
            match load(file, &overrides.set) {
                Ok((pipeline, warnings)) => {
                    if !warnings.is_empty() {
                        eprintln!("{}\n", for_stderr(&warnings));
                    }
                    stdout(&format!("{file}: the pipeline {} can run\n", pipeline.name))?;
                }
                Err(error) => wrong.push(told(&error)),
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(Failure::Usage(wrong.join("\n\n"))) }
    }
}
