//! `pipeline test`.

use std::fmt::Write;

use clap::Args;

use super::{
    Failure,
    file::{Overrides, load_error_text, load_pipeline},
    stand_in::StandIns,
    stdout,
};
use crate::{
    config::{Pipeline, TestCase, load},
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

Results are compared in order; keys and headers only where the case names them. A table without a
value is a tombstone.
A service that an `http` operator asks need not be there: `answers.NAME = { status = 503 }`, or an
array of answers to one call after another, each with `status` and `value`, is what it answers.
What `join` finds in a topic is in `tables`, by the topic's name and the key:
`tables.customers.c1 = { name = \"Ada\" }`. A topic of which the case has nothing is empty.
Where a case has no output, nothing may come out: the record is dropped, or a dead letter. Of JSON
each field that differs is shown.
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
                failed += u32::from(!holds(&pipeline, case, (file, &self.overrides), &mut report)?);
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
///
/// # Errors
/// A service that a case has answers of cannot be stood in for.
pub(super) fn holds(
    pipeline: &Pipeline,
    case: &TestCase,
    (file, overrides): (&str, &Overrides),
    report: &mut String,
) -> Result<bool, Failure> {
    let ran = if case.answers.is_empty() {
        run_case(pipeline, case).map(|differences| differences.iter().map(ToString::to_string).collect())
    } else {
        with_stand_ins(case, file, overrides)?
    };
    let differences: Vec<String> = match ran {
        Ok(differences) => differences,
        Err(away @ OperatorError::Away { .. }) => {
            let help = "a worker would wait for it, and a test case needs it, or `answers` of the case";
            vec![format!("{away}: {help}")]
        }
        Err(fatal) => vec![format!("the pipeline would stop: {fatal}")],
    };
    if differences.is_empty() {
        report.push_str(&format!("  ok      {}\n", case.name));
        return Ok(true);
    }
    report.push_str(&format!("  FAILED  {} ({file}:{})\n", case.name, case.line));
    for line in differences.iter().flat_map(|difference| difference.lines()) {
        // Writing to a string cannot fail.
        let _ = writeln!(report, "          {line}");
    }
    Ok(false)
}

/// Runs a case with services that answer as it says.
fn with_stand_ins(
    case: &TestCase,
    file: &str,
    overrides: &Overrides,
) -> Result<Result<Vec<String>, OperatorError>, Failure> {
    let services = StandIns::start(case)?;
    let set = [overrides.set.clone(), services.overrides()].concat();
    let (pipeline, _) = load(file, &set).map_err(|error| Failure::Usage(load_error_text(&error)))?;
    Ok(run_case(&pipeline, case).map(|differences| {
        let mut differences: Vec<String> = differences.iter().map(ToString::to_string).collect();
        differences.extend(services.not_asked());
        differences
    }))
}
