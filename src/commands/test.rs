//! `pipeline test`.

use std::fmt::Write;

use clap::Args;

use super::{
    Failure,
    file::{Overrides, load_pipeline},
    stdout,
};
use crate::{
    config::{Pipeline, TestCase},
    operator::OperatorError,
    testing::run_case,
};

const CASES: &str = "\
A case says what goes in and what must come out:

  [[test]]
  name = \"three\"
  input = [\"3\", { key = \"k\", value = \"x\" }]
  output = \"3;6\"
  dead_letters = \"not-a-number\"

Results are compared in order; keys and headers only where the case names them. A table without a value is a tombstone.
Where a case has no output, nothing may come out: the record is dropped, or a dead letter. Of JSON each field that differs
is shown.
Exit code 0 if all cases hold, 1 if one does not or a file has none, 2 if a file is wrong.";

/// Runs the `[[test]]` cases of pipelines, without a broker
#[derive(Args, Debug)]
#[command(after_help = CASES)]
pub struct Test {
    /// Files as given, in pipelines/, or built in, such as factorial.toml
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    #[command(flatten)]
    overrides: Overrides,
}

impl Test {
    pub fn run(self) -> Result<(), Failure> {
        let (mut cases, mut failed, mut untested) = (0_u32, 0_u32, Vec::new());
        for file in &self.files {
            let pipeline = load_pipeline(file, &self.overrides)?;
            let mut report = format!("{file}\n");
            if pipeline.tests.is_empty() {
                report.push_str("  there is no [[test]] in this file\n");
                untested.push(file.as_str());
            }
            for case in &pipeline.tests {
                cases += 1;
                failed += u32::from(!holds(&pipeline, case, file, &mut report));
            }
            stdout(&report)?;
        }
        match failed {
            0 if untested.is_empty() => Ok(()),
            // Whoever asks for tests takes silence for success.
            0 => Err(Failure::Failed(format!(
                "nothing is tested of {}: add a [[test]] (`pipeline test --help` shows one)",
                untested.join(", ")
            ))),
            _ => Err(Failure::Failed(format!("{failed} of {cases} test cases failed"))),
        }
    }
}

/// Runs one case and appends its outcome to the report.
fn holds(pipeline: &Pipeline, case: &TestCase, file: &str, report: &mut String) -> bool {
    let differences = match run_case(pipeline, case) {
        Ok(differences) if differences.is_empty() => {
            report.push_str(&format!("  ok      {}\n", case.name));
            return true;
        }
        Ok(differences) => differences.iter().map(ToString::to_string).collect(),
        Err(away @ OperatorError::Away { .. }) => {
            vec![format!("{away}: a worker would wait for it, and a test case needs it")]
        }
        Err(fatal) => vec![format!("the pipeline would stop: {fatal}")],
    };
    report.push_str(&format!("  FAILED  {} ({file}:{})\n", case.name, case.line));
    for line in differences.iter().flat_map(|difference| difference.lines()) {
        // Writing to a string cannot fail.
        let _ = writeln!(report, "          {line}");
    }
    false
}
