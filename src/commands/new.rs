//! `pipeline new`.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
};

use clap::{Args, builder::PossibleValuesParser};

use super::{Failure, stdout};
use crate::config::{EXAMPLE_SCHEMAS, EXAMPLES};

/// Writes a pipeline's file to begin with, with comments and test cases that pass
#[derive(Args, Debug)]
pub struct New {
    /// The pipeline's name: the file is NAME.toml in this folder
    name: String,
    /// The example that the file begins as
    #[arg(long, value_name = "EXAMPLE", value_parser = PossibleValuesParser::new(EXAMPLES.iter().map(|(name, _)| *name)))]
    from: String,
}

impl New {
    pub fn run(self) -> Result<(), Failure> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if self.name.is_empty() || !self.name.chars().all(legal) {
            let sentence =
                format!("`{}` cannot be a pipeline's name: use letters, digits, `-` and `_`", self.name);
            return Err(Failure::Usage(sentence));
        }
        let text = EXAMPLES.iter().find(|(name, _)| *name == self.from).map_or("", |(_, text)| text);
        let path = format!("{}.toml", self.name);
        write(&path, &named(text, &self.name))?;
        for (name, schema) in EXAMPLE_SCHEMAS.iter().filter(|(name, _)| text.contains(*name)) {
            write(name, schema)?;
        }
        stdout(&format!(
            "{path} is there. `pipeline test {path}` runs its test cases, `pipeline run {path}` runs it.\n"
        ))
    }
}

/// Writes a file that is not there yet.
fn write(path: &str, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::Usage(match error.kind() {
            ErrorKind::AlreadyExists => {
                format!("there is a {path} here already; choose another name or folder")
            }
            _ => format!("cannot write {path}: {error}"),
        })
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

/// The example, with that name instead of its own.
fn named(text: &str, name: &str) -> String {
    let Some(line) = text.lines().find(|line| line.starts_with("name = ")) else { return text.to_owned() };
    text.replacen(line, &format!("name = \"{name}\""), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        commands::{file::Overrides, test::holds},
        config::parse,
        settings::ProcessEnvironment,
    };

    #[test]
    fn every_example_has_test_cases_that_pass_under_any_name() {
        for (example, text) in EXAMPLES {
            // The schemas that it names are beside it.
            let file = format!("{}/pipelines/examples/{example}.toml", env!("CARGO_MANIFEST_DIR"));
            let (pipeline, warnings) = parse(&file, &named(text, "mine"), &[], &ProcessEnvironment)
                .unwrap_or_else(|error| panic!("{error}"));
            assert!(warnings.is_empty(), "{}", warnings.render(false));
            assert_eq!(pipeline.name, "mine");
            assert!(!pipeline.tests.is_empty(), "{example}");
            let mut report = String::new();
            for case in &pipeline.tests {
                let overrides = Overrides::default();
                assert!(holds(&pipeline, case, (&file, &overrides), &mut report).unwrap(), "{report}");
            }
        }
    }
}
