use super::{Operator, factorial::Factorial, filter::Filter, identity::Identity};
use crate::format::Formats;

/// What building an operator gives: itself, or what is wrong with its settings.
pub type Built = Result<Box<dyn Operator>, toml::de::Error>;

/// How an operator is made from its table in a pipeline's file.
#[derive(Clone, Copy)]
pub struct Factory {
    /// The name that a pipeline's file uses.
    pub name: &'static str,
    /// The keys that its table may have.
    pub settings: &'static [&'static str],
    /// One sentence for `--help` and error messages.
    pub summary: &'static str,
    /// Reads the table. The error says what is wrong with a value.
    pub build: fn(toml::Table, Formats) -> Built,
}

/// Every operator that a pipeline's file can name.
pub fn registry() -> &'static [Factory] {
    const ALL: &[Factory] = &[
        Factory {
            name: "factorial",
            settings: Factorial::SETTINGS,
            summary: "n to n and n!",
            build: Factorial::build,
        },
        Factory {
            name: "filter",
            settings: Filter::SETTINGS,
            summary: "numbers in a range",
            build: Filter::build,
        },
        Factory {
            name: "identity",
            settings: Identity::SETTINGS,
            summary: "all as it came",
            build: Identity::build,
        },
    ];
    ALL
}
