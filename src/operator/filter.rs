use serde::Deserialize;

use super::{Operator, OperatorError, Output, registry::Built};
use crate::{
    format::{Format, Formats},
    record::Record,
};

/// Lets numbers from `min` to `max` through, and drops the others. What is not a number is bad input.
#[derive(Debug)]
pub struct Filter {
    settings: Settings,
    input: Format,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    min: u64,
    #[serde(default = "no_limit")]
    max: u64,
}

fn no_limit() -> u64 {
    u64::MAX
}

impl Filter {
    /// The settings' names.
    pub const SETTINGS: &[&str] = &["min", "max"];

    pub(super) fn build(settings: toml::Table, formats: Formats) -> Built {
        Ok(Box::new(Filter { settings: settings.try_into()?, input: formats.input }))
    }
}

impl Operator for Filter {
    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        let bad_input = |class, message| OperatorError::BadInput { class, message };
        let value = record
            .value
            .as_ref()
            .ok_or_else(|| bad_input("tombstone", "a tombstone is no number".to_owned()))?;
        let number =
            self.input.decode_request(value).map_err(|error| bad_input(error.class(), error.to_string()))?;
        if (self.settings.min..=self.settings.max).contains(&number) {
            out.push(record);
        }
        Ok(())
    }

    fn keeps_value(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_in_the_range_go_through() {
        let filter = Filter { settings: Settings { min: 3, max: 5 }, input: Format::Text };
        let mut output = Output::default();
        for value in ["2", "3", "5", "6"] {
            filter.apply(Record { value: Some(value.into()), ..Record::default() }, &mut output).unwrap();
        }
        let through: Vec<_> = output.drain().map(|record| record.value.unwrap()).collect();
        assert_eq!(through, ["3", "5"]);
    }

    #[test]
    fn what_is_not_a_number_is_bad_input_and_not_dropped_in_silence() {
        let filter = Filter { settings: Settings { min: 0, max: 5 }, input: Format::Text };
        let result =
            filter.apply(Record { value: Some("x".into()), ..Record::default() }, &mut Output::default());
        assert!(matches!(result, Err(OperatorError::BadInput { class: "not-a-number", .. })));
    }
}
