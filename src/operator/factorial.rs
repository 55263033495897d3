//! Computes n! of each n.

use std::{sync::OnceLock, time::Duration};

use serde::Deserialize;
use serde_aux::serde_introspection::serde_introspect;

use super::{
    Built, Cost, Operator, OperatorError, Output, SettingError, error::bad_value, number::number, settings,
};
use crate::{
    factorial::{Factorials, Watch, digits},
    format::Formats,
    record::{Record, classes},
    telemetry::{FactorialMetrics, Method},
};

/// Reads `n`, hands on `n` and n!. Key, headers and timestamp stay as they are.
#[cfg_attr(not(internals), doc(hidden))]
#[derive(Debug)]
pub struct Factorial {
    max_n: u32,
    factorials: Factorials,
    /// Once it runs in a pipeline.
    metrics: OnceLock<FactorialMetrics>,
    formats: Formats,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The largest `n` that is computed; 973,351 digits still fit Kafka's default size of a record.
    #[serde(default = "default_max_n")]
    max_n: u32,
    /// What may be kept of results for later ones.
    #[serde(default = "default_memory", deserialize_with = "settings::size")]
    memory: u64,
}

fn default_memory() -> u64 {
    128 << 20
}

fn default_max_n() -> u32 {
    200_000
}

impl Factorial {
    /// The operator that computes factorials up to that of `max_n`, keeping up to `memory` bytes for later ones.
    pub fn new(max_n: u32, memory: u64, formats: Formats) -> Self {
        Factorial { max_n, factorials: Factorials::new(max_n, memory), metrics: OnceLock::new(), formats }
    }

    pub(super) fn settings() -> &'static [&'static str] {
        serde_introspect::<Settings>()
    }

    pub(super) fn build(table: toml::Table, formats: Formats) -> Built {
        let Settings { max_n, memory } = settings::read(table)?;
        for format in [&formats.input, &formats.output] {
            if !format.has_numbers() {
                let reason = format!("a factorial needs numbers, and the format {} has none", format.name());
                return Err(SettingError::new(None, reason));
            }
        }
        Ok(Box::new(Factorial::new(max_n, memory, formats)))
    }

    fn n(&self, record: &Record) -> Result<u32, OperatorError> {
        let above = |n: &dyn std::fmt::Display| OperatorError::BadInput {
            class: classes::ABOVE_MAX,
            message: format!("{n} is above `max_n`, which is {}", self.max_n),
        };
        let n = number(record, &self.formats.input)?;
        u32::try_from(n).ok().filter(|n| *n <= self.max_n).ok_or_else(|| above(&n))
    }

    fn value(&self, n: u32, out: &Output) -> Result<Vec<u8>, OperatorError> {
        let mut followed = None;
        let factorial = self.factorials.get_until(n, || {
            let watch = Watch::until(out.cancel().flag());
            let (seen, expected) = (watch.clone(), Duration::from_nanos(self.factorials.cost_nanos(n)));
            let metrics = self.metrics.get();
            followed = metrics.and_then(|of| of.follow(out.place(), expected, move || seen.reached()));
            watch
        });
        let cancelled =
            || OperatorError::Passing { failure: "cancelled", message: "it was cancelled".to_owned() };
        self.formats.output.encode_result(n.into(), &factorial.ok_or_else(cancelled)?).map_err(bad_value)
    }

    fn size(&self, n: u32) -> u64 {
        self.formats.output.result_size(n.into(), digits(n))
    }
}

impl Operator for Factorial {
    fn cost(&self, record: &Record) -> Cost {
        // The cost is asked for where nothing may be waited for.
        let at_hand = record.value.as_ref().is_none_or(|value| self.formats.input.is_at_hand(value));
        match if at_hand { self.n(record) } else { Ok(self.max_n) } {
            Ok(n) => {
                let around = record.size() - record.value.as_ref().map_or(0, |value| value.len());
                Cost { nanos: self.factorials.cost_nanos(n), bytes: self.size(n) + around as u64 }
            }
            // It will be a dead letter, which costs no more than a copy.
            Err(_) => Cost { nanos: 100, bytes: record.size() as u64 },
        }
    }

    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        let n = self.n(&record)?;
        let value = match self.metrics.get() {
            None => self.value(n, out)?,
            Some(metrics) => {
                let method = match self.factorials.has_checkpoint_of(n) {
                    Some(hit) => Method::Checkpoint { hit },
                    None => Method::Scratch,
                };
                metrics.time(n, digits(n), method, || self.value(n, out))?
            }
        };
        out.push(Record { value: Some(value.into()), ..record });
        Ok(())
    }

    fn observe(&self, pipeline: &str) {
        self.metrics.get_or_init(|| FactorialMetrics::new(pipeline));
    }

    fn largest_output(&self) -> Option<u64> {
        Some(self.size(self.max_n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;

    fn factorial(max_n: u32) -> Factorial {
        Factorial::new(max_n, default_memory(), Formats::default())
    }

    fn record(value: &'static [u8]) -> Record {
        Record { value: Some(value.into()), ..Record::default() }
    }

    fn class(value: Option<&'static [u8]>) -> &'static str {
        let record = Record { value: value.map(Into::into), ..Record::default() };
        match factorial(100).apply(record, &mut Output::default()) {
            Err(OperatorError::BadInput { class, .. }) => class,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn key_headers_and_timestamp_go_on_to_the_result() {
        let request = Record {
            key: Some("k".into()),
            value: Some("30".into()),
            headers: [("trace", "1"), ("trace", "2")].into_iter().collect(),
            timestamp: Some(1_700_000_000_123),
            ..Record::default()
        };
        let mut out = Output::default();
        factorial(100).apply(request.clone(), &mut out).unwrap();
        let results: Vec<Record> = out.drain().collect();
        let value = Some("30;265252859812191058636308480000000".into());
        assert_eq!(results, [Record { value, ..request }]);
    }

    #[test]
    fn a_factorial_that_nobody_wants_any_more_is_given_up() {
        let cancel = crate::operator::Cancel::default();
        let mut out = Output::until(&cancel);
        cancel.cancel();
        let operator = factorial(1_000_000);
        assert!(matches!(operator.apply(record(b"1000000"), &mut out), Err(OperatorError::Passing { .. })));
        assert_eq!(out.drain().count(), 0);
    }

    #[test]
    fn formats_differ_on_both_sides_where_the_pipeline_says_so() {
        let formats = Formats { input: Format::Json, output: Format::Bincode, ..Formats::default() };
        let mut out = Output::default();
        Factorial::new(100, default_memory(), formats).apply(record(br#"{"n":5}"#), &mut out).unwrap();
        assert_eq!(out.drain().next().and_then(|r| r.value).as_deref(), Some(&[5, 1, 120][..]));
    }

    #[test]
    fn each_kind_of_bad_input_has_its_class() {
        assert_eq!(class(None), "tombstone");
        assert_eq!(class(Some(b"")), "empty");
        assert_eq!(class(Some(b"\xff")), "not-utf8");
        assert_eq!(class(Some(b"five")), "not-a-number");
        assert_eq!(class(Some(b"-5")), "negative");
        assert_eq!(class(Some(b"101")), "above-max");
        assert_eq!(class(Some(b"4294967297")), "above-max");
        assert_eq!(class(Some(b"99999999999999999999999999")), "above-max");
    }

    #[test]
    fn above_max_n_says_both_numbers() {
        let error = factorial(100).apply(record(b"101"), &mut Output::default()).unwrap_err();
        assert_eq!(error.to_string(), "101 is above `max_n`, which is 100");
    }

    #[test]
    fn the_estimated_size_is_that_of_the_result() {
        for (n, value) in [(0, &b"0"[..]), (7, b"7"), (1_000, b"1000")] {
            let mut out = Output::default();
            factorial(1_000).apply(record(value), &mut out).unwrap();
            let size = out.drain().next().and_then(|r| r.value).map(|v| v.len() as u64);
            assert_eq!(size, Some(factorial(1_000).cost(&record(value)).bytes), "{n}");
        }
        assert_eq!(factorial(200_000).largest_output(), Some(6 + 1 + 973_351));
    }

    #[test]
    fn a_larger_n_costs_more_and_bad_input_hardly_anything() {
        let nanos = |value| factorial(1_000_000).cost(&record(value)).nanos;
        assert!(nanos(b"1000000") > 10 * nanos(b"100000"));
        assert_eq!(nanos(b"five"), 100);
    }

    #[test]
    fn memory_is_a_size_as_text_or_in_bytes() {
        let build = |memory: &str| Factorial::build(toml::from_str(memory).unwrap(), Formats::default());
        assert!(build("memory = '1 MiB'").is_ok() && build("memory = 1_000_000").is_ok());
        for wrong in ["memory = 'much'", "memory = -1", "memory = true"] {
            let error = build(wrong).err().expect(wrong);
            assert!(error.key.as_deref() == Some("memory") && error.reason.contains("128 MiB"), "{error}");
        }
    }
}
