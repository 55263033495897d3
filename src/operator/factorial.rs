use serde::Deserialize;

use super::{Cost, Operator, OperatorError, Output, registry::Built};
use crate::{
    factorial::{cost_nanos, digits, factorial, factorial_decimal},
    format::{FormatError, Formats, Number},
    record::Record,
};

/// Reads n, writes n and n!. Key, headers and timestamp go on to the result.
#[derive(Debug)]
pub struct Factorial {
    max_n: u32,
    formats: Formats,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default = "default_max_n")]
    max_n: u32,
}

/// The largest whose digits fit a record of Kafka's default size.
fn default_max_n() -> u32 {
    200_000
}

impl Factorial {
    /// The settings' names.
    pub const SETTINGS: &[&str] = &["max_n"];

    pub(super) fn build(settings: toml::Table, formats: Formats) -> Built {
        let Settings { max_n } = settings.try_into()?;
        Ok(Box::new(Factorial { max_n, formats }))
    }

    fn number(&self, record: &Record) -> Result<u32, OperatorError> {
        let Some(value) = &record.value else {
            return Err(bad_input("tombstone", "a tombstone asks for nothing".to_owned()));
        };
        let above = |n: &str| bad_input("above-max", format!("{n} is above max_n, which is {}", self.max_n));
        match self.formats.input.decode_request(value) {
            Ok(n) => u32::try_from(n).ok().filter(|n| *n <= self.max_n).ok_or_else(|| above(&n.to_string())),
            Err(FormatError::TooLarge { digits }) => Err(above(&format!("a number of {digits} digits"))),
            Err(error) => Err(bad_input(error.class(), error.to_string())),
        }
    }

    fn size(&self, n: u32) -> u64 {
        // Beside the digits: n itself, and what the format writes around both.
        let around = 48;
        if self.formats.output.is_binary() { digits(n) * 416 / 1_000 + around } else { digits(n) + around }
    }
}

fn bad_input(class: &'static str, message: String) -> OperatorError {
    OperatorError::BadInput { class, message }
}

impl Operator for Factorial {
    fn cost(&self, record: &Record) -> Cost {
        match self.number(record) {
            Ok(n) => Cost { nanos: cost_nanos(n), bytes: self.size(n) + record.size() as u64 },
            Err(_) => Cost { nanos: 1_000, bytes: record.size() as u64 },
        }
    }

    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        let n = self.number(&record)?;
        let format = self.formats.output;
        let result = if format.is_binary() {
            Number::Binary(factorial(n))
        } else {
            Number::Decimal(factorial_decimal(n))
        };
        out.push(Record { value: Some(format.encode_result(n.into(), &result)), ..record });
        Ok(())
    }

    fn largest_output(&self) -> Option<u64> {
        Some(self.size(self.max_n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{format::Format, record::Headers};

    fn operator(max_n: u32) -> Factorial {
        Factorial { max_n, formats: Formats::default() }
    }

    fn class(operator: &Factorial, value: Option<&'static str>) -> &'static str {
        let record = Record { value: value.map(Into::into), ..Record::default() };
        match operator.apply(record, &mut Output::default()).unwrap_err() {
            OperatorError::BadInput { class, .. } => class,
            error => panic!("{error}"),
        }
    }

    #[test]
    fn key_headers_and_timestamp_go_on_to_the_result() {
        let headers: Headers = [("trace", "abc")].into_iter().collect();
        let record = Record {
            key: Some("k".into()),
            value: Some("5".into()),
            headers,
            timestamp: Some(1_700_000_000_000),
        };
        let mut output = Output::default();
        operator(10).apply(record.clone(), &mut output).unwrap();
        let results: Vec<Record> = output.drain().collect();
        assert_eq!(results, [Record { value: Some("5;120".into()), ..record }]);
    }

    #[test]
    fn what_cannot_be_computed_has_a_class() {
        let operator = operator(100);
        assert_eq!(class(&operator, None), "tombstone");
        assert_eq!(class(&operator, Some("")), "empty");
        assert_eq!(class(&operator, Some("x")), "not-a-number");
        assert_eq!(class(&operator, Some("-1")), "negative");
        assert_eq!(class(&operator, Some("101")), "above-max");
        assert_eq!(class(&operator, Some("99999999999999999999999")), "above-max");
        operator
            .apply(Record { value: Some("100".into()), ..Record::default() }, &mut Output::default())
            .unwrap();
    }

    #[test]
    fn the_size_is_known_before_the_result_is() {
        for output in [Format::Text, Format::Json, Format::Bincode] {
            let operator = Factorial { max_n: 10_000, formats: Formats { input: Format::Text, output } };
            for n in ["0", "10", "1000", "10000"] {
                let record = Record { value: Some(n.into()), ..Record::default() };
                let cost = operator.cost(&record).bytes as usize;
                let mut out = Output::default();
                operator.apply(record, &mut out).unwrap();
                let size = out.drain().next().unwrap().size();
                assert!((size..=size + size / 50 + 64).contains(&cost), "{output:?} {n}: {cost} for {size}");
            }
        }
    }
}
