//! Computes n! of each n.

use std::{sync::OnceLock, time::Duration};

use serde::Deserialize;
use serde_aux::serde_introspection::serde_introspect;

use super::{
    Built, Cost, Operator, OperatorError, Output, SettingError,
    error::bad_value,
    number::number,
    settings,
    table::{MANIFEST_OF, TableKind, TableOf, WHOLE},
};
use crate::{
    factorial::{Factorials, Watch, digits},
    format::Formats,
    record::{FINISHED, MANIFEST, MANIFEST_VERSION, Record, classes},
    telemetry::{FactorialMetrics, Method},
};

/// What takes longer to compute is not computed again, where finished results are kept at all. In nanoseconds; below, looking up would
/// not be faster.
const WORTH_KEEPING: u64 = 1_000_000;

/// Reads `n`, hands on `n` and n!. Key, headers and timestamp stay as they are.
#[cfg_attr(not(internals), doc(hidden))]
#[derive(Debug)]
pub struct Factorial {
    max_n: u32,
    factorials: Factorials,
    /// Once it runs in a pipeline.
    metrics: OnceLock<FactorialMetrics>,
    formats: Formats,
    /// What was computed before, here or elsewhere, where that is to be known.
    finished: Option<TableOf>,
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
    /// How much of the disk may keep finished results, whoever computed them. Without it none are kept.
    #[serde(default, deserialize_with = "settings::some_size")]
    finished: Option<u64>,
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
        let factorials = Factorials::new(max_n, memory);
        Factorial { max_n, factorials, metrics: OnceLock::new(), formats, finished: None }
    }

    pub(super) fn settings() -> &'static [&'static str] {
        serde_introspect::<Settings>()
    }

    pub(super) fn build(table: toml::Table, formats: Formats) -> Built {
        let Settings { max_n, memory, finished } = settings::read(table)?;
        for format in [&formats.input, &formats.output] {
            if !format.has_numbers() {
                let reason = format!("a factorial needs numbers, and the format {} has none", format.name());
                return Err(SettingError::new(None, reason));
            }
        }
        let finished = finished.map(|disk| TableOf::new(TableKind::Finished(disk)));
        Ok(Box::new(Factorial { finished, ..Factorial::new(max_n, memory, formats) }))
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

    /// n and n!, as they are written, computed now.
    fn compute(&self, n: u32, out: &Output) -> Result<Vec<u8>, OperatorError> {
        let Some(metrics) = self.metrics.get() else { return self.value(n, out) };
        let method = match self.factorials.has_checkpoint_of(n) {
            Some(hit) => Method::Checkpoint { hit },
            None => Method::Scratch,
        };
        metrics.time(n, digits(n), method, || self.value(n, out))
    }

    /// The table that a result of `n` belongs into, where it belongs into one.
    fn kept(&self, n: u32) -> Option<&TableOf> {
        self.finished.as_ref().filter(|_| self.factorials.cost_nanos(n) >= WORTH_KEEPING)
    }

    /// The result for a record that asks for what is known already.
    fn known(&self, n: u32, record: &Record, out: &Output) -> Result<Option<Record>, OperatorError> {
        let Some(table) = self.kept(n) else { return Ok(None) };
        let found = match table.get(n.to_string().as_bytes(), out) {
            // Nobody waits for it: computing is as good.
            Err(OperatorError::Away { .. }) | Ok(None) => return Ok(None),
            Ok(Some(found)) => found,
            Err(error) => return Err(error),
        };
        let Some((kind, value)) = found.split_first() else { return Ok(None) };
        let mut record = Record { value: Some(found.slice_ref(value)), ..record.clone() };
        match *kind {
            MANIFEST_OF => record.headers.push(MANIFEST, Some(MANIFEST_VERSION.into())),
            // Whoever else may write to the topic is not believed.
            WHOLE if self.is_result(n, value) => {}
            _ => return Ok(None),
        }
        self.metrics.get().into_iter().for_each(FactorialMetrics::was_finished);
        Ok(Some(record))
    }

    fn is_result(&self, n: u32, value: &[u8]) -> bool {
        let output = &self.formats.output;
        output.result_number(value) == Some(n.into())
            && (output.has_schema() || value.len() as u64 == self.size(n))
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

    fn apply(&self, mut record: Record, out: &mut Output) -> Result<(), OperatorError> {
        let n = self.n(&record)?;
        if record.headers.iter().any(|header| header.name == FINISHED) {
            // Whoever asks for 5 must not be able to say what is known of 7.
            record.headers.retain(|header| header.name != FINISHED);
        }
        if let Some(known) = self.known(n, &record, out)? {
            out.push(known);
            return Ok(());
        }
        record.value = Some(self.compute(n, out)?.into());
        if self.kept(n).is_some() {
            record.headers.push(FINISHED, Some(n.to_string().into()));
        }
        out.push(record);
        Ok(())
    }

    fn table(&self) -> Option<&TableOf> {
        self.finished.as_ref()
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

    /// Knows of `n` what it was made with.
    struct Known(u32, Vec<u8>);

    impl crate::operator::Table for Known {
        fn get(&self, key: &[u8], _: Option<i32>) -> Result<Option<bytes::Bytes>, OperatorError> {
            Ok((key == self.0.to_string().as_bytes()).then(|| self.1.clone().into()))
        }
    }

    /// What becomes of a request, where that is known.
    fn with_known(known: Known, request: Record) -> Record {
        let built =
            Factorial::build("max_n = 200000\nfinished = '1 GiB'".parse().unwrap(), Formats::default());
        let operator = built.map_err(|error| error.to_string()).unwrap();
        operator.table().unwrap().give(std::sync::Arc::new(known));
        let mut out = Output::default();
        operator.apply(request, &mut out).unwrap();
        out.drain().next().unwrap()
    }

    #[test]
    fn a_result_that_is_known_is_handed_on_and_nothing_else_is_believed() {
        let n = 100_000;
        let computed = with_known(Known(0, Vec::new()), record(b"100000"));
        assert_eq!(computed.headers.text(FINISHED), Some("100000"));
        let value = computed.value.unwrap();
        let whole = [&[WHOLE], &value[..]].concat();
        let known = with_known(Known(n, whole.clone()), record(b"100000"));
        assert_eq!((known.value.as_ref(), known.headers.is_empty()), (Some(&value), true));
        let mut short = whole.clone();
        short.pop();
        let other = [&[WHOLE], &b"99999;"[..], &value[7..]].concat();
        for wrong in [short, other, vec![WHOLE], Vec::new(), b"\x07100000;1".to_vec()] {
            let computed = with_known(Known(n, wrong), record(b"100000"));
            assert_eq!(
                (computed.value.as_ref(), computed.headers.text(FINISHED)),
                (Some(&value), Some("100000"))
            );
        }
        let elsewhere = with_known(Known(n, [&[MANIFEST_OF], &b"{}"[..]].concat()), record(b"100000"));
        assert_eq!((elsewhere.value, elsewhere.headers.text(MANIFEST)), (Some("{}".into()), Some("1")));
    }

    #[test]
    fn a_request_cannot_say_what_is_finished() {
        let headers = [(FINISHED, "100001"), ("id", "7")].into_iter().collect();
        let lies = |value: &'static str, headers: &crate::record::Headers| {
            with_known(Known(0, Vec::new()), Record { headers: headers.clone(), ..record(value.as_bytes()) })
        };
        let result = lies("5", &headers);
        assert_eq!((result.value, result.headers.iter().count()), (Some("5;120".into()), 1));
        assert_eq!(lies("100000", &headers).headers.text(FINISHED), Some("100000"));
        let mut nothing = crate::record::Headers::default();
        nothing.push(FINISHED, None);
        assert!(lies("5", &nothing).headers.is_empty());
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
