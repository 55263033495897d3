//! `pipeline check`.

use clap::Args;

use super::{
    Failure,
    brokers::refuse_false_promise,
    file::{Overrides, for_stderr, load_error_text},
    stdout,
};
use crate::{
    config::{Pipeline, load},
    format::Format,
    kafka::{Admin, settings},
};

/// Checks pipelines without running them, and reports all errors at once
///
/// Each error comes with file, line, column, the text underlined, and what was probably meant. Settings are
/// also checked against each other: retries against `max.poll.interval.ms`, the largest result against the
/// memory and the topic's limit, librdkafka's properties against the guarantee.
///
/// Exit code 0 if all can run (warnings do not count), otherwise 2.
#[derive(Args, Debug)]
pub struct Check {
    /// Files as given, in pipelines/, or built in, such as factorial.toml
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Also check at the brokers: whether they answer, the topics, and what this user may do with them;
    /// and at the schema registry, whether what the sink would write may be written
    #[arg(long)]
    connect: bool,
    #[command(flatten)]
    overrides: Overrides,
}

impl Check {
    pub fn run(self) -> Result<(), Failure> {
        let mut wrong = Vec::new();
        for file in &self.files {
            match load(file, &self.overrides.set) {
                Ok((pipeline, warnings)) => {
                    if !warnings.is_empty() {
                        eprintln!("{}\n", for_stderr(&warnings));
                    }
                    let about = pipeline.steps.iter().filter_map(|step| {
                        Some(format!("  [operators.{}] {}\n", step.name, step.operator.about()?))
                    });
                    let about: String = about.collect();
                    let met = if self.connect { connect(&pipeline) } else { Ok(String::new()) };
                    match met {
                        Ok(met) => {
                            stdout(&format!("{file}: the pipeline {} can run\n{about}{met}", pipeline.name))?;
                        }
                        Err(reasons) => {
                            wrong.extend(reasons.into_iter().map(|reason| format!("{file}: {reason}")));
                        }
                    }
                }
                Err(error) => wrong.push(load_error_text(&error)),
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(Failure::Usage(wrong.join("\n\n"))) }
    }
}

/// Checks the pipeline at its brokers. Returns what is fine, a line each, or everything that keeps it from
/// running.
fn connect(pipeline: &Pipeline) -> Result<String, Vec<String>> {
    let registries: Vec<_> = pipeline.formats().map(Format::survey).collect();
    let admin = Admin::new(&settings::common(pipeline)).map_err(|error| vec![error.to_string()])?;
    let survey = admin.survey(pipeline).map_err(|error| vec![error.to_string()])?;
    let (mut good, mut wrong) = (survey.good, survey.wrong);
    for answer in registries {
        match answer {
            Ok(answer) => good.extend(answer),
            Err(reason) => wrong.push(reason),
        }
    }
    wrong.extend(refuse_false_promise(pipeline, &admin).err().map(|failure| failure.to_string()));
    if wrong.is_empty() { Ok(good.iter().map(|line| format!("  {line}\n")).collect()) } else { Err(wrong) }
}
