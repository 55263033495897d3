//! A `pipeline` with operators of one's own.

use std::process::ExitCode;

use clap::Parser;

use crate::{
    commands::CommandLine,
    operator::{Configured, Factory, add},
};

/// The command line of `pipeline`, with every command, and with operators that are added to it.
///
/// ```no_run
/// use pipeline::{Cli, format::Formats, operator::{Configured, Operator, OperatorError, Output, SettingError}, record::Record};
///
/// /// Puts a prefix in front of each key.
/// struct Prefix(String);
///
/// #[derive(serde::Deserialize)]
/// struct Settings {
///     prefix: String,
/// }
///
/// impl Operator for Prefix {
///     fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
///         let key = record.key.as_deref().unwrap_or_default();
///         let key = Some([self.0.as_bytes(), key].concat().into());
///         out.push(Record { key, ..record });
///         Ok(())
///     }
///
///     fn keeps_value(&self) -> bool {
///         true
///     }
/// }
///
/// impl Configured for Prefix {
///     type Settings = Settings;
///     const SUMMARY: &'static str = "puts a prefix in front of each key";
///
///     fn configured(settings: Settings, _: Formats) -> Result<Self, SettingError> {
///         Ok(Prefix(settings.prefix))
///     }
/// }
///
/// fn main() -> std::process::ExitCode {
///     Cli::new().operator::<Prefix>("prefix").run()
/// }
/// ```
#[derive(Default)]
pub struct Cli {
    added: Vec<Factory>,
}

impl Cli {
    /// With the operators of `pipeline` itself.
    pub fn new() -> Self {
        Cli::default()
    }

    /// With one operator more, by that name in a pipeline's file.
    pub fn operator<O: Configured>(mut self, name: &'static str) -> Self {
        self.added.push(Factory::of::<O>(name));
        self
    }

    /// Reads the command line, does what it says, and prints what fails.
    pub fn run(self) -> ExitCode {
        if let Err(sentence) = add(self.added) {
            eprintln!("error: {sentence}");
            return ExitCode::from(2);
        }
        match CommandLine::parse().run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("error: {failure}");
                failure.exit_code()
            }
        }
    }
}
